// Padding, resizing and rearranging of images and sequences.
import { TorchError } from "../../errors.js";
import { operator } from "../../operator.js";
import type { Tensor } from "../../tensor.js";
import { type Pair, type Sizes, shapeOf, spread } from "./sizes.js";

/** What stands outside the edges. */
export interface PadOptions {
  /** What is written outside; default `constant`. */
  mode?: "constant" | "reflect" | "replicate" | "circular";
  /** For `constant`; default 0. */
  value?: number;
}

const padConstant = operator<[Tensor, readonly number[], number], Tensor>("aten::constant_pad_nd", "self pad value");
const padMode = operator<[Tensor, readonly number[], string], Tensor>("aten::pad", "self pad mode");
const padModes = new Set(["constant", "reflect", "replicate", "circular"]);
/**
 * More elements around the last dimensions: `amounts` is [left, right, top, bottom, …], the last dimension first;
 * negative ones cut off (`constant`). The other modes take `[N, C, …]` and an amount for each side of every spatial
 * dimension.
 * @param options - a number is the value of a constant
 */
export function pad(input: Tensor, amounts: readonly number[], options: number | PadOptions = {}): Tensor {
  const { mode = "constant", value = 0 } = typeof options === "number" ? { value: options } : options;
  if (mode === "constant") return padConstant(input, amounts, value);
  if (!padModes.has(mode)) {
    throw new TorchError(`pad: unknown mode ${String(mode)} (known: ${[...padModes].join(", ")})`);
  }
  if (amounts.length !== 2 * (input.dim - 2) || input.dim > 5) {
    const wanted = input.dim > 2 && input.dim < 6 ? `${2 * (input.dim - 2)} amounts` : "3 to 5 dimensions";
    throw new TorchError(
      `pad: expected ${wanted} for ${mode}, got [${amounts.join(", ")}] and input ${shapeOf(input)}`,
    );
  }
  return padMode(input, amounts, mode);
}

const reflect = operator<[Tensor, readonly number[]], Tensor>("aten::reflection_pad2d", "self padding");
/** The image mirrored at its edges: `[N, C, H, W]`, amounts [left, right, top, bottom]; floating point. */
export function reflectionPad2d(input: Tensor, amounts: readonly [number, number, number, number]): Tensor {
  return reflect(input, amounts);
}

/** The size wanted and how values between pixels are found. */
export interface InterpolateOptions {
  /** Spatial sizes of the result; this or `scaleFactor`. */
  size?: Sizes;
  /** Result over input, for all dimensions or each. */
  scaleFactor?: Sizes;
  /** Default `nearest`; `linear` takes one spatial dimension, `bilinear` and `bicubic` two. */
  mode?: "nearest" | "linear" | "bilinear" | "bicubic";
  /** Corner pixels keep their values (not for `nearest`); default false. */
  alignCorners?: boolean;
}

type List = readonly number[];
type Nearest = (input: Tensor, size: List | null, factors: List | null) => Tensor;
type Smooth = (input: Tensor, size: List | null, alignCorners: boolean, factors: List | null) => Tensor;
const nearest: readonly Nearest[] = [
  operator("aten::upsample_nearest1d.vec", "input output_size scale_factors"),
  operator("aten::upsample_nearest2d.vec", "input output_size scale_factors"),
  operator("aten::upsample_nearest3d.vec", "input output_size scale_factors"),
];
const smoothNames = "input output_size align_corners scale_factors";
const smooth: Record<"linear" | "bilinear" | "bicubic", readonly [dimensions: number, kernel: Smooth]> = {
  linear: [1, operator("aten::upsample_linear1d.vec", smoothNames)],
  bilinear: [2, operator("aten::upsample_bilinear2d.vec", smoothNames)],
  bicubic: [2, operator("aten::upsample_bicubic2d.vec", smoothNames)],
};
/** Another size: `[N, C, …]` with one to three spatial dimensions → `[N, C, …size]`. */
export function interpolate(input: Tensor, options: InterpolateOptions): Tensor {
  const { mode = "nearest" } = options;
  const dimensions = input.dim - 2;
  if (dimensions < 1 || dimensions > 3) {
    throw new TorchError(`interpolate: expected input of 3 to 5 dimensions, got ${shapeOf(input)}`);
  }
  if ((options.size === undefined) === (options.scaleFactor === undefined)) {
    throw new TorchError("interpolate: expected either size or scaleFactor");
  }
  const size = options.size === undefined ? null : spread("interpolate", "size", options.size, dimensions);
  const factors =
    options.scaleFactor === undefined ? null : spread("interpolate", "scaleFactor", options.scaleFactor, dimensions);
  if (mode === "nearest") {
    if (options.alignCorners) throw new TorchError("interpolate: alignCorners is not for mode nearest");
    return nearest[dimensions - 1]!(input, size, factors);
  }
  if (!Object.hasOwn(smooth, mode)) {
    throw new TorchError(
      `interpolate: unknown mode ${String(mode)} (known: ${["nearest", ...Object.keys(smooth)].join(", ")})`,
    );
  }
  const [wanted, kernel] = smooth[mode];
  if (wanted !== dimensions) {
    throw new TorchError(`interpolate: mode ${mode} takes ${wanted + 2} dimensions, got input ${shapeOf(input)}`);
  }
  return kernel(input, size, options.alignCorners ?? false, factors);
}

/** How a window moves over an image; a number stands for both dimensions. */
export interface WindowOptions {
  /** Default 1. */
  dilation?: Pair;
  /** Default 0. */
  padding?: Pair;
  /** Default 1. */
  stride?: Pair;
}

const toColumns = operator<[Tensor, List, List, List, List], Tensor>(
  "aten::im2col",
  "self kernel_size dilation padding stride",
);
const fromColumns = operator<[Tensor, List, List, List, List, List], Tensor>(
  "aten::col2im",
  "self output_size kernel_size dilation padding stride",
);
function windows(where: string, kernel: Pair, options: WindowOptions): [List, List, List, List] {
  return [
    spread(where, "kernel", kernel, 2),
    spread(where, "dilation", options.dilation ?? 1, 2),
    spread(where, "padding", options.padding ?? 0, 2),
    spread(where, "stride", options.stride ?? 1, 2),
  ];
}
/** Every window as a column: `[N, C, H, W]` → `[N, C·kh·kw, windows]`, as `torch.nn.functional.unfold`. */
export function unfold2d(input: Tensor, kernel: Pair, options: WindowOptions = {}): Tensor {
  return toColumns(input, ...windows("unfold2d", kernel, options));
}
/** Columns added up where their windows lay: `[N, C·kh·kw, windows]` → `[N, C, …size]`; the gradient of `unfold2d`. */
export function fold2d(input: Tensor, size: Pair, kernel: Pair, options: WindowOptions = {}): Tensor {
  return fromColumns(input, spread("fold2d", "size", size, 2), ...windows("fold2d", kernel, options));
}

/** Channels become space: `[N, C·r², H, W]` → `[N, C, H·r, W·r]`. */
export const pixelShuffle: (self: Tensor, factor: number) => Tensor = operator(
  "aten::pixel_shuffle",
  "self upscale_factor",
);
/** Space becomes channels: `[N, C, H·r, W·r]` → `[N, C·r², H, W]`. */
export const pixelUnshuffle: (self: Tensor, factor: number) => Tensor = operator(
  "aten::pixel_unshuffle",
  "self downscale_factor",
);
