// What a linear classifier shows of I(Y;Z): its cross-entropy leaves the rest of the labels' entropy.
import {
  bincount,
  Generator,
  indexSelect,
  logSoftmax,
  matmul,
  noGrad,
  randperm,
  scope,
  type Tensor,
} from "@stopgrad/torch";
import { z } from "zod";
import { logisticRegression } from "../logistic-regression.js";
import { type Finding, MeasureError, type SampleMeasure } from "../measure.js";
import { probe } from "../probe.js";
import { meanOf } from "./pairs.js";
import { Classes, entropyOf, View } from "./views.js";

const options = z.strictObject({
  /** Part of the samples that is held out from training. */
  heldOut: z.number().min(0.1).max(0.9).default(0.3),
  /** Penalty (l2 / 2) ‖W‖². */
  l2: z.number().nonnegative().default(1e-4),
  /** Of the split. */
  seed: z.int().nonnegative().default(0),
});

const SMALLEST_SAMPLE = 4;

/**
 * A lower bound of the information that a representation has of the label, nats:
 *
 *   I(Y;Z) ≥ H(Y) − CE    CE = −⟨log q(y | z)⟩
 *
 * q is multinomial logistic regression, solved to convergence on the training part; CE and H(Y), the entropy of the labels'
 * frequencies, are of the samples held out. Features as the linear probe sees them: maps pooled to at most 2048, of tokens
 * the first, standardised by the training part; all that is a function of Z, so that the bound is one of I(Y;Z).
 *
 * Range: at most H(Y) ≤ log K; without a lower end: the classifier is worse than the labels' frequencies where it overfits
 * (as many features as samples), and the value is then reported as it is, below 0, though 0 is a bound as well. Bias:
 * downwards, by E[KL(p(y|z) ‖ q(y|z))]: information that is not linear in Z is not seen at all, so that a low value says
 * nothing of the representation but that a linear classifier reads so little from it. Terms: of each sample held out.
 * Cost: that of a linear probe, O(iterations · N · D · K), memory N · D. Source: arXiv 2402.09050, eqs. 8 and 24-29; the
 * bound: Barber & Agakov 2003.
 */
export const labelBound: SampleMeasure = {
  summary: "lower bound H(Y) − CE of I(Y;Z) by logistic regression, in nats; loose where the classes are not linear",
  source: "arXiv 2402.09050, eqs. 8 and 24-29; Barber & Agakov 2003",
  options,
  kind: "sample",
  sampled: false,
  needs: ["labels"],
  smallestSample: SMALLEST_SAMPLE,
  keys: [{ key: "labelBound", title: "H(Y) − CE of a linear classifier, a lower bound of I(Y;Z), nats" }],

  measure(sample, given) {
    const settings = options.parse(given);
    const { labels } = sample;
    if (labels === null) throw new MeasureError("label-bound: expected labels beside the representation, got none");
    return { labelBound: noGrad(() => scope(() => bound(sample.z, labels, settings))) };
  },
};

function bound(output: Tensor, labels: Tensor, { heldOut, l2, seed }: z.infer<typeof options>): Finding {
  const whole = new View("z", output);
  const y = new Classes(labels);
  if (y.count !== whole.count) {
    throw new MeasureError(`label-bound: expected labels of the ${whole.count} samples of z, got ${y.count}`);
  }
  if (y.count < SMALLEST_SAMPLE) {
    throw new MeasureError(`label-bound: expected at least ${SMALLEST_SAMPLE} samples, got ${y.count}`);
  }
  if (whole.isConstant) return { value: 0 };
  const features = seen(output);
  const { training, held } = split(y.count, heldOut, seed, output.device);
  const view = new View("z", indexSelect(features, 0, training));
  const { weight, bias } = logisticRegression(view.standard(view.rows), indexSelect(y.labels, 0, training), y.classes, {
    l2,
  });
  const heldLabels = indexSelect(y.labels, 0, held);
  const logits = matmul(view.standard(indexSelect(features, 0, held)), weight).add_(bias); // [M, K]
  const logOfOwn = logSoftmax(logits.to("float64"), 1).gather(1, heldLabels.unsqueeze(1)).select(1, 0); // [M]
  const entropy = entropyOf(bincount(heldLabels).toNumbers());
  return meanOf(Float64Array.from(logOfOwn.add(entropy).toNumbers()));
}

/** What a linear probe sees of an output `[N, …]`. */
function seen(output: Tensor): Tensor {
  return output.dim >= 2 && output.dim <= 4 ? probe.reduce(output) : output.reshape([output.size(0), -1]).to("float32");
}

/** Positions of both parts, int64; at least two samples in each. */
function split(count: number, heldOut: number, seed: number, device: string): { training: Tensor; held: Tensor } {
  const generator = new Generator(seed);
  const order = randperm(count, { generator }).to({ device });
  generator.dispose();
  const out = Math.min(Math.max(2, Math.round(count * heldOut)), count - 2);
  return { training: order.narrow(0, 0, count - out), held: order.narrow(0, count - out, out) };
}
