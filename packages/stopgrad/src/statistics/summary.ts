// Mean, spread and interval of one number over seeds.
// The spread is the sample standard deviation (n − 1), the interval Student's t: seeds are few, and their spread is
// estimated from the same few numbers.
import { tQuantile } from "./student-t.js";

export type Interval = readonly [low: number, high: number];

/** A number over seeds. `std` and `interval` are null where one value allows none. */
export interface Summary {
  mean: number;
  /** Sample standard deviation, divided by n − 1. */
  std: number | null;
  n: number;
  /** t-interval of the mean, 95 % unless asked otherwise. */
  interval: Interval | null;
}

/** Arithmetic mean of one value or more. */
export function mean(values: readonly number[]): number {
  requireFinite("mean", values, 1);
  return meanOf(values);
}

/** Sample standard deviation (divided by n − 1) of two values or more. */
export function sampleStandardDeviation(values: readonly number[]): number {
  requireFinite("sampleStandardDeviation", values, 2);
  const centre = meanOf(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1));
}

/**
 * Interval of the mean: mean ± t(1 − (1 − level)/2; n − 1) · std / √n.
 *
 * @param values - two or more finite numbers
 * @param level - confidence, 0 < level < 1, default 0.95
 */
export function tInterval(values: readonly number[], level = 0.95): Interval {
  requireFinite("tInterval", values, 2);
  const half =
    (tQuantile(1 - (1 - level) / 2, values.length - 1) * sampleStandardDeviation(values)) / Math.sqrt(values.length);
  const centre = meanOf(values);
  return [centre - half, centre + half];
}

/** Mean, spread, count and interval of one finite value or more. */
export function summarise(values: readonly number[], level = 0.95): Summary {
  requireFinite("summarise", values, 1);
  const several = values.length > 1;
  return {
    mean: meanOf(values),
    std: several ? sampleStandardDeviation(values) : null,
    n: values.length,
    interval: several ? tInterval(values, level) : null,
  };
}

/** As `summarise`, over the values that are finite numbers; null where there is none. */
export function summariseKnown(values: readonly (number | null | undefined)[], level = 0.95): Summary | null {
  const known = values.filter((value): value is number => typeof value === "number" && Number.isFinite(value));
  return known.length === 0 ? null : summarise(known, level);
}

function meanOf(values: readonly number[]): number {
  const centre = values.reduce((sum, value) => sum + value, 0) / values.length;
  // A second pass takes back what rounding lost, so that equal values have exactly their own value as mean.
  return centre + values.reduce((sum, value) => sum + (value - centre), 0) / values.length;
}

function requireFinite(where: string, values: readonly number[], atLeast: number): void {
  if (values.length < atLeast) {
    throw new RangeError(`${where}: expected at least ${atLeast} value${atLeast > 1 ? "s" : ""}, got ${values.length}`);
  }
  const wrong = values.find((value) => !Number.isFinite(value));
  if (wrong !== undefined) throw new RangeError(`${where}: expected finite numbers, got ${wrong}`);
}
