// Normalisations: (x − mean) / √(variance + ε), then weight and bias. They differ in what is averaged over. Also the
// scaling of vectors to length 1.
import { TorchError } from "../../errors.js";
import { operator } from "../../operator.js";
import { scope } from "../../scope.js";
import type { Tensor } from "../../tensor.js";
import { shapeOf } from "./sizes.js";

type MaybeTensor = Tensor | null;

/** Statistics, scale and shift of a batch normalisation, and what follows it. */
export interface BatchNormOptions {
  /** `[C]`, moved in training; null: none are kept. */
  runningMean: MaybeTensor;
  /** `[C]`, moved in training with the unbiased variance; null: none are kept. */
  runningVar: MaybeTensor;
  /** `[C]`. */
  weight?: MaybeTensor;
  /** `[C]`. */
  bias?: MaybeTensor;
  /** Use the batch's statistics. */
  training: boolean;
  /** Share of the batch in the running statistics; default 0.1. */
  momentum?: number;
  /** Default 1e-5. */
  eps?: number;
  /** Of the input's shape, added to the result. */
  residual?: MaybeTensor;
  /** max(·, 0) of the result, the residual included; default false. */
  rectify?: boolean;
}

// libtorch's; on the CPU a loop of our own that does all of it at once (native/normalisation-operators.cc).
const normaliseBatch = operator<
  [Tensor, MaybeTensor, MaybeTensor, MaybeTensor, MaybeTensor, MaybeTensor, boolean, number, number, boolean],
  Tensor
>("stopgrad::batch_norm", "input weight bias running_mean running_var residual training momentum eps rectify");
/**
 * Batch normalisation of `[N, C, …]`; in training with the batch's statistics, which also move the running ones
 * (in place), else with the running ones. A residual sum and a rectifier that follow are taken in the same pass.
 * @throws TorchError in training when a channel has one value only: it has no variance
 */
export function batchNorm(input: Tensor, options: BatchNormOptions): Tensor {
  if (options.training && input.dim >= 2 && input.numel === input.size(1) && input.numel > 0) {
    throw new TorchError(
      `batchNorm: expected more than one value per channel when training, got input ${shapeOf(input)}`,
    );
  }
  return normaliseBatch(
    input,
    options.weight ?? null,
    options.bias ?? null,
    options.runningMean,
    options.runningVar,
    options.residual ?? null,
    options.training,
    options.momentum ?? 0.1,
    options.eps ?? 1e-5,
    options.rectify ?? false,
  );
}

const normaliseInstance = operator<
  [Tensor, MaybeTensor, MaybeTensor, MaybeTensor, MaybeTensor, boolean, number, number, boolean],
  Tensor
>("aten::instance_norm", "input weight bias running_mean running_var use_input_stats momentum eps cudnn_enabled");
/**
 * Each channel of each example for itself: `[N, C, …]`, weight and bias `[C]`.
 * @param options.useInputStatistics - false: the running ones, as batch norm in evaluation; default true
 * @throws TorchError when a channel of an example has one value only
 */
export function instanceNorm(
  input: Tensor,
  options: Partial<Omit<BatchNormOptions, "training">> & { useInputStatistics?: boolean } = {},
): Tensor {
  const { useInputStatistics = true } = options;
  if (useInputStatistics && input.dim >= 2 && input.shape.slice(2).every((size) => size === 1)) {
    throw new TorchError(`instanceNorm: expected more than one value per channel, got input ${shapeOf(input)}`);
  }
  return normaliseInstance(
    input,
    options.weight ?? null,
    options.bias ?? null,
    options.runningMean ?? null,
    options.runningVar ?? null,
    useInputStatistics,
    options.momentum ?? 0.1,
    options.eps ?? 1e-5,
    true,
  );
}

const normaliseLayer = operator<[Tensor, readonly number[], MaybeTensor, MaybeTensor, number], Tensor>(
  "aten::layer_norm",
  "input normalized_shape weight bias eps",
);
/** Over the last dimensions, those of `shape`: `[…, …shape]`, weight and bias of `shape`. @param options.eps - 1e-5 */
export function layerNorm(
  input: Tensor,
  shape: readonly number[],
  options: { weight?: MaybeTensor; bias?: MaybeTensor; eps?: number } = {},
): Tensor {
  return normaliseLayer(input, shape, options.weight ?? null, options.bias ?? null, options.eps ?? 1e-5);
}

const normaliseGroup = operator<[Tensor, number, MaybeTensor, MaybeTensor, number], Tensor>(
  "aten::group_norm",
  "input num_groups weight bias eps",
);
/** Over each of `groups` of channels of each example: `[N, C, …]`, weight and bias `[C]`. @param options.eps - 1e-5 */
export function groupNorm(
  input: Tensor,
  groups: number,
  options: { weight?: MaybeTensor; bias?: MaybeTensor; eps?: number } = {},
): Tensor {
  return normaliseGroup(input, groups, options.weight ?? null, options.bias ?? null, options.eps ?? 1e-5);
}

const vectorNorm = operator<[Tensor, number, readonly number[], boolean], Tensor>(
  "aten::linalg_vector_norm",
  "self ord dim keepdim",
);
const atLeast = operator<[Tensor, number], Tensor>("aten::clamp_min", "self min");
const divide = operator<[Tensor, Tensor], Tensor>("aten::div.Tensor", "self other");
/**
 * x / max(‖x‖ₚ, ε) along `dimension`: vectors of length 1.
 * @param options.p - default 2
 * @param options.dimension - default 1
 * @param options.eps - default 1e-12
 */
export function normalize(input: Tensor, options: { p?: number; dimension?: number; eps?: number } = {}): Tensor {
  return scope(() => {
    const length = vectorNorm(input, options.p ?? 2, [options.dimension ?? 1], true);
    return divide(input, atLeast(length, options.eps ?? 1e-12));
  });
}

const cosine = operator<[Tensor, Tensor, number, number], Tensor>("aten::cosine_similarity", "x1 x2 dim eps");
/** a · b / (‖a‖ ‖b‖) along `dimension` (default 1), in [−1, 1]. @param options.eps - least length, default 1e-8 */
export function cosineSimilarity(
  first: Tensor,
  second: Tensor,
  options: { dimension?: number; eps?: number } = {},
): Tensor {
  return cosine(first, second, options.dimension ?? 1, options.eps ?? 1e-8);
}
