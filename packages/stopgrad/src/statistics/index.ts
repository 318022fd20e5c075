// Statistics over seeds and of the information plane. Plain numbers in and out: also runs in a browser.
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
export { tCumulative, tQuantile } from "./student-t.js";
export {
  type Interval,
  mean,
  type Summary,
  sampleStandardDeviation,
  summarise,
  summariseKnown,
  tInterval,
} from "./summary.js";
