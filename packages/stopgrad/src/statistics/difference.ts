// The difference between two ways of training, with its interval.
// Runs with the same seed share initialisation and data order, so their difference varies less than either number:
// over shared seeds the interval is that of the paired differences. Without shared seeds it is Welch's, which does not
// assume that both spread alike (B. L. Welch, Biometrika 34, 1947). Values that do not spread at all give no interval:
// one of width zero would claim certainty from, say, two differences that happen to be equal.
import { tQuantile } from "./student-t.js";
import { type Interval, mean, sampleStandardDeviation, tInterval } from "./summary.js";

export interface SeededValue {
  seed: number;
  value: number;
}

export interface Difference {
  /** Mean of `a` minus mean of `b`; when paired or single, over the shared seeds only. */
  difference: number;
  /** The two means that `difference` lies between, over the same seeds as it. */
  means: readonly [a: number, b: number];
  /** How many values each had, used or not. */
  given: readonly [a: number, b: number];
  /** null where there are too few values for one, or no spread to judge by (then `method` is `paired` or `welch`). */
  interval: Interval | null;
  /** `single`: one shared seed, no interval. `unpaired`: different seeds, too few for an interval. */
  method: "paired" | "welch" | "single" | "unpaired";
  /** Pairs when paired or single; the smaller count otherwise. */
  n: number;
  degreesOfFreedom: number | null;
}

/** a − b of two lists in the same order, n ≥ 2: a t-interval of the n differences. */
export function pairedDifference(a: readonly number[], b: readonly number[], level = 0.95): Difference {
  if (a.length !== b.length) {
    throw new RangeError(`pairedDifference: expected two lists of one length, got ${a.length} and ${b.length} values`);
  }
  const differences = a.map((value, index) => value - b[index]!);
  const interval = tInterval(differences, level);
  return {
    difference: mean(differences),
    means: [mean(a), mean(b)],
    given: [a.length, b.length],
    interval: spreads(differences, [...a, ...b]) ? interval : null,
    method: "paired",
    n: differences.length,
    degreesOfFreedom: differences.length - 1,
  };
}

/**
 * mean(a) − mean(b) of independent lists, n ≥ 2 each, with Welch's interval:
 * ν = (s_a²/n_a + s_b²/n_b)² / ((s_a²/n_a)²/(n_a − 1) + (s_b²/n_b)²/(n_b − 1)).
 */
export function welchDifference(a: readonly number[], b: readonly number[], level = 0.95): Difference {
  const means = [mean(a), mean(b)] as const;
  const difference = means[0] - means[1];
  const known = { difference, means, given: [a.length, b.length], method: "welch" } as const;
  const n = Math.min(a.length, b.length);
  const varianceA = sampleStandardDeviation(a) ** 2 / a.length;
  const varianceB = sampleStandardDeviation(b) ** 2 / b.length;
  const variance = varianceA + varianceB;
  if (!spreads(a, a) && !spreads(b, b)) return { ...known, interval: null, n, degreesOfFreedom: null };
  const degreesOfFreedom = variance ** 2 / (varianceA ** 2 / (a.length - 1) + varianceB ** 2 / (b.length - 1));
  const half = tQuantile(1 - (1 - level) / 2, degreesOfFreedom) * Math.sqrt(variance);
  return { ...known, interval: [difference - half, difference + half], n, degreesOfFreedom };
}

/**
 * a − b: paired over the seeds both have when these are two or more, else Welch when both have two values, else the
 * difference alone.
 *
 * @param a - one or more values, each seed once
 * @param b - likewise
 */
export function differenceOverSeeds(a: readonly SeededValue[], b: readonly SeededValue[], level = 0.95): Difference {
  const valuesA = bySeed(a);
  const valuesB = bySeed(b);
  const shared = [...valuesA.keys()].filter((seed) => valuesB.has(seed));
  if (shared.length >= 2) {
    const paired = pairedDifference(
      shared.map((seed) => valuesA.get(seed)!),
      shared.map((seed) => valuesB.get(seed)!),
      level,
    );
    return { ...paired, given: [valuesA.size, valuesB.size] };
  }
  if (valuesA.size >= 2 && valuesB.size >= 2) {
    return welchDifference([...valuesA.values()], [...valuesB.values()], level);
  }
  const only = shared[0];
  const means =
    only === undefined
      ? ([mean([...valuesA.values()]), mean([...valuesB.values()])] as const)
      : ([valuesA.get(only)!, valuesB.get(only)!] as const);
  return {
    difference: means[0] - means[1],
    means,
    given: [valuesA.size, valuesB.size],
    interval: null,
    method: only === undefined ? "unpaired" : "single",
    n: only === undefined ? Math.min(valuesA.size, valuesB.size) : 1,
    degreesOfFreedom: null,
  };
}

/** Whether a difference is over shared seeds while one side has further ones, so that its means are not theirs. */
export function overSharedOnly({ method, n, given }: Difference): boolean {
  return (method === "paired" || method === "single") && Math.max(...given) > n;
}

/** Whether values differ by more than rounding; `scale` holds the numbers they were computed from. */
function spreads(values: readonly number[], scale: readonly number[]): boolean {
  const largest = Math.max(...scale.map(Math.abs));
  return Math.max(...values) - Math.min(...values) > 1e-12 * largest;
}

function bySeed(values: readonly SeededValue[]): Map<number, number> {
  const result = new Map<number, number>();
  for (const { seed, value } of values) {
    if (result.has(seed)) throw new RangeError(`differenceOverSeeds: expected each seed once, got seed ${seed} twice`);
    result.set(seed, value);
  }
  return result;
}
