// Percentile and BCa intervals of given resamples against SciPy's, and by hand.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { bcaInterval } from "../../src/statistics/bca.js";
import { percentileInterval } from "../../src/statistics/resampling.js";

interface Case {
  name: string;
  level: number;
  columns: number[][];
  value: number;
  replicates: number[];
  leftOut: number[];
  percentile: [number, number];
  bca: [number, number];
}

// fixtures/record-bootstrap.py: scipy.stats.bootstrap on the same resamples.
const { cases } = JSON.parse(readFileSync(new URL("../fixtures/bootstrap.json", import.meta.url), "utf8")) as {
  cases: Case[];
};

describe("from given resamples", () => {
  it.each(cases)("$name: SciPy's percentile and BCa intervals", ({ value, replicates, leftOut, level, ...found }) => {
    const percentile = percentileInterval(replicates, level);
    const bca = bcaInterval(value, replicates, leftOut, level)!;
    for (const end of [0, 1] as const) {
      expect(percentile[end]).toBeCloseTo(found.percentile[end], 12);
      expect(bca[end]).toBeCloseTo(found.bca[end], 9);
    }
    expect(bca).not.toEqual(percentile);
  });

  it("BCa by hand: no bias and no skewness leave the percentile interval", () => {
    const replicates = Array.from({ length: 101 }, (_, i) => i - 50);
    const bca = bcaInterval(0, replicates, [-1, 0, 1], 0.9)!;
    expect(bca[0]).toBeCloseTo(-45, 9); // quantiles 0.05 and 0.95 of −50 … 50
    expect(bca[1]).toBeCloseTo(45, 9);
  });

  it("BCa is undefined where every resample lies on one side", () => {
    expect(bcaInterval(5, [1, 2, 3], [1, 2, 3])).toBeNull();
  });
});
