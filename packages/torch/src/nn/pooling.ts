// Poolings as layers; the functions are in ops/functional/pooling.ts.

import type { AvgPoolOptions, MaxPoolOptions, Pair, Single, Triple } from "../ops/functional.js";
import * as functional from "../ops/functional.js";
import type { Tensor } from "../tensor.js";
import { Module } from "./module.js";

/** Largest value of each window: `[N, C, L]` → `[N, C, L']`. */
export class MaxPool1d extends Module {
  constructor(
    readonly kernel: Single,
    readonly options: MaxPoolOptions<Single> = {},
  ) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return functional.maxPool1d(input, this.kernel, this.options);
  }
}

/** Largest value of each window: `[N, C, H, W]` → `[N, C, H', W']`. */
export class MaxPool2d extends Module {
  constructor(
    readonly kernel: Pair,
    readonly options: MaxPoolOptions = {},
  ) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return functional.maxPool2d(input, this.kernel, this.options);
  }
}

/** Largest value of each window: `[N, C, D, H, W]` → `[N, C, D', H', W']`. */
export class MaxPool3d extends Module {
  constructor(
    readonly kernel: Triple,
    readonly options: MaxPoolOptions<Triple> = {},
  ) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return functional.maxPool3d(input, this.kernel, this.options);
  }
}

/** Mean of each window: `[N, C, L]` → `[N, C, L']`. */
export class AvgPool1d extends Module {
  constructor(
    readonly kernel: Single,
    readonly options: AvgPoolOptions<Single> = {},
  ) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return functional.avgPool1d(input, this.kernel, this.options);
  }
}

/** Mean of each window, padding zeros counted unless said otherwise: `[N, C, H, W]` → `[N, C, H', W']`. */
export class AvgPool2d extends Module {
  constructor(
    readonly kernel: Pair,
    readonly options: AvgPoolOptions = {},
  ) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return functional.avgPool2d(input, this.kernel, this.options);
  }
}

/** Mean of each window: `[N, C, D, H, W]` → `[N, C, D', H', W']`. */
export class AvgPool3d extends Module {
  constructor(
    readonly kernel: Triple,
    readonly options: AvgPoolOptions<Triple> = {},
  ) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return functional.avgPool3d(input, this.kernel, this.options);
  }
}

/** Mean over windows that give `size`: `[N, C, L]` → `[N, C, size]`. */
export class AdaptiveAvgPool1d extends Module {
  constructor(readonly size: Single) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return functional.adaptiveAvgPool1d(input, this.size);
  }
}

/** Mean over windows that give `size`; 1 is global average pooling: `[N, C, H, W]` → `[N, C, …size]`. */
export class AdaptiveAvgPool2d extends Module {
  constructor(readonly size: Pair) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return functional.adaptiveAvgPool2d(input, this.size);
  }
}

/** Mean over windows that give `size`: `[N, C, D, H, W]` → `[N, C, …size]`. */
export class AdaptiveAvgPool3d extends Module {
  constructor(readonly size: Triple) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return functional.adaptiveAvgPool3d(input, this.size);
  }
}

/** Largest value of windows that give `size`: `[N, C, L]` → `[N, C, size]`. */
export class AdaptiveMaxPool1d extends Module {
  constructor(readonly size: Single) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return functional.adaptiveMaxPool1d(input, this.size);
  }
}

/** Largest value of windows that give `size`: `[N, C, H, W]` → `[N, C, …size]`. */
export class AdaptiveMaxPool2d extends Module {
  constructor(readonly size: Pair) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return functional.adaptiveMaxPool2d(input, this.size);
  }
}
