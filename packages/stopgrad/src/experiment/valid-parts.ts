// What there is to check settings together: the parts of a run's settings that are valid one by one, and what is known of
// the things that they name.
import type { Partition } from "./partition.js";
import type { WrittenReconstruction } from "./reconstruction.js";
import type {
  ContextSettings,
  DataSettings,
  NamedSettings,
  NhsicSettings,
  ObserveSettings,
  OptimizerSettings,
  RetrainSettings,
  RunSettings,
} from "./run-settings.js";
import type { SettingsHooks, SettingsRegistries, SplitSizes } from "./settings-hooks.js";

/** What was valid by itself; the rest is undefined, and what needs it is not checked. */
export interface ValidParts {
  readonly data: DataSettings | undefined;
  readonly model: NamedSettings | undefined;
  readonly partition: Partition | undefined;
  readonly classifier: RunSettings["classifier"] | undefined;
  readonly loss: NamedSettings | undefined;
  readonly head: NamedSettings | undefined;
  readonly nhsic: NhsicSettings | null | undefined;
  readonly rule: NamedSettings | undefined;
  readonly schedule: NamedSettings | undefined;
  readonly format: RunSettings["format"] | undefined;
  readonly retrain: RetrainSettings | null | undefined;
  readonly context: Omit<ContextSettings, "fusion"> | null | undefined;
  readonly reconstruction: WrittenReconstruction | null | undefined;
  readonly gradientCheckpointing: RunSettings["gradientCheckpointing"] | undefined;
  readonly match: RunSettings["match"] | undefined;
  readonly epochs: number | undefined;
  readonly optimizer: OptimizerSettings | undefined;
  readonly observe: { readonly [measure: string]: ObserveSettings } | undefined;
  readonly device: string | undefined;
  readonly parallel: RunSettings["parallel"];
}

/** What is known of the things that the parts name; null: not before the work. */
export interface Known {
  readonly registries: SettingsRegistries;
  readonly hooks: SettingsHooks;
  /** Of the data set. */
  readonly sizes: SplitSizes | null;
  /** `[C, H, W]` of the data's images. */
  readonly imageShape: readonly number[] | null;
  /** Images that are trained on: as many as are asked for, or as there are. */
  readonly trainingImages: number | null;
}
