import { expect, test } from "vitest";
import { mergeLayers } from "../../src/experiment/layers.js";
import { cutNames, moduleCount, moduleSizes, parsePartition, requireModules } from "../../src/experiment/partition.js";
import { publishedEqualCuts, publishedMemoryCuts, stageNames } from "../support/published-cuts.js";

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

test.each(publishedEqualCuts)("ResNet-$depth in $modules modules is cut at $cuts", ({ depth, modules, cuts }) => {
  const names = stageNames(depth);
  expect(cutNames(moduleSizes(modules, names.length), names).join(" ")).toBe(cuts);
});

test.each(publishedMemoryCuts)("cuts $cuts of ResNet-$depth are modules of $sizes", ({ depth, cuts, sizes }) => {
  expect(cutNames(sizes, stageNames(depth)).join("")).toBe(cuts);
});

test("cuts of other networks have their stages' names, and count from what is frozen", () => {
  expect(cutNames([1, 2, 1], ["conv1", "conv2", "fc1", "fc2"])).toEqual(["conv1", "fc1"]);
  expect(cutNames([1, 2], ["stem", "layer1.0", "layer1.1", "layer2.0"], 1)).toEqual(["(1,0)"]);
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
  expect(moduleCount({ modules: 5, balance: "memory" })).toBe(5);
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

test("modules by their number and balance; what is the same has one form", () => {
  expect(parsePartition({ modules: 4, balance: "memory" })).toEqual({ modules: 4, balance: "memory" });
  for (const value of [{ modules: 4 }, { modules: 4, balance: "equal" }, { modules: 4, balance: null }]) {
    expect(parsePartition(value)).toBe(4);
  }
  expect(parsePartition({ modules: 1, balance: "memory" })).toBe(1);
});

test.each([
  [{ modules: 0 }, ["modules"], "expected a positive integer, got 0"],
  [{ balance: "memory" }, ["modules"], "expected a positive integer, got nothing"],
  [{ modules: 2, balance: "memori" }, ["balance"], 'expected one of equal, memory, got "memori"; did you mean memory?'],
  [{ modules: 2, balance: true }, ["balance"], "expected one of equal, memory, got true"],
  [{ modules: 2, balanced: "memory" }, ["balanced"], "unknown key; did you mean balance?"],
  [{ modules: 2, cuts: [1] }, ["cuts"], "unknown key (known: modules, balance)"],
  [{ cut: [1] }, ["cut"], "unknown key; did you mean cuts?"],
])("%j is refused", (value, at, message) => {
  expect(parsePartition(value)).toEqual({ mistakes: [{ at, message }] });
});

test("a balance by memory asks what modules cost, counted from the first stage of the network", () => {
  const asked: [number, number][] = [];
  const bytes = [9, 9, 8, 1, 1, 1];
  const cost = (from: number, end: number) => {
    asked.push([from, end]);
    return bytes.slice(from, end).reduce((a, b) => a + b, 0);
  };
  const partition = { modules: 2, balance: "memory" } as const;
  expect(moduleSizes(partition, 6, 0, cost)).toEqual([2, 4]);
  asked.length = 0;
  expect(moduleSizes(partition, 6, 2, cost)).toEqual([1, 3]);
  expect(asked).toContainEqual([2, 3]);
  expect(asked.every(([from, end]) => from >= 2 && end <= 6)).toBe(true);
  expect(() => moduleSizes(partition, 6)).toThrow(TypeError);
  expect(() => moduleSizes(partition, 3, 2, cost)).toThrow(
    /2 modules need as many stages; the model has 3, of which 2/,
  );
});

test("whether a network can be cut so is known without costs", () => {
  expect(requireModules({ modules: 2, balance: "memory" }, 6)).toBe(2);
  expect(requireModules("stage", 6, 2)).toBe(4);
  expect(requireModules({ cuts: [3, 5] }, 6, 2)).toBe(3);
  expect(() => requireModules({ modules: 7, balance: "memory" }, 6)).toThrow(/7 modules need as many stages/);
  expect(() => requireModules({ cuts: [2] }, 6, 2)).toThrow(/the first cut is 3/);
});

test("layers: a map over a map joins key by key, another way to say it replaces it", () => {
  const merge = (below: object, over: object) => mergeLayers({ partition: below }, { partition: over }).partition;
  expect(merge({ modules: 4, balance: "memory" }, { modules: 8 })).toEqual({ modules: 8, balance: "memory" });
  expect(merge({ modules: 4 }, { balance: "memory" })).toEqual({ modules: 4, balance: "memory" });
  expect(merge({ modules: 4, balance: "memory" }, { cuts: [2] })).toEqual({ cuts: [2] });
  expect(merge({ cuts: [2] }, { modules: 4 })).toEqual({ modules: 4 });
});
