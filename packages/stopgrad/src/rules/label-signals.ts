// The label stream of signal propagation (arXiv 2204.01723; arXiv 2402.09050, eqs. 17-18): one-hot labels are projected
// to the shape of the network's input and then run through the same stages as the images.
import { nn, relu, scope, type Tensor } from "@stopgrad/torch";
import { forwardThrough, type Stage } from "../models/index.js";
import { isBatchNorm } from "../models/running-statistics.js";
import type { RuleContext } from "./rule.js";

/** One-hot labels `[N, K]` → `[N, ...shape]`: linear without bias, layer norm, ReLU, as in the authors' library. */
export class LabelProjection extends nn.Module {
  readonly linear: nn.Linear;
  readonly norm: nn.LayerNorm;

  constructor(
    classes: number,
    readonly shape: readonly number[],
    generator: RuleContext["headGenerator"],
  ) {
    super();
    const size = shape.reduce((product, one) => product * one, 1);
    this.linear = new nn.Linear(classes, size, { bias: false, generator });
    this.norm = new nn.LayerNorm(size);
  }

  override forward(oneHot: Tensor): Tensor {
    return scope(() => relu(this.norm.forward(this.linear.forward(oneHot))).reshape([-1, ...this.shape]));
  }
}

/**
 * Runs signals through stages with batch norm over the signals themselves: images and labels are different
 * distributions. Running statistics, which evaluation uses, stay those of the images.
 */
export function withOwnStatistics<R>(stages: readonly Stage[], body: () => R): R {
  const norms = stages.flatMap((stage) => [...stage.modules()].filter(isBatchNorm));
  const before = norms.map((norm) => norm.training);
  for (const norm of norms) {
    norm.train();
    norm.movesStatistics = false;
  }
  try {
    return body();
  } finally {
    for (const [at, norm] of norms.entries()) {
      norm.train(before[at]!);
      norm.movesStatistics = true;
    }
  }
}

/** Signals through stages, as images go, with batch norm over the signals. */
export function sendThrough(stages: readonly Stage[], signals: Tensor): Tensor {
  return withOwnStatistics(stages, () => forwardThrough(stages, signals));
}
