// The Hilbert-Schmidt independence criterion, not normalised.
import { mul, scope, type Tensor } from "@stopgrad/torch";
import { z } from "zod";
import {
  asSamples,
  centre,
  gramMatrix,
  kernelOptions,
  labelGram,
  largest,
  requireSquarable,
  uCentre,
  unusedKernelOption,
} from "./kernels.js";
import { type PairMeasure, parsedOptions } from "./measure.js";

const options = z.strictObject({
  ...kernelOptions,
  /** `biased` divides the trace by (m − 1)², `v-statistic` by m²; `unbiased` leaves the diagonals out. */
  estimator: z.enum(["biased", "v-statistic", "unbiased"]).default("biased"),
});

export type HsicEstimator = z.output<typeof options>["estimator"];

/**
 * HSIC(X, Z) = ‖C_XZ‖² (Hilbert-Schmidt), no unit, from m samples:
 *
 *   biased       tr(P G_X P G_Z) / (m − 1)², at least 0, too large by O(1/m)
 *   v-statistic  the same over m²
 *   unbiased     Σ_{i≠j} U_ij V_ij / (m (m − 3)) of the U-centred matrices (Song et al. 2012): its mean over samples is
 *                HSIC, so that it is negative now and then where X and Z are independent, and the mean over mini-batches
 *                has no bias either; at least 4 samples
 *
 * Kernels and widths as in kernels.ts, labels by the linear kernel on one-hot vectors. A constant gives 0.
 * Time O(m² D), memory O(m D + m²). Source: Gretton et al. 2005; Song et al. 2012; arXiv 2402.09050, eqs. 6-7.
 */
export const hsic: PairMeasure = {
  summary: "HSIC with the input and with the label, biased or unbiased, RBF kernel of width sigma √D",
  source: "Gretton et al. 2005; Song et al. 2012; arXiv 2402.09050, eqs. 6-7",
  options,
  kind: "pair",
  smallestBatch: 2,

  refused(given, { images }) {
    const { estimator, ...kernel } = parsedOptions(options, given);
    const few = estimator === "unbiased" && images !== null && images < 4;
    if (!few) return unusedKernelOption(kernel);
    return { option: "estimator", message: `unbiased needs at least 4 images a batch, got ${images}` };
  },

  factor(values, given) {
    const { estimator, ...kernel } = parsedOptions(options, given);
    return scope(() => centredFor(estimator, gramMatrix(asSamples(values, 2), kernel)));
  },

  labelFactor(labels, given) {
    const { estimator } = parsedOptions(options, given);
    return scope(() => centredFor(estimator, labelGram(labels)));
  },

  combine(a, b, given) {
    return scope(() => mul(a, b).sum().item()) / hsicDivisor(parsedOptions(options, given).estimator, a.size(0));
  },
};

/**
 * A Gram matrix `[m, m]`, so that a sum of products of two gives the estimate.
 * @throws MeasureError for too few samples, or numbers whose products float64 does not hold
 */
export function centredFor(estimator: HsicEstimator, gram: Tensor): Tensor {
  requireSquarable(largest(gram));
  return estimator === "unbiased" ? uCentre(gram) : centre(gram);
}

/** What the sum of products is divided by. */
export function hsicDivisor(estimator: HsicEstimator, count: number): number {
  if (estimator === "unbiased") return count * (count - 3);
  return estimator === "biased" ? (count - 1) ** 2 : count ** 2;
}
