// Optimizers, as `torch.optim`: one native call a step for each group. Schedules, and clipping of gradients.
export { Adagrad, type AdagradOptions } from "./adagrad.js";
export { Adam, type AdamOptions, AdamW } from "./adam.js";
export { clipGradNorm_, clipGradValue_ } from "./clip.js";
export { Group, Optimizer, type ParameterGroup, type Setting, type Trained } from "./optimizer.js";
export { RMSprop, type RmsPropOptions } from "./rmsprop.js";
export {
  type PlateauOptions,
  type PlateauState,
  ReduceOnPlateau,
  Scheduler,
  type SchedulerState,
} from "./scheduler.js";
export {
  chainedSchedule,
  constantSchedule,
  cosineRestartsSchedule,
  cosineSchedule,
  exponentialSchedule,
  lambdaSchedule,
  linearSchedule,
  type MultiStepSchedule,
  multiStep,
  multiStepSchedule,
  type OneCycleOptions,
  oneCycleMomentum,
  oneCycleSchedule,
  polynomialSchedule,
  type Schedule,
  sequentialSchedule,
  stepSchedule,
  warmupCosineSchedule,
} from "./schedules.js";
export { SGD, type SgdOptions } from "./sgd.js";
