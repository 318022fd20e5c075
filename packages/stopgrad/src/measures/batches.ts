// A pair measure over mini-batches of a longer array: the mean and its standard error (arXiv 2402.09050 averages
// mini-batch estimates; the value depends on the batch size, so it is always stated).
import { scope, type Tensor } from "@stopgrad/torch";
import { MeasureError, type PairMeasure } from "./measure.js";

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

export interface PairResult extends BatchMean {
  pair: "x,z" | "y,z";
  /** Position in the list of representations. */
  index: number;
}

/**
 * A measure between input and each representation, and label and each representation, over batches of `batch` rows; an
 * incomplete last batch is dropped. The factors of input and label are computed once a batch for all representations.
 *
 * @param x - `[N, …]` or null
 * @param y - labels `[N]` of an integer type, or null
 * @param z - each `[N, …]`, same N
 * @throws MeasureError when lengths differ, there is not one whole batch, or the measure is undefined
 */
export function measurePairs(
  measure: PairMeasure,
  options: Readonly<Record<string, unknown>>,
  arrays: { x: Tensor | null; y: Tensor | null; z: readonly Tensor[] },
  batch: number,
): PairResult[] {
  const { x, y, z } = arrays;
  const given = [...(x ? [x] : []), ...(y ? [y] : []), ...z];
  const count = given[0]?.shape[0] ?? 0;
  for (const { shape } of given) {
    if (shape[0] !== count) {
      throw new MeasureError(
        `expected the same samples in every array, got ${count} samples and [${shape.join(", ")}]`,
      );
    }
  }
  if (!Number.isInteger(batch) || batch < measure.smallestBatch) {
    throw new MeasureError(
      `expected batches of a whole number of samples, at least ${measure.smallestBatch}, got ${batch}`,
    );
  }
  if (count < batch) {
    throw new MeasureError(`expected at least one batch of ${batch} samples, got ${count}; choose a smaller batch`);
  }
  const values = z.map(() => ({ "x,z": [] as (readonly number[])[], "y,z": [] as (readonly number[])[] }));
  for (let start = 0; start + batch <= count; start += batch) {
    scope(() => {
      const rows = (tensor: Tensor) => tensor.narrow(0, start, batch);
      const factors = {
        "x,z": x && measure.factor(rows(x), options),
        "y,z": y && measure.labelFactor(rows(y), options),
      };
      for (const [index, representation] of z.entries()) {
        const factor = measure.factor(rows(representation), options);
        for (const pair of ["x,z", "y,z"] as const) {
          const other = factors[pair];
          if (other) values[index]![pair].push(batchTerms(measure, other, factor, options));
        }
      }
    });
  }
  const results: PairResult[] = [];
  for (const pair of ["x,z", "y,z"] as const) {
    if (!(pair === "x,z" ? x : y)) continue;
    for (const [index, terms] of values.entries()) results.push({ pair, index, ...pooledMean(measure, terms[pair]) });
  }
  return results;
}
