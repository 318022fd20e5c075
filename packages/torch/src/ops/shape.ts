// Shapes, views, indexing, joining, element types and devices.
import { type DType, type Handle, native } from "../native.js";
import { operator } from "../operator.js";
import type { Tensor } from "../tensor.js";

/** The same elements in another shape; one size may be −1. A view where possible. */
export const reshape: (self: Tensor, shape: readonly number[]) => Tensor = operator("aten::reshape", "self shape");
/** As `reshape`, but never a copy. @throws TorchError when the strides do not allow it */
export const view: (self: Tensor, size: readonly number[]) => Tensor = operator("aten::view", "self size");

const flattenDims = operator<[Tensor, number, number], Tensor>("aten::flatten.using_ints", "self start_dim end_dim");
/** Dimensions `start` to `end` become one. */
export function flatten(self: Tensor, start = 0, end = -1): Tensor {
  return flattenDims(self, start, end);
}

/** Two dimensions change places; a view. */
export const transpose: (self: Tensor, first: number, second: number) => Tensor = operator(
  "aten::transpose.int",
  "self dim0 dim1",
);
/** Dimensions in another order; a view. */
export const permute: (self: Tensor, dims: readonly number[]) => Tensor = operator("aten::permute", "self dims");
/** A new dimension of size 1. */
export const unsqueeze: (self: Tensor, dimension: number) => Tensor = operator("aten::unsqueeze", "self dim");
/** Drops a dimension of size 1; does nothing when its size is another. */
export const squeeze: (self: Tensor, dimension: number) => Tensor = operator("aten::squeeze.dim", "self dim");
/** Dimensions of size 1 repeated without a copy; −1 keeps a size. */
export const expand: (self: Tensor, size: readonly number[]) => Tensor = operator("aten::expand", "self size");
/** `length` entries along `dimension` from `start`; a view. */
export const narrow: (self: Tensor, dimension: number, start: number, length: number) => Tensor = operator(
  "aten::narrow",
  "self dim start length",
);
/** One entry along `dimension`, which disappears; a view. */
export const select: (self: Tensor, dimension: number, index: number) => Tensor = operator(
  "aten::select.int",
  "self dim index",
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
/** Advanced indexing, `self[i0, i1, …]`: int64 or bool tensors that broadcast; null takes a whole dimension. */
export const index: (self: Tensor, indices: readonly (Tensor | null)[]) => Tensor = operator(
  "aten::index.Tensor",
  "self indices",
);
/** The order along `dims` reversed; a copy. */
export const flip: (self: Tensor, dims: readonly number[]) => Tensor = operator("aten::flip", "self dims");
/** The main diagonal of the last two dimensions of a matrix; a view. */
export const diagonal: (self: Tensor) => Tensor = operator("aten::diagonal", "self");

/** Joined along an existing dimension. */
export const cat: (tensors: readonly Tensor[], dimension: number) => Tensor = operator("aten::cat", "tensors dim");
/** Joined along a new dimension. */
export const stack: (tensors: readonly Tensor[], dimension: number) => Tensor = operator("aten::stack", "tensors dim");

/** In row-major order; the same tensor when it already is. */
export const contiguous: (self: Tensor) => Tensor = operator("aten::contiguous", "self");
/** A copy. */
export const clone: (self: Tensor) => Tensor = operator("aten::clone", "self");
/** The same values behind a stop-gradient; shares memory. */
export const detach: (self: Tensor) => Tensor = operator("aten::detach", "self");

const convert = operator<[Tensor, DType], Tensor>("aten::to.dtype", "self dtype");
/** Converted to another element type. */
export function toDType(self: Tensor, dtype: DType): Tensor {
  return convert(self, dtype);
}

const move = operator<[Tensor, DType, null, string], Tensor>("aten::to.dtype_layout", "self dtype layout device");
/** Moved to another device, `cpu` or `cuda:0`. */
export function toDevice(self: Tensor, device: string): Tensor {
  return move(self, self.dtype, null, device);
}

let detachIndex = -1;
/** A second handle to the same values, with no owner: for a Parameter that wraps it. Internal. */
export function detachHandle(self: Tensor): Handle {
  if (detachIndex < 0) detachIndex = native().findOperator("aten::detach", "").index;
  return native().call(detachIndex, self.handle) as Handle;
}

/** int64 `[…]` → int64 `[…, classes]`: 1 at the label. @throws TorchError for a label outside 0 to classes − 1 */
export const oneHot: (self: Tensor, classes: number) => Tensor = operator("aten::one_hot", "self num_classes");
