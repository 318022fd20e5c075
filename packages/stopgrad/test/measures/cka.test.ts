// CKA: what it is invariant to, its limits, and its minibatch form against NumPy (single batches: kernels.test.ts).
import "../support/one-thread.js";
import { readFileSync } from "node:fs";
import { Generator, linalgQr, memory, randn, scope, type Tensor, tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { measurePairs, pooledMean } from "../../src/measures/batches.js";
import { cka } from "../../src/measures/cka.js";

const { x, z, batchesOfFive } = JSON.parse(
  readFileSync(new URL("../fixtures/kernels.json", import.meta.url), "utf8"),
) as { x: number[][]; z: number[][]; batchesOfFive: Record<string, number> };

const normal = (seed: number, shape: readonly number[]) =>
  randn(shape, { generator: new Generator(seed), dtype: "float64" });
const int64 = (values: readonly number[]) => tensor(BigInt64Array.from(values, BigInt));

function between(a: Tensor, b: Tensor, changes: Record<string, unknown> = {}): number {
  const options = cka.options.parse(changes);
  return scope(() => cka.combine(cka.factor(a, options), cka.factor(b, options), options));
}

describe.each([{}, { estimator: "biased" }, { kernel: "rbf", width: "median", sigma: 1 }])("%j", (changes) => {
  test("1 with itself, not changed by a rotation, a scaling or a shift, symmetric", () => {
    scope(() => {
      const [a, b] = [normal(1, [40, 6]), normal(2, [40, 4])];
      const [turn] = linalgQr(normal(3, [6, 6]));
      const value = between(a, b, changes);
      expect(between(a, a, changes)).toBeCloseTo(1, 12);
      expect(between(a, a.matmul(turn).mul(1e-3).add(5), changes)).toBeCloseTo(1, 9);
      expect(between(a.matmul(turn).mul(-70), b, changes)).toBeCloseTo(value, 9);
      expect(between(b, a, changes)).toBeCloseTo(value, 12);
      // Another linear map does change it.
      expect(
        Math.abs(between(a.mul(tensor([1, 1, 1, 1, 1, 30], { dtype: "float64" })), b, changes) - value),
      ).toBeGreaterThan(1e-3);
    });
  });
});

test("one feature each: linear biased CKA is the squared correlation", () => {
  scope(() => {
    const a = tensor([[1], [2], [4], [5]], { dtype: "float64" });
    const b = tensor([[2], [1], [5], [4]], { dtype: "float64" });
    // Deviations −2 −1 1 2 and −1 −2 2 1: 8 / 10.
    expect(between(a, b, { estimator: "biased" })).toBeCloseTo(0.64, 13);
  });
});

test("few samples of many features: independent arrays are alike for the biased one, not for the debiased", () => {
  scope(() => {
    const [a, b] = [normal(1, [32, 4000]), normal(2, [32, 4000])];
    expect(between(a, b, { estimator: "biased" })).toBeGreaterThan(0.9);
    expect(Math.abs(between(a, b))).toBeLessThan(0.1);
  });
});

describe("several batches", () => {
  const run = (changes: Record<string, unknown>, batch: number) =>
    scope(() => {
      const [a, b] = [x, z].map((rows) => tensor(rows, { dtype: "float64" })) as [Tensor, Tensor];
      return measurePairs(cka, cka.options.parse(changes), { x: a, y: null, z: [b] }, batch)[0]!;
    });

  test.each(["biased", "unbiased"])("%s: the ratio of mean HSICs, as NumPy has it", (estimator) => {
    expect(run({ estimator }, 5).value).toBeCloseTo(batchesOfFive[estimator]!, 12);
    expect(run({ estimator }, 11).standardError).toBeNull();
  });

  test("the standard error is the jackknife's, by hand", () => {
    const terms = [
      [4, 12, 12],
      [12, 12, 12],
      [20, 12, 12],
    ];
    const { value, standardError } = pooledMean(cka, terms);
    expect(value).toBeCloseTo(1, 14);
    // Without the first, second and third batch the means are 16, 12 and 8, over √(12 · 12).
    const without = [16, 12, 8].map((mean) => mean / 12);
    const spread = without.reduce((sum, one) => sum + (one - 1) ** 2, 0);
    expect(standardError).toBeCloseTo(Math.sqrt((spread * 2) / 3), 14);
  });

  test("a batch of one class adds nothing; where every batch is constant there is one clear error", () => {
    scope(() => {
      const values = normal(1, [16, 3]);
      const take = (y: readonly number[]) =>
        measurePairs(cka, cka.options.parse({}), { x: null, y: int64(y), z: [values] }, 8)[0]!;
      const mixed = [0, 1, 0, 1, 0, 1, 1, 0];
      const { value, standardError } = take([...new Array(8).fill(2), ...mixed]);
      expect(Number.isFinite(value)).toBe(true);
      expect(standardError).toBeNull();
      expect(() => take(new Array(16).fill(2))).toThrow(/constant first array \(the input or the label\)/);
    });
  });

  test("NaN terms give NaN, not an error", () => {
    expect(pooledMean(cka, [[1, 2, 3], [Number.NaN]])).toEqual({ value: Number.NaN, standardError: null });
  });
});

describe("what cannot be measured", () => {
  test.each([
    ["linear", {}],
    ["rbf", { kernel: "rbf" }],
    ["laplacian, median", { kernel: "laplacian", width: "median" }],
  ])("a constant representation, %s", (_, changes) => {
    for (const estimator of ["biased", "unbiased"]) {
      const make = () =>
        between(normal(1, [9, 3]), tensor(new Float64Array(27).fill(0.3), { shape: [9, 3] }), {
          ...changes,
          estimator,
        });
      expect(make).toThrow(/CKA is undefined: expected samples that differ, got a constant representation/);
      expect(make).toThrow(expect.objectContaining({ name: "MeasureError" }));
    }
  });

  test("fewer than four samples, NaN", () => {
    expect(() => between(normal(1, [3, 2]), normal(2, [3, 2]))).toThrow(/at least 4 samples/);
    expect(() => between(normal(1, [4, 2]).mul(Number.NaN), normal(2, [4, 2]))).toThrow(/finite/);
  });
});

test("leaves no tensor behind", () => {
  const [a, b] = [normal(1, [10, 3]), normal(2, [10, 3])];
  const before = memory().liveTensors;
  between(a, b);
  measurePairs(cka, cka.options.parse({ kernel: "rbf" }), { x: a, y: null, z: [b] }, 5);
  expect(memory().liveTensors).toBe(before);
});
