// The classes of a sample, and the population in which all weigh the same.
//
// A sample rarely has as many images of each class. Lemma 1 of arXiv 2402.09050 and the simplex of neural collapse speak
// of balanced classes, so that measures that need it give sample i of class c the weight w_i = 1 / (C N_c): each class
// weighs 1/C, and for equal class sizes every sample 1/N. What holds of a balanced population then holds exactly.
import { type DType, oneHot, scope, type Tensor, unique } from "@stopgrad/torch";
import { MeasureError } from "../measure.js";

const INTEGERS: readonly DType[] = ["int64", "int32", "int16", "int8", "uint8"];

export interface Classes {
  /** C, those that occur. */
  readonly count: number;
  /** The class of each sample, 0 … C − 1 in the order of the labels, int64 `[N]`. */
  readonly labels: Tensor;
  /** N_c of each class, float64 `[C]`. */
  readonly sizes: Tensor;
  /** 1 where sample i is of class c, float64 `[N, C]`. */
  readonly members: Tensor;
  /** N w_i, float64 `[N]`: their mean is 1, so that the mean of N w_i t_i is the population's mean of t. */
  readonly weights: Tensor;
  /** N_c of each sample's class, as numbers. */
  readonly companions: readonly number[];
}

/**
 * @param labels - whole numbers of at least 0, `[N]`, of an integer type; numbers that do not occur are no classes
 * @param count - N
 * @throws MeasureError for no labels, another shape or type, a negative label, or fewer than two classes
 */
export function classesOf(labels: Tensor | null, count: number): Classes {
  if (!labels) throw new MeasureError("expected labels beside the representation, got none");
  const { dtype, shape } = labels;
  if (shape.length !== 1 || !INTEGERS.includes(dtype)) {
    throw new MeasureError(`expected labels [N] of whole numbers, got [${shape.join(", ")}] of ${dtype}`);
  }
  if (shape[0] !== count) {
    throw new MeasureError(`expected a label for each of ${count} samples, got ${shape[0]}`);
  }
  return scope(() => {
    const [values, places, counts] = unique(labels);
    const smallest = values.amin().item();
    if (smallest < 0) throw new MeasureError(`expected labels of at least 0, got ${smallest}`);
    const classes = values.size(0);
    if (classes < 2) throw new MeasureError(`expected labels of at least two classes, got one`);
    const sizes = counts.to("float64");
    const companions = sizes.indexSelect(0, places); // [N]
    return {
      count: classes,
      labels: places,
      sizes,
      members: oneHot(places, classes).to("float64"),
      weights: companions.reciprocal().mul_(count / classes),
      companions: companions.toNumbers(),
    };
  });
}
