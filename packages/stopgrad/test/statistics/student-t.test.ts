import { describe, expect, it } from "vitest";
import { incompleteBeta, logGamma, tCumulative, tQuantile } from "../../src/statistics/student-t.js";

describe("Student's t", () => {
  // Two-sided 95 % critical values as printed in any table, three decimals.
  it.each([
    [1, 12.706],
    [2, 4.303],
    [3, 3.182],
    [4, 2.776],
    [5, 2.571],
    [9, 2.262],
    [10, 2.228],
    [20, 2.086],
    [30, 2.042],
    [60, 2.0],
    [120, 1.98],
  ])("has the table's 0.975 quantile at %i degrees of freedom", (degreesOfFreedom, value) => {
    expect(tQuantile(0.975, degreesOfFreedom)).toBeCloseTo(value, 3);
  });

  it.each([
    [0.995, 4, 4.604],
    [0.95, 2, 2.92],
    [0.9, 15, 1.341],
    [0.9995, 1, 636.619],
  ])("has the table's %d quantile at %i degrees of freedom", (p, degreesOfFreedom, value) => {
    expect(tQuantile(p, degreesOfFreedom)).toBeCloseTo(value, 3);
  });

  it("agrees with SciPy 1.17 (scipy.stats.t.ppf) to 1e-10, also for fractional degrees of freedom", () => {
    expect(tQuantile(0.975, 1)).toBeCloseTo(12.706204736174694, 10);
    expect(tQuantile(0.975, 2)).toBeCloseTo(4.302652729749462, 10);
    expect(tQuantile(0.975, 2.5)).toBeCloseTo(3.5746548420036817, 10);
    expect(tQuantile(0.975, 1000)).toBeCloseTo(1.9623390808264083, 10);
  });

  it("has the closed forms of one and two degrees of freedom, and is odd about a half", () => {
    for (const p of [0.6, 0.9, 0.975, 0.999]) {
      expect(tQuantile(p, 1)).toBeCloseTo(Math.tan(Math.PI * (p - 0.5)), 8);
      expect(tQuantile(p, 2)).toBeCloseTo((2 * p - 1) / Math.sqrt(2 * p * (1 - p)), 10);
      expect(tQuantile(1 - p, 7)).toBeCloseTo(-tQuantile(p, 7), 9);
    }
    expect(tQuantile(0.5, 3)).toBe(0);
  });

  it("is the inverse of its distribution function", () => {
    for (const v of [1, 2.3, 8, 50, 4000]) expect(tCumulative(tQuantile(0.83, v), v)).toBeCloseTo(0.83, 12);
    expect(tCumulative(0, 4)).toBe(0.5);
    expect(tCumulative(1, 1)).toBeCloseTo(0.75, 12);
    expect(tCumulative(-1, 1)).toBeCloseTo(0.25, 12);
  });

  it("rests on ln Γ and I_x(a, b) with known values", () => {
    expect(logGamma(0.5)).toBeCloseTo(0.5 * Math.log(Math.PI), 13);
    expect(logGamma(11)).toBeCloseTo(Math.log(3628800), 12);
    expect(incompleteBeta(0.3, 1, 1)).toBeCloseTo(0.3, 14);
    expect(incompleteBeta(0.4, 2, 3)).toBeCloseTo(0.5248, 12); // 1 − Σ binomial(4; i) 0.4^i 0.6^(4−i), i < 2
  });

  it("names what is wrong", () => {
    expect(() => tQuantile(1, 3)).toThrow("expected a probability between 0 and 1, got 1");
    expect(() => tQuantile(0.9, 0)).toThrow("expected degrees of freedom above 0, got 0");
  });
});
