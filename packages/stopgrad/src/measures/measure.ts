// What is observed of a representation. A measure knows nothing of training: it sees arrays.
import type { Tensor } from "@stopgrad/torch";
import type { z } from "zod";
import type { RegistryEntry } from "../registry.js";

type Options = Readonly<Record<string, unknown>>;

/** What a measure will be taken of in a run, as far as the settings tell. */
export interface ExpectedSample {
  /** Images of a batch, that a probe is fitted on, or of the whole set; null where that is not known. */
  readonly images: number | null;
  /** Numbers of one image, the input; null where that is not known. */
  readonly dimensions: number | null;
}

/** An option with a value that cannot be, and what would be right. */
export interface RefusedOption {
  readonly option: string;
  readonly message: string;
}

/** What all measures have. */
interface MeasureBase extends RegistryEntry {
  /**
   * What is wrong with its options together, told before the work; null where nothing is: what it would throw a
   * MeasureError for whatever the network gives, or an option that means nothing beside another. Such an option may have
   * its default, as in settings that are written out in full; a recorded run that has it otherwise is read as it is.
   */
  refused?(options: Options, sample: ExpectedSample): RefusedOption | null;
  /**
   * Values that options which were not given have in a run, where the usual default could not be taken of its images.
   * They are written into the run's settings.
   */
  usual?(options: Options, sample: ExpectedSample): Options;
}

/**
 * A dependence measure of two views of the same batch that splits into a factor of each: `combine(factor(x), factor(z))`.
 * The factors of the input and the label are computed once a batch and serve every stage.
 */
export interface PairMeasure extends MeasureBase {
  readonly kind: "pair";
  /** Smallest batch it is defined for. */
  readonly smallestBatch: number;
  /** `[N, …]` float → `[N, N]`. @throws MeasureError for NaN, infinity or too small a batch */
  factor(values: Tensor, options: Options): Tensor;
  /** Labels `[N]` of an integer type → `[N, N]`. @throws MeasureError for another shape or type */
  labelFactor(labels: Tensor, options: Options): Tensor;
  /** Two factors → the measure. @throws MeasureError where it is undefined */
  combine(a: Tensor, b: Tensor, options: Options): number;
  /**
   * How several batches make one estimate, where that is not the mean of their values: a ratio of means. Absent: the mean.
   * `pooledMean` in batches.ts reads it.
   */
  readonly pooled?: {
    /** What is averaged over batches; always as many numbers. Never throws. */
    terms(a: Tensor, b: Tensor, options: Options): readonly number[];
    /** The averages → the measure. @throws MeasureError where it is undefined */
    value(means: readonly number[]): number;
  };
}

/** Representations of one stage on two splits. */
export interface SplitFeatures {
  /** `[N, …]` float32. */
  train: Tensor;
  /** int64 `[N]`. */
  trainLabels: Tensor;
  /** `[M, …]` float32. */
  test: Tensor;
  /** int64 `[M]`. */
  testLabels: Tensor;
  classes: number;
}

/** What a probe found of one stage. */
export interface ProbeFit {
  /** Accuracy on the training split, in [0, 1]. */
  readonly train: number;
  /** Accuracy on the test split, in [0, 1]. */
  readonly test: number;
  /** 1 for each test sample that was classified rightly, else 0, `[M]`; its mean is `test`: for intervals and pairs. */
  readonly testCorrect: Uint8Array;
  /** −ln p(label) in nats, its mean over the test samples and its terms; of probes that give probabilities. */
  readonly testCrossEntropy?: Finding;
  /** How the fit ended, of a probe whose solver stops by a convergence test. */
  readonly solver?: { readonly iterations: number; readonly largestGradient: number; readonly converged: boolean };
}

/** A measure that fits something on a stage's training representations and scores it on both splits. */
export interface ProbeMeasure extends MeasureBase {
  readonly kind: "probe";
  /** It takes no mini-batch settings. */
  readonly sampled: false;
  /** Before `Train` and `Test` in the keys of what it finds: `probe` gives `probeTrain` and `probeTest`. */
  readonly key: string;
  /** Training images it looks at; null for all. */
  trainingImages(options: Options): number | null;
  /** What is kept of a stage's output `[N, …]` for the fit: fewer features, float32 `[N, D]`. */
  reduce(output: Tensor): Tensor;
  /**
   * Fits on the training split, scores both. Deterministic: what it draws, it draws from the options' seed.
   * @param breathe - called every now and then; what it throws ends the fit
   * @throws MeasureError for NaN or infinity, other shapes, labels out of range or fewer than two training classes
   */
  fit(features: SplitFeatures, options: Options, breathe?: () => void): ProbeFit;
}

