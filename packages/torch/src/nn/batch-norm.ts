import { ones, zeros } from "../ops/creation.js";
import { batchNorm } from "../ops/functional.js";
import { scope } from "../scope.js";
import { Buffer, Parameter, type Tensor } from "../tensor.js";
import { Module } from "./module.js";

/**
 * Batch normalisation over N, H and W: `[N, C, H, W]` → the same shape, with a trained scale and shift. Training uses
 * the batch's statistics and moves the running ones by `momentum`; evaluation uses the running ones. An input that is
 * refused changes nothing.
 */
export class BatchNorm2d extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly runningMean: Buffer;
  readonly runningVar: Buffer;
  /** int64 scalar: batches seen, kept because PyTorch's state dicts hold it. */
  readonly numBatchesTracked: Buffer;

  constructor(
    readonly features: number,
    readonly options: { momentum?: number; eps?: number } = {},
  ) {
    super();
    this.weight = scope(() => new Parameter(ones([features])));
    this.bias = scope(() => new Parameter(zeros([features])));
    this.runningMean = scope(() => new Buffer(zeros([features])));
    this.runningVar = scope(() => new Buffer(ones([features])));
    this.numBatchesTracked = scope(() => new Buffer(zeros([], { dtype: "int64" })));
  }

  override forward(input: Tensor): Tensor {
    const result = batchNorm(input, {
      runningMean: this.runningMean,
      runningVar: this.runningVar,
      weight: this.weight,
      bias: this.bias,
      training: this.training,
      ...this.options,
    });
    if (this.training) this.numBatchesTracked.add_(1);
    return result;
  }
}
