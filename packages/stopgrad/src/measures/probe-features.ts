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
      throw new MeasureError("expected finite features, got NaN or infinity");
    }
  }
  if (train.size(1) !== test.size(1)) {
    throw new MeasureError(`expected test features [M, ${train.size(1)}] as in training, got ${test.size(1)} features`);
  }
}

/** Deviations below this count as this, so that rounding of a nearly constant feature is not blown up. */
const LEAST_DEVIATION = 1e-6;

/**
 * Less the training mean, over the training deviation (divided by N; at least 1e-6); a feature that is constant on the
 * training split becomes 0 in both. Memory: a copy of both arrays.
 *
 * @throws MeasureError where deviations are beyond what the features' type holds
 */
export function standardise({ train, test }: Pick<SplitFeatures, "train" | "test">): { train: Tensor; test: Tensor } {
  return scope(() => {
    const centre = mean(train, [0], { keepDim: true });
    const deviation = sqrt(variance(train, [0], { keepDim: true, unbiased: false }));
    if (all(isfinite(deviation)).item() === 0) {
      throw new MeasureError(`expected features whose variance ${train.dtype} can hold, got larger ones; rescale them`);
    }
    const constant = eq(amin(train, [0], { keepDim: true }), amax(train, [0], { keepDim: true }));
    const scaled = maskedFill_(clamp(deviation, LEAST_DEVIATION), constant, Number.POSITIVE_INFINITY);
    const result = { train: train.sub(centre).div_(scaled), test: test.sub(centre).div_(scaled) };
    if (all(isfinite(result.test)).item() === 0) {
      throw new MeasureError("expected test features on the scale of the training features, got far larger ones");
    }
    return result;
  });
}

/** Accuracy, and which samples were right. @param right - of any type, `[N]`, true where a sample is classified rightly */
export function scored(right: Tensor): { accuracy: number; correct: Uint8Array } {
  const correct = Uint8Array.from(scope(() => right.to("uint8").toNumbers()));
  return { accuracy: correct.reduce((sum, one) => sum + one, 0) / correct.length, correct };
}
