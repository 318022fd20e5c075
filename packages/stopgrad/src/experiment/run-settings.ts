// The settings of one run, every default filled in: what an experiment file becomes, what the trainer is given and
// what the store keeps. Beside the types, the schemas of everything that is the same for every registry entry.
import { z } from "zod";
import { selectionOptions } from "../contexts/selection.js";
import { type AugmentSettings, augmentSettings } from "../data/augment-settings.js";
import type { RegistryEntry } from "../registry.js";
import type { Partition } from "./partition.js";
import { type RateSchedule, rateScheduleSchema } from "./rate-schedule.js";

/** A registry entry by name, and its options as its own schema returns them. */
export interface NamedSettings {
  readonly name: string;
  readonly [option: string]: unknown;
}

export interface DataSettings extends NamedSettings {
  /** Images used of each split, class-balanced; null: all there are, however many that turns out to be. */
  readonly train: number | null;
  readonly test: number | null;
  readonly batch: number;
  readonly evaluationBatch: number;
  readonly augment: AugmentSettings;
}

export interface OptimizerSettings extends NamedSettings {
  readonly learningRate: number;
  readonly weightDecay: number;
  /** How the rate changes over the epochs of a phase; null: constant. */
  readonly schedule: RateSchedule | null;
}

/** When a measure is taken and on what, and its own options. Either `every` or `at` is set, never both. */
export interface ObserveSettings {
  /** At initialisation and after every so many epochs. */
  readonly every?: number;
  /** After the last epoch only. */
  readonly at?: "end";
  /** Also at logarithmically spaced steps of the first epoch. */
  readonly firstEpoch: boolean;
  readonly [option: string]: unknown;
}

/** Settings of a measure that is a mean over the first `batches` mini-batches of `batch` images of a split. */
export interface SampleSettings {
  readonly split: "test" | "train";
  readonly batch: number;
  /** Null only in the file: 8, or as many as the split holds. */
  readonly batches: number | null;
}

/** Settings of a measure of the first `images` images of a split, all at once. */
export interface ImagesSettings {
  readonly split: "test" | "train";
  /** Null only in the file: 1000, or as many as the split holds. */
  readonly images: number | null;
}

/** The term of arXiv 2402.09050, eq. 11. */
export interface NhsicSettings {
  readonly weight: number;
  readonly with: "input" | "module-input";
  /** What of the module: its output, or its head's (as in the released code). */
  readonly of: "output" | "head";
  readonly sigma: number;
  readonly epsilon: number;
}

/** What each module but the first is given beside the module before it (arXiv 2312.07636). */
export interface ContextSettings {
  readonly fromInput: boolean;
  readonly previousModules: number;
  readonly fusion: NamedSettings;
  /** Null: every path stays in use. */
  readonly selection: { readonly tolerance: number; readonly after: number; readonly images: number } | null;
  /** Compute a path's activations again for its backward pass instead of storing them. */
  readonly recompute: boolean;
}

/** Weights of a decoder's error and of the label in modules' losses (arXiv 2101.10832). */
export interface ReconstructionSettings {
  readonly first: { readonly reconstruction: number; readonly label: number };
  readonly last: { readonly reconstruction: number; readonly label: number };
}

/** A network whose lower stages were trained by another run and stay as they are (arXiv 2402.09050, table 2). */
export interface RetrainSettings {
  /** A variant of the same file (the run of the same seed), another run's id, or a checkpoint file. */
  readonly from: string;
  /** Stages, counted from the first, that are taken over and not trained. */
  readonly frozen: number;
  /** The stages above: drawn anew, or taken over and trained on. */
  readonly init: "fresh" | "keep";
}

/** Modules learn beside each other, in worker processes; null workers: as many as there are processors for. */
export interface ParallelSettings {
  readonly workers: number | null;
}

