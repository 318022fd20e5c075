// Signal propagation: labels travel through the same stages as the images, and at each module an image is to be like the
// signals that were like its own signal one module earlier. No auxiliary network, no gradient between modules.
import {
  argmax,
  crossEntropy,
  fullLike,
  logSoftmax,
  matmul,
  noGrad,
  oneHot,
  scope,
  softmax,
  sort,
  type Tensor,
  zerosLike,
} from "@stopgrad/torch";
import { z } from "zod";
import type { LocalLoss } from "./local-loss.js";

const options = z.strictObject({
  /**
   * T, from the similarities s of the signals that entered the module:
   * `hard`: 1 for the topK largest of each row, 0 elsewhere (a row sums to topK); `soft`: softmax of each row;
   * `max-all`: 1 for every entry as large as the row's largest; `max-random`: 1 for one of them, the first;
   * `label-direct`: no similarities, each image's class is the answer among the classes of the batch.
   */
  target: z.enum(["hard", "soft", "max-all", "max-random", "label-direct"]).default("hard"),
  /** Of `hard`; in a batch of fewer images, all of them. Equals: the first in the batch. */
  topK: z.int().positive().default(6),
});

/** What counts as equal in `max-all`, relative to a row's largest entry: a product's rounding depends on its place. */
const ROUNDING = 1e-5;

/**
 * −(1/N) Σ_ij T_ij log A_ij with A = row-softmax(Z Sᵀ), image i against signal j.
 *
 * A product of maps is taken over channels at each position and averaged over the positions (of tokens `[T, D]` likewise);
 * the same for the signals that entered, so that T is that of what the module saw. T is a constant; gradients go through
 * images and signals, which share the module's weights. At the entry signals are one-hot rows.
 *
 * `label-direct` is cross-entropy over the classes that are in the batch, a class's signal being the mean of its
 * signals. A batch of one image gives 0. `soft` is Σ KL(T_i ‖ A_i) / N up to a constant.
 */
export const signalPropagation: LocalLoss = {
  summary: "signal propagation: images are matched with labels that travel through the same stages (hard or soft)",
  source: "arXiv 2204.01723; arXiv 2402.09050, eqs. 17-18",
  options,
  classifies: false,
  heads: ["none"],
  outputs: "features",
  propagatesLabels: true,
  compute(given, { output, labels, classes, signals }) {
    const { target, topK } = options.parse(given);
    if (!signals) throw new Error("signal-propagation: expected the label signals of the module, got none");
    const { input: entered, output: left } = signals;
    if (left.shape.join() !== output.shape.join() || entered.size(0) !== output.size(0)) {
      throw new Error(
        `signal-propagation: expected a signal for each image, of the shape of the output [${output.shape.join(", ")}], ` +
          `got [${entered.shape.join(", ")}] before the module and [${left.shape.join(", ")}] after it`,
      );
    }
    return scope(() => {
      const products = similarity(output, left); // [N, N]
      if (target === "label-direct") return amongClasses(products, labels, classes);
      const wanted = noGrad(() => scope(() => targets(similarity(entered, entered), target, topK)));
      return logSoftmax(products, 1)
        .mul(wanted)
        .sum()
        .mul(-1 / output.size(0));
    });
  },
};

/** Inner products of all pairs, `[N, …]` and `[N, …]` → `[N, N]`: over channels, averaged over positions. */
function similarity(a: Tensor, b: Tensor): Tensor {
  const [count = 0, ...shape] = a.shape;
  const [first = 1, ...rest] = shape;
  const positions = shape.length === 2 ? first : rest.reduce((product, size) => product * size, 1);
  return matmul(a.reshape([count, -1]), b.reshape([count, -1]).t()).mul_(1 / positions);
}

/** T `[N, N]` of the similarities of the signals. */
function targets(similar: Tensor, target: "hard" | "soft" | "max-all" | "max-random", topK: number): Tensor {
  if (target === "soft") return softmax(similar, 1);
  if (target === "max-all") {
    const largest = similar.amax([1], { keepDim: true });
    const slack = similar.abs().amax([1], { keepDim: true }).mul_(ROUNDING);
    return similar.ge(largest.sub_(slack)).to(similar.dtype);
  }
  if (target === "max-random") return zerosLike(similar).scatter_(1, argmax(similar, 1, { keepDim: true }), 1);
  const count = similar.size(0);
  if (topK >= count) return fullLike(similar, 1);
  const [, order] = sort(similar, 1, { descending: true }); // stable: equals in the order of the batch
  return zerosLike(similar).scatter_(1, order.narrow(1, 0, topK), 1);
}

/** Cross-entropy of each image's class among those of the batch, by its product with the mean signal of a class. */
function amongClasses(products: Tensor, labels: Tensor, classes: number): Tensor {
  const { membership, absent } = noGrad(() => {
    const members = oneHot(labels, classes).to(products.dtype); // [N, K]
    const counts = members.sum([0], { keepDim: true }); // [1, K]
    return { membership: members.div_(counts.clamp(1)), absent: counts.eq(0) };
  });
  return crossEntropy(matmul(products, membership).maskedFill(absent, Number.NEGATIVE_INFINITY), labels);
}
