// Batch normalisation over vectors, sequences, images and volumes.
import { TorchError } from "../errors.js";
import { ones, zeros } from "../ops/creation.js";
import { type BatchNormOptions, batchNorm } from "../ops/functional.js";
import { scope } from "../scope.js";
import { Buffer, Parameter, type Tensor } from "../tensor.js";
import { Module } from "./module.js";

/** Settings of a batch normalisation. */
export interface BatchNormLayerOptions {
  /** Share of the batch in the running statistics; null: the plain mean over all batches; default 0.1. */
  momentum?: number | null;
  /** Default 1e-5. */
  eps?: number;
  /** A trained scale and shift for each channel; default true. */
  affine?: boolean;
  /** Running statistics, used in evaluation; without them the batch's are used there too; default true. */
  trackRunningStats?: boolean;
}

/**
 * Batch normalisation over all dimensions but the channels', with a trained scale and shift. Training uses the batch's
 * statistics and moves the running ones by `momentum`; evaluation uses the running ones. An input that is refused
 * changes nothing.
 */
abstract class BatchNorm extends Module {
  readonly weight: Parameter | null;
  readonly bias: Parameter | null;
  readonly runningMean: Buffer | null;
  readonly runningVar: Buffer | null;
  /** int64 scalar: batches seen, kept because PyTorch's state dicts hold it. */
  readonly numBatchesTracked: Buffer | null;

  /** Whether training moves the running statistics; false leaves them as they are. Default true. */
  movesStatistics = true;

  constructor(
    readonly features: number,
    readonly options: BatchNormLayerOptions = {},
  ) {
    super();
    const { affine = true, trackRunningStats = true } = options;
    this.weight = affine ? scope(() => new Parameter(ones([features]))) : null;
    this.bias = affine ? scope(() => new Parameter(zeros([features]))) : null;
    this.runningMean = trackRunningStats ? scope(() => new Buffer(zeros([features]))) : null;
    this.runningVar = trackRunningStats ? scope(() => new Buffer(ones([features]))) : null;
    this.numBatchesTracked = trackRunningStats ? scope(() => new Buffer(zeros([], { dtype: "int64" }))) : null;
  }

  /** Shapes that the layer takes, for the message. */
  protected abstract readonly takes: Readonly<Record<number, string>>;

  override forward(input: Tensor): Tensor {
    return this.normalise(input);
  }

  /** As `forward`, with what follows the normalisation in a residual block taken in the same pass. */
  normalise(input: Tensor, after: Pick<BatchNormOptions, "residual" | "rectify"> = {}): Tensor {
    checkChannels(this.constructor.name, input, this.features, this.takes);
    const { momentum = 0.1, eps = 1e-5 } = this.options;
    const seen = this.numBatchesTracked;
    const result = batchNorm(input, {
      runningMean: this.runningMean,
      runningVar: this.runningVar,
      weight: this.weight,
      bias: this.bias,
      training: this.training || !this.runningMean,
      momentum: this.movesStatistics ? (momentum ?? (seen && this.training ? 1 / (seen.item() + 1) : 0)) : 0,
      eps,
      ...after,
    });
    if (this.training && this.movesStatistics) seen?.add_(1);
    return result;
  }
}

/** Of vectors `[N, C]` or sequences `[N, C, L]`; see `BatchNorm2d`. */
export class BatchNorm1d extends BatchNorm {
  protected override get takes() {
    return { 2: "[N, C]", 3: "[N, C, L]" };
  }
}

/**
 * Batch normalisation over N, H and W: `[N, C, H, W]` → the same shape, with a trained scale and shift. Training uses
 * the batch's statistics and moves the running ones by `momentum`; evaluation uses the running ones. An input that is
 * refused changes nothing.
 */
export class BatchNorm2d extends BatchNorm {
  protected override get takes() {
    return { 4: "[N, C, H, W]" };
  }
}

/** Of volumes `[N, C, D, H, W]`; see `BatchNorm2d`. */
export class BatchNorm3d extends BatchNorm {
  protected override get takes() {
    return { 5: "[N, C, D, H, W]" };
  }
}

/** @throws TorchError unless `input` has one of the shapes `takes` and `features` channels in dimension 1 */
export function checkChannels(
  where: string,
  input: Tensor,
  features: number,
  takes: Readonly<Record<number, string>>,
): void {
  if (takes[input.dim] && input.shape[1] === features) return;
  const shapes = Object.values(takes).map((shape) => shape.replace("C", String(features)));
  throw new TorchError(`${where}: expected input ${shapes.join(" or ")}, got [${input.shape.join(", ")}]`);
}
