// Layers without parameters.

import { noGrad } from "../autograd.js";
import { TorchError } from "../errors.js";
import { mul } from "../ops/arithmetic.js";
import { bernoulli_, zerosLike } from "../ops/creation.js";
import { adaptiveAvgPool2d, avgPool2d, maxPool2d, type Pair, type PoolOptions, relu } from "../ops/functional.js";
import { flatten } from "../ops/shape.js";
import type { Generator } from "../random.js";
import type { Tensor } from "../tensor.js";
import { Module } from "./module.js";

/** max(x, 0), any shape. */
export class ReLU extends Module {
  override forward(input: Tensor): Tensor {
    return relu(input);
  }
}

/** x, any shape. */
export class Identity extends Module {
  override forward(input: Tensor): Tensor {
    return input;
  }
}

/** `[N, C, H, W]` → `[N, C·H·W]`. */
export class Flatten extends Module {
  override forward(input: Tensor): Tensor {
    return flatten(input, 1);
  }
}

/** Largest value of each window; see `maxPool2d`. */
export class MaxPool2d extends Module {
  constructor(
    readonly kernel: Pair,
    readonly options: PoolOptions = {},
  ) {
    super();
  }

  override forward(input: Tensor): Tensor {
    return maxPool2d(input, this.kernel, this.options);
  }
}

/** Mean of each window, padding zeros counted; see `avgPool2d`. */
export class AvgPool2d extends Module {
  constructor(
    readonly kernel: Pair,
    readonly options: PoolOptions = {},
  ) {
    super();
  }

  override forward(input: Tensor): Tensor {
    return avgPool2d(input, this.kernel, this.options);
  }
}

/** Mean over windows that give `size`; 1 is global average pooling. */
export class AdaptiveAvgPool2d extends Module {
  constructor(readonly size: Pair) {
    super();
  }

  override forward(input: Tensor): Tensor {
    return adaptiveAvgPool2d(input, this.size);
  }
}

/**
 * In training, zeroes each element with probability `p` and scales the others by 1 / (1 − p); in evaluation, x.
 * Draws from `generator`, so that a run's masks can be saved and resumed.
 */
export class Dropout extends Module {
  readonly #generator: Generator | undefined;

  constructor(
    readonly p = 0.5,
    options: { generator?: Generator } = {},
  ) {
    super();
    if (!(p >= 0 && p < 1)) throw new TorchError(`Dropout: expected p in [0, 1), got ${p}`);
    this.#generator = options.generator;
  }

  override forward(input: Tensor): Tensor {
    if (!this.training || this.p === 0) return input;
    const mask = noGrad(() => bernoulli_(zerosLike(input), 1 - this.p, this.#generator).div_(1 - this.p));
    return mul(input, mask);
  }
}
