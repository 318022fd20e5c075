// What can be set of the toy, what it is unless said otherwise, and what it may be. Defaults are the settings of the
// published figures' counterpart here: steps of 0.05 on all points at once, λ = 0.01.

/** What trains W, the first layer of a network of two. */
export const toyRules = {
  linear: "layer-wise: W by a linear head of its own",
  mlp: "layer-wise: W by a head of 16 ReLU units of its own",
  e2e: "end to end: W by the loss of the whole network",
} as const;

export type ToyRule = keyof typeof toyRules;

/** λ (‖W‖² − c), the Lagrangian of the constraint, or λ (‖W‖² − c)². */
export const toyPenalties = ["lagrangian", "quadratic"] as const;

/** Standard deviation of W's and the linear head's normal starts. `near-zero`: z is nearly constant. */
export const toyStarts = { wide: 0.5, "near-zero": 0.02 } as const;

export interface ToySettings {
  readonly rules: readonly ToyRule[];
  readonly penalty: (typeof toyPenalties)[number];
  /** λ ≥ 0, per step of gradient descent, on the first layer alone. */
  readonly lambda: number;
  /** c, the squared norm that the penalty asks for. A Lagrangian's gradient does not know it. */
  readonly squaredNorm: number;
  readonly start: keyof typeof toyStarts;
  readonly learningRate: number;
  readonly steps: number;
  /** Even: half of them are mirror images. */
  readonly points: number;
  /** Each draws its own points and its own starts. */
  readonly seeds: readonly number[];
}

export const toyDefaults: ToySettings = {
  rules: ["linear", "mlp", "e2e"],
  penalty: "lagrangian",
  lambda: 0.01,
  squaredNorm: 1,
  start: "wide",
  learningRate: 0.05,
  steps: 20_000,
  points: 2000,
  seeds: [1, 2, 3, 4, 5, 6],
};

/** Points a mini-batch of nHSIC, and so the fewest there can be. */
export const nhsicBatch = 256;

/** A setting that cannot be. The message says what was expected and what came. */
export class ToySettingsError extends Error {
  override readonly name = "ToySettingsError";
}

/** @throws ToySettingsError for the first setting that is out of range */
export function checkToySettings(settings: ToySettings): void {
  const { rules, penalty, lambda, squaredNorm, start, learningRate, steps, points, seeds } = settings;
  const known = Object.keys(toyRules);
  const starts = Object.keys(toyStarts);
  const repeated = (list: readonly unknown[]) => new Set(list).size < list.length;
  const isPositive = (value: number) => Number.isFinite(value) && value > 0;
  const isWhole = (value: number, least: number, most: number) =>
    Number.isInteger(value) && value >= least && value <= most;

  for (const rule of rules) if (!known.includes(rule)) refuse("head", `one of ${known.join(", ")}`, rule);
  if (rules.length === 0 || repeated(rules)) refuse("head", "at least one, each once", rules.join(","));
  if (!toyPenalties.includes(penalty)) refuse("penalty", `one of ${toyPenalties.join(", ")}`, penalty);
  if (!starts.includes(start)) refuse("start", `one of ${starts.join(", ")}`, start);
  if (!(Number.isFinite(lambda) && lambda >= 0)) refuse("lambda", "a number, at least 0", lambda);
  if (!isPositive(squaredNorm)) refuse("norm", "a squared norm above 0", squaredNorm);
  if (!isPositive(learningRate)) refuse("learning rate", "a number above 0", learningRate);
  if (!isWhole(steps, 1, 10_000_000)) refuse("steps", "a whole number from 1 to 10,000,000", steps);
  if (!isWhole(points, nhsicBatch, 1_000_000) || points % 2 !== 0) {
    const range = `an even number (half of them are mirror images) from ${nhsicBatch} to 1,000,000`;
    refuse("points", range, points);
  }
  for (const seed of seeds) {
    if (!isWhole(seed, 0, 2 ** 32 - 1)) refuse("seeds", "whole numbers from 0 to 4,294,967,295", seed);
  }
  if (seeds.length === 0 || repeated(seeds)) refuse("seeds", "at least one, each once", seeds.join(","));
}

function refuse(setting: string, expected: string, got: unknown): never {
  throw new ToySettingsError(`toy: ${setting}: expected ${expected}, got ${got === "" ? "nothing" : String(got)}`);
}
