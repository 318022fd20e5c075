import { describe, expect, it } from "vitest";
import {
  above,
  below,
  check,
  combine,
  counted,
  exceeds,
  gap,
  level,
  overall,
  within,
} from "../../src/reproduce/claims.js";

const seeded = (...values: number[]) => values.map((value, at) => ({ seed: at + 1, value }));

describe("estimates", () => {
  // Differences 0.01, 0.02, 0.03: mean 0.02, s = 0.01, t(0.975; 2) = 4.30265, half width 4.30265 · 0.01 / √3 = 0.024841.
  it("pairs differences over seeds", () => {
    const estimate = gap("a − b", seeded(0.51, 0.62, 0.73), seeded(0.5, 0.6, 0.7));
    expect(estimate.value).toBeCloseTo(0.02, 12);
    expect(estimate.interval?.[0]).toBeCloseTo(-0.004841, 5);
    expect(estimate.interval?.[1]).toBeCloseTo(0.044841, 5);
    expect(estimate).toMatchObject({ seeds: 3, from: "seeds" });
  });

  it("assumes ± 0.02 for one seed, over √n for n values without spread", () => {
    const one = gap("a − b", seeded(0.6), seeded(0.5));
    expect(one.from).toBe("assumption");
    expect(one.interval?.[0]).toBeCloseTo(0.08, 12);
    expect(one.interval?.[1]).toBeCloseTo(0.12, 12);
    const four = gap("a − b", seeded(0.6, 0.6, 0.6, 0.6), seeded(0.5, 0.5, 0.5, 0.5));
    expect(four.from).toBe("assumption");
    expect(four.interval?.[0]).toBeCloseTo(0.09, 12);
    expect(four.interval?.[1]).toBeCloseTo(0.11, 12);
    expect(level("a", seeded(0.3)).interval).toEqual([0.3 - 0.02, 0.3 + 0.02]);
    expect(level("a", seeded(0.3, 0.3, 0.3)).from).toBe("assumption");
  });

  it("assumes nothing about what is counted", () => {
    const bytes = counted("bytes", seeded(-0.6, -0.6));
    expect(bytes).toMatchObject({ interval: [-0.6, -0.6], seeds: 2, from: "count" });
    expect(below(bytes, -0.59)).toEqual({
      outcome: "holds",
      number: "bytes: −0.600 [−0.600, −0.600], 2 seeds, counted",
    });
    expect(above(counted("bytes", seeded(0.1, 0.3)), 0.2).outcome).toBe("cannot be told");
    expect(counted("bytes", [])).toMatchObject({ value: null, interval: null });
  });

  it("combines the values of shared seeds", () => {
    const b = [
      { seed: 3, value: 4 },
      { seed: 1, value: 2 },
    ];
    expect(combine([seeded(10, 20, 30), b], (x, y) => x / y)).toEqual([
      { seed: 1, value: 5 },
      { seed: 3, value: 7.5 },
    ]);
    expect(combine([seeded(1), seeded(0)], (x, y) => x / y)).toEqual([]);
  });
});

describe("tests", () => {
  const estimate = level("a", seeded(0.1)); // [0.08, 0.12]

  it.each([
    [0.07, "holds", "does not hold"],
    [0.09, "cannot be told", "cannot be told"],
    [0.13, "does not hold", "holds"],
  ] as const)("above and below %f", (threshold, isAbove, isBelow) => {
    expect(above(estimate, threshold).outcome).toBe(isAbove);
    expect(below(estimate, threshold).outcome).toBe(isBelow);
  });

  it("within a margin needs the whole interval inside", () => {
    expect(within(level("a", seeded(0.01)), 0.04).outcome).toBe("holds");
    expect(within(level("a", seeded(0.01)), 0.02).outcome).toBe("cannot be told");
    expect(within(level("a", seeded(-0.1)), 0.02).outcome).toBe("does not hold");
  });

  it("exceeds only where intervals do not meet", () => {
    expect(exceeds(level("a", seeded(0.2)), estimate).outcome).toBe("holds");
    expect(exceeds(level("a", seeded(0.13)), estimate).outcome).toBe("cannot be told");
    expect(exceeds(level("a", seeded(0.05)), estimate).outcome).toBe("does not hold");
    expect(exceeds(estimate, level("b", [])).outcome).toBe("cannot be told");
  });

  it("cannot tell what was not measured", () => {
    expect(above(level("a", []), 0)).toEqual({ outcome: "cannot be told", number: "a: not measured" });
  });

  it("says the numbers", () => {
    const points = gap("a − b", seeded(0.61), seeded(0.5));
    expect(above(points, 0).number).toBe("a − b: +11.00 points [+9.00, +13.00], 1 seed, interval assumed");
    expect(above(level("a", seeded(0.1), "accuracy"), 0).number).toBe(
      "a: 10.00 % [8.00, 12.00], 1 seed, interval assumed",
    );
    const drop = gap("a − b", seeded(0.49, 0.58, 0.67), seeded(0.5, 0.6, 0.7));
    expect(below(drop, 0).number).toBe("a − b: −2.00 points [−4.48, +0.48], 3 seeds");
  });
});

describe("claims", () => {
  it("hold when all of it does", () => {
    expect(overall(["holds", "holds"])).toBe("holds");
    expect(overall(["holds", "cannot be told"])).toBe("cannot be told");
    expect(overall(["holds", "cannot be told", "does not hold"])).toBe("does not hold");
    expect(overall([])).toBe("cannot be told");
  });

  it("keep each number with its own outcome where there are several", () => {
    const one = level("a", seeded(0.1));
    expect(check("more", [above(one, 0)]).numbers).toEqual(["a: 0.100 [0.080, 0.120], 1 seed, interval assumed"]);
    const { numbers, outcome } = check("more", [above(one, 0), above(one, 0.2)]);
    expect(outcome).toBe("does not hold");
    expect(numbers.map((number) => number.replace(/^.*: /, ""))).toEqual(["holds", "does not hold"]);
  });
});
