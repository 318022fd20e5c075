// Do two numbers rise together, whatever the shape of the relation? Spearman's rank correlation, with a p-value by
// permutation and an interval by Fisher's transformation.
//
// Sources: C. Spearman, American Journal of Psychology 15, 1904; the interval's variance: D. G. Bonett and T. A. Wright,
// Psychometrika 65, 2000. Both treat the pairs as independent: epochs of one run and stages of one network are not, and
// their p-value is too small. Pairs from different seeds are.
import { Sfc32 } from "../data/sfc32.js";
import { normalQuantile } from "./normal.js";
import type { Interval } from "./summary.js";

export interface RankCorrelation {
  /** Spearman's ρ in [−1, 1]; null where one list is constant. */
  coefficient: number | null;
  /** Of ρ; null for fewer than four pairs, where |ρ| = 1 and where there is no ρ. */
  interval: Interval | null;
  /**
   * Two-sided: the share of orders of one list for which |ρ| is at least as large, in (0, 1]; null where there is no ρ. Of
   * up to eight pairs all orders are tried; of more, some at random and the one that was given.
   */
  pValue: number | null;
  n: number;
}

export interface RankCorrelationOptions {
  /** Confidence of the interval, 0 < level < 1, default 0.95. */
  level?: number;
  /** Random orders for more than eight pairs, default 10,000: no p-value is below 1e-4. At least 100. */
  permutations?: number;
  /** Whole number; the same seed gives the same orders. Default 0. */
  seed?: number;
}

/** n ≤ 8 has at most 40,320 orders. */
const ENUMERATED = 8;

/**
 * ρ: the correlation of the two lists' ranks, equal values having the mean of their ranks.
 *
 *   interval = tanh(atanh ρ ± q √((1 + ρ²/2) / (n − 3)))    q: quantile of the normal distribution
 *
 * The interval is an approximation, good from ten pairs or so and |ρ| < 0.95.
 *
 * @param a - two or more finite numbers
 * @param b - as many, in the same order
 * Time O(n log n + n · permutations). @throws RangeError for lists of different or too small length, NaN, infinity or a
 * wrong option
 */
export function rankCorrelation(
  a: readonly number[],
  b: readonly number[],
  options: RankCorrelationOptions = {},
): RankCorrelation {
  const { level, permutations, seed } = checked(a, b, options);
  const n = a.length;
  const [left, right] = [standardised(ranks(a)), standardised(ranks(b))];
  if (!left || !right) return { coefficient: null, interval: null, pValue: null, n };
  const coefficient = Math.max(-1, Math.min(1, dot(left, right)));
  return {
    coefficient,
    interval: fisherInterval(coefficient, n, level),
    pValue: n <= ENUMERATED ? exactPValue(left, right) : sampledPValue(left, right, permutations, seed),
    n,
  };
}

/** Ranks from 1, in the order of the values; equal values have the mean of their ranks. `[10, 20, 10]` → `[1.5, 3, 1.5]` */
export function ranks(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).sort((i, j) => values[i]! - values[j]!);
  const result = new Array<number>(values.length);
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (end < order.length && values[order[end]!] === values[order[start]!]) end++;
    for (let place = start; place < end; place++) result[order[place]!] = (start + 1 + end) / 2;
    start = end;
  }
  return result;
}

/** Less the mean, of norm 1; null when all are equal. */
function standardised(values: readonly number[]): number[] | null {
  const mean = (values.length + 1) / 2; // of ranks
  const centred = values.map((value) => value - mean);
  const norm = Math.sqrt(dot(centred, centred));
  return norm === 0 ? null : centred.map((value) => value / norm);
}

function dot(a: readonly number[], b: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function fisherInterval(coefficient: number, n: number, level: number): Interval | null {
  if (n < 4 || 1 - Math.abs(coefficient) < 1e-12) return null;
  const half = normalQuantile(1 - (1 - level) / 2) * Math.sqrt((1 + coefficient ** 2 / 2) / (n - 3));
  const centre = Math.atanh(coefficient);
  return [Math.tanh(centre - half), Math.tanh(centre + half)];
}

/** What counts as at least as large: equal coefficients differ by rounding. */
const reached = (a: readonly number[], b: readonly number[]) => Math.abs(dot(a, b)) - 1e-12;

function exactPValue(a: readonly number[], b: readonly number[]): number {
  const observed = reached(a, b);
  const order = [...b];
  let [extreme, orders] = [0, 0];
  const visit = (place: number) => {
    if (place === order.length) {
      orders++;
      if (Math.abs(dot(a, order)) >= observed) extreme++;
      return;
    }
    for (let other = place; other < order.length; other++) {
      swap(order, place, other);
      visit(place + 1);
      swap(order, place, other);
    }
  };
  visit(0);
  return extreme / orders;
}

function sampledPValue(a: readonly number[], b: readonly number[], permutations: number, seed: number): number {
  const observed = reached(a, b);
  const random = new Sfc32(seed, a.length);
  const order = [...b];
  let extreme = 0;
  for (let draw = 0; draw < permutations; draw++) {
    for (let i = order.length - 1; i > 0; i--) swap(order, i, random.integer(i + 1));
    if (Math.abs(dot(a, order)) >= observed) extreme++;
  }
  return (extreme + 1) / (permutations + 1);
}

function swap(values: number[], i: number, j: number): void {
  const held = values[i]!;
  values[i] = values[j]!;
  values[j] = held;
}

function checked(
  a: readonly number[],
  b: readonly number[],
  options: RankCorrelationOptions,
): Required<RankCorrelationOptions> {
  const { level = 0.95, permutations = 10_000, seed = 0 } = options;
  if (a.length !== b.length || a.length < 2) {
    throw new RangeError(
      `rankCorrelation: expected two lists of one length, 2 or more, got ${a.length} and ${b.length} values`,
    );
  }
  const wrong = [...a, ...b].find((value) => !Number.isFinite(value));
  if (wrong !== undefined) throw new RangeError(`rankCorrelation: expected finite numbers, got ${wrong}`);
  if (!(level > 0 && level < 1))
    throw new RangeError(`rankCorrelation: expected a level between 0 and 1, got ${level}`);
  if (!Number.isSafeInteger(permutations) || permutations < 100) {
    throw new RangeError(`rankCorrelation: expected at least 100 permutations, a whole number, got ${permutations}`);
  }
  if (!Number.isSafeInteger(seed))
    throw new RangeError(`rankCorrelation: expected a whole number as seed, got ${seed}`);
  return { level, permutations, seed };
}
