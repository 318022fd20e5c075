// How sure is a number that was computed from samples or mini-batches? Intervals by resampling, for every measure:
//
// - of a mean of terms (batch values, per-sample terms), and of any statistic of them that allows duplicates, such as a
//   ratio of means: the bootstrap (B. Efron, Annals of Statistics 7, 1979), percentile and BCa (Efron, JASA 82, 1987);
// - of the difference of two such numbers from the same batches or samples: the paired bootstrap, where both sides see
//   the same resample;
// - of a smooth statistic of a handful of terms, too few to resample: the jackknife with Student's t (J. W. Tukey, 1958);
// - of statistics that duplicates destroy (a sample's nearest neighbour would be itself: intrinsic dimension, soft
//   nearest neighbours; a duplicate adds no direction: effective rank): subsampling without replacement (D. N. Politis,
//   J. P. Romano, Annals of Statistics 22, 1994).
//
// What is resampled must be independent: batches or samples of one run say nothing of another seed. Intervals over seeds
// are those of `summary.ts`. Plain numbers in and out, seeded, so that the same terms always have the same interval.
import { Sfc32 } from "../data/sfc32.js";
import { normalCumulative, normalQuantile } from "./normal.js";
import { tCumulative, tQuantile } from "./student-t.js";
import { type Interval, mean, tInterval } from "./summary.js";

/**
 * `percentile`: quantiles of the replicates. `bca`: the same with levels corrected for bias and skewness. `expanded`:
 * percentile with levels widened as Student's t is wider than the normal distribution (T. C. Hesterberg, The American
 * Statistician 69, 2015): the choice for a handful of terms, as are the batches of a run. Under 8 terms it takes no
 * resamples but the jackknife's interval, of a mean Student's t, as no quantile of resamples lies beyond the smallest and
 * the largest term: of 95 % there would be kept 47 % for 2 normal terms, 76 % for 3, 87 % for 4.
 */
export type BootstrapMethod = "bca" | "percentile" | "expanded";

/** How an interval was made: `jackknife` where `expanded` was asked for and there are fewer than 8 terms. */
export type IntervalMethod = BootstrapMethod | "jackknife";

/** Fewest terms whose resamples reach as far as Student's t asks. */
const FEWEST_RESAMPLED = 8;

export interface BootstrapOptions {
  /** Resamples, default 2000: the ends of a 95 % interval are the 50th and 1950th replicate. At least 100. */
  resamples?: number;
  /** Confidence, 0 < level < 1, default 0.95. */
  level?: number;
  /** Whole number; the same seed gives the same resamples to every call of equal length. Default 0. */
  seed?: number;
  /** Default `bca`. */
  method?: BootstrapMethod;
}

export interface BootstrapInterval {
  /** The statistic of the terms as they are. */
  value: number;
  /** null for one term, where the statistic is not finite on the terms or on a resample, and where the jackknife has none. */
  interval: Interval | null;
  /** How it was made: `percentile` also where BCa was asked for and is not defined, `jackknife` for few terms. */
  method: IntervalMethod;
  /** Terms. */
  n: number;
}

export interface BootstrapDifference {
  /** Statistic of `a` minus statistic of `b`. */
  difference: number;
  /** As in `BootstrapInterval`. */
  interval: Interval | null;
  /**
   * Share of resamples in which the difference has the other sign, in [0, 1], those without a difference counted half;
   * 0.5 where the difference is 0. About half a two-sided p-value; by the jackknife, P(T > |difference| / standard error)
   * of Student's t. null where there is no interval.
   */
  otherSide: number | null;
  method: IntervalMethod;
  /** Pairs. */
  n: number;
}

type Terms = ArrayLike<number>;

/** A number computed from the terms at these positions, which may repeat; the array is written over between calls. */
export type ResampledStatistic = (indices: Int32Array) => number;

type Checked = Required<BootstrapOptions>;

/**
 * Interval of the mean of independent terms.
 *
 * Coverage is the level's as n grows. For few terms it falls short, because resamples of n terms spread by √((n − 1)/n)
 * too little and have normal, not Student's tails: of 95 %, about 93 % are kept for 20 normal terms and 88 % for 8;
 * `method: "expanded"` makes up for both: 94 % for 8, and under 8 the t-interval's 95 %. Identical terms give an interval of width 0, at their value.
 *
 * @param terms - one or more finite numbers
 * Time O(n · resamples), memory O(n + resamples). @throws RangeError for no terms, NaN, infinity or a wrong option
 */
export function bootstrapInterval(terms: Terms, options: BootstrapOptions = {}): BootstrapInterval {
  requireTerms("bootstrapInterval", terms);
  const checked = checkOptions("bootstrapInterval", options);
  const value = meanOf(terms);
  const { interval, method } = intervalOfMean(terms, value, checked);
  return { value, interval, method, n: terms.length };
}

