// Every estimator of mutual information, by the name that commands and experiment files call it. Adding one: a file, and a
// line here and in names.ts.
import type { SampleMeasure } from "../measure.js";
import { binning } from "./binning.js";
import { infoNce } from "./info-nce.js";
import { ksg } from "./ksg.js";
import { labelBound } from "./label-bound.js";
import { mine } from "./mine.js";
import type { EstimatorName } from "./names.js";

export const estimators = {
  mine,
  "info-nce": infoNce,
  ksg,
  binning,
  "label-bound": labelBound,
} satisfies Record<EstimatorName, SampleMeasure>;
