// Backward elimination against losses that are known.
import { describe, expect, test } from "vitest";
import { selectionOptions, selectPaths } from "../../src/contexts/selection.js";

/** A loss of 1 plus what each absent path costs, and a record of what was asked. */
function additive(costs: readonly number[]) {
  const asked: string[] = [];
  const lossWith = (active: readonly boolean[]) => {
    asked.push(active.map(Number).join(""));
    return costs.reduce((loss, cost, path) => loss + (active[path] ? 0 : cost), 1);
  };
  return { asked, lossWith };
}
const all = (paths: number) => ({ activePaths: Array<boolean>(paths).fill(true) });

describe("selectPaths", () => {
  test("takes the cheapest first, one at a time, until the sum is too much", () => {
    const { asked, lossWith } = additive([0.03, 0.5, 0.01, 0.02]);
    expect(selectPaths(all(4), lossWith, 0.05)).toEqual([true, true, false, false]);
    expect(asked).toEqual(["1111", "0111", "1011", "1101", "1110", "0101", "1001", "1100", "0100", "1000"]);
  });

  test("the tolerance is relative and counted from the loss with all", () => {
    const half = { activePaths: [true, true] };
    expect(selectPaths(half, (active) => (active[0] ? 2 : 2.02), 0.01)).toEqual([false, false]);
    expect(selectPaths(half, (active) => (active[0] ? 2 : 2.0201), 0.01)).toEqual([true, false]);
    // Each step alone would be within it.
    const { lossWith } = additive([0.009, 0.009, 0.009]);
    expect(selectPaths(all(3), lossWith, 0.01)).toEqual([true, true, false]);
  });

  test("of equals the later path goes", () => {
    expect(selectPaths(all(3), (active) => (active.filter(Boolean).length >= 2 ? 1 : 9), 0.01)).toEqual([
      true,
      true,
      false,
    ]);
  });

  test("with tolerance 0 paths go that change nothing, or that disturb", () => {
    expect(selectPaths(all(3), additive([0, 0, 1e-9]).lossWith, 0)).toEqual([false, false, true]);
    expect(selectPaths(all(2), additive([0.1, -0.2]).lossWith, 0)).toEqual([false, false]); // within what it was with all
  });

  test("two that stand for each other: one stays", () => {
    const lossWith = (active: readonly boolean[]) => (active[0] || active[1] ? 1 : 3);
    expect(selectPaths(all(2), lossWith, 0.01)).toEqual([true, false]);
  });

  test("paths out of use stay so, and none in use asks nothing", () => {
    const { asked, lossWith } = additive([0, 0, 5]);
    expect(selectPaths({ activePaths: [true, false, true] }, lossWith, 0.01)).toEqual([false, false, true]);
    expect(asked).toEqual(["101", "001", "100", "000"]);
    asked.length = 0;
    expect(selectPaths({ activePaths: [false, false, false] }, lossWith, 0.01)).toEqual([false, false, false]);
    expect(asked).toEqual([]);
  });

  test("of a loss below 0 a higher one is worse", () => {
    expect(selectPaths(all(1), (active) => (active[0] ? -2 : -1.99), 0.01)).toEqual([false]);
    expect(selectPaths(all(1), (active) => (active[0] ? -2 : -1.9), 0.01)).toEqual([true]);
  });

  test("a loss that is not a number keeps the path, or is refused", () => {
    expect(selectPaths(all(2), (active) => (active[1] ? 1 : Number.NaN), 1)).toEqual([false, true]);
    expect(() => selectPaths(all(2), () => Number.NaN, 0.01)).toThrow(
      "expected a finite loss with every path in use, got NaN",
    );
  });
});

test("defaults of the setting", () => {
  expect(selectionOptions.parse({})).toEqual({ tolerance: 0.01, after: 1, images: 1024 });
  expect(() => selectionOptions.parse({ tolerance: -1 })).toThrow();
  expect(() => selectionOptions.parse({ paths: 1 })).toThrow();
});
