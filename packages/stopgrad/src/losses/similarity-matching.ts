// Similarity matching: which images look alike to a module should be which images have the same label.
import { eq, fullLike, matmul, mseLoss, noGrad, norm, scope, type Tensor } from "@stopgrad/torch";
import { z } from "zod";
import type { LocalLoss, LocalLossInput } from "./local-loss.js";

/** Options of everything that matches similarities. */
export const similarityOptions = {
  /**
   * Similarity of the labels of two classes: `centred`, −1/(K − 1), the similarity of one-hot vectors (the papers), or
   * `onehot`, 0, their product (released code of arXiv 2402.09050).
   */
  target: z.enum(["centred", "onehot"]).default("centred"),
  /** Against rows of length 0: `norm`, length + 1e-8 (arXiv 1901.06656), or `root`, √(length² + 1e-12) (2402.09050). */
  safeguard: z.enum(["norm", "root"]).default("norm"),
};
const options = z.strictObject(similarityOptions);
export type SimilarityOptions = z.infer<typeof options>;

/**
 * (1/N²) Σ_ij (S(O)_ij − S(Y)_ij)², with S(O) the cosines of rows less their own mean, clamped to [−1, 1].
 *
 * A row of O is the standard deviation of each channel over its positions (divided by positions − 1) for maps of more
 * than 3 channels and more than one row of pixels; otherwise the flattened output. In [0, 4].
 *
 * A row whose entries are all equal is like no other, itself included: its similarities are 0, and it gets no gradient.
 * One feature alone always is such a row. Identical rows have similarity 1; a batch of one gives 0 (1 for such a row).
 */
export const similarityMatching: LocalLoss = {
  summary: "similarity matching: cosines of the features match those of the labels, pair by pair",
  source: "arXiv 1901.06656; arXiv 2402.09050, eqs. 15-16",
  options,
  classifies: false,
  heads: ["conv", "conv2", "none", "linear", "mlp"],
  outputs: "features",
  compute: (given, input) => similarityLoss(options.parse(given), input),
};

/** The loss itself, scalar. Time O(N² D), memory O(N D + N²). */
export function similarityLoss(
  { target, safeguard }: SimilarityOptions,
  { output, labels, classes }: Pick<LocalLossInput, "output" | "labels" | "classes">,
): Tensor {
  return scope(() => {
    const similar = similarities(rowsOf(output), safeguard);
    const wanted = noGrad(() => {
      const same = eq(labels.unsqueeze(0), labels.unsqueeze(1)); // [N, N]
      return fullLike(similar, target === "centred" ? -1 / (classes - 1) : 0).maskedFill_(same, 1);
    });
    return mseLoss(similar, wanted);
  });
}

/** `[N, …]` → `[N, C]` of channel deviations, or `[N, D]`. */
function rowsOf(output: Tensor): Tensor {
  const [count = 0, channels = 0, height = 1] = output.shape;
  if (output.dim === 4 && channels > 3 && height > 1)
    return deviations(output.reshape([count * channels, -1])).reshape([count, channels]);
  return output.reshape([count, -1]);
}

/** Standard deviation of each row, `[M, P]` → `[M]`: as `std` with P − 1, in two passes that are quicker than its one. */
function deviations(rows: Tensor): Tensor {
  const centred = rows.sub(rows.mean([1], { keepDim: true }));
  return norm(centred, [1]).mul(1 / Math.sqrt(rows.size(1) - 1));
}

/** S: rows `[N, D]` → `[N, N]`. */
function similarities(rows: Tensor, safeguard: SimilarityOptions["safeguard"]): Tensor {
  const centred = rows.sub(rows.mean([1], { keepDim: true }));
  const lengths = norm(centred, [1], { keepDim: true });
  const guarded = safeguard === "norm" ? lengths.add(1e-8) : lengths.square().add(1e-12).sqrt();
  const unit = centred.div(guarded.maskedFill(lengths.eq(0), Number.POSITIVE_INFINITY));
  return matmul(unit, unit.t()).clamp(-1, 1);
}
