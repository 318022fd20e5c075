// What is observed of a representation. A measure knows nothing of training: it sees arrays.
import type { Tensor } from "@stopgrad/torch";
import type { RegistryEntry } from "../registry.js";

type Options = Readonly<Record<string, unknown>>;

/**
 * A dependence measure of two views of the same batch that splits into a factor of each: `combine(factor(x), factor(z))`.
 * The factors of the input and the label are computed once a batch and serve every stage.
 */
export interface PairMeasure extends RegistryEntry {
  readonly kind: "pair";
  /** Smallest batch it is defined for. */
  readonly smallestBatch: number;
  /** `[N, …]` float → `[N, N]`. @throws MeasureError for NaN, infinity or too small a batch */
  factor(values: Tensor, options: Options): Tensor;
  /** Labels `[N]` of an integer type → `[N, N]`. @throws MeasureError for another shape or type */
  labelFactor(labels: Tensor, options: Options): Tensor;
  /** Two factors → the measure. */
  combine(a: Tensor, b: Tensor, options: Options): number;
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

/** A measure that fits something on a stage's training representations and scores it on both splits. */
export interface ProbeMeasure extends RegistryEntry {
  readonly kind: "probe";
  /** It takes no mini-batch settings. */
  readonly sampled: false;
  /** Training images it looks at; null for all. */
  trainingImages(options: Options): number | null;
  /** What is kept of a stage's output `[N, …]` for the fit: fewer features, float32 `[N, D]`. */
  reduce(output: Tensor): Tensor;
  /**
   * Accuracies in [0, 1].
   * @param breathe - called every now and then; what it throws ends the fit
   * @throws MeasureError for NaN or fewer than two classes
   */
  fit(features: SplitFeatures, options: Options, breathe?: () => void): { train: number; test: number };
}

export type Measure = PairMeasure | ProbeMeasure;

/** A measure cannot be computed from what was given. The message says what was expected and what came. */
export class MeasureError extends Error {
  override readonly name = "MeasureError";
}
