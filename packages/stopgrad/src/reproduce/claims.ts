// A claim as something that can be tested: a number for each seed, its interval, and a threshold that the interval must
// lie beyond. Three answers: it holds, it does not, or it cannot be told from these runs.
//
// Every number is a fraction: an accuracy, a difference of accuracies, a part of a peak. From two seeds on the interval is
// Student's, 95 %; a difference is paired over shared seeds. One seed gives no interval: then it is assumed to be the value
// ± 0.02 (2 points of accuracy), as much as seeds usually differ by, and the output says so. So it is, over √n, where n
// seeds give the very same number.
import { formatFixed, signed } from "../report/format.js";
import {
  type Difference,
  differenceOverSeeds,
  type Interval,
  type SeededValue,
  summarise,
} from "../statistics/index.js";

export const outcomes = ["holds", "does not hold", "cannot be told"] as const;
export type Outcome = (typeof outcomes)[number];

/** One testable part of a claim. */
export interface Check {
  /** In words, with its threshold. */
  readonly statement: string;
  readonly outcome: Outcome;
  /** The numbers that decided it. */
  readonly numbers: readonly string[];
}

/** Half the width of an interval where there is one seed; over √n of it where n seeds do not spread at all. */
export const ASSUMED_HALF_WIDTH = 0.02;

/** A fraction over seeds. */
export interface Estimate {
  readonly label: string;
  /** `accuracy`: shown in percent; `points`: a difference of accuracies; `fraction`: of a peak or another number. */
  readonly unit: "accuracy" | "points" | "fraction";
  /** Null where no run has it. */
  readonly value: number | null;
  readonly interval: Interval | null;
  readonly seeds: number;
  /** Where the interval is from: of a mean over seeds, assumed, or the range of a number that is counted. */
  readonly from: "seeds" | "assumption" | "count";
}

type Unit = Estimate["unit"];

/** A number over seeds. */
export function level(label: string, values: readonly SeededValue[], unit: Unit = "fraction"): Estimate {
  if (values.length === 0) return missing(label, unit);
  const { mean, interval, n, std } = summarise(values.map(({ value }) => value));
  return estimate(label, unit, mean, std === null || std <= 1e-12 ? null : interval, n);
}

/** A number that is counted, of bytes or multiply-adds: what chance there is in it, seeds show as they are. */
export function counted(label: string, values: readonly SeededValue[]): Estimate {
  if (values.length === 0) return missing(label, "fraction");
  const numbers = values.map(({ value }) => value);
  const { mean, n } = summarise(numbers);
  const interval: Interval = [Math.min(...numbers), Math.max(...numbers)];
  return { label, unit: "fraction", value: mean, interval, seeds: n, from: "count" };
}

/** a − b over seeds, paired where they share some. */
export function gap(
  label: string,
  a: readonly SeededValue[],
  b: readonly SeededValue[],
  unit: Unit = "points",
): Estimate {
  if (a.length === 0 || b.length === 0) return missing(label, unit);
  const { difference, interval, n }: Difference = differenceOverSeeds(a, b);
  return estimate(label, unit, difference, interval, n);
}

/** `f` of the values that several lists have for the same seed. */
export function combine(
  lists: readonly (readonly SeededValue[])[],
  f: (...values: number[]) => number | null,
): SeededValue[] {
  const [first = [], ...rest] = lists;
  return first.flatMap(({ seed, value }) => {
    const others = rest.map((list) => list.find((one) => one.seed === seed)?.value);
    if (others.includes(undefined)) return [];
    const result = f(value, ...(others as number[]));
    return result === null || !Number.isFinite(result) ? [] : [{ seed, value: result }];
  });
}

/** An estimate held against a threshold. */
export interface Test {
  readonly outcome: Outcome;
  readonly number: string;
}

/** Whether it lies above a threshold. */
export function above(estimate: Estimate, threshold: number): Test {
  return test(estimate, ([low, high]) => (low > threshold ? true : high <= threshold ? false : null));
}

/** Whether it lies below a threshold. */
export function below(estimate: Estimate, threshold: number): Test {
  return test(estimate, ([low, high]) => (high < threshold ? true : low >= threshold ? false : null));
}

/** Whether it lies within ± a margin: that two things are alike, not that nothing was seen of a difference. */
export function within(estimate: Estimate, margin: number): Test {
  return test(estimate, ([low, high]) =>
    low > -margin && high < margin ? true : low >= margin || high <= -margin ? false : null,
  );
}

/** Whether one estimate lies above another: their intervals must not meet. */
export function exceeds(a: Estimate, b: Estimate): Test {
  const [low, high] = b.interval ?? [Number.NaN, Number.NaN];
  const found = test(a, (of) => (of[0] > high ? true : of[1] <= low ? false : null));
  return { ...found, number: `${found.number}, against ${describe(b)}` };
}

/** Puts tests together: all must hold. Without tests, nothing was run that could tell. */
export function check(statement: string, tests: readonly Test[]): Check {
  return {
    statement,
    outcome: overall(tests.map(({ outcome }) => outcome)),
    numbers: tests.map(({ number, outcome }) => (tests.length === 1 ? number : `${number}: ${outcome}`)),
  };
}

/** All hold, or one does not, or it cannot be told. Nothing to judge by is the last. */
export function overall(all: readonly Outcome[]): Outcome {
  if (all.includes("does not hold")) return "does not hold";
  return all.length === 0 || all.includes("cannot be told") ? "cannot be told" : "holds";
}

function missing(label: string, unit: Unit): Estimate {
  return { label, unit, value: null, interval: null, seeds: 0, from: "seeds" };
}

function estimate(label: string, unit: Unit, value: number, interval: Interval | null, seeds: number): Estimate {
  const from = interval === null ? "assumption" : "seeds";
  const half = ASSUMED_HALF_WIDTH / Math.sqrt(seeds);
  const around: Interval = [value - half, value + half];
  return { label, unit, value, interval: interval ?? around, seeds, from };
}

function test(estimate: Estimate, decide: (interval: Interval) => boolean | null): Test {
  const answer = estimate.interval === null ? null : decide(estimate.interval);
  const outcome = answer === null ? "cannot be told" : answer ? "holds" : "does not hold";
  return { outcome, number: describe(estimate) };
}

/** `layer-wise − e2e: −3.20 points [−4.10, −2.30], 3 seeds`. */
function describe({ label, unit, value, interval, seeds, from }: Estimate): string {
  if (value === null || interval === null) return `${label}: not measured`;
  const format = (one: number) => {
    if (unit === "fraction") return formatFixed(one, 3);
    const percent = formatFixed(100 * one, 2);
    return unit === "points" ? signed(one, () => percent) : percent;
  };
  const suffix = { accuracy: " %", points: " points", fraction: "" }[unit];
  const shown = `${format(value)}${suffix} [${interval.map(format).join(", ")}]`;
  const runs = `${seeds} ${seeds === 1 ? "seed" : "seeds"}`;
  const note = { seeds: "", assumption: ", interval assumed", count: ", counted" }[from];
  return `${label}: ${shown}, ${runs}${note}`;
}