/** What a streamed measure looks at, and how often. */
export interface StreamPlan {
  /** All stages; those in which the rule's modules end; or those in which this many equal modules would end. */
  readonly stages: "all" | "ends" | number;
  /** Passes over the training images. */
  readonly epochs: number;
  /** Images used of each split, or as many as there are; null: all. */
  readonly train: number | null;
  readonly test: number | null;
  readonly batch: number;
}

/** A stage as a streamed measure sees it. */
export interface StreamedStage {
  /** Of its output, without the batch: `[C, H, W]`, `[T, D]` or `[D]`. */
  readonly shape: readonly number[];
  /** Of the last map in the backbone; undefined where there is none. */
  readonly final: readonly number[] | undefined;
  /** `[C, H, W]` of the images. */
  readonly image: readonly number[];
  readonly classes: number;
  readonly device: string;
}

/** A batch of images, and what a stage makes of them. */
export interface StreamedBatch {
  /** `[N, …shape]` float32, without a gradient. */
  readonly output: Tensor;
  /** `[N, C, H, W]` in [0, 1]. */
  readonly pixels: Tensor;
  /** int64 `[N]`. */
  readonly labels: Tensor;
}

/** Small networks in training on one stage's representations. */
export interface StreamedFit {
  /**
   * One step.
   * @param done - the part of all steps that is over, 0 at the first
   * @throws MeasureError for NaN or infinity
   */
  learn(batch: StreamedBatch, done: number): void;
  /** Takes a batch of test images into account. @throws MeasureError for NaN or infinity */
  score(batch: StreamedBatch): void;
  /** What was found on all test images: a number for each of the measure's keys. */
  result(): Readonly<Record<string, number>>;
  dispose(): void;
}

/**
 * A measure that trains small networks on stages' representations while batches of images pass through the network, so
 * that no representation is kept: maps of many images are larger than what trains on them.
 */
export interface StreamedMeasure extends MeasureBase {
  readonly kind: "streamed";
  /** It takes no mini-batch settings of measures that are means over batches. */
  readonly sampled: false;
  /** What it finds of a stage. */
  readonly keys: readonly string[];
  plan(options: Options): StreamPlan;
  begin(stage: StreamedStage, options: Options): StreamedFit;
}

/** One stage's representation of a set of samples, and what they are. */
export interface Sample {
  /** `[N, …]` of a floating type. */
  readonly z: Tensor;
  /** The input, `[N, …]`; null where none was given. */
  readonly x: Tensor | null;
  /** Classes, int64 `[N]`, numbered from 0 without gaps; null where none were given. */
  readonly labels: Tensor | null;
}

/** One number that a measure found. */
export interface Finding {
  readonly value: number;
  /** A term of each sample, where the value is their mean: they give a bootstrap interval. */
  readonly terms?: Float64Array;
}

/** What a measure finds under one name. */
export interface FindingKey {
  /** In tables and as a metric's key: `effectiveRank`. */
  readonly key: string;
  /** In words, with the unit: `effective rank of the features`. */
  readonly title: string;
}

/** A measure of a whole set of samples at once: no mean over mini-batches, nothing trained. */
export interface SampleMeasure extends MeasureBase {
  readonly kind: "sample";
  /** It takes no mini-batch settings. */
  readonly sampled: false;
  /** What it cannot do without, beside the representation. */
  readonly needs: readonly ("x" | "labels")[];
  /** Fewest samples it is defined for. */
  readonly smallestSample: number;
  /** What it finds, in this order. */
  readonly keys: readonly FindingKey[];
  /**
   * A finding for each key; NaN as the value where it is undefined (no sample has a partner, no variance to divide by).
   * Deterministic: what it draws, it draws from the options' seed.
   * @throws MeasureError for NaN, infinity, too few samples or classes, or a sample without what it needs
   */
  measure(sample: Sample, options: Options): Readonly<Record<string, Finding>>;
}

export type Measure = PairMeasure | ProbeMeasure | StreamedMeasure | SampleMeasure;

/** A measure cannot be computed from what was given. The message says what was expected and what came. */
export class MeasureError extends Error {
  override readonly name = "MeasureError";
}

/** Options with the defaults of those that are not given. @throws MeasureError naming the first that is wrong or unknown */
export function parsedOptions<S extends z.ZodObject>(schema: S, given: Options): z.output<S> {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  const words = message
    .replace(/^(Too small|Too big|Invalid input|Invalid option): /, "")
    .replace(/, received .*$/, "")
    .replace(/^expected number$/, "expected a finite number")
    .replace(/^U/, "u");
  const [option] = path;
  throw new MeasureError(
    option === undefined ? words : `${String(option)}: ${words}, got ${String(given[String(option)])}`,
  );
}

/** @throws MeasureError for options that a measure refuses whatever it is taken of */
export function requireUsable({ refused }: Pick<MeasureBase, "refused">, options: Options): void {
  const found = refused?.(options, { images: null, dimensions: null });
  if (found) throw new MeasureError(`${found.option}: ${found.message}`);
}
