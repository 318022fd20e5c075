// Linear and bilinear layers.
import { noGrad } from "../autograd.js";
import { uniform_, zeros } from "../ops/creation.js";
import { bilinear, linear } from "../ops/functional.js";
import type { Generator } from "../random.js";
import { scope } from "../scope.js";
import { Parameter, type Tensor } from "../tensor.js";
import { biasUniform_, kaimingUniform_ } from "./init.js";
import { Module } from "./module.js";

/** Settings of `Linear` and `Bilinear`. */
export interface LinearOptions {
  /** Default true. */
  bias?: boolean;
  /** Source of the initial values; default: the process-wide generator. */
  generator?: Generator;
}

/** `x Wᵀ + b`: `[…, inFeatures]` → `[…, outFeatures]`; initialised as `torch.nn.Linear`. */
export class Linear extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | null;

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    options: LinearOptions = {},
  ) {
    super();
    this.weight = scope(() => new Parameter(zeros([outFeatures, inFeatures])));
    this.bias = (options.bias ?? true) ? scope(() => new Parameter(zeros([outFeatures]))) : null;
    kaimingUniform_(this.weight, Math.sqrt(5), options.generator);
    if (this.bias) biasUniform_(this.bias, this.weight, options.generator);
  }

  override forward(input: Tensor): Tensor {
    return linear(input, this.weight, this.bias);
  }
}

/** `aᵀ W_k b + bias_k`: `[…, firstFeatures]` and `[…, secondFeatures]` → `[…, outFeatures]`, as `torch.nn.Bilinear`. */
export class Bilinear extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | null;

  constructor(
    readonly firstFeatures: number,
    readonly secondFeatures: number,
    readonly outFeatures: number,
    options: LinearOptions = {},
  ) {
    super();
    this.weight = scope(() => new Parameter(zeros([outFeatures, firstFeatures, secondFeatures])));
    this.bias = (options.bias ?? true) ? scope(() => new Parameter(zeros([outFeatures]))) : null;
    const bound = 1 / Math.sqrt(firstFeatures);
    for (const values of [this.weight, this.bias]) {
      if (values) noGrad(() => uniform_(values, -bound, bound, options.generator));
    }
  }

  override forward(first: Tensor, second: Tensor): Tensor {
    return bilinear(first, second, this.weight, this.bias);
  }
}
