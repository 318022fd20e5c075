// Sums, means and extremes over dimensions.
import { operator } from "../operator.js";
import type { Tensor } from "../tensor.js";

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

const varOver = operator<[Tensor, readonly number[], boolean, boolean], Tensor>(
  "aten::var.dim",
  "self dim unbiased keepdim",
);
/** Variance over `dims`. @param options.unbiased - divide by n − 1; default true */
export function variance(
  self: Tensor,
  dims: readonly number[],
  options: ReductionOptions & { unbiased?: boolean } = {},
): Tensor {
  return varOver(self, dims, options.unbiased ?? true, options.keepDim ?? false);
}

const argmaxOver = operator<[Tensor, number, boolean], Tensor>("aten::argmax", "self dim keepdim");
/** int64: position of the largest value along `dimension`. */
export function argmax(self: Tensor, dimension: number, options: ReductionOptions = {}): Tensor {
  return argmaxOver(self, dimension, options.keepDim ?? false);
}

/** bool scalar: whether every element is true. */
export const all: (self: Tensor) => Tensor = operator("aten::all", "self");
