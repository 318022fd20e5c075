// Logistic regression against SciPy's optimum, Newton's method written out and its own optimality conditions; the probe on
// features whose separability is known.
import "../support/one-thread.js";
import { Generator, memory, rand, randn, scope, type Tensor, tensor } from "@stopgrad/torch";
import { describe, expect, it } from "vitest";
import { logisticRegression } from "../../src/measures/index.js";
import { probe } from "../../src/measures/probe.js";
import { standardise } from "../../src/measures/probe-features.js";
import recorded from "../fixtures/probes.json" with { type: "json" };
import { inTurn, int64, made, noise } from "./made-features.js";

/** Two-class logistic regression on one feature by Newton's method, written out; w and b of class 1 against class 0. */
function newton(x: number[], y: number[], l2: number): { w: number; b: number } {
  let [w, b] = [0, 0];
  for (let iteration = 0; iteration < 100; iteration++) {
    let [gw, gb, hww, hwb, hbb] = [l2 * w, 0, l2, 0, 0];
    for (const [i, xi] of x.entries()) {
      const p = 1 / (1 + Math.exp(-(w * xi + b)));
      const [e, h] = [(p - y[i]!) / x.length, (p * (1 - p)) / x.length];
      gw += e * xi;
      gb += e;
      hww += h * xi * xi;
      hwb += h * xi;
      hbb += h;
    }
    const determinant = hww * hbb - hwb * hwb;
    w -= (hbb * gw - hwb * gb) / determinant;
    b -= (hww * gb - hwb * gw) / determinant;
  }
  return { w, b };
}

describe("logisticRegression", () => {
  const x = [-2, -1.5, -1, -0.3, 0.1, 0.2, 0.9, 1.4, 2.2, -0.7, 0.5, 1.1];
  const y = [0, 0, 1, 0, 1, 0, 1, 1, 1, 0, 0, 1];

  it("finds the solution of Newton's method", () => {
    const l2 = 0.1;
    // With two classes the penalty of w1 and w0 is smallest at w1 = −w0 = w/2: half the penalty on w.
    const { w, b } = newton(x, y, l2 / 2);
    scope(() => {
      const fit = logisticRegression(tensor(x, { dtype: "float64" }).unsqueeze(1), int64(y), 2, {
        l2,
        tolerance: 1e-9,
      });
      expect(fit.converged).toBe(true);
      const [w0, w1] = fit.weight.toNumbers();
      const [b0, b1] = fit.bias.toNumbers();
      expect(w1! - w0!).toBeCloseTo(w, 6);
      expect(b1! - b0!).toBeCloseTo(b, 6);
    });
  });

  it.each(recorded.probes)("finds SciPy's optimum: $name", ({ standardised, trainLabels, classes, l2, ...optimum }) => {
    scope(() => {
      const features = tensor(standardised, { dtype: "float64" });
      const fit = logisticRegression(features, int64(trainLabels), classes, { l2, tolerance: 1e-10 });
      expect(fit.converged).toBe(true);
      expect(fit.largestGradient).toBeLessThanOrEqual(1e-10);
      expect(fit.objective).toBeCloseTo(optimum.objective, 12);
      const far = Math.max(...fit.weight.toNumbers().map((w, i) => Math.abs(w - optimum.weight.flat()[i]!)));
      expect(far).toBeLessThan(1e-5);
      const loose = logisticRegression(features.to("float32"), int64(trainLabels), classes, { l2 });
      expect(loose.converged).toBe(true);
      expect(loose.objective).toBeCloseTo(optimum.objective, 4);
    });
  });

  it("says when it did not converge, and how far it is from it", () => {
    scope(() => {
      const { train, trainLabels } = noise(100, 10);
      const stopped = logisticRegression(train, trainLabels, 2, { l2: 1e-4, iterations: 2 });
      expect(stopped).toMatchObject({ converged: false, iterations: 2 });
      expect(stopped.largestGradient).toBeGreaterThan(1e-4);
      // Float32 cannot tell a gradient of 1e-12 from 0: it stops by itself, and says so.
      const rounded = logisticRegression(train, trainLabels, 2, { l2: 1e-4, tolerance: 1e-12 });
      expect(rounded.converged).toBe(rounded.largestGradient <= 1e-12);
      expect(rounded.largestGradient).toBeLessThan(1e-4);
    });
  });

  it("is at a minimum: the objective grows in every direction", () => {
    scope(() => {
      const generator = new Generator(3);
      const features = randn([60, 5], { generator, dtype: "float64" });
      const labels = int64(inTurn(60, 3));
      const l2 = 0.01;
      const fit = logisticRegression(features, labels, 3, { l2, tolerance: 1e-8 });
      const objective = (weight: Tensor, bias: Tensor) => {
        const logits = features.matmul(weight).add(bias).toNested() as number[][];
        const targets = labels.toNumbers();
        const entropy = logits.map(
          (row, i) => Math.log(row.reduce((sum, v) => sum + Math.exp(v), 0)) - row[targets[i]!]!,
        );
        const norm = weight.toNumbers().reduce((sum, v) => sum + v * v, 0);
        return entropy.reduce((sum, v) => sum + v, 0) / 60 + (l2 / 2) * norm;
      };
      const lowest = objective(fit.weight, fit.bias);
      expect(fit.objective).toBeCloseTo(lowest, 10);
      for (let trial = 0; trial < 10; trial++) {
        const moved = objective(
          fit.weight.add(randn([5, 3], { generator, dtype: "float64" }).mul(0.01)),
          fit.bias.add(randn([3], { generator, dtype: "float64" }).mul(0.01)),
        );
        expect(moved).toBeGreaterThan(lowest);
      }
    });
  });

  it("separates what is separable", () => {
    scope(() => {
      const labels = inTurn(40, 4);
      const features = tensor(labels.map((label) => [label === 0 ? 1 : 0, label === 1 ? 1 : 0, label === 2 ? 1 : 0]));
      const { weight, bias, converged } = logisticRegression(features, int64(labels), 4, { l2: 1e-4 });
      expect(converged).toBe(true);
      expect(features.matmul(weight).add(bias).argmax(1).toNumbers()).toEqual(labels);
    });
  });

  it("ends where its caller ends it", () => {
    scope(() => {
      const { train, trainLabels } = noise(50, 3);
      const breathe = () => {
        throw new Error("enough");
      };
      expect(() => logisticRegression(train, trainLabels, 2, { l2: 0, breathe })).toThrow("enough");
    });
  });
});

