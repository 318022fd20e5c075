// Measures of representations, wherever those come from: every kind of measure gives rows of one form, each with what its
// interval is made of. And intervals, and differences of two networks measured on the same samples.
import { scope, type Tensor, tensor } from "@stopgrad/torch";
import { type BatchTerms, pairs, pairTerms, pooledMean } from "../measures/batches.js";
import { type FullSetMeasure, type FullSetPartners, fullSetPartners } from "../measures/full-set.js";
import {
  type FindingKey,
  MeasureError,
  type PairMeasure,
  type ProbeMeasure,
  type SampleMeasure,
} from "../measures/index.js";
import { hasPartner, pairsOption } from "../measures/mutual-information/pairs.js";
import { type OnRefusal, taken } from "../measures/refusal.js";
import {
  bootstrapInterval,
  bootstrapStatistic,
  type Interval,
  meanOf,
  pairedBootstrap,
  pairedBootstrapStatistic,
  type ResampledStatistic,
  subsampleInterval,
} from "../statistics/index.js";
import { collect, type Representations } from "./representations.js";

type Options = Readonly<Record<string, unknown>>;

/** Called before each piece of work with how many of how many samples are done; what it throws ends the measuring. */
export type Breathe = (done: number, total: number) => void;
const nothing: Breathe = () => {};

/** What an interval is made of. */
export type Evidence =
  /** What each mini-batch adds, and the value of some of the batches by their positions, which may repeat. */
  | { readonly of: "batches"; readonly batches: number; readonly statistic: ResampledStatistic }
  /** A term of each sample, whose mean the value is. */
  | { readonly of: "samples"; readonly terms: ArrayLike<number> }
  /** The value of some of the samples, by their positions. */
  | { readonly of: "subsamples"; readonly samples: number; readonly statistic: ResampledStatistic }
  | { readonly of: "nothing" };

/** One number found of one representation. */
export interface Measured {
  /** Place of the representation in its source. */
  readonly at: number;
  /** `x,z` and `y,z` of a pair measure, `train` and `test` of a probe, else a key. */
  readonly what: string;
  /** NaN where it is undefined. */
  readonly value: number;
  /** Of a mean over mini-batches, null for a single one; absent where the value is none. */
  readonly standardError?: number | null;
  readonly evidence: Evidence;
  /** What should be said of it, such as a solver that did not converge. */
  readonly remark?: string;
  /** Why the measure refused this representation, in its words; the value is NaN then. */
  readonly refusal?: string;
}

/** The row of a refusal. */
function refused(at: number, what: string, refusal: string): Measured {
  return { at, what, value: Number.NaN, evidence: { of: "nothing" }, refusal };
}

/**
 * A pair measure over batches of `batch` samples, the incomplete last one dropped: rows for `x,z`, then for `y,z`.
 * @throws MeasureError when there is not one whole batch, and as the measure
 */
export function measurePairsOf(
  measure: PairMeasure,
  options: Options,
  source: Representations,
  batch: number,
  breathe = nothing,
  onRefusal: OnRefusal = "throw",
): Measured[] {
  const found = pairTerms(measure, options, source, batch, { breathe, onRefusal });
  return pairs.flatMap((pair) =>
    found.flatMap((values, at): Measured[] => {
      const { terms, refusal } = values[pair];
      if (refusal !== null) return [refused(at, pair, refusal)];
      if (terms.length === 0) return [];
      const mean = taken(onRefusal, () => pooledMean(measure, terms));
      if ("refusal" in mean) return [refused(at, pair, mean.refusal)];
      const statistic = (indices: Int32Array) =>
        estimateOf(
          measure,
          Array.from(indices, (batch) => terms[batch]!),
        );
      const evidence = { of: "batches", batches: terms.length, statistic } as const;
      return [{ at, what: pair, ...mean.value, evidence }];
    }),
  );
}

/** The estimate of these batches; NaN where it is undefined. */
function estimateOf({ pooled }: PairMeasure, terms: readonly BatchTerms[]): number {
  const means = terms[0]!.map((_, at) => terms.reduce((sum, ofBatch) => sum + ofBatch[at]!, 0) / terms.length);
  try {
    return pooled ? pooled.value(means) : means[0]!;
  } catch (error) {
    if (error instanceof MeasureError) return Number.NaN;
    throw error;
  }
}

