import { TorchError } from "../errors.js";
import { native } from "../native.js";
import { checkAllNonNegative, type Group, Optimizer, type Setting, type Trained } from "./optimizer.js";

/** Settings of `SGD`, for all parameters or for a group. */
export interface SgdOptions {
  /** At least 0; there is no default. */
  learningRate: number;
  /** Default 0. */
  momentum?: number;
  /** Default 0. */
  dampening?: number;
  /** Added to the gradient; default 0. */
  weightDecay?: number;
  /** Needs momentum, and no dampening; default false. */
  nesterov?: boolean;
  /** Go up instead of down; default false. */
  maximize?: boolean;
}

/** Stochastic gradient descent with momentum, as `torch.optim.SGD`. */
export class SGD extends Optimizer {
  protected override readonly savesSteps = false;

  constructor(trained: Trained<SgdOptions>, options: SgdOptions) {
    super(
      trained,
      {
        learningRate: options.learningRate,
        momentum: options.momentum ?? 0,
        dampening: options.dampening ?? 0,
        weightDecay: options.weightDecay ?? 0,
        nesterov: options.nesterov ?? false,
        maximize: options.maximize ?? false,
      },
      ({ momentum }): Record<string, number> => (momentum === 0 ? {} : { momentum_buffer: 0 }),
    );
  }

  protected override check(settings: Readonly<Record<string, Setting>>): void {
    checkAllNonNegative(settings, "momentum", "weightDecay");
    if (settings.nesterov && (settings.momentum === 0 || settings.dampening !== 0)) {
      throw new TorchError("optimizer: nesterov needs a momentum above 0 and a dampening of 0");
    }
  }

  protected override stepGroup(group: Group): void {
    native().sgdStep(
      group.handles,
      group.handlesOf("momentum_buffer"),
      group.steps,
      group.learningRate,
      group.number("momentum"),
      group.number("dampening"),
      group.number("weightDecay"),
      group.flag("nesterov"),
      group.flag("maximize"),
    );
  }
}
