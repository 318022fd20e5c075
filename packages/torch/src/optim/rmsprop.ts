import { native } from "../native.js";
import { checkAllNonNegative, type Group, Optimizer, type Setting, type Trained } from "./optimizer.js";

/** Settings of `RMSprop`, for all parameters or for a group. */
export interface RmsPropOptions {
  /** Default 1e-2. */
  learningRate?: number;
  /** Decay of the mean square; default 0.99. */
  alpha?: number;
  /** Default 1e-8. */
  epsilon?: number;
  /** Added to the gradient; default 0. */
  weightDecay?: number;
  /** Default 0. */
  momentum?: number;
  /** Divide by the deviation instead of the root mean square; default false. */
  centered?: boolean;
  /** Go up instead of down; default false. */
  maximize?: boolean;
}

/** Gradients divided by a running root mean square (Hinton's lectures), as `torch.optim.RMSprop`. */
export class RMSprop extends Optimizer {
  constructor(trained: Trained<RmsPropOptions>, options: RmsPropOptions = {}) {
    super(
      trained,
      {
        learningRate: options.learningRate ?? 1e-2,
        alpha: options.alpha ?? 0.99,
        epsilon: options.epsilon ?? 1e-8,
        weightDecay: options.weightDecay ?? 0,
        momentum: options.momentum ?? 0,
        centered: options.centered ?? false,
        maximize: options.maximize ?? false,
      },
      ({ momentum, centered }) => ({
        square_avg: 0,
        ...(momentum === 0 ? {} : { momentum_buffer: 0 }),
        ...(centered ? { grad_avg: 0 } : {}),
      }),
    );
  }

  protected override check(settings: Readonly<Record<string, Setting>>): void {
    checkAllNonNegative(settings, "alpha", "epsilon", "weightDecay", "momentum");
  }

  protected override stepGroup(group: Group): void {
    native().rmspropStep(
      group.handles,
      group.handlesOf("square_avg"),
      group.handlesOf("grad_avg"),
      group.handlesOf("momentum_buffer"),
      group.steps,
      group.learningRate,
      group.number("alpha"),
      group.number("epsilon"),
      group.number("weightDecay"),
      group.number("momentum"),
      group.flag("maximize"),
    );
  }
}
