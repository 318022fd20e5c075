// The measures an experiment file and `stopgrad measure` can name. Adding one: a file, and a line here; an estimator of
// mutual information has its line in mutual-information/estimators.ts.
import { cka } from "./cka.js";
import { entanglement } from "./entanglement.js";
import { geometry } from "./geometry.js";
import { hsic } from "./hsic.js";
import { information } from "./information.js";
import { knn } from "./knn.js";
import type { Measure, PairMeasure, ProbeMeasure, SampleMeasure } from "./measure.js";
import { mlpProbe } from "./mlp-probe.js";
import { estimators } from "./mutual-information/index.js";
import { nhsic } from "./nhsic.js";
import { probe } from "./probe.js";

export { type BatchMean, batchMean, batchTerms, measurePairs, type PairResult, pooledMean } from "./batches.js";
export {
  type FullSetMeasure,
  type FullSetOptions,
  type FullSetResult,
  fullSet,
  fullSetMeasures,
  fullSetOptions,
  refusedOfFullSet,
} from "./full-set.js";
export {
  type LogisticRegressionFit,
  type LogisticRegressionOptions,
  logisticRegression,
} from "./logistic-regression.js";
export {
  type ExpectedSample,
  type Finding,
  type FindingKey,
  type Measure,
  MeasureError,
  type PairMeasure,
  type ProbeFit,
  type ProbeMeasure,
  type RefusedOption,
  type Sample,
  type SampleMeasure,
  type SplitFeatures,
  type StreamedBatch,
  type StreamedFit,
  type StreamedMeasure,
  type StreamedStage,
  type StreamPlan,
} from "./measure.js";

/** Dependence on input and label, means over mini-batches. */
export const pairMeasures = { nhsic, hsic, cka } satisfies Record<string, PairMeasure>;

/** Classifiers that are fitted on training representations and scored on both splits. */
export const probeMeasures = { probe, "mlp-probe": mlpProbe, knn } satisfies Record<string, ProbeMeasure>;

/** Measures of a whole set of samples. */
export const sampleMeasures = {
  entanglement,
  geometry,
  ...estimators,
} satisfies Record<string, SampleMeasure>;

export const measures = {
  ...pairMeasures,
  ...probeMeasures,
  ...sampleMeasures,
  information,
} satisfies Record<string, Measure>;
export type MeasureName = keyof typeof measures;
