// Linear separability of a representation: the accuracy of a linear classifier trained on it, frozen.
import { gather, logSoftmax, matmul, scope, type Tensor } from "@stopgrad/torch";
import { z } from "zod";
import { logisticRegression } from "./logistic-regression.js";
import type { Finding, ProbeMeasure } from "./measure.js";
import { checkFeatures, reduceFeatures, scored, standardise } from "./probe-features.js";

const options = z.strictObject({
  at: z.literal("end").default("end"),
  /** Training images used, the first ones; null for all. */
  train: z.int().positive().nullable().default(10_000),
  /** Penalty (l2 / 2) ‖W‖². */
  l2: z.number().nonnegative().default(1e-4),
});

/**
 * Multinomial logistic regression on a stage's frozen features, solved to convergence:
 *
 *   min over W, b of  mean CE(softmax(x W + b), y) + (l2 / 2) ‖W‖²
 *
 * Features in evaluation mode without augmentation, pooled to at most 2048 by the rule of the linear heads (of tokens
 * the class token, before any norm: what is probed is linear in the representation), standardised with the training
 * features' mean and deviation. The same protocol for every method.
 *
 * Accuracies in [0, 1]; `testCrossEntropy` in nats, at least 0 (H(Y) less it bounds I(Y; Z) from below).
 * With fewer training samples than features every stage is separable: the training accuracy is then 1 and says nothing.
 * Time O(N D K) an iteration of the solver, memory one copy of the features.
 * Source: arXiv 1610.01644; arXiv 2402.09050, figure 1 (protocol ours).
 */
export const probe: ProbeMeasure = {
  summary: "linear probe of each stage: training and test accuracy of logistic regression on the frozen features",
  source: "Alain & Bengio, arXiv 1610.01644; arXiv 2402.09050, figure 1",
  options,
  kind: "probe",
  sampled: false,
  key: "probe",
  trainingImages: (given) => options.parse(given).train,
  reduce: reduceFeatures,

  fit(features, given, breathe) {
    const { l2 } = options.parse(given);
    checkFeatures(features);
    return scope(() => {
      const { train, test } = standardise(features);
      const { weight, bias, iterations, largestGradient, converged } = logisticRegression(
        train,
        features.trainLabels,
        features.classes,
        { l2, ...(breathe ? { breathe } : {}) },
      );
      const logits = (x: Tensor) => matmul(x, weight).add_(bias);
      const unseen = logits(test);
      const ofTest = scored(unseen.argmax(1).eq(features.testLabels));
      return {
        train: scored(logits(train).argmax(1).eq(features.trainLabels)).accuracy,
        test: ofTest.accuracy,
        testCorrect: ofTest.correct,
        testCrossEntropy: crossEntropies(unseen, features.testLabels),
        solver: { iterations, largestGradient, converged },
      };
    });
  },
};

/** −ln of the probability that logits `[M, K]` give to each label `[M]`. */
function crossEntropies(logits: Tensor, labels: Tensor): Finding {
  const terms = scope(() =>
    Float64Array.from(
      gather(logSoftmax(logits.to("float64"), 1), 1, labels.unsqueeze(1))
        .neg()
        .toNumbers(),
    ),
  );
  return { value: terms.reduce((sum, one) => sum + one, 0) / terms.length, terms };
}
