// What every probe does with a stage's representations before it is fitted: fewer features, checks, and standardising.
// It is the same for every probe and method, so that accuracies compare.
import {
  all,
  amax,
  amin,
  clamp,
  contiguous,
  eq,
  isfinite,
  maskedFill_,
  mean,
  scope,
  sqrt,
  type Tensor,
  tensor,
  variance,
} from "@stopgrad/torch";
import { pooled } from "../heads/pooling.js";
import { MeasureError, type SplitFeatures } from "./measure.js";

/**
 * `[N, …]` → float32 `[N, D]`: maps pooled to at most 2048 features by the rule of the linear heads, of tokens the class
 * token before any norm, vectors as they are. What is kept is linear in the representation.
 */
export function reduceFeatures(output: Tensor): Tensor {
  const { layers } = pooled(output.shape.slice(1));
  // Contiguous: a class token by itself, not as a view that keeps all tokens alive.
  return scope(() => contiguous(layers.reduce((features, layer) => layer.forward(features), output.to("float32"))));
}

/**
 * Features that a probe can be fitted on.
 * @throws MeasureError for other shapes or types, NaN or infinity, labels out of range, or one training class
 */
export function checkFeatures({ train, trainLabels, test, testLabels, classes }: SplitFeatures): void {
  for (const [split, features, labels] of [
    ["training", train, trainLabels],
    ["test", test, testLabels],
  ] as const) {
    if (features.dim !== 2 || features.size(0) === 0 || features.size(1) === 0) {
      throw new MeasureError(`expected ${split} features [N, D], got [${features.shape.join(", ")}]`);
    }
    if (features.dtype !== "float32" && features.dtype !== "float64") {
      throw new MeasureError(`expected ${split} features of float32 or float64, got ${features.dtype}`);
    }
    if (labels.dim !== 1 || labels.size(0) !== features.size(0) || labels.dtype !== "int64") {
      const came = `[${labels.shape.join(", ")}] of ${labels.dtype}`;
      throw new MeasureError(`expected ${split} labels [${features.size(0)}] of int64, got ${came}`);
    }
    const [lowest, highest] = scope(() => [amin(labels).item(), amax(labels).item()] as const);
    if (lowest < 0 || highest >= classes) {
      const wrong = lowest < 0 ? lowest : highest;
      throw new MeasureError(`expected ${split} labels from 0 to ${classes - 1}, got ${wrong}`);
    }
    if (split === "training" && lowest === highest) {
      throw new MeasureError("expected training labels of at least two classes, got one");
    }
    if (scope(() => all(isfinite(features)).item()) === 0) {
      throw new MeasureError("expected finite features, got NaN, infinity or numbers beyond float32");
    }
  }
  if (train.size(1) !== test.size(1)) {
    throw new MeasureError(`expected test features [M, ${train.size(1)}] as in training, got ${test.size(1)} features`);
  }
}

/**
 * Deviations below this share of a feature's size count as this share, so that rounding of a nearly constant feature is not
 * blown up.
 */
const LEAST_DEVIATION = 1e-6;

/**
 * Less the training mean, over the training deviation (divided by N; at least 1e-6 of the feature's largest training value
 * as a power of two); a feature that is constant on the training split becomes 0 in both. The unit of a feature
 * does not matter. Memory: a copy of both arrays.
 *
 * @throws MeasureError for test features too far from the training features for their type
 */
export function standardise({ train, test }: Pick<SplitFeatures, "train" | "test">): { train: Tensor; test: Tensor } {
  return scope(() => {
    const constant = eq(amin(train, [0], { keepDim: true }), amax(train, [0], { keepDim: true }));
    // By a power of two, which changes no digit, so that neither squares nor the least deviation depend on the unit.
    const unit = powersOfTwo(amax(train.abs(), [0], { keepDim: true }).maskedFill(constant, 1));
    const [own, other] = [train.div(unit), test.div(unit)];
    const centre = mean(own, [0], { keepDim: true });
    const deviation = sqrt(variance(own, [0], { keepDim: true, unbiased: false }));
    const scaled = maskedFill_(clamp(deviation, LEAST_DEVIATION), constant, Number.POSITIVE_INFINITY);
    const result = { train: own.sub_(centre).div_(scaled), test: other.sub_(centre).div_(scaled) };
    if (all(isfinite(result.test)).item() === 0) {
      throw new MeasureError("expected test features on the scale of the training features, got far larger ones");
    }
    return result;
  });
}

/** About the size of each feature, `[1, D]`: a power of two, whose inverse its type holds in full. */
function powersOfTwo(sizes: Tensor): Tensor {
  const most = sizes.dtype === "float64" ? 1022 : 126;
  const powers = sizes.toNumbers().map((size) => {
    const exponent = Math.floor(Math.log2(size));
    return 2 ** Math.min(Math.max(exponent, -most), most);
  });
  return tensor(powers, { dtype: sizes.dtype, device: sizes.device }).reshape(sizes.shape);
}

/** Accuracy, and which samples were right. @param right - of any type, `[N]`, true where a sample is classified rightly */
export function scored(right: Tensor): { accuracy: number; correct: Uint8Array } {
  const correct = Uint8Array.from(scope(() => right.to("uint8").toNumbers()));
  return { accuracy: correct.reduce((sum, one) => sum + one, 0) / correct.length, correct };
}
