// The jackknife's interval: Student's t of a mean, and when there is none.
import { describe, expect, it } from "vitest";
import { jackknifeInterval } from "../../src/statistics/jackknife.js";
import { tInterval } from "../../src/statistics/summary.js";
import { covers, meanAt, normals, share } from "./coverage.js";

describe("jackknife", () => {
  it("of a mean is its t-interval, for two terms too", () => {
    for (const terms of [
      [1, 4],
      [0.3, 2.5, 1.1, 0.9, 4.2],
    ]) {
      const { value, interval } = jackknifeInterval(terms.length, meanAt(terms), 0.9);
      expect(value).toBeCloseTo(terms.reduce((sum, term) => sum + term, 0) / terms.length, 12);
      expect(interval![0]).toBeCloseTo(tInterval(terms, 0.9)[0], 10);
      expect(interval![1]).toBeCloseTo(tInterval(terms, 0.9)[1], 10);
    }
  });

  it("of a ratio of means covers with 4 pairs", () => {
    const kept = share(1000, (trial) => {
      const shared = normals(4, 21, trial);
      const own = normals(4, 22, trial);
      const top = shared.map((one, at) => 7 + one + 0.3 * own[at]!);
      const bottom = shared.map((one) => 10 + one);
      const { interval } = jackknifeInterval(4, (indices) => meanAt(top)(indices) / meanAt(bottom)(indices));
      return covers(interval, 0.7);
    });
    expect(kept).toBeGreaterThan(0.92);
    expect(kept).toBeLessThan(0.98);
  });

  it("has none where leave-one-out values coincide and terms differ, width 0 where they do not", () => {
    const terms = [1, 2, 5];
    const least = (indices: Int32Array) => (indices.length > 1 ? 0.25 : terms[indices[0]!]!);
    expect(jackknifeInterval(3, least)).toEqual({ value: 0.25, interval: null, n: 3 });
    // Of two batches each is left over once: both have 7 alone, and together 8.
    expect(jackknifeInterval(2, (indices) => 6 + indices.length)).toEqual({ value: 8, interval: null, n: 2 });
    expect(jackknifeInterval(3, meanAt([0.1, 0.1, 0.1])).interval).toEqual([
      meanAt([0.1, 0.1, 0.1])(Int32Array.of(0, 1, 2)),
      meanAt([0.1, 0.1, 0.1])(Int32Array.of(0, 1, 2)),
    ]);
  });

  it("has none for one term or an undefined statistic", () => {
    expect(jackknifeInterval(1, () => 3)).toEqual({ value: 3, interval: null, n: 1 });
    expect(jackknifeInterval(3, (indices) => (indices.length < 3 ? Number.NaN : 1)).interval).toBeNull();
    expect(() => jackknifeInterval(0, () => 1)).toThrow("expected at least 1 term, got 0");
  });
});
