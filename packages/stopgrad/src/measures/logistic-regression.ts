// Multinomial logistic regression by L-BFGS on the whole training set: convex, so that the answer depends on the data
// and not on a learning rate or a number of epochs.
import {
  add,
  amax,
  cat,
  logSoftmax,
  matmul,
  mul,
  oneHot,
  scope,
  softmax,
  sub,
  type Tensor,
  zeros,
} from "@stopgrad/torch";

export interface LogisticRegressionOptions {
  /** Penalty (l2 / 2) ‖W‖² on the weights, not on the biases. */
  l2: number;
  /** Converged when no entry of the gradient of the objective is larger in absolute value; default 1e-4. */
  tolerance?: number;
  /** Stops at the latest after so many iterations, converged or not; default 500. */
  iterations?: number;
  /** Called before each iteration; what it throws ends the fit. */
  breathe?: () => void;
}

export interface LogisticRegressionFit {
  /** `[D, K]`. */
  weight: Tensor;
  /** `[K]`. */
  bias: Tensor;
  /** Mean cross-entropy plus penalty at the end. */
  objective: number;
  iterations: number;
  /** Largest absolute entry of the gradient at the end. */
  largestGradient: number;
  /** Whether it is at most the tolerance. If not, iterations ran out, or no lower point could be told from rounding. */
  converged: boolean;
}

/** Steps remembered by L-BFGS. */
const HISTORY = 10;

/** Of a step and the gradient's change along it: below this, their product is rounding. */
const LEAST_COSINE = 1e-7;

/**
 * Minimises mean cross-entropy of softmax(x W + b) plus (l2 / 2) ‖W‖².
 *
 * L-BFGS (Liu & Nocedal 1989) from W = 0 with backtracking to sufficient decrease; a pair without positive curvature is
 * dropped. It has converged when no entry of the gradient is above the tolerance, and says so; it also ends when iterations
 * run out or when rounding hides every lower point, which is no convergence.
 *
 * Features centred and of one scale make it fast: with the default tolerance 50 to 200 iterations for 2048 features of
 * images, whose test accuracy is within a point of the one at a hundredth of the tolerance.
 *
 * @param x - `[N, D]` float
 * @param labels - int64 `[N]`, 0 to classes − 1
 * Time O(N D K) an iteration, which reads x twice; memory O(N K + D K) beside x.
 */
export function logisticRegression(
  x: Tensor,
  labels: Tensor,
  classes: number,
  options: LogisticRegressionOptions,
): LogisticRegressionFit {
  const { l2, tolerance = 1e-4, iterations: limit = 500, breathe } = options;
  return scope(() => {
    const problem = new Problem(x, labels, classes, l2);
    let point = zeros([x.size(1) + 1, classes], { dtype: x.dtype, device: x.device });
    let { value, gradient } = problem.evaluate(point);
    const pairs: { s: Tensor; y: Tensor; curvature: number }[] = [];
    let iterations = 0;
    let largestGradient = largest(gradient);
    while (largestGradient > tolerance && iterations < limit) {
      breathe?.();
      const direction = descentDirection(gradient, pairs);
      const slope = dot(direction, gradient);
      let step = pairs.length === 0 ? Math.min(1, 1 / Math.sqrt(dot(gradient, gradient))) : 1;
      let next = problem.evaluate(moved(point, direction, step));
      while (!(next.value <= value + 1e-4 * step * slope) && step > 1e-10) {
        step /= 2;
        release(next.gradient);
        next = problem.evaluate(moved(point, direction, step));
      }
      if (!(next.value <= value)) break; // rounding: no lower point along this direction
      const target = moved(point, direction, step);
      const s = sub(target, point);
      const y = sub(next.gradient, gradient);
      const curvature = dot(s, y);
      if (curvature > LEAST_COSINE * Math.sqrt(dot(s, s) * dot(y, y))) pairs.push({ s, y, curvature });
      else release(s, y);
      if (pairs.length > HISTORY) {
        const oldest = pairs.shift()!;
        release(oldest.s, oldest.y);
      }
      release(point, gradient, direction);
      point = target;
      ({ value, gradient } = next);
      iterations += 1;
      largestGradient = largest(gradient);
    }
    return {
      weight: point.narrow(0, 0, x.size(1)).clone(),
      bias: point.select(0, x.size(1)).clone(),
      objective: value,
      iterations,
      largestGradient,
      converged: largestGradient <= tolerance,
    };
  });
}

/** The objective and its gradient in closed form; a point is `[D + 1, K]`, the biases in the last row. */
class Problem {
  readonly #hot: Tensor;
  readonly #features: number;

  constructor(
    private readonly x: Tensor,
    labels: Tensor,
    classes: number,
    private readonly l2: number,
  ) {
    this.#hot = oneHot(labels, classes).to(x.dtype);
    this.#features = x.size(1);
  }

  evaluate(point: Tensor): { value: number; gradient: Tensor } {
    return scope(() => {
      const count = this.x.size(0);
      const weight = point.narrow(0, 0, this.#features);
      const logits = matmul(this.x, weight).add_(point.select(0, this.#features)); // [N, K]
      const entropy = mul(logSoftmax(logits, 1), this.#hot).sum().item() / -count;
      const penalty = (this.l2 / 2) * mul(weight, weight).sum().item();
      const error = softmax(logits, 1).sub_(this.#hot).div_(count); // [N, K]
      const ofWeight = add(matmul(this.x.t(), error), mul(weight, this.l2)); // [D, K]
      const ofBias = error.sum([0], { keepDim: true }); // [1, K]
      return { value: entropy + penalty, gradient: cat([ofWeight, ofBias], 0) };
    });
  }
}

/** −H g by the two-loop recursion. */
function descentDirection(gradient: Tensor, pairs: readonly { s: Tensor; y: Tensor; curvature: number }[]): Tensor {
  return scope(() => {
    let q = gradient.neg();
    const alphas: number[] = [];
    for (const { s, y, curvature } of pairs.toReversed()) {
      const alpha = dot(s, q) / curvature;
      alphas.push(alpha);
      q = sub(q, mul(y, alpha));
    }
    const newest = pairs.at(-1);
    if (newest) q = mul(q, newest.curvature / dot(newest.y, newest.y));
    for (const { s, y, curvature } of pairs) {
      const beta = dot(y, q) / curvature;
      q = add(q, mul(s, alphas.pop()! - beta));
    }
    return q;
  });
}

function dot(a: Tensor, b: Tensor): number {
  return scope(() => mul(a, b).sum().item());
}

function moved(point: Tensor, direction: Tensor, step: number): Tensor {
  return scope(() => add(point, mul(direction, step)));
}

function largest(gradient: Tensor): number {
  return scope(() => amax(gradient.abs()).item());
}

function release(...tensors: Tensor[]): void {
  for (const tensor of tensors) tensor.dispose();
}
