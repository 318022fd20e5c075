// Parts of a tensor: slices and windows (views, which share memory: writing into them writes into the tensor), and
// elements chosen by positions or a mask (copies). Negative dimensions and positions count from the end.
import { TorchError } from "../errors.js";
import { operator } from "../operator.js";
import type { Tensor } from "../tensor.js";

const slices = operator<[Tensor, number, number | null, number | null, number], Tensor>(
  "aten::slice.Tensor",
  "self dim start end step",
);
/**
 * Entries `start`, `start + step`, … below `end` along `dimension`, as `self[start:end:step]`; a view.
 * @param start - default 0 @param end - default: to the end; beyond it counts as the end
 * @param step - at least 1, default 1
 */
export function slice(
  self: Tensor,
  dimension: number,
  start: number | null = null,
  end: number | null = null,
  step = 1,
): Tensor {
  return slices(self, dimension, start, end, step);
}
/** `length` entries along `dimension` from `start`; a view. @throws TorchError when there are not as many */
export const narrow: (self: Tensor, dimension: number, start: number, length: number) => Tensor = operator(
  "aten::narrow",
  "self dim start length",
);
/** One entry along `dimension`, which disappears; a view. */
export const select: (self: Tensor, dimension: number, index: number) => Tensor = operator(
  "aten::select.int",
  "self dim index",
);
/** Windows of `size` entries every `step` along `dimension`, their elements in a new last dimension; a view. */
export const unfoldDimension: (self: Tensor, dimension: number, size: number, step: number) => Tensor = operator(
  "aten::unfold",
  "self dimension size step",
);
/** The main diagonal, or the one `offset` above it, of dimensions `first` and `second` (default 0, 1); a view. */
export const diagonal: (self: Tensor, offset?: number, first?: number, second?: number) => Tensor = operator(
  "aten::diagonal",
  "self offset dim1 dim2",
);

const strided = operator<[Tensor, readonly number[], readonly number[], number | null], Tensor>(
  "aten::as_strided",
  "self size stride storage_offset",
);
/**
 * A view of the tensor's memory with these sizes and strides, in elements; elements may overlap.
 * @param offset - of the first element; default: the tensor's own
 * @throws TorchError when it reaches beyond the memory
 */
export function asStrided(
  self: Tensor,
  shape: readonly number[],
  strides: readonly number[],
  offset: number | null = null,
): Tensor {
  // libtorch computes the extent in 64 bits without looking for an overflow in every version.
  const extent = shape.reduce((sum, size, i) => sum + Math.abs((size - 1) * (strides[i] ?? 0)), Math.abs(offset ?? 0));
  if (extent > Number.MAX_SAFE_INTEGER) {
    throw new TorchError(`asStrided: expected an extent below 2^53 elements, got [${shape.join(", ")}]`);
  }
  return strided(self, shape, strides, offset);
}

const equalParts = operator<[Tensor, number, number], Tensor[]>("aten::split.Tensor", "self split_size dim");
const givenParts = operator<[Tensor, readonly number[], number], Tensor[]>(
  "aten::split_with_sizes",
  "self split_sizes dim",
);
/** Parts of `size` entries along `dimension` (the last may be smaller), or of the sizes in a list; views. */
export function split(self: Tensor, size: number | readonly number[], dimension = 0): Tensor[] {
  return typeof size === "number" ? equalParts(self, size, dimension) : givenParts(self, size, dimension);
}
/** At most `chunks` parts of equal size along `dimension`, the last smaller when it does not divide; views. */
export const chunk: (self: Tensor, chunks: number, dimension?: number) => Tensor[] = operator(
  "aten::chunk",
  "self chunks dim",
);
/** Every entry along `dimension` (default 0), which disappears; views. */
export const unbind: (self: Tensor, dimension?: number) => Tensor[] = operator("aten::unbind.int", "self dim");

// --- by position -----------------------------------------------------------------------------------------------------

/** Advanced indexing, `self[i0, i1, …]`: int64 or bool tensors that broadcast; null takes a whole dimension. */
export const index: (self: Tensor, indices: readonly (Tensor | null)[]) => Tensor = operator(
  "aten::index.Tensor",
  "self indices",
);
/** Entries `index` (int64 `[K]`) along `dimension`; a copy. */
export const indexSelect: (self: Tensor, dimension: number, index: Tensor) => Tensor = operator(
  "aten::index_select",
  "self dim index",
);
/** `out[i][j] = self[index[i][j]][j]` for dimension 0, and so on; `index` int64. */
export const gather: (self: Tensor, dimension: number, index: Tensor) => Tensor = operator(
  "aten::gather",
  "self dim index",
);
/** Elements at positions `index` (int64, any shape) of the tensor in row-major order. */
export const take: (self: Tensor, index: Tensor) => Tensor = operator("aten::take", "self index");

