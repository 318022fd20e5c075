// Estimators of mutual information, and what is known to hold them against.
export { binning } from "./binning.js";
export {
  CALIBRATION_CLASSES,
  type CalibrationPair,
  type CalibrationPlan,
  type CalibrationResult,
  calibrate,
  calibrationTasks,
  toleranceOf,
} from "./calibration.js";
export { estimators } from "./estimators.js";
export {
  classInformation,
  correlatedGaussians,
  correlationFor,
  gaussianInformation,
  quantileLabels,
} from "./gaussian.js";
export { infoNce } from "./info-nce.js";
export { ksg } from "./ksg.js";
export { labelBound } from "./label-bound.js";
export { mine } from "./mine.js";
export type { EstimatorName } from "./names.js";
