// Geometry against figures of NumPy and SciPy, and shapes whose values are known: simplex, cube, sphere, low rank.
import "../support/one-thread.js";
import { readFileSync } from "node:fs";
import { Generator, memory, rand, randn, scope, type Tensor, tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { twoNearestNeighbours } from "../../src/measures/geometry/intrinsic-dimension.js";
import { CentredRows } from "../../src/measures/geometry/products.js";
import { geometry } from "../../src/measures/geometry.js";
import { layoutSample, type RecordedLayout } from "./layout.js";

const recorded = JSON.parse(
  readFileSync(new URL("../fixtures/layout.json", import.meta.url), "utf8"),
) as RecordedLayout;

const int64 = (values: readonly number[]) => tensor(BigInt64Array.from(values, BigInt));
const rows = (values: readonly (readonly number[])[]) => tensor(values, { dtype: "float64" });
const normal = (seed: number, shape: readonly number[]) =>
  randn(shape, { generator: new Generator(seed), dtype: "float64" });
const uniform = (seed: number, shape: readonly number[]) =>
  rand(shape, { generator: new Generator(seed), dtype: "float64" });
const cyclic = (count: number, classes: number) => Array.from({ length: count }, (_, i) => i % classes);

type Found = Record<string, number>;
function measure(z: Tensor, labels: readonly number[], options: Record<string, unknown> = {}): Found {
  const found = geometry.measure({ z, x: null, labels: int64(labels) }, options);
  return Object.fromEntries(Object.entries(found).map(([key, { value }]) => [key, value]));
}

describe.each(recorded.samples)("$shape: NumPy and SciPy", ({ shape, sizes, spread, geometry: cases }) => {
  test.each(cases)("discard $discard, t $uniformityRate", ({ discard, uniformityRate, found }) => {
    scope(() => {
      const { z, labels } = layoutSample(shape, sizes, spread);
      const ours = measure(z, labels, { discard, uniformityRate });
      expect(Object.keys(ours).sort()).toEqual(Object.keys(found).sort());
      for (const [key, value] of Object.entries(found)) {
        // Of two classes, angles are exact and norms equal: there the figure is rounding.
        const close = Math.abs(ours[key]! - value) <= 1e-9 * Math.max(Math.abs(value), 1e-3);
        expect([key, ours[key], close]).toEqual([key, ours[key], true]);
      }
    });
  });
});

test("keys come in the order they are declared, and terms have their value as mean", () => {
  scope(() => {
    const { z, labels } = layoutSample([60, 3], [30, 20, 9, 1], 1);
    const found = geometry.measure({ z, x: null, labels: int64(labels) }, {});
    expect(Object.keys(found)).toEqual(geometry.keys.map(({ key }) => key));
    const meanOf = (terms: Float64Array) => terms.reduce((sum, term) => sum + term, 0) / terms.length;
    expect(found.withinVariance!.terms).toHaveLength(60);
    expect(meanOf(found.withinVariance!.terms!)).toBeCloseTo(found.withinVariance!.value, 13);
    expect(found.alignment!.terms).toHaveLength(59); // one is alone in its class
    expect(meanOf(found.alignment!.terms!)).toBeCloseTo(found.alignment!.value, 13);
  });
});

describe("neural collapse", () => {
  /** Five corners of a regular simplex, off the origin, `perClass` samples at each. */
  const corners = (perClass: readonly number[]) => {
    const labels = perClass.flatMap((count, label) => Array<number>(count).fill(label));
    return { labels, z: labels.map((label) => Array.from({ length: 5 }, (_, d) => 3 + (d === label ? 2 : 0))) };
  };

  test.each([[[4, 4, 4, 4, 4]], [[1, 7, 2, 9, 3]]])("class sizes %j at the corners of a simplex", (sizes) => {
    const { z, labels } = corners(sizes);
    const found = measure(rows(z), labels);
    for (const key of ["withinVariance", "nc1", "nc2Norms", "nc2Angles"]) expect(found[key]).toBeCloseTo(0, 14);
    expect(found.meanCosine).toBeCloseTo(-1 / 4, 14);
    expect(found.betweenVariance).toBeCloseTo(4 * (1 - 1 / 5), 13); // 2² (1 − 1/C)
    expect(found.effectiveRank).toBeLessThanOrEqual(4 + 1e-12);
    expect(found.intrinsicDimension).toBeNaN(); // five points, all equally far
  });

  test("two classes on a line, by hand", () => {
    // Means 1 and 7 about 4: Σ_B = 9; Σ_W = (1/2)(1 + 4) = 2.5 of classes of 2 and 4 samples.
    const found = measure(rows([[0], [2], [5], [5], [9], [9]]), [0, 0, 1, 1, 1, 1]);
    expect(found.withinVariance).toBeCloseTo(2.5, 13);
    expect(found.betweenVariance).toBeCloseTo(9, 13);
    expect(found.nc1).toBeCloseTo(2.5 / 9 / 2, 13);
    expect(found.nc2Angles).toBeCloseTo(0, 14);
    expect(found.meanCosine).toBeCloseTo(-1, 14);
  });

  test("variance outside the class means' directions is no part of NC1", () => {
    const z = [
      [1, 5],
      [1, -5],
      [-1, 9],
      [-1, -9],
    ];
    expect(measure(rows(z), [0, 0, 1, 1]).nc1).toBeCloseTo(0, 14);
  });

  test("within and between add up to the total variance; NC1 does not depend on the scale", () => {
    scope(() => {
      const z = normal(1, [90, 11]);
      const found = measure(z, cyclic(90, 3));
      expect(found.withinVariance! + found.betweenVariance!).toBeCloseTo(
        z.variance([0], { unbiased: false }).sum().item(),
        11,
      );
      const larger = measure(z.mul(1e5).add(1e5), cyclic(90, 3));
      expect(larger.nc1! / found.nc1!).toBeCloseTo(1, 9);
      expect(larger.withinVariance! / found.withinVariance! / 1e10).toBeCloseTo(1, 9);
    });
  });

  test("unequal norms and angles, by hand", () => {
    // Class means (2, 0), (−1, 1), (−1, −1), mean 0: norms 2, √2, √2; cosines −1/√2, −1/√2, 0.
    const z = [
      [2, 0],
      [-1, 1],
      [-1, -1],
    ];
    const found = measure(rows(z), [0, 1, 2]);
    const root = Math.SQRT2;
    const mean = (2 + 2 * root) / 3;
    expect(found.nc2Norms).toBeCloseTo(Math.sqrt(((2 - mean) ** 2 + 2 * (root - mean) ** 2) / 3) / mean, 13);
    expect(found.meanCosine).toBeCloseTo(-root / 3, 13);
    expect(found.nc2Angles).toBeCloseTo((2 * (1 / root - 0.5) + 0.5) / 3, 13);
    expect(found.withinVariance).toBe(0); // a class of one sample has none
    expect(found.alignment).toBeNaN();
  });
});

describe("effective rank", () => {
  test("orthogonal directions filled alike: all of them", () => {
    const z = Array.from({ length: 12 }, (_, i) =>
      Array.from({ length: 6 }, (_, d) => (d === i >> 1 ? (i % 2) * 2 - 1 : 0)),
    );
    const found = measure(rows(z), cyclic(12, 3));
    expect(found.effectiveRank).toBeCloseTo(6, 12);
    expect(found.participationRatio).toBeCloseTo(6, 12);
  });

  test("singular values 3 and 1, by hand", () => {
    const z = [
      [3, 0],
      [-3, 0],
      [0, 1],
      [0, -1],
    ];
    const found = measure(rows(z), [0, 1, 0, 1]);
    expect(found.effectiveRank).toBeCloseTo(Math.exp(-0.75 * Math.log(0.75) - 0.25 * Math.log(0.25)), 13);
    expect(found.participationRatio).toBeCloseTo(100 / 82, 13);
  });

  test.each([
    [60, 400],
    [400, 60],
  ])("[%d, %d] of rank 3 has at most 3, whichever side is smaller", (count, features) => {
    scope(() => {
      const z = normal(1, [count, 3])
        .matmul(normal(2, [3, features]))
        .add(100);
      const found = measure(z, cyclic(count, 2));
      expect(found.effectiveRank).toBeLessThanOrEqual(3);
      expect(found.effectiveRank).toBeGreaterThan(2.8);
      expect(found.participationRatio).toBeGreaterThan(2.4);
      expect(found.participationRatio).toBeLessThan(found.effectiveRank!);
    });
  });

  test("isotropic features: near D for many samples", () => {
    scope(() => {
      const found = measure(normal(5, [2000, 10]), cyclic(2000, 2));
      expect(found.effectiveRank).toBeGreaterThan(9.95);
      expect(found.effectiveRank).toBeLessThanOrEqual(10);
    });
  });
});

describe("intrinsic dimension", () => {
  test.each([
    [1, 0.95, 1.05],
    [2, 1.9, 2.1],
    [5, 4.4, 5.2],
    [10, 8.7, 10],
    [20, 14, 17.5],
  ])("a cube of %d dimensions, repeated along 100", (dimensions, low, high) => {
    scope(() => {
      const z = uniform(3, [2000, dimensions])
        .repeat([1, 100 / dimensions])
        .add(5)
        .to("float32");
      const { intrinsicDimension } = measure(z, cyclic(2000, 2));
      expect(intrinsicDimension).toBeGreaterThan(low);
      expect(intrinsicDimension).toBeLessThan(high);
    });
  });

  test("the fit is exact for ratios on the law's own quantiles", () => {
    // F(μ) = i / n at log μ = −log(1 − i/n) / d.
    const ratios = Array.from({ length: 100 }, (_, i) => -Math.log(1 - (i + 1) / 100.5) / 7);
    const law = Array.from({ length: 100 }, (_, i) => (i === 99 ? 50 : -Math.log1p(-(i + 1) / 100) / 7));
    expect(twoNearestNeighbours(law.reverse(), 0)).toBeCloseTo(7, 12);
    expect(twoNearestNeighbours(law, 0.3)).toBeCloseTo(7, 12);
    expect(twoNearestNeighbours(ratios, 0.1)).toBeGreaterThan(6.9);
    expect(twoNearestNeighbours([0, 0, 0, 0], 0.1)).toBeNaN();
    expect(twoNearestNeighbours([], 0.1)).toBeNaN();
    expect(twoNearestNeighbours([1], 0)).toBeNaN();
  });

  test("a part of the samples coming again, exactly or but for float32 rounding, changes nothing", () => {
    scope(() => {
      const z = uniform(9, [300, 3]);
      const once = measure(z, cyclic(300, 2)).intrinsicDimension!;
      const again = z.narrow(0, 0, 120).add(uniform(10, [120, 3]).mul(1e-8));
      for (const extra of [z.narrow(0, 0, 120), again]) {
        const both = tensor(Float64Array.from([z, extra, extra].flatMap((part) => part.toNumbers())), {
          shape: [540, 3],
        });
        expect(measure(both, cyclic(540, 2)).intrinsicDimension! / once).toBeCloseTo(1, 5);
      }
    });
  });

  test("fewer than three distinct samples have none", () => {
    expect(measure(rows([[0], [1]]), [0, 1]).intrinsicDimension).toBeNaN();
    expect(measure(rows([[0], [1], [0], [1]]), [0, 1, 0, 1]).intrinsicDimension).toBeNaN();
    expect(measure(rows([[0], [1], [5], [0]]), [0, 1, 0, 1]).intrinsicDimension).toBeGreaterThan(0);
  });
});

describe("alignment and uniformity", () => {
  test("four points on a circle, by hand", () => {
    // Lengths do not matter. Squared distances: 2 to both neighbours, 4 to the opposite.
    const z = [
      [1, 0],
      [0, 20],
      [-0.5, 0],
      [0, -3],
    ];
    const potential = (2 * Math.exp(-2 * 2) + Math.exp(-2 * 4)) / 3;
    const found = measure(rows(z), [0, 0, 1, 1]);
    expect(found.alignment).toBeCloseTo(2, 14);
    expect(found.uniformity).toBeCloseTo(Math.log(potential), 14);
    expect(measure(rows(z), [0, 1, 0, 1]).alignment).toBeCloseTo(4, 14);
    const other = Math.log((2 * Math.exp(-1) + Math.exp(-2)) / 3);
    expect(measure(rows(z), [0, 0, 1, 1], { uniformityRate: 0.5 }).uniformity).toBeCloseTo(other, 14);
    const sharp = measure(rows(z), [0, 0, 1, 1], { uniformityRate: 1e6 }).uniformity!; // no underflow
    expect(sharp).toBeCloseTo(-2e6 + Math.log(2 / 3), 6);
  });

  test("one direction: alignment 0, uniformity 0, its largest", () => {
    const found = measure(
      rows([
        [1, 2],
        [2, 4],
        [0.5, 1],
        [3, 6],
      ]),
      [0, 0, 1, 1],
    );
    expect(found.alignment).toBeCloseTo(0, 14);
    expect(found.uniformity).toBeCloseTo(0, 14);
  });

  test("a uniform sphere: E exp(−2 ‖u − v‖²) = e⁻⁴ sinh(4) / 4 in three dimensions", () => {
    scope(() => {
      const found = measure(normal(2, [3000, 3]), cyclic(3000, 3));
      expect(Math.abs(found.uniformity! - Math.log((Math.exp(-4) * Math.sinh(4)) / 4))).toBeLessThan(0.01);
      expect(Math.abs(found.alignment! - 2)).toBeLessThan(0.01);
    });
  });

  test("a sample of length 0 has no direction and is left out of both", () => {
    const z = [
      [1, 0],
      [0, 1],
      [0, 0],
    ];
    const found = geometry.measure({ z: rows(z), x: null, labels: int64([0, 0, 1]) }, {});
    expect(found.alignment!.value).toBeCloseTo(2, 14);
    expect(found.uniformity!.value).toBeCloseTo(-4, 14);
    expect(found.alignment!.terms).toBeUndefined();
    expect(measure(rows([[0], [0], [1]]), [0, 0, 1]).uniformity).toBeNaN();
  });
});

test("a constant representation: no variance, and NaN where one would divide by it", () => {
  const found = measure(rows(cyclic(12, 3).map(() => [0.1, -7, 3e4])), cyclic(12, 3));
  for (const key of ["withinVariance", "betweenVariance"]) expect(found[key]).toBe(0);
  for (const key of ["nc1", "nc2Norms", "nc2Angles", "meanCosine", "effectiveRank", "participationRatio"]) {
    expect([key, found[key]]).toEqual([key, Number.NaN]);
  }
  expect(found.intrinsicDimension).toBeNaN();
  expect(found.alignment).toBeCloseTo(0, 14);
  expect(found.uniformity).toBeCloseTo(0, 14);
});

test("one class mean at the centre has no angle", () => {
  const found = measure(rows([[-1], [0], [1]]), [0, 1, 2]);
  expect(found.nc2Norms).toBeCloseTo(Math.SQRT1_2, 14);
  expect(found.nc2Angles).toBeNaN();
  expect(found.nc1).toBe(0);
});

describe("products of centred rows", () => {
  test.each([
    ["float64", [700, 1300], 1e-11],
    ["float32", [5000, 6], 1e-11],
    ["float16", [600, 40], 1e-11],
  ] as const)("%s %j in strips, slices and blocks are the products written out", (dtype, shape, tolerance) => {
    scope(() => {
      const z = normal(1, shape).add(3).to(dtype);
      const centredRows = new CentredRows(z);
      const wide = z.to("float64");
      const centred = wide.sub(wide.mean([0]));
      const expected = centred.matmul(centred.t());
      let seen = 0;
      centredRows.eachBlock((products, start) => {
        expect(start).toBe(seen);
        seen += products.size(0);
        const error = products
          .sub(expected.narrow(0, start, products.size(0)))
          .abs()
          .amax()
          .item();
        expect(error).toBeLessThan(tolerance);
      });
      expect(seen).toBe(shape[0]);
      expect(centredRows.squaredNorms.sub(expected.diagonal()).abs().amax().item()).toBeLessThan(tolerance);
      expect(
        centredRows.squaredLengths
          .sub(wide.square().sum([1]))
          .abs()
          .amax()
          .item(),
      ).toBeLessThan(tolerance);
    });
  });
});

describe("refuses what it cannot measure", () => {
  const z = rows([[1], [2], [3]]);
  const attempt = (sample: { z?: Tensor; labels?: Tensor | null }) =>
    geometry.measure({ z, x: null, labels: int64([0, 1, 1]), ...sample }, {});

  test.each([
    [{ z: rows([[1], [Number.NaN], [2]]) }, /finite numbers, got NaN or infinity among \[3, 1\]/],
    [{ z: rows([[1], [-1e300], [2]]) }, /too large/],
    [{ z: rows([[1]]), labels: int64([0]) }, /at least 2 samples/],
    [{ labels: null }, /expected labels beside the representation, got none/],
    [{ labels: int64([2, 2, 2]) }, /at least two classes, got one/],
    [{ labels: int64([0, 1, 2, 3]) }, /a label for each of 3 samples, got 4/],
  ])("%#", (sample, message) => {
    expect(() => attempt(sample)).toThrow(message);
    expect(() => attempt(sample)).toThrow(expect.objectContaining({ name: "MeasureError" }));
  });

  test("and options that are none", () => {
    for (const options of [{ discard: 1 }, { discard: -0.1 }, { uniformityRate: 0 }, { t: 2 }]) {
      expect(() => geometry.options.parse(options)).toThrow();
    }
  });
});

test("nothing is kept, changed or recorded for a gradient", () => {
  scope(() => {
    const { z, labels } = layoutSample([40, 6], [20, 20], 1);
    const [before, given] = [z.toNumbers(), int64(labels)];
    z.requiresGrad_();
    const tensors = memory().liveTensors;
    geometry.measure({ z, x: null, labels: given }, {});
    expect(memory().liveTensors).toBe(tensors);
    expect(z.toNumbers()).toEqual(before);
  });
});
