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
 * @throws MeasureError when lengths differ or there is not one whole batch
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
  const values = z.map(() => ({ "x,z": [] as number[], "y,z": [] as number[] }));
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
          if (other) values[index]![pair].push(measure.combine(other, factor, options));
        }
      }
    });
  }
  const results: PairResult[] = [];
  for (const pair of ["x,z", "y,z"] as const) {
    if (!(pair === "x,z" ? x : y)) continue;
    for (const [index, perBatch] of values.entries()) results.push({ pair, index, ...batchMean(perBatch[pair]) });
  }
  return results;
}