const putAt = operator<[Tensor, readonly (Tensor | null)[], Tensor, boolean], Tensor>(
  "aten::index_put_",
  "self indices values accumulate",
);
/**
 * `self[i0, i1, …] ← values`, broadcast. Returns `self`.
 * @param options.accumulate - add instead, also where a position is named twice; default false
 */
export function indexPut_(
  self: Tensor,
  indices: readonly (Tensor | null)[],
  values: Tensor,
  options: { accumulate?: boolean } = {},
): Tensor {
  putAt(self, indices, values, options.accumulate ?? false).dispose();
  return self;
}

const addAt = operator<[Tensor, number, Tensor, Tensor, number], Tensor>(
  "aten::index_add_",
  "self dim index source alpha",
);
/** Adds `alpha · source` to entries `index` (int64 `[K]`) along `dimension`. Returns `self`. */
export function indexAdd_(self: Tensor, dimension: number, index: Tensor, source: Tensor, alpha = 1): Tensor {
  addAt(self, dimension, index, source, alpha).dispose();
  return self;
}

const scatterTensor = operator<[Tensor, number, Tensor, Tensor], Tensor>("aten::scatter_.src", "self dim index src");
const scatterScalar = operator<[Tensor, number, Tensor, number], Tensor>(
  "aten::scatter_.value",
  "self dim index value",
);
/** `self[index[i][j]][j] ← source[i][j]` for dimension 0, and so on; `index` int64. Returns `self`. */
export function scatter_(self: Tensor, dimension: number, index: Tensor, source: Tensor | number): Tensor {
  const answer =
    typeof source === "number"
      ? scatterScalar(self, dimension, index, source)
      : scatterTensor(self, dimension, index, source);
  answer.dispose();
  return self;
}

const scatterSum = operator<[Tensor, number, Tensor, Tensor], Tensor>("aten::scatter_add_", "self dim index src");
/** As `scatter_`, but adds; positions may be named twice. Returns `self`. */
export function scatterAdd_(self: Tensor, dimension: number, index: Tensor, source: Tensor): Tensor {
  scatterSum(self, dimension, index, source).dispose();
  return self;
}

// --- by mask ---------------------------------------------------------------------------------------------------------

/** The elements where `mask` (bool, broadcast) is true, `[K]` in row-major order; a copy. */
export const maskedSelect: (self: Tensor, mask: Tensor) => Tensor = operator("aten::masked_select", "self mask");

const fillNumber = operator<[Tensor, Tensor, number], Tensor>("aten::masked_fill.Scalar", "self mask value");
const fillTensor = operator<[Tensor, Tensor, Tensor], Tensor>("aten::masked_fill.Tensor", "self mask value");
/** `mask ? value : self`, broadcast. @param mask - bool @param value - a number or a tensor of no dimensions */
export function maskedFill(self: Tensor, mask: Tensor, value: Tensor | number): Tensor {
  return typeof value === "number" ? fillNumber(self, mask, value) : fillTensor(self, mask, value);
}

const fillNumber_ = operator<[Tensor, Tensor, number], Tensor>("aten::masked_fill_.Scalar", "self mask value");
const fillTensor_ = operator<[Tensor, Tensor, Tensor], Tensor>("aten::masked_fill_.Tensor", "self mask value");
/** Where `mask` (bool, broadcast) is true, `self` becomes `value`. Returns `self`. */
export function maskedFill_(self: Tensor, mask: Tensor, value: Tensor | number): Tensor {
  (typeof value === "number" ? fillNumber_(self, mask, value) : fillTensor_(self, mask, value)).dispose();
  return self;
}

/** Positions of the elements other than 0: int64 `[K, dimensions]` in row-major order. */
export const nonzero: (self: Tensor) => Tensor = operator("aten::nonzero", "self");

/** The part on and below the diagonal (`offset` above the main one) of the last two dimensions; the rest 0. */
export const tril: (self: Tensor, offset?: number) => Tensor = operator("aten::tril", "self diagonal");
/** The part on and above the diagonal (`offset` above the main one) of the last two dimensions; the rest 0. */
export const triu: (self: Tensor, offset?: number) => Tensor = operator("aten::triu", "self diagonal");

/** int64 `[…]` → int64 `[…, classes]`: 1 at the label. @throws TorchError for a label outside 0 to classes − 1 */
export const oneHot: (self: Tensor, classes: number) => Tensor = operator("aten::one_hot", "self num_classes");
