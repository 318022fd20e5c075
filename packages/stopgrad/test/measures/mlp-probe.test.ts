// The two-layer probe on classes that no linear classifier tells apart.
import "../support/one-thread.js";
import { scope, tensor } from "@stopgrad/torch";
import { describe, expect, it } from "vitest";
import { mlpProbe } from "../../src/measures/mlp-probe.js";
import { probe } from "../../src/measures/probe.js";
import { exclusiveOr, inTurn, made, noise, rings } from "./made-features.js";

const quick = { hidden: 32, batch: 32, learningRate: 1e-2 };

describe("mlp-probe", () => {
  it.each([
    ["exclusive or", () => exclusiveOr(400)],
    ["rings", () => rings(400)],
  ])("solves %s, where the linear probe stays at chance", (_, make) => {
    scope(() => {
      const features = make();
      const linear = probe.fit(features, {});
      expect(Math.abs(linear.test - 0.5)).toBeLessThan(0.1);
      const found = mlpProbe.fit(features, quick);
      expect(found.train).toBeGreaterThan(0.99);
      expect(found.test).toBeGreaterThan(0.99);
    });
  });

  it("stays near chance on noise it has not seen", () => {
    scope(() => {
      const { test } = mlpProbe.fit(noise(1000, 10, 2), quick);
      expect(Math.abs(test - 0.5)).toBeLessThan(0.06);
    });
  });

  it("does not depend on the features' scale", () => {
    scope(() => {
      const features = exclusiveOr(200);
      const scale = tensor([1024, 2 ** -8]);
      const scaled = { ...features, train: features.train.mul(scale), test: features.test.mul(scale) };
      expect(mlpProbe.fit(scaled, quick)).toEqual(mlpProbe.fit(features, quick));
    });
  });

  it("draws from its seed alone", () => {
    scope(() => {
      const features = noise(300, 6);
      const first = mlpProbe.fit(features, { ...quick, epochs: 3 });
      expect(mlpProbe.fit(features, { ...quick, epochs: 3, seed: 0 })).toEqual(first);
      expect(mlpProbe.fit(features, { ...quick, epochs: 3, seed: 1 }).testCorrect).not.toEqual(first.testCorrect);
    });
  });

  it("learns in no more than its budget: one step leaves it near its beginning", () => {
    scope(() => {
      const features = rings(200);
      const once = mlpProbe.fit(features, { epochs: 1, batch: 1000, learningRate: 1e-3 });
      expect(once.train).toBeLessThan(0.9);
    });
  });

  it("shrinks weights by weight decay: with a huge one all samples look alike", () => {
    scope(() => {
      const features = exclusiveOr(200);
      expect(mlpProbe.fit(features, { ...quick, weightDecay: 100 }).train).toBeLessThan(0.75);
    });
  });

  it("says so when training diverges", () => {
    scope(() => {
      const labels = inTurn(20);
      const features = made([labels.map((label, i) => [label, i]), labels]);
      const options = { ...quick, learningRate: 1e30, epochs: 5 };
      expect(() => mlpProbe.fit(features, options)).toThrow(/finite cross-entropy .* use a learningRate below 1e\+30/);
    });
  });
});
