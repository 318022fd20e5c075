// Intervals of statistics that duplicates destroy (a sample's nearest neighbour would be itself: intrinsic dimension, soft
// nearest neighbours; a duplicate adds no direction: effective rank): subsampling without replacement (D. N. Politis,
// J. P. Romano, Annals of Statistics 22, 1994). Seeded, so that the same samples always have the same interval.
import { Sfc32 } from "../data/sfc32.js";
import {
  identity,
  meanOf,
  percentileInterval,
  type ResampledStatistic,
  requireCount,
  requireLevel,
  requireSeed,
} from "./resampling.js";
import type { Interval } from "./summary.js";

export interface SubsampleOptions {
  /** Samples in a subsample, b. Default half of them. */
  size?: number;
  /** Subsamples, default 200. At least 20. */
  subsamples?: number;
  level?: number;
  seed?: number;
  /** β of the rate n^β at which the estimate approaches its limit, default 0.5; 1 for a maximum of uniform numbers. */
  rate?: number;
  /** Around what the subsamples' values are taken: see `subsampleInterval`. Default `subsamples`. */
  centre?: "subsamples" | "value";
}

export interface SubsampleInterval {
  value: number;
  /** null under four samples, and where the statistic is not finite on all of them or on a subsample. */
  interval: Interval | null;
  n: number;
  /** Samples in a subsample. */
  size: number;
}

/**
 * Interval of a statistic of n samples that duplicates would destroy, from subsamples of b samples without replacement:
 *
 *   [θ_n − s·Q(1 − α/2), θ_n − s·Q(α/2)]   Q: quantiles of θ_b − c   s = (b/n)^β / √(1 − b/n)
 *
 * Assumed: the estimate errs by a multiple of n^−β, β = `rate` (0.5 for whatever behaves like a mean, and the only rate
 * to use unless another is proved). √(1 − b/n) corrects for subsamples that share samples; with b = n/2 and β = 1/2 is
 * s = 1, the jackknife that leaves out half (C. F. J. Wu, Annals of Statistics 18, 1990).
 *
 * With `centre: "subsamples"` c is the mean over subsamples: the interval says how much the estimate at n samples
 * varies, and nothing of its bias, which for intrinsic dimension and effective rank shrinks slowly with n and is shared
 * by every stage and run measured on as many samples. With `centre: "value"` c is θ_n, as published: the bias is then
 * taken to shrink like the spread, and the interval need not contain the value.
 *
 * @param count - samples, n
 * @param statistic - of the samples at the given positions, all different, ascending
 * Time: `subsamples` + 1 calls. @throws RangeError for no samples, or a wrong option
 */
export function subsampleInterval(
  count: number,
  statistic: ResampledStatistic,
  options: SubsampleOptions = {},
): SubsampleInterval {
  const where = "subsampleInterval";
  requireCount(where, count);
  const { subsamples = 200, level = 0.95, seed = 0, rate = 0.5, centre = "subsamples" } = options;
  const size = options.size ?? Math.floor(count / 2);
  requireLevel(where, level);
  requireSeed(where, seed);
  if (!Number.isInteger(subsamples) || subsamples < 20) {
    throw new RangeError(`${where}: expected at least 20 subsamples, got ${subsamples}`);
  }
  if (!(rate > 0 && rate <= 2)) throw new RangeError(`${where}: expected a rate above 0 and at most 2, got ${rate}`);
  const value = statistic(identity(count));
  if (count < 4) return { value, interval: null, n: count, size };
  if (!Number.isInteger(size) || size < 2 || size >= count) {
    throw new RangeError(`${where}: expected subsamples of 2 to ${count - 1} of ${count} samples, got ${size}`);
  }
  const values = new Float64Array(subsamples);
  const random = new Sfc32(seed, count, size);
  const order = identity(count);
  const chosen = new Int32Array(size);
  for (let at = 0; at < subsamples; at++) {
    drawWithout(random, order, chosen);
    values[at] = statistic(chosen);
  }
  if (!Number.isFinite(value) || !values.every(Number.isFinite)) return { value, interval: null, n: count, size };
  const around = centre === "value" ? value : meanOf(values);
  const scale = (size / count) ** rate / Math.sqrt(1 - size / count);
  const [low, high] = percentileInterval(values, level);
  return { value, interval: [value - scale * (high - around), value - scale * (low - around)], n: count, size };
}

/** `chosen.length` of `order` at random, ascending: the first steps of a Fisher-Yates shuffle, which stay in `order`. */
function drawWithout(random: Sfc32, order: Int32Array, chosen: Int32Array): void {
  for (let i = 0; i < chosen.length; i++) {
    const other = i + random.integer(order.length - i);
    const held = order[i]!;
    order[i] = order[other]!;
    order[other] = held;
    chosen[i] = order[i]!;
  }
  chosen.sort();
}
