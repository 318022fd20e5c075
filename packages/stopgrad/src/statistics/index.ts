// Statistics over seeds and of the information plane. Plain numbers in and out: also runs in a browser.
export { bcaInterval } from "./bca.js";
export {
  type BootstrapDifference,
  type BootstrapInterval,
  type BootstrapMethod,
  type BootstrapOptions,
  bootstrapInterval,
  bootstrapStatistic,
  type IntervalMethod,
  pairedBootstrap,
  pairedBootstrapStatistic,
} from "./bootstrap.js";
export {
  type BatchValues,
  type Conclusion,
  describeVerdicts,
  FEWEST_BATCHES,
  orderConclusions,
  type PathValues,
  planeConclusions,
  type SettingFinding,
  type VariantPaths,
  type Verdict,
} from "./conclusions.js";
export {
  type Difference,
  differenceOverSeeds,
  overSharedOnly,
  pairedDifference,
  type SeededValue,
  welchDifference,
} from "./difference.js";
export {
  type Course,
  type CourseThresholds,
  compression,
  course,
  courseThresholds,
  describeThresholds,
  type PlaneSummary,
  type PlaneSummaryOverSeeds,
  planeSummary,
  planeSummaryOverSeeds,
  retention,
  risesThenFalls,
  type StagePlaneSummary,
  type StagePlaneSummaryOverSeeds,
  type StageTrajectories,
  stillRising,
  type Trajectory,
  type TrajectoryPoint,
} from "./information-plane.js";
export { jackknifeInterval } from "./jackknife.js";
export { normalCumulative, normalQuantile } from "./normal.js";
export {
  type PlaneDifference,
  planeDifference,
  type SeededPlaneSummary,
  type StagePlaneDifference,
} from "./plane-difference.js";
export { kendallTau, spearmanRho } from "./rank-agreement.js";
export { type RankCorrelation, type RankCorrelationOptions, rankCorrelation, ranks } from "./rank-correlation.js";
export { meanOf, percentileInterval, type ResampledStatistic } from "./resampling.js";
export { type Rise, type RiseOverSeeds, rise, riseOverSeeds, saturation, saturationOverSeeds } from "./saturation.js";
export { tCumulative, tQuantile } from "./student-t.js";
export { type SubsampleInterval, type SubsampleOptions, subsampleInterval } from "./subsampling.js";
export {
  type Interval,
  mean,
  type Summary,
  sampleStandardDeviation,
  summarise,
  summariseKnown,
  tInterval,
} from "./summary.js";
