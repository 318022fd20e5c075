// What estimators of mutual information see of arrays: rows of numbers, standardised, and classes; checked once.
import {
  amax,
  amin,
  bincount,
  type DType,
  indexSelect,
  maskedFill,
  mean,
  oneHot,
  rsqrt,
  scope,
  type Tensor,
  variance,
} from "@stopgrad/torch";
import { MeasureError } from "../measure.js";

const FLOATS: readonly DType[] = ["float32", "float64"];
const INTEGERS: readonly DType[] = ["int64", "int32", "int16", "int8", "uint8"];

/**
 * Samples as rows, with mean and deviation of each feature. Mutual information does not change with scale and place of a
 * feature; estimators do, so that they see features of mean 0 and deviation 1. A feature that does not vary becomes 0.
 */
export class View {
  readonly count: number;
  readonly features: number;
  /** Whether no feature varies: then it tells nothing of anything. */
  readonly isConstant: boolean;
  /** `[N, D]`, as they came; other types than float32 and float64 as float32. */
  readonly rows: Tensor;
  readonly #centre: Tensor; // [1, D]
  readonly #scale: Tensor; // [1, D]

  /**
   * To be made in a scope. No array beside the rows is larger than `[D]`.
   * @param name - for messages
   * @param values - `[N, …]`
   * @throws MeasureError for NaN, infinity, numbers too large to be squared, or no samples
   */
  constructor(
    readonly name: string,
    values: Tensor,
  ) {
    if (values.dim === 0 || values.numel === 0) {
      throw new MeasureError(`${name}: expected samples along the first dimension, got [${values.shape.join(", ")}]`);
    }
    this.count = values.size(0);
    const rows = values.reshape([this.count, -1]);
    this.rows = FLOATS.includes(rows.dtype) ? rows : rows.to("float32");
    this.features = this.rows.size(1);
    const { centre, scale } = scope(() => this.#standard());
    this.#centre = centre;
    this.#scale = scale;
    this.isConstant = scope(() => amax(scale).item()) === 0;
  }

  #standard(): { centre: Tensor; scale: Tensor } {
    const over = { keepDim: true };
    const range = amax(this.rows, [0], over).sub(amin(this.rows, [0], over)); // NaN and infinity come through
    if (range.isfinite().all().item() === 0) {
      throw new MeasureError(
        `${this.name}: expected finite numbers, got NaN, infinity or a range beyond ${this.rows.dtype}`,
      );
    }
    const spread = variance(this.rows, [0], { ...over, unbiased: false });
    if (spread.isfinite().all().item() === 0) {
      throw new MeasureError(`${this.name}: the numbers are too large: the variance of a feature is infinite`);
    }
    const varies = range.gt(0).logicalAnd(spread.gt(0));
    return { centre: mean(this.rows, [0], over), scale: maskedFill(rsqrt(spread), varies.logicalNot(), 0) };
  }

  /** Rows `index` (int64 `[M]`), standardised: float32 `[M, D]`. */
  take(index: Tensor): Tensor {
    return scope(() => this.standard(indexSelect(this.rows, 0, index)));
  }

  /** Other rows `[M, D]`, standardised by mean and deviation of these: float32. */
  standard(rows: Tensor): Tensor {
    return scope(() => rows.sub(this.#centre).mul_(this.#scale).to("float32"));
  }

  /** All rows, standardised: float64 `[N, D]`. For few features. */
  precise(): Tensor {
    return scope(() => this.rows.to("float64").sub(this.#centre).mul_(this.#scale));
  }
}

/** Classes of samples. */
export class Classes {
  readonly name = "labels";
  /** int64 `[N]`. */
  readonly labels: Tensor;
  readonly count: number;
  /** One more than the largest label. */
  readonly classes: number;
  /** Samples of each class; 0 for a number that no sample has. */
  readonly sizes: readonly number[];
  readonly isConstant = false;

  /**
   * To be made in a scope.
   * @param labels - whole numbers `[N]` from 0
   * @throws MeasureError for another shape or type, a label below 0 or not below N, or fewer than two classes
   */
  constructor(labels: Tensor) {
    const { dtype, shape } = labels;
    if (shape.length !== 1 || shape[0] === 0 || !INTEGERS.includes(dtype)) {
      throw new MeasureError(`expected labels [N] of whole numbers, got [${shape.join(", ")}] of ${dtype}`);
    }
    this.labels = labels.to("int64");
    this.count = shape[0]!;
    const [lowest, highest] = scope(() => [amin(this.labels).item(), amax(this.labels).item()] as const);
    if (lowest < 0 || highest >= this.count) {
      throw new MeasureError(
        `expected labels numbered from 0 without gaps, so below the ${this.count} samples, got ${lowest} to ${highest}`,
      );
    }
    if (lowest === highest) throw new MeasureError("expected labels of at least two classes, got one");
    this.classes = highest + 1;
    this.sizes = scope(() => bincount(this.labels).toNumbers());
  }

  /** One-hot rows of the samples `index` (int64 `[M]`): float32 `[M, K]`. */
  take(index: Tensor): Tensor {
    return scope(() => oneHot(indexSelect(this.labels, 0, index), this.classes).to("float32"));
  }

  /** Values `take` gives for each sample. */
  get features(): number {
    return this.classes;
  }
}

/** Entropy of a distribution given by how often each outcome came, in nats: the plug-in estimate. */
export function entropyOf(counts: readonly number[]): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return counts.reduce((sum, count) => (count === 0 ? sum : sum - (count / total) * Math.log(count / total)), 0);
}
