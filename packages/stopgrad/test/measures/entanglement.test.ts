// Entanglement against the papers' vector, figures of NumPy and SciPy, lemma and theorem on hostile representations, and
// values worked by hand.
import "../support/one-thread.js";
import { readFileSync } from "node:fs";
import { Generator, memory, randn, scope, type Tensor, tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { Sfc32 } from "../../src/data/sfc32.js";
import { entanglement } from "../../src/measures/entanglement.js";
import { hsic } from "../../src/measures/hsic.js";
import { expectClose } from "../support/compare.js";
import { layoutSample, type RecordedLayout } from "./layout.js";

const recorded = JSON.parse(
  readFileSync(new URL("../fixtures/layout.json", import.meta.url), "utf8"),
) as RecordedLayout;

const int64 = (values: readonly number[]) => tensor(BigInt64Array.from(values, BigInt));
const rows = (values: readonly (readonly number[])[]) => tensor(values, { dtype: "float64" });

type Found = Record<string, number>;
function measure(z: Tensor, labels: readonly number[], options: Record<string, unknown> = {}): Found {
  const found = entanglement.measure({ z, x: null, labels: int64(labels) }, options);
  return Object.fromEntries(Object.entries(found).map(([key, { value }]) => [key, value]));
}

test("the papers' rows at T = 1", () => {
  const z = rows([
    [1, 0],
    [0.6, 0.8],
    [0, 1],
    [-0.8, 0.6],
  ]);
  expect(measure(z, [0, 0, 1, 1], { temperature: 1 }).snn).toBeCloseTo(0.6680402017136, 12);
});

describe.each(recorded.samples)("$shape: NumPy and SciPy", ({ shape, sizes, spread, entanglement: cases }) => {
  test.each(cases)("sigma $sigma, temperature $temperature", ({ sigma, temperature, found }) => {
    scope(() => {
      const { z, labels } = layoutSample(shape, sizes, spread);
      const ours = measure(z, labels, { sigma, temperature });
      expect(Object.keys(ours).sort()).toEqual(Object.keys(found).sort());
      for (const [key, value] of Object.entries(found)) {
        const scale = Math.max(Math.abs(value), 1e-3);
        expect([key, Math.abs(ours[key]! - value) / scale < 1e-8]).toEqual([key, true]);
      }
    });
  });
});

test("keys come in the order they are declared, and terms have their value as mean", () => {
  scope(() => {
    const { z, labels } = layoutSample([60, 3], [30, 20, 10], 1);
    const found = entanglement.measure({ z, x: null, labels: int64([...labels]) }, {});
    expect(Object.keys(found)).toEqual(entanglement.keys.map(({ key }) => key));
    for (const key of ["snn", "L"]) {
      const terms = found[key]!.terms!;
      expect(terms).toHaveLength(60);
      expect(terms.reduce((sum, term) => sum + term, 0) / 60).toBeCloseTo(found[key]!.value, 13);
    }
  });
});

test("two points in two classes, by hand", () => {
  // k = exp(−d²/(2 s² D)) with d = 3, s = 5, D = 1; P = 1, A = (1 + k)/2.
  const k = Math.exp(-9 / 50);
  const found = measure(rows([[0], [3]]), [0, 1]);
  expect(found.snn).toBeNaN(); // nobody has a partner
  expect(found.skipped).toBe(2);
  expect(found.L).toBeCloseTo(Math.log(2) + Math.log((1 + k) / 2), 14);
  expect(found.Lbar).toBeCloseTo(found.L!, 14);
  expect(found.J).toBeCloseTo(0, 15);
  expect(found.populationHsic).toBeCloseTo((1 - k) / 4, 14);
  expect(found.smallestKernel).toBeCloseTo(k, 14);
  expect(found.bound).toBeCloseTo(Math.log(2) - (1 - k) / 2 / k, 13);
});

describe("limits", () => {
  const four = [0, 0, 0, 1, 1, 2, 2, 3];

  test("a constant representation has L = Lbar = bound = log C, no HSIC, no slack", () => {
    const found = measure(rows(four.map(() => [0.1, 7, -3e5])), four);
    for (const key of ["L", "Lbar", "bound", "entropyLimit"]) expect(found[key]).toBeCloseTo(Math.log(4), 14);
    for (const key of ["J", "populationHsic", "slack", "margin"]) expect(Math.abs(found[key]!)).toBeLessThan(1e-14);
    // Sample i of class c has N − 1 neighbours alike, N_c − 1 of its class; the last is alone.
    const expected = (3 * Math.log(7 / 2) + 4 * Math.log(7)) / 7;
    expect(found.snn).toBeCloseTo(expected, 14);
    expect(found.skipped).toBe(1);
  });

  test("classes that are points far apart have no entanglement and the largest HSIC; the bound is void", () => {
    const found = measure(rows(four.map((label) => [1e6 * label])), four);
    expect(found.snn).toBe(0);
    expect(found.L).toBeCloseTo(0, 14);
    expect(found.populationHsic).toBeCloseTo(3 / 16, 14);
    expect(found.smallestKernel).toBe(0);
    expect(found.bound).toBe(Number.NEGATIVE_INFINITY);
    expect(found.slack).toBe(Number.POSITIVE_INFINITY);
  });

  test("classes with the same points have no HSIC, however small c is: the bound is log C", () => {
    const found = measure(rows([[0], [1000], [0], [1000]]), [0, 0, 1, 1]);
    expect(found.populationHsic).toBe(0);
    expect(found.bound).toBe(Math.log(2));
    expect(found.L).toBeCloseTo(Math.log(2), 14);
    expect(found.slack).toBe(0);
  });

  test("no temperature is too small: the loss tends to the difference to the nearest neighbours", () => {
    const found = measure(rows([[0], [2], [1], [50]]), [0, 0, 1, 1], { temperature: 1e-3 });
    // Of (own, other) squared distances: (4, 1), (4, 1), (2401, 1), (2401, 2304).
    const expected = ((3 + 3 + 2400 + 97) / 4) * 1000;
    expect(found.snn! / expected).toBeCloseTo(1, 3);
  });

  test("equal samples have no median width: what needs no kernel is left", () => {
    const labels = [0, 0, 1, 1];
    const found = measure(rows([[1], [1], [1], [1]]), labels, { sigma: "median", temperature: 1 });
    for (const key of ["L", "Lbar", "J", "populationHsic", "smallestKernel", "bound", "slack", "margin"]) {
      expect([key, found[key]]).toEqual([key, Number.NaN]);
    }
    expect(found.snn).toBeCloseTo(Math.log(3), 14);
    expect(measure(rows([[1], [1], [1], [1]]), labels, { sigma: "median" }).snn).toBeNaN();
    const most = rows([[1], [1], [1], [1], [2]]);
    expect(() => measure(most, [0, 0, 1, 1, 1], { sigma: "median" })).toThrow(/median distance is 0/);
  });

  test("the median of an even number of distances is the mean of the middle two", () => {
    // 1, 2, 3, 5, 6, 8 → 4; at T = 2 · 4².
    const z = rows([[0], [2], [3], [8]]);
    const byMedian = measure(z, [0, 0, 1, 1], { sigma: "median" });
    expect(byMedian.snn).toBeCloseTo(measure(z, [0, 0, 1, 1], { temperature: 32 }).snn!, 13);
  });
});

/** Representations meant to break the bound: many shapes, collapsed and shared classes, heavy tails, outliers, scales. */
function hostile(seed: number): { z: number[][]; labels: number[] } {
  const random = new Sfc32(seed, 11);
  const classes = 2 + random.integer(5);
  const labels = Array.from({ length: classes }, (_, c) => Array<number>(1 + random.integer(9)).fill(c)).flat();
  const features = 1 + random.integer(4);
  const kind = random.integer(7);
  const scale = 10 ** random.uniform(-3, 3);
  const draw = () => random.uniform(-1, 1);
  const centres = Array.from({ length: classes }, () => Array.from({ length: features }, draw));
  const z = labels.map((label) => {
    const centre = centres[label]!;
    if (kind === 0) return centre; // collapsed classes
    if (kind === 1) return centres[random.integer(classes)]!; // points shared by classes
    if (kind === 2) return centre.map(() => Math.tan((Math.PI / 2) * draw())); // Cauchy
    if (kind === 3) return centre.map((c) => c + 1e-8 * draw()); // nearly collapsed
    if (kind === 4) return random.integer(8) === 0 ? centre.map(() => 30 * draw()) : centre; // outliers
    if (kind === 5) return centre.map(() => Math.sign(draw())); // hypercube corners
    return centre.map((c) => 0.3 * c + draw());
  });
  return { z: z.map((row) => row.map((value) => scale * value)), labels };
}

describe("lemma 1 and theorem 4 on 600 hostile representations", () => {
  test.each([0.3, 1, 5, 20])("sigma %d", (sigma) => {
    for (let seed = 0; seed < 150; seed++) {
      const { z, labels } = hostile(seed);
      const found = measure(rows(z), labels, { sigma });
      const name = `seed ${seed}`;
      const { hsicOfAll, positive, everything, smallest, farthest } = byPairs(z, labels, sigma);
      // Squared distances from inner products are off by 1e-15 or so of the squared norms, and k by that over 2 σ².
      const tolerance = Math.max(1e-12, 1e-15 * farthest);
      const classes = new Set(labels).size;
      expect(Math.abs(found.populationHsic! - hsicOfAll), name).toBeLessThan(tolerance);
      expect(Math.abs(found.populationHsic! - (positive - everything) / classes), name).toBeLessThan(tolerance);
      expect(found.populationHsic, name).toBeGreaterThanOrEqual(0);
      expect(found.populationHsic, name).toBeLessThanOrEqual((classes - 1) / classes ** 2 + 1e-14);
      expectClose([found.smallestKernel!], [smallest], tolerance);
      expect(found.J, name).toBeGreaterThanOrEqual(0);
      expect(found.L, name).toBeGreaterThanOrEqual(0);
      expect(found.L! + found.J! - found.Lbar!, name).toBeGreaterThan(-1e-12);
      expect(found.Lbar! - found.bound!, name).toBeGreaterThan(-1e-12);
      expect(found.slack, name).toBeGreaterThanOrEqual(0);
      // Slack is found another way than by this difference.
      const difference = found.L! + found.J! - found.bound!;
      if (Number.isFinite(difference)) {
        expect(Math.abs(found.slack! - difference) / (1 + difference), name).toBeLessThan(1e-11);
      }
    }
  });
});

test("the paper's form, without J, fails where statement (c) holds", () => {
  const points = [[0], [0], [0.44], [-0.18], [0.26], [0.26]];
  const found = measure(rows(points), [0, 0, 0, 1, 1, 1], { sigma: Math.SQRT1_2 }); // 2 σ² = 1
  expect(found.margin).toBeCloseTo(-3.67e-5, 6);
  expect(found.J).toBeCloseTo(5.8e-4, 5);
  expect(found.slack).toBeGreaterThan(5e-4);
});

/** HSIC of the class-balanced population from its definition, by plain double sums. */
function byPairs(z: readonly (readonly number[])[], labels: readonly number[], sigma: number) {
  const sizes = new Map<number, number>();
  for (const label of labels) sizes.set(label, (sizes.get(label) ?? 0) + 1);
  const w = labels.map((label) => 1 / (sizes.size * sizes.get(label)!));
  const rate = 2 * sigma * sigma * z[0]!.length;
  const k = z.map((u) => z.map((v) => Math.exp(-u.reduce((sum, a, d) => sum + (a - v[d]!) ** 2, 0) / rate)));
  let [joint, all, same, cross] = [0, 0, 0, 0];
  for (const [i, row] of k.entries()) {
    let [kernel, label] = [0, 0];
    for (const [j, value] of row.entries()) {
      const equal = labels[i] === labels[j] ? 1 : 0;
      joint += w[i]! * w[j]! * value * equal;
      all += w[i]! * w[j]! * value;
      same += w[i]! * w[j]! * equal;
      kernel += w[j]! * value;
      label += w[j]! * equal;
    }
    cross += w[i]! * kernel * label;
  }
  return {
    hsicOfAll: joint + all * same - 2 * cross,
    positive: joint / same,
    everything: all,
    smallest: Math.min(...k.flat()),
    /** Largest squared norm, over 2 σ². */
    farthest: Math.max(...z.map((u) => u.reduce((sum, a) => sum + a * a, 0))) / rate,
  };
}

test("equal class sizes: populationHsic is measure hsic as a V-statistic", () => {
  scope(() => {
    const labels = Array.from({ length: 60 }, (_, i) => i % 5);
    const z = randn([60, 7], { generator: new Generator(3), dtype: "float64" });
    const options = { sigma: 2, distance: "squared", estimator: "v-statistic" };
    const reference = hsic.combine(hsic.labelFactor(int64(labels), options), hsic.factor(z, options), options);
    expect(Math.abs(measure(z, labels, { sigma: 2 }).populationHsic! - reference)).toBeLessThan(1e-12);
  });
});

test("labels may have gaps; order, translation and rotation do not matter, a mixed class entangles", () => {
  const z = [
    [0, 0],
    [1, 0.5],
    [0.2, 0.1],
    [4, 4],
    [4.5, 4.1],
    [5, 4],
  ];
  const labels = [0, 0, 0, 1, 1, 1];
  const found = measure(rows(z), labels, { sigma: 1 });
  const turned = rows(z.map(([a, b]) => [7 - b!, 3 + a!]).reverse());
  const reversed = measure(turned, labels.map((label) => 9 - 5 * label).reverse(), { sigma: 1 });
  expectClose(Object.values(reversed), Object.values(found), 1e-12);
  expect(measure(rows(z), [0, 1, 0, 1, 0, 1], { sigma: 1 }).snn).toBeGreaterThan(10 * found.snn!);
  expect(measure(rows(z), [0, 1, 0, 1, 0, 1], { sigma: 1 }).L).toBeGreaterThan(found.L!);
});

test("blocks of rows give what all rows at once give", () => {
  // 4,200 samples of few features go block by block; 64 copies of 65 or 66 points have the points' own quantities.
  const points = Array.from({ length: 70 }, (_, i) => [Math.sin(i), Math.cos(3 * i)]);
  const many = Array.from({ length: 60 }, () => points).flat();
  const labels = many.map((_, i) => (i % 70) % 7);
  scope(() => {
    const [few, all] = [
      measure(rows(points), labels.slice(0, 70), { sigma: 0.5 }),
      measure(rows(many), labels, { sigma: 0.5 }),
    ];
    for (const key of ["L", "Lbar", "J", "populationHsic", "smallestKernel"])
      expect(all[key]).toBeCloseTo(few[key]!, 11);
  });
});

describe("refuses what it cannot measure", () => {
  const z = rows([[1], [2], [3]]);
  const labels = int64([0, 1, 1]);
  const attempt = (sample: { z?: Tensor; labels?: Tensor | null }, options = {}) =>
    entanglement.measure({ z, x: null, labels, ...sample }, options);

  test.each([
    [{ z: rows([[1], [Number.NaN], [2]]) }, /finite numbers, got NaN or infinity among \[3, 1\]/],
    [{ z: rows([[1], [Number.POSITIVE_INFINITY], [2]]) }, /finite numbers/],
    [{ z: rows([[1], [1e200], [2]]) }, /too large/],
    [{ z: rows([[1]]), labels: int64([0]) }, /at least 2 samples along the first dimension, got \[1, 1\]/],
    [{ labels: null }, /expected labels beside the representation, got none/],
    [{ labels: int64([1, 1, 1]) }, /at least two classes, got one/],
    [{ labels: int64([0, 1]) }, /a label for each of 3 samples, got 2/],
    [{ labels: int64([0, -1, 1]) }, /at least 0, got -1/],
    [{ labels: tensor([0, 1, 1]) }, /whole numbers, got \[3\] of float32/],
  ])("%#", (sample, message) => {
    expect(() => attempt(sample)).toThrow(message);
    expect(() => attempt(sample)).toThrow(expect.objectContaining({ name: "MeasureError" }));
  });

  test("and options that are none", () => {
    for (const options of [{ sigma: 0 }, { sigma: "mean" }, { temperature: -1 }, { T: 1 }]) {
      expect(() => entanglement.options.parse(options)).toThrow();
    }
  });
});

test("nothing is kept, changed or recorded for a gradient", () => {
  scope(() => {
    const { z, labels } = layoutSample([40, 6], [20, 20], 1);
    const [before, given] = [z.toNumbers(), int64([...labels])];
    z.requiresGrad_();
    const tensors = memory().liveTensors;
    entanglement.measure({ z, x: null, labels: given }, { sigma: "median" });
    expect(memory().liveTensors).toBe(tensors);
    expect(z.toNumbers()).toEqual(before);
  });
});
