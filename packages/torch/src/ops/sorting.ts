// Order: sorting, the largest elements and where they are, distinct values and how often they come.
import { operator } from "../operator.js";
import type { Tensor } from "../tensor.js";
import type { ReductionOptions } from "./reduction.js";

/** The elements, and int64 of the same shape: where along the dimension each came from. */
export type WithIndices = [values: Tensor, indices: Tensor];

/** Which end comes first. */
export interface SortOptions {
  /** Largest first; default false. */
  descending?: boolean;
}

const sortStable = operator<[Tensor, boolean, number, boolean], WithIndices>(
  "aten::sort.stable",
  "self stable dim descending",
);
/** In ascending order along `dimension` (default: the last); equal elements keep their order, NaN is the largest. */
export function sort(self: Tensor, dimension = -1, options: SortOptions = {}): WithIndices {
  return sortStable(self, true, dimension, options.descending ?? false);
}

/** The positions that sort, int64: the second result of `sort`. */
export function argsort(self: Tensor, dimension = -1, options: SortOptions = {}): Tensor {
  const [values, indices] = sort(self, dimension, options);
  values.dispose();
  return indices;
}

const topEntries = operator<[Tensor, number, number, boolean, boolean], WithIndices>(
  "aten::topk",
  "self k dim largest sorted",
);
/**
 * The `k` largest elements along `dimension` (default: the last), in descending order.
 * @param options.largest - false: the smallest, in ascending order
 */
export function topk(self: Tensor, k: number, dimension = -1, options: { largest?: boolean } = {}): WithIndices {
  return topEntries(self, k, dimension, options.largest ?? true, true);
}

const maxAlong = operator<[Tensor, number, boolean], WithIndices>("aten::max.dim", "self dim keepdim");
/** The largest element along `dimension` and its position; its gradient goes to that position only. */
export function max(self: Tensor, dimension: number, options: ReductionOptions = {}): WithIndices {
  return maxAlong(self, dimension, options.keepDim ?? false);
}

const minAlong = operator<[Tensor, number, boolean], WithIndices>("aten::min.dim", "self dim keepdim");
/** The smallest element along `dimension` and its position; its gradient goes to that position only. */
export function min(self: Tensor, dimension: number, options: ReductionOptions = {}): WithIndices {
  return minAlong(self, dimension, options.keepDim ?? false);
}

const medianAlong = operator<[Tensor, number, boolean], WithIndices>("aten::median.dim", "self dim keepdim");
/** The middle element along `dimension`, the lower of two, and its position. */
export function median(self: Tensor, dimension: number, options: ReductionOptions = {}): WithIndices {
  return medianAlong(self, dimension, options.keepDim ?? false);
}

const distinct = operator<[Tensor, boolean, boolean, boolean], [Tensor, Tensor, Tensor]>(
  "aten::_unique2",
  "self sorted return_inverse return_counts",
);
/**
 * The distinct elements in ascending order `[K]`; for each element its place among them, int64 of `self`'s shape; and
 * how often each comes, int64 `[K]`.
 */
export function unique(self: Tensor): [values: Tensor, inverse: Tensor, counts: Tensor] {
  return distinct(self, true, true, true);
}

const countEach = operator<[Tensor, Tensor | null, number], Tensor>("aten::bincount", "self weights minlength");
/**
 * How often 0, 1, … come in `self` (integers of at least 0, `[N]`): int64 `[max(largest + 1, length)]`.
 * @param options.weights - `[N]`: summed instead of counted
 */
export function bincount(self: Tensor, options: { length?: number; weights?: Tensor } = {}): Tensor {
  return countEach(self, options.weights ?? null, options.length ?? 0);
}
