import { TorchError } from "../errors.js";
import { native } from "../native.js";
import { checkAllNonNegative, type Group, Optimizer, type Setting, type Trained } from "./optimizer.js";

/** Settings of `Adam` and `AdamW`, for all parameters or for a group. */
export interface AdamOptions {
  /** Default 1e-3. */
  learningRate?: number;
  /** Decay of the two moments, each in [0, 1); default [0.9, 0.999]. */
  betas?: readonly [number, number];
  /** Default 1e-8. */
  epsilon?: number;
  /** Adam: added to the gradient, default 0. AdamW: shrinks the parameter, default 0.01. */
  weightDecay?: number;
  /** Divide by the largest second moment so far (arXiv 1904.09237); default false. */
  amsgrad?: boolean;
  /** Go up instead of down; default false. */
  maximize?: boolean;
}

/** Adam (Kingma & Ba, arXiv 1412.6980), as `torch.optim.Adam`. */
export class Adam extends Optimizer {
  /** Weight decay apart from the gradient: AdamW. */
  protected readonly decoupled: boolean = false;

  constructor(trained: Trained<AdamOptions>, options: AdamOptions = {}) {
    super(
      trained,
      {
        learningRate: options.learningRate ?? 1e-3,
        betas: options.betas ?? [0.9, 0.999],
        epsilon: options.epsilon ?? 1e-8,
        weightDecay: options.weightDecay ?? 0,
        amsgrad: options.amsgrad ?? false,
        maximize: options.maximize ?? false,
      },
      ({ amsgrad }) => ({ exp_avg: 0, exp_avg_sq: 0, ...(amsgrad ? { max_exp_avg_sq: 0 } : {}) }),
    );
  }

  protected override check(settings: Readonly<Record<string, Setting>>): void {
    for (const beta of settings.betas as readonly [number, number]) {
      if (!(beta >= 0 && beta < 1)) throw new TorchError(`optimizer: expected betas in [0, 1), got ${beta}`);
    }
    checkAllNonNegative(settings, "epsilon", "weightDecay");
  }

  protected override stepGroup(group: Group): void {
    const [beta1, beta2] = group.settings.betas as readonly [number, number];
    native().adamStep(
      group.handles,
      group.handlesOf("exp_avg"),
      group.handlesOf("exp_avg_sq"),
      group.handlesOf("max_exp_avg_sq"),
      group.steps,
      group.learningRate,
      beta1,
      beta2,
      group.number("epsilon"),
      group.number("weightDecay"),
      this.decoupled,
      group.flag("maximize"),
    );
  }
}

/** Adam with decoupled weight decay (Loshchilov & Hutter, arXiv 1711.05101), as `torch.optim.AdamW`. */
export class AdamW extends Adam {
  protected override readonly decoupled = true;

  constructor(trained: Trained<AdamOptions>, options: AdamOptions = {}) {
    super(trained, { ...options, weightDecay: options.weightDecay ?? 0.01 });
  }
}
