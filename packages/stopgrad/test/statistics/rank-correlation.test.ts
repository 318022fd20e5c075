// Spearman's rank correlation against figures of SciPy and by hand.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Sfc32 } from "../../src/data/sfc32.js";
import { rankCorrelation, ranks } from "../../src/statistics/rank-correlation.js";

const recorded = JSON.parse(readFileSync(new URL("../fixtures/layout.json", import.meta.url), "utf8")) as {
  ranks: { a: number[]; b: number[]; coefficient: number; pValue?: number; approximatePValue?: number }[];
};

describe("SciPy's spearmanr, and its permutation test over all pairings", () => {
  test.each(recorded.ranks)("$a and $b", ({ a, b, coefficient, pValue, approximatePValue }) => {
    const found = rankCorrelation(a, b);
    expect(found.n).toBe(a.length);
    expect(found.coefficient).toBeCloseTo(coefficient, 12);
    if (pValue !== undefined) expect(found.pValue).toBeCloseTo(pValue, 12);
    if (approximatePValue !== undefined) expect(Math.abs(found.pValue! - approximatePValue)).toBeLessThan(0.02);
  });
});

test("ranks of equal values are the mean of theirs", () => {
  expect(ranks([10, 20, 10])).toEqual([1.5, 3, 1.5]);
  expect(ranks([3, -1, 3, 3, 0])).toEqual([4, 1, 4, 4, 2]);
  expect(ranks([0, -0])).toEqual([1.5, 1.5]);
  expect(ranks([])).toEqual([]);
});

test("three pairs, by hand: of six orders, two are as extreme", () => {
  expect(rankCorrelation([1, 2, 3], [10, 20, 30])).toEqual({
    coefficient: expect.closeTo(1, 14),
    interval: null,
    pValue: 2 / 6,
    n: 3,
  });
  // d² = 1 + 1 + 0: 1 − 6 · 2 / (3 · 8) = 0.5; only the order of 0.5 and above in size: all six.
  expect(rankCorrelation([1, 2, 3], [2, 1, 3])).toMatchObject({ coefficient: expect.closeTo(0.5, 14), pValue: 1 });
});

test("the interval by its formula, and inside [−1, 1]", () => {
  const a = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
  const b = [2, 1, 4, 3, 6, 5, 8, 7, 10, 9];
  const { coefficient, interval } = rankCorrelation(a, b);
  expect(coefficient).toBeCloseTo(1 - (6 * 10) / 990, 14);
  const half = 1.959963984540054 * Math.sqrt((1 + coefficient! ** 2 / 2) / 7);
  expect(interval![0]).toBeCloseTo(Math.tanh(Math.atanh(coefficient!) - half), 12);
  expect(interval![1]).toBeCloseTo(Math.tanh(Math.atanh(coefficient!) + half), 12);
  expect(interval![1]).toBeLessThan(1);
  const [low, high] = rankCorrelation(a, b, { level: 0.5 }).interval!;
  expect(low).toBeGreaterThan(interval![0]);
  expect(high).toBeLessThan(interval![1]);
});

test("covers: of 400 samples of independent pairs, about 95 % of intervals hold 0 and 5 % of p-values are below 0.05", () => {
  const random = new Sfc32(5);
  let [covered, significant] = [0, 0];
  for (let sample = 0; sample < 400; sample++) {
    const list = () => Array.from({ length: 15 }, () => random.uniform(0, 1));
    const { interval, pValue } = rankCorrelation(list(), list(), { permutations: 400, seed: sample });
    if (interval![0] <= 0 && interval![1] >= 0) covered++;
    if (pValue! <= 0.05) significant++;
  }
  expect(covered / 400).toBeGreaterThan(0.91);
  expect(covered / 400).toBeLessThan(0.99);
  expect(significant / 400).toBeGreaterThan(0.02);
  expect(significant / 400).toBeLessThan(0.085);
});

test("symmetric, turned by the sign, blind to monotone changes, the same for the same seed", () => {
  const a = [0.3, 1.2, -4, 8, 2.5, 0.3, 7, 6, 5, 3.3];
  const b = [1, 3, -1, 2, 2.2, 0, 9, 4, 4, 1];
  const found = rankCorrelation(a, b);
  expect(rankCorrelation(b, a).coefficient).toBeCloseTo(found.coefficient!, 14);
  expect(
    rankCorrelation(
      a,
      b.map((value) => -value),
    ).coefficient,
  ).toBeCloseTo(-found.coefficient!, 14);
  expect(rankCorrelation(a.map(Math.exp), b)).toEqual(found);
  expect(rankCorrelation(a, b, { seed: 1 }).pValue).not.toBe(found.pValue);
  expect(found.pValue).toBeGreaterThan(0);
});

test("a constant list has no correlation", () => {
  expect(rankCorrelation([1, 1, 1, 1], [1, 2, 3, 4])).toEqual({
    coefficient: null,
    interval: null,
    pValue: null,
    n: 4,
  });
});

test.each([
  [[1], [1], {}, /two lists of one length, 2 or more, got 1 and 1/],
  [[1, 2, 3], [1, 2], {}, /got 3 and 2 values/],
  [[1, Number.NaN], [1, 2], {}, /finite numbers, got NaN/],
  [[1, 2], [1, Number.POSITIVE_INFINITY], {}, /finite numbers, got Infinity/],
  [[1, 2], [1, 2], { level: 1 }, /level between 0 and 1, got 1/],
  [[1, 2], [1, 2], { permutations: 10 }, /at least 100 permutations, a whole number, got 10/],
  [[1, 2], [1, 2], { seed: 0.5 }, /whole number as seed, got 0.5/],
])("refuses %j and %j with %j", (a, b, options, message) => {
  expect(() => rankCorrelation(a, b, options)).toThrow(message);
});
