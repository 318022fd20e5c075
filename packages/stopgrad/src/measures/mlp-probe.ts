// Separability by a small non-linear classifier: the accuracy of a two-layer network trained on a frozen representation.
// Beside the linear probe it tells classes that are there but not linearly so from classes that are not there.
import {
  cat,
  crossEntropy,
  enableGrad,
  Generator,
  nn,
  noGrad,
  optim,
  randperm,
  relu,
  scope,
  type Tensor,
} from "@stopgrad/torch";
import { z } from "zod";
import { MeasureError, type ProbeMeasure } from "./measure.js";
import { checkFeatures, reduceFeatures, scored, standardise } from "./probe-features.js";

const positive = z.int().positive();

const options = z.strictObject({
  at: z.literal("end").default("end"),
  /** Training images used, the first ones; null for all. */
  train: positive.nullable().default(10_000),
  /** Hidden units. */
  hidden: positive.default(512),
  /** Passes over the training samples. */
  epochs: positive.default(20),
  batch: positive.default(256),
  /** Adam's at the beginning; it falls to 0 along a cosine. */
  learningRate: z.number().positive().default(1e-3),
  /** Penalty (weightDecay / 2) ‖W‖² on the weights of both layers, not on the biases. */
  weightDecay: z.number().nonnegative().default(1e-4),
  /** Of the initial values and of the order of samples. */
  seed: z.int().nonnegative().default(0),
});

type Settings = z.infer<typeof options>;

/** Samples that are scored at a time. */
const SCORED_AT_ONCE = 1000;

/**
 * softmax(W₂ relu(W₁ x + b₁) + b₂) trained by Adam on the features of the linear probe: pooled by the same rule,
 * standardised with the training split.
 *
 * The budget is fixed, `epochs` passes in random order with a learning rate that falls to 0 along a cosine, rather than
 * stopped early on a held-out part: it is the same for every stage and method, all training samples are learnt from, and
 * the last weights, which are the ones scored, have settled. What it costs is that a few hundred samples are learnt by
 * heart; look at the test accuracy. Initial values (PyTorch's of linear layers) and the order come from `seed`.
 *
 * Accuracies in [0, 1]. The problem is not convex: the result is one network's, the better the longer it is trained, and
 * deterministic for a device and a number of threads. Time O(epochs · N D H), memory one copy of the features.
 * Source: Alain & Bengio, arXiv 1610.01644, with a hidden layer; Hewitt & Liang, arXiv 1909.03368, on why to keep it small
 * (protocol ours).
 */
export const mlpProbe: ProbeMeasure = {
  summary: "two-layer ReLU probe of each stage: training and test accuracy of a small network on the frozen features",
  source: "Alain & Bengio, arXiv 1610.01644; Hewitt & Liang, arXiv 1909.03368 (protocol ours)",
  options,
  kind: "probe",
  sampled: false,
  key: "mlpProbe",
  trainingImages: (given) => options.parse(given).train,
  reduce: reduceFeatures,

  fit(features, given, breathe) {
    const settings = options.parse(given);
    checkFeatures(features);
    return scope(() => {
      const standardised = standardise(features);
      const [train, test] = [standardised.train.to("float32"), standardised.test.to("float32")];
      const network = new Network(train, features.classes, settings);
      try {
        learn(network, train, features.trainLabels, settings, breathe);
        const ofTest = scored(predicted(network, test).eq(features.testLabels));
        const ofTrain = scored(predicted(network, train).eq(features.trainLabels));
        return { train: ofTrain.accuracy, test: ofTest.accuracy, testCorrect: ofTest.correct };
      } finally {
        network.dispose();
      }
    });
  },
};

class Network extends nn.Module {
  readonly first: nn.Linear;
  readonly second: nn.Linear;

  /** @param x - the features, whose width and device it takes */
  constructor(x: Tensor, classes: number, { hidden, seed }: Settings) {
    super();
    const generator = new Generator(seed);
    this.first = new nn.Linear(x.size(1), hidden, { generator });
    this.second = new nn.Linear(hidden, classes, { generator });
    this.to({ device: x.device });
  }

  /** `[N, D]` → logits `[N, K]`. */
  override forward(x: Tensor): Tensor {
    return scope(() => this.second.forward(relu(this.first.forward(x))));
  }
}

/** The whole of training. @throws MeasureError where it diverges */
function learn(network: Network, x: Tensor, labels: Tensor, settings: Settings, breathe?: () => void): void {
  const { epochs, batch, learningRate, seed } = settings;
  const optimizer = optimizerOf(network, settings);
  const generator = new Generator(seed);
  const count = x.size(0);
  const steps = Math.ceil(count / batch);
  try {
    for (let epoch = 0; epoch < epochs; epoch++) {
      breathe?.();
      scope(() => {
        const order = randperm(count, { generator }).toDevice(x.device);
        for (let step = 0; step < steps; step++) {
          optimizer.learningRate = 0.5 * learningRate * (1 + Math.cos((Math.PI * (epoch + step / steps)) / epochs));
          const chosen = order.narrow(0, step * batch, Math.min(batch, count - step * batch));
          const loss = learnFrom(network, optimizer, { x, labels, chosen });
          if (Number.isFinite(loss)) continue;
          const cure = `use a learningRate below ${learningRate}`;
          throw new MeasureError(`expected a finite cross-entropy in epoch ${epoch + 1}, got ${loss}; ${cure}`);
        }
      });
    }
  } finally {
    optimizer.dispose();
  }
}

/** Adam, which shrinks weights and not biases. */
function optimizerOf(network: Network, { learningRate, weightDecay }: Settings): optim.Adam {
  const parameters = network.parameters();
  const weights = { parameters: parameters.filter(({ dim }) => dim > 1), weightDecay };
  const biases = { parameters: parameters.filter(({ dim }) => dim === 1) };
  return new optim.Adam([weights, biases], { learningRate });
}

/** One step on the chosen samples. @returns the loss before it */
function learnFrom(
  network: Network,
  optimizer: optim.Adam,
  { x, labels, chosen }: Readonly<Record<"x" | "labels" | "chosen", Tensor>>,
): number {
  return enableGrad(() =>
    scope(() => {
      optimizer.zeroGrad();
      const loss = crossEntropy(network.forward(x.indexSelect(0, chosen)), labels.indexSelect(0, chosen));
      loss.backward();
      optimizer.step();
      return loss.item();
    }),
  );
}

/** The class with the largest score of each sample, int64 `[N]`. */
function predicted(network: Network, x: Tensor): Tensor {
  return noGrad(() =>
    scope(() =>
      cat(
        x.split(SCORED_AT_ONCE).map((rows) => scope(() => network.forward(rows).argmax(1))),
        0,
      ),
    ),
  );
}
