// Convolutions (cross-correlations, as everywhere in the field) over one, two and three dimensions, and transposed.
import { TorchError } from "../../errors.js";
import { operator } from "../../operator.js";
import { scope } from "../../scope.js";
import type { Tensor } from "../../tensor.js";
import { type Pair, type Single, type Sizes, shapeOf, spread, type Triple } from "./sizes.js";

/** `valid`: none; `same`: so much that the output is as large as the input (stride 1 only). */
export type NamedPadding = "valid" | "same";

/** How a kernel moves over its input; a number stands for every spatial dimension. */
export interface ConvOptions<S extends Sizes = Sizes> {
  /** `[K]`, added to each output channel; default none. */
  bias?: Tensor | null;
  /** Default 1. */
  stride?: S;
  /** Zeros on each side, or a name; default 0. */
  padding?: S | NamedPadding;
  /** Distance of the kernel's taps; default 1. */
  dilation?: S;
  /** Groups of channels that do not see each other; default 1. */
  groups?: number;
}
/** How the kernel of `conv1d` moves. */
export type Conv1dOptions = ConvOptions<Single>;
/** How the kernel of `conv2d` moves; a number stands for both dimensions. */
export type Conv2dOptions = ConvOptions<Pair>;
/** How the kernel of `conv3d` moves; a number stands for all three dimensions. */
export type Conv3dOptions = ConvOptions<Triple>;

type Kernel = (
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  stride: readonly number[],
  padding: readonly number[],
  dilation: readonly number[],
  groups: number,
) => Tensor;

const convolve1d: Kernel = operator("aten::conv1d", "input weight bias stride padding dilation groups");
// libtorch's, with loops of our own for few channels on the CPU (native/small-operators.cc).
const convolve2d: Kernel = operator("stopgrad::conv2d", "input weight bias stride padding dilation groups");
const convolve3d: Kernel = operator("aten::conv3d", "input weight bias stride padding dilation groups");
const padZeros = operator<[Tensor, readonly number[]], Tensor>("aten::constant_pad_nd", "self pad");

/** Input `[N, C, L]`, weight `[K, C / groups, k]`, bias `[K]` → `[N, K, L']`. */
export function conv1d(input: Tensor, weight: Tensor, options: Conv1dOptions = {}): Tensor {
  return convolve("conv1d", 1, convolve1d, input, weight, options);
}

/** Input `[N, C, H, W]`, weight `[K, C / groups, kh, kw]`, bias `[K]` → `[N, K, H', W']`. */
export function conv2d(input: Tensor, weight: Tensor, options: Conv2dOptions = {}): Tensor {
  return convolve("conv2d", 2, convolve2d, input, weight, options);
}

/** Input `[N, C, D, H, W]`, weight `[K, C / groups, kd, kh, kw]`, bias `[K]` → `[N, K, D', H', W']`. */
export function conv3d(input: Tensor, weight: Tensor, options: Conv3dOptions = {}): Tensor {
  return convolve("conv3d", 3, convolve3d, input, weight, options);
}

function convolve(
  where: string,
  dimensions: number,
  kernel: Kernel,
  input: Tensor,
  weight: Tensor,
  options: ConvOptions,
): Tensor {
  const { bias = null, padding = 0, groups = 1 } = options;
  const stride = spread(where, "stride", options.stride ?? 1, dimensions);
  const dilation = spread(where, "dilation", options.dilation ?? 1, dimensions);
  if (typeof padding !== "string") {
    const zeros = spread(where, "padding", padding, dimensions);
    return kernel(input, weight, bias, stride, zeros, dilation, groups);
  }
  const none = new Array<number>(dimensions).fill(0);
  if (padding === "valid") return kernel(input, weight, bias, stride, none, dilation, groups);
  if (padding !== "same") {
    throw new TorchError(`${where}: expected a padding of numbers, "same" or "valid", got "${String(padding)}"`);
  }
  if (stride.some((step) => step !== 1)) {
    throw new TorchError(`${where}: padding "same" needs a stride of 1, got [${stride.join(", ")}]`);
  }
  if (weight.dim !== dimensions + 2) {
    throw new TorchError(`${where}: expected a weight of ${dimensions + 2} dimensions, got ${shapeOf(weight)}`);
  }
  // What does not divide by two goes to the end, as PyTorch has it.
  const total = dilation.map((distance, at) => distance * (weight.size(at + 2) - 1));
  const before = total.map((zeros) => Math.floor(zeros / 2));
  if (total.every((zeros) => zeros % 2 === 0)) return kernel(input, weight, bias, stride, before, dilation, groups);
  const extra = total.map((zeros) => [0, zeros % 2]).reverse();
  return scope(() => kernel(padZeros(input, extra.flat()), weight, bias, stride, before, dilation, groups));
}

/** How a transposed kernel moves. */
export interface ConvTransposeOptions<S extends Sizes = Sizes> extends Omit<ConvOptions<S>, "padding"> {
  /** Taken from each side of the output; default 0. */
  padding?: S;
  /** Added to one side of the output, less than stride or dilation; default 0. */
  outputPadding?: S;
}
/** How the kernel of `convTranspose1d` moves. */
export type ConvTranspose1dOptions = ConvTransposeOptions<Single>;
/** How the kernel of `convTranspose2d` moves; a number stands for both dimensions. */
export type ConvTranspose2dOptions = ConvTransposeOptions<Pair>;

type TransposedKernel = (
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  stride: readonly number[],
  padding: readonly number[],
  outputPadding: readonly number[],
  groups: number,
  dilation: readonly number[],
) => Tensor;

const transposedNames = "input weight bias stride padding output_padding groups dilation";
const transposed1d: TransposedKernel = operator("aten::conv_transpose1d", transposedNames);
const transposed2d: TransposedKernel = operator("aten::conv_transpose2d.input", transposedNames);

/** The gradient of `conv1d`: input `[N, C, L]`, weight `[C, K / groups, k]`, bias `[K]` → `[N, K, L']`. */
export function convTranspose1d(input: Tensor, weight: Tensor, options: ConvTranspose1dOptions = {}): Tensor {
  return convolveTransposed("convTranspose1d", 1, transposed1d, input, weight, options);
}

/**
 * The gradient of `conv2d`: input `[N, C, H, W]`, weight `[C, K / groups, kh, kw]`, bias `[K]` → `[N, K, H', W']` with
 * H' = (H − 1) stride − 2 padding + dilation (kh − 1) + outputPadding + 1.
 */
export function convTranspose2d(input: Tensor, weight: Tensor, options: ConvTranspose2dOptions = {}): Tensor {
  return convolveTransposed("convTranspose2d", 2, transposed2d, input, weight, options);
}

function convolveTransposed(
  where: string,
  dimensions: number,
  kernel: TransposedKernel,
  input: Tensor,
  weight: Tensor,
  options: ConvTransposeOptions,
): Tensor {
  return kernel(
    input,
    weight,
    options.bias ?? null,
    spread(where, "stride", options.stride ?? 1, dimensions),
    spread(where, "padding", options.padding ?? 0, dimensions),
    spread(where, "outputPadding", options.outputPadding ?? 0, dimensions),
    options.groups ?? 1,
    spread(where, "dilation", options.dilation ?? 1, dimensions),
  );
}
