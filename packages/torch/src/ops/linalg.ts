// Linear algebra on `[n, n]` matrices, float32 or float64; leading batch dimensions are allowed.
import { operator } from "../operator.js";
import type { Tensor } from "../tensor.js";

const cholesky = operator<[Tensor, boolean], Tensor>("aten::linalg_cholesky", "self upper");
/** Lower-triangular L with `self = L Lᵀ`. @throws TorchError when `self` is not positive definite */
export function linalgCholesky(self: Tensor): Tensor {
  return cholesky(self, false);
}

const inverseOf = operator<[Tensor, boolean], Tensor>("aten::cholesky_inverse", "self upper");
/** `(L Lᵀ)⁻¹` from the lower-triangular L. */
export function choleskyInverse(factor: Tensor): Tensor {
  return inverseOf(factor, false);
}

/** Inverse by LU decomposition. @throws TorchError when singular */
export const linalgInverse: (self: Tensor) => Tensor = operator("aten::inverse", "self");
