// MINE: mutual information by a network that tells pairs from shuffled pairs.
import { exp, logsumexp, mean, scope, sub, type Tensor } from "@stopgrad/torch";
import { z } from "zod";
import type { SampleMeasure } from "../measure.js";
import { type CriticKind, criticOptions, fitCritic, JointCritic, SMALLEST_SAMPLE } from "./critic.js";
import { estimatePairs, pairKeys } from "./pairs.js";

const options = z.strictObject({
  ...criticOptions,
  /** `nwj` has no bias on samples held out, and a larger variance. */
  bound: z.enum(["donsker-varadhan", "nwj"]).default("donsker-varadhan"),
  /** Share of a batch in the moving average of E[e^T], by which the gradient divides. 1: each batch by its own. */
  averageRate: z.number().positive().max(1).default(0.01),
});

/** Samples of the product a batch's sample is paired with in a step; more make the gradient less noisy. */
const SHIFTS_IN_TRAINING = 4;

/** Pairs of the product that a half held out is valued with, at least: its mean of e^T is the noise of the bound. */
const PAIRS_IN_VALUE = 32_768;

/**
 * Lower bounds of mutual information, nats, by a critic T trained to find the highest:
 *
 *   donsker-varadhan:  I(X;Z) ≥ E_p(x,z)[T] − log E_p(x)p(z)[e^T]
 *   nwj:               I(X;Z) ≥ E_p(x,z)[T] − E_p(x)p(z)[e^T] + 1
 *
 * T is a network of two hidden layers on x and z together (labels as one-hot rows), trained with Adam; the product is
 * sampled by pairing x with the z of other samples. A batch's own gradient of the logarithm is biased: its E[e^T] is
 * replaced by a moving average over batches. (Of nwj the gradient has no bias.) What is reported is the bound on samples
 * held out (see `critic.ts`), so that a critic which learnt its samples by heart does not raise it.
 *
 * Range: about 0 at least, as an untrained critic finds 0; no upper end, but the mean of e^T over P pairs of the product
 * (32,768 in each half) is no good for more than log P, about 10 nats: from about half of that on it is noisy, and where it
 * misses the rare pairs that count the bound comes out too high. Bias: downwards, by what the critic has not learnt in its steps and samples; it grows with
 * dimension and strength. Cost: `steps` batches through a small network, O(steps · batch · hidden · (D + hidden)), memory
 * of one batch. Source: Belghazi et al. 2018, arXiv 1801.04062 (held-out value and stopping ours); nwj: Nguyen,
 * Wainwright & Jordan, arXiv 0809.0853; limits: McAllester & Stratos, arXiv 1811.04251.
 */
export const mine: SampleMeasure = {
  summary: "lower bound of mutual information with input and labels by a trained critic (MINE), in nats",
  source: "Belghazi et al. 2018, arXiv 1801.04062",
  options,
  kind: "sample",
  sampled: false,
  needs: [],
  smallestSample: SMALLEST_SAMPLE,
  keys: pairKeys("mine", "MINE, a lower bound"),

  measure(sample, given) {
    const settings = options.parse(given);
    const estimate = (pair: Parameters<typeof fitCritic>[0]) => fitCritic(pair, settings, kindOf(settings));
    return estimatePairs(
      {
        name: "mine",
        smallestSample: SMALLEST_SAMPLE,
        input: (x, z) => estimate({ x, z }),
        labels: (x, z) => estimate({ x, z }),
      },
      sample,
      settings.pairs,
    );
  },
};

function kindOf({ bound, averageRate }: z.infer<typeof options>): CriticKind<JointCritic> {
  let average: number | null = null; // log of the moving average of E[e^T]
  const donskerVaradhan = bound === "donsker-varadhan";
  return {
    create: (xFeatures, zFeatures, hidden, generator) => new JointCritic(xFeatures, zFeatures, hidden, generator),

    loss(critic, x, z) {
      const { joint, product } = critic.withOthers(x, z, shiftsFor(x.size(0), SHIFTS_IN_TRAINING));
      const here = logMeanExp(product);
      if (!donskerVaradhan) return sub(exp(here), mean(joint));
      average = average === null ? here.item() : mixed(average, here.item(), averageRate);
      // Not the bound, but its gradient: that of e^here / e^average with the average held fixed.
      return sub(exp(sub(here, average)), mean(joint));
    },

    value: (critic, x, z) =>
      scope(() => {
        const shifts = shiftsFor(x.size(0), Math.ceil(PAIRS_IN_VALUE / x.size(0)));
        const { joint, product } = critic.withOthers(x, z, shifts);
        const here = logMeanExp(product.to("float64")).item();
        const value = mean(joint.to("float64")).item() - (donskerVaradhan ? here : Math.exp(here) - 1);
        return { value };
      }),
  };
}

/** Different numbers of places by which z is moved against x, none of them back to its own. */
function shiftsFor(count: number, wanted: number): number[] {
  return Array.from({ length: Math.min(wanted, count - 1) }, (_, at) => at + 1);
}

/** log of the mean of e^T. */
function logMeanExp(scores: Tensor): Tensor {
  return sub(logsumexp(scores), Math.log(scores.numel));
}

/** log((1 − r) e^a + r e^b). */
function mixed(a: number, b: number, rate: number): number {
  const highest = Math.max(a, b);
  return highest + Math.log((1 - rate) * Math.exp(a - highest) + rate * Math.exp(b - highest));
}
