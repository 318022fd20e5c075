// What turns z = W x into a class: the linear head v, and a layer of ReLU units with a linear classifier. Both give the
// gradient of the logistic loss in closed form, with respect to their own parameters and to W.
//
//   L = E[ log(1 + exp(−y a)) ]    ρ = σ(−y a)    ∂L/∂a = −y ρ
import type { ToyData } from "./data.js";
import type { ToyGenerator } from "./generator.js";
import { LinearRegions } from "./linear-regions.js";
import type { Matrix2 } from "./matrix.js";

/** A head on z in R², with all its parameters in one array. */
export interface ToyHead {
  readonly parameters: Float64Array;
  /** The output a; class + where it is above 0. */
  output(z1: number, z2: number): number;
  /**
   * Gradients of the mean logistic loss over the points.
   * @param own - receives that of the head's parameters
   * @param ofWeights - receives that of W
   */
  gradient(data: ToyData, weights: Matrix2, own: Float64Array, ofWeights: Matrix2): void;
}

/**
 * a = vᵀ z. With u = Wᵀ v and q = E[y ρ x]: ∂L/∂W = −v qᵀ, ∂L/∂v = −W q. Source: arXiv 2402.09050, equation 9,
 * reconstructed.
 */
export class LinearToyHead implements ToyHead {
  readonly parameters: Float64Array;

  /** @param deviation - of the start, v ~ N(0, deviation²) */
  constructor(generator: ToyGenerator, deviation: number) {
    this.parameters = generator.normals(2, deviation);
  }

  output(z1: number, z2: number): number {
    return this.parameters[0]! * z1 + this.parameters[1]! * z2;
  }

  gradient(data: ToyData, weights: Matrix2, own: Float64Array, ofWeights: Matrix2): void {
    const { first, second, classes } = data;
    const count = classes.length;
    const [v1, v2] = this.parameters as unknown as [number, number];
    const [w11, w12, w21, w22] = weights as unknown as [number, number, number, number];
    const u1 = w11 * v1 + w21 * v2;
    const u2 = w12 * v1 + w22 * v2;
    let q1 = 0;
    let q2 = 0;
    for (let i = 0; i < count; i++) {
      const y = classes[i]!;
      const pull = y / (1 + Math.exp(y * (u1 * first[i]! + u2 * second[i]!))); // y ρ
      q1 += pull * first[i]!;
      q2 += pull * second[i]!;
    }
    q1 /= count;
    q2 /= count;
    own[0] = -(w11 * q1 + w12 * q2);
    own[1] = -(w21 * q1 + w22 * q2);
    ofWeights[0] = -v1 * q1;
    ofWeights[1] = -v1 * q2;
    ofWeights[2] = -v2 * q1;
    ofWeights[3] = -v2 * q2;
  }
}

/** Units of the ReLU layer. */
export const reluUnits = 16;

/**
 * a = cᵀ ReLU(A z + b), 16 units; parameters in the order A row by row, b, c.
 *
 * As a function of x it is linear in each region that the units' lines (A W) x + b = 0 cut the plane into, so that the
 * gradient needs three sums a region, Σ y ρ (x₁, x₂, 1), and no loop over points and units: `LinearRegions` keeps the
 * points sorted into them.
 */
export class ReluToyHead implements ToyHead {
  readonly parameters: Float64Array;
  readonly #regions = new LinearRegions(reluUnits);
  /** Of the units as functions of x: slopes A W and b, three numbers a unit. */
  readonly #units = new Float64Array(3 * reluUnits);

  /** Starts as PyTorch's linear layers do: U(−1/√n, 1/√n) with n inputs, 2 for A and b, 16 for c. */
  constructor(generator: ToyGenerator) {
    this.parameters = Float64Array.from({ length: 4 * reluUnits }, (_, at) => {
      const bound = 1 / Math.sqrt(at < 3 * reluUnits ? 2 : reluUnits);
      return generator.uniform(-bound, bound);
    });
  }

  output(z1: number, z2: number): number {
    const p = this.parameters;
    let sum = 0;
    for (let j = 0; j < reluUnits; j++) {
      const unit = p[2 * j]! * z1 + p[2 * j + 1]! * z2 + p[2 * reluUnits + j]!;
      if (unit > 0) sum += p[3 * reluUnits + j]! * unit;
    }
    return sum;
  }

  gradient(data: ToyData, weights: Matrix2, own: Float64Array, ofWeights: Matrix2): void {
    const p = this.parameters;
    const units = this.#units;
    const [w11, w12, w21, w22] = weights as unknown as [number, number, number, number];
    for (let j = 0; j < reluUnits; j++) {
      units[3 * j] = p[2 * j]! * w11 + p[2 * j + 1]! * w21;
      units[3 * j + 1] = p[2 * j]! * w12 + p[2 * j + 1]! * w22;
      units[3 * j + 2] = p[2 * reluUnits + j]!;
    }
    // [16, 3]: Σ y ρ (x₁, x₂, 1) over the points at which a unit is above 0
    const pulls = this.#regions.pulls(data, units, p.subarray(3 * reluUnits));
    const count = data.classes.length;
    ofWeights.fill(0);
    for (let j = 0; j < reluUnits; j++) {
      const [s1, s2, s0] = [pulls[3 * j]! / count, pulls[3 * j + 1]! / count, pulls[3 * j + 2]! / count];
      const [a1, a2, c] = [p[2 * j]!, p[2 * j + 1]!, p[3 * reluUnits + j]!];
      own[2 * j] = -c * (s1 * w11 + s2 * w12);
      own[2 * j + 1] = -c * (s1 * w21 + s2 * w22);
      own[2 * reluUnits + j] = -c * s0;
      own[3 * reluUnits + j] = -(units[3 * j]! * s1 + units[3 * j + 1]! * s2 + units[3 * j + 2]! * s0);
      ofWeights[0]! -= a1 * c * s1;
      ofWeights[1]! -= a1 * c * s2;
      ofWeights[2]! -= a2 * c * s1;
      ofWeights[3]! -= a2 * c * s2;
    }
  }
}

/** Mean logistic loss and part of the points whose class the output's sign names; an output of 0 names none. */
export function score(data: ToyData, weights: Matrix2, head: ToyHead): { loss: number; accuracy: number } {
  const { first, second, classes } = data;
  const [w11, w12, w21, w22] = weights as unknown as [number, number, number, number];
  let loss = 0;
  let right = 0;
  for (let i = 0; i < classes.length; i++) {
    const [x1, x2] = [first[i]!, second[i]!];
    const margin = classes[i]! * head.output(w11 * x1 + w12 * x2, w21 * x1 + w22 * x2);
    loss += margin > 0 ? Math.log1p(Math.exp(-margin)) : Math.log1p(Math.exp(margin)) - margin;
    if (margin > 0) right++;
  }
  return { loss: loss / classes.length, accuracy: right / classes.length };
}
