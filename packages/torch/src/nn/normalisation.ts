// Layer, group and instance normalisation: nothing is shared between examples. Batch normalisation is in batch-norm.ts.
import { TorchError } from "../errors.js";
import { ones, zeros } from "../ops/creation.js";
import { groupNorm, instanceNorm, layerNorm } from "../ops/functional.js";
import { scope } from "../scope.js";
import { Buffer, Parameter, type Tensor } from "../tensor.js";
import { checkChannels } from "./batch-norm.js";
import { Module } from "./module.js";

/** Settings of a normalisation. */
export interface NormOptions {
  /** Default 1e-5. */
  eps?: number;
  /** A trained scale and shift; default true (instance norm: false). */
  affine?: boolean;
}

/** Over the last dimensions, of sizes `shape`: `[…, …shape]` → the same. */
export class LayerNorm extends Module {
  readonly shape: readonly number[];
  readonly weight: Parameter | null;
  readonly bias: Parameter | null;

  constructor(
    shape: number | readonly number[],
    readonly options: NormOptions = {},
  ) {
    super();
    this.shape = typeof shape === "number" ? [shape] : shape;
    const { affine = true } = options;
    this.weight = affine ? scope(() => new Parameter(ones(this.shape))) : null;
    this.bias = affine ? scope(() => new Parameter(zeros(this.shape))) : null;
  }

  override forward(input: Tensor): Tensor {
    const tail = input.shape.slice(-this.shape.length);
    if (tail.join() !== this.shape.join()) {
      throw new TorchError(`LayerNorm: expected input […, ${this.shape.join(", ")}], got [${input.shape.join(", ")}]`);
    }
    return layerNorm(input, this.shape, { weight: this.weight, bias: this.bias, eps: this.options.eps ?? 1e-5 });
  }
}

/** Over each of `groups` groups of the `channels`: `[N, C, …]` → the same. */
export class GroupNorm extends Module {
  readonly weight: Parameter | null;
  readonly bias: Parameter | null;

  /** @throws TorchError when `groups` does not divide `channels` */
  constructor(
    readonly groups: number,
    readonly channels: number,
    readonly options: NormOptions = {},
  ) {
    super();
    if (!(Number.isInteger(groups) && groups >= 1 && channels % groups === 0)) {
      throw new TorchError(`GroupNorm: expected groups that divide the channels, got ${groups} and ${channels}`);
    }
    const { affine = true } = options;
    this.weight = affine ? scope(() => new Parameter(ones([channels]))) : null;
    this.bias = affine ? scope(() => new Parameter(zeros([channels]))) : null;
  }

  override forward(input: Tensor): Tensor {
    if (input.dim < 2 || input.shape[1] !== this.channels) {
      throw new TorchError(`GroupNorm: expected input [N, ${this.channels}, …], got [${input.shape.join(", ")}]`);
    }
    return groupNorm(input, this.groups, { weight: this.weight, bias: this.bias, eps: this.options.eps ?? 1e-5 });
  }
}

/** Settings of an instance normalisation. */
export interface InstanceNormOptions extends NormOptions {
  /** Share of the batch in the running statistics; default 0.1. */
  momentum?: number;
  /** Running statistics, used in evaluation; default false. */
  trackRunningStats?: boolean;
}

/** Each channel of each example for itself. */
abstract class InstanceNorm extends Module {
  readonly weight: Parameter | null;
  readonly bias: Parameter | null;
  readonly runningMean: Buffer | null;
  readonly runningVar: Buffer | null;
  /** int64 scalar, 0: PyTorch's state dicts hold it and instance norm does not count. */
  readonly numBatchesTracked: Buffer | null;

  constructor(
    readonly features: number,
    readonly options: InstanceNormOptions = {},
  ) {
    super();
    const { affine = false, trackRunningStats = false } = options;
    this.weight = affine ? scope(() => new Parameter(ones([features]))) : null;
    this.bias = affine ? scope(() => new Parameter(zeros([features]))) : null;
    this.runningMean = trackRunningStats ? scope(() => new Buffer(zeros([features]))) : null;
    this.runningVar = trackRunningStats ? scope(() => new Buffer(ones([features]))) : null;
    this.numBatchesTracked = trackRunningStats ? scope(() => new Buffer(zeros([], { dtype: "int64" }))) : null;
  }

  protected abstract readonly takes: Readonly<Record<number, string>>;

  override forward(input: Tensor): Tensor {
    checkChannels(this.constructor.name, input, this.features, this.takes);
    return instanceNorm(input, {
      runningMean: this.runningMean,
      runningVar: this.runningVar,
      weight: this.weight,
      bias: this.bias,
      useInputStatistics: this.training || !this.runningMean,
      momentum: this.options.momentum ?? 0.1,
      eps: this.options.eps ?? 1e-5,
    });
  }
}

/** Over L: `[N, C, L]` → the same. */
export class InstanceNorm1d extends InstanceNorm {
  protected override get takes() {
    return { 3: "[N, C, L]" };
  }
}

/** Over H and W: `[N, C, H, W]` → the same. */
export class InstanceNorm2d extends InstanceNorm {
  protected override get takes() {
    return { 4: "[N, C, H, W]" };
  }
}
