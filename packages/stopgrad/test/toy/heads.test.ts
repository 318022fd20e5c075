// Gradients of both heads against finite differences of the loss, the symmetry argument, and the sorted sums of the
// ReLU head against a loop over points and units.
import { describe, expect, it } from "vitest";
import { drawToyData, type ToyData } from "../../src/toy/data.js";
import { ToyGenerator } from "../../src/toy/generator.js";
import { LinearToyHead, ReluToyHead, reluUnits, score, type ToyHead } from "../../src/toy/heads.js";

const data = drawToyData(400, 7);
const startOf = (seed: number) => new ToyGenerator(seed, "firstLayer").normals(4, 0.5);

function gradients(head: ToyHead, weights: Float64Array, points: ToyData = data) {
  const own = new Float64Array(head.parameters.length);
  const ofWeights = new Float64Array(4);
  head.gradient(points, weights, own, ofWeights);
  return { own, ofWeights };
}

/** (L(θ + h) − L(θ − h)) / 2h for one number of an array; h so small that no point crosses a unit's line. */
function difference(numbers: Float64Array, at: number, loss: () => number): number {
  const [step, held] = [1e-6, numbers[at]!];
  numbers[at] = held + step;
  const above = loss();
  numbers[at] = held - step;
  const below = loss();
  numbers[at] = held;
  return (above - below) / (2 * step);
}

const makers: Record<string, (seed: number) => ToyHead> = {
  linear: (seed) => new LinearToyHead(new ToyGenerator(seed, "linearHead"), 0.5),
  relu: (seed) => new ReluToyHead(new ToyGenerator(seed, "mlpHead")),
};

describe.each(Object.entries(makers))("gradients of the %s head", (_, make) => {
  it("agree with finite differences of the loss to 1e-8", () => {
    const weights = startOf(1);
    const head = make(1);
    const { own, ofWeights } = gradients(head, weights);
    const loss = () => score(data, weights, head).loss;
    for (let k = 0; k < 4; k++) expect(Math.abs(ofWeights[k]! - difference(weights, k, loss))).toBeLessThan(1e-8);
    for (let k = 0; k < own.length; k++) {
      expect(Math.abs(own[k]! - difference(head.parameters, k, loss))).toBeLessThan(1e-8);
    }
    expect(Math.hypot(...ofWeights)).toBeGreaterThan(0.01);
  });

  it("stay right for outputs of a thousand, where exp overflows", () => {
    const weights = startOf(2).map((value) => 1e4 * value);
    const { own, ofWeights } = gradients(make(2), weights);
    expect([...own, ...ofWeights].every(Number.isFinite)).toBe(true);
    expect(Number.isFinite(score(data, weights, make(2)).loss)).toBe(true);
  });
});

describe("the linear head on points symmetric to the first axis", () => {
  // q = E[y ρ x] = −∂L/∂W of a head v = (1, 0), whose u is the first row of W.
  const pulls = (u1: number, u2: number) => {
    const head = new LinearToyHead(new ToyGenerator(1, "linearHead"), 1);
    head.parameters.set([1, 0]);
    const { ofWeights } = gradients(head, Float64Array.of(u1, u2, 0.3, -0.8));
    return [-ofWeights[0]!, -ofWeights[1]!] as const;
  };

  it("has q₂ = 0 where u₂ = 0, and q on the positive first axis", () => {
    const [q1, q2] = pulls(0.4, 0);
    expect(Math.abs(q2)).toBeLessThan(1e-16);
    expect(q1).toBeGreaterThan(0.05);
  });

  it("has a loss even in u₂, and q₂ that drives u₂ to 0", () => {
    const [q1, q2] = pulls(0.4, 0.7);
    const [mirrored1, mirrored2] = pulls(0.4, -0.7);
    expect(mirrored1).toBeCloseTo(q1, 14);
    expect(mirrored2).toBeCloseTo(-q2, 14);
    expect(q2).toBeLessThan(-0.05);
  });
});

describe("ReluToyHead", () => {
  /** The same gradient, point by point and unit by unit. */
  function plain(head: ToyHead, weights: Float64Array) {
    const [w11, w12, w21, w22] = weights as unknown as [number, number, number, number];
    const p = head.parameters;
    const own = new Float64Array(p.length);
    const ofWeights = new Float64Array(4);
    const count = data.classes.length;
    for (let i = 0; i < count; i++) {
      const [x1, x2, y] = [data.first[i]!, data.second[i]!, data.classes[i]!];
      const [z1, z2] = [w11 * x1 + w12 * x2, w21 * x1 + w22 * x2];
      const pull = -y / (1 + Math.exp(y * head.output(z1, z2))) / count;
      for (let j = 0; j < reluUnits; j++) {
        const [a1, a2, b, c] = [p[2 * j]!, p[2 * j + 1]!, p[2 * reluUnits + j]!, p[3 * reluUnits + j]!];
        const unit = a1 * z1 + a2 * z2 + b;
        if (unit <= 0) continue;
        own[3 * reluUnits + j]! += pull * unit;
        own[2 * reluUnits + j]! += pull * c;
        own[2 * j]! += pull * c * z1;
        own[2 * j + 1]! += pull * c * z2;
        ofWeights[0]! += pull * c * a1 * x1;
        ofWeights[1]! += pull * c * a1 * x2;
        ofWeights[2]! += pull * c * a2 * x1;
        ofWeights[3]! += pull * c * a2 * x2;
      }
    }
    return { own, ofWeights };
  }

  it("finds what a loop over points and units finds, at every one of many steps", () => {
    const weights = startOf(4);
    const head = new ReluToyHead(new ToyGenerator(4, "mlpHead"));
    for (let step = 0; step < 400; step++) {
      const fast = gradients(head, weights);
      const slow = plain(head, weights);
      const apart = [...fast.own, ...fast.ofWeights].map((value, k) => value - [...slow.own, ...slow.ofWeights][k]!);
      expect(Math.max(...apart.map(Math.abs))).toBeLessThan(1e-14);
      // Large steps now and then, so that many points change regions at once.
      const rate = step % 50 === 0 ? 5 : 0.05;
      for (let k = 0; k < 4; k++) weights[k]! -= rate * fast.ofWeights[k]!;
      for (let k = 0; k < fast.own.length; k++) head.parameters[k]! -= rate * fast.own[k]!;
    }
  });

  it("looks at all points again when the data change", () => {
    const weights = startOf(5);
    const used = new ReluToyHead(new ToyGenerator(5, "mlpHead"));
    gradients(used, weights);
    const others = drawToyData(300, 8);
    const fresh = new ReluToyHead(new ToyGenerator(5, "mlpHead"));
    expect(gradients(used, weights, others)).toEqual(gradients(fresh, weights, others));
  });
});

describe("score", () => {
  it("counts an output of 0 as naming no class", () => {
    const head = new LinearToyHead(new ToyGenerator(1, "linearHead"), 0);
    expect(score(data, startOf(1), head)).toEqual({ loss: expect.closeTo(Math.LN2, 14), accuracy: 0 });
  });
});
