import { describe, expect, it } from "vitest";
import {
  differenceOverSeeds,
  overSharedOnly,
  pairedDifference,
  welchDifference,
} from "../../src/statistics/difference.js";

const seeded = (values: number[], first = 1) => values.map((value, index) => ({ seed: first + index, value }));

describe("difference between variants", () => {
  it("pairs: the interval is that of the differences", () => {
    // Differences 1, 2, 3: mean 2, half-width 2.484138; the values themselves spread far more.
    const result = pairedDifference([11, 22, 33], [10, 20, 30]);
    expect(result).toMatchObject({ difference: 2, method: "paired", n: 3, degreesOfFreedom: 2 });
    expect(result.interval![0]).toBeCloseTo(-0.484138, 5);
    expect(result.interval![1]).toBeCloseTo(4.484138, 5);
  });

  it("Welch: worked by hand", () => {
    // s² = 1 (n = 3) and 4 (n = 3): variance 5/3, ν = (25/9) / ((1/9 + 16/9) / 2) = 50/17.
    const result = welchDifference([4, 5, 6], [0, 2, 4]);
    expect(result.difference).toBe(3);
    expect(result.degreesOfFreedom).toBeCloseTo(50 / 17, 10);
    // t(0.975; 50/17) = 3.2187586 (SciPy), times √(5/3).
    expect(result.interval![0]).toBeCloseTo(3 - 4.1553995, 6);
    expect(result.interval![1]).toBeCloseTo(3 + 4.1553995, 6);
  });

  it("pairs over the shared seeds only, whatever their order", () => {
    const a = [
      { seed: 3, value: 33 },
      { seed: 1, value: 11 },
      { seed: 2, value: 22 },
      { seed: 9, value: 1000 },
    ];
    const result = differenceOverSeeds(a, seeded([10, 20, 30]));
    expect(result).toMatchObject({ difference: 2, method: "paired", n: 3 });
  });

  it("falls back to Welch without shared seeds, and to no interval with too few values", () => {
    expect(differenceOverSeeds(seeded([4, 5, 6]), seeded([0, 2, 4], 10))).toMatchObject({
      difference: 3,
      method: "welch",
    });
    expect(differenceOverSeeds(seeded([4]), seeded([1]))).toMatchObject({
      difference: 3,
      interval: null,
      method: "single",
      n: 1,
    });
    expect(differenceOverSeeds(seeded([4]), seeded([1, 3], 5))).toMatchObject({
      difference: 2,
      interval: null,
      method: "unpaired",
    });
  });

  it("says which means it lies between, and whether further values were left out", () => {
    const partly = differenceOverSeeds(seeded([10, 20, 90]), seeded([11, 23]));
    expect(partly).toMatchObject({ difference: -2, means: [15, 17], given: [3, 2], n: 2, method: "paired" });
    expect(overSharedOnly(partly)).toBe(true);
    const single = differenceOverSeeds(seeded([10, 20, 90]), seeded([17], 2));
    expect(single).toMatchObject({ difference: 3, means: [20, 17], given: [3, 1], n: 1, method: "single" });
    expect(overSharedOnly(single)).toBe(true);
    for (const whole of [
      differenceOverSeeds(seeded([1, 2]), seeded([3, 5])),
      differenceOverSeeds(seeded([1, 2, 3]), seeded([3, 5], 7)),
      differenceOverSeeds(seeded([1, 2, 3]), seeded([3], 7)),
      differenceOverSeeds(seeded([1]), seeded([3])),
    ]) {
      expect(overSharedOnly(whole)).toBe(false);
      expect(whole.difference).toBe(whole.means[0] - whole.means[1]);
    }
  });

  it("gives no interval where nothing spreads, rounding aside", () => {
    expect(pairedDifference([1.5, 2.5], [1, 2])).toMatchObject({ difference: 0.5, interval: null, method: "paired" });
    expect(0.3 - 0.1).not.toBe(0.4 - 0.2); // equal but for rounding
    expect(pairedDifference([0.3, 0.4], [0.1, 0.2]).interval).toBeNull();
    expect(pairedDifference([0, 0, 0], [0, 0, 0]).interval).toBeNull();
    expect(pairedDifference([0.61, 0.7101], [0.6, 0.7]).interval).not.toBeNull();
    expect(welchDifference([2, 2], [1, 1, 1])).toMatchObject({ difference: 1, interval: null, method: "welch" });
    expect(welchDifference([2, 2], [1, 1.1, 1]).interval).not.toBeNull();
  });

  it("refuses a seed given twice and lists of different length", () => {
    const twice = [
      { seed: 1, value: 1 },
      { seed: 1, value: 2 },
    ];
    expect(() => differenceOverSeeds(twice, seeded([1]))).toThrow("expected each seed once, got seed 1 twice");
    expect(() => pairedDifference([1, 2], [1])).toThrow("expected two lists of one length, got 2 and 1");
  });
});
