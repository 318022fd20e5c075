import { describe, expect, it } from "vitest";
import {
  compression,
  course,
  describeThresholds,
  planeSummary,
  planeSummaryOverSeeds,
  retention,
  risesThenFalls,
  stillRising,
  type Trajectory,
} from "../../src/statistics/information-plane.js";

const path = (...values: number[]): Trajectory => values.map((value, epoch) => ({ epoch, value }));

describe("reading the plane", () => {
  it("compression and retention are relative to the peak", () => {
    expect(compression(path(10, 100, 80))).toBeCloseTo(0.2, 12);
    expect(retention(path(10, 100, 80))).toBeCloseTo(0.8, 12);
    expect(compression(path(1, 2, 3))).toBe(0);
    expect(compression(path(5))).toBeNull();
    expect(compression(path(0, 0))).toBeNull();
    expect(compression([...path(10, 100, 80), { epoch: 3, value: Number.NaN }])).toBeCloseTo(0.2, 12);
  });

  it("names the course", () => {
    expect(course(path(10, 60, 100, 95, 90))).toBe("rises then falls");
    expect(course(path(10, 60, 80, 90, 100))).toBe("still rising");
    expect(course(path(10, 99, 100, 100, 99.8))).toBe("levels off");
    expect(course(path(10, 100, 99, 98, 97))).toBe("past its peak");
    expect(course(path(100, 90, 80, 70, 60))).toBe("falls");
    expect(course(path(100, 101, 102, 101, 100))).toBe("flat");
    expect(course(path(3))).toBeNull();
    expect(risesThenFalls(path(10, 100, 90))).toBe(true);
    expect(risesThenFalls(path(10, 100, 97))).toBe(false);
    expect(stillRising(path(10, 60, 80, 90, 100))).toBe(true);
  });

  it("judges by the thresholds it is given, at the epochs they fall on", () => {
    const shallow = path(10, 100, 97);
    expect(risesThenFalls(shallow, { rise: 0.05, fall: 0.02, lastPart: 0.25, gain: 0.005 })).toBe(true);
    // Dense points early in training must not move the last quarter: from epoch 15 to 20 it gains 1 of 100.
    const dense: Trajectory = [
      ...[0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5].map((epoch) => ({ epoch, value: 10 + 60 * epoch })),
      { epoch: 10, value: 98 },
      { epoch: 20, value: 100 },
    ];
    expect(course(dense)).toBe("still rising");
    expect(course(dense, { rise: 0.05, fall: 0.05, lastPart: 0.25, gain: 0.0101 })).toBe("levels off");
    expect(describeThresholds()).toContain("gained 0.5 % or more in the last 25 %");
  });

  const run = (scale: number) =>
    planeSummary([
      { stage: "a", x: path(10, 100, 80 * scale), y: path(1, 5, 5) },
      { stage: "b", x: path(10, 50, 100), y: path(1, 10, 9) },
      { stage: "c", x: path(10, 100, 60), y: path(1, 10, 7) },
      { stage: "d", x: path(10, 100, 90), y: path(1, 8, 8) },
    ]);

  it("summarises a run: bottleneck, role differentiation, uniformity", () => {
    const { stages, roleDifferentiation, uniformity } = run(1);
    expect(stages.map((stage) => stage.bottleneck)).toEqual([true, false, false, true]);
    expect(stages[0]).toMatchObject({ finalX: 80, finalY: 5, courseX: "rises then falls", courseY: "levels off" });
    expect(roleDifferentiation).toBeCloseTo(1 - (0.9 + 0.7) / 2, 12);
    // compression 0.2, 0, 0.4, 0.1: mean 0.175, squares 0.000625 + 0.030625 + 0.050625 + 0.005625 = 0.0875, / 3.
    expect(uniformity).toBeCloseTo(Math.sqrt(0.0875 / 3), 12);
  });

  it("averages runs over seeds", () => {
    const summary = planeSummaryOverSeeds([run(1), run(1.1), run(1.2)]);
    expect(summary.stages[0]!.finalX).toMatchObject({ n: 3 });
    expect(summary.stages[0]!.finalX!.mean).toBeCloseTo(88, 10);
    expect(summary.stages[0]!.compressionX!.mean).toBeCloseTo(0.12, 10);
    expect(summary.stages[0]!.coursesX).toEqual([
      ["rises then falls", 2],
      ["past its peak", 1],
    ]);
    expect(summary.stages[0]!.bottleneck).toEqual({ runs: 2, of: 3 });
    expect(summary.roleDifferentiation!.std).toBeCloseTo(0, 12);
  });

  it("says nothing where too little was measured", () => {
    const { roleDifferentiation, uniformity, stages } = planeSummary([
      { stage: "a", x: [], y: [] },
      { stage: "b", x: path(1, 2), y: path(1, 2) },
    ]);
    expect(roleDifferentiation).toBeNull();
    expect(uniformity).toBeNull();
    expect(stages[0]).toMatchObject({ finalX: null, compressionX: null, courseX: null, bottleneck: null });
  });
});
