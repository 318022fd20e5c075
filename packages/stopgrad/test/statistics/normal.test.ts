import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { normalCumulative, normalQuantile } from "../../src/statistics/normal.js";

// fixtures/record-bootstrap.py: scipy.special.ndtr and ndtri.
const { cumulative, quantile } = JSON.parse(
  readFileSync(new URL("../fixtures/bootstrap.json", import.meta.url), "utf8"),
) as Record<"cumulative" | "quantile", [number, number][]>;

describe("the normal distribution", () => {
  it.each(cumulative)("has SciPy's cumulative probability at %f", (x, expected) => {
    expect(Math.abs(normalCumulative(x) / expected - 1)).toBeLessThan(1e-12);
  });

  it.each(quantile)("has SciPy's quantile of %f", (p, expected) => {
    expect(normalQuantile(p)).toBeCloseTo(expected, 9);
  });

  it("is symmetric, and ends at 0 and 1", () => {
    expect(normalCumulative(-1.7) + normalCumulative(1.7)).toBeCloseTo(1, 15);
    expect(normalCumulative(Number.NEGATIVE_INFINITY)).toBe(0);
    expect(normalCumulative(Number.POSITIVE_INFINITY)).toBe(1);
    expect(normalQuantile(0.5)).toBeCloseTo(0, 14);
  });

  it("says what it expects", () => {
    expect(() => normalQuantile(1)).toThrow("expected a probability between 0 and 1, got 1");
    expect(() => normalQuantile(Number.NaN)).toThrow("got NaN");
    expect(() => normalCumulative(Number.NaN)).toThrow("expected a number, got NaN");
  });
});