/**
 * Interval of any statistic of n terms that allows duplicates: `(indices) => sum(xy, indices) / sum(xx, indices)`.
 *
 * @param count - terms, n
 * @param statistic - of the terms at the given positions; called `resamples` times, and n + 1 times more for BCa
 * @throws RangeError for no terms or a wrong option
 */
export function bootstrapStatistic(
  count: number,
  statistic: ResampledStatistic,
  options: BootstrapOptions = {},
): BootstrapInterval {
  requireCount("bootstrapStatistic", count);
  const checked = checkOptions("bootstrapStatistic", options);
  const value = statistic(identity(count));
  const { interval, method } = intervalOfStatistic(count, statistic, value, checked);
  return { value, n: count, interval, method };
}

/**
 * Difference of two means over the same batches or samples: term i of `a` and term i of `b` are of the same batch, and
 * each resample takes the same batches of both.
 *
 * @param a - one or more finite numbers
 * @param b - as many
 * @throws RangeError for different lengths, no terms, NaN, infinity or a wrong option
 */
export function pairedBootstrap(a: Terms, b: Terms, options: BootstrapOptions = {}): BootstrapDifference {
  if (a.length !== b.length) {
    throw new RangeError(`pairedBootstrap: expected two lists of one length, got ${a.length} and ${b.length} terms`);
  }
  requireTerms("pairedBootstrap", a);
  requireTerms("pairedBootstrap", b);
  const checked = checkOptions("pairedBootstrap", options);
  const differences = Float64Array.from({ length: a.length }, (_, i) => a[i]! - b[i]!);
  const difference = meanOf(differences);
  const { interval, method, otherSide } = intervalOfMean(differences, difference, checked);
  return { difference, interval, otherSide: otherSide(), method, n: a.length };
}

/** As `pairedBootstrap`, of two statistics of the same terms: both are called with the same positions. */
export function pairedBootstrapStatistic(
  count: number,
  a: ResampledStatistic,
  b: ResampledStatistic,
  options: BootstrapOptions = {},
): BootstrapDifference {
  requireCount("pairedBootstrapStatistic", count);
  const checked = checkOptions("pairedBootstrapStatistic", options);
  const statistic: ResampledStatistic = (indices) => a(indices) - b(indices);
  const difference = statistic(identity(count));
  const { interval, method, otherSide } = intervalOfStatistic(count, statistic, difference, checked);
  return { difference, interval, otherSide: otherSide(), method, n: count };
}

/** Quantiles (1 − level)/2 and (1 + level)/2 of the replicates, interpolated linearly. */
export function percentileInterval(replicates: ArrayLike<number>, level = 0.95): Interval {
  const sorted = Float64Array.from(replicates).sort();
  return [quantile(sorted, (1 - level) / 2), quantile(sorted, (1 + level) / 2)];
}

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

interface Made {
  interval: Interval | null;
  method: IntervalMethod;
  /** As in `BootstrapDifference`. */
  otherSide: () => number | null;
}

const noneBy = (method: IntervalMethod): Made => ({ interval: null, method, otherSide: () => null });

function intervalOfMean(terms: Terms, value: number, options: Checked): Made {
  const { method, level } = options;
  if (terms.length < 2) return noneBy(method);
  if (tooFew(terms.length, options))
    return byJackknife(value, tInterval(Array.from(terms), level), terms.length, level);
  if (identical(terms)) {
    return { interval: [value, value], method, otherSide: () => shareOnOtherSide(value, Float64Array.of(value)) };
  }
  const random = new Sfc32(options.seed, terms.length);
  const replicates = new Float64Array(options.resamples);
  for (let at = 0; at < replicates.length; at++) {
    let sum = 0;
    // Deviations from the mean are summed, so that terms far from 0 lose nothing.
    for (let draw = 0; draw < terms.length; draw++) sum += terms[random.integer(terms.length)]! - value;
    replicates[at] = value + sum / terms.length;
  }
  // The mean without term i is the mean less (term − mean)/(n − 1): d_i is proportional to the deviation.
  const skewness = () => acceleration(terms, (term) => term - value);
  return fromResamples(value, replicates, skewness, terms.length, options);
}

function intervalOfStatistic(count: number, statistic: ResampledStatistic, value: number, options: Checked): Made {
  if (count < 2 || !Number.isFinite(value)) return noneBy(options.method);
  if (tooFew(count, options)) {
    return byJackknife(value, jackknifeInterval(count, statistic, options.level).interval, count, options.level);
  }
  const random = new Sfc32(options.seed, count);
  const indices = new Int32Array(count);
  const replicates = new Float64Array(options.resamples);
  for (let at = 0; at < replicates.length; at++) {
    for (let draw = 0; draw < count; draw++) indices[draw] = random.integer(count);
    replicates[at] = statistic(indices);
  }
  if (!replicates.every(Number.isFinite)) return noneBy(options.method);
  const skewness = () => {
    const leftOut = leaveOneOut(count, statistic);
    if (!leftOut.every(Number.isFinite)) return Number.NaN;
    const centre = meanOf(leftOut);
    return acceleration(leftOut, (one) => centre - one);
  };
  return fromResamples(value, replicates, skewness, count, options);
}

