// When measures are taken of a run while it trains: before its first step, densely in its first epoch, after epochs. Plain
// numbers: training asks it what is due, and whoever shows how far a run is asks what is still to come.
import type { ObserveSettings } from "./run-settings.js";

/** What is measured of every run, after each epoch and before the first, under the name by which it is announced. */
export const TEST_ACCURACY = "test accuracy";

/** Epochs of all phases, and optimizer steps of each. */
export interface RunLength {
  readonly epochs: number;
  readonly stepsPerEpoch: number;
}

/** Whether a measure is to be taken of the network as it begins. */
export function isAskedBefore({ every }: ObserveSettings): boolean {
  return every !== undefined;
}

/** Whether a measure is to be taken after so many epochs. */
export function isAskedAfter({ every, at }: ObserveSettings, epochs: number, isLast: boolean): boolean {
  return (every !== undefined && (isLast || epochs % every === 0)) || (at === "end" && isLast);
}

/** Steps 1, 2, 4, 8, … below `stepsPerEpoch`: where the first epoch is observed densely. */
export function logSpacedSteps(stepsPerEpoch: number): Set<number> {
  const steps = new Set<number>();
  for (let step = 1; step < stepsPerEpoch; step *= 2) steps.add(step);
  return steps;
}

/** How often a measure is still to be taken of a run that stands at `step`, of all its optimizer steps. */
export function timesLeft(when: ObserveSettings, { epochs, stepsPerEpoch }: RunLength, step: number): number {
  const before = step === 0 && isAskedBefore(when) ? 1 : 0;
  const dense = when.firstEpoch ? [...logSpacedSteps(stepsPerEpoch)].filter((one) => one >= step).length : 0;
  let after = 0;
  for (let epoch = Math.floor(step / stepsPerEpoch) + 1; epoch <= epochs; epoch++) {
    if (isAskedAfter(when, epoch, epoch === epochs)) after += 1;
  }
  return before + dense + after;
}
