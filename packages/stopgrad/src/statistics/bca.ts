// The bias-corrected and accelerated bootstrap interval (B. Efron, JASA 82, 1987): quantiles of the replicates at levels
// that are moved by how far the replicates lie off the value, and by how skew the terms are.
import { normalCumulative, normalQuantile } from "./normal.js";
import { meanOf, quantile, type Terms } from "./resampling.js";
import type { Interval } from "./summary.js";

/**
 * The bias-corrected and accelerated interval: quantiles α₁ and α₂ of the replicates,
 *
 *   α = Φ(z₀ + (z₀ + z) / (1 − a (z₀ + z))),  z = Φ⁻¹((1 ∓ level)/2)
 *   z₀ = Φ⁻¹(share of replicates below the value, those equal to it counted half)
 *   a = Σ d_i³ / (6 (Σ d_i²)^{3/2}),  d_i = mean of the leave-one-out values − value without term i
 *
 * @param value - the statistic of all terms
 * @param replicates - of the resamples
 * @param leftOut - the statistic without each term in turn
 * @returns null where all replicates lie on one side of the value, or the corrected levels leave (0, 1)
 * Source: Efron 1987; B. Efron, R. J. Tibshirani, An Introduction to the Bootstrap (1993), 14.3.
 */
export function bcaInterval(
  value: number,
  replicates: ArrayLike<number>,
  leftOut: ArrayLike<number>,
  level = 0.95,
): Interval | null {
  const centre = meanOf(leftOut);
  return correctedInterval(
    value,
    replicates,
    acceleration(leftOut, (one) => centre - one),
    level,
  );
}

/** As `bcaInterval`, with the acceleration a given; null also where that is NaN. */
export function correctedInterval(
  value: number,
  replicates: ArrayLike<number>,
  accelerated: number,
  level: number,
): Interval | null {
  const sorted = Float64Array.from(replicates).sort();
  const share = shareBelow(sorted, value);
  if (!(share > 0 && share < 1) || Number.isNaN(accelerated)) return null;
  const bias = normalQuantile(share);
  const ends = [(1 - level) / 2, (1 + level) / 2].map((p) => {
    const z = bias + normalQuantile(p);
    const divisor = 1 - accelerated * z;
    return divisor > 0 ? quantile(sorted, normalCumulative(bias + z / divisor)) : null;
  });
  const [low, high] = ends;
  return low == null || high == null ? null : [low, high];
}

/** Σ d³ / (6 (Σ d²)^{3/2}); 0 where nothing deviates. */
export function acceleration(terms: Terms, deviation: (term: number) => number): number {
  let largest = 0;
  for (let i = 0; i < terms.length; i++) largest = Math.max(largest, Math.abs(deviation(terms[i]!)));
  if (largest === 0) return 0;
  let squares = 0;
  let cubes = 0;
  for (let i = 0; i < terms.length; i++) {
    const part = deviation(terms[i]!) / largest; // neither overflows nor vanishes when cubed
    squares += part * part;
    cubes += part * part * part;
  }
  return cubes / (6 * squares ** 1.5);
}

/** Share of ascending values below one; those that differ from it by rounding alone count half. */
function shareBelow(sorted: Float64Array, value: number): number {
  const rounding = 1e-13 * Math.max(Math.abs(sorted[0]!), Math.abs(sorted[sorted.length - 1]!));
  let below = 0;
  for (const one of sorted) {
    if (one > value + rounding) break;
    below += one < value - rounding ? 1 : 0.5;
  }
  return below / sorted.length;
}
