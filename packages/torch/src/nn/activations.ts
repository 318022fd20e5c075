// Activations as layers; the functions are in ops/functional/activations.ts. Any shape unless said otherwise.
import { full } from "../ops/creation.js";
import * as functional from "../ops/functional.js";
import { scope } from "../scope.js";
import { Parameter, type Tensor } from "../tensor.js";
import { Module } from "./module.js";

/** Where a layer writes its output. */
export interface InPlaceOptions {
  /** Write over the input, which then must not be needed by another layer's gradient; default false. */
  inPlace?: boolean;
}

/** max(x, 0). */
export class ReLU extends Module {
  constructor(readonly options: InPlaceOptions = {}) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return this.options.inPlace ? functional.relu_(input) : functional.relu(input);
  }
}

/** min(max(x, 0), 6). */
export class ReLU6 extends Module {
  override forward(input: Tensor): Tensor {
    return functional.relu6(input);
  }
}

/** x, or `slope` · x below 0. */
export class LeakyReLU extends Module {
  constructor(readonly slope = 0.01) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return functional.leakyRelu(input, this.slope);
  }
}

/** Leaky ReLU whose slope is trained: one, or one for each of `count` channels of `[N, C, …]`; starts at `initial`. */
export class PReLU extends Module {
  readonly weight: Parameter;
  constructor(
    readonly count = 1,
    options: { initial?: number } = {},
  ) {
    super();
    this.weight = scope(() => new Parameter(full([count], options.initial ?? 0.25)));
  }
  override forward(input: Tensor): Tensor {
    return functional.prelu(input, this.weight);
  }
}

/** x, or α (e^x − 1) below 0. */
export class ELU extends Module {
  constructor(readonly alpha = 1) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return functional.elu(input, this.alpha);
  }
}

/** x, or α (e^(x / α) − 1) below 0. */
export class CELU extends Module {
  constructor(readonly alpha = 1) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return functional.celu(input, this.alpha);
  }
}

/** Self-normalising ELU. */
export class SELU extends Module {
  override forward(input: Tensor): Tensor {
    return functional.selu(input);
  }
}

/** x Φ(x), or its tanh approximation. */
export class GELU extends Module {
  constructor(readonly options: { approximate?: "none" | "tanh" } = {}) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return functional.gelu(input, this.options);
  }
}

/** x σ(x). */
export class SiLU extends Module {
  override forward(input: Tensor): Tensor {
    return functional.silu(input);
  }
}

/** x tanh(softplus(x)). */
export class Mish extends Module {
  override forward(input: Tensor): Tensor {
    return functional.mish(input);
  }
}

/** log(1 + e^(βx)) / β. */
export class Softplus extends Module {
  constructor(readonly options: { beta?: number; threshold?: number } = {}) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return functional.softplus(input, this.options);
  }
}

/** x cut off at `min` and `max`. */
export class Hardtanh extends Module {
  constructor(
    readonly min = -1,
    readonly max = 1,
  ) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return functional.hardtanh(input, this.min, this.max);
  }
}

/** x · relu6(x + 3) / 6. */
export class Hardswish extends Module {
  override forward(input: Tensor): Tensor {
    return functional.hardswish(input);
  }
}

/** relu6(x + 3) / 6. */
export class Hardsigmoid extends Module {
  override forward(input: Tensor): Tensor {
    return functional.hardsigmoid(input);
  }
}

/** 1 / (1 + e^−x). */
export class Sigmoid extends Module {
  override forward(input: Tensor): Tensor {
    return functional.sigmoid(input);
  }
}

/** (e^x − e^−x) / (e^x + e^−x), in (−1, 1). */
export class Tanh extends Module {
  override forward(input: Tensor): Tensor {
    return functional.tanh(input);
  }
}

/** log(σ(x)). */
export class LogSigmoid extends Module {
  override forward(input: Tensor): Tensor {
    return functional.logSigmoid(input);
  }
}

/** a · σ(b) of the two halves along `dimension`, which halves its size. */
export class GLU extends Module {
  constructor(readonly dimension = -1) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return functional.glu(input, this.dimension);
  }
}

/** Exponentials along `dimension`, scaled to sum 1. */
export class Softmax extends Module {
  constructor(readonly dimension: number) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return functional.softmax(input, this.dimension);
  }
}

/** log(softmax) along `dimension`. */
export class LogSoftmax extends Module {
  constructor(readonly dimension: number) {
    super();
  }
  override forward(input: Tensor): Tensor {
    return functional.logSoftmax(input, this.dimension);
  }
}
