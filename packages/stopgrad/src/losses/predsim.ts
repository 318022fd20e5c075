// `predsim` of local error signals: similarity matching through the head, and a classifier of the loss's own.
import { crossEntropy, scope } from "@stopgrad/torch";
import { z } from "zod";
import { createDecoder, decoderFeatures, decoderOf } from "./decoder.js";
import type { LocalLoss } from "./local-loss.js";
import { similarityLoss, similarityOptions } from "./similarity-matching.js";

const options = z.strictObject({
  /** Weight of similarity matching, in [0, 1]; the classifier has the rest. */
  beta: z.number().min(0).max(1).default(0.99),
  decoderFeatures,
  ...similarityOptions,
});

/**
 * (1 − β) CE(decoder(average pool(z)), y) + β L_sim(head(z), y).
 *
 * The decoder sees the module's output, the head's output goes into similarity matching alone. Degenerate batches as in
 * `similarity-matching`.
 */
export const predsim: LocalLoss = {
  summary: "similarity matching and, with 1 % of the weight, cross-entropy of a linear decoder of its own",
  source: "arXiv 1901.06656 (predsim)",
  options,
  classifies: false,
  heads: ["conv", "conv2", "none", "linear", "mlp"],
  outputs: "features",
  create: (given, context) => createDecoder(options.parse(given).decoderFeatures, context),
  compute(given, input) {
    const { beta, target, safeguard } = options.parse(given);
    return scope(() => {
      const scores = decoderOf("predsim", input).forward(input.hidden);
      const matched = similarityLoss({ target, safeguard }, input);
      return crossEntropy(scores, input.labels)
        .mul(1 - beta)
        .add(matched.mul(beta));
    });
  },
};
