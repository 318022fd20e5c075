// Sums, means and extremes over dimensions.
import { operator } from "../operator.js";
import type { Tensor } from "../tensor.js";

/** The shape of a reduction's result. */
export interface ReductionOptions {
  /** Keep the reduced dimensions with size 1; default false. */
  keepDim?: boolean;
}

type Reduce = (self: Tensor, dims: readonly number[] | null, keepDim: boolean) => Tensor;

function reducing(reduce: Reduce): (self: Tensor, dims?: readonly number[], options?: ReductionOptions) => Tensor {
  return (self, dims, options) => reduce(self, dims ?? null, options?.keepDim ?? false);
}

const sumAll = operator<[Tensor], Tensor>("aten::sum", "self");
const sumOver = operator<[Tensor, readonly number[], boolean], Tensor>("aten::sum.dim_IntList", "self dim keepdim");
const meanAll = operator<[Tensor], Tensor>("aten::mean", "self");
const meanOver = operator<[Tensor, readonly number[], boolean], Tensor>("aten::mean.dim", "self dim keepdim");

/** Sum over `dims`, over everything when left out. */
export const sum = reducing((self, dims, keepDim) => (dims === null ? sumAll(self) : sumOver(self, dims, keepDim)));
/** Mean over `dims`, over everything when left out. */
export const mean = reducing((self, dims, keepDim) => (dims === null ? meanAll(self) : meanOver(self, dims, keepDim)));

const amaxOver = operator<[Tensor, readonly number[], boolean], Tensor>("aten::amax", "self dim keepdim");
const aminOver = operator<[Tensor, readonly number[], boolean], Tensor>("aten::amin", "self dim keepdim");
/** Largest value over `dims`, over everything when left out. */
export const amax = reducing((self, dims, keepDim) => amaxOver(self, dims ?? [], keepDim));
/** Smallest value over `dims`, over everything when left out. */
export const amin = reducing((self, dims, keepDim) => aminOver(self, dims ?? [], keepDim));

const varOver = operator<[Tensor, readonly number[] | null, boolean, boolean], Tensor>(
  "aten::var.dim",
  "self dim unbiased keepdim",
);
/** Variance over `dims`, over everything when left out. @param options.unbiased - divide by n − 1; default true */
export function variance(
  self: Tensor,
  dims?: readonly number[],
  options: ReductionOptions & { unbiased?: boolean } = {},
): Tensor {
  return varOver(self, dims ?? null, options.unbiased ?? true, options.keepDim ?? false);
}

const stdOver = operator<[Tensor, readonly number[] | null, boolean, boolean], Tensor>(
  "aten::std.dim",
  "self dim unbiased keepdim",
);
/** Standard deviation over `dims`, as `variance`. */
export function std(
  self: Tensor,
  dims?: readonly number[],
  options: ReductionOptions & { unbiased?: boolean } = {},
): Tensor {
  return stdOver(self, dims ?? null, options.unbiased ?? true, options.keepDim ?? false);
}

const vectorNorm = operator<[Tensor, number, readonly number[] | null, boolean], Tensor>(
  "aten::linalg_vector_norm",
  "self ord dim keepdim",
);
/** (Σ |x|ᵖ)^(1/p) over `dims`, over everything when left out. @param options.p - default 2; may be infinite or 0 */
export function norm(self: Tensor, dims?: readonly number[], options: ReductionOptions & { p?: number } = {}): Tensor {
  return vectorNorm(self, options.p ?? 2, dims ?? null, options.keepDim ?? false);
}

const logSumExp = operator<[Tensor, readonly number[], boolean], Tensor>("aten::logsumexp", "self dim keepdim");
/** log Σ e^x over `dims`, over everything when left out; computed stably. */
export const logsumexp = reducing((self, dims, keepDim) =>
  logSumExp(self, dims ?? self.shape.map((_, dimension) => dimension), keepDim),
);

const prodAll = operator<[Tensor], Tensor>("aten::prod", "self");
const prodOver = operator<[Tensor, number, boolean], Tensor>("aten::prod.dim_int", "self dim keepdim");
/** Product along `dimension`, of everything when left out. */
export function prod(self: Tensor, dimension?: number | null, options: ReductionOptions = {}): Tensor {
  return dimension == null ? prodAll(self) : prodOver(self, dimension, options.keepDim ?? false);
}

/** Running sums along `dimension`. */
export const cumsum: (self: Tensor, dimension: number) => Tensor = operator("aten::cumsum", "self dim");
/** Running products along `dimension`. */
export const cumprod: (self: Tensor, dimension: number) => Tensor = operator("aten::cumprod", "self dim");

const argmaxOver = operator<[Tensor, number | null, boolean], Tensor>("aten::argmax", "self dim keepdim");
/** int64: position of the largest value along `dimension`; in row-major order when null or left out. */
export function argmax(self: Tensor, dimension: number | null = null, options: ReductionOptions = {}): Tensor {
  return argmaxOver(self, dimension, options.keepDim ?? false);
}

const argminOver = operator<[Tensor, number | null, boolean], Tensor>("aten::argmin", "self dim keepdim");
/** int64: position of the smallest value along `dimension`; in row-major order when null or left out. */
export function argmin(self: Tensor, dimension: number | null = null, options: ReductionOptions = {}): Tensor {
  return argminOver(self, dimension, options.keepDim ?? false);
}

const allOf = operator<[Tensor], Tensor>("aten::all", "self");
const allOver = operator<[Tensor, number, boolean], Tensor>("aten::all.dim", "self dim keepdim");
/** bool: whether every element along `dimension` is true, of everything when left out. */
export function all(self: Tensor, dimension?: number | null, options: ReductionOptions = {}): Tensor {
  return dimension == null ? allOf(self) : allOver(self, dimension, options.keepDim ?? false);
}

const anyOf = operator<[Tensor], Tensor>("aten::any", "self");
const anyOver = operator<[Tensor, number, boolean], Tensor>("aten::any.dim", "self dim keepdim");
/** bool: whether some element along `dimension` is true, of everything when left out. */
export function any(self: Tensor, dimension?: number | null, options: ReductionOptions = {}): Tensor {
  return dimension == null ? anyOf(self) : anyOver(self, dimension, options.keepDim ?? false);
}

const countOver = operator<[Tensor, readonly number[]], Tensor>("aten::count_nonzero.dim_IntList", "self dim");
/** int64: how many elements over `dims` are other than 0, over everything when left out. */
export function countNonzero(self: Tensor, dims: readonly number[] = []): Tensor {
  return countOver(self, dims);
}
