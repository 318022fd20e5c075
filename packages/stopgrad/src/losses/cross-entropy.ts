import { crossEntropy as crossEntropyOf } from "@stopgrad/torch";
import { z } from "zod";
import type { LocalLoss } from "./local-loss.js";

/** −(1/N) Σ log softmax(o_i)[y_i], in nats (arXiv 2402.09050, eq. 13). */
export const crossEntropy: LocalLoss = {
  summary: "cross-entropy of class scores with the label, mean over the batch, in nats",
  source: "arXiv 2402.09050, eq. 13",
  options: z.strictObject({}),
  classifies: true,
  heads: ["linear", "mlp", "auxiliary"],
  outputs: "classes",
  compute: (_, { output, labels }) => crossEntropyOf(output, labels),
};
