// The measures an experiment file and `stopgrad measure` can name. Adding one: a file, and a line here.
import { hsic } from "./hsic.js";
import { information } from "./information.js";
import type { Measure, PairMeasure } from "./measure.js";
import { nhsic } from "./nhsic.js";
import { probe } from "./probe.js";

export { type BatchMean, batchMean, measurePairs, type PairResult } from "./batches.js";
export {
  type LogisticRegressionFit,
  type LogisticRegressionOptions,
  logisticRegression,
} from "./logistic-regression.js";
export {
  type Measure,
  MeasureError,
  type PairMeasure,
  type ProbeMeasure,
  type SplitFeatures,
  type StreamedBatch,
  type StreamedFit,
  type StreamedMeasure,
  type StreamedStage,
  type StreamPlan,
} from "./measure.js";

/** Dependence of a representation on input and label: the ones that can be taken on arrays from anywhere. */
export const pairMeasures = { nhsic, hsic } satisfies Record<string, PairMeasure>;

export const measures = { ...pairMeasures, probe, information } satisfies Record<string, Measure>;
export type MeasureName = keyof typeof measures;
