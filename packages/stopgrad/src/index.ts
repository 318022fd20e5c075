// stopgrad as a library: what the command line is made of. Importing it loads no native code.

// What an experiment file can name
export { type Dataset, DatasetError, type DatasetName, datasets, type LoadedDataset, subset } from "./data/index.js";
export { EpochOrder, normalisationOf, normalise, type TensorSet, tensorSet } from "./data/loader.js";
// Experiments
export { loadDocument } from "./experiment/load.js";
export { moduleSizes, type Partition } from "./experiment/partition.js";
export { SettingsError } from "./experiment/problems.js";
export { registries, settingsSchema } from "./experiment/registries.js";
export type { RunSettings } from "./experiment/run-settings.js";
export { type PlannedRun, plan, type RunnerOptions, type RunOutcome, runAll } from "./experiment/runner.js";
export { type Head, type HeadName, heads, poolingFor } from "./heads/index.js";
export { type LocalLoss, type LossName, losses } from "./losses/index.js";
export {
  type BatchMean,
  batchMean,
  logisticRegression,
  type Measure,
  MeasureError,
  type MeasureName,
  measurePairs,
  measures,
  type PairMeasure,
  type ProbeMeasure,
  pairMeasures,
  probeMeasures,
  type Sample,
  type SampleMeasure,
  sampleMeasures,
} from "./measures/index.js";
export { Backbone, type Model, type ModelName, models, Stage, stageShapes } from "./models/index.js";
export { type OptimizerEntry, type OptimizerName, optimizers } from "./optimizers/index.js";
export { compareRuns, headline, type ReportRun, renderReport, writeReport } from "./report/index.js";
export { type Batch, type LearningRule, type Rule, type RuleName, rules, type StepResult } from "./rules/index.js";
export {
  bootstrapInterval,
  jackknifeInterval,
  kendallTau,
  pairedBootstrap,
  pairedDifference,
  rankCorrelation,
  rise,
  saturation,
  subsampleInterval,
  summarise,
  tInterval,
  welchDifference,
} from "./statistics/index.js";
// Results
export { openStore, type RunRecord, type Store, StoreError } from "./store/index.js";
// Measures of arrays, and the toy of collapse
export {
  type ArrayInput,
  type ArrayMeasureName,
  type LabelInput,
  type MeasuredArrays,
  type Numbers,
  type PlainArray,
  type RepresentationInput,
  type TakeMeasureOptions,
  type TakenMeasure,
  takeMeasure,
} from "./take-measure.js";
export { runToy, summariseToy, toyDefaults } from "./toy/index.js";