/**
 * A pair measure of all samples at once, as by `fullSet`: rows for `x,z`, then for `y,z`.
 *
 * Memory: one representation of all samples at a time as `visit` has it, beside what is made of input and labels, once.
 * @throws MeasureError as `fullSet`
 */
export function measureFullSetOf(
  name: FullSetMeasure,
  options: Options,
  source: Representations,
  breathe = nothing,
  onRefusal: OnRefusal = "throw",
): Measured[] {
  const rows: Measured[] = [];
  const { count, labels } = source;
  let partners = null as FullSetPartners | null;
  try {
    source.visit((z, at, x) => {
      breathe(at, source.names.length);
      partners ??= fullSetPartners(name, { x, y: labels, count }, options);
      const against = partners;
      const found = taken(onRefusal, () => against.measure(z));
      for (const pair of pairs) {
        if (!(pair === "x,z" ? x : labels)) continue;
        const row = { at, what: pair, evidence: { of: "nothing" } } as const;
        rows.push("refusal" in found ? refused(at, pair, found.refusal) : { ...row, value: found.value[pair]! });
      }
    });
  } finally {
    partners?.dispose();
  }
  return rows.sort((a, b) => (a.what === b.what ? a.at - b.at : a.what < b.what ? -1 : 1));
}

/**
 * A measure of whole sets of samples: a row for each representation and key, but for keys whose partner, input or
 * labels, is not given or not asked for.
 * @param resampled - whether values that are no mean over samples are to have an interval too, from subsamples
 * @throws MeasureError as the measure, for too few samples, and where it needs an input or labels that are not there
 */
export function measureSamplesOf(
  measure: SampleMeasure,
  options: Options,
  source: Representations,
  resampled: boolean,
  breathe = nothing,
  onRefusal: OnRefusal = "throw",
): Measured[] {
  requireSample(measure, source);
  const keys = keysOf(measure, options, source);
  const labels = source.labels && withoutGaps(source.labels);
  const rows: Measured[] = [];
  try {
    source.visit((z, at, x) => {
      breathe(at, source.names.length);
      const sample = { z: inFloat32(z), x: x && inFloat32(x), labels };
      const found = taken(onRefusal, () => findingsOf(measure, keys, options, sample, at, resampled));
      rows.push(...("value" in found ? found.value : keys.map(({ key }) => refused(at, key, found.refusal))));
    });
  } finally {
    labels?.dispose();
  }
  return rows;
}

function findingsOf(
  measure: SampleMeasure,
  keys: readonly FindingKey[],
  options: Options,
  sample: { z: Tensor; x: Tensor | null; labels: Tensor | null },
  at: number,
  resampled: boolean,
): Measured[] {
  const found = scope(() => measure.measure(sample, options));
  const samples = sample.z.size(0);
  const statistics = resampled ? subsampled(measure, keys, options, sample) : null;
  return keys.map(({ key }): Measured => {
    const { value, terms } = found[key]!;
    if (terms) return { at, what: key, value, evidence: { of: "samples", terms } };
    const statistic = statistics?.(key);
    return { at, what: key, value, evidence: statistic ? { of: "subsamples", samples, statistic } : { of: "nothing" } };
  });
}

/** Subsamples of half of the samples that an interval is made of; each costs a measure of half the samples. */
export const SUBSAMPLES = 100;

/** Statistics that answer from memory: every subsample is measured once, for all keys, now. */
function subsampled(
  measure: SampleMeasure,
  keys: readonly FindingKey[],
  options: Options,
  { z, x, labels }: { z: Tensor; x: Tensor | null; labels: Tensor | null },
): (key: string) => ResampledStatistic {
  const known = new Map<string, Readonly<Record<string, number>>>();
  const of = (indices: Int32Array): Readonly<Record<string, number>> => {
    const name = Buffer.from(indices.buffer, indices.byteOffset, indices.byteLength).toString("latin1");
    const before = known.get(name);
    if (before) return before;
    const values = scope(() => {
      const rows = tensor(BigInt64Array.from(indices, BigInt), z.device === "cpu" ? {} : { device: z.device });
      const take = (whole: Tensor) => whole.indexSelect(0, rows);
      try {
        const sample = { z: take(z), x: x && take(x), labels: labels && withoutGaps(take(labels)) };
        const found = measure.measure(sample, options);
        return Object.fromEntries(keys.map(({ key }) => [key, found[key]!.value]));
      } catch (error) {
        if (!(error instanceof MeasureError)) throw error;
        return Object.fromEntries(keys.map(({ key }) => [key, Number.NaN])); // too few of a class are left
      }
    });
    known.set(name, values);
    return values;
  };
  const statisticOf =
    (key: string): ResampledStatistic =>
    (indices) =>
      of(indices)[key]!;
  subsampleInterval(z.size(0), statisticOf(keys[0]!.key), { subsamples: SUBSAMPLES });
  return statisticOf;
}

