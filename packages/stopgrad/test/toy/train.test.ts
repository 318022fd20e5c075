// What does and what does not make W collapse: a small weight, the other penalty, a ReLU head, end-to-end training; the
// start near zero and its two phases; a step that is too large.
import { describe, expect, it } from "vitest";
import {
  concludeToy,
  ratioOf,
  runToy,
  summariseToy,
  ToyDivergedError,
  type ToyRun,
  toyDefaults,
  trainToy,
} from "../../src/toy/index.js";
import { penaltyPull } from "../../src/toy/train.js";

const at = (run: ToyRun, step: number) => run.snapshots.find((snapshot) => snapshot.step === step)!;

describe("penaltyPull", () => {
  it("is what finite differences of the penalty say, over W", () => {
    const weights = Float64Array.of(0.3, -0.7, 1.1, 0.2);
    const norm = (w: Float64Array) => w.reduce((sum, value) => sum + value * value, 0);
    const penalties = {
      lagrangian: (w: Float64Array) => 0.1 * (norm(w) - 2),
      quadratic: (w: Float64Array) => 0.1 * (norm(w) - 2) ** 2,
    };
    for (const penalty of ["lagrangian", "quadratic"] as const) {
      const pull = penaltyPull(weights, { penalty, lambda: 0.1, squaredNorm: 2 });
      weights.forEach((value, k) => {
        const moved = (by: number) => penalties[penalty](weights.map((w, i) => (i === k ? w + by : w)));
        expect(pull * value).toBeCloseTo((moved(1e-5) - moved(-1e-5)) / 2e-5, 8);
      });
    }
  });
});

describe("a linear head", () => {
  it("collapses ten times more slowly with λ = 0.001", () => {
    const settings = { ...toyDefaults, lambda: 0.001, points: 1000 };
    for (const seed of [1, 3]) {
      const run = trainToy("linear", seed, settings);
      const last = ratioOf(at(run, 20_000));
      expect(last).toBeGreaterThan(0.02);
      expect(last).toBeLessThan(0.12);
      const fall = at(run, 10_000).singularValues[1] / at(run, 5000).singularValues[1];
      expect(fall).toBeCloseTo(Math.exp(-2 * 0.001 * 250), 2);
    }
  });

  it("does not collapse with the quadratic penalty, λ = 0.1 and c = 1", () => {
    const settings = { ...toyDefaults, penalty: "quadratic", lambda: 0.1, steps: 10_000, points: 1000 } as const;
    for (const seed of [1, 2, 4]) {
      const run = trainToy("linear", seed, settings);
      const [early, late] = [ratioOf(at(run, 1000)), ratioOf(at(run, 10_000))];
      expect(Math.abs(late / early - 1)).toBeLessThan(0.01);
      // 0.05 to 0.39 for the six starts recorded with the specification.
      expect(late).toBeGreaterThan(0.05);
      expect(late).toBeLessThan(0.45);
      expect(at(run, 10_000).weights.reduce((sum, w) => sum + w * w, 0)).toBeCloseTo(1, 2);
    }
  });
});

describe("a head of ReLU units, and end-to-end training", () => {
  it.each(["mlp", "e2e"] as const)("%s: names every point, and W keeps rank two", (rule) => {
    const settings = { ...toyDefaults, steps: 5000, rules: [rule], seeds: [1, 4] };
    const runs = settings.seeds.map((seed) => runToy(rule, seed, settings));
    for (const run of runs) {
      expect(at(run, 1000).headAccuracy).toBeGreaterThan(0.99);
      for (const step of [2500, 5000]) {
        expect(at(run, step).headAccuracy).toBe(1);
        expect(at(run, step).networkAccuracy).toBe(1);
        expect(ratioOf(at(run, step))).toBeGreaterThan(0.8);
      }
      expect(at(run, 5000).informationYZ).toBeCloseTo(Math.LN2, 2);
      expect(run.nhsic.at(-1)!.y).toBeGreaterThan(0.9);
    }
    const summaries = summariseToy(runs, settings);
    expect(summaries[0]!.collapsed).toBe(0);
    expect(concludeToy(summaries)).toBe(
      `${rule}: W keeps rank two in 2 of 2 runs, the network names 100.0 % of the points.`,
    );
  });

  it("learns as its own loss says when trained end to end: loss and accuracy are the network's", () => {
    const run = trainToy("e2e", 1, { ...toyDefaults, steps: 300, points: 400 });
    for (const { headAccuracy, networkAccuracy } of run.snapshots) expect(headAccuracy).toBe(networkAccuracy);
    const losses = run.snapshots.map(({ loss }) => loss);
    expect(losses.at(-1)).toBeLessThan(0.9 * losses[0]!);
  });
});

