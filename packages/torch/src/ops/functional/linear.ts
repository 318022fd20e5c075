// Linear and bilinear maps, and embedding: rows of a table.
import { operator } from "../../operator.js";
import type { Tensor } from "../../tensor.js";

const linearMap = operator<[Tensor, Tensor, Tensor | null], Tensor>("aten::linear", "input weight bias");
/** `x Wᵀ + b`: input `[…, in]`, weight `[out, in]`, bias `[out]` → `[…, out]`. */
export function linear(input: Tensor, weight: Tensor, bias: Tensor | null = null): Tensor {
  return linearMap(input, weight, bias);
}

const bilinearMap = operator<[Tensor, Tensor, Tensor, Tensor | null], Tensor>(
  "aten::bilinear",
  "input1 input2 weight bias",
);
/** `aᵀ W_k b + bias_k`: first `[…, A]`, second `[…, B]`, weight `[out, A, B]`, bias `[out]` → `[…, out]`. */
export function bilinear(first: Tensor, second: Tensor, weight: Tensor, bias: Tensor | null = null): Tensor {
  return bilinearMap(first, second, weight, bias);
}

const rowsOf = operator<[Tensor, Tensor, number, boolean], Tensor>(
  "aten::embedding",
  "weight indices padding_idx scale_grad_by_freq",
);
/**
 * Row `indices[i]` of `weight`: indices int64 or int32 `[…]`, weight `[V, D]` → `[…, D]`.
 * @param options.paddingIndex - a row that gets no gradient; from the end when negative; default none
 * @param options.scaleGradByFrequency - divide a row's gradient by how often it was taken; default false
 * @throws TorchError for an index outside 0 to V − 1
 */
export function embedding(
  indices: Tensor,
  weight: Tensor,
  options: { paddingIndex?: number | null; scaleGradByFrequency?: boolean } = {},
): Tensor {
  const { paddingIndex = null } = options;
  const row = paddingIndex === null ? -1 : paddingIndex < 0 ? weight.size(0) + paddingIndex : paddingIndex;
  return rowsOf(weight, indices, row, options.scaleGradByFrequency ?? false);
}
