// Losses: a scalar, or each element's without reduction. Predictions come first, then what is right.
//
// Where PyTorch would broadcast predictions against targets of another shape with a warning, these refuse: the result
// is a number, and a wrong one.
import { TorchError } from "../../errors.js";
import { operator } from "../../operator.js";
import { scope } from "../../scope.js";
import type { Tensor } from "../../tensor.js";
import { type Reduction, reductionCode, sameShape } from "./sizes.js";

/** How the losses of the elements are put together. */
export interface LossOptions {
  /** Default `mean`. */
  reduction?: Reduction;
}

/** Weights of the classes and a label that does not count. */
export interface ClassLossOptions extends LossOptions {
  /** A factor for each class, `[K]`; the mean is then weighted too. */
  weight?: Tensor | null;
  /** Examples with this label do not count; default −100. */
  ignoreIndex?: number;
}

const crossEntropyOf = operator<[Tensor, Tensor, Tensor | null, number, number, number], Tensor>(
  "aten::cross_entropy_loss",
  "self target weight reduction ignore_index label_smoothing",
);
/**
 * −log softmax(logits)[target]: logits `[N, K, …]`, target int64 `[N, …]` or probabilities `[N, K, …]` → scalar, or
 * `[N, …]` without reduction.
 * @param options.labelSmoothing - share of the target that is spread over all classes, in [0, 1]; default 0
 */
export function crossEntropy(
  logits: Tensor,
  target: Tensor,
  options: ClassLossOptions & { labelSmoothing?: number } = {},
): Tensor {
  const { reduction = "mean", labelSmoothing = 0 } = options;
  const code = reductionCode("crossEntropy", reduction);
  if (labelSmoothing < 0 || labelSmoothing > 1) {
    throw new TorchError(`crossEntropy: expected labelSmoothing in [0, 1], got ${labelSmoothing}`);
  }
  return crossEntropyOf(logits, target, options.weight ?? null, code, options.ignoreIndex ?? -100, labelSmoothing);
}

const nllOf = operator<[Tensor, Tensor, Tensor | null, number, number], Tensor>(
  "aten::nll_loss_nd",
  "self target weight reduction ignore_index",
);
/** −logProbabilities[target]: log probabilities `[N, K, …]`, target int64 `[N, …]`; see `crossEntropy`. */
export function nllLoss(logProbabilities: Tensor, target: Tensor, options: ClassLossOptions = {}): Tensor {
  const code = reductionCode("nllLoss", options.reduction ?? "mean");
  return nllOf(logProbabilities, target, options.weight ?? null, code, options.ignoreIndex ?? -100);
}

type Pairwise = (self: Tensor, target: Tensor, reduction: number) => Tensor;
const mseOf: Pairwise = operator("aten::mse_loss", "self target reduction");
const l1Of: Pairwise = operator("aten::l1_loss", "self target reduction");
const smoothL1Of = operator<[Tensor, Tensor, number, number], Tensor>(
  "aten::smooth_l1_loss",
  "self target reduction beta",
);
const huberOf = operator<[Tensor, Tensor, number, number], Tensor>("aten::huber_loss", "self target reduction delta");

function pairwise(where: string, input: Tensor, target: Tensor, options: LossOptions, least?: [string, number]) {
  const code = reductionCode(where, options.reduction ?? "mean");
  sameShape(where, input, target, ["input", "target"]);
  if (least && !(least[1] > 0)) throw new TorchError(`${where}: expected ${least[0]} above 0, got ${least[1]}`);
  return code;
}

/** (x − y)². */
export function mseLoss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  return mseOf(input, target, pairwise("mseLoss", input, target, options));
}

/** |x − y|. */
export function l1Loss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  return l1Of(input, target, pairwise("l1Loss", input, target, options));
}

/** (x − y)² / 2β where |x − y| is below `beta` (default 1), else |x − y| − β / 2. */
export function smoothL1Loss(input: Tensor, target: Tensor, options: LossOptions & { beta?: number } = {}): Tensor {
  const { beta = 1 } = options;
  return smoothL1Of(input, target, pairwise("smoothL1Loss", input, target, options, ["beta", beta]), beta);
}

/** (x − y)² / 2 where |x − y| is up to `delta` (default 1), else δ (|x − y| − δ / 2). */
export function huberLoss(input: Tensor, target: Tensor, options: LossOptions & { delta?: number } = {}): Tensor {
  const { delta = 1 } = options;
  return huberOf(input, target, pairwise("huberLoss", input, target, options, ["delta", delta]), delta);
}

const bceOf = operator<[Tensor, Tensor, Tensor | null, number], Tensor>(
  "aten::binary_cross_entropy",
  "self target weight reduction",
);
/** −y log p − (1 − y) log(1 − p): probabilities in [0, 1] and targets of one shape. @param options.weight - broadcast */
export function bceLoss(
  probabilities: Tensor,
  target: Tensor,
  options: LossOptions & { weight?: Tensor | null } = {},
): Tensor {
  const code = pairwise("bceLoss", probabilities, target, options);
  return bceOf(probabilities, target, options.weight ?? null, code);
}

