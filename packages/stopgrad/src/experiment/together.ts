// Settings that are right one by one but not together, and what has to be known of the things they name to see it.
import type { z } from "zod";
import { selectionOptions } from "../contexts/selection.js";
import { impossibleFor, trainingShape } from "../data/augment-settings.js";
import type { ExpectedSample, RefusedOption } from "../measures/index.js";
import type { Registry, RegistryEntry } from "../registry.js";
import { type Mistake, mistakeAt } from "./check.js";
import type { MeasureEntry } from "./entries.js";
import {
  contextWithoutMaps,
  decoderWithoutMaps,
  idleModule,
  type ModuleEnds,
  moduleEnds,
  type PartlyMaps,
} from "./module-ends.js";
import { moduleCount, type Partition, requireModules } from "./partition.js";
import { refusedSchedule } from "./rate-schedule.js";
import { chosenWeights, missingWeights, publishedFor, type WrittenReconstruction } from "./reconstruction.js";
import {
  type ContextSettings,
  type DataSettings,
  DEFAULT_IMAGES,
  type ImagesSettings,
  type NamedSettings,
  type NhsicSettings,
  type ObserveSettings,
  type OptimizerSettings,
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

/** @param sizes - of the data set, null where they are not known before the work */
export function impossibleTogether(
  parts: ValidParts,
  sizes: SplitSizes | null,
  registries: SettingsRegistries,
  hooks: SettingsHooks,
): Mistake[] {
  const { data, model, rule, partition, classifier, loss, head, observe, device, retrain, match } = parts;
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
    const entry = registries.measures[measure];
    const problem = entry && impossibleMeasure(entry, settings, data, shape);
    if (problem) refuse(["observe", measure, ...problem.path], problem.message);
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
  let layout: ModuleEnds | null = null;
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
      const frozen = retrain?.frozen ?? 0;
      requireModules(partition, stages, frozen);
      modules = moduleCount(partition) ?? stages - frozen;
      if (loss && classifier) {
        const hasClassifier = hooks.hasClassifier?.(model!) ?? true;
        const classifies = registries.losses[loss.name]?.classifies ?? true;
        layout = moduleEnds({ partition, stages, frozen, hasClassifier, classifier, classifies });
      }
    } catch (error) {
      refuse(["partition"], `${(error as Error).message} (${model?.name})`);
    }
  }
  if (rule?.name === "partitioned") {
    const network =
      model && stages !== null
        ? { model: model.name, stages, frozen: retrain?.frozen ?? 0, maps: hooks.mapStages?.(model) ?? stages }
        : null;
    mistakes.push(...impossibleModules(parts, modules, layout, network));
  }
  mistakes.push(...beyondWhatThereIs(parts, train, stages, registries));
  if (parts.parallel) {
    const problem = impossibleParallel(parts, layout?.count ?? modules, registries);
    if (problem) refuse(["parallel", ...problem.path], problem.message);
  }
  if (match && model && !("width" in (registries.models[model.name]?.options.shape ?? {}))) {
    refuse(["match"], `${model.name} has no width that could be changed`);
  }
  if (loss && classifier === "attached" && modules === 1 && registries.losses[loss.name]?.classifies === false) {
    const message = `the only module would learn from the classifier alone and not from ${loss.name}; use detached or after`;
    refuse(["classifier"], message);
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

/**
 * What a measure cannot be taken of.
 * @param shape - `[C, H, W]` of the images; null where it is not known
 */
function impossibleMeasure(
  entry: MeasureEntry & MeasureTraits,
  settings: ObserveSettings,
  data: DataSettings | undefined,
  shape: readonly number[] | null,
): { path: Path; message: string } | null {
  const { images, problem } = measuredImages(entry, settings, data);
  if (problem) return problem;
  const dimensions = shape?.reduce((product, size) => product * size, 1) ?? null;
  const refused = entry.refused?.(optionsOf(entry, settings), { images, dimensions });
  return refused ? { path: [refused.option], message: refused.message } : null;
}

/** How many images a measure is taken of, as its `refused` is told; and why it cannot be taken of so many. */
function measuredImages(
  entry: MeasureEntry & MeasureTraits,
  settings: ObserveSettings,
  data: DataSettings | undefined,
): { images: number | null; problem?: { path: Path; message: string } } {
  if (entry.kind === "sample") {
    const { images: asked, split } = settings as unknown as ImagesSettings;
    const least = entry.smallestSample ?? 2;
    const held = data?.[split] ?? null;
    const images = asked ?? (held === null ? null : Math.min(DEFAULT_IMAGES, held));
    const message =
      held !== null && (images ?? 0) > held
        ? `${images} images are asked for, data.${split} is ${held}`
        : images !== null && images < least
          ? `expected at least ${least} images, got ${images}`
          : null;
    return message === null ? { images } : { images, problem: { path: ["images"], message } };
  }
  if (entry.kind === "probe") {
    const asked = typeof settings.train === "number" ? settings.train : Number.POSITIVE_INFINITY;
    const images = Math.min(asked, data?.train ?? Number.POSITIVE_INFINITY);
    if (images >= 2) return { images: Number.isFinite(images) ? images : null };
    const message = `expected at least 2 training images, of two classes, got ${images}`;
    return { images, problem: { path: ["train"], message } };
  }
  if (entry.sampled === false) return { images: null };
  const { batch, batches, split } = settings as unknown as SampleSettings;
  const least = entry.smallestBatch ?? 2;
  if (batch < least) {
    const message = `expected at least ${least} images a batch, got ${batch}`;
    return { images: batch, problem: { path: ["batch"], message } };
  }
  const held = data?.[split] ?? null;
  const needed = batch * (batches ?? 1);
  if (held === null || needed <= held) return { images: batch };
  const need =
    batches === null
      ? `a batch of ${batch} needs ${batch} images`
      : `${batches} batches of ${batch} need ${needed} images`;
  const key = batch > held ? "batch" : "batches";
  return { images: batch, problem: { path: [key], message: `${need}, data.${split} is ${held}` } };
}

/**
 * What modules cannot be given where they lie.
 * @param modules - K; null where it is not known
 * @param layout - where they end; null where that is not known
 */
function impossibleModules(
  { context, partition, reconstruction, model, data, gradientCheckpointing }: ValidParts,
  modules: number | null,
  layout: ModuleEnds | null,
  network: PartlyMaps | null,
): Mistake[] {
  const mistakes: Mistake[] = [];
  const refuse = (path: Path, message: string) => mistakes.push(mistakeAt(path, message));
  if (context && (layout?.count ?? modules) === 1) {
    refuse(["context"], "there is one module, which has none before it; cut the network, or use context: none");
  } else if (context) {
    const problem = network && layout && contextWithoutMaps(network, layout);
    if (problem !== null) refuse(["context"], problem);
    if (modules !== null && context.previousModules > modules) {
      const message = `expected at most the ${modules} modules there are, got ${context.previousModules}`;
      refuse(["context", "previousModules"], message);
    }
  }
  if (reconstruction && layout && model && data && partition !== undefined) {
    const weights = chosenWeights(reconstruction, publishedFor(model, data, partition));
    const at = ["objective", "reconstruction"];
    const problem = weights && network && decoderWithoutMaps(network, layout, weights);
    if (problem !== null) refuse(at, problem);
    const idle = weights && idleModule(weights, layout.local);
    if (idle !== null) {
      const where = reconstruction.weights === "published" ? at : [...at, "weights", idle === 0 ? "first" : "last"];
      const message = `both weights are 0 for module ${idle + 1} of ${layout.count}, which would learn nothing; give it a reconstruction or a label above 0`;
      refuse(where, message);
    }
  }
  if (network && typeof gradientCheckpointing === "number") {
    const { stages, frozen } = network;
    const most = stages - frozen;
    const there = `the ${most} stages of ${network.model}${frozen > 0 ? " that are trained" : ""}`;
    if (gradientCheckpointing > most) {
      refuse(["gradientCheckpointing"], `expected at most ${there}, got ${gradientCheckpointing}`);
    }
  }
  return mistakes;
}

/**
 * What is asked for beyond what there is.
 * @param images - of the training set; null where that is not known
 * @param stages - of the model
 */
function beyondWhatThereIs(
  { observe, context, model }: ValidParts,
  images: number | null,
  stages: number | null,
  registries: SettingsRegistries,
): Mistake[] {
  const mistakes: Mistake[] = [];
  /** The default is for data sets of any size, and is cut. */
  const refuseImages = (path: Path, asked: unknown, option: z.ZodType | undefined) => {
    if (typeof asked !== "number" || images === null || asked <= images) return;
    if (option?.safeParse(undefined).data === asked) return;
    mistakes.push(mistakeAt(path, `expected at most the ${images} training images there are, got ${asked}`));
  };
  for (const [measure, settings] of Object.entries(observe ?? {})) {
    const options = registries.measures[measure]?.options.shape;
    refuseImages(["observe", measure, "train"], settings.train, options?.train);
    if (typeof settings.stages === "number" && stages !== null && settings.stages > stages) {
      const message = `expected at most the ${stages} stages of ${model?.name}, got ${settings.stages}`;
      mistakes.push(mistakeAt(["observe", measure, "stages"], message));
    }
  }
  const asked = context?.selection?.images;
  refuseImages(["context", "selection", "images"], asked, selectionOptions.shape.images);
  return mistakes;
}

/** How its rule, its loss and the way it is scheduled go together. */
export function impossibleParts(parts: ValidParts, registries: SettingsRegistries): Mistake[] {
  const { data, model, partition, classifier, loss, nhsic, schedule, format, rule, context, reconstruction } = parts;
  const mistakes: Mistake[] = [];
  const refuse = (path: Path, message: string) => mistakes.push(mistakeAt(path, message));
  const entry = loss && registries.losses[loss.name];
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
  if (context) {
    const problem = impossibleContext(parts, wanted, entry);
    if (problem) refuse(problem.path, problem.message);
  }
  if (parts.match && rule?.name === "partitioned") {
    const problem =
      context === null
        ? "it widens the network to the cost of its context; say which context"
        : context?.selection
          ? "it widens the network to the cost of the whole context, and a selection takes parts of it away; leave out context.selection"
          : null;
    if (problem !== null) refuse(["match"], problem);
  }
  if (entry?.propagatesLabels && parts.gradientCheckpointing && rule?.name === "partitioned") {
    const message = `${loss?.name} sends labels through the modules beside the images, which are not computed again; leave it out`;
    refuse(["gradientCheckpointing"], message);
  }
  if (reconstruction && model && data && partition !== undefined) {
    const missing = missingWeights(reconstruction, publishedFor(model, data, partition));
    if (missing !== null) refuse(["objective", "reconstruction"], missing);
  }
  const unscheduled = impossibleRate(parts);
  if (unscheduled !== null) refuse(["optimizer", "schedule"], unscheduled);
  if (nhsic && data && data.batch < 2)
    refuse(["objective", "nhsic"], `it needs batches of 2 images, got ${data.batch}`);
  return mistakes;
}

/** @param views - of each image that the loss compares */
function impossibleContext(
  { context, loss, schedule, retrain, epochs, rule }: ValidParts,
  views: number,
  entry: LossTraits | undefined,
): { path: Path; message: string } | null {
  if (rule && rule.name !== "partitioned") return null; // said elsewhere
  if (entry?.propagatesLabels) {
    return {
      path: ["context"],
      message: `${loss?.name} sends labels through the modules, for which there is no context`,
    };
  }
  if (schedule?.name === "asynchronous") {
    const message =
      "asynchronous keeps what the module before gives, and not what else a context needs; use sequential";
    return { path: ["schedule"], message };
  }
  if (retrain) {
    return { path: ["context"], message: "weights of stages alone are taken over, not of contexts; leave out retrain" };
  }
  const { selection } = context!;
  if (selection && views > 1) {
    const message = `it asks for the loss of plain images, and ${loss?.name} compares ${views} augmented views`;
    return { path: ["context", "selection"], message };
  }
  if (selection && epochs !== undefined && selection.after > epochs) {
    const message = `expected at most the ${epochs} epochs of training, got ${selection.after}`;
    return { path: ["context", "selection", "after"], message };
  }
  return null;
}

/**
 * What keeps modules from learning beside each other.
 * @param modules - how many there are; null where that is not known before the work
 */
function impossibleParallel(
  { parallel, rule, schedule, classifier, loss, context, model, device }: ValidParts,
  modules: number | null,
  registries: SettingsRegistries,
): { path: Path; message: string } | null {
  if (rule && rule.name !== "partitioned") return null; // said elsewhere
  const whole = (message: string) => ({ path: [], message });
  if (modules === 1) return whole("there is one module, and nothing that could learn beside it; cut the network");
  if (schedule && schedule.name !== "simultaneous") {
    return whole(`a ${schedule.name} schedule trains one module at a time; use simultaneous`);
  }
  if (loss && registries.losses[loss.name]?.propagatesLabels) {
    return whole(`${loss.name} sends labels through the modules, which ties them together`);
  }
  if (classifier === "after") {
    return whole("a classifier that learns after all else has nothing beside it; use attached or detached");
  }
  if (context?.selection) return whole("a selection takes context paths out of use for all modules at once");
  if (typeof model?.dropout === "number" && model.dropout > 0) {
    return whole("masks of dropout are drawn for one module after the other; use dropout: 0");
  }
  if (device?.startsWith("cuda")) return whole(`modules on ${device} would wait for each other; use cpu`);
  const { workers } = parallel!;
  if (workers === null || modules === null || workers <= modules) return null;
  return { path: ["workers"], message: `expected at most one for each of the ${modules} modules, got ${workers}` };
}

/** Why the learning rate cannot be scheduled so in one of the run's phases; null where it can. */
function impossibleRate({ optimizer, epochs, format, classifier }: ValidParts): string | null {
  if (!optimizer || epochs === undefined) return null;
  const { schedule, learningRate } = optimizer;
  const phases = [{ base: learningRate, epochs }];
  if (format && classifier === "after") {
    phases.push({ base: format.learningRate ?? learningRate, epochs: format.epochs ?? epochs });
  }
  return phases.map((phase) => refusedSchedule(schedule, phase)).find((message) => message !== null) ?? null;
}

/** What stands in settings that are written out in full where nothing was given. */
const unset: Readonly<Record<string, { readonly path: Path; readonly value: unknown }>> = {
  partition: { path: ["partition"], value: 1 },
  classifier: { path: ["classifier"], value: "attached" },
  schedule: { path: ["schedule"], value: "simultaneous" },
  loss: { path: ["objective", "loss"], value: "cross-entropy" },
  head: { path: ["objective", "head"], value: "linear" },
  nhsic: { path: ["objective", "nhsic"], value: null },
  reconstruction: { path: ["objective", "reconstruction"], value: null },
  context: { path: ["context"], value: null },
  match: { path: ["match"], value: null },
  gradientCheckpointing: { path: ["gradientCheckpointing"], value: false },
  parallel: { path: ["parallel"], value: false },
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
