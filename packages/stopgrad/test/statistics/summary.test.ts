import { describe, expect, it } from "vitest";
import { mean, sampleStandardDeviation, summarise, summariseKnown, tInterval } from "../../src/statistics/summary.js";

describe("summary over seeds", () => {
  it("has the sample standard deviation, divided by n − 1", () => {
    // Deviations −3, −1, −1, −1, 0, 0, 2, 4 from 5: squares sum to 32, 32 / 7.
    expect(mean([2, 4, 4, 4, 5, 5, 7, 9])).toBe(5);
    expect(sampleStandardDeviation([2, 4, 4, 4, 5, 5, 7, 9])).toBeCloseTo(Math.sqrt(32 / 7), 12);
  });

  it("has the t-interval worked by hand for three values", () => {
    // mean 2, s = 1, half-width 4.302653 / √3 = 2.484138.
    const [low, high] = tInterval([1, 2, 3]);
    expect(low).toBeCloseTo(-0.484138, 5);
    expect(high).toBeCloseTo(4.484138, 5);
    const [low90] = tInterval([1, 2, 3], 0.9); // t(0.95; 2) = 2.919986
    expect(low90).toBeCloseTo(2 - 2.919986 / Math.sqrt(3), 5);
  });

  it("gives no spread for one value, and an exact one for equal values", () => {
    expect(summarise([0.1])).toEqual({ mean: 0.1, std: null, n: 1, interval: null });
    expect(summarise([0.1, 0.1, 0.1])).toEqual({ mean: 0.1, std: 0, n: 3, interval: [0.1, 0.1] });
  });

  it("leaves out what is not a finite number, and refuses it where it would be averaged", () => {
    expect(summariseKnown([1, null, Number.NaN, 3, undefined])).toMatchObject({ mean: 2, n: 2 });
    expect(summariseKnown([null])).toBeNull();
    expect(() => summarise([])).toThrow("summarise: expected at least 1 value, got 0");
    expect(() => summarise([1, Number.NaN])).toThrow("summarise: expected finite numbers, got NaN");
    expect(() => tInterval([1])).toThrow("expected at least 2 values, got 1");
  });
});
