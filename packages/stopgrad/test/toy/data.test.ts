// The points: exact symmetry, classes told apart by radius and not by a line.
import { describe, expect, it } from "vitest";
import { drawToyData } from "../../src/toy/data.js";

describe("drawToyData", () => {
  const { first, second, classes } = drawToyData(8000, 3);

  it("holds the mirror image of every point, to the bit", () => {
    for (let i = 0; i < 8000; i += 2) {
      expect([first[i + 1], second[i + 1], classes[i + 1]]).toEqual([first[i], -second[i]!, classes[i]]);
    }
  });

  it("has two arcs of radius 1 and 2 with a jitter of 0.05, three quarters of a circle each", () => {
    for (const [sign, wanted] of [
      [1, 1],
      [-1, 2],
    ] as const) {
      const mine = [...classes.keys()].filter((i) => classes[i] === sign);
      expect(mine.length / 8000).toBeCloseTo(0.5, 1);
      const radii = mine.map((i) => Math.hypot(first[i]!, second[i]!));
      const mean = radii.reduce((sum, radius) => sum + radius, 0) / radii.length;
      const deviation = Math.sqrt(radii.reduce((sum, radius) => sum + (radius - mean) ** 2, 0) / radii.length);
      expect(Math.abs(mean - wanted)).toBeLessThan(0.005);
      expect(Math.abs(deviation - 0.05)).toBeLessThan(0.003);
      // Angle from the class's own half axis, uniform up to 3π/4: its mean size is half of that.
      const angles = mine.map((i) => Math.abs(Math.atan2(second[i]!, sign * first[i]!)));
      expect(Math.max(...angles)).toBeLessThan(0.75 * Math.PI);
      expect(Math.max(...angles)).toBeGreaterThan(0.74 * Math.PI);
      expect(Math.abs(angles.reduce((sum, angle) => sum + angle, 0) / angles.length - 0.375 * Math.PI)).toBeLessThan(
        0.03,
      );
      // Mean of the first coordinate: radius · sin(3π/4) / (3π/4).
      const centre = mine.reduce((sum, i) => sum + first[i]!, 0) / mine.length;
      expect(Math.abs(centre - (sign * wanted * Math.SQRT1_2) / (0.75 * Math.PI))).toBeLessThan(0.05);
    }
  });

  it("is a function of the seed alone", () => {
    expect(drawToyData(256, 5)).toEqual(drawToyData(256, 5));
    expect(drawToyData(256, 5).first).not.toEqual(drawToyData(256, 6).first);
    expect(drawToyData(256, 5).first).toEqual(drawToyData(512, 5).first.slice(0, 256));
  });

  it("refuses what has no mirror image", () => {
    expect(() => drawToyData(301, 1)).toThrow("expected an even number of points, got 301");
    expect(() => drawToyData(0, 1)).toThrow("got 0");
    expect(() => drawToyData(Number.NaN, 1)).toThrow("got NaN");
  });
});
