// Counted mutual information on points placed by hand, and nHSIC of maps that keep or lose what x tells.
import { describe, expect, it } from "vitest";
import { drawToyData, type ToyData } from "../../src/toy/data.js";
import { countedInformation, toyNhsic } from "../../src/toy/information.js";

const identity = Float64Array.of(1, 0, 0, 1);
const onAxis = Float64Array.of(1, 0, 0, 0);

function placed(...points: [number, number, number][]): ToyData {
  return {
    first: Float64Array.from(points, ([x]) => x),
    second: Float64Array.from(points, ([, x]) => x),
    classes: Float64Array.from(points, ([, , y]) => y),
  };
}

describe("countedInformation", () => {
  it("is ln N and H(Y) where every point has a cell of its own", () => {
    const data = placed([1, 1, 1], [1, -1, -1], [2, 0, 1], [-2, 0, 1]);
    const found = countedInformation(data, identity);
    expect(found.x).toBeCloseTo(Math.log(4), 14);
    expect(found.y).toBeCloseTo(-0.25 * Math.log(0.25) - 0.75 * Math.log(0.75), 14);
  });

  it("loses what falls into one cell: worked by hand", () => {
    // On the first axis: cells {+, −}, {+}, {+} of 4 points. H(Z) = 1.5 ln 2; H(Y|Z) = ½ ln 2.
    const data = placed([1, 1, 1], [1, -1, -1], [2, 0, 1], [-2, 0, 1]);
    const found = countedInformation(data, onAxis);
    expect(found.x).toBeCloseTo(1.5 * Math.LN2, 14);
    expect(found.y).toBeCloseTo(-0.25 * Math.log(0.25) - 0.75 * Math.log(0.75) - 0.5 * Math.LN2, 14);
  });

  it("is 0 for W = 0, and between 0, H(Y) and H(Z) otherwise", () => {
    const data = drawToyData(2000, 1);
    const nothing = countedInformation(data, new Float64Array(4));
    expect(Math.abs(nothing.x)).toBe(0);
    expect(Math.abs(nothing.y)).toBeLessThan(1e-15);
    for (const weights of [identity, onAxis, Float64Array.of(0.3, -2, 1, 0.1)]) {
      const { x, y } = countedInformation(data, weights);
      expect(x).toBeLessThanOrEqual(Math.log(2000));
      expect(y).toBeLessThanOrEqual(Math.min(x, Math.LN2 + 1e-12));
      expect(y).toBeGreaterThan(0);
    }
  });

  it("makes a point and its mirror image one where W sees the first coordinate only", () => {
    const fine = Float64Array.of(1e5, 0, 0, 0); // every first coordinate has its cell
    const { x } = countedInformation(drawToyData(600, 2), fine);
    expect(x).toBeCloseTo(Math.log(300), 2);
  });

  it("sees ln 2 of the class while the rings are apart, and a part of it on the first axis", () => {
    const data = drawToyData(8000, 1);
    expect(countedInformation(data, identity).y).toBeCloseTo(Math.LN2, 3);
    const { y } = countedInformation(data, onAxis);
    expect(y).toBeGreaterThan(0.2);
    expect(y).toBeLessThan(0.35);
  });
});

describe("toyNhsic", () => {
  it("falls where W is of rank one, vanishes for W = 0 and takes several W at once", () => {
    const data = drawToyData(1100, 1);
    const [whole, axis, zero] = toyNhsic(data, [identity, onAxis, new Float64Array(4)]);
    expect(whole!.x).toBeGreaterThan(2 * axis!.x);
    expect(whole!.y).toBeGreaterThan(2 * axis!.y);
    expect(axis!.x).toBeGreaterThan(1);
    expect(zero).toEqual({ x: expect.closeTo(0, 9), y: expect.closeTo(0, 9) });
    expect(toyNhsic(data, [onAxis])).toEqual([axis]);
  });
});
