// Learning rates as plain functions of the step: nothing to save, nothing to fall out of step. A `Scheduler` counts the
// steps and gives the rates to an optimizer; `ReduceOnPlateau` alone has a memory.
import { TorchError } from "../errors.js";

/** The rate in `step` (from 0; steps or epochs, as the caller counts) of what starts at `base`. */
export type Schedule = (base: number, step: number) => number;

/** When a rate drops, and by how much. */
export interface MultiStepSchedule {
  /** Epochs (counted from 0) from which the rate is multiplied once more. */
  milestones: readonly number[];
  /** Factor at each milestone; PyTorch's default 0.1. */
  gamma?: number;
}

/** Rate in `epoch` (from 0): `base · gamma^(milestones passed)`, as `MultiStepLR`. */
export function multiStep(base: number, epoch: number, schedule: MultiStepSchedule): number {
  return base * (schedule.gamma ?? 0.1) ** schedule.milestones.filter((milestone) => epoch >= milestone).length;
}

/** `multiStep` as a schedule. */
export function multiStepSchedule(options: MultiStepSchedule): Schedule {
  return (base, step) => multiStep(base, step, options);
}

/** The same for ever. */
export function constantSchedule(): Schedule {
  return (base) => base;
}

/** `base · gamma^⌊t / every⌋`, as `StepLR`. @param options.gamma - default 0.1 */
export function stepSchedule(options: { every: number; gamma?: number }): Schedule {
  const { every, gamma = 0.1 } = options;
  checkPositive("stepSchedule", "every", every);
  return (base, step) => base * gamma ** Math.floor(step / every);
}

/** `base · gamma^t`, as `ExponentialLR`. */
export function exponentialSchedule(options: { gamma: number }): Schedule {
  return (base, step) => base * options.gamma ** step;
}

/**
 * From `base` at step 0 along half a cosine to `minimum` (default 0) at `steps`, and up again after it, as
 * `CosineAnnealingLR` (arXiv 1608.03983, without restarts).
 */
export function cosineSchedule(options: { steps: number; minimum?: number }): Schedule {
  const { steps, minimum = 0 } = options;
  checkPositive("cosineSchedule", "steps", steps);
  return (base, step) => minimum + ((base - minimum) * (1 + Math.cos((Math.PI * step) / steps))) / 2;
}

/**
 * Half a cosine of `period` steps, then again of `multiplier` (default 1) times as many, and so on, as
 * `CosineAnnealingWarmRestarts` (arXiv 1608.03983). @param options.minimum - default 0
 */
export function cosineRestartsSchedule(options: { period: number; multiplier?: number; minimum?: number }): Schedule {
  const { period, multiplier = 1, minimum = 0 } = options;
  checkPositive("cosineRestartsSchedule", "period", period);
  if (!(Number.isInteger(multiplier) && multiplier >= 1)) {
    throw new TorchError(`cosineRestartsSchedule: expected a whole multiplier of at least 1, got ${multiplier}`);
  }
  return (base, step) => {
    let [start, length] = [0, period];
    if (multiplier === 1) start = Math.floor(step / period) * period;
    else {
      while (step >= start + length) {
        start += length;
        length *= multiplier;
      }
    }
    return minimum + ((base - minimum) * (1 + Math.cos((Math.PI * (step - start)) / length))) / 2;
  };
}

/**
 * A straight line from `startFactor · base` (default 1/3) to `endFactor · base` (default 1) in `steps`, and level after
 * it, as `LinearLR`.
 */
export function linearSchedule(options: { steps: number; startFactor?: number; endFactor?: number }): Schedule {
  const { steps, startFactor = 1 / 3, endFactor = 1 } = options;
  checkPositive("linearSchedule", "steps", steps);
  return (base, step) => base * (startFactor + ((endFactor - startFactor) * Math.min(step, steps)) / steps);
}

/** `base · (1 − t / steps)^power` down to 0 at `steps`, as `PolynomialLR`. @param options.power - default 1 */
export function polynomialSchedule(options: { steps: number; power?: number }): Schedule {
  const { steps, power = 1 } = options;
  checkPositive("polynomialSchedule", "steps", steps);
  return (base, step) => base * (1 - Math.min(step, steps) / steps) ** power;
}

/** `base · factor(t)`, as `LambdaLR`. */
export function lambdaSchedule(factor: (step: number) => number): Schedule {
  return (base, step) => base * factor(step);
}

