// A pair measure over mini-batches of a longer array: the mean and its standard error (arXiv 2402.09050 averages
// mini-batch estimates; the value depends on the batch size, so it is always stated).
import { scope, type Tensor } from "@stopgrad/torch";
import { MeasureError, type PairMeasure, requireUsable } from "./measure.js";
import { type OnRefusal, ofPartner, taken } from "./refusal.js";

export interface BatchMean {
  /** Mean over batches. */
  value: number;
  /** Standard error of that mean; null for a single batch. */
  standardError: number | null;
}

/** Mean and standard error of per-batch values. */
export function batchMean(values: readonly number[]): BatchMean {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (values.length < 2) return { value: mean, standardError: null };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return { value: mean, standardError: Math.sqrt(variance / values.length) };
}

/** What one batch adds to an estimate over several. */
export function batchTerms(
  measure: PairMeasure,
  a: Tensor,
  b: Tensor,
  options: Readonly<Record<string, unknown>>,
): readonly number[] {
  return measure.pooled ? measure.pooled.terms(a, b, options) : [measure.combine(a, b, options)];
}

/**
 * The estimate from the terms of all batches: their mean, or what a measure makes of the terms' means. The standard error
 * is then the jackknife's over batches, √((B − 1)/B Σ (v₋ᵢ − v̄)²) with v₋ᵢ the value without batch i, which for a mean is
 * its usual standard error. NaN where a term is not a number.
 * @throws MeasureError where the measure is undefined
 */
export function pooledMean(measure: PairMeasure, terms: readonly (readonly number[])[]): BatchMean {
  const { pooled } = measure;
  if (!pooled) return batchMean(terms.map(([value = Number.NaN]) => value));
  if (terms.some((ofBatch) => ofBatch.some(Number.isNaN))) return { value: Number.NaN, standardError: null };
  const count = terms.length;
  const total = (terms[0] ?? []).map((_, at) => terms.reduce((sum, ofBatch) => sum + ofBatch[at]!, 0));
  const value = pooled.value(total.map((sum) => sum / count));
  if (count < 2) return { value, standardError: null };
  const without = terms.map((ofBatch) =>
    valueOrNaN(
      pooled,
      total.map((sum, at) => (sum - ofBatch[at]!) / (count - 1)),
    ),
  );
  const { value: centre } = batchMean(without);
  const spread = without.reduce((sum, one) => sum + (one - centre) ** 2, 0);
  const standardError = Math.sqrt((spread * (count - 1)) / count);
  return { value, standardError: Number.isFinite(standardError) ? standardError : null };
}

/** NaN where all that varies is in the batch left out. */
function valueOrNaN(pooled: NonNullable<PairMeasure["pooled"]>, means: readonly number[]): number {
  try {
    return pooled.value(means);
  } catch (error) {
    if (error instanceof MeasureError) return Number.NaN;
    throw error;
  }
}

/** Which partner: input and representation, or label and representation. In this order in every result. */
export const pairs = ["x,z", "y,z"] as const;
export type Pair = (typeof pairs)[number];

/** Samples that are read a batch at a time, wherever they come from. */
export interface BatchSource {
  /** Samples, N. */
  readonly count: number;
  /**
   * Samples `start` to `start + count`: calls `begin` with the input and the labels, then what that returned with each
   * representation, first to last. Tensors that these make are freed when they have returned.
   */
  pass(
    start: number,
    count: number,
    begin: (x: Tensor | null, labels: Tensor | null) => (z: Tensor, at: number) => void,
  ): void;
}

/** What one batch adds to an estimate. */
export type BatchTerms = readonly number[];

/** What all batches add to the estimate of one pair of one representation, or why the measure refused one of them. */
export interface PairTerms {
  /** Of each batch; none where the pair's partner is not given. */
  readonly terms: readonly BatchTerms[];
  readonly refusal: string | null;
}

export interface PairOptions {
  /** Called before each batch with how many of how many samples are done; what it throws ends the measuring. */
  readonly breathe?: (done: number, total: number) => void;
  /** Default `throw`. */
  readonly onRefusal?: OnRefusal;
}

/**
 * The terms of each pair of each representation, over batches of `batch` samples; an incomplete last batch is dropped.
 * The factors of input and label are computed once a batch for all representations.
 *
 * @returns a map of both pairs for each representation
 * @throws MeasureError when there is not one whole batch, where the measure refuses input or labels (`x: …`), and of a
 * representation unless its refusal is to be kept
 */
