// Which contexts are redundant? The question that arXiv 2312.07636 leaves open, asked of each node by backward
// elimination: paths whose absence the following module's loss does not notice are taken out of use, one after the other.
import { z } from "zod";

/** The setting `context.selection`. */
export const selectionOptions = z.strictObject({
  /** Relative increase of the loss that still counts as none. */
  tolerance: z.number().min(0).default(0.01),
  /** Epochs before the selection. */
  after: z.int().positive().default(1),
  /** Training images that the loss is taken of. */
  images: z.int().positive().default(1024),
});
export type PathSelection = z.infer<typeof selectionOptions>;

/**
 * The paths that stay in use. Of those in use, the one whose absence raises the loss least goes first, then the next on
 * what is left, while the loss stays within (1 + tolerance) of what it is with all. Of equals the later path goes.
 *
 * @param node - its paths in use
 * @param lossWith - the following module's loss with these paths, the same for the same paths
 * @param tolerance - relative, at least 0
 * @returns a flag for each path
 * @throws Error when the loss with all of them is not finite
 * Calls `lossWith` at most 1 + P (P + 1) / 2 times for P paths in use.
 */
export function selectPaths(
  node: { readonly activePaths: readonly boolean[] },
  lossWith: (active: readonly boolean[]) => number,
  tolerance: number,
): boolean[] {
  let active = [...node.activePaths];
  if (!active.includes(true)) return active;
  const whole = lossWith(active);
  if (!Number.isFinite(whole)) {
    throw new Error(`context.selection: expected a finite loss with every path in use, got ${whole}`);
  }
  const highest = whole + tolerance * Math.abs(whole); // of a loss below 0 too, a higher one
  while (active.includes(true)) {
    let best: { loss: number; active: boolean[] } | null = null;
    for (const [path, isActive] of active.entries()) {
      if (!isActive) continue;
      const without = active.with(path, false);
      const loss = lossWith(without);
      if (loss <= (best?.loss ?? highest)) best = { loss, active: without }; // NaN is never within it
    }
    if (!best) return active;
    active = best.active;
  }
  return active;
}
