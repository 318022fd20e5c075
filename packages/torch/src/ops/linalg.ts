// Linear algebra: products, decompositions and solutions. Decompositions are of float32 or float64 matrices, for which
// leading batch dimensions `…` are allowed; they are differentiable.
import { operator } from "../operator.js";
import type { Tensor } from "../tensor.js";

// --- products --------------------------------------------------------------------------------------------------------

/** `[n, k]` and `[k, m]` → `[n, m]`; no broadcasting. */
export const mm: (self: Tensor, other: Tensor) => Tensor = operator("aten::mm", "self mat2");
/** `[B, n, k]` and `[B, k, m]` → `[B, n, m]`. */
export const bmm: (self: Tensor, other: Tensor) => Tensor = operator("aten::bmm", "self mat2");
/** `[n, k]` and `[k]` → `[n]`. */
export const mv: (self: Tensor, vector: Tensor) => Tensor = operator("aten::mv", "self vec");
/** `[k]` and `[k]` → scalar. */
export const dot: (self: Tensor, other: Tensor) => Tensor = operator("aten::dot", "self tensor");
/** `[n]` and `[m]` → `[n, m]`, each with each. */
export const outer: (self: Tensor, other: Tensor) => Tensor = operator("aten::outer", "self vec2");

const addBatches = operator<[Tensor, Tensor, Tensor, number, number], Tensor>(
  "aten::baddbmm",
  "self batch1 batch2 beta alpha",
);
/** `beta · self + alpha · a b` for each of B matrices: `a` `[B, n, k]`, `b` `[B, k, m]`. */
export function baddbmm(self: Tensor, a: Tensor, b: Tensor, options: { beta?: number; alpha?: number } = {}): Tensor {
  return addBatches(self, a, b, options.beta ?? 1, options.alpha ?? 1);
}

/** A sum over repeated letters, `einsum("bij,bjk->bik", [a, b])`. */
export const einsum: (equation: string, tensors: readonly Tensor[]) => Tensor = operator(
  "aten::einsum",
  "equation tensors",
);

const distances = operator<[Tensor, Tensor, number, number | null], Tensor>("aten::cdist", "x1 x2 p compute_mode");
/**
 * ‖aᵢ − bⱼ‖ₚ for every pair of rows: `[…, n, D]` and `[…, m, D]` → `[…, n, m]`.
 * @param options.p - the norm, at least 0; default 2
 * @param options.exact - never by matrix product, whose small distances have large relative errors; default false:
 *   the product for p = 2 and more than 25 rows, as in PyTorch
 */
export function cdist(a: Tensor, b: Tensor, options: { p?: number; exact?: boolean } = {}): Tensor {
  return distances(a, b, options.p ?? 2, options.exact ? 2 : null);
}

/**
 * Inner products of all pairs of samples less their mean, `[N, …]` of any real type → float64 `[N, N]`, symmetric, each of
 * a sample's numbers widened before anything is done with it. Where all samples are equal it is 0 to the last bit.
 *
 * On the CPU up to 1024 samples take loops of our own, several times as fast as `mm`, without a float64 copy, and with the
 * same bits for any number of threads; they read channels-last maps as they lie. Others, samples on a GPU, and those of
 * which a gradient is wanted take libtorch's operators. A NaN or an infinity anywhere leaves no sample's product
 * with itself finite.
 */
export const centredGram: (self: Tensor) => Tensor = operator("stopgrad::centred_gram", "self");

/** The sum of the main diagonal of `[n, m]`. */
export const trace: (self: Tensor) => Tensor = operator("aten::trace", "self");

// --- decompositions --------------------------------------------------------------------------------------------------

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

/** Symmetric `[…, n, n]` = V diag(λ) Vᵀ, of which the lower triangle is read: λ ascending `[…, n]`, V `[…, n, n]`. */
export const linalgEigh: (self: Tensor) => [values: Tensor, vectors: Tensor] = operator("aten::linalg_eigh", "self");

/** The eigenvalues alone, ascending `[…, n]`, of a symmetric matrix of which the lower triangle is read. */
export const linalgEigvalsh: (self: Tensor) => Tensor = operator("aten::linalg_eigvalsh", "self");

const singular = operator<[Tensor, boolean], [Tensor, Tensor, Tensor]>("aten::linalg_svd", "A full_matrices");
/**
 * `[…, n, m]` = U diag(S) Vᵀ, with k = min(n, m): U `[…, n, k]`, S `[…, k]` descending, Vᵀ `[…, k, m]`.
 * @param options.full - square U and Vᵀ; default false
 */
export function linalgSvd(self: Tensor, options: { full?: boolean } = {}): [u: Tensor, s: Tensor, vt: Tensor] {
  return singular(self, options.full ?? false);
}

/** The singular values alone, descending `[…, k]`. */
export const linalgSvdvals: (self: Tensor) => Tensor = operator("aten::linalg_svdvals", "A");

/** `[…, n, m]` = Q R, with k = min(n, m): Q `[…, n, k]` with orthonormal columns, R `[…, k, m]` upper triangular. */
export const linalgQr: (self: Tensor) => [q: Tensor, r: Tensor] = operator("aten::linalg_qr", "A");

// --- solutions -------------------------------------------------------------------------------------------------------

/** Inverse by LU decomposition. @throws TorchError when singular */
export const linalgInverse: (self: Tensor) => Tensor = operator("aten::inverse", "self");

const pseudoInverse = operator<[Tensor, number], Tensor>("aten::linalg_pinv", "self rcond");
/** Moore–Penrose inverse `[…, m, n]`. @param rcond - singular values below `rcond` times the largest count as 0 */
export function linalgPinv(self: Tensor, rcond = 1e-15): Tensor {
  return pseudoInverse(self, rcond);
}

/** X with `self X = b`: `self` `[…, n, n]`, `b` `[…, n, k]` or `[…, n]`. @throws TorchError when singular */
export const linalgSolve: (self: Tensor, b: Tensor) => Tensor = operator("aten::linalg_solve", "A B");

const solveTriangle = operator<[Tensor, Tensor, boolean, boolean, boolean], Tensor>(
  "aten::linalg_solve_triangular",
  "self B upper left unitriangular",
);
/** X with `self X = b` for triangular `self` `[…, n, n]` and `b` `[…, n, k]`. A 0 on the diagonal gives infinities. */
export function linalgSolveTriangular(self: Tensor, b: Tensor, options: { upper: boolean }): Tensor {
  return solveTriangle(self, b, options.upper, true, false);
}

/** Determinant `[…]`. */
export const linalgDet: (self: Tensor) => Tensor = operator("aten::linalg_det", "A");

/** Sign and logarithm of the absolute determinant, `[…]` each: no overflow. */
export const linalgSlogdet: (self: Tensor) => [sign: Tensor, logarithm: Tensor] = operator("aten::linalg_slogdet", "A");
