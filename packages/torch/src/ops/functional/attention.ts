// Attention by its definition, from matrix products and a softmax, which every libtorch has.
import { TorchError } from "../../errors.js";
import { operator } from "../../operator.js";
import type { Generator } from "../../random.js";
import { scope } from "../../scope.js";
import type { Tensor } from "../../tensor.js";
import { add, matmul, mul } from "../arithmetic.js";
import { ones } from "../creation.js";
import { transpose } from "../shape.js";
import { softmax } from "./activations.js";
import { dropout } from "./dropout.js";
import { shapeOf } from "./sizes.js";

/** Mask, dropout and scale of attention. */
export interface AttentionOptions {
  /**
   * Broadcast to `[…, L, S]`: bool with true where a key may be seen (as PyTorch's function; its layer has it the
   * other way round), or numbers that are added to the scores.
   */
  mask?: Tensor | null;
  /** Position i sees keys up to i only; not beside a mask. Default false. */
  isCausal?: boolean;
  /** Of the weights; default 0. */
  dropout?: number;
  /** Where dropout's mask comes from; default: the process-wide generator. */
  generator?: Generator;
  /** Factor of the scores; default 1 / √D. */
  scale?: number;
}

const lowerTriangle = operator<[Tensor], Tensor>("aten::tril", "self");
const fillWhere = operator<[Tensor, Tensor, number], Tensor>("aten::masked_fill.Scalar", "self mask value");
const not = operator<[Tensor], Tensor>("aten::logical_not", "self");

/**
 * softmax(q kᵀ · scale + mask) v: query `[…, L, D]`, key `[…, S, D]`, value `[…, S, E]` → output `[…, L, E]` and
 * weights `[…, L, S]`, whose rows sum to 1 before dropout. A row whose keys are all masked is NaN.
 */
export function attentionWithWeights(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options: AttentionOptions = {},
): { output: Tensor; weights: Tensor } {
  const { mask = null, isCausal = false } = options;
  if (query.dim < 2 || key.dim < 2 || value.dim < 2) {
    const got = [query, key, value].map(shapeOf).join(", ");
    throw new TorchError(`attention: expected query [..., L, D], key [..., S, D] and value [..., S, E], got ${got}`);
  }
  if (query.size(-1) !== key.size(-1) || key.size(-2) !== value.size(-2)) {
    throw new TorchError(
      `attention: expected query and key of one last size, key and value of one length, got ${shapeOf(query)}, ` +
        `${shapeOf(key)} and ${shapeOf(value)}`,
    );
  }
  if (mask && isCausal) throw new TorchError("attention: expected either a mask or isCausal, got both");
  return scope(() => {
    const scaled = mul(query, options.scale ?? 1 / Math.sqrt(query.size(-1)));
    let scores = matmul(scaled, transpose(key, -2, -1)); // […, L, S]
    const seen = isCausal
      ? lowerTriangle(ones([query.size(-2), key.size(-2)], { dtype: "bool", device: query.device }))
      : mask;
    if (seen?.dtype === "bool") scores = fillWhere(scores, not(seen), Number.NEGATIVE_INFINITY);
    else if (seen) scores = add(scores, seen);
    const { generator } = options;
    const weights = dropout(softmax(scores, -1), { p: options.dropout ?? 0, ...(generator ? { generator } : {}) });
    return { output: matmul(weights, value), weights };
  });
}

/** softmax(q kᵀ · scale + mask) v, as `torch.nn.functional.scaled_dot_product_attention`; see `attentionWithWeights`. */
export function scaledDotProductAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options: AttentionOptions = {},
): Tensor {
  const { output, weights } = attentionWithWeights(query, key, value, options);
  weights.dispose();
  return output;
}
