// Optimizers, as `torch.optim`: one native call a step.
export { Adam, type AdamOptions, AdamW } from "./adam.js";
export { Optimizer } from "./optimizer.js";
export { type MultiStepSchedule, multiStep } from "./schedules.js";
export { SGD, type SgdOptions } from "./sgd.js";
