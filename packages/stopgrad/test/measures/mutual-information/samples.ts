// Samples for tests of mutual information: Gaussians of a known correlation, formula values, classes.
import { Generator, type Tensor, tensor } from "@stopgrad/torch";
import type { Finding, Sample, SampleMeasure } from "../../../src/measures/measure.js";
import { correlatedGaussians, correlationFor } from "../../../src/measures/mutual-information/index.js";
import { values } from "../../support/formula.js";

/** x and z with so much information in all, float32. */
export function gaussians(count: number, dimension: number, information: number, seed = 1): Sample {
  const generator = new Generator(seed);
  const { x, z } = correlatedGaussians(count, dimension, correlationFor(information, dimension), generator);
  generator.dispose();
  return { x: x.to("float32"), z: z.to("float32"), labels: null };
}

export const int64 = (numbers: readonly number[]): Tensor => tensor(BigInt64Array.from(numbers, BigInt));

export const float64 = (rows: readonly (readonly number[])[]): Tensor => tensor(rows, { dtype: "float64" });

/** Formula values as rows, float64. */
export function formula(name: string, count: number, features: number): number[][] {
  const all = values(name, count * features);
  return Array.from({ length: count }, (_, row) => [...all.subarray(row * features, (row + 1) * features)]);
}

/** What a measure finds, with options beside the defaults. */
export function found(
  measure: SampleMeasure,
  sample: Partial<Sample> & { z: Tensor },
  options: Record<string, unknown> = {},
): Readonly<Record<string, Finding>> {
  return measure.measure({ x: null, labels: null, ...sample }, measure.options.parse(options));
}
