// Layers as functions: what `torch.nn.functional` has, as far as the networks here need it.
import { TorchError } from "../errors.js";
import { operator } from "../operator.js";
import type { Tensor } from "../tensor.js";

/** One number for height and width, or one for each. */
export type Pair = number | readonly [number, number];

const pair = (value: Pair): readonly [number, number] => (typeof value === "number" ? [value, value] : value);

/** max(x, 0). */
export const relu: (self: Tensor) => Tensor = operator("aten::relu", "self");
const reluInPlace = operator<[Tensor], Tensor>("aten::relu_", "self");
/** max(x, 0) written over `self`, which must not be needed for another gradient. Returns it. */
export function relu_(self: Tensor): Tensor {
  reluInPlace(self).dispose();
  return self;
}
/** 1 / (1 + e^−x). */
export const sigmoid: (self: Tensor) => Tensor = operator("aten::sigmoid", "self");
export const tanh: (self: Tensor) => Tensor = operator("aten::tanh", "self");
/** Exponentials along `dimension`, scaled to sum 1. */
export const softmax: (self: Tensor, dimension: number) => Tensor = operator("aten::softmax.int", "self dim");
/** log(softmax), computed stably. */
export const logSoftmax: (self: Tensor, dimension: number) => Tensor = operator("aten::log_softmax.int", "self dim");

const linearMap = operator<[Tensor, Tensor, Tensor | null], Tensor>("aten::linear", "input weight bias");
/** `x Wᵀ + b`: input `[…, in]`, weight `[out, in]`, bias `[out]` → `[…, out]`. */
export function linear(input: Tensor, weight: Tensor, bias: Tensor | null = null): Tensor {
  return linearMap(input, weight, bias);
}

export interface Conv2dOptions {
  bias?: Tensor | null;
  /** Default 1. */
  stride?: Pair;
  /** Zeros on each side; default 0. */
  padding?: Pair;
  /** Default 1. */
  dilation?: Pair;
  /** Default 1. */
  groups?: number;
}

const convolution = operator<
  [Tensor, Tensor, Tensor | null, readonly number[], readonly number[], readonly number[], number],
  Tensor
>("aten::conv2d", "input weight bias stride padding dilation groups");
/** Cross-correlation: input `[N, C, H, W]`, weight `[K, C / groups, kh, kw]`, bias `[K]` → `[N, K, H', W']`. */
export function conv2d(input: Tensor, weight: Tensor, options: Conv2dOptions = {}): Tensor {
  return convolution(
    input,
    weight,
    options.bias ?? null,
    pair(options.stride ?? 1),
    pair(options.padding ?? 0),
    pair(options.dilation ?? 1),
    options.groups ?? 1,
  );
}

export interface PoolOptions {
  /** Default: the kernel. */
  stride?: Pair;
  /** On each side; default 0. */
  padding?: Pair;
}

const maxPool = operator<[Tensor, readonly number[], readonly number[], readonly number[]], Tensor>(
  "aten::max_pool2d",
  "self kernel_size stride padding",
);
/** Largest value of each window: `[N, C, H, W]` → `[N, C, H', W']`. */
export function maxPool2d(input: Tensor, kernel: Pair, options: PoolOptions = {}): Tensor {
  return maxPool(input, pair(kernel), pair(options.stride ?? kernel), pair(options.padding ?? 0));
}

const averagePool = operator<
  [Tensor, readonly number[], readonly number[], readonly number[], boolean, boolean],
  Tensor
>("aten::avg_pool2d", "self kernel_size stride padding ceil_mode count_include_pad");
/** Mean of each window, padding zeros counted (PyTorch's default): `[N, C, H, W]` → `[N, C, H', W']`. */
export function avgPool2d(
  input: Tensor,
  kernel: Pair,
  options: PoolOptions & { countIncludePad?: boolean } = {},
): Tensor {
  return averagePool(
    input,
    pair(kernel),
    pair(options.stride ?? kernel),
    pair(options.padding ?? 0),
    false,
    options.countIncludePad ?? true,
  );
}

const adaptiveAverage = operator<[Tensor, readonly number[]], Tensor>("aten::adaptive_avg_pool2d", "self output_size");
/** Mean of windows chosen to give `size`: `[N, C, H, W]` → `[N, C, …size]`; size 1 is global average pooling. */
export function adaptiveAvgPool2d(input: Tensor, size: Pair): Tensor {
  return adaptiveAverage(input, pair(size));
}

const normaliseBatch = operator<
  [Tensor, Tensor | null, Tensor | null, Tensor | null, Tensor | null, boolean, number, number, boolean],
  Tensor
>("aten::batch_norm", "input weight bias running_mean running_var training momentum eps cudnn_enabled");
/**
 * Batch normalisation of `[N, C, …]`; in training with the batch's statistics, which also move the running ones
 * (in place), else with the running ones.
 * @throws TorchError in training when a channel has one value only: it has no variance
 */
export function batchNorm(
  input: Tensor,
  options: {
    runningMean: Tensor | null;
    runningVar: Tensor | null;
    weight?: Tensor | null;
    bias?: Tensor | null;
    training: boolean;
    momentum?: number;
    eps?: number;
  },
): Tensor {
  if (options.training && input.dim >= 2 && input.numel === input.size(1) && input.numel > 0) {
    throw new TorchError(
      `batchNorm: expected more than one value per channel when training, got input [${input.shape.join(", ")}]`,
    );
  }
  return normaliseBatch(
    input,
    options.weight ?? null,
    options.bias ?? null,
    options.runningMean,
    options.runningVar,
    options.training,
    options.momentum ?? 0.1,
    options.eps ?? 1e-5,
    true,
  );
}

const crossEntropyLoss = operator<[Tensor, Tensor, Tensor | null, number], Tensor>(
  "aten::cross_entropy_loss",
  "self target weight reduction",
);
const reductions = { none: 0, mean: 1, sum: 2 } as const;
/**
 * −log softmax(logits)[target]: logits `[N, K]`, target int64 `[N]` → scalar, or `[N]` without reduction.
 * @param options.reduction - default `mean`
 */
export function crossEntropy(
  logits: Tensor,
  target: Tensor,
  options: { reduction?: keyof typeof reductions } = {},
): Tensor {
  const { reduction = "mean" } = options;
  if (!Object.hasOwn(reductions, reduction)) {
    throw new TorchError(`crossEntropy: expected a reduction of none, mean or sum, got ${String(reduction)}`);
  }
  return crossEntropyLoss(logits, target, null, reductions[reduction]);
}

const padConstant = operator<[Tensor, readonly number[], number], Tensor>("aten::constant_pad_nd", "self pad value");
/** `value` around the last dimensions: `pad` is [left, right, top, bottom, …], the last dimension first. */
export function pad(input: Tensor, amounts: readonly number[], value = 0): Tensor {
  return padConstant(input, amounts, value);
}

const reflect = operator<[Tensor, readonly number[]], Tensor>("aten::reflection_pad2d", "self padding");
/** The image mirrored at its edges: `[N, C, H, W]`, amounts [left, right, top, bottom]; floating point. */
export function reflectionPad2d(input: Tensor, amounts: readonly [number, number, number, number]): Tensor {
  return reflect(input, amounts);
}
