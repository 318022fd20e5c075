// The saturation layer and the rise of accuracy over stages, worked by hand.
import { describe, expect, it } from "vitest";
import { rise, riseOverSeeds, saturation, saturationOverSeeds, tQuantile } from "../../src/statistics/index.js";

describe("saturation", () => {
  it("is the first stage within one point of the highest", () => {
    expect(saturation([0.4, 0.6, 0.795, 0.8, 0.79])).toBe(2);
    expect(saturation([0.4, 0.6, 0.7, 0.8])).toBe(3);
    expect(saturation([0.9, 0.5, 0.3])).toBe(0);
    expect(saturation([0.5])).toBe(0);
  });

  it("counts a difference of exactly one point, which floating point does not hold", () => {
    expect(0.85 - 0.84).toBeGreaterThan(0.01);
    expect(saturation([0.84, 0.85])).toBe(0);
    expect(saturation([0.8399, 0.85])).toBe(1);
  });

  it("takes another difference", () => {
    expect(saturation([0.7, 0.78, 0.8], 0.1)).toBe(0);
    expect(saturation([0.7, 0.78, 0.8], 0.05)).toBe(1);
    expect(saturation([0.7, 0.8, 0.8], 0)).toBe(1);
  });

  it("refuses what is no accuracy", () => {
    expect(() => saturation([])).toThrow(/accuracies of at least one stage, got none/);
    for (const wrong of [Number.NaN, -0.1, 1.1, Number.POSITIVE_INFINITY]) {
      expect(() => saturation([0.5, wrong])).toThrow(RangeError);
    }
    expect(() => saturation([0.5], -0.01)).toThrow(/difference of at least 0/);
    expect(() => saturation([0.5], Number.NaN)).toThrow(/difference of at least 0/);
  });

  it("has a mean and a t-interval over seeds", () => {
    const runs = [
      [0.1, 0.5, 0.8, 0.8],
      [0.1, 0.5, 0.7, 0.8],
      [0.1, 0.8, 0.8, 0.8],
    ]; // 2, 3 and 1
    const found = saturationOverSeeds(runs);
    expect(found).toMatchObject({ mean: 2, std: 1, n: 3 });
    const half = tQuantile(0.975, 2) / Math.sqrt(3);
    expect(found.interval![0]).toBeCloseTo(2 - half, 12);
    expect(found.interval![1]).toBeCloseTo(2 + half, 12);
    expect(saturationOverSeeds(runs.slice(0, 1))).toMatchObject({ mean: 2, interval: null });
    expect(() => saturationOverSeeds([])).toThrow(/at least one run, got none/);
    expect(() => saturationOverSeeds([[0.1], [0.1, 0.2]])).toThrow(/1 stages in every run, got 2/);
  });
});

describe("rise", () => {
  it("tells an even rise from a jump that stays", () => {
    const even = rise([0.3, 0.5, 0.7, 0.9], 0.1)!;
    expect(even.early).toBeCloseTo(0.25, 12);
    expect(even.late).toBeCloseTo(0.25, 12);
    const jump = rise([0.9, 0.9, 0.9, 0.9], 0.1)!;
    expect(jump).toEqual({ early: 1, late: 0 });
  });

  it("counts a quarter of stages up to whole ones", () => {
    // Of nine stages the first three, and the last two.
    const found = rise([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1], 0)!;
    expect(found.early).toBeCloseTo(0.3, 12);
    expect(found.late).toBeCloseTo(0.3, 12);
  });

  it("falls below 0 where the last quarter loses, and above 1 where the first was better than the last", () => {
    const found = rise([0.9, 0.9, 0.9, 0.5], 0.1)!;
    expect(found.early).toBeCloseTo(2, 12);
    expect(found.late).toBeCloseTo(-1, 12);
  });

  it("is undefined at chance and for fewer than four stages", () => {
    expect(rise([0.2, 0.3, 0.2, 0.1], 0.1)).toBeNull();
    expect(rise([0.5, 0.6, 0.7], 0.1)).toBeNull();
    expect(() => rise([], 0.1)).toThrow(RangeError);
    expect(() => rise([0.5, Number.NaN, 0.5, 0.5], 0.1)).toThrow(/accuracies in \[0, 1\], got NaN/);
    expect(() => rise([0.5], 1)).toThrow(/chance in \[0, 1\), got 1/);
  });

  it("has means over seeds, of the runs where it is defined", () => {
    const found = riseOverSeeds(
      [
        [0.3, 0.5, 0.7, 0.9],
        [0.9, 0.9, 0.9, 0.9],
        [0.1, 0.1, 0.1, 0.1],
      ],
      0.1,
    );
    expect(found.early).toMatchObject({ n: 2 });
    expect(found.early!.mean).toBeCloseTo(0.625, 12);
    expect(found.late!.mean).toBeCloseTo(0.125, 12);
    expect(riseOverSeeds([[0.1, 0.1, 0.1, 0.1]], 0.1)).toEqual({ early: null, late: null });
    expect(() => riseOverSeeds([], 0.1)).toThrow(RangeError);
  });
});
