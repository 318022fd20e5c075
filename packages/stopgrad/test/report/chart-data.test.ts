import { describe, expect, it } from "vitest";
import { arrows, band, domain, path, thin, ticks } from "../../src/report/chart-data.js";

describe("numbers made ready to draw", () => {
  it("a band is mean and t-interval over the epochs that all runs have", () => {
    const run = (...values: number[]) => values.map((value, epoch) => ({ epoch, value }));
    const result = band([run(1, 10), run(2, 20, 99), run(3, 30)]);
    expect(result.map((point) => [point.epoch, point.mean, point.n])).toEqual([
      [0, 2, 3],
      [1, 20, 3],
    ]);
    expect(result[0]!.low).toBeCloseTo(-0.484138, 5);
    expect(result[0]!.high).toBeCloseTo(4.484138, 5);
    expect(band([run(5)])).toEqual([{ epoch: 0, mean: 5, low: 5, high: 5, n: 1 }]);
    expect(band([[], []])).toEqual([]);
    expect(band([[{ epoch: 1, value: 1 }], [{ epoch: 2, value: 2 }]])).toHaveLength(2);
  });

  it("arrowheads point where the path goes on the screen, the last one at its end", () => {
    const panel = { width: 100, height: 100, xDomain: [0, 1] as const, yDomain: [0, 1] as const };
    const go = (...corners: [number, number][]) => corners.map(([x, y], epoch) => ({ epoch, x, y }));
    expect(arrows(go([0, 0], [0, 1]), panel).map((arrow) => arrow.angle)).toEqual([0, 0]); // up
    expect(arrows(go([0, 0], [1, 0]), panel).at(-1)).toMatchObject({ angle: 90, x: 1, y: 0, epoch: 1 }); // right
    expect(arrows(go([1, 1], [0, 0]), panel).at(-1)!.angle).toBe(-135); // down left
    const wide = { ...panel, width: 200 }; // the same path is flatter on a wider panel
    expect(arrows(go([0, 0], [1, 1]), wide).at(-1)!.angle).toBe(63);
    expect(arrows(go([0.5, 0.5], [0.51, 0.5]), panel)).toEqual([]);
    expect(arrows([], panel)).toEqual([]);
    expect(arrows(go([0, 0], [0, 0], [1, 0]), panel).every((arrow) => Number.isFinite(arrow.angle))).toBe(true);
  });

  it("ranges hold everything and are never empty", () => {
    const [low, high] = domain([10, 20]);
    expect(low).toBeLessThan(10);
    expect(high).toBeGreaterThan(20);
    const flat = domain([7, 7]);
    expect(flat[0]).toBeLessThan(7);
    expect(flat[1]).toBeGreaterThan(7);
    expect(domain([0])[1]).toBeGreaterThan(0);
    expect(domain([])).toEqual([0, 1]);
    // Hardly beyond what is possible; far from its ends as without them.
    expect(domain([0, 100], 0.06, [0, 100])).toEqual([-1.5, 101.5]);
    expect(domain([40, 60], 0.06, [0, 100])).toEqual(domain([40, 60]));
  });

  it("ticks are round, inside the range, and leave room at the upper end", () => {
    expect(ticks([83.7, 108.3], 4, 170).values).toEqual([85, 90, 95, 100, 105]);
    expect(ticks([0, 1], 5, 100)).toEqual({ values: [0, 0.2, 0.4, 0.6, 0.8], decimals: 1 });
    expect(ticks([0, 20], 5, null).values).toEqual([0, 5, 10, 15, 20]);
    expect(ticks([102.301, 102.349], 4, 150)).toEqual({ values: [102.31, 102.32, 102.33, 102.34], decimals: 2 });
    expect(ticks([-3, 3], 3, 100).values).toEqual([-2, 0, 2]);
  });

  it("thins a line but keeps its ends; a path needs both coordinates", () => {
    const line = Array.from({ length: 1000 }, (_, index) => index);
    expect(thin(line, 50)).toHaveLength(50);
    expect([thin(line, 50)[0], thin(line, 50).at(-1)]).toEqual([0, 999]);
    expect(thin([1, 2], 50)).toEqual([1, 2]);
    const x = [1, 2, 3].map((epoch) => ({ epoch, value: epoch }));
    expect(path(x, x.slice(1))).toEqual([
      { epoch: 2, x: 2, y: 2 },
      { epoch: 3, x: 3, y: 3 },
    ]);
  });
});
