import { TorchError } from "../errors.js";
import { native } from "../native.js";
import type { Parameter } from "../tensor.js";
import { checkNonNegative, Optimizer } from "./optimizer.js";

export interface AdamOptions {
  /** Default 1e-3. */
  learningRate?: number;
  /** Decay of the two moments, each in [0, 1); default [0.9, 0.999]. */
  betas?: readonly [number, number];
  /** Default 1e-8. */
  epsilon?: number;
  /** Adam: added to the gradient, default 0. AdamW: shrinks the parameter, default 0.01. */
  weightDecay?: number;
}

/** Adam (Kingma & Ba, arXiv 1412.6980), as `torch.optim.Adam`. */
export class Adam extends Optimizer {
  readonly betas: readonly [number, number];
  readonly epsilon: number;
  readonly weightDecay: number;
  protected readonly decoupled: boolean = false;

  constructor(parameters: readonly Parameter[], options: AdamOptions = {}) {
    super(parameters, options.learningRate ?? 1e-3, ["exp_avg", "exp_avg_sq"]);
    this.betas = options.betas ?? [0.9, 0.999];
    this.epsilon = options.epsilon ?? 1e-8;
    this.weightDecay = options.weightDecay ?? 0;
    for (const beta of this.betas) {
      if (!(beta >= 0 && beta < 1)) throw new TorchError(`optimizer: expected betas in [0, 1), got ${beta}`);
    }
    checkNonNegative("epsilon", this.epsilon);
    checkNonNegative("weightDecay", this.weightDecay);
  }

  override step(): void {
    native().adamStep(
      this.handles,
      this.handlesOf("exp_avg"),
      this.handlesOf("exp_avg_sq"),
      this.steps,
      this.learningRate,
      this.betas[0],
      this.betas[1],
      this.epsilon,
      this.weightDecay,
      this.decoupled,
    );
  }
}

/** Adam with decoupled weight decay (Loshchilov & Hutter, arXiv 1711.05101), as `torch.optim.AdamW`. */
export class AdamW extends Adam {
  protected override readonly decoupled = true;

  constructor(parameters: readonly Parameter[], options: AdamOptions = {}) {
    super(parameters, { weightDecay: 0.01, ...options });
  }
}
