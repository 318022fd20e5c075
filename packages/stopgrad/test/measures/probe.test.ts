// Logistic regression against an independent Newton solver and its own optimality conditions; the probe on features
// whose separability is known.
import { Generator, rand, randn, scope, type Tensor, tensor } from "@stopgrad/torch";
import { describe, expect, it } from "vitest";
import { logisticRegression, MeasureError } from "../../src/measures/index.js";
import { probe } from "../../src/measures/probe.js";
import "../support/one-thread.js";

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
      const fit = logisticRegression(tensor(x, { dtype: "float64" }).unsqueeze(1), tensor(y, { dtype: "int64" }), 2, {
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

  it("is at a minimum: the objective grows in every direction", () => {
    scope(() => {
      const generator = new Generator(3);
      const features = randn([60, 5], { generator, dtype: "float64" });
      const labels = tensor(
        Array.from({ length: 60 }, (_, i) => i % 3),
        { dtype: "int64" },
      );
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
      const labels = Array.from({ length: 40 }, (_, i) => i % 4);
      const features = tensor(labels.map((label) => [label === 0 ? 1 : 0, label === 1 ? 1 : 0, label === 2 ? 1 : 0]));
      const { weight, bias } = logisticRegression(features, tensor(labels, { dtype: "int64" }), 4, { l2: 1e-4 });
      expect(features.matmul(weight).add(bias).argmax(1).toNumbers()).toEqual(labels);
    });
  });
});

describe("probe", () => {
  const labelsOf = (count: number) => Array.from({ length: count }, (_, i) => i % 2);
  const int64 = (labels: number[]) => tensor(labels, { dtype: "int64" });

  it("finds a class that one feature tells, whatever the features' scales", () => {
    scope(() => {
      const generator = new Generator(1);
      const make = (labels: number[]) => {
        const noise = rand([labels.length, 3], { generator }).mul(1000);
        const telling = tensor(labels.map((label) => [label * 1e-3 + 5]));
        return { noise, telling };
      };
      const [train, test] = [labelsOf(200), labelsOf(100)];
      const join = ({ noise, telling }: { noise: Tensor; telling: Tensor }) =>
        tensor((noise.toNested() as number[][]).map((row, i) => [...row, (telling.toNested() as number[][])[i]![0]!]));
      const accuracy = probe.fit(
        {
          train: join(make(train)),
          trainLabels: int64(train),
          test: join(make(test)),
          testLabels: int64(test),
          classes: 2,
        },
        {},
      );
      expect(accuracy).toEqual({ train: 1, test: 1 });
    });
  });

  it("stays near chance on noise it has not seen", () => {
    scope(() => {
      const generator = new Generator(2);
      const [train, test] = [labelsOf(2000), labelsOf(2000)];
      const accuracy = probe.fit(
        {
          train: randn([2000, 10], { generator }),
          trainLabels: int64(train),
          test: randn([2000, 10], { generator }),
          testLabels: int64(test),
          classes: 2,
        },
        {},
      );
      expect(accuracy.test).toBeGreaterThan(0.45);
      expect(accuracy.test).toBeLessThan(0.55);
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

  it("refuses NaN and a single class; a constant feature does no harm", () => {
    scope(() => {
      const labels = int64(labelsOf(10));
      const fit = (train: Tensor, trainLabels = labels) =>
        probe.fit({ train, trainLabels, test: train, testLabels: labels, classes: 2 }, {});
      expect(() => fit(tensor(Array.from({ length: 10 }, () => [Number.NaN])))).toThrow(MeasureError);
      expect(() => fit(randn([10, 2]), int64(new Array(10).fill(1)))).toThrow(/at least two classes/);
      expect(fit(tensor(labelsOf(10).map((label) => [label, 3])))).toEqual({ train: 1, test: 1 });
    });
  });
});
