// The losses an experiment file can name. Adding one: a file that exports a `LocalLoss`, and a line here.
import { crossEntropy } from "./cross-entropy.js";
import type { LocalLoss } from "./local-loss.js";

export type { LocalLoss, LocalLossInput } from "./local-loss.js";

export const losses = { "cross-entropy": crossEntropy } satisfies Record<string, LocalLoss>;
export type LossName = keyof typeof losses;
