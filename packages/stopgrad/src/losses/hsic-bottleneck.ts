// The HSIC bottleneck: a layer is to depend on the label and on as little else of the input as it can.
import { noGrad, oneHot, scope } from "@stopgrad/torch";
import { z } from "zod";
import { nhsic } from "../measures/nhsic.js";
import { nhsicTerm } from "../measures/nhsic-gradient.js";
import type { LocalLoss } from "./local-loss.js";

const options = z.strictObject({
  /** Weight of the dependence on the label; in the source 50 for the MLP, 200 and 500 for convolutional networks. */
  beta: z.number().nonnegative().default(50),
  /** Weight of the dependence on the input. */
  inputWeight: z.number().nonnegative().default(1),
  /** Width factor s: the kernels' σ is s √D. */
  sigma: z.number().positive().default(5),
  /** Ridge, per sample. */
  epsilon: z.number().positive().default(1e-5),
  /** In the exponent: ‖u − v‖², or ‖u − v‖ as in the released code of arXiv 2402.09050. */
  distance: z.enum(["squared", "plain"]).default("squared"),
  /** Of the one-hot labels: `rbf` of the same width factor, as in the source, or `linear`. */
  labelKernel: z.enum(["rbf", "linear"]).default("rbf"),
});

/**
 * inputWeight · nHSIC(Z, X) − beta · nHSIC(Z, Y), of the module's output with the network's input and the labels; nHSIC
 * as the measure of that name defines it. In [−beta (N − 1), inputWeight (N − 1)].
 *
 * Both terms are one: nHSIC is linear in the factor of the other side. A batch of one gives 0, constant features too.
 * @throws MeasureError for images that are not finite, an epsilon too small for float64; NaN for features that are not
 */
export const hsicBottleneck: LocalLoss = {
  summary: "HSIC bottleneck: little normalised HSIC with the input, much with the label",
  source: "arXiv 1908.01580",
  options,
  classifies: false,
  recordable: false,
  heads: ["none"],
  outputs: "features",
  compute(given, { output, images, labels, classes }) {
    const { beta, inputWeight, sigma, epsilon, distance, labelKernel } = options.parse(given);
    const kernel = { sigma, epsilon, distance };
    if (output.size(0) < 2) return scope(() => output.mul(0).sum());
    return scope(() => {
      const other = noGrad(() =>
        scope(() => {
          const ofLabels =
            labelKernel === "rbf" ? nhsic.factor(oneHot(labels, classes), kernel) : nhsic.labelFactor(labels, kernel);
          const weighted = ofLabels.mul_(-beta); // [N, N]
          return inputWeight === 0 ? weighted : weighted.add_(nhsic.factor(images, kernel), inputWeight);
        }),
      );
      return nhsicTerm(output, other, kernel);
    });
  },
};
