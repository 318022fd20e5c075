// Linear separability of a representation: the accuracy of a linear classifier trained on it, frozen.
import {
  all,
  amax,
  amin,
  clamp,
  contiguous,
  isfinite,
  matmul,
  mean,
  scope,
  sqrt,
  type Tensor,
  variance,
} from "@stopgrad/torch";
import { z } from "zod";
import { pooled } from "../heads/pooling.js";
import { logisticRegression } from "./logistic-regression.js";
import { MeasureError, type ProbeMeasure, type SplitFeatures } from "./measure.js";

const options = z.strictObject({
  at: z.literal("end").default("end"),
  /** Training images used, the first ones; null for all. */
  train: z.int().positive().nullable().default(10_000),
  /** Penalty (l2 / 2) ‖W‖². */
  l2: z.number().nonnegative().default(1e-4),
});

/**
 * Features in evaluation mode without augmentation, pooled to at most 2048 by the rule of the linear heads (of tokens
 * the class token, before any norm: what is probed is linear in the representation), standardised with the training
 * features' mean and deviation; multinomial logistic regression, solved to convergence.
 * The same protocol for every method. Source: arXiv 1610.01644; arXiv 2402.09050, figure 1 (protocol ours).
 */
export const probe: ProbeMeasure = {
  summary: "linear probe of each stage: training and test accuracy of logistic regression on the frozen features",
  source: "Alain & Bengio, arXiv 1610.01644; arXiv 2402.09050, figure 1",
  options,
  kind: "probe",
  sampled: false,

  trainingImages: (given) => options.parse(given).train,

  reduce(output) {
    const { layers } = pooled(output.shape.slice(1));
    // Contiguous: a class token by itself, not as a view that keeps all tokens alive.
    return scope(() => contiguous(layers.reduce((features, layer) => layer.forward(features), output.to("float32"))));
  },

  fit(features, given, breathe) {
    const { l2 } = options.parse(given);
    return scope(() => {
      const { train, test } = standardised(features);
      if (amax(features.trainLabels).item() === amin(features.trainLabels).item()) {
        throw new MeasureError("expected training labels of at least two classes, got one");
      }
      const { weight, bias } = logisticRegression(train, features.trainLabels, features.classes, {
        l2,
        ...(breathe ? { breathe } : {}),
      });
      const accuracy = (x: Tensor, labels: Tensor) =>
        matmul(x, weight).add_(bias).argmax(1).eq(labels).sum().item() / labels.size(0);
      return { train: accuracy(train, features.trainLabels), test: accuracy(test, features.testLabels) };
    });
  },
};

/** Less the training mean, over the training deviation; a feature that does not vary becomes 0. */
function standardised({ train, test }: SplitFeatures): { train: Tensor; test: Tensor } {
  if (all(isfinite(train)).item() === 0 || all(isfinite(test)).item() === 0) {
    throw new MeasureError("expected finite features, got NaN or infinity");
  }
  const centre = mean(train, [0], { keepDim: true });
  const deviation = clamp(sqrt(variance(train, [0], { keepDim: true, unbiased: false })), 1e-6);
  return { train: train.sub(centre).div_(deviation), test: test.sub(centre).div_(deviation) };
}
