// The contrastive objective behind `supervised-contrastive` and `simclr`: a row of features is to be told from all other
// rows by its positives, the rows of its own group. SupCon's "outside" form (arXiv 2004.11362), mean over each anchor's
// own positives.
import { arange, eq, eye, matmul, noGrad, norm, scope, type Tensor } from "@stopgrad/torch";
import { pooled } from "../heads/pooling.js";

/** Rows shorter than this have no direction: they count as zeros. */
const SHORTEST = 1e-12;

/**
 * Mean over the M rows, anchor by anchor, of
 *
 *   −scale / |P(i)| Σ_{p ∈ P(i)} log [ exp(uᵢ·u_p / τ) / Σ_{a ≠ i} exp(uᵢ·u_a / τ) ]    u = o / ‖o‖
 *
 * P(i) are the other rows of i's group. An anchor without positives contributes 0 and counts in the mean; M = 1 gives 0.
 * A row of zeros has no direction: its products are 0, and it gets no gradient.
 *
 * @param output - `[M, …]`; maps are pooled by the heads' rule and flattened, of tokens the class token is taken
 * @param groups - int64 `[M]`: the same number for rows that are each other's positives
 * @param temperature - τ, above 0
 * @returns scalar, at least 0, in nats times `scale`. Time O(M² D), memory O(M D + M²)
 */
export function contrast(output: Tensor, groups: Tensor, temperature: number, scale: number): Tensor {
  return scope(() => {
    const { layers } = pooled(output.shape.slice(1));
    const rows = layers.reduce((value, layer) => layer.forward(value), output); // [M, D]
    const count = rows.size(0);
    if (count < 2) return rows.mul(0).sum();
    const lengths = norm(rows, [1], { keepDim: true });
    const unit = rows.div(lengths.maskedFill(lengths.le(SHORTEST), Number.POSITIVE_INFINITY));
    const logits = matmul(unit, unit.t()).mul_(1 / temperature); // [M, M]
    const { itself, share, counted } = noGrad(() => positives(groups, logits));
    // Σ over positives of log softmax without the row itself; logsumexp subtracts the row's maximum.
    const normaliser = logits.maskedFill(itself, Number.NEGATIVE_INFINITY).logsumexp([1]); // [M]
    return normaliser
      .mul(counted)
      .sum()
      .sub(logits.mul(share).sum())
      .mul(scale / count);
  });
}

/**
 * What each anchor looks at: `share` `[M, M]`, 1 / |P(i)| at i's positives and 0 elsewhere; `counted` `[M]`, 1 for
 * anchors with a positive, else 0; `itself` bool `[M, M]`, the diagonal.
 */
function positives(groups: Tensor, logits: Tensor) {
  const { dtype, device } = logits;
  const identity = eye(groups.size(0), { dtype, device });
  const share = eq(groups.unsqueeze(0), groups.unsqueeze(1)).to(dtype).sub_(identity);
  const counts = share.sum([1]); // [M]
  share.div_(counts.clamp(1).unsqueeze(1));
  return { itself: identity.gt(0), share, counted: counts.clamp_(null, 1) };
}

/** The labels of V views, view by view: `[N]` → `[V·N]`. @throws Error naming `loss` when the rows are not V·N */
export function repeated(loss: string, output: Tensor, labels: Tensor, views: number): Tensor {
  const count = labels.size(0);
  if (output.size(0) !== views * count) {
    throw new Error(
      `${loss}: expected ${views} views of ${count} images, ${views * count} rows, got [${output.shape.join(", ")}]`,
    );
  }
  return views === 1 ? labels : labels.repeat([views]);
}

/** The image that each of V·N rows shows, view by view: 0 to N − 1, V times. */
export function imageOf(count: number, views: number, device: string): Tensor {
  return arange(0, count, { device }).repeat([views]);
}
