// The toy of arXiv 2402.09050, section 4.2: a linear layer that a linear head drives to rank one.
export { drawToyData, type ToyData } from "./data.js";
export { type CountedInformation, countedInformation, type ToyNhsic, toyNhsic } from "./information.js";
export { type Matrix2, singularValueRatio, singularValues } from "./matrix.js";
export { runToy, type ToyResult } from "./run.js";
export {
  checkToySettings,
  type ToyRule,
  type ToySettings,
  ToySettingsError,
  toyDefaults,
  toyPenalties,
  toyRules,
  toyStarts,
} from "./settings.js";
export {
  concludeToy,
  type Range,
  ratioOf,
  summariseToy,
  type ToyRate,
  type ToyRow,
  type ToySummary,
} from "./summary.js";
export { comparedSteps, ToyDivergedError, type ToyRun, type ToySnapshot, toyDataOf, trainToy } from "./train.js";