/** What can be found with what is given. @throws MeasureError where nothing can */
function keysOf({ keys }: SampleMeasure, options: Options, { hasInput, labels }: Representations): FindingKey[] {
  const asked = pairsOption.safeParse(options.pairs).data;
  const found = keys.filter(({ key }) => hasPartner(key, { x: hasInput, labels: labels !== null }, asked));
  if (found.length > 0) return found;
  const expected = hasInput ? "labels of the samples (--y)" : "the input of the samples (--x)";
  throw new MeasureError(`expected ${hasInput || labels ? expected : "an input (--x), labels (--y) or both"}`);
}

/** A probe fitted on one source and scored on another with the same representations: rows `train` and `test` of each. */
export function measureProbesOf(
  measure: ProbeMeasure,
  options: Options,
  train: Representations,
  test: Representations,
  breathe = nothing,
  onRefusal: OnRefusal = "throw",
): Measured[] {
  if (!train.labels || !test.labels) throw new MeasureError("expected labels of the training and of the test samples");
  return scope(() => {
    const count = Math.min(measure.trainingImages(options) ?? train.count, train.count);
    const total = count + test.count;
    const reduce = (z: Tensor) => measure.reduce(asImageFeatures(z));
    const ofTrain = collect(train, count, reduce, (done) => breathe(done, total));
    const ofTest = collect(test, test.count, reduce, (done) => breathe(count + done, total));
    return train.names.flatMap((_, at): Measured[] => {
      const features = {
        train: ofTrain[at]!,
        trainLabels: train.labels!.narrow(0, 0, count),
        test: ofTest[at]!,
        testLabels: test.labels!,
        classes: train.classes,
      };
      const fit = taken(onRefusal, () => measure.fit(features, options, () => breathe(total, total)));
      if ("refusal" in fit) return ["train", "test"].map((what) => refused(at, what, fit.refusal));
      const { testCorrect, testCrossEntropy, solver, ...score } = fit.value;
      const remark =
        solver?.converged === false
          ? `the solver stopped after ${solver.iterations} iterations at a gradient of ${solver.largestGradient.toPrecision(2)}`
          : null;
      return [
        // Of the samples that it was fitted on: no estimate that resampling could say anything of.
        { at, what: "train", value: score.train, evidence: { of: "nothing" }, ...(remark ? { remark } : {}) },
        { at, what: "test", value: score.test, evidence: { of: "samples", terms: testCorrect } },
        ...(testCrossEntropy?.terms
          ? [
              {
                at,
                what: "testCrossEntropy",
                value: testCrossEntropy.value,
                evidence: { of: "samples", terms: testCrossEntropy.terms } as const,
              },
            ]
          : []),
      ];
    });
  });
}

/** Confidence and resamples of intervals. */
export interface IntervalOptions {
  /** In (0, 1). */
  readonly level: number;
  /** At least 100. */
  readonly resamples: number;
}

/** Few terms, as are a run's batches, need the wider interval. */
const methodFor = (terms: number) => (terms < 50 ? "expanded" : "bca");

/** [low, high] of a value; null where there is nothing to make it of. */
export function intervalOf({ value, evidence }: Measured, { level, resamples }: IntervalOptions): Interval | null {
  if (!Number.isFinite(value)) return null;
  switch (evidence.of) {
    case "batches": {
      const { batches, statistic } = evidence;
      if (batches < 2) return null;
      return bootstrapStatistic(batches, statistic, { level, resamples, method: methodFor(batches) }).interval;
    }
    case "samples": {
      const { terms } = evidence;
      if (terms.length < 2 || !everyFinite(terms)) return null;
      const { interval, method } = bootstrapInterval(terms, { level, resamples, method: methodFor(terms.length) });
      if (interval === null || method === "jackknife") return interval; // of so few terms others may lie beyond them
      // The mean of many lies between them: rounding, and an interval that is widened, may leave that range.
      const [least, most] = rangeOf(terms);
      return [Math.max(interval[0], least), Math.min(interval[1], most)];
    }
    case "subsamples":
      return subsampleInterval(evidence.samples, evidence.statistic, { level, subsamples: SUBSAMPLES }).interval;
    case "nothing":
      return null;
  }
}

