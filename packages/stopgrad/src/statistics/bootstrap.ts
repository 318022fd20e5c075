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
import { tQuantile } from "./student-t.js";
import { type Interval, mean } from "./summary.js";

/**
 * `percentile`: quantiles of the replicates. `bca`: the same with levels corrected for bias and skewness. `expanded`:
 * percentile with levels widened as Student's t is wider than the normal distribution (T. C. Hesterberg, The American
 * Statistician 69, 2015): the choice for a handful of terms, as are the batches of a run.
 */
export type BootstrapMethod = "bca" | "percentile" | "expanded";

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
  /** null for one term, and where the statistic is not finite on the terms or on a resample. */
  interval: Interval | null;
  /** How it was made: `percentile` also where BCa was asked for and is not defined. */
  method: BootstrapMethod;
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
   * 0.5 where the difference is 0. About half a two-sided p-value. null where there is no interval.
   */
  otherSide: number | null;
  method: BootstrapMethod;
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
 * `method: "expanded"` makes up for both. Identical terms give an interval of width 0, at their value.
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
  const { interval, method, replicates } = intervalOfMean(differences, difference, checked);
  const otherSide = interval === null ? null : shareOnOtherSide(difference, replicates);
  return { difference, interval, otherSide, method, n: a.length };
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
  const { interval, method, replicates } = intervalOfStatistic(count, statistic, difference, checked);
  const otherSide = interval === null ? null : shareOnOtherSide(difference, replicates);
  return { difference, interval, otherSide, method, n: count };
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
 * @param count - terms, n
 * @param statistic - of the terms at the given positions; called n + 1 times
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
  method: BootstrapMethod;
  replicates: Float64Array;
}

function intervalOfMean(terms: Terms, value: number, options: Checked): Made {
  const { method } = options;
  if (terms.length < 2) return { interval: null, method, replicates: empty };
  if (identical(terms)) return { interval: [value, value], method, replicates: Float64Array.of(value) };
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
  return { ...intervalOf(value, replicates, skewness, terms.length, options), replicates };
}

const empty = new Float64Array();

function intervalOfStatistic(count: number, statistic: ResampledStatistic, value: number, options: Checked): Made {
  const none = { interval: null, method: options.method, replicates: empty };
  if (count < 2 || !Number.isFinite(value)) return none;
  const random = new Sfc32(options.seed, count);
  const indices = new Int32Array(count);
  const replicates = new Float64Array(options.resamples);
  for (let at = 0; at < replicates.length; at++) {
    for (let draw = 0; draw < count; draw++) indices[draw] = random.integer(count);
    replicates[at] = statistic(indices);
  }
  if (!replicates.every(Number.isFinite)) return none;
  const skewness = () => {
    const leftOut = leaveOneOut(count, statistic);
    if (!leftOut.every(Number.isFinite)) return Number.NaN;
    const centre = meanOf(leftOut);
    return acceleration(leftOut, (one) => centre - one);
  };
  return { ...intervalOf(value, replicates, skewness, count, options), replicates };
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
