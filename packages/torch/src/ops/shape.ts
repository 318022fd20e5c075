// Shapes, joining, order in memory, element types and devices.
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
const squeezeAll = operator<[Tensor], Tensor>("aten::squeeze", "self");
const squeezeOne = operator<[Tensor, number], Tensor>("aten::squeeze.dim", "self dim");
/** Drops a dimension of size 1, all of them when left out; does nothing when its size is another. */
export function squeeze(self: Tensor, dimension?: number): Tensor {
  return dimension === undefined ? squeezeAll(self) : squeezeOne(self, dimension);
}
/** Dimensions of size 1 repeated without a copy; −1 keeps a size. */
export const expand: (self: Tensor, size: readonly number[]) => Tensor = operator("aten::expand", "self size");
/** The order along `dims` reversed; a copy. */
export const flip: (self: Tensor, dims: readonly number[]) => Tensor = operator("aten::flip", "self dims");
/** Each element moved by `shifts` along `dims`, round the end; over the row-major order without dims. A copy. */
export const roll: (self: Tensor, shifts: readonly number[], dims?: readonly number[]) => Tensor = operator(
  "aten::roll",
  "self shifts dims",
);
/** The tensor laid beside itself `repeats` times along each dimension; a copy. */
export const repeat: (self: Tensor, repeats: readonly number[]) => Tensor = operator("aten::repeat", "self repeats");

const repeatEach = operator<[Tensor, number, number | null], Tensor>(
  "aten::repeat_interleave.self_int",
  "self repeats dim",
);
const repeatEachBy = operator<[Tensor, Tensor, number | null], Tensor>(
  "aten::repeat_interleave.self_Tensor",
  "self repeats dim",
);
/** Each entry along `dimension` repeated, `repeats` times or as int64 `[N]` says; flattened without a dimension. */
export function repeatInterleave(self: Tensor, repeats: Tensor | number, dimension: number | null = null): Tensor {
  return typeof repeats === "number" ? repeatEach(self, repeats, dimension) : repeatEachBy(self, repeats, dimension);
}
/** One dimension moved to another place, the others in order; a view. */
export const movedim: (self: Tensor, from: number, to: number) => Tensor = operator(
  "aten::movedim.int",
  "self source destination",
);

/** Joined along an existing dimension. */
export const cat: (tensors: readonly Tensor[], dimension: number) => Tensor = operator("aten::cat", "tensors dim");
/** Joined along a new dimension. */
export const stack: (tensors: readonly Tensor[], dimension: number) => Tensor = operator("aten::stack", "tensors dim");

/**
 * How a tensor's elements lie in memory: `row-major`; `channels-last`, for `[N, C, H, W]` in the order N, H, W, C,
 * which convolutions like; the same for `[N, C, D, H, W]`; or `preserve`, the argument's own.
 */
export type MemoryFormat = "row-major" | "channels-last" | "channels-last-3d" | "preserve";

const contiguousIn = operator<[Tensor, MemoryFormat], Tensor>("aten::contiguous", "self memory_format");
/** In row-major or another order; the same memory when it already is. Shape and values do not change. */
export function contiguous(self: Tensor, format: Exclude<MemoryFormat, "preserve"> = "row-major"): Tensor {
  return contiguousIn(self, format);
}

const cloneIn = operator<[Tensor, MemoryFormat], Tensor>("aten::clone", "self memory_format");
/** A copy; its order in memory is the argument's where that is dense. */
export function clone(self: Tensor, format: MemoryFormat = "preserve"): Tensor {
  return cloneIn(self, format);
}
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

/** What a conversion changes; the rest stays as it is. */
export interface ConversionOptions {
  /** Element type. */
  dtype?: DType;
  /** `cpu` or `cuda:0`. */
  device?: string;
  /** Order in memory; default `preserve`. */
  memoryFormat?: MemoryFormat;
  /** A copy also when nothing changes; default false. */
  copy?: boolean;
  /** From pinned memory to a GPU and back without waiting; default false. */
  nonBlocking?: boolean;
}

const convertTo = operator<
  [Tensor, DType | null, null, string | null, null, boolean, boolean, MemoryFormat | null],
  Tensor
>("aten::to.dtype_layout", "self dtype layout device pin_memory non_blocking copy memory_format");
/** Another element type, device or order in memory, in one step; the same tensor's values when nothing changes. */
export function convertTensor(self: Tensor, options: ConversionOptions): Tensor {
  const { dtype = null, device = null, memoryFormat = null, copy = false, nonBlocking = false } = options;
  return convertTo(self, dtype, null, device, null, nonBlocking, copy, memoryFormat);
}

let detachIndex = -1;
/** A second handle to the same values, with no owner: for a Parameter that wraps it. Internal. */
export function detachHandle(self: Tensor): Handle {
  if (detachIndex < 0) detachIndex = native().findOperator("aten::detach", "").index;
  return native().call(detachIndex, self.handle) as Handle;
}
