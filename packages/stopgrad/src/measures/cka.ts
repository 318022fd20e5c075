// Centred kernel alignment: HSIC as a correlation, so that representations of any scale and width compare.
import { mul, scope, type Tensor } from "@stopgrad/torch";
import { z } from "zod";
import { centredFor, hsicDivisor } from "./hsic.js";
import { asSamples, gramMatrix, kernelOptions, labelGram, unusedKernelOption } from "./kernels.js";
import { MeasureError, type PairMeasure, parsedOptions } from "./measure.js";

const options = z.strictObject({
  ...kernelOptions,
  kernel: kernelOptions.kernel.default("linear"),
  /** Of the three HSICs: `unbiased` is the debiased CKA. */
  estimator: z.enum(["unbiased", "biased"]).default("unbiased"),
});

/**
 * CKA(X, Z) = HSIC(X, Z) / √(HSIC(X, X) HSIC(Z, Z)), a similarity, no unit: 1 where the centred Gram matrices agree but
 * for a factor, in [0, 1] for the biased HSICs. With the unbiased ones it is around 0 for independent X and Z, and can be
 * slightly negative; it is shown as it is. With fewer samples than features the biased one is near 1 for any X and Z.
 *
 * Several batches: the three HSICs are averaged over them, then the ratio is taken (Nguyen et al. 2021); the mean of
 * ratios would keep their bias. The standard error is the jackknife's over batches.
 *
 * Linear by default: not changed by a rotation or a scaling of X or Z. An RBF kernel is usually taken with `width: median`
 * and a `sigma` near 1, and is scale-free only then. Labels by the linear kernel on one-hot vectors.
 *
 * Undefined where X or Z is constant (in every batch), and for the unbiased HSICs, which are then 0, where it is constant but
 * for one sample: a MeasureError. Time O(m² D), memory O(m D + m²).
 * Source: Kornblith et al. 2019 (arXiv 1905.00414); Cortes et al. 2012; minibatches: Nguyen et al. 2021
 * (arXiv 2010.15327).
 */
export const cka: PairMeasure = {
  summary: "centred kernel alignment with the input and with the label, linear or RBF, debiased",
  source: "arXiv 1905.00414; arXiv 2010.15327",
  options,
  kind: "pair",
  smallestBatch: 4,

  refused: (given) => unusedKernelOption(parsedOptions(options, given)),

  factor(values, given) {
    const { estimator, ...kernel } = parsedOptions(options, given);
    return scope(() => centredFor(estimator, gramMatrix(asSamples(values, 4), kernel)));
  },

  labelFactor(labels, given) {
    const { estimator } = parsedOptions(options, given);
    return scope(() => centredFor(estimator, labelGram(labels)));
  },

  combine: (a, b, given) => alignment(hsics(a, b, given)),

  pooled: { terms: hsics, value: alignment },
};

/** HSIC(X, Z), HSIC(X, X) and HSIC(Z, Z). */
function hsics(a: Tensor, b: Tensor, given: Readonly<Record<string, unknown>>): number[] {
  const divisor = hsicDivisor(parsedOptions(options, given).estimator, a.size(0));
  const product = (first: Tensor, second: Tensor) => scope(() => mul(first, second).sum().item()) / divisor;
  return [product(a, b), product(a, a), product(b, b)];
}

/** @throws MeasureError where one of the two does not vary */
export function alignment([
  between = Number.NaN,
  ofFirst = Number.NaN,
  ofSecond = Number.NaN,
]: readonly number[]): number {
  if (ofFirst <= 0 || ofSecond <= 0) {
    const which = ofFirst <= 0 ? "first array (the input or the label)" : "representation";
    throw new MeasureError(
      `CKA is undefined: expected samples that differ, got a constant ${which}, or one that is constant but for a sample`,
    );
  }
  // Roots one by one: the product of two small numbers may be 0.
  return between / Math.sqrt(ofFirst) / Math.sqrt(ofSecond);
}
