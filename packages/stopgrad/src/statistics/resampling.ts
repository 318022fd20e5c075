// What every interval that is made by resampling shares: statistics of chosen terms, quantiles of replicates, and what is
// refused. Plain numbers in and out.
import type { Interval } from "./summary.js";

export type Terms = ArrayLike<number>;

/** A number computed from the terms at these positions, which may repeat; the array is written over between calls. */
export type ResampledStatistic = (indices: Int32Array) => number;

/** Quantiles (1 − level)/2 and (1 + level)/2 of the replicates, interpolated linearly. */
export function percentileInterval(replicates: ArrayLike<number>, level = 0.95): Interval {
  const sorted = Float64Array.from(replicates).sort();
  return [quantile(sorted, (1 - level) / 2), quantile(sorted, (1 + level) / 2)];
}

/** Of ascending values; between two neighbours on the straight line from one to the other. */
export function quantile(sorted: Float64Array, p: number): number {
  const place = p * (sorted.length - 1);
  const below = Math.floor(place);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return low + (place - below) * (high - low);
}

/** The statistic without each term in turn. */
export function leaveOneOut(count: number, statistic: ResampledStatistic): Float64Array {
  const indices = new Int32Array(count - 1);
  return Float64Array.from({ length: count }, (_, out) => {
    for (let i = 0; i < count - 1; i++) indices[i] = i < out ? i : i + 1;
    return statistic(indices);
  });
}

/** Every position, ascending. */
export function identity(count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => i);
}

/** The mean of finite terms: of whole numbers their exact sum over their number, of equal ones exactly these. */
export function meanOf(terms: Terms): number {
  if (identical(terms)) return terms[0]!; // three times a number, over three, may be another
  return sumOf(terms.length, (at) => terms[at]!) / terms.length;
}

export function identical(terms: Terms): boolean {
  for (let i = 1; i < terms.length; i++) if (terms[i] !== terms[0]) return false;
  return terms.length > 0;
}

/**
 * Σ term(i) for i = 0 … count − 1, in this order, with what each addition loses by rounding carried along and added at last:
 * exact for whole numbers, and within a unit in the last place unless terms of both signs nearly cancel. A sum beyond
 * what float64 holds is infinite.
 * Source: T. Ogita, S. M. Rump, S. Oishi, SIAM J. Sci. Comput. 26 (2005), algorithm 4.4 (Sum2).
 */
export function sumOf(count: number, term: (at: number) => number): number {
  let sum = 0;
  let lost = 0;
  for (let at = 0; at < count; at++) {
    const added = term(at);
    const next = sum + added;
    const part = next - sum;
    lost += sum - (next - part) + (added - part);
    sum = next;
  }
  return Number.isFinite(sum) ? sum + lost : sum;
}

export function requireLevel(where: string, level: number): void {
  if (!(level > 0 && level < 1)) throw new RangeError(`${where}: expected a level between 0 and 1, got ${level}`);
}

export function requireSeed(where: string, seed: number): void {
  if (!Number.isInteger(seed)) throw new RangeError(`${where}: expected a whole number as the seed, got ${seed}`);
}

export function requireCount(where: string, count: number): void {
  if (!Number.isInteger(count) || count < 1) throw new RangeError(`${where}: expected at least 1 term, got ${count}`);
}

export function requireTerms(where: string, terms: Terms): void {
  requireCount(where, terms.length);
  for (let i = 0; i < terms.length; i++) {
    if (!Number.isFinite(terms[i])) {
      throw new RangeError(`${where}: expected finite terms, got ${terms[i]} at position ${i}`);
    }
  }
}
