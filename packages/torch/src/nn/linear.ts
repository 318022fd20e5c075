import { zeros } from "../ops/creation.js";
import { linear } from "../ops/functional.js";
import type { Generator } from "../random.js";
import { scope } from "../scope.js";
import { Parameter, type Tensor } from "../tensor.js";
import { biasUniform_, kaimingUniform_ } from "./init.js";
import { Module } from "./module.js";

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