/**
 * The first schedule up to the first milestone, the second from there up to the next and so on; each counts from 0 where
 * it begins, as `SequentialLR`.
 * @throws TorchError unless there is one milestone between each two schedules, in rising order
 */
export function sequentialSchedule(schedules: readonly Schedule[], milestones: readonly number[]): Schedule {
  const rising = milestones.every((milestone, at) => at === 0 || milestone > milestones[at - 1]!);
  if (schedules.length === 0 || milestones.length !== schedules.length - 1 || !rising) {
    throw new TorchError(
      `sequentialSchedule: expected rising milestones, one fewer than schedules, got [${milestones.join(", ")}] for ${schedules.length} schedules`,
    );
  }
  return (base, step) => {
    const at = milestones.filter((milestone) => step >= milestone).length;
    return schedules[at]!(base, step - (at === 0 ? 0 : milestones[at - 1]!));
  };
}

/** Each schedule on what the one before gives: factors multiply, as `ChainedScheduler`. */
export function chainedSchedule(schedules: readonly Schedule[]): Schedule {
  return (base, step) => schedules.reduce((rate, schedule) => schedule(rate, step), base);
}

/**
 * A straight line up in `warmup` steps from `startFactor · base` (default 1/100), then half a cosine down to `minimum`
 * (default 0) at step `steps`.
 */
export function warmupCosineSchedule(options: {
  warmup: number;
  steps: number;
  startFactor?: number;
  minimum?: number;
}): Schedule {
  const { warmup, steps, startFactor = 0.01, minimum = 0 } = options;
  if (!(warmup >= 0 && steps > warmup)) {
    throw new TorchError(`warmupCosineSchedule: expected more steps than warm-up, got ${steps} and ${warmup}`);
  }
  const down = cosineSchedule({ steps: steps - warmup, minimum });
  if (warmup === 0) return down;
  return sequentialSchedule([linearSchedule({ steps: warmup, startFactor }), down], [warmup]);
}

/** The form of a cycle. */
export interface OneCycleOptions {
  /** Steps of the whole cycle. */
  steps: number;
  /** Share of the steps in which the rate rises, in (0, 1); default 0.3. */
  rising?: number;
  /** Shape of the slopes; default `cosine`. */
  slope?: "cosine" | "linear";
  /** The rate starts at base / this; default 25. */
  startDivisor?: number;
  /** and ends at its start / this; default 1e4. */
  endDivisor?: number;
}

/**
 * Up to `base`, the largest rate, and down again to almost nothing (Smith & Topin, arXiv 1708.07120), as `OneCycleLR`,
 * whose momentum is `oneCycleMomentum`.
 */
export function oneCycleSchedule(options: OneCycleOptions): Schedule {
  const { startDivisor = 25, endDivisor = 1e4 } = options;
  const cycle = oneCycle("oneCycleSchedule", options);
  return (base, step) => {
    const start = base / startDivisor;
    return cycle(step, start, base, start / endDivisor);
  };
}

/** The momentum that goes with `oneCycleSchedule`: from `most` (default 0.95) down to `least` (0.85) and back. */
export function oneCycleMomentum(options: OneCycleOptions & { least?: number; most?: number }): Schedule {
  const { least = 0.85, most = 0.95 } = options;
  const cycle = oneCycle("oneCycleMomentum", options);
  return (_, step) => cycle(step, most, least, most);
}

/** A value that goes from `start` to `middle` and on to `end`; past the last step it stays. */
function oneCycle(where: string, options: OneCycleOptions) {
  const { steps, rising = 0.3, slope = "cosine" } = options;
  checkPositive(where, "steps", steps);
  if (!(rising > 0 && rising < 1)) throw new TorchError(`${where}: expected rising in (0, 1), got ${rising}`);
  if (slope !== "cosine" && slope !== "linear") {
    throw new TorchError(`${where}: expected the slope cosine or linear, got ${String(slope)}`);
  }
  const between = (from: number, to: number, share: number): number =>
    slope === "linear" ? from + (to - from) * share : to + ((from - to) / 2) * (1 + Math.cos(Math.PI * share));
  const turn = rising * steps - 1;
  return (step: number, start: number, middle: number, end: number): number => {
    const at = Math.min(step, steps - 1);
    if (at <= turn) return between(start, middle, turn === 0 ? 1 : at / turn);
    return between(middle, end, (at - turn) / (steps - 1 - turn));
  };
}

function checkPositive(where: string, what: string, value: number): void {
  if (!(value > 0)) throw new TorchError(`${where}: expected ${what} above 0, got ${value}`);
}
