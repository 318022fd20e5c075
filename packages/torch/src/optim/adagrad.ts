import { native } from "../native.js";
import { checkAllNonNegative, type Group, Optimizer, type Setting, type Trained } from "./optimizer.js";

/** Settings of `Adagrad`, for all parameters or for a group. */
export interface AdagradOptions {
  /** Default 1e-2. */
  learningRate?: number;
  /** The rate of step t is divided by 1 + (t − 1) · this; default 0. */
  learningRateDecay?: number;
  /** Added to the gradient; default 0. */
  weightDecay?: number;
  /** What the sums of squares start with; default 0. */
  initialAccumulatorValue?: number;
  /** Default 1e-10. */
  epsilon?: number;
  /** Go up instead of down; default false. */
  maximize?: boolean;
}

/** Gradients divided by the root of their sum of squares (Duchi et al. 2011), as `torch.optim.Adagrad`. */
export class Adagrad extends Optimizer {
  constructor(trained: Trained<AdagradOptions>, options: AdagradOptions = {}) {
    super(
      trained,
      {
        learningRate: options.learningRate ?? 1e-2,
        learningRateDecay: options.learningRateDecay ?? 0,
        weightDecay: options.weightDecay ?? 0,
        initialAccumulatorValue: options.initialAccumulatorValue ?? 0,
        epsilon: options.epsilon ?? 1e-10,
        maximize: options.maximize ?? false,
      },
      ({ initialAccumulatorValue }) => ({ sum: initialAccumulatorValue as number }),
    );
  }

  protected override check(settings: Readonly<Record<string, Setting>>): void {
    checkAllNonNegative(settings, "learningRateDecay", "weightDecay", "initialAccumulatorValue", "epsilon");
  }

  protected override startOf(_kind: string, group: Group): number {
    return group.number("initialAccumulatorValue");
  }

  protected override stepGroup(group: Group): void {
    native().adagradStep(
      group.handles,
      group.handlesOf("sum"),
      group.steps,
      group.learningRate,
      group.number("learningRateDecay"),
      group.number("weightDecay"),
      group.number("epsilon"),
      group.flag("maximize"),
    );
  }
}
