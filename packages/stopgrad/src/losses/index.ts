// The losses an experiment file can name. Adding one: a file that exports a `LocalLoss`, and a line here.
import { crossEntropy } from "./cross-entropy.js";
import { hsicBottleneck } from "./hsic-bottleneck.js";
import type { LocalLoss } from "./local-loss.js";
import { pred } from "./pred.js";
import { predsim } from "./predsim.js";
import { signalPropagation } from "./signal-propagation.js";
import { simclr } from "./simclr.js";
import { similarityMatching } from "./similarity-matching.js";
import { supervisedContrastive } from "./supervised-contrastive.js";

export type { LocalLoss, LocalLossInput, Signals } from "./local-loss.js";

export const losses = {
  "cross-entropy": crossEntropy,
  "supervised-contrastive": supervisedContrastive,
  simclr,
  "similarity-matching": similarityMatching,
  pred,
  predsim,
  "signal-propagation": signalPropagation,
  "hsic-bottleneck": hsicBottleneck,
} satisfies Record<string, LocalLoss>;
export type LossName = keyof typeof losses;
