import { describe, expect, it } from "vitest";
import { Found } from "../../src/reproduce/found.js";
import {
  bestProbe,
  bottleneckShare,
  choose,
  compressionX,
  finalMean,
  gainOfDeeperBlocks,
  gainOverDepth,
  initialX,
  largestCompressionX,
  lastProbe,
  lossY,
  reachedAfter,
  roleDifferentiation,
  saturation,
  smallestCompressionX,
  uniformity,
} from "../../src/reproduce/quantities.js";
import { type MadeRun, madeRun } from "./made-runs.js";

function ofRun(made: Partial<MadeRun>, quantity: Parameters<Found["of"]>[2]): number | undefined {
  const found = new Found([{ part: "p", run: madeRun({ variant: "v", seed: 1, ...made }) }]);
  return found.of("p", "v", quantity)[0]?.value;
}

// Compression 0.5, 0.2, 0, 0.1; retention of Y 1, 0.5, 0.75, 1.
const plane = {
  a: { x: [2, 10, 5], y: [1, 2, 4] },
  b: { x: [2, 10, 8], y: [1, 4, 2] },
  c: { x: [2, 8, 10], y: [1, 8, 6] },
  d: { x: [4, 10, 9], y: [1, 4, 8] },
};

describe("the plane of one run", () => {
  it.each([
    ["mean compression", compressionX("all"), 0.2],
    ["of the first", compressionX("first"), 0.5],
    ["of the middle", compressionX("middle"), 0.2],
    ["of the last two", compressionX("last two"), 0.05],
    ["of the halves", compressionX("first half"), 0.35],
    ["largest", largestCompressionX, 0.5],
    ["smallest", smallestCompressionX, 0],
    ["loss of Y", lossY("all"), 0.1875],
    ["final X", finalMean("x"), 8],
    ["final Y of the second half", finalMean("y", "second half"), 7],
    ["initial X", initialX, 2.5],
    ["gain over depth", gainOverDepth, 1],
    ["bottleneck in a and d", bottleneckShare, 0.5],
    ["role differentiation: 1 − (0.5 + 0.75) / 2", roleDifferentiation, 0.375],
    ["spread of 0.5, 0.2, 0, 0.1", uniformity, Math.sqrt(0.14 / 3)],
    ["reached after half of two epochs: 1, 1, 0.8, 1", reachedAfter("x", 0.5), 0.95],
  ] as const)("%s", (_, quantity, expected) => {
    expect(ofRun({ plane, epochs: 2 }, quantity)).toBeCloseTo(expected, 12);
  });

  it("chooses stages by position", () => {
    expect(choose([1, 2, 3, 4, 5], "middle")).toEqual([2, 3]);
    expect(choose([1, 2, 3, 4, 5], "first half")).toEqual([1, 2, 3]);
    expect(choose([1, 2, 3, 4, 5], "second half")).toEqual([4, 5]);
    expect(choose([1, 2, 3], "last")).toEqual([3]);
  });

  it("is nothing where nothing was measured", () => {
    for (const quantity of [compressionX("all"), largestCompressionX, lossY("last"), initialX, gainOverDepth]) {
      expect(ofRun({}, quantity)).toBeUndefined();
    }
  });
});

describe("probes and blocks", () => {
  it("finds where separability saturates", () => {
    const rising: [number, number][] = [
      [0.5, 0.4],
      [0.8, 0.6],
      [1, 0.691],
      [1, 0.7],
      [0.9, 0.65],
    ];
    expect(ofRun({ probes: rising }, saturation)).toBe(0.5);
    expect(ofRun({ probes: rising }, lastProbe("test"))).toBe(0.65);
    expect(ofRun({ probes: rising }, bestProbe("train"))).toBe(1);
  });

  it("compares all blocks with the first", () => {
    const made = { epochs: 6, phaseEpochs: 2, testAccuracies: [0.2, 0.5, 0.55, 0.6, 0.62, 0.63], testAccuracy: 0.63 };
    expect(ofRun(made, gainOfDeeperBlocks)).toBeCloseTo(0.13, 12);
    expect(ofRun({ ...made, phaseEpochs: 6 }, gainOfDeeperBlocks)).toBeUndefined();
  });
});

describe("what was found", () => {
  it("counts completed runs only, by part, variant and seed", () => {
    const found = new Found([
      { part: "p", run: madeRun({ variant: "v", seed: 2, testAccuracy: 0.4 }) },
      { part: "p", run: madeRun({ variant: "v", seed: 1, testAccuracy: 0.3 }) },
      { part: "p", run: madeRun({ variant: "w", seed: 1, failed: true }) },
      { part: "q", run: madeRun({ variant: "v", seed: 1, testAccuracy: 0.9 }) },
    ]);
    expect(found.accuracy("p", "v")).toEqual([
      { seed: 1, value: 0.3 },
      { seed: 2, value: 0.4 },
    ]);
    expect(found.accuracy("p", "w")).toEqual([]);
    expect(found.has("p", "w")).toBe(true);
    expect(found.has("q", "w")).toBe(false);
    expect(found.severalParts).toBe(true);
  });
});
