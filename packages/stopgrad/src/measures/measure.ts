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
  /** int64 labels `[N]` → `[N, N]`. */
  labelFactor(labels: Tensor, options: Options): Tensor;
  /** Two factors → the measure. */
  combine(a: Tensor, b: Tensor, options: Options): number;
}

/** A measure cannot be computed from what was given. The message says what was expected and what came. */
export class MeasureError extends Error {
  override readonly name = "MeasureError";
}
