// nHSIC as a term of a loss: the value of the measure `nhsic`, differentiable in the representation (arXiv 2402.09050,
// eq. 11). The other side, input or label, is a constant factor R, made by `nhsic.factor` or `nhsic.labelFactor`.
//
// With P = (K + a I)⁻¹ and K the centred Gram matrix of Z, nHSIC = tr(R_Z R) = tr(R) − a tr(P R), so that
//
//   ∂ nHSIC / ∂ K = a P R P    ∂ nHSIC / ∂ G = H (a P R P) H =: W    ∂ nHSIC / ∂ z_i = −Σ_j M_ij (z_i − z_j)
//
// with M_ij = 2 W_ij G_ij / (s² D) for squared distances and W_ij G_ij / (s² D ‖z_i − z_j‖) for plain ones, 0 where the
// two coincide. That is two [N, N] products more than the value, and one [N, N] by [N, D]: no pair of differences.
import {
  choleskyInverse,
  diagonal,
  dot,
  exp,
  isGradEnabled,
  linalgCholesky,
  matmul,
  mul,
  noGrad,
  scope,
  sqrt,
  type Tensor,
  tensor,
  where,
} from "@stopgrad/torch";
import { asRows, centre, identityLike, type KernelDistance, squaredDistances } from "./kernels.js";
import { MeasureError } from "./measure.js";

export interface NhsicTermOptions {
  /** Width factor s; default 5. */
  sigma?: number;
  /** Ridge, per sample; default 1e-5. */
  epsilon?: number;
  /** Default `squared`. */
  distance?: KernelDistance;
  /**
   * `analytic` (default): the formula above, computed beside the value when a gradient is wanted; it is carried by a
   * term that is linear in z, so that only first derivatives are right. `autograd`: recorded, derivatives of any order.
   */
  gradient?: "analytic" | "autograd";
}

/**
 * nHSIC of a representation and a constant factor.
 *
 * Samples that coincide are fine, as are constant features (0). One sample gives 0. NaN where z is not finite: a loss
 * that diverges says so by its value.
 *
 * @param z - `[N, …]` float
 * @param other - R of the other side, float64 `[N, N]`, symmetric; a weighted sum of factors gives the weighted sum of
 *   their terms
 * @returns scalar, in [0, N − 1] for a factor of the measure, float64 inside; of z's type, float32 for shorter ones
 * @throws MeasureError for a factor of another size, or an epsilon for which the Gram matrix is not positive definite
 * Time O(N² D + N³), memory O(N D + N²). Source: arXiv 2402.09050, eq. 11; arXiv 1908.01580.
 */
export function nhsicTerm(z: Tensor, other: Tensor, options: NhsicTermOptions = {}): Tensor {
  const { sigma = 5, epsilon = 1e-5, distance = "squared", gradient = "analytic" } = options;
  const count = z.dim === 0 ? 0 : z.size(0);
  if (count === 0 || other.shape.join() !== [count, count].join()) {
    throw new MeasureError(
      `nHSIC term: expected a representation [N, …] and a factor [N, N], got [${z.shape.join(", ")}] and ` +
        `[${other.shape.join(", ")}]`,
    );
  }
  const kernel = { rate: (sigma * sigma * z.numel * 2) / count, ridge: epsilon * count, distance };
  return scope(() => {
    const values = z.to(z.dtype === "float64" ? "float64" : "float32");
    if (count === 1) return values.mul(0).sum();
    const factor = other.to("float64");
    if (!isGradEnabled() || !z.requiresGrad) return recorded(values, factor, kernel).to(values.dtype);
    if (gradient === "autograd") return recorded(values, factor, kernel).to(values.dtype);
    const found = noGrad(() => valueAndGradient(values.detach(), factor, kernel));
    const carried = dot(values.reshape([-1]), found.gradient);
    return carried.sub(carried.detach()).add(found.value); // the value exactly: x − x is 0
  });
}

interface Kernel {
  /** 2 s² D: what distances are divided by. */
  readonly rate: number;
  /** a = ε N. */
  readonly ridge: number;
  readonly distance: KernelDistance;
}

/** The value `[]` and its gradient `[N·D]`, in the type of `values`. */
function valueAndGradient(values: Tensor, other: Tensor, kernel: Kernel): { value: Tensor; gradient: Tensor } {
  return scope(() => {
    const rows = asRows(values, 1).to("float64"); // [N, D]
    const squared = distancesOf(rows);
    if (!squared) {
      const value = tensor(Number.NaN, { dtype: values.dtype, device: values.device });
      return { value, gradient: values.mul(0).reshape([-1]) };
    }
    const distance = kernel.distance === "squared" ? squared : squared.sqrt();
    const gram = exp(distance.mul(-1 / kernel.rate));
    const inverse = ridgedInverse(centre(gram), kernel.ridge);
    const value = difference(other, inverse, kernel.ridge).to(values.dtype);
    // W, then M, less its row sums on the diagonal.
    const weights = centre(matmul(matmul(inverse, other), inverse)).mul_(gram);
    if (kernel.distance === "squared") weights.mul_((4 * kernel.ridge) / kernel.rate);
    else
      weights
        .mul_((2 * kernel.ridge) / kernel.rate)
        .div_(distance.maskedFill(distance.eq(0), Number.POSITIVE_INFINITY));
    diagonal(weights).sub_(weights.sum([1]));
    return { value, gradient: matmul(weights, rows).to(values.dtype).reshape([-1]) };
  });
}

/** The value `[]` in float64 by recorded operations. */
function recorded(values: Tensor, other: Tensor, kernel: Kernel): Tensor {
  const squared = distancesOf(asRows(values, 1).to("float64"));
  if (!squared) return tensor(Number.NaN, { dtype: "float64", device: values.device });
  const gram = exp(mul(kernel.distance === "squared" ? squared : rootOf(squared), -1 / kernel.rate));
  return difference(other, ridgedInverse(centre(gram), kernel.ridge), kernel.ridge);
}

/** √x with derivative 0 at 0. */
function rootOf(squared: Tensor): Tensor {
  const apart = squared.gt(0);
  return sqrt(where(apart, squared, 1)).mul(apart.to(squared.dtype));
}

/** Squared distances of float64 rows (those of other types are converted and written over), or null if not finite. */
function distancesOf(rows: Tensor): Tensor | null {
  try {
    return squaredDistances(rows);
  } catch (error) {
    if (error instanceof MeasureError) return null;
    throw error;
  }
}

/** P = (K + a I)⁻¹ of a centred Gram matrix. */
function ridgedInverse(centred: Tensor, ridge: number): Tensor {
  let factor: Tensor;
  try {
    factor = linalgCholesky(centred.add(identityLike(centred).mul_(ridge)));
  } catch {
    const epsilon = ridge / centred.size(0);
    throw new MeasureError(
      `nHSIC term: the Gram matrix is not positive definite at epsilon ${epsilon}; use a larger one`,
    );
  }
  return choleskyInverse(factor);
}

/** tr(R_Z R) = tr(R) − a tr(P R). */
function difference(other: Tensor, inverse: Tensor, ridge: number): Tensor {
  return diagonal(other).sum().sub(inverse.mul(other).sum().mul(ridge));
}