/** How far apart two networks are. */
export interface MeasuredDifference {
  readonly difference: number;
  /** Over the same batches, samples or subsamples of both; null where there is nothing to make it of. */
  readonly interval: Interval | null;
}

/** `a` minus `b`: one measure of two networks on the same samples in the same batches. */
export function differenceOf(a: Measured, b: Measured, { level, resamples }: IntervalOptions): MeasuredDifference {
  const difference = differenceOfValues(a, b);
  return { difference, interval: Number.isFinite(difference) ? intervalOfDifference(a, b, level, resamples) : null };
}

/** Of means over the same samples the mean of the terms' differences: of right answers counted, and divided once. */
function differenceOfValues({ value, evidence }: Measured, other: Measured): number {
  if (evidence.of !== "samples" || other.evidence.of !== "samples") return value - other.value;
  const [mine, others] = [evidence.terms, other.evidence.terms];
  const isPaired = mine.length === others.length && everyFinite(mine) && everyFinite(others);
  return isPaired ? meanOf(Float64Array.from(mine, (term, at) => term - others[at]!)) : value - other.value;
}

function intervalOfDifference(a: Measured, b: Measured, level: number, resamples: number): Interval | null {
  const [mine, other] = [a.evidence, b.evidence];
  if (mine.of === "batches" && other.of === "batches") {
    const { batches } = mine;
    if (batches < 2 || other.batches !== batches) return null;
    const options = { level, resamples, method: methodFor(batches) } as const;
    return pairedBootstrapStatistic(batches, mine.statistic, other.statistic, options).interval;
  }
  if (mine.of === "samples" && other.of === "samples") {
    const { length } = mine.terms;
    if (length < 2 || length !== other.terms.length || !everyFinite(mine.terms) || !everyFinite(other.terms))
      return null;
    return pairedBootstrap(mine.terms, other.terms, { level, resamples, method: methodFor(length) }).interval;
  }
  if (mine.of === "subsamples" && other.of === "subsamples" && mine.samples === other.samples) {
    const statistic: ResampledStatistic = (indices) => mine.statistic(indices) - other.statistic(indices);
    return subsampleInterval(mine.samples, statistic, { level, subsamples: SUBSAMPLES }).interval;
  }
  return null;
}

function rangeOf(terms: ArrayLike<number>): [number, number] {
  return Array.from(terms).reduce<[number, number]>(
    ([least, most], term) => [Math.min(least, term), Math.max(most, term)],
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  );
}

function everyFinite(terms: ArrayLike<number>): boolean {
  return Array.from(terms).every(Number.isFinite);
}

/** @throws MeasureError for what is missing */
function requireSample({ needs, smallestSample }: SampleMeasure, { count, labels, hasInput }: Representations): void {
  if (needs.includes("labels") && !labels) throw new MeasureError("expected labels of the samples (--y)");
  if (needs.includes("x") && !hasInput) throw new MeasureError("expected the input of the samples (--x)");
  if (count < smallestSample) throw new MeasureError(`expected at least ${smallestSample} samples, got ${count}`);
}

/** Of a whole array: what is no float32 or float64 becomes float32. */
function inFloat32(values: Tensor): Tensor {
  return values.dtype === "float32" || values.dtype === "float64" ? values : values.to("float32");
}

/** Samples of more than three dimensions as vectors: no map and no tokens that a probe could pool. */
function asImageFeatures(z: Tensor): Tensor {
  return z.dim > 4 ? z.reshape([z.size(0), -1]) : z.dim === 1 ? z.reshape([-1, 1]) : z;
}

/** The same classes numbered from 0 without gaps: a part of a set may lack some. */
function withoutGaps(labels: Tensor): Tensor {
  const values = labels.toNumbers();
  const classes = [...new Set(values)].sort((a, b) => a - b);
  if (classes.at(-1) === classes.length - 1) return labels.clone();
  const numbers = new Map(classes.map((value, number) => [value, BigInt(number)]));
  const device = labels.device === "cpu" ? {} : { device: labels.device };
  return tensor(
    BigInt64Array.from(values, (value) => numbers.get(value)!),
    device,
  );
}
