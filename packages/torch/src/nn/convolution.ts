// Convolutions as layers, initialised as PyTorch's; the functions are in ops/functional/convolution.ts.
import { TorchError } from "../errors.js";
import { zeros } from "../ops/creation.js";
import { type Sizes, spread } from "../ops/functional/sizes.js";
import {
  type Conv1dOptions,
  type Conv2dOptions,
  type Conv3dOptions,
  type ConvTranspose1dOptions,
  type ConvTranspose2dOptions,
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  type Pair,
  type Single,
  type Triple,
} from "../ops/functional.js";
import type { Generator } from "../random.js";
import { scope } from "../scope.js";
import { Parameter, type Tensor } from "../tensor.js";
import { biasUniform_, kaimingUniform_ } from "./init.js";
import { Module } from "./module.js";

/** What a convolution's layer has and its function has not. */
interface LayerOptions {
  /** Default true. */
  bias?: boolean;
  /** Source of the initial values; default: the process-wide generator. */
  generator?: Generator;
}
/** Settings of `Conv1d`. */
export type Conv1dLayerOptions = Omit<Conv1dOptions, "bias"> & LayerOptions;
/** Settings of `Conv2d`. */
export type Conv2dLayerOptions = Omit<Conv2dOptions, "bias"> & LayerOptions;
/** Settings of `Conv3d`. */
export type Conv3dLayerOptions = Omit<Conv3dOptions, "bias"> & LayerOptions;
/** Settings of `ConvTranspose1d`. */
export type ConvTranspose1dLayerOptions = Omit<ConvTranspose1dOptions, "bias"> & LayerOptions;
/** Settings of `ConvTranspose2d`. */
export type ConvTranspose2dLayerOptions = Omit<ConvTranspose2dOptions, "bias"> & LayerOptions;

/** What all convolutions share: a weight, perhaps a bias, and how the kernel moves. */
abstract class Convolution<O extends { groups?: number }> extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | null;
  /** Stride, padding, dilation, groups. */
  protected readonly options: O;

  /** @throws TorchError when `options.groups` does not divide the channels on both sides */
  protected constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    dimensions: number,
    kernel: Sizes,
    options: O & LayerOptions,
    transposed: boolean,
  ) {
    super();
    const where = new.target.name;
    const { bias = true, generator, ...rest } = options;
    const { groups = 1 } = options;
    if (!(Number.isInteger(groups) && groups >= 1 && inChannels % groups === 0 && outChannels % groups === 0)) {
      throw new TorchError(
        `${where}: inChannels and outChannels must be divisible by groups, got ${inChannels} and ${outChannels} with ${groups} groups`,
      );
    }
    this.options = rest as unknown as O;
    const [first, second] = transposed ? [inChannels, outChannels / groups] : [outChannels, inChannels / groups];
    const shape = [first, second, ...spread(where, "kernel", kernel, dimensions)];
    this.weight = scope(() => new Parameter(zeros(shape)));
    this.bias = bias ? scope(() => new Parameter(zeros([outChannels]))) : null;
    kaimingUniform_(this.weight, Math.sqrt(5), generator);
    if (this.bias) biasUniform_(this.bias, this.weight, generator);
  }
}

/** 1-D convolution: `[N, inChannels, L]` → `[N, outChannels, L']`; initialised as `torch.nn.Conv1d`. */
export class Conv1d extends Convolution<Omit<Conv1dOptions, "bias">> {
  /** @throws TorchError when `options.groups` does not divide the channels on both sides */
  constructor(inChannels: number, outChannels: number, kernel: Single, options: Conv1dLayerOptions = {}) {
    super(inChannels, outChannels, 1, kernel, options, false);
  }
  override forward(input: Tensor): Tensor {
    return conv1d(input, this.weight, { ...this.options, bias: this.bias });
  }
}

/** 2-D convolution: `[N, inChannels, H, W]` → `[N, outChannels, H', W']`; initialised as `torch.nn.Conv2d`. */
export class Conv2d extends Convolution<Omit<Conv2dOptions, "bias">> {
  /** @throws TorchError when `options.groups` does not divide the channels on both sides */
  constructor(inChannels: number, outChannels: number, kernel: Pair, options: Conv2dLayerOptions = {}) {
    super(inChannels, outChannels, 2, kernel, options, false);
  }
  override forward(input: Tensor): Tensor {
    return conv2d(input, this.weight, { ...this.options, bias: this.bias });
  }
}

/** 3-D convolution: `[N, inChannels, D, H, W]` → `[N, outChannels, D', H', W']`; initialised as `torch.nn.Conv3d`. */
export class Conv3d extends Convolution<Omit<Conv3dOptions, "bias">> {
  /** @throws TorchError when `options.groups` does not divide the channels on both sides */
  constructor(inChannels: number, outChannels: number, kernel: Triple, options: Conv3dLayerOptions = {}) {
    super(inChannels, outChannels, 3, kernel, options, false);
  }
  override forward(input: Tensor): Tensor {
    return conv3d(input, this.weight, { ...this.options, bias: this.bias });
  }
}

/** Transposed 1-D convolution: `[N, inChannels, L]` → `[N, outChannels, L']`; see `convTranspose1d`. */
export class ConvTranspose1d extends Convolution<Omit<ConvTranspose1dOptions, "bias">> {
  /** @throws TorchError when `options.groups` does not divide the channels on both sides */
  constructor(inChannels: number, outChannels: number, kernel: Single, options: ConvTranspose1dLayerOptions = {}) {
    super(inChannels, outChannels, 1, kernel, options, true);
  }
  override forward(input: Tensor): Tensor {
    return convTranspose1d(input, this.weight, { ...this.options, bias: this.bias });
  }
}

/** Transposed 2-D convolution: `[N, inChannels, H, W]` → `[N, outChannels, H', W']`; see `convTranspose2d`. */
export class ConvTranspose2d extends Convolution<Omit<ConvTranspose2dOptions, "bias">> {
  /** @throws TorchError when `options.groups` does not divide the channels on both sides */
  constructor(inChannels: number, outChannels: number, kernel: Pair, options: ConvTranspose2dLayerOptions = {}) {
    super(inChannels, outChannels, 2, kernel, options, true);
  }
  override forward(input: Tensor): Tensor {
    return convTranspose2d(input, this.weight, { ...this.options, bias: this.bias });
  }
}
