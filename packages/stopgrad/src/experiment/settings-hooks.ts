// What validation asks of the things that an experiment file names, before anything is built of them: the registries they
// stand in, traits that entries tell of themselves, and what only the data or the network can tell.
import type { ExpectedSample, RefusedOption } from "../measures/index.js";
import type { Registry, RegistryEntry } from "../registry.js";
import type { MeasureEntry } from "./entries.js";
import type { DataSettings, NamedSettings, RunSettings } from "./run-settings.js";

/** Everything an experiment file can name. */
export interface SettingsRegistries {
  readonly datasets: Registry;
  readonly models: Registry;
  readonly heads: Registry;
  readonly losses: Registry<RegistryEntry & LossTraits>;
  readonly rules: Registry<
    RegistryEntry & {
      readonly ignores?: readonly string[];
      readonly schedules?: readonly string[];
      readonly oneImageSize?: boolean;
    }
  >;
  readonly schedules: Registry;
  readonly fusions: Registry;
  readonly optimizers: Registry;
  readonly measures: Registry<MeasureEntry & MeasureTraits>;
}

/** What validation asks of a loss; see `LocalLoss`. */
export interface LossTraits {
  readonly classifies?: boolean;
  readonly heads?: readonly string[];
  readonly propagatesLabels?: boolean;
  views?(options: Readonly<Record<string, unknown>>): 1 | 2;
}

/** What validation asks of a measure; see `Measure`. */
export interface MeasureTraits {
  /** Least images of a batch, and of a set, that it is defined for; 2 unless said. */
  readonly smallestBatch?: number;
  readonly smallestSample?: number;
  refused?(options: Readonly<Record<string, unknown>>, sample: ExpectedSample): RefusedOption | null;
  usual?(options: Readonly<Record<string, unknown>>, sample: ExpectedSample): Readonly<Record<string, unknown>>;
}

/** What validation asks of the things themselves. Each may answer null: not known before the work. */
export interface SettingsHooks {
  /** Stages of a backbone on this data; what it throws is reported as a mistake in `model`. */
  stageCount?(model: NamedSettings, data: DataSettings): number | null;
  /** Most images there are in each split. */
  datasetSizes?(data: DataSettings): SplitSizes | null;
  /** What tells the data's images from others, where its options do not; settings hold it as `data.contents`. */
  contents?(data: DataSettings): string | null;
  /** `[C, H, W]` of the data's images. */
  imageShape?(data: DataSettings): readonly number[] | null;
  /** Whether the model has a classifier apart from its stages; without one the last stage gives the class scores. */
  hasClassifier?(model: NamedSettings): boolean | null;
  /** How many stages, from the first, give feature maps; null: all. */
  mapStages?(model: NamedSettings): number | null;
  /** What a run is called, for those that start from another. */
  runId?(run: RunSettings): string;
  /** Whether the model cannot be trained on a batch of one image. */
  needsTwoImages?(model: NamedSettings): boolean | null;
  /** Whether the model may be trained on images of another size than it is evaluated on. */
  anyImageSize?(model: NamedSettings): boolean | null;
  /** Why nothing can be trained on this device, one sentence; null when it can. */
  refusedDevice?(device: string): string | null;
}

export interface SplitSizes {
  readonly train: number;
  readonly test: number;
}
