// Estimates by nearest neighbours against the papers' formulas written out in NumPy, and against what is known.
import "../../support/one-thread.js";
import { readFileSync } from "node:fs";
import { cat, Generator, randn, scope, tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { correlatedGaussians, ksg } from "../../../src/measures/mutual-information/index.js";
import { float64, formula, found, gaussians, int64 } from "./samples.js";

const recorded = JSON.parse(
  readFileSync(new URL("../../fixtures/mutual-information.json", import.meta.url), "utf8"),
) as {
  count: number;
  kraskov: { x: number; z: number; strength: number; k: number; value: number }[];
  ross: { classes: number; z: number; k: number; value: number }[];
};
const COUNT = recorded.count;

/** As record-mutual-information.py makes them. */
function inputs(xFeatures: number, zFeatures: number, strength: number, shift: (row: number) => number = () => 0) {
  const x = formula("mi x", COUNT, xFeatures);
  const z = formula("mi z", COUNT, zFeatures).map((row, at) =>
    row.map((value, feature) => {
      const mixed = feature < xFeatures ? value + strength * x[at]![feature]! : value;
      return mixed / 3 ** feature + 5 + shift(at);
    }),
  );
  return { x: float64(x.map((row) => row.map((value, feature) => value * 10 ** feature))), z: float64(z) };
}

const classesOf = (count: number) => Array.from({ length: COUNT }, (_, at) => (7 * at + 3) % count);

describe("as NumPy has it", () => {
  test.each(recorded.kraskov)("x of $x and z of $z features, k = $k", ({ x, z, strength, k, value }) => {
    scope(() => {
      for (const jitter of [0, 1e-10]) {
        const { ksgXZ, ksgYZ } = found(ksg, inputs(x, z, strength), { k, jitter });
        expect(ksgXZ!.value).toBeCloseTo(value, 10);
        expect(ksgXZ!.terms).toHaveLength(COUNT);
        expect(ksgYZ!.value).toBeNaN();
      }
    });
  });

  test.each(recorded.ross)("$classes classes and z of $z features, k = $k", ({ classes, z, k, value }) => {
    scope(() => {
      const labels = classesOf(classes);
      const sample = { z: inputs(1, z, 0, (at) => labels[at]! / 2).z, labels: int64(labels) };
      const { ksgXZ, ksgYZ } = found(ksg, sample, { k, jitter: 0 });
      expect(ksgYZ!.value).toBeCloseTo(value, 10);
      expect(ksgXZ!.value).toBeNaN();
    });
  });
});

test.each([
  [1, 0, 0.05],
  [1, 0.5, 0.06],
  [1, 4, 0.1],
  [2, 1, 0.08],
  [3, 0, 0.06],
])("%d dimensions with %d nats, to %d", (dimension, information, tolerance) => {
  scope(() => {
    const { value } = found(ksg, gaussians(2000, dimension, information)).ksgXZ!;
    expect(Math.abs(value - information)).toBeLessThan(tolerance);
  });
});

test("several blocks of distances give what one gives", () => {
  scope(() => {
    // 2200 samples need a second block, whose samples are others when the order is turned round.
    const { x, z } = correlatedGaussians(2200, 1, 0.9, new Generator(4));
    const both = found(ksg, { x, z }, { jitter: 0 }).ksgXZ!;
    const turned = found(ksg, { x: x.flip([0]), z: z.flip([0]) }, { jitter: 0 }).ksgXZ!;
    expect(turned.value).toBeCloseTo(both.value, 8);
    expect(turned.terms!.toReversed().every((term, at) => Math.abs(term - both.terms![at]!) < 1e-8)).toBe(true);
  });
});

test("neither scale, place nor order of features matters; labels by any numbers", () => {
  scope(() => {
    const { x, z } = gaussians(500, 2, 1);
    const plain = found(ksg, { x: x!, z }).ksgXZ!.value;
    expect(found(ksg, { x: x!.mul(1000).add(7), z: z.flip([1]) }).ksgXZ!.value).toBeCloseTo(plain, 3);
    expect(found(ksg, { x: z, z: x! }).ksgXZ!.value).toBeCloseTo(plain, 8);
    expect(found(ksg, { x: x!.reshape([500, 1, 2, 1]), z }).ksgXZ!.value).toBe(plain);
  });
});

describe("samples that coincide", () => {
  const twice = () => {
    const { x, z } = gaussians(50, 1, 1);
    return { x: cat([x!, x!, x!, x!, x!], 0), z: cat([z, z, z, z, z], 0) };
  };

  test("are told apart by noise, from the seed", () => {
    scope(() => {
      const values = [0, 0, 1].map((seed) => found(ksg, twice(), { seed }).ksgXZ!.value);
      expect(values[0]).toBeGreaterThan(2); // pairs that come five times over are no chance
      expect(values[1]).toBe(values[0]);
      expect(values[2]).not.toBe(values[0]);
    });
  });

  test("are refused without", () => {
    scope(() => {
      expect(() => found(ksg, twice(), { jitter: 0 })).toThrow(/more than k samples coincide.*give a jitter/);
    });
  });

  test("of few values agree with counting: two bits that agree three times in four", () => {
    scope(() => {
      const bits = Array.from({ length: 1600 }, (_, at) => [Math.floor(at / 8) % 2, at % 8 < 6 ? 0 : 1] as const);
      const x = tensor(bits.map(([bit]) => [bit]));
      const z = tensor(bits.map(([bit, flipped]) => [bit ^ flipped]));
      const truth = Math.log(2) + 0.75 * Math.log(0.75) + 0.25 * Math.log(0.25);
      const { value } = found(ksg, { x: x.to("float32"), z: z.to("float32") }).ksgXZ!;
      expect(Math.abs(value - truth)).toBeLessThan(0.05);
    });
  });
});

test("many features, or as many neighbours as samples, are refused in words", () => {
  scope(() => {
    const wide = randn([30, 21], { generator: new Generator(1) });
    const narrow = randn([30, 2], { generator: new Generator(2) });
    const labels = int64(Array.from({ length: 30 }, (_, at) => at % 2));
    expect(() => found(ksg, { x: wide, z: narrow })).toThrow(
      "ksg: x has 21 features a sample, expected at most 20 (largestDimension)",
    );
    expect(() => found(ksg, { z: wide, labels })).toThrow(/z has 21 features .* take mine or info-nce/);
    expect(found(ksg, { x: wide, z: narrow, labels }, { pairs: "labels" }).ksgYZ!.value).toBeLessThan(1);
    expect(found(ksg, { x: wide, z: narrow }, { largestDimension: 21 }).ksgXZ!.value).toBeLessThan(1);
    expect(() => found(ksg, { x: narrow, z: narrow }, { k: 30 })).toThrow("expected more than k = 30 samples, got 30");
    const alone = int64(Array.from({ length: 30 }, (_, at) => at));
    expect(() => found(ksg, { z: narrow, labels: alone })).toThrow("expected a class with at least two samples");
  });
});