export function pairTerms(
  measure: PairMeasure,
  options: Readonly<Record<string, unknown>>,
  source: BatchSource,
  batch: number,
  { breathe, onRefusal = "throw" }: PairOptions = {},
): Readonly<Record<Pair, PairTerms>>[] {
  const { count } = source;
  requireBatches(measure, count, batch);
  const found: Record<Pair, MadeTerms>[] = [];
  for (let start = 0; start + batch <= count; start += batch) {
    breathe?.(start, count);
    source.pass(start, batch, (x, labels) => {
      const factors = {
        "x,z": x && ofPartner("x", () => measure.factor(floating(x), options)),
        "y,z": labels && ofPartner("y", () => measure.labelFactor(labels, options)),
      };
      return (z, at) => {
        found[at] ??= { "x,z": { terms: [], refusal: null }, "y,z": { terms: [], refusal: null } };
        const mine = found[at];
        const open = pairs.filter((pair) => factors[pair] && mine[pair].refusal === null);
        if (open.length === 0) return;
        const factor = taken(onRefusal, () => measure.factor(floating(z), options));
        for (const pair of open) {
          const terms =
            "refusal" in factor
              ? factor
              : taken(onRefusal, () => batchTerms(measure, factors[pair]!, factor.value, options));
          if ("refusal" in terms) mine[pair].refusal = terms.refusal;
          else mine[pair].terms.push(terms.value);
        }
      };
    });
  }
  return found;
}

/** `PairTerms` on the way. */
interface MadeTerms {
  readonly terms: BatchTerms[];
  refusal: string | null;
}

function requireBatches({ smallestBatch }: PairMeasure, count: number, batch: number): void {
  if (!Number.isInteger(batch) || batch < smallestBatch) {
    throw new MeasureError(`expected batches of a whole number of samples, at least ${smallestBatch}, got ${batch}`);
  }
  if (count < batch) {
    throw new MeasureError(`expected at least one batch of ${batch} samples, got ${count}; choose a smaller batch`);
  }
}

/** Whole numbers as float64, 16-bit floats as float32, which hold them exactly; others as they are. */
export function floating(values: Tensor): Tensor {
  const { dtype } = values;
  if (dtype === "float32" || dtype === "float64") return values;
  return values.to(dtype === "float16" || dtype === "bfloat16" ? "float32" : "float64");
}

export interface PairResult extends BatchMean {
  pair: Pair;
  /** Position in the list of representations. */
  index: number;
}

/** Tensors of the same samples along their first dimension. */
export interface PairArrays {
  /** `[N, …]`, or null. */
  readonly x: Tensor | null;
  /** Labels `[N]` of an integer type, or null. */
  readonly y: Tensor | null;
  /** Each `[N, …]`. */
  readonly z: readonly Tensor[];
}

/**
 * A measure between input and each representation, and label and each representation, over batches of `batch` rows, as
 * `pairTerms` takes them: the estimate from all of them and its standard error.
 *
 * @returns all of the input, then all of the label
 * @throws MeasureError when lengths differ, there is not one whole batch, or the measure is undefined
 */
export function measurePairs(
  measure: PairMeasure,
  options: Readonly<Record<string, unknown>>,
  arrays: PairArrays,
  batch: number,
): PairResult[] {
  requireUsable(measure, options);
  const found = pairTerms(measure, options, ofTensors(arrays), batch);
  return pairs.flatMap((pair) =>
    found.flatMap(({ [pair]: { terms } }, index) =>
      terms.length === 0 ? [] : [{ pair, index, ...pooledMean(measure, terms) }],
    ),
  );
}

/** Rows of tensors, which stay the caller's. @throws MeasureError where they differ in N */
function ofTensors({ x, y, z }: PairArrays): BatchSource {
  return {
    count: sameCount({ x, y, z }),
    pass(start, size, begin) {
      scope(() => {
        const rows = (whole: Tensor) => whole.narrow(0, start, size);
        const read = begin(x && rows(x), y && rows(y));
        for (const [at, representation] of z.entries()) scope(() => read(rows(representation), at));
      });
    },
  };
}

/** N. @throws MeasureError where arrays differ in it */
export function sameCount({ x, y, z }: PairArrays): number {
  const all = [...(x ? [x] : []), ...(y ? [y] : []), ...z];
  const count = all[0]?.shape[0] ?? 0;
  for (const { shape } of all) {
    if (shape[0] === count) continue;
    throw new MeasureError(`expected the same samples in every array, got ${count} samples and [${shape.join(", ")}]`);
  }
  return count;
}
