// Poolings: the largest value or the mean of each window, over one, two or three dimensions.
import { TorchError } from "../../errors.js";
import { operator } from "../../operator.js";
import type { Tensor } from "../../tensor.js";
import { type Pair, type Single, type Sizes, spread, type Triple } from "./sizes.js";

/** How a window moves; a number stands for every spatial dimension. */
export interface PoolOptions<S extends Sizes = Pair> {
  /** Default: the kernel. */
  stride?: S;
  /** On each side; default 0, at most half the kernel. */
  padding?: S;
  /** Count a last window that is not complete; default false. */
  ceilMode?: boolean;
}
/** As `PoolOptions`, with gaps in the window. */
export interface MaxPoolOptions<S extends Sizes = Pair> extends PoolOptions<S> {
  /** Distance of a window's elements; default 1. */
  dilation?: S;
}
/** As `PoolOptions`, and what counts in the mean. */
export interface AvgPoolOptions<S extends Sizes = Pair> extends PoolOptions<S> {
  /** Let padding zeros count in the mean; default true. */
  countIncludePad?: boolean;
}

type List = readonly number[];
type MaxKernel = (self: Tensor, kernel: List, stride: List, padding: List, dilation: List, ceil: boolean) => Tensor;
type MeanKernel = (self: Tensor, kernel: List, stride: List, padding: List, ceil: boolean, padded: boolean) => Tensor;

const maxNames = "self kernel_size stride padding dilation ceil_mode";
const maxKernels: readonly MaxKernel[] = [
  operator("aten::max_pool1d", maxNames),
  operator("stopgrad::max_pool2d", maxNames), // libtorch's, with loops of our own for 2x2 on the CPU
  operator("aten::max_pool3d", maxNames),
];
const meanNames = "self kernel_size stride padding ceil_mode count_include_pad";
const meanKernels: readonly MeanKernel[] = [
  operator("aten::avg_pool1d", meanNames),
  operator("stopgrad::avg_pool2d", meanNames), // libtorch's, with a loop of our own for windows that do not overlap
  operator("aten::avg_pool3d", meanNames),
];

function maxPool(where: string, dimensions: number, input: Tensor, kernel: Sizes, options: MaxPoolOptions<Sizes>) {
  return maxKernels[dimensions - 1]!(
    input,
    spread(where, "kernel", kernel, dimensions),
    spread(where, "stride", options.stride ?? kernel, dimensions),
    spread(where, "padding", options.padding ?? 0, dimensions),
    spread(where, "dilation", options.dilation ?? 1, dimensions),
    options.ceilMode ?? false,
  );
}

/** Largest value of each window: `[N, C, L]` → `[N, C, L']`. */
export function maxPool1d(input: Tensor, kernel: Single, options: MaxPoolOptions<Single> = {}): Tensor {
  return maxPool("maxPool1d", 1, input, kernel, options);
}
/** Largest value of each window: `[N, C, H, W]` → `[N, C, H', W']`. */
export function maxPool2d(input: Tensor, kernel: Pair, options: MaxPoolOptions = {}): Tensor {
  return maxPool("maxPool2d", 2, input, kernel, options);
}
/** Largest value of each window: `[N, C, D, H, W]` → `[N, C, D', H', W']`. */
export function maxPool3d(input: Tensor, kernel: Triple, options: MaxPoolOptions<Triple> = {}): Tensor {
  return maxPool("maxPool3d", 3, input, kernel, options);
}

function avgPool(where: string, dimensions: number, input: Tensor, kernel: Sizes, options: AvgPoolOptions<Sizes>) {
  return meanKernels[dimensions - 1]!(
    input,
    spread(where, "kernel", kernel, dimensions),
    spread(where, "stride", options.stride ?? kernel, dimensions),
    spread(where, "padding", options.padding ?? 0, dimensions),
    options.ceilMode ?? false,
    options.countIncludePad ?? true,
  );
}

/** Mean of each window: `[N, C, L]` → `[N, C, L']`. */
export function avgPool1d(input: Tensor, kernel: Single, options: AvgPoolOptions<Single> = {}): Tensor {
  return avgPool("avgPool1d", 1, input, kernel, options);
}
/** Mean of each window, padding zeros counted (PyTorch's default): `[N, C, H, W]` → `[N, C, H', W']`. */
export function avgPool2d(input: Tensor, kernel: Pair, options: AvgPoolOptions = {}): Tensor {
  return avgPool("avgPool2d", 2, input, kernel, options);
}
/** Mean of each window: `[N, C, D, H, W]` → `[N, C, D', H', W']`. */
export function avgPool3d(input: Tensor, kernel: Triple, options: AvgPoolOptions<Triple> = {}): Tensor {
  return avgPool("avgPool3d", 3, input, kernel, options);
}

type Adaptive<R> = (self: Tensor, size: List) => R;
const adaptiveMeans: readonly Adaptive<Tensor>[] = [
  operator("aten::adaptive_avg_pool1d", "self output_size"),
  operator("aten::adaptive_avg_pool2d", "self output_size"),
  operator("aten::adaptive_avg_pool3d", "self output_size"),
];
const adaptiveMaxima: readonly Adaptive<[Tensor, Tensor]>[] = [
  operator("aten::adaptive_max_pool1d", "self output_size"),
  operator("aten::adaptive_max_pool2d", "self output_size"),
];

/** A size for each dimension. @throws TorchError for a negative one, which some kernels take for a huge size */
function outputSize(where: string, size: Sizes, dimensions: number): List {
  const sizes = spread(where, "size", size, dimensions);
  if (Array.isArray(sizes) && sizes.some((one) => typeof one === "number" && one < 0)) {
    throw new TorchError(`${where}: expected a size of at least 0, got [${sizes.join(", ")}]`);
  }
  return sizes;
}

/** Mean of windows chosen to give `size`: `[N, C, L]` → `[N, C, size]`. */
export function adaptiveAvgPool1d(input: Tensor, size: Single): Tensor {
  return adaptiveMeans[0]!(input, outputSize("adaptiveAvgPool1d", size, 1));
}
/** Mean of windows chosen to give `size`: `[N, C, H, W]` → `[N, C, …size]`; size 1 is global average pooling. */
export function adaptiveAvgPool2d(input: Tensor, size: Pair): Tensor {
  return adaptiveMeans[1]!(input, outputSize("adaptiveAvgPool2d", size, 2));
}
/** Mean of windows chosen to give `size`: `[N, C, D, H, W]` → `[N, C, …size]`. */
export function adaptiveAvgPool3d(input: Tensor, size: Triple): Tensor {
  return adaptiveMeans[2]!(input, outputSize("adaptiveAvgPool3d", size, 3));
}

function adaptiveMax(where: string, dimensions: number, input: Tensor, size: Sizes): Tensor {
  const [largest, places] = adaptiveMaxima[dimensions - 1]!(input, outputSize(where, size, dimensions));
  places.dispose();
  return largest;
}

/** Largest value of windows chosen to give `size`: `[N, C, L]` → `[N, C, size]`. */
export function adaptiveMaxPool1d(input: Tensor, size: Single): Tensor {
  return adaptiveMax("adaptiveMaxPool1d", 1, input, size);
}
/** Largest value of windows chosen to give `size`: `[N, C, H, W]` → `[N, C, …size]`. */
export function adaptiveMaxPool2d(input: Tensor, size: Pair): Tensor {
  return adaptiveMax("adaptiveMaxPool2d", 2, input, size);
}
