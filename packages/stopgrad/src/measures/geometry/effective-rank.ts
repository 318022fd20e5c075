// How many directions a set of features fills.
import type { CentredRows } from "./products.js";

/** Squared singular values below this part of the largest, times N, are what rounding leaves of 0. */
const PRECISION = 2 ** -52;

export interface EffectiveRank {
  /** exp(−Σ p log p) with p_k = s_k / Σ s. */
  effectiveRank: number;
  /** (Σ s²)² / Σ s⁴. */
  participationRatio: number;
}

/**
 * Effective rank and participation ratio of features with singular values s_k (of the centred features `[N, D]`, square
 * roots of N times the covariance's eigenvalues): 1 for one direction, min(N − 1, D) when all are filled alike. The first
 * is of singular values, the second of variances, and so lower. Values below √(N 2⁻⁵²) of the largest count as 0. NaN for
 * features that do not vary. Both are biased downward while N is not far above D.
 *
 * Source: Roy & Vetterli, EUSIPCO 2007.
 *
 * Time O(N D min(N, D)), memory O(min(N, D)²).
 */
export function effectiveRank(rows: CentredRows): EffectiveRank {
  const squares = rows.squaredSingularValues();
  const largest = squares[squares.length - 1]!;
  if (largest <= rows.negligible * rows.count) return { effectiveRank: Number.NaN, participationRatio: Number.NaN };
  // Scaled, so that no sum overflows or vanishes.
  const smallest = rows.count * PRECISION;
  const kept = Array.from(squares, (square) => square / largest).filter((square) => square > smallest);
  const total = kept.reduce((sum, square) => sum + Math.sqrt(square), 0);
  const entropy = kept.reduce((sum, square) => {
    const p = Math.sqrt(square) / total;
    return sum - p * Math.log(p);
  }, 0);
  const second = kept.reduce((sum, square) => sum + square, 0);
  const fourth = kept.reduce((sum, square) => sum + square * square, 0);
  return { effectiveRank: Math.exp(entropy), participationRatio: (second * second) / fourth };
}
