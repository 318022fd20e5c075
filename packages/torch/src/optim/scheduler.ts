// What gives a schedule's rates to an optimizer, step by step, with a state that is plain JSON.
import { TorchError } from "../errors.js";
import type { Group, Optimizer } from "./optimizer.js";
import type { Schedule } from "./schedules.js";

/** What `Scheduler.stateDict` gives: plain JSON. */
export interface SchedulerState {
  /** Steps taken. */
  step: number;
  /** Rate of each group at the start. */
  baseRates: number[];
}

/**
 * Sets every group's learning rate from its own at the start: at once for step 0, then after each `step()`, which is
 * called after the optimizer's.
 */
export class Scheduler {
  #step = 0;
  #baseRates: number[];

  /** @param options.momentum - a schedule of the momentum, or of Adam's first beta (its base is not used) */
  constructor(
    readonly optimizer: Optimizer,
    readonly schedule: Schedule,
    readonly options: { momentum?: Schedule } = {},
  ) {
    this.#baseRates = optimizer.groups.map(({ learningRate }) => learningRate);
    if (options.momentum) for (const group of optimizer.groups) momentumOf(group);
    this.#apply();
  }

  /** The rate of each group now. */
  get learningRates(): number[] {
    return this.optimizer.groups.map(({ learningRate }) => learningRate);
  }

  /** Steps taken. */
  get stepsTaken(): number {
    return this.#step;
  }

  /** Goes on to the next step and sets its rates. */
  step(): void {
    this.#step++;
    this.#apply();
  }

  /** Steps taken and the rates at the start; a copy. */
  stateDict(): SchedulerState {
    return { step: this.#step, baseRates: [...this.#baseRates] };
  }

  /** Goes on from a saved state, and sets its rates. @throws TorchError when it has another number of groups */
  loadStateDict(saved: SchedulerState): void {
    const groups = this.optimizer.groups.length;
    if (!Number.isInteger(saved.step) || saved.step < 0 || saved.baseRates?.length !== groups) {
      throw new TorchError(`Scheduler: expected a saved step and ${groups} base rates, got ${JSON.stringify(saved)}`);
    }
    this.#step = saved.step;
    this.#baseRates = [...saved.baseRates];
    this.#apply();
  }

  #apply(): void {
    const { momentum } = this.options;
    for (const [at, group] of this.optimizer.groups.entries()) {
      group.learningRate = this.schedule(this.#baseRates[at]!, this.#step);
      if (momentum) setMomentum(group, momentum(momentumOf(group), this.#step));
    }
  }
}

function momentumOf(group: Group): number {
  const { momentum, betas } = group.settings;
  if (typeof momentum === "number" && momentum !== 0) return momentum;
  if (Array.isArray(betas)) return betas[0];
  throw new TorchError("Scheduler: expected an optimizer with momentum or betas for a momentum schedule");
}

function setMomentum(group: Group, value: number): void {
  const { betas } = group.settings;
  if (Array.isArray(betas)) group.settings.betas = [value, betas[1]];
  else group.settings.momentum = value;
}

/** What counts as an improvement, and what follows when there is none. */
export interface PlateauOptions {
  /** Whether a smaller or a larger metric is better; default `min`. */
  mode?: "min" | "max";
  /** What the rate is multiplied by; default 0.1. */
  factor?: number;
  /** Steps without an improvement that are borne; default 10. */
  patience?: number;
  /** Smallest improvement that counts; default 1e-4. */
  threshold?: number;
  /** Whether the threshold is a share of the best or an amount; default `relative`. */
  thresholdMode?: "relative" | "absolute";
  /** Steps after a reduction in which none is counted; default 0. */
  cooldown?: number;
  /** Default 0. */
  minimum?: number;
  /** A change of the rate smaller than this is left out; default 1e-8. */
  epsilon?: number;
}

/** What `ReduceOnPlateau.stateDict` gives: plain JSON. */
export interface PlateauState {
  /** Steps taken. */
  step: number;
  /** Best metric so far, null before the first. */
  best: number | null;
  /** Steps since the best metric or the last reduction. */
  badSteps: number;
  /** Steps that are still not counted. */
  cooldownLeft: number;
}

/** Reduces the rates when a metric stops improving, as `ReduceLROnPlateau`. */
export class ReduceOnPlateau {
  #state: PlateauState = { step: 0, best: null, badSteps: 0, cooldownLeft: 0 };

  constructor(
    readonly optimizer: Optimizer,
    readonly options: PlateauOptions = {},
  ) {
    const { mode = "min", factor = 0.1, thresholdMode = "relative" } = options;
    if (!(factor >= 0 && factor < 1))
      throw new TorchError(`ReduceOnPlateau: expected a factor in [0, 1), got ${factor}`);
    if (mode !== "min" && mode !== "max") {
      throw new TorchError(`ReduceOnPlateau: expected the mode min or max, got ${String(mode)}`);
    }
    if (thresholdMode !== "relative" && thresholdMode !== "absolute") {
      throw new TorchError(
        `ReduceOnPlateau: expected the thresholdMode relative or absolute, got ${String(thresholdMode)}`,
      );
    }
  }

  /** The rate of each group now. */
  get learningRates(): number[] {
    return this.optimizer.groups.map(({ learningRate }) => learningRate);
  }

  /** Takes a step's metric, a validation loss for one; NaN is no improvement. */
  step(metric: number): void {
    const { patience = 10, cooldown = 0 } = this.options;
    const state = this.#state;
    state.step++;
    if (this.#improves(metric)) {
      state.best = metric;
      state.badSteps = 0;
    } else {
      state.badSteps++;
    }
    if (state.cooldownLeft > 0) {
      state.cooldownLeft--;
      state.badSteps = 0;
    }
    if (state.badSteps > patience) {
      this.#reduce();
      state.cooldownLeft = cooldown;
      state.badSteps = 0;
    }
  }

  /** The counts and the best metric; a copy. */
  stateDict(): PlateauState {
    return { ...this.#state };
  }

  /** Goes on from a saved state; the rates are the optimizer's and come with its own. */
  loadStateDict(saved: PlateauState): void {
    const { step, best, badSteps, cooldownLeft } = saved;
    if (![step, badSteps, cooldownLeft].every((count) => Number.isInteger(count) && count >= 0)) {
      throw new TorchError(`ReduceOnPlateau: expected a saved state, got ${JSON.stringify(saved)}`);
    }
    this.#state = { step, best, badSteps, cooldownLeft };
  }

  #improves(metric: number): boolean {
    const { mode = "min", threshold = 1e-4, thresholdMode = "relative" } = this.options;
    const { best } = this.#state;
    if (best === null) return !Number.isNaN(metric);
    const sign = mode === "min" ? -1 : 1;
    const wanted = thresholdMode === "relative" ? best * (1 + sign * threshold) : best + sign * threshold;
    return mode === "min" ? metric < wanted : metric > wanted;
  }

  #reduce(): void {
    const { factor = 0.1, minimum = 0, epsilon = 1e-8 } = this.options;
    for (const group of this.optimizer.groups) {
      const next = Math.max(group.learningRate * factor, minimum);
      if (group.learningRate - next > epsilon) group.learningRate = next;
    }
  }
}
