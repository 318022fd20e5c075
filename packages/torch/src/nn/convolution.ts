import { TorchError } from "../errors.js";
import { zeros } from "../ops/creation.js";
import { type Conv2dOptions, conv2d, type Pair } from "../ops/functional.js";
import type { Generator } from "../random.js";
import { scope } from "../scope.js";
import { Parameter, type Tensor } from "../tensor.js";
import { biasUniform_, kaimingUniform_ } from "./init.js";
import { Module } from "./module.js";

export interface Conv2dLayerOptions extends Omit<Conv2dOptions, "bias"> {
  /** Default true. */
  bias?: boolean;
  /** Source of the initial values; default: the process-wide generator. */
  generator?: Generator;
}

/** 2-D convolution: `[N, inChannels, H, W]` → `[N, outChannels, H', W']`; initialised as `torch.nn.Conv2d`. */
export class Conv2d extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | null;
  readonly #options: Omit<Conv2dOptions, "bias">;

  /** @throws TorchError when `options.groups` does not divide the channels on both sides */
  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    kernel: Pair,
    options: Conv2dLayerOptions = {},
  ) {
    super();
    const { bias = true, generator, ...rest } = options;
    const { groups = 1 } = rest;
    if (!(Number.isInteger(groups) && groups >= 1 && inChannels % groups === 0 && outChannels % groups === 0)) {
      throw new TorchError(
        `Conv2d: inChannels and outChannels must be divisible by groups, got ${inChannels} and ${outChannels} with ${groups} groups`,
      );
    }
    const [height, width] = typeof kernel === "number" ? [kernel, kernel] : kernel;
    this.#options = rest;
    this.weight = scope(() => new Parameter(zeros([outChannels, inChannels / groups, height, width])));
    this.bias = bias ? scope(() => new Parameter(zeros([outChannels]))) : null;
    kaimingUniform_(this.weight, Math.sqrt(5), generator);
    if (this.bias) biasUniform_(this.bias, this.weight, generator);
  }

  override forward(input: Tensor): Tensor {
    return conv2d(input, this.weight, { ...this.#options, bias: this.bias });
  }
}
