import { expect, test } from "vitest";
import { moduleCount, moduleSizes, parsePartition } from "../../src/experiment/partition.js";

// Lengths of the modules in the cut lists published for ResNet-32 (stem and 15 blocks) and ResNet-110 (stem and 54),
// arXiv 2101.10832 and 2312.07636; see papers.md section 6.
test.each([
  [16, 2, "8 8"],
  [16, 3, "6 5 5"],
  [16, 4, "4 4 4 4"],
  [16, 8, "2 2 2 2 2 2 2 2"],
  [16, 16, "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"],
  [55, 2, "28 27"],
  [55, 3, "19 18 18"],
  [55, 4, "13 14 14 14"],
  [55, 8, "6 7 7 7 7 7 7 7"],
  [55, 16, "3 3 3 3 3 3 3 3 3 4 4 4 4 4 4 4"],
  [9, 1, "9"],
])("%i stages in %i modules", (stages, modules, sizes) => {
  expect(moduleSizes(modules, stages).join(" ")).toBe(sizes);
});

test("sizes always add up, and differ by one at most", () => {
  for (let stages = 1; stages <= 60; stages++) {
    for (let modules = 1; modules <= stages; modules++) {
      const sizes = moduleSizes(modules, stages);
      expect(sizes).toHaveLength(modules);
      expect(sizes.reduce((a, b) => a + b)).toBe(stages);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    }
  }
});

test("one module a stage, and cuts", () => {
  expect(moduleSizes("stage", 3)).toEqual([1, 1, 1]);
  expect(moduleSizes({ cuts: [3, 6] }, 9)).toEqual([3, 3, 3]);
  expect(moduleSizes({ cuts: [1] }, 2)).toEqual([1, 1]);
  expect([moduleCount("stage"), moduleCount(4), moduleCount({ cuts: [3, 6] })]).toEqual([null, 4, 3]);
  expect(() => moduleSizes(4, 3)).toThrow(RangeError);
  expect(() => moduleSizes({ cuts: [3] }, 3)).toThrow(/the last cut is 2/);
});

test("what is a partition", () => {
  for (const value of [1, 16, "stage", { cuts: [1] }, { cuts: [2, 5] }]) expect(parsePartition(value)).toEqual(value);
  for (const value of [0, -1, 1.5, Number.NaN, "2", true, [], {}, { cuts: [] }, { cuts: 3 }, { cuts: [1], by: 2 }]) {
    expect(parsePartition(value)).toHaveProperty("mistakes");
  }
  const lines = (value: unknown) => (parsePartition(value) as { mistakes: unknown[] }).mistakes.length;
  expect(lines({ cuts: [2, 1, "a", 2] })).toBe(3);
});
