// HSIC against values worked by hand, the formula written out, and the identity behind its reading with labels.
import "../support/one-thread.js";
import { Generator, randint, randn, scope, type Tensor, tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { hsic } from "../../src/measures/hsic.js";
import { hsicOf, type Matrix, rbf, sameLabel } from "./reference.js";

const defaults = hsic.options.parse({});
const vStatistic = { ...defaults, estimator: "v-statistic" };

const int64 = (values: readonly number[]) => tensor(BigInt64Array.from(values, BigInt));
const normal = (seed: number, shape: readonly number[]) =>
  randn(shape, { generator: new Generator(seed), dtype: "float64" });
const rowsOf = (values: Tensor) => scope(() => values.reshape([values.size(0), -1]).toNested()) as Matrix;

function between(x: Tensor, z: Tensor, options: Record<string, unknown> = defaults): number {
  return scope(() => hsic.combine(hsic.factor(x, options), hsic.factor(z, options), options));
}

function withLabels(y: readonly number[], z: Tensor, options: Record<string, unknown> = defaults): number {
  return scope(() => hsic.combine(hsic.labelFactor(int64(y), options), hsic.factor(z, options), options));
}

test("two samples, by hand: (1 − k)² / 4 · 4 / (m − 1)² …", () => {
  // G = [1 k; k 1] centres to (1 − k) / 2 · [1 −1; −1 1]; the product's trace is (1 − k)(1 − l).
  const [x, z] = [tensor([[0], [1]], { dtype: "float64" }), tensor([[0], [3]], { dtype: "float64" })];
  const [k, l] = [Math.exp(-1 / 50), Math.exp(-9 / 50)];
  expect(between(x, z)).toBeCloseTo((1 - k) * (1 - l), 14);
  expect(between(x, z, vStatistic)).toBeCloseTo(((1 - k) * (1 - l)) / 4, 14);
  expect(withLabels([0, 1], z)).toBeCloseTo(1 - l, 14);
  const plain = { ...defaults, distance: "plain" };
  expect(between(x, z, plain)).toBeCloseTo((1 - k) * (1 - Math.exp(-3 / 50)), 14);
});

test.each([
  [
    [20, 3],
    [20, 7],
  ],
  [
    [16, 2, 3, 3],
    [16, 900],
  ],
  [
    [128, 10],
    [128, 4],
  ],
])("the formula written out agrees to 1e-9: %j and %j", (xShape, zShape) => {
  scope(() => {
    const [x, z] = [normal(1, xShape), normal(2, zShape)];
    const y = randint(0, 5, [xShape[0]!], { generator: new Generator(3) }).toNumbers();
    for (const estimator of ["biased", "v-statistic"] as const) {
      const options = { ...defaults, estimator };
      const [k, l] = [rbf(rowsOf(x)), rbf(rowsOf(z))];
      expect(Math.abs(between(x, z, options) / hsicOf(k, l, estimator) - 1)).toBeLessThan(1e-9);
      expect(Math.abs(withLabels(y, z, options) / hsicOf(sameLabel(y), l, estimator) - 1)).toBeLessThan(1e-9);
    }
  });
});

describe("balanced labels", () => {
  const [classes, perClass] = [5, 12];
  const m = classes * perClass;
  const y = Array.from({ length: m }, (_, i) => i % classes);

  test("HSIC(Y, Z) = (E_pos[k] − E_all[k]) / C = (1 − 1/C)(E_pos[k] − E_neg[k]) / C, to 1e-12", () => {
    const z = normal(4, [m, 6]);
    const k = rbf(rowsOf(z));
    const mean = (wanted: (i: number, j: number) => boolean) => {
      const values = k.flatMap((row, i) => row.filter((_, j) => wanted(i, j)));
      return values.reduce((sum, value) => sum + value, 0) / values.length;
    };
    const same = mean((i, j) => y[i] === y[j]);
    const value = withLabels(y, z, vStatistic);
    expect(Math.abs(value - (same - mean(() => true)) / classes)).toBeLessThan(1e-12);
    const different = mean((i, j) => y[i] !== y[j]);
    expect(Math.abs(value - ((1 - 1 / classes) * (same - different)) / classes)).toBeLessThan(1e-12);
  });

  test("is at most (C − 1) / C², reached when classes are points far apart", () => {
    const points = tensor(
      Float64Array.from(y, (label) => 1e4 * label),
      { shape: [m, 1] },
    );
    expect(withLabels(y, points, vStatistic)).toBeCloseTo((classes - 1) / classes ** 2, 12);
  });

  test("biased is the V-statistic times m² / (m − 1)²", () => {
    const z = normal(4, [m, 6]);
    expect(withLabels(y, z) / withLabels(y, z, vStatistic)).toBeCloseTo((m / (m - 1)) ** 2, 12);
  });
});

describe("properties", () => {
  const [x, z] = [() => normal(1, [40, 5]), () => normal(2, [40, 3])];

  test("symmetric, at least 0, and 0 for a constant", () => {
    expect(between(x(), z())).toBe(between(z(), x()));
    expect(between(x(), z())).toBeGreaterThan(0);
    expect(Math.abs(between(x(), tensor(new Float64Array(40).fill(7), { shape: [40, 1] })))).toBeLessThan(1e-15);
    expect(Math.abs(withLabels(new Array(40).fill(1), z()))).toBeLessThan(1e-15);
  });

  test("independent data gives far less than dependent data", () => {
    expect(between(x(), normal(9, [40, 5]))).toBeLessThan(0.35 * between(x(), x()));
  });

  test("refuses what it cannot measure", () => {
    expect(() =>
      hsic.factor(
        tensor([
          [1, Number.NaN],
          [0, 1],
        ]),
        defaults,
      ),
    ).toThrow(/finite/);
    expect(() => hsic.factor(tensor([[1, 2]]), defaults)).toThrow(/at least 2 samples/);
    expect(() => hsic.labelFactor(int64([1]), defaults)).toThrow(/at least 2/);
    expect(() => hsic.options.parse({ estimator: "best" })).toThrow();
  });
});