const bceLogitsOf = operator<[Tensor, Tensor, Tensor | null, Tensor | null, number], Tensor>(
  "aten::binary_cross_entropy_with_logits",
  "self target weight pos_weight reduction",
);
/**
 * Binary cross-entropy of σ(logits), computed stably; logits and targets of one shape.
 * @param options.weight - a factor for each element, broadcast
 * @param options.posWeight - a factor for targets of 1, broadcast
 */
export function bceWithLogits(
  logits: Tensor,
  target: Tensor,
  options: LossOptions & { weight?: Tensor | null; posWeight?: Tensor | null } = {},
): Tensor {
  const code = pairwise("bceWithLogits", logits, target, options);
  return bceLogitsOf(logits, target, options.weight ?? null, options.posWeight ?? null, code);
}

const klOf = operator<[Tensor, Tensor, number, boolean], Tensor>("aten::kl_div", "self target reduction log_target");
const divideBy = operator<[Tensor, number], Tensor>("aten::div.Scalar", "self other");
/**
 * y (log y − x): x log probabilities, y probabilities, of one shape.
 * @param options.reduction - `batchmean` divides the sum by N, which is the divergence; `mean` (the default, as in
 *   PyTorch) divides by the number of elements, which is not
 * @param options.logTarget - the target is log y; default false
 */
export function klDiv(
  input: Tensor,
  target: Tensor,
  options: { reduction?: Reduction | "batchmean"; logTarget?: boolean } = {},
): Tensor {
  const { reduction = "mean", logTarget = false } = options;
  sameShape("klDiv", input, target, ["input", "target"]);
  if (reduction !== "batchmean") return klOf(input, target, reductionCode("klDiv", reduction), logTarget);
  return scope(() => divideBy(klOf(input, target, reductionCode("klDiv", "sum"), logTarget), input.size(0)));
}

const cosineEmbeddingOf = operator<[Tensor, Tensor, Tensor, number, number], Tensor>(
  "aten::cosine_embedding_loss",
  "input1 input2 target margin reduction",
);
/** 1 − cos(a, b) where the target is 1, max(0, cos(a, b) − margin) where it is −1: `[N, D]`, `[N, D]`, target `[N]`. */
export function cosineEmbeddingLoss(
  first: Tensor,
  second: Tensor,
  target: Tensor,
  options: LossOptions & { margin?: number } = {},
): Tensor {
  const code = reductionCode("cosineEmbeddingLoss", options.reduction ?? "mean");
  sameShape("cosineEmbeddingLoss", first, second, ["first", "second"]);
  return cosineEmbeddingOf(first, second, target, options.margin ?? 0, code);
}

const rankingOf = operator<[Tensor, Tensor, Tensor, number, number], Tensor>(
  "aten::margin_ranking_loss",
  "input1 input2 target margin reduction",
);
/** max(0, −target (a − b) + margin): of one shape, target 1 where a should be larger, else −1. @param options.margin - 0 */
export function marginRankingLoss(
  first: Tensor,
  second: Tensor,
  target: Tensor,
  options: LossOptions & { margin?: number } = {},
): Tensor {
  const code = reductionCode("marginRankingLoss", options.reduction ?? "mean");
  sameShape("marginRankingLoss", first, second, ["first", "second"]);
  sameShape("marginRankingLoss", first, target, ["first", "target"]);
  return rankingOf(first, second, target, options.margin ?? 0, code);
}

const hingeOf = operator<[Tensor, Tensor, number, number], Tensor>(
  "aten::hinge_embedding_loss",
  "self target margin reduction",
);
/** x where the target is 1, max(0, margin − x) where it is −1. @param options.margin - default 1 */
export function hingeEmbeddingLoss(
  input: Tensor,
  target: Tensor,
  options: LossOptions & { margin?: number } = {},
): Tensor {
  return hingeOf(input, target, options.margin ?? 1, pairwise("hingeEmbeddingLoss", input, target, options));
}

const tripletOf = operator<[Tensor, Tensor, Tensor, number, number, number, boolean, number], Tensor>(
  "aten::triplet_margin_loss",
  "anchor positive negative margin p eps swap reduction",
);
/**
 * max(0, ‖anchor − positive‖ₚ − ‖anchor − negative‖ₚ + margin): `[N, D]` each → scalar, or `[N]` without reduction.
 * @param options.margin - default 1
 * @param options.p - default 2
 * @param options.eps - added to each difference, default 1e-6
 * @param options.swap - take the distance from positive to negative where that is smaller; default false
 */
export function tripletMarginLoss(
  anchor: Tensor,
  positive: Tensor,
  negative: Tensor,
  options: LossOptions & { margin?: number; p?: number; eps?: number; swap?: boolean } = {},
): Tensor {
  const code = reductionCode("tripletMarginLoss", options.reduction ?? "mean");
  sameShape("tripletMarginLoss", anchor, positive, ["anchor", "positive"]);
  sameShape("tripletMarginLoss", anchor, negative, ["anchor", "negative"]);
  const { margin = 1, p = 2, eps = 1e-6, swap = false } = options;
  return tripletOf(anchor, positive, negative, margin, p, eps, swap, code);
}
