// A whole run: training, and nHSIC at some of its steps. Plain data out, so that a worker thread can send it.
import { type ToyNhsic, toyNhsic } from "./information.js";
import type { ToyRule, ToySettings } from "./settings.js";
import { comparedSteps, type ToyRun, toyDataOf, trainToy } from "./train.js";

export interface ToyResult extends ToyRun {
  /** Batches of 256 points; at fewer steps than the rest, because it costs more than the training between them. */
  readonly nhsic: readonly (ToyNhsic & { readonly step: number })[];
}

/**
 * Trains and measures one network.
 * @throws ToyDivergedError where the step is too large
 */
export function runToy(rule: ToyRule, seed: number, settings: ToySettings): ToyResult {
  const run = trainToy(rule, seed, settings);
  const wanted = nhsicSteps(settings.steps, new Set(run.snapshots.map(({ step }) => step)));
  const snapshots = run.snapshots.filter(({ step }) => wanted.has(step));
  const data = toyDataOf(settings, seed);
  const values = toyNhsic(
    data,
    snapshots.map(({ weights }) => Float64Array.from(weights)),
  );
  return { ...run, nhsic: snapshots.map(({ step }, index) => ({ step, ...values[index]! })) };
}

/** The compared steps, and three a decade of those recorded. */
function nhsicSteps(steps: number, recorded: ReadonlySet<number>): Set<number> {
  const decades = Array.from({ length: Math.ceil(3 * Math.log10(steps)) }, (_, i) => Math.round(10 ** (i / 3)));
  return new Set([...comparedSteps(steps), ...decades.filter((step) => recorded.has(step))]);
}
