// Interval of a smooth statistic of a handful of terms, too few to resample: the jackknife with Student's t (J. W. Tukey,
// 1958). Terms must be independent.
import { identity, leaveOneOut, meanOf, type ResampledStatistic, requireCount, requireLevel } from "./resampling.js";
import { tQuantile } from "./student-t.js";
import type { Interval } from "./summary.js";

/**
 * Interval of a smooth statistic of few terms, by leaving out one after the other:
 *
 *   θ ± t((1 + level)/2; n − 1) · √((n − 1)/n · Σ (θ_(i) − mean θ_(·))²)
 *
 * Of a mean it is its t-interval, so that it is right for two terms, where resamples know two values. For ratios of means
 * it is right to first order; not for medians or maxima.
 *
 * Where all θ_(i) are the same up to rounding, there are two reasons. If every term alone has that value too, terms do not
 * differ in it, as identical ones of a mean: the interval has width 0. Else the statistic hides how they differ (two
 * batches of which each leaves the other; a maximum): the interval is null.
 *
 * @param count - terms, n
 * @param statistic - of the terms at the given positions; called n + 1 times, n more times where the θ_(i) coincide
 * @throws RangeError for no terms or a level outside (0, 1)
 * Source: J. W. Tukey, Annals of Mathematical Statistics 29 (1958); Efron and Tibshirani 1993, 11.2.
 */
export function jackknifeInterval(
  count: number,
  statistic: ResampledStatistic,
  level = 0.95,
): { value: number; interval: Interval | null; n: number } {
  requireCount("jackknifeInterval", count);
  requireLevel("jackknifeInterval", level);
  const value = statistic(identity(count));
  if (count < 2 || !Number.isFinite(value)) return { value, interval: null, n: count };
  const leftOut = leaveOneOut(count, statistic);
  if (!leftOut.every(Number.isFinite)) return { value, interval: null, n: count };
  if (allNear(leftOut, leftOut[0]!)) {
    const alone = Float64Array.from({ length: count }, (_, at) => statistic(Int32Array.of(at)));
    return { value, interval: allNear(leftOut, value) && allNear(alone, value) ? [value, value] : null, n: count };
  }
  const centre = meanOf(leftOut);
  const squares = leftOut.reduce((sum, one) => sum + (one - centre) ** 2, 0);
  const half = tQuantile((1 + level) / 2, count - 1) * Math.sqrt(((count - 1) / count) * squares);
  return { value, interval: [value - half, value + half], n: count };
}

/** Whether all are a number, up to rounding. */
function allNear(values: Float64Array, wanted: number): boolean {
  return values.every((one) => Math.abs(one - wanted) <= 1e-13 * Math.max(Math.abs(one), Math.abs(wanted)));
}
