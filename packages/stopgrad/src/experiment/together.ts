// Settings that are right one by one but not together, and what has to be known of the things they name to see it.
import type { Registry, RegistryEntry } from "../registry.js";
import { type Mistake, mistakeAt } from "./check.js";
import type { MeasureEntry } from "./entries.js";
import { moduleCount, moduleSizes, type Partition } from "./partition.js";
import type { DataSettings, NamedSettings, ObserveSettings, RunSettings, SampleSettings } from "./run-settings.js";
import type { Path } from "./tree.js";

/** Everything an experiment file can name. */
export interface SettingsRegistries {
  readonly datasets: Registry;
  readonly models: Registry;
  readonly heads: Registry;
  /** `classifies`: it needs class scores, that is a head. */
  readonly losses: Registry<RegistryEntry & { readonly classifies?: boolean }>;
  readonly rules: Registry;
  readonly optimizers: Registry;
  /** `smallestBatch`: the least images it is defined for, 2 unless said. */
  readonly measures: Registry<MeasureEntry & { readonly smallestBatch?: number }>;
}

/** What validation asks of the things themselves. Each may answer null: not known before the work. */
export interface SettingsHooks {
  /** Stages of a backbone on this data; what it throws is reported as a mistake in `model`. */
  stageCount?(model: NamedSettings, data: DataSettings): number | null;
  /** Most images there are in each split. */
  datasetSizes?(data: DataSettings): SplitSizes | null;
  /** Whether the model has a classifier apart from its stages; without one the last stage gives the class scores. */
  hasClassifier?(model: NamedSettings): boolean | null;
  /** Why nothing can be trained on this device, one sentence; null when it can. */
  refusedDevice?(device: string): string | null;
}

export interface SplitSizes {
  readonly train: number;
  readonly test: number;
}

/** What was valid by itself; the rest is undefined, and what needs it is not checked. */
export interface ValidParts {
  readonly data: DataSettings | undefined;
  readonly model: NamedSettings | undefined;
  readonly partition: Partition | undefined;
  readonly classifier: RunSettings["classifier"] | undefined;
  readonly loss: NamedSettings | undefined;
  readonly head: NamedSettings | undefined;
  readonly observe: { readonly [measure: string]: ObserveSettings } | undefined;
  readonly device: string | undefined;
}

/** @param sizes - of the data set, null where they are not known before the work */
export function impossibleTogether(
  { data, model, partition, classifier, loss, head, observe, device }: ValidParts,
  sizes: SplitSizes | null,
  registries: SettingsRegistries,
  hooks: SettingsHooks,
): Mistake[] {
  const mistakes: Mistake[] = [];
  const refuse = (path: Path, message: string) => mistakes.push(mistakeAt(path, message));

  const refused = device === undefined ? null : (hooks.refusedDevice?.(device) ?? null);
  if (refused !== null) refuse(["device"], refused);
  for (const split of ["train", "test"] as const) {
    const asked = data?.[split] ?? null;
    if (sizes && asked !== null && asked > sizes[split]) {
      refuse(["data", split], `${data?.name} has ${sizes[split]} ${split} images, got ${asked}`);
    }
  }
  for (const [measure, settings] of Object.entries(observe ?? {})) {
    if (registries.measures[measure]?.sampled === false) continue;
    const { batch, batches, split } = settings as unknown as SampleSettings;
    const least = registries.measures[measure]?.smallestBatch ?? 2;
    if (batch < least) refuse(["observe", measure, "batch"], `expected at least ${least} images a batch, got ${batch}`);
    const images = data?.[split] ?? null;
    const needed = batch * (batches ?? 1);
    if (images !== null && needed > images) {
      const key = batch > images ? "batch" : "batches";
      const need =
        batches === null
          ? `a batch of ${batch} needs ${batch} images`
          : `${batches} batches of ${batch} need ${needed} images`;
      refuse(["observe", measure, key], `${need}, data.${split} is ${images}`);
    }
  }

  let modules = partition === undefined ? null : moduleCount(partition);
  let stages: number | null = null;
  try {
    if (model && data) stages = hooks.stageCount?.(model, data) ?? null;
  } catch (error) {
    refuse(["model"], (error as Error).message);
  }
  if (stages !== null && partition !== undefined) {
    try {
      modules = moduleSizes(partition, stages).length;
    } catch (error) {
      refuse(["partition"], `${(error as Error).message} (${model?.name})`);
    }
  }
  const usesHeads = classifier === "detached" || (partition !== undefined && modules !== 1);
  if (usesHeads && head?.name === "none" && loss && registries.losses[loss.name]?.classifies) {
    const message = `${loss.name} needs class scores from every module, and head none gives none; use head: linear`;
    refuse(["objective", "head"], message);
  }
  return mistakes;
}
