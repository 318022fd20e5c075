import { describe, expect, it } from "vitest";
import { kendallTau, spearmanRho } from "../../src/statistics/rank-agreement.js";

describe("agreement of two orders", () => {
  it("is SciPy's, with ties", () => {
    // scipy.stats.kendalltau and spearmanr, 1.10.
    const a = [3, 1, 4, 1, 5, 9, 2, 6];
    const b = [2, 7, 1, 8, 2, 8, 1, 8];
    expect(kendallTau(a, b)).toBeCloseTo(0.16051447078102563, 12);
    expect(spearmanRho(a, b)).toBeCloseTo(0.19885368120992467, 12);
  });

  it("is 1 for the same order on any scale, −1 for the opposite, 1/3 for one swap of three", () => {
    expect(kendallTau([1, 2, 3], [10, 200, 201])).toBe(1);
    expect(spearmanRho([1, 2, 3], [10, 200, 201])).toBe(1);
    expect(kendallTau([1, 2, 3], [3, 2, 1])).toBe(-1);
    expect(spearmanRho([1, 2, 3], [3, 2, 1])).toBe(-1);
    expect(kendallTau([1, 2, 3], [2, 1, 3])).toBeCloseTo(1 / 3, 12);
    expect(spearmanRho([1, 2, 3], [2, 1, 3])).toBeCloseTo(1 / 2, 12);
  });

  it("is undefined where a list has no order, and refuses nonsense", () => {
    expect(kendallTau([1, 1], [1, 2])).toBeNaN();
    expect(spearmanRho([1, 1], [1, 2])).toBeNaN();
    expect(() => kendallTau([1], [1])).toThrow("at least 2, got 1 and 1");
    expect(() => spearmanRho([1, 2], [1, Number.NaN])).toThrow("expected numbers, got NaN");
  });
});