describe("probe", () => {
  it.each(recorded.probes)("classifies as SciPy's optimum does: $name", (one) => {
    scope(() => {
      const features = made([one.train, one.trainLabels], [one.test, one.testLabels], one.classes, "float64");
      const found = probe.fit(features, { l2: one.l2 });
      expect(found.train).toBeCloseTo(one.trainAccuracy, 12);
      expect([...found.testCorrect]).toEqual(one.testCorrect);
      expect(found.test).toBeCloseTo(one.testCorrect.reduce((sum, right) => sum + right, 0) / one.test.length, 12);
      const { value, terms } = found.testCrossEntropy!;
      expect(value).toBeCloseTo(one.testCrossEntropies.reduce((sum, v) => sum + v, 0) / one.test.length, 2);
      for (const [i, term] of terms!.entries()) expect(Math.abs(term - one.testCrossEntropies[i]!)).toBeLessThan(0.1);
      expect(found.solver).toMatchObject({ converged: true });
    });
  });

  it("finds a class that one feature tells, whatever the features' scales", () => {
    scope(() => {
      const generator = new Generator(1);
      const make = (labels: number[]): [number[][], number[]] => {
        const rest = rand([labels.length, 3], { generator }).mul(1000).toNested() as number[][];
        return [rest.map((row, i) => [...row, labels[i]! * 1e-3 + 5]), labels];
      };
      expect(probe.fit(made(make(inTurn(200)), make(inTurn(100))), {})).toMatchObject({ train: 1, test: 1 });
    });
  });

  it("stays near chance on noise it has not seen", () => {
    scope(() => {
      const { test } = probe.fit(noise(2000, 10, 2), {});
      expect(test).toBeGreaterThan(0.45);
      expect(test).toBeLessThan(0.55);
    });
  });

  it("pools maps by the heads' rule and flattens", () => {
    scope(() => {
      const reduced = probe.reduce(
        tensor(
          Float32Array.from({ length: 2 * 64 * 32 * 32 }, () => 1),
          { shape: [2, 64, 32, 32] },
        ),
      );
      expect(reduced.shape).toEqual([2, 2048]);
      expect(probe.reduce(randn([3, 7])).shape).toEqual([3, 7]);
    });
  });

  it("does not let a feature count that is constant in training, whatever it is in the test", () => {
    scope(() => {
      const labels = inTurn(10);
      const rows = (constant: number) => labels.map((label) => [label, constant]);
      expect(probe.fit(made([rows(100.1), labels], [rows(-1e20), labels]), {})).toMatchObject({ train: 1, test: 1 });
      const dead = labels.map(() => [3, 0.1]);
      expect(probe.fit(made([dead, labels]), {})).toMatchObject({ train: 0.5, test: 0.5 });
    });
  });

  it("is the same the second time, and leaves no tensor behind", () => {
    scope(() => {
      const features = noise(200, 5);
      const before = memory().liveTensors;
      const first = probe.fit(features, {});
      expect(probe.fit(features, {})).toEqual(first);
      expect(memory().liveTensors).toBe(before);
    });
  });
});

describe("standardise", () => {
  it("gives the training split mean 0 and deviation 1, and the test split the same scale", () => {
    scope(() => {
      const { train, test } = standardise(
        made(
          [
            [[1], [3]],
            [0, 1],
          ],
          [
            [[5], [2]],
            [0, 1],
          ],
        ),
      );
      expect(train.toNumbers()).toEqual([-1, 1]);
      expect(test.toNumbers()).toEqual([3, 0]);
    });
  });

  it("makes a feature that is constant in training 0 in both splits, whatever it is in the test", () => {
    scope(() => {
      const { train, test } = standardise(
        made(
          [
            [[0.1], [0.1], [0.1]],
            [0, 1, 0],
          ],
          [
            [[7], [0.1]],
            [0, 1],
          ],
        ),
      );
      expect(train.toNumbers()).toEqual([0, 0, 0]);
      expect(test.toNumbers()).toEqual([0, 0]);
    });
  });

  it("refuses what float32 cannot hold", () => {
    scope(() => {
      const labels = inTurn(4);
      const huge: [number[][], number[]] = [[[3e38], [1], [1], [1]], labels];
      expect(() => probe.fit(made([[[0], [1e-3], [0], [1e-3]], labels], huge), {})).toThrow(
        /on the scale of the training/,
      );
    });
  });
});
