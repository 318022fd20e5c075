// Intervals from subsamples without replacement: coverage, rates, and what is refused.
import { describe, expect, it } from "vitest";
import { Sfc32 } from "../../src/data/sfc32.js";
import { subsampleInterval } from "../../src/statistics/subsampling.js";
import { covers, meanAt, normals, share } from "./coverage.js";

describe("subsampling", () => {
  it("of a mean covers as its level says, at any size of the subsamples", () => {
    for (const size of [10, 20, 30]) {
      const kept = share(300, (trial) => {
        const values = normals(40, 4, trial);
        return covers(subsampleInterval(40, meanAt(values), { size }).interval, 0);
      });
      expect(kept).toBeGreaterThan(0.89);
      expect(kept).toBeLessThan(0.98);
    }
  });

  it("of a maximum needs its rate: b = √n, centred on the value, covers the end of the uniform distribution", () => {
    const kept = share(200, (trial) => {
      const random = new Sfc32(6, trial);
      const values = Array.from({ length: 400 }, () => random.uniform(0, 1));
      const largest = (indices: Int32Array) => indices.reduce((most, at) => Math.max(most, values[at]!), 0);
      const { interval } = subsampleInterval(400, largest, { size: 20, rate: 1, centre: "value" });
      // Scaled by √(1 − b/n), 1.026, the ends are a little wide.
      return covers(interval, 1);
    });
    expect(kept).toBeGreaterThan(0.88);
  });

  it("gives no sample twice", () => {
    subsampleInterval(9, (indices) => {
      expect(new Set(indices).size).toBe(indices.length);
      expect([...indices]).toEqual([...indices].sort((a, b) => a - b));
      return 0;
    });
  });

  it("has limits and refuses nonsense", () => {
    expect(subsampleInterval(3, () => 1).interval).toBeNull();
    expect(subsampleInterval(10, () => 1)).toEqual({ value: 1, interval: [1, 1], n: 10, size: 5 });
    expect(subsampleInterval(10, (indices) => (indices.length < 10 ? Number.NaN : 1)).interval).toBeNull();
    expect(() => subsampleInterval(10, () => 1, { size: 10 })).toThrow("expected subsamples of 2 to 9 of 10 samples");
    expect(() => subsampleInterval(10, () => 1, { subsamples: 3 })).toThrow("expected at least 20 subsamples, got 3");
    expect(() => subsampleInterval(10, () => 1, { rate: 0 })).toThrow("expected a rate above 0");
  });
});
