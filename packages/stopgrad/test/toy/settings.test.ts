// What the toy refuses, and in which words.
import { describe, expect, it } from "vitest";
import { checkToySettings, ToySettingsError, toyDefaults } from "../../src/toy/index.js";
import { comparedSteps, recordedSteps } from "../../src/toy/train.js";

const wrong: [string, object, string][] = [
  ["a negative weight", { lambda: -0.01 }, "toy: lambda: expected a number, at least 0, got -0.01"],
  ["a weight that is no number", { lambda: Number.NaN }, "lambda: expected a number, at least 0, got NaN"],
  ["an infinite weight", { lambda: Number.POSITIVE_INFINITY }, "got Infinity"],
  ["no steps", { steps: 0 }, "steps: expected a whole number from 1 to 10,000,000, got 0"],
  ["half a step", { steps: 1.5 }, "got 1.5"],
  ["an odd number of points", { points: 2001 }, "points: expected an even number"],
  ["fewer points than a batch", { points: 254 }, "from 256 to 1,000,000, got 254"],
  ["an unknown head", { rules: ["cubic"] }, "head: expected one of linear, mlp, e2e, got cubic"],
  ["no head", { rules: [] }, "head: expected at least one, each once, got nothing"],
  ["a head twice", { rules: ["mlp", "mlp"] }, "got mlp,mlp"],
  ["an inherited name as a head", { rules: ["constructor"] }, "got constructor"],
  ["an unknown penalty", { penalty: "cubic" }, "penalty: expected one of lagrangian, quadratic, got cubic"],
  ["an unknown start", { start: "far" }, "start: expected one of wide, near-zero, got far"],
  ["a learning rate of 0", { learningRate: 0 }, "learning rate: expected a number above 0, got 0"],
  ["no norm", { squaredNorm: 0 }, "norm: expected a squared norm above 0, got 0"],
  ["half a seed", { seeds: [1, 0.5] }, "seeds: expected whole numbers from 0 to 4,294,967,295, got 0.5"],
  ["no seeds", { seeds: [] }, "seeds: expected at least one, each once, got nothing"],
  ["a seed twice", { seeds: [3, 3] }, "got 3,3"],
];

describe("checkToySettings", () => {
  it.each(wrong)("refuses %s", (_, change, message) => {
    const check = () => checkToySettings({ ...toyDefaults, ...change });
    expect(check).toThrow(ToySettingsError);
    expect(check).toThrow(message);
  });

  it("takes the defaults, and no penalty", () => {
    expect(() => checkToySettings(toyDefaults)).not.toThrow();
    expect(() => checkToySettings({ ...toyDefaults, lambda: 0 })).not.toThrow();
  });
});

describe("the steps that are looked at", () => {
  it("hold the published ones, begin with the start and end with the last", () => {
    expect(comparedSteps(20_000)).toEqual([0, 1000, 5000, 10_000, 20_000]);
    expect(comparedSteps(1)).toEqual([0, 1]);
    for (const steps of [1, 2, 7, 100, 20_000]) {
      const recorded = recordedSteps(steps);
      expect(recorded).toEqual(expect.arrayContaining(comparedSteps(steps)));
      expect(recorded).toEqual([...new Set(recorded)].sort((a, b) => a - b));
      expect([recorded[0], recorded.at(-1)]).toEqual([0, steps]);
    }
  });
});
