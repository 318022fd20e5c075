// Normalised HSIC: the estimate behind the information plane.
import { choleskyInverse, diagonal, linalgCholesky, mul, scope, type Tensor, withOneBlasThread } from "@stopgrad/torch";
import { z } from "zod";
import {
  asSamples,
  centre,
  gramMatrix,
  identityLike,
  kernelOptions,
  labelGram,
  unusedKernelOption,
} from "./kernels.js";
import { MeasureError, type PairMeasure, parsedOptions } from "./measure.js";

const options = z.strictObject({
  ...kernelOptions,
  /** Ridge, per sample. */
  epsilon: z.number().positive().default(1e-5),
});

/**
 * Normalised HSIC between two views of one batch: how strongly they depend on each other.
 *
 *   nHSIC(X, Z) = tr(R_X R_Z)    R = K (K + ε N I)⁻¹ = I − ε N (K + ε N I)⁻¹    K = P G P    P = I − 11ᵀ/N
 *
 * G is the RBF Gram matrix of width s √D or another kernel's (kernels.ts), of labels the linear one on one-hot vectors. In
 * [0, N − 1], against labels at most classes − 1; no unit. It depends on N: compare only equal batch sizes, and one layer
 * with itself over time. The linear kernel makes it the sum of squared canonical correlations, but for the ridge: with
 * more features than samples it is near its largest value whatever the data are. A constant gives 0, as does an ε beyond
 * all bounds. An ε below 1e-15 of the Gram matrix's largest entry is refused, for rounding would decide.
 *
 * The centred form is symmetric, so that a Cholesky factor in float64 solves it; one-sided centring as in the released
 * code has the same trace. All of it is float64, whatever the type of the values.
 *
 * Time O(N² D + N³), memory O(N D + N²). Source: arXiv 2402.09050 (its estimator), arXiv 1908.01580.
 */
export const nhsic: PairMeasure = {
  summary: "normalised HSIC with the input and with the label, RBF kernel of width sigma √D",
  source: "arXiv 2402.09050; arXiv 1908.01580",
  options,
  kind: "pair",
  smallestBatch: 2,

  refused: (given) => unusedKernelOption(parsedOptions(options, given)),

  factor(values, given) {
    const { epsilon, ...kernel } = parsedOptions(options, given);
    return scope(() => normalise(centre(gramMatrix(asSamples(values, 2), kernel)), epsilon));
  },

  labelFactor(labels, given) {
    const { epsilon } = parsedOptions(options, given);
    return scope(() => normalise(centre(labelGram(labels)), epsilon));
  },

  combine: (a, b) => scope(() => mul(a, b).sum().item()),
};

/** R = I − a (K + a I)⁻¹ with a = ε N, of a centred Gram matrix `[N, N]` in float64. */
function normalise(centred: Tensor, epsilon: number): Tensor {
  const ridge = ridgeOf(epsilon, diagonal(centred));
  const identity = identityLike(centred);
  const ridged = centred.add(identity.mul(ridge));
  // Threads only wait for each other on so few rows.
  const inverse =
    centred.size(0) <= ROWS_FOR_ONE_THREAD
      ? withOneBlasThread(() => inverted(ridged, epsilon))
      : inverted(ridged, epsilon);
  return identity.sub_(inverse.mul_(ridge));
}

const ROWS_FOR_ONE_THREAD = 512;

/** A ridge per sample of less than this share of a Gram matrix's largest entry is lost in its rounding. */
const LOST = 1e-15;

/**
 * a = ε N.
 * @param diagonal - of the centred Gram matrix, whose entries are no larger
 * @throws MeasureError for an ε that rounding or infinity makes another one: the value would be N − 1 for any data, or none
 */
export function ridgeOf(epsilon: number, diagonal: Tensor): number {
  const ridge = epsilon * diagonal.numel;
  if (!Number.isFinite(ridge)) {
    throw new MeasureError(`epsilon: expected a ridge that is finite times ${diagonal.numel} samples, got ${epsilon}`);
  }
  const largest = scope(() => diagonal.amax().item());
  if (epsilon < LOST * largest) {
    const least = (LOST * largest).toPrecision(2);
    throw new MeasureError(
      `epsilon: expected at least ${least}, as less is lost in the rounding of this Gram matrix, got ${epsilon}`,
    );
  }
  return ridge;
}

/** @throws MeasureError for a matrix that has no Cholesky factor */
function inverted(ridged: Tensor, epsilon: number): Tensor {
  let factor: Tensor;
  try {
    factor = linalgCholesky(ridged);
  } catch {
    throw new MeasureError(`the Gram matrix is not positive definite at epsilon ${epsilon}; use a larger epsilon`);
  }
  return choleskyInverse(factor);
}