describe("the start near zero", () => {
  it("has two phases: nHSIC and counted information rise, then fall", () => {
    const run = runToy("linear", 1, { ...toyDefaults, start: "near-zero" });
    const nhsic = (step: number) => run.nhsic.find((point) => point.step === step)!;
    const start = nhsic(0);
    const peak = run.nhsic.reduce((best, point) => (point.x > best.x ? point : best));
    const end = nhsic(20_000);
    // With the specification's points 0.84 → 1.92 (step 500) → 1.28, and 0.079 → 0.311 → 0.217.
    expect(start.x).toBeLessThan(1.1);
    expect(start.y).toBeLessThan(0.15);
    expect(peak.step).toBeGreaterThan(200);
    expect(peak.step).toBeLessThan(1100);
    expect(Math.abs(peak.x - 1.92)).toBeLessThan(0.15);
    expect(Math.abs(peak.y - 0.311)).toBeLessThan(0.04);
    expect(Math.abs(end.x - 1.28)).toBeLessThan(0.05);
    expect(Math.abs(end.y - 0.217)).toBeLessThan(0.04);
    const counted = run.snapshots.map(({ informationXZ }) => informationXZ);
    const most = Math.max(...counted);
    expect(most - counted[0]!).toBeGreaterThan(2);
    expect(most - counted.at(-1)!).toBeGreaterThan(0.5);
  });
});

describe("runs", () => {
  const small = { ...toyDefaults, steps: 40, points: 256, seeds: [1, 2] };

  it("share points and starts between rules, and repeat to the bit", () => {
    const [linear, mlp, e2e] = (["linear", "mlp", "e2e"] as const).map((rule) => trainToy(rule, 1, small));
    expect(mlp!.snapshots[0]!.weights).toEqual(linear!.snapshots[0]!.weights);
    expect(e2e!.snapshots[0]!.networkAccuracy).toBe(linear!.snapshots[0]!.networkAccuracy);
    expect(trainToy("mlp", 1, small)).toEqual(mlp);
    expect(trainToy("mlp", 2, small)).not.toEqual(mlp);
  });

  it("end with a sentence where the step is too large", () => {
    const run = () => trainToy("linear", 1, { ...small, lambda: 100 });
    expect(run).toThrow(ToyDivergedError);
    expect(run).toThrow(
      /^toy: the weights grew without bound \(linear, seed 1, step \d+\): the learning rate 0.05 is too/,
    );
    expect(() => trainToy("e2e", 1, { ...small, penalty: "quadratic", lambda: 1e6 })).toThrow(ToyDivergedError);
  });

  it("say nothing of a ratio where the penalty has taken W to zero", () => {
    const settings = { ...small, rules: ["linear"] as const, lambda: 10, seeds: [1] }; // 1 − 2 λ η = 0: one step
    const runs = [runToy("linear", 1, settings)];
    const [summary] = summariseToy(runs, settings);
    expect(summary!.collapsed).toBe(1);
    expect(summary!.rows.every(({ nhsicXZ }) => Number.isFinite(nhsicXZ.high))).toBe(true);
  });
});
