import { TorchError } from "../errors.js";
import { native } from "../native.js";
import type { Parameter } from "../tensor.js";
import { checkNonNegative, Optimizer } from "./optimizer.js";

export interface SgdOptions {
  learningRate: number;
  /** Default 0. */
  momentum?: number;
  /** Default 0. */
  dampening?: number;
  /** Added to the gradient; default 0. */
  weightDecay?: number;
  /** Needs momentum, and no dampening; default false. */
  nesterov?: boolean;
}

/** Stochastic gradient descent with momentum, as `torch.optim.SGD`. */
export class SGD extends Optimizer {
  readonly momentum: number;
  readonly dampening: number;
  readonly weightDecay: number;
  readonly nesterov: boolean;

  constructor(parameters: readonly Parameter[], options: SgdOptions) {
    super(parameters, options.learningRate, (options.momentum ?? 0) === 0 ? [] : ["momentum_buffer"]);
    this.momentum = options.momentum ?? 0;
    this.dampening = options.dampening ?? 0;
    this.weightDecay = options.weightDecay ?? 0;
    this.nesterov = options.nesterov ?? false;
    checkNonNegative("momentum", this.momentum);
    checkNonNegative("weightDecay", this.weightDecay);
    if (this.nesterov && (this.momentum === 0 || this.dampening !== 0)) {
      throw new TorchError("optimizer: nesterov needs a momentum above 0 and a dampening of 0");
    }
  }

  override step(): void {
    native().sgdStep(
      this.handles,
      this.momentum === 0 ? [] : this.handlesOf("momentum_buffer"),
      this.steps,
      this.learningRate,
      this.momentum,
      this.dampening,
      this.weightDecay,
      this.nesterov,
    );
  }
}
