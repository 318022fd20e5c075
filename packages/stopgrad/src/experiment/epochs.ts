// A rule's phases laid out over a run's epochs.
import type { Phase } from "../rules/index.js";

type Epochs = Pick<Phase, "epochs">;

/** @param usual - of a phase that does not say how many it has */
export function totalEpochs(phases: readonly Epochs[], usual: number): number {
  return phases.reduce((sum, { epochs }) => sum + (epochs ?? usual), 0);
}

/**
 * The phase that epoch `epoch` of a run, from 0, belongs to, and which of the phase's epochs it is; the last phase's for
 * a run that is over.
 */
export function phaseOf<P extends Epochs>(
  phases: readonly P[],
  epoch: number,
  usual: number,
): { at: number; phase: P; epoch: number } {
  let left = epoch;
  for (const [at, phase] of phases.entries()) {
    const length = phase.epochs ?? usual;
    if (left < length || at === phases.length - 1) return { at, phase, epoch: left };
    left -= length;
  }
  throw new RangeError("a rule has at least one phase");
}