function tooFew(count: number, { method }: Checked): boolean {
  return method === "expanded" && count < FEWEST_RESAMPLED;
}

function byJackknife(value: number, interval: Interval | null, count: number, level: number): Made {
  if (interval === null) return noneBy("jackknife");
  const standardError = (interval[1] - interval[0]) / 2 / tQuantile((1 + level) / 2, count - 1);
  const otherSide = () => {
    if (value === 0) return 0.5;
    return standardError === 0 ? 0 : tCumulative(-Math.abs(value) / standardError, count - 1);
  };
  return { interval, method: "jackknife", otherSide };
}

function fromResamples(
  value: number,
  replicates: Float64Array,
  skewness: () => number,
  count: number,
  options: Checked,
): Made {
  return {
    ...intervalOf(value, replicates, skewness, count, options),
    otherSide: () => shareOnOtherSide(value, replicates),
  };
}

function intervalOf(
  value: number,
  replicates: Float64Array,
  skewness: () => number,
  count: number,
  { level, method }: Checked,
): { interval: Interval; method: BootstrapMethod } {
  if (method === "expanded") return { interval: percentileInterval(replicates, expandedLevel(level, count)), method };
  const corrected = method === "bca" ? correctedInterval(value, replicates, skewness(), level) : null;
  if (corrected !== null) return { interval: corrected, method };
  return { interval: percentileInterval(replicates, level), method: "percentile" };
}

/** The level whose normal quantile, times √((n − 1)/n), is Student's at the wanted level. */
function expandedLevel(level: number, count: number): number {
  const wide = Math.sqrt(count / (count - 1)) * tQuantile((1 + level) / 2, count - 1);
  return 1 - 2 * normalCumulative(-wide);
}

function correctedInterval(
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
function acceleration(terms: Terms, deviation: (term: number) => number): number {
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

function leaveOneOut(count: number, statistic: ResampledStatistic): Float64Array {
  const indices = new Int32Array(count - 1);
  return Float64Array.from({ length: count }, (_, out) => {
    for (let i = 0; i < count - 1; i++) indices[i] = i < out ? i : i + 1;
    return statistic(indices);
  });
}

function shareOnOtherSide(difference: number, replicates: Float64Array): number {
  if (difference === 0) return 0.5;
  let others = 0;
  for (const one of replicates) others += one === 0 ? 0.5 : Math.sign(one) === Math.sign(difference) ? 0 : 1;
  return others / replicates.length;
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

/** Of ascending values; between two neighbours on the straight line from one to the other. */
function quantile(sorted: Float64Array, p: number): number {
  const place = p * (sorted.length - 1);
  const below = Math.floor(place);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return low + (place - below) * (high - low);
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

function identical(terms: Terms): boolean {
  for (let i = 1; i < terms.length; i++) if (terms[i] !== terms[0]) return false;
  return true;
}

/** Whether all are a number, up to rounding. */
function allNear(values: Float64Array, wanted: number): boolean {
  return values.every((one) => Math.abs(one - wanted) <= 1e-13 * Math.max(Math.abs(one), Math.abs(wanted)));
}

function identity(count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => i);
}

function meanOf(terms: Terms): number {
  return mean(Array.from(terms));
}

function checkOptions(where: string, options: BootstrapOptions): Checked {
  const { resamples = 2000, level = 0.95, seed = 0, method = "bca" } = options;
  if (!Number.isInteger(resamples) || resamples < 100) {
    throw new RangeError(`${where}: expected at least 100 resamples, got ${resamples}`);
  }
  requireLevel(where, level);
  requireSeed(where, seed);
  return { resamples, level, seed, method };
}

function requireLevel(where: string, level: number): void {
  if (!(level > 0 && level < 1)) throw new RangeError(`${where}: expected a level between 0 and 1, got ${level}`);
}

function requireSeed(where: string, seed: number): void {
  if (!Number.isInteger(seed)) throw new RangeError(`${where}: expected a whole number as the seed, got ${seed}`);
}

function requireCount(where: string, count: number): void {
  if (!Number.isInteger(count) || count < 1) throw new RangeError(`${where}: expected at least 1 term, got ${count}`);
}

function requireTerms(where: string, terms: Terms): void {
  requireCount(where, terms.length);
  for (let i = 0; i < terms.length; i++) {
    if (!Number.isFinite(terms[i])) {
      throw new RangeError(`${where}: expected finite terms, got ${terms[i]} at position ${i}`);
    }
  }
}