/** When a checkpoint is written, beside the one at the end. Any of them decides; the result does not depend on it. */
export interface CheckpointSettings {
  /** After every so many epochs. */
  readonly every: number;
  /** After every so many optimizer steps of the run; null: not by steps. */
  readonly everySteps: number | null;
  /** When the last one is so many seconds old: at most these are lost when a run is killed. Null: not by time. */
  readonly everySeconds: number | null;
  /**
   * Epochs whose weights stay for measures, 0 for those before the first: none beside the newest checkpoints (`last`), all,
   * or these. Absent in old runs, which kept the last.
   */
  readonly keep?: "last" | "all" | readonly number[];
}

/** One run: one variant of an experiment, one seed. */
export interface RunSettings {
  readonly name: string;
  readonly variant: string;
  readonly seed: number;
  readonly data: DataSettings;
  readonly model: NamedSettings;
  readonly rule: NamedSettings;
  readonly partition: Partition;
  /** In what order modules learn, with `statistics` where some are frozen meanwhile. */
  readonly schedule: NamedSettings;
  /**
   * The network's own classifier: `attached`, it trains the last module with it (greedy block-wise learning, end to
   * end); `detached`, every module has a head and the classifier learns beside them on the last stage's output
   * without a gradient into it (layer-wise learning of arXiv 2402.09050); `after`, it learns so when all else is done
   * ("format training", arXiv 1908.01580).
   */
  readonly classifier: "attached" | "detached" | "after";
  /** Of a classifier that learns after all else: epochs (null: `epochs`) and rate (null: the optimizer's). */
  readonly format: { readonly epochs: number | null; readonly learningRate: number | null };
  readonly objective: {
    readonly loss: NamedSettings;
    readonly head: NamedSettings;
    /** −weight · nHSIC of each module's output with the network's input, or with the module's; null: no such term. */
    readonly nhsic: NhsicSettings | null;
    /** A decoder at each module with a local loss, weights from the first to the last of them; null: none. */
    readonly reconstruction: ReconstructionSettings | null;
  };
  readonly context: ContextSettings | null;
  /** Segments of each module of which one has its activations in memory at a time; null: all are stored. */
  readonly gradientCheckpointing: number | "square-root" | null;
  /** `inference`: instead of getting its context, the network is widened until it costs as many multiply-adds there. */
  readonly match: "inference" | null;
  /** Weights of the lower stages, from another run; null: all are drawn. */
  readonly retrain: RetrainSettings | null;
  readonly optimizer: OptimizerSettings;
  readonly epochs: number;
  /** Measure → when, and its options. */
  readonly observe: { readonly [measure: string]: ObserveSettings };
  /** `bfloat16`: forward passes in 16 bits where it is safe; parameters, gradients and losses stay float32. */
  readonly precision: "float32" | "bfloat16";
  readonly device: string;
  /** Of tensor operations. Their number decides how sums are rounded, so it is a setting and not the machine's choice. */
  readonly threads: number;
  /** Absent or null: one module after the other. The result does not depend on it. */
  readonly parallel?: ParallelSettings | null;
  readonly checkpoint: CheckpointSettings;
}

const positive = z.int().positive();

/** What stands at the top level beside the sections below. `name` and `seeds` are no part of a variant's identity. */
export const plainSettings = z.object({
  name: z.string().trim().min(1).max(100).meta({ expected: "a text of 1 to 100 characters" }).optional(),
  epochs: positive,
  seeds: z
    .array(z.int().nonnegative())
    .min(1)
    .superRefine((seeds, context) => {
      for (const [i, seed] of seeds.entries()) {
        const message = `seed ${seed} stands twice; each seed can stand only once`;
        if (seeds.indexOf(seed) < i) context.addIssue({ code: "custom", path: [i], message });
      }
    })
    .default([1]),
  classifier: z.enum(["attached", "detached", "after"]).optional(),
  format: z
    .object({
      epochs: positive.nullable().default(null),
      learningRate: z.number().positive().nullable().default(null),
    })
    .prefault({}),
  retrain: z
    .object({
      from: z.string().trim().min(1).meta({ expected: "a variant of this file, a run's id or a checkpoint file" }),
      frozen: positive,
      init: z.enum(["fresh", "keep"]).default("fresh"),
    })
    .nullable()
    .default(null),
  gradientCheckpointing: z
    .union([z.boolean(), positive])
    .nullable()
    .default(null)
    .transform((value) => (value === true ? "square-root" : value || null)),
  match: z.enum(["inference"]).nullable().default(null),
  precision: z.enum(["float32", "bfloat16"]).default("float32"),
  device: z
    .string()
    .regex(/^(cpu|cuda(:\d+)?)$/)
    .meta({ expected: "cpu, cuda or cuda:1" })
    .default("cpu"),
  threads: positive.default(1),
  parallel: z
    .union([z.literal("modules"), z.boolean(), z.object({ workers: positive.nullable().default(null) })])
    .nullable()
    .transform((value) => (typeof value === "object" ? value : value === false ? null : { workers: null }))
    .optional()
    .meta({ expected: "modules, or a map such as { workers: 2 }" }),
  checkpoint: z
    .object({
      every: positive.default(1),
      everySteps: positive.nullable().default(null),
      everySeconds: z.number().positive().nullable().default(60),
      keep: z
        .union([z.enum(["last", "all"]), z.array(z.int().nonnegative()).min(1)])
        .default("last")
        .meta({ expected: "last, all, or epochs such as [1, 5, 20]" }),
    })
    .prefault({}),
});

