// Settings that are right one by one but not together, and what has to be known of the things they name to see it.
import { impossibleFor, trainingShape } from "../data/augment-settings.js";
import type { Registry, RegistryEntry } from "../registry.js";
import { type Mistake, mistakeAt } from "./check.js";
import type { MeasureEntry } from "./entries.js";
import { moduleCount, moduleSizes, type Partition } from "./partition.js";
import {
  type DataSettings,
  type NamedSettings,
  type NhsicSettings,
  type ObserveSettings,
  optionsOf,
  type RetrainSettings,
  type RunSettings,
  type SampleSettings,
} from "./run-settings.js";
import { isTree, type Path } from "./tree.js";

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
  readonly optimizers: Registry;
  /** `smallestBatch`: the least images it is defined for, 2 unless said. */
  readonly measures: Registry<MeasureEntry & { readonly smallestBatch?: number }>;
}

/** What validation asks of a loss; see `LocalLoss`. */
export interface LossTraits {
  readonly classifies?: boolean;
  readonly heads?: readonly string[];
  readonly propagatesLabels?: boolean;
  views?(options: Readonly<Record<string, unknown>>): 1 | 2;
}

/** What validation asks of the things themselves. Each may answer null: not known before the work. */
export interface SettingsHooks {
  /** Stages of a backbone on this data; what it throws is reported as a mistake in `model`. */
  stageCount?(model: NamedSettings, data: DataSettings): number | null;
  /** Most images there are in each split. */
  datasetSizes?(data: DataSettings): SplitSizes | null;
  /** `[C, H, W]` of the data's images. */
  imageShape?(data: DataSettings): readonly number[] | null;
  /** Whether the model has a classifier apart from its stages; without one the last stage gives the class scores. */
  hasClassifier?(model: NamedSettings): boolean | null;
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
  readonly observe: { readonly [measure: string]: ObserveSettings } | undefined;
  readonly device: string | undefined;
}

