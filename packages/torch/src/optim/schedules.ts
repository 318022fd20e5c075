// Learning rates as plain functions of the epoch: nothing to save, nothing to fall out of step.

export interface MultiStepSchedule {
  /** Epochs (counted from 0) from which the rate is multiplied once more. */
  milestones: readonly number[];
  /** Factor at each milestone; PyTorch's default 0.1. */
  gamma?: number;
}

/** Rate in `epoch` (from 0): `base · gamma^(milestones passed)`, as `MultiStepLR`. */
export function multiStep(base: number, epoch: number, schedule: MultiStepSchedule): number {
  return base * (schedule.gamma ?? 0.1) ** schedule.milestones.filter((milestone) => epoch >= milestone).length;
}
