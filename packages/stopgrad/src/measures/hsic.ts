// The Hilbert-Schmidt independence criterion, not normalised.
import { mul, scope } from "@stopgrad/torch";
import { z } from "zod";
import { asRows, centre, labelGram, rbfGram } from "./kernels.js";
import type { PairMeasure } from "./measure.js";

const options = z.strictObject({
  sigma: z.number().positive().default(5),
  distance: z.enum(["squared", "plain"]).default("squared"),
  /** `biased` divides the trace by (N − 1)², `v-statistic` by N². */
  estimator: z.enum(["biased", "v-statistic"]).default("biased"),
});

/**
 * HSIC(X, Z) = tr(P G_X P G_Z) / (N − 1)², the biased estimate of ‖C_XZ‖² (Hilbert-Schmidt), at least 0, no unit.
 * Kernels as in `nhsic`. Time O(N² D), memory O(N D + N²). Source: Gretton et al. 2005; arXiv 2402.09050, eqs. 6-7.
 */
export const hsic: PairMeasure = {
  summary: "HSIC with the input and with the label (biased estimate), RBF kernel of width sigma √D",
  source: "Gretton et al. 2005; arXiv 2402.09050, eqs. 6-7",
  options,
  kind: "pair",
  smallestBatch: 2,

  factor(values, given) {
    const { sigma, distance } = options.parse(given);
    return scope(() => centre(rbfGram(asRows(values, 2), sigma, distance)));
  },

  labelFactor: (labels) => scope(() => centre(labelGram(labels))),

  combine(a, b, given) {
    const count = a.size(0);
    const divisor = options.parse(given).estimator === "biased" ? (count - 1) ** 2 : count ** 2;
    return scope(() => mul(a, b).sum().item()) / divisor;
  },
};
