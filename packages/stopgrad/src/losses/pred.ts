// `pred` of local error signals: a classifier on the pooled output of each module.
import { crossEntropy } from "@stopgrad/torch";
import { z } from "zod";
import { createDecoder, decoderFeatures, decoderOf } from "./decoder.js";
import type { LocalLoss } from "./local-loss.js";

const options = z.strictObject({ decoderFeatures });

/**
 * CE(decoder(average pool(z)), y), in nats. As cross-entropy with a linear head, but for the decoder's zero weights: its
 * first value is that of the bias alone, near log K, and the module gets no gradient from the first step.
 */
export const pred: LocalLoss = {
  summary: "prediction loss: cross-entropy of a linear decoder that starts from zero weights",
  source: "arXiv 1901.06656 (pred)",
  options,
  classifies: false,
  heads: ["none"],
  outputs: "features",
  create: (given, context) => createDecoder(options.parse(given).decoderFeatures, context),
  compute: (_, input) => crossEntropy(decoderOf("pred", input).forward(input.hidden), input.labels),
};