/** @param sizes - of the data set, null where they are not known before the work */
export function impossibleTogether(
  { data, model, rule, partition, classifier, loss, head, observe, device, retrain }: ValidParts,
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
  const shape = data ? (hooks.imageShape?.(data) ?? null) : null;
  const wrong = data && shape ? impossibleFor(data.augment, shape) : null;
  if (wrong) refuse(["data", "augment", ...wrong.path], wrong.message);
  const trainedOn = data && shape ? trainingShape(data.augment, shape) : null;
  const fixed =
    rule && registries.rules[rule.name]?.oneImageSize
      ? rule
      : model && hooks.anyImageSize?.(model) === false
        ? model
        : null;
  if (fixed && shape && trainedOn && trainedOn.join() !== shape.join()) {
    const [size, own] = [trainedOn, shape].map((one) => one.slice(1).join("x"));
    const side = shape[1] === shape[2] ? `; add resizeTo: ${shape[1]}` : "";
    const message = `${fixed.name} is built for images of one size, and would be trained on ${size} and evaluated on ${own}${side}`;
    refuse(["data", "augment", "resizedCrop"], message);
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

  const train = data?.train ?? sizes?.train ?? null;
  const views = (loss && registries.losses[loss.name]?.views?.(optionsOf(registries.losses[loss.name]!, loss))) ?? 1;
  if (data && train !== null && views === 1 && (data.batch === 1 || train % data.batch === 1)) {
    if (model && hooks.needsTwoImages?.(model)) {
      const last = data.batch === 1 ? "every batch" : `the last batch of ${train} images in batches of ${data.batch}`;
      const message = `${last} holds one image, which the batch norm of ${model.name}'s linear layers cannot normalise; change data.batch`;
      refuse(["data", "batch"], message);
    }
  }
  let modules = partition === undefined ? null : moduleCount(partition);
  let stages: number | null = null;
  try {
    if (model && data) stages = hooks.stageCount?.(model, data) ?? null;
  } catch (error) {
    refuse(["model"], (error as Error).message);
  }
  if (stages !== null && retrain && retrain.frozen >= stages) {
    const message = `expected fewer than the ${stages} stages of ${model?.name}, got ${retrain.frozen}: nothing would be trained`;
    refuse(["retrain", "frozen"], message);
  } else if (stages !== null && partition !== undefined) {
    try {
      modules = moduleSizes(partition, stages, retrain?.frozen ?? 0).length;
    } catch (error) {
      refuse(["partition"], `${(error as Error).message} (${model?.name})`);
    }
  }
  const usesHeads = classifier !== "attached" || (partition !== undefined && modules !== 1);
  const heads = loss && registries.losses[loss.name]?.heads;
  if (usesHeads && loss && head && heads && !heads.includes(head.name)) {
    const scores = registries.losses[loss.name]?.classifies && head.name === "none";
    const why = scores
      ? ` needs class scores from every module, and head none gives none`
      : ` takes no head ${head.name}`;
    refuse(["objective", "head"], `${loss.name}${why}; use head: ${heads.join(" or ")}`);
  }
  return mistakes;
}

/** How its rule, its loss and the way it is scheduled go together. */
export function impossibleParts(
  { data, classifier, loss, nhsic, schedule, format, rule }: ValidParts,
  registries: SettingsRegistries,
): Mistake[] {
  const mistakes: Mistake[] = [];
  const refuse = (path: Path, message: string) => mistakes.push(mistakeAt(path, message));
  const entry = loss && registries.losses[loss.name];
  if (loss && entry?.classifies === false && classifier === "attached") {
    const message = `${loss.name} gives no class scores: the classifier learns apart from it; use detached or after`;
    refuse(["classifier"], message);
  }
  if (format && (format.epochs !== null || format.learningRate !== null) && classifier !== "after") {
    refuse(["format"], "it concerns a classifier that learns when all else is done; add classifier: after");
  }
  const { augment } = data ?? {};
  const changes = augment && {
    ...augment,
    views: null,
    jitter: augment.jitter?.probability === 0 ? null : augment.jitter,
  };
  const isAugmented = Object.values(changes ?? {}).some(Boolean);
  if (loss && data && entry?.views?.(optionsOf(entry, loss)) === 2 && !isAugmented) {
    const way = entry.options.shape.views ? ", or views: 1" : "";
    const message = `${loss.name} compares two augmented views of each image: say in data.augment how they differ${way}`;
    refuse(["objective", "loss"], message);
  }
  const wanted = (loss && entry?.views?.(optionsOf(entry, loss))) ?? 1;
  if (loss && augment && (augment.views ?? wanted) !== wanted) {
    refuse(
      ["data", "augment", "views"],
      `${loss.name} takes ${wanted} of each image, got ${augment.views}; leave it out`,
    );
  }
  const known = rule && registries.rules[rule.name]?.schedules;
  if (rule && schedule && known && !known.includes(schedule.name)) {
    refuse(["schedule"], `${rule.name} knows no ${schedule.name} schedule; use ${known.join(" or ")}`);
  } else if (schedule?.name === "asynchronous") {
    const problem = isAugmented
      ? "computes outputs once, so that images cannot be augmented"
      : entry?.propagatesLabels
        ? `computes outputs once, and ${loss?.name} sends labels along with every batch`
        : null;
    if (problem !== null) refuse(["schedule"], `asynchronous ${problem}; use sequential`);
  }
  if (nhsic && data && data.batch < 2)
    refuse(["objective", "nhsic"], `it needs batches of 2 images, got ${data.batch}`);
  return mistakes;
}

/** What stands in settings that are written out in full where nothing was given. */
const unset: Readonly<Record<string, { readonly path: Path; readonly value: unknown }>> = {
  partition: { path: ["partition"], value: 1 },
  classifier: { path: ["classifier"], value: "attached" },
  schedule: { path: ["schedule"], value: "simultaneous" },
  loss: { path: ["objective", "loss"], value: "cross-entropy" },
  head: { path: ["objective", "head"], value: "linear" },
  nhsic: { path: ["objective", "nhsic"], value: null },
};

/** Settings that were given and mean nothing to the rule. @param given - what stands at a path, null for nothing */
export function meaninglessForRule(
  rule: NamedSettings | undefined,
  registries: SettingsRegistries,
  given: (path: Path) => unknown,
): Mistake[] {
  const ignored = (rule && registries.rules[rule.name]?.ignores) ?? [];
  return ignored
    .map((key) => unset[key]!)
    .filter(({ path, value }) => {
      const found = given(path);
      return found !== null && (isTree(found) ? found.name : found) !== value;
    })
    .map(({ path }) => mistakeAt(path, `${rule?.name} does not use it; leave it out, or set it to null`, "key"));
}
