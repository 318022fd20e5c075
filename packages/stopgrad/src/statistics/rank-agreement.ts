// Do two lists put the same things in the same order? Rank correlations, which no monotone change of scale alters.
import { ranks } from "./rank-correlation.js";

/**
 * Kendall's τ_b = (concordant − discordant pairs) / √(pairs not tied in a · pairs not tied in b), in [−1, 1]: 1 for the
 * same order, −1 for the opposite one. NaN where all values of a list are equal. Time O(n²).
 *
 * @param a - two or more numbers
 * @param b - as many, of the same things
 * Source: M. G. Kendall, Biometrika 33 (1945).
 */
export function kendallTau(a: readonly number[], b: readonly number[]): number {
  requirePairs("kendallTau", a, b);
  let agreement = 0;
  let untiedA = 0;
  let untiedB = 0;
  for (let i = 0; i < a.length; i++) {
    for (let j = 0; j < i; j++) {
      const signA = Math.sign(a[i]! - a[j]!);
      const signB = Math.sign(b[i]! - b[j]!);
      agreement += signA * signB;
      untiedA += Math.abs(signA);
      untiedB += Math.abs(signB);
    }
  }
  return agreement / Math.sqrt(untiedA * untiedB);
}

/**
 * Spearman's ρ: the correlation of ranks, ties at the mean of their ranks; in [−1, 1], NaN where all values of a list
 * are equal.
 */
export function spearmanRho(a: readonly number[], b: readonly number[]): number {
  requirePairs("spearmanRho", a, b);
  const ranksA = ranks(a);
  const ranksB = ranks(b);
  const middle = (a.length + 1) / 2;
  let product = 0;
  let squareA = 0;
  let squareB = 0;
  for (const [i, rank] of ranksA.entries()) {
    product += (rank - middle) * (ranksB[i]! - middle);
    squareA += (rank - middle) ** 2;
    squareB += (ranksB[i]! - middle) ** 2;
  }
  return product / Math.sqrt(squareA * squareB);
}

function requirePairs(where: string, a: readonly number[], b: readonly number[]): void {
  if (a.length !== b.length || a.length < 2) {
    throw new RangeError(`${where}: expected two lists of one length, at least 2, got ${a.length} and ${b.length}`);
  }
  const wrong = [...a, ...b].find((value) => Number.isNaN(value));
  if (wrong !== undefined) throw new RangeError(`${where}: expected numbers, got NaN`);
}