export const dataCommon = z.object({
  train: positive.nullable().default(null),
  test: positive.nullable().default(null),
  batch: positive.default(128),
  evaluationBatch: positive.optional(),
  augment: augmentSettings.prefault({}),
});

/** Default rate: papers.md 14.1 (arXiv 2402.09050, released configuration). */
export const optimizerCommon = z.object({
  learningRate: z.number().positive().default(5e-4),
  weightDecay: z.number().nonnegative().default(0),
  schedule: rateScheduleSchema.nullable().default(null),
});

export const observeCommon = z.object({
  every: positive.optional(),
  at: z.literal("end").optional(),
  firstEpoch: z.boolean().default(false),
});

/** What a measure that is a mean over mini-batches takes too. */
export const sampleCommon = z.object({
  split: z.enum(["test", "train"]).default("test"),
  batch: positive.default(128),
  batches: positive.nullable().default(null),
});

/** Mini-batches a measure is averaged over unless said, or as many as the split holds. */
export const DEFAULT_BATCHES = 8;

/** What a measure of a whole set of images takes too. Such measures are slow: at the end, unless `every` says otherwise. */
export const imagesCommon = z.object({
  at: z.literal("end").default("end"),
  split: z.enum(["test", "train"]).default("test"),
  images: positive.nullable().default(null),
});

/** Images such a measure is taken on unless said, or as many as the split holds. */
export const DEFAULT_IMAGES = 1000;

/** `objective.nhsic`; width and ridge as the measure's. */
export const nhsicSchema = z.object({
  weight: z.number().nonnegative(),
  with: z.enum(["input", "module-input"]).default("input"),
  of: z.enum(["output", "head"]).default("output"),
  sigma: z.number().positive().default(5),
  epsilon: z.number().positive().default(1e-5),
});

/** `context`, beside its fusion. */
export const contextSchema = z.object({
  fromInput: z.boolean().default(false),
  previousModules: z.int().nonnegative().default(0),
  selection: selectionOptions.nullable().default(null),
  recompute: z.boolean().default(true),
});

const lossWeights = z.object({ reconstruction: z.number().nonnegative(), label: z.number().nonnegative() });

/** `objective.reconstruction`. */
export const reconstructionSchema = z.object({
  decoder: z.boolean().default(true),
  weights: z
    .union([z.literal("published"), z.object({ first: lossWeights, last: lossWeights.optional() })])
    .meta({ expected: "published, or { first: { reconstruction, label }, last: { reconstruction, label } }" })
    .default("published"),
  /** Whose weights where the two papers' code differs. */
  source: z.enum(["infopro", "context-supply"]).default("infopro"),
});

export const nothingCommon = z.object({});

/**
 * The options that belong to a registry entry itself, out of settings that hold the common ones too: what the
 * entry's own schema parses and its functions take.
 */
export function optionsOf(
  entry: RegistryEntry,
  settings: { readonly [key: string]: unknown },
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(settings).filter(([key]) => Object.hasOwn(entry.options.shape, key)));
}
