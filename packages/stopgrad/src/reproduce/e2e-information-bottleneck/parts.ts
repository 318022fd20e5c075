// How the figures of arXiv 2402.09050 are run: what is the same for many of them.
import type { Part } from "../paper.js";

/** The learning rate at scale small. */
export const RATE = "optimizer.learningRate=1e-3";

/** An item of one experiment file, which has the item's name. */
export function single(id: string, scales: Pick<Part, "smoke" | "small">): readonly Part[] {
  return [{ id, file: `${id}.yaml`, ...scales }];
}
