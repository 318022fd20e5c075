// Layers that change a shape only, and the one that changes nothing.
import { type InterpolateOptions, interpolate, pixelShuffle } from "../ops/functional.js";
import { flatten, reshape } from "../ops/shape.js";
import type { Tensor } from "../tensor.js";
import { Module } from "./module.js";

/** x, any shape. */
export class Identity extends Module {
  override forward(input: Tensor): Tensor {
    return input;
  }
}

/** Dimensions `start` to `end` become one; by default all but the first: `[N, C, H, W]` → `[N, C·H·W]`. */
export class Flatten extends Module {
  constructor(
    readonly start = 1,
    readonly end = -1,
  ) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return flatten(input, this.start, this.end);
  }
}

/** Dimension `dimension` becomes several, of `sizes`; one of them may be −1. */
export class Unflatten extends Module {
  constructor(
    readonly dimension: number,
    readonly sizes: readonly number[],
  ) {
    super();
  }
  override forward(input: Tensor): Tensor {
    input.size(this.dimension); // says which dimensions there are
    const at = this.dimension < 0 ? this.dimension + input.dim : this.dimension;
    return reshape(input, [...input.shape.slice(0, at), ...this.sizes, ...input.shape.slice(at + 1)]);
  }
}

/** Another size, by `size` or `scaleFactor`; see `interpolate`. */
export class Upsample extends Module {
  constructor(readonly options: InterpolateOptions) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return interpolate(input, this.options);
  }
}

/** Channels become space: `[N, C·r², H, W]` → `[N, C, H·r, W·r]`. */
export class PixelShuffle extends Module {
  constructor(readonly factor: number) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return pixelShuffle(input, this.factor);
  }
}
