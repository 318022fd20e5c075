// Dropout as layers, with a generator of their own where masks must be saved and resumed with a run.

import { checkProbability } from "../ops/functional/dropout.js";
import { dropout, type ElementDropoutOptions, featureDropout } from "../ops/functional.js";
import type { Generator } from "../random.js";
import type { Tensor } from "../tensor.js";
import { Module } from "./module.js";

/**
 * In training, zeroes each element with probability `p` in [0, 1) and scales the others by 1 / (1 − p); in evaluation,
 * x. Draws from `generator`, so that a run's masks can be saved and resumed; with `recompute`, a number for each mask,
 * which is made again for the backward pass instead of kept.
 */
export class Dropout extends Module {
  readonly #options: Pick<ElementDropoutOptions, "generator" | "recompute">;

  constructor(
    readonly p = 0.5,
    { generator, recompute = false }: { generator?: Generator | undefined; recompute?: boolean } = {},
  ) {
    super();
    checkProbability("Dropout", p);
    this.#options = { recompute, ...(generator ? { generator } : {}) };
  }

  override forward(input: Tensor): Tensor {
    return dropout(input, { ...this.#options, p: this.p, training: this.training });
  }
}

/** As `Dropout`, but whole channels of each example: `[N, C, H, W]`. */
export class Dropout2d extends Module {
  readonly #generator: Generator | undefined;

  constructor(
    readonly p = 0.5,
    options: { generator?: Generator | undefined } = {},
  ) {
    super();
    checkProbability("Dropout2d", p);
    this.#generator = options.generator;
  }

  override forward(input: Tensor): Tensor {
    const generator = this.#generator;
    return featureDropout(input, { p: this.p, training: this.training, ...(generator ? { generator } : {}) });
  }
}
