// Kernels, widths and estimators against figures recorded from NumPy (fixtures/record-kernels.py), and the median width.
import "../support/one-thread.js";
import { readFileSync } from "node:fs";
import { Generator, memory, randn, resetPeakBytes, scope, type Tensor, tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { cka } from "../../src/measures/cka.js";
import { hsic } from "../../src/measures/hsic.js";
import { centre, gramMatrix, type KernelSettings, squaredDistances, uCentre } from "../../src/measures/kernels.js";
import type { PairMeasure } from "../../src/measures/measure.js";
import { nhsic } from "../../src/measures/nhsic.js";

interface Recorded {
  epsilon: number;
  x: number[][];
  z: number[][];
  y: number[];
  cases: {
    options: KernelSettings;
    nhsic: number[];
    hsic: Record<string, number[]>;
    cka: Record<string, number[]>;
  }[];
}

const recorded = JSON.parse(readFileSync(new URL("../fixtures/kernels.json", import.meta.url), "utf8")) as Recorded;
const float64 = (values: number[][]) => tensor(values, { dtype: "float64" });
const int64 = (values: readonly number[]) => tensor(BigInt64Array.from(values, BigInt));

/** With the input and with the label. */
function valuesOf(measure: PairMeasure, options: Record<string, unknown>): number[] {
  return scope(() => {
    const z = measure.factor(float64(recorded.z), options);
    return [measure.factor(float64(recorded.x), options), measure.labelFactor(int64(recorded.y), options)].map(
      (other) => measure.combine(other, z, options),
    );
  });
}

describe.each(recorded.cases.map((one) => [JSON.stringify(one.options), one] as const))("%s", (_, one) => {
  const close = (actual: number[], expected: number[]) => {
    for (const [at, value] of expected.entries()) {
      expect(Math.abs(actual[at]! - value)).toBeLessThan(1e-9 * Math.max(1e-3, Math.abs(value)));
    }
  };

  test("nhsic, hsic and cka as NumPy writes them out", () => {
    close(valuesOf(nhsic, { ...one.options, epsilon: recorded.epsilon }), one.nhsic);
    for (const [estimator, expected] of Object.entries(one.hsic)) {
      close(valuesOf(hsic, { ...one.options, estimator }), expected);
    }
    for (const [estimator, expected] of Object.entries(one.cka)) {
      close(valuesOf(cka, { ...one.options, estimator }), expected);
    }
  });
});

describe("unbiased HSIC of 5 samples", () => {
  const rows = (seed: number) => randn([5, 2], { generator: new Generator(seed), dtype: "float64" });

  test("is the mean over all tuples of four different samples of its definition", () => {
    scope(() => {
      const options = { ...hsic.options.parse({}), sigma: 0.4, estimator: "unbiased" } as unknown as KernelSettings;
      const [k, l] = [1, 2].map((seed) => gramMatrix(rows(seed), options).toNested() as number[][]) as [
        number[][],
        number[][],
      ];
      let [total, tuples] = [0, 0];
      const places = [0, 1, 2, 3, 4];
      for (const i of places)
        for (const j of places)
          for (const q of places)
            for (const r of places) {
              if (new Set([i, j, q, r]).size < 4) continue;
              total += k[i]![j]! * (l[i]![j]! + l[q]![r]! - 2 * l[i]![q]!);
              tuples++;
            }
      expect(tuples).toBe(120);
      const given = options as unknown as Record<string, unknown>;
      const value = hsic.combine(hsic.factor(rows(1), given), hsic.factor(rows(2), given), given);
      expect(value).toBeCloseTo(total / tuples, 14);
    });
  });

  test("needs four samples", () => {
    const options = { ...hsic.options.parse({}), estimator: "unbiased" };
    const make = () => scope(() => hsic.factor(rows(1).narrow(0, 0, 3), options));
    expect(make).toThrow("the unbiased estimate needs at least 4 samples, got 3");
    expect(() => scope(() => hsic.labelFactor(int64([0, 1, 1]), options))).toThrow(/at least 4 samples, got 3/);
  });

  test("averages to 0 over independent samples, where the biased one does not", () => {
    const mean = (estimator: string) =>
      scope(() => {
        const options = { ...hsic.options.parse({}), sigma: 0.5, estimator };
        const values = Array.from({ length: 200 }, (_, at) =>
          scope(() =>
            hsic.combine(hsic.factor(rows(2 * at), options), hsic.factor(rows(2 * at + 1), options), options),
          ),
        );
        const average = values.reduce((sum, value) => sum + value, 0) / values.length;
        const spread = Math.sqrt(values.reduce((sum, value) => sum + (value - average) ** 2, 0)) / values.length;
        return { average, spread };
      });
    const unbiased = mean("unbiased");
    expect(Math.abs(unbiased.average)).toBeLessThan(3 * unbiased.spread);
    const biased = mean("biased");
    expect(biased.average).toBeGreaterThan(10 * biased.spread);
  });
});

test("U-centred rows sum to 0, and additive terms of a row or column do not matter", () => {
  scope(() => {
    const half = randn([9, 4], { generator: new Generator(1), dtype: "float64" });
    const gram = half.matmul(half.t());
    const shift = randn([9, 1], { generator: new Generator(2), dtype: "float64" });
    const centred = uCentre(gram);
    expect(Math.max(...centred.sum([1]).toNumbers().map(Math.abs))).toBeLessThan(1e-13);
    const moved = uCentre(gram.add(shift).add(shift.t()));
    expect(moved.sub(centred).abs().amax().item()).toBeLessThan(1e-12);
  });
});

describe("width: median", () => {
  const options = { ...nhsic.options.parse({}), width: "median", sigma: 1 } as unknown as KernelSettings;
  const rows = () => randn([12, 5], { generator: new Generator(3), dtype: "float64" });

  test.each(["rbf", "laplacian"] as const)("%s: the data's scale does not matter", (kernel) => {
    scope(() => {
      const [small, large] = [rows(), rows().mul(1e6)].map((values) => gramMatrix(values, { ...options, kernel }));
      expect(small!.sub(large!).abs().amax().item()).toBeLessThan(1e-9);
    });
  });

  test("half of the pairs lie above exp(−1/2), half below", () => {
    scope(() => {
      const values = gramMatrix(rows(), options).toNested() as number[][];
      const pairs = values.flatMap((row, i) => row.slice(i + 1));
      expect(pairs.filter((value) => value > Math.exp(-0.5))).toHaveLength(pairs.length / 2);
    });
  });

  test("all samples the same: every kernel value is 1, and measures are 0", () => {
    scope(() => {
      const constant = tensor(new Float64Array(24).fill(0.1), { shape: [8, 3] });
      for (const kernel of ["rbf", "laplacian"] as const) {
        expect(
          gramMatrix(constant, { ...options, kernel })
            .toNumbers()
            .every((value) => value === 1),
        ).toBe(true);
      }
      const factor = hsic.factor(constant, { width: "median" });
      expect(hsic.combine(factor, factor, {})).toBe(0);
    });
  });

  test("most pairs coincide: a clear error", () => {
    const rows = () => tensor([[0], [0], [0], [0], [0], [1]], { dtype: "float64" });
    expect(() => scope(() => gramMatrix(rows(), options))).toThrow(/the median distance is 0, for more than half/);
  });
});

describe("other kernels", () => {
  const settings = nhsic.options.parse({}) as unknown as KernelSettings;

  test.each(["laplacian", "linear"] as const)(
    "%s: NaN and infinity are one clear error, shifts do not matter",
    (kernel) => {
      const bad = (value: number) => () =>
        scope(() =>
          gramMatrix(
            tensor(
              [
                [1, value],
                [0, 1],
                [2, 2],
              ],
              { dtype: "float64" },
            ),
            { ...settings, kernel },
          ),
        );
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
        expect(bad(value)).toThrow(/expected finite numbers, got NaN or infinity among \[3, 2\]/);
        expect(bad(value)).toThrow(expect.objectContaining({ name: "MeasureError" }));
      }
      scope(() => {
        const rows = randn([10, 7], { generator: new Generator(1), dtype: "float64" });
        const [here, there] = [rows, rows.add(1000)].map((one) => centre(gramMatrix(one, { ...settings, kernel })));
        expect(here!.sub(there!).abs().amax().item()).toBeLessThan(1e-9);
      });
    },
  );

  test("laplacian: more features than a block, float32, no array of all differences", () => {
    const [count, features] = [16, 9000];
    const values = randn([count, features], { generator: new Generator(1) });
    scope(() => {
      const found = gramMatrix(values, { ...settings, kernel: "laplacian" });
      const [first, second] = [0, 1].map((at) => values.select(0, at).to("float64")) as [Tensor, Tensor];
      const expected = Math.exp(-first.sub(second).abs().sum().item() / (5 * features));
      expect(Math.abs(found.select(0, 0).select(0, 1).item() / expected - 1)).toBeLessThan(1e-12);
    });
    resetPeakBytes();
    const before = memory();
    scope(() => gramMatrix(values, { ...settings, kernel: "laplacian" }).shape);
    expect(memory().peakBytes - before.liveBytes).toBeLessThan(3 * count * 4096 * 8 + 20 * count * count * 8);
    expect(memory().liveTensors).toBe(before.liveTensors);
    values.dispose();
  });

  test("linear: nHSIC is the sum of squared canonical correlations but for the ridge", () => {
    scope(() => {
      const generator = new Generator(5);
      const [x, noise] = [0, 1].map(() => randn([200, 1], { generator, dtype: "float64" })) as [Tensor, Tensor];
      const z = x.add(noise);
      const options = { ...nhsic.options.parse({ kernel: "linear", epsilon: 1e-9 }) };
      const value = nhsic.combine(nhsic.factor(x, options), nhsic.factor(z, options), options);
      const [a, b] = [x, z].map((one) => one.sub(one.mean())) as [Tensor, Tensor];
      const correlation = a.mul(b).sum().item() ** 2 / (a.square().sum().item() * b.square().sum().item());
      expect(value).toBeCloseTo(correlation, 6);
    });
  });
});

test.each([
  [33, 9000],
  [128, 3072],
  [127, 4099],
  [1000, 300],
])(
  "distances of %i large samples of %i features, whose products are taken in halves, are those of one product",
  (count, features) => {
    scope(() => {
      const rows = randn([count, features], { generator: new Generator(1) });
      const wide = rows.to("float64");
      const centred = wide.sub(wide.mean([0], { keepDim: true }));
      const products = centred.matmul(centred.t());
      const norms = centred.mul(centred).sum([1]);
      const expected = norms.unsqueeze(0).add(norms.unsqueeze(1)).sub(products.mul(2));
      const distances = squaredDistances(rows);
      const largest = distances.sub(expected).abs().amax().item() as number;
      expect(largest).toBeLessThan(1e-12 * (expected.amax().item() as number));
      const linear = gramMatrix(rows, { kernel: "linear", sigma: 5, width: "scaled", distance: "squared" });
      expect(linear.sub(products).abs().amax().item()).toBeLessThan(1e-12 * (products.amax().item() as number));
    });
  },
);
