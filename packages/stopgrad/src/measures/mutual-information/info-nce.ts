// InfoNCE: mutual information by a network that finds each sample's partner among those of a batch.
import { diagonal, logSoftmax, scope, type Tensor } from "@stopgrad/torch";
import { z } from "zod";
import type { SampleMeasure } from "../measure.js";
import { type CriticKind, criticOptions, fitCritic, halfHeldOut, SeparableCritic, SMALLEST_SAMPLE } from "./critic.js";
import { estimatePairs, meanOf, pairKeys } from "./pairs.js";

const options = z.strictObject(criticOptions);

/**
 * A lower bound of mutual information, nats, by a critic T(x, z) = f(x) · g(z) trained to find a sample's partner among
 * the B of its batch:
 *
 *   I(X;Z) ≥ E[ log( e^T(x_i, z_i) / (1/B) Σ_j e^T(x_i, z_j) ) ]    ≤ log B, whatever the truth
 *
 * f and g are networks of one hidden layer (labels as one-hot rows), trained with Adam; the value is that on samples held
 * out (see `critic.ts`), in batches of the same size, the incomplete last one left out. `infoNceCap` is log B of these
 * batches: an estimate near it says only that there is at least so much. A half held out with fewer than `batch` samples
 * is one smaller batch, with a lower cap.
 *
 * Range: about 0 at least, as an untrained critic finds 0; at most `infoNceCap`. Bias: downwards, by the cap (already from
 * about half of it on) and by what the critic has not learnt. Less noisy than MINE. Terms: of each sample held out.
 * Cost: `steps` batches, O(steps · batch · hidden · (D + hidden + batch)), memory of one batch. Source: van den Oord, Li &
 * Vinyals 2018, arXiv 1807.03748; critics: Poole et al. 2019, arXiv 1905.06922 (held-out value and stopping ours).
 */
export const infoNce: SampleMeasure = {
  summary: "lower bound of mutual information with input and labels by a contrastive critic (InfoNCE), in nats",
  source: "van den Oord, Li & Vinyals 2018, arXiv 1807.03748",
  options,
  kind: "sample",
  sampled: false,
  needs: [],
  smallestSample: SMALLEST_SAMPLE,
  keys: [
    ...pairKeys("infoNce", "InfoNCE, a lower bound"),
    { key: "infoNceCap", title: "most that InfoNCE can find: log of its batch, nats" },
  ],

  measure(sample, given) {
    const settings = options.parse(given);
    const estimate = (pair: Parameters<typeof fitCritic>[0]) => fitCritic(pair, settings, kindOf(settings.batch));
    const found = estimatePairs(
      {
        name: "infoNce",
        smallestSample: SMALLEST_SAMPLE,
        input: (x, z) => estimate({ x, z }),
        labels: (x, z) => estimate({ x, z }),
      },
      sample,
      settings.pairs,
    );
    const half = halfHeldOut(sample.z.size(0), settings.heldOut);
    return { ...found, infoNceCap: { value: Math.log(Math.min(settings.batch, half)) } };
  },
};

function kindOf(wanted: number): CriticKind<SeparableCritic> {
  return {
    create: (xFeatures, zFeatures, hidden, generator) => new SeparableCritic(xFeatures, zFeatures, hidden, generator),

    loss: (critic, x, z) => logOfPartner(critic.forward(x, z)).mean().neg(),

    value(critic, x, z) {
      const count = x.size(0);
      const batch = Math.min(wanted, count);
      const terms: number[] = [];
      for (let at = 0; at + batch <= count; at += batch) {
        scope(() => {
          const scores = critic.forward(x.narrow(0, at, batch), z.narrow(0, at, batch));
          terms.push(...logOfPartner(scores.to("float64")).add(Math.log(batch)).toNumbers());
        });
      }
      return meanOf(Float64Array.from(terms));
    },
  };
}

/** log of the share that a sample's own partner has among all: `[B, B]` → `[B]`, at most 0. */
function logOfPartner(scores: Tensor): Tensor {
  return diagonal(logSoftmax(scores, 1));
}
