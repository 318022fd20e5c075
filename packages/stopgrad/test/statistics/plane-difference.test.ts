import { describe, expect, it } from "vitest";
import { planeSummary } from "../../src/statistics/information-plane.js";
import { planeDifference } from "../../src/statistics/plane-difference.js";

const path = (...values: number[]) => values.map((value, epoch) => ({ epoch, value }));

/** A plane of three stages whose compressions are given: from 1 to 10 and back to 10 (1 − compression). */
function plane(seed: number, compressions: readonly number[], retained: readonly number[], names = ["a", "b", "c"]) {
  return {
    seed,
    summary: planeSummary(
      compressions.map((compression, at) => ({
        stage: names[at]!,
        x: path(1, 10, 10 * (1 - compression)),
        y: path(1, 5, 5 * retained[at]!),
      })),
    ),
  };
}

const e2e = [plane(1, [0.1, 0.3, 0.5], [0.8, 0.7, 1]), plane(2, [0.2, 0.5, 0.6], [0.8, 0.6, 1])];
const layerwise = [plane(2, [0.1, 0.1, 0.1], [1, 1, 1]), plane(1, [0.05, 0.1, 0.2], [1, 0.9, 0.9])];

describe("difference of two planes", () => {
  it("pairs by seed, worked by hand", () => {
    const { stages, roleDifferentiation, uniformity } = planeDifference(e2e, layerwise);
    const b = stages.find(({ stage }) => stage === "b")!;
    // Seed 1: 0.3 − 0.1; seed 2: 0.5 − 0.1; mean 0.3, half-width 12.7062 · 0.141421 / √2.
    expect(b.compressionX).toMatchObject({ method: "paired", n: 2 });
    expect(b.compressionX!.difference).toBeCloseTo(0.3, 12);
    expect(b.compressionX!.interval![1]).toBeCloseTo(0.3 + 1.27062, 4);
    expect(b.retentionY!.difference).toBeCloseTo((0.7 - 0.9 + 0.6 - 1) / 2, 12);
    // Role differentiation 0.3 and 0.4 against 0 (seed 1: 0.9 − 0.9) and 0.
    expect(roleDifferentiation!.difference).toBeCloseTo(0.35, 12);
    expect(roleDifferentiation!.means[1]).toBeCloseTo(0, 12);
    expect(uniformity!.difference).toBeCloseTo((0.2 + 0.2081666 - 0.0763763 - 0) / 2, 6);
  });

  it("changes sign with its sides", () => {
    const forward = planeDifference(e2e, layerwise);
    const back = planeDifference(layerwise, e2e);
    expect(back.uniformity!.difference).toBeCloseTo(-forward.uniformity!.difference, 12);
    expect(back.stages[0]!.compressionX!.difference).toBeCloseTo(-forward.stages[0]!.compressionX!.difference, 12);
  });

  it("takes the stages both have, and no number that one side lacks", () => {
    const other = [plane(1, [0.5, 0.5], [1, 1], ["b", "d"])];
    const { stages, roleDifferentiation } = planeDifference(e2e, other);
    expect(stages.map(({ stage }) => stage)).toEqual(["b"]);
    expect(stages[0]!.compressionX).toMatchObject({ method: "single", n: 1, interval: null });
    expect(stages[0]!.compressionX!.difference).toBeCloseTo(-0.2, 12);
    expect(roleDifferentiation).toBeNull(); // two stages have none between first and last
  });

  it("refuses a seed twice", () => {
    expect(() => planeDifference([e2e[0]!, e2e[0]!], layerwise)).toThrow("seed 1 twice");
  });
});
