// The information plane in numbers: what a stage's path (q_x(t), q_y(t)) does, where q_x = nHSIC(X,Z) and
// q_y = nHSIC(Y,Z). Absolute values depend on the batch they were estimated on and do not compare between stages, so
// every number here is relative to the same stage's own peak.
// Definitions: compression, retention, role differentiation and uniformity as in the project's specification (8.6);
// the courses' thresholds are ours and stand in `courseThresholds`.
import { mean, type Summary, sampleStandardDeviation, summariseKnown } from "./summary.js";

export interface TrajectoryPoint {
  /** 0 at initialisation, fractional inside an epoch. */
  epoch: number;
  value: number;
}

/** One measured number over training, epochs ascending. */
export type Trajectory = readonly TrajectoryPoint[];

/** What a trajectory does, seen from its peak. */
export type Course = "rises then falls" | "past its peak" | "still rising" | "levels off" | "falls" | "flat";

export interface CourseThresholds {
  /** Least rise to the peak, from the lowest value before it, as a fraction of the peak. */
  rise: number;
  /** Least fall from the peak to the end, as a fraction of the peak; the specification's 0.05. */
  fall: number;
  /** How much of training, counted from its end, decides whether a trajectory is still rising. */
  lastPart: number;
  /** Least gain (still rising) or loss (past its peak) in that last part, as a fraction of the peak. */
  gain: number;
}

export const courseThresholds: CourseThresholds = { rise: 0.05, fall: 0.05, lastPart: 0.25, gain: 0.005 };

/** One sentence for reports. */
export function describeThresholds(thresholds: CourseThresholds = courseThresholds): string {
  const percent = (fraction: number) => `${Number((100 * fraction).toFixed(3))} %`;
  return (
    `Of the peak value: a rise counts from ${percent(thresholds.rise)}, a fall above ${percent(thresholds.fall)}; ` +
    `without such a fall, a stage that rose is still rising if it gained ${percent(thresholds.gain)} or more in the ` +
    `last ${percent(thresholds.lastPart)} of training, past its peak if it lost as much there, else it levels off.`
  );
}

/** 1 − q(T) / max q: the part of the peak that was lost, in [0, 1] for q ≥ 0; null under two points or peak ≤ 0. */
export function compression(trajectory: Trajectory): number | null {
  const kept = retention(trajectory);
  return kept === null ? null : 1 - kept;
}

/** q(T) / max q: the part of the peak that is left at the end; null under two points or where the peak is ≤ 0. */
export function retention(trajectory: Trajectory): number | null {
  const { points, peakIndex } = peakOf(trajectory);
  const peak = points[peakIndex]?.value;
  return points.length < 2 || peak === undefined || peak <= 0 ? null : points[points.length - 1]!.value / peak;
}

/** Says what a trajectory does; null under two points or where the peak is ≤ 0. */
export function course(trajectory: Trajectory, thresholds: CourseThresholds = courseThresholds): Course | null {
  const fall = compression(trajectory);
  if (fall === null) return null;
  const { points, peakIndex } = peakOf(trajectory);
  const peak = points[peakIndex]!.value;
  const lowestBefore = Math.min(...points.slice(0, peakIndex + 1).map((point) => point.value));
  const rises = peak - lowestBefore >= thresholds.rise * peak;
  if (fall > thresholds.fall) return rises ? "rises then falls" : "falls";
  if (!rises) return "flat";
  const first = points[0]!;
  const last = points[points.length - 1]!;
  const from = last.epoch - thresholds.lastPart * (last.epoch - first.epoch);
  const gained = (last.value - valueAt(points, from)) / peak;
  if (gained >= thresholds.gain) return "still rising";
  return gained <= -thresholds.gain ? "past its peak" : "levels off";
}

/** Whether a trajectory rises to a peak and then falls by more than the threshold. */
export function risesThenFalls(trajectory: Trajectory, thresholds: CourseThresholds = courseThresholds): boolean {
  return course(trajectory, thresholds) === "rises then falls";
}

/** Whether a trajectory ends near its peak and gained in the last part of training. */
export function stillRising(trajectory: Trajectory, thresholds: CourseThresholds = courseThresholds): boolean {
  return course(trajectory, thresholds) === "still rising";
}

export interface StageTrajectories {
  stage: string;
  /** nHSIC(X,Z). */
  x: Trajectory;
  /** nHSIC(Y,Z). */
  y: Trajectory;
}

export interface StagePlaneSummary {
  stage: string;
  finalX: number | null;
  finalY: number | null;
  compressionX: number | null;
  retentionY: number | null;
  courseX: Course | null;
  courseY: Course | null;
  /** Both coordinates rise, then compression_x > 0.05 with retention_y > 0.95; null where not measured. */
  bottleneck: boolean | null;
}

/** One run's plane in numbers. */
export interface PlaneSummary {
  stages: StagePlaneSummary[];
  /** retention_y of the last stage − mean over the stages between first and last; null under three stages. */
  roleDifferentiation: number | null;
  /** Sample standard deviation over stages of compression_x: 0 when all behave alike; null under two stages. */
  uniformity: number | null;
}

/**
 * @param stages - in network order
 * @param thresholds - for the courses
 */
export function planeSummary(
  stages: readonly StageTrajectories[],
  thresholds: CourseThresholds = courseThresholds,
): PlaneSummary {
  const summaries = stages.map((stage) => stagePlaneSummary(stage, thresholds));
  const retained = summaries.map((stage) => stage.retentionY);
  const compressed = summaries.map((stage) => stage.compressionX).filter((value) => value !== null);
  const complete = retained.length >= 3 && retained.every((value) => value !== null);
  return {
    stages: summaries,
    roleDifferentiation: complete
      ? retained[retained.length - 1]! - mean(retained.slice(1, -1).map((value) => value!))
      : null,
    uniformity:
      compressed.length >= 2 && compressed.length === summaries.length ? sampleStandardDeviation(compressed) : null,
  };
}

export interface StagePlaneSummaryOverSeeds {
  stage: string;
  finalX: Summary | null;
  finalY: Summary | null;
  compressionX: Summary | null;
  retentionY: Summary | null;
  /** How many runs took which course, most frequent first. */
  coursesX: [course: Course, runs: number][];
  coursesY: [course: Course, runs: number][];
  /** Runs with the bottleneck behaviour, of the runs where it could be judged. */
  bottleneck: { runs: number; of: number };
}

export interface PlaneSummaryOverSeeds {
  stages: StagePlaneSummaryOverSeeds[];
  roleDifferentiation: Summary | null;
  uniformity: Summary | null;
}

/** Averages the summaries of runs that differ by seed; stages are matched by name, in the first run's order. */
export function planeSummaryOverSeeds(runs: readonly PlaneSummary[], level = 0.95): PlaneSummaryOverSeeds {
  const names = [...new Set(runs.flatMap((run) => run.stages.map((stage) => stage.stage)))];
  return {
    stages: names.map((name) => {
      const stages = runs.flatMap((run) => run.stages.filter((stage) => stage.stage === name));
      const judged = stages.filter((stage) => stage.bottleneck !== null);
      const over = (pick: (stage: StagePlaneSummary) => number | null) => summariseKnown(stages.map(pick), level);
      return {
        stage: name,
        finalX: over((stage) => stage.finalX),
        finalY: over((stage) => stage.finalY),
        compressionX: over((stage) => stage.compressionX),
        retentionY: over((stage) => stage.retentionY),
        coursesX: countCourses(stages.map((stage) => stage.courseX)),
        coursesY: countCourses(stages.map((stage) => stage.courseY)),
        bottleneck: { runs: judged.filter((stage) => stage.bottleneck).length, of: judged.length },
      };
    }),
    roleDifferentiation: summariseKnown(
      runs.map((run) => run.roleDifferentiation),
      level,
    ),
    uniformity: summariseKnown(
      runs.map((run) => run.uniformity),
      level,
    ),
  };
}

function stagePlaneSummary({ stage, x, y }: StageTrajectories, thresholds: CourseThresholds): StagePlaneSummary {
  const compressionX = compression(x);
  const retentionY = retention(y);
  const bottleneck =
    compressionX === null || retentionY === null
      ? null
      : rise(x) >= thresholds.rise && rise(y) >= thresholds.rise && compressionX > 0.05 && retentionY > 0.95;
  return {
    stage,
    finalX: lastValue(x),
    finalY: lastValue(y),
    compressionX,
    retentionY,
    courseX: course(x, thresholds),
    courseY: course(y, thresholds),
    bottleneck,
  };
}

/** Rise to the peak from the lowest value before it, as a fraction of the peak. */
function rise(trajectory: Trajectory): number {
  const { points, peakIndex } = peakOf(trajectory);
  const peak = points[peakIndex]!.value;
  return (peak - Math.min(...points.slice(0, peakIndex + 1).map((point) => point.value))) / peak;
}

function countCourses(courses: readonly (Course | null)[]): [Course, number][] {
  const counts = new Map<Course, number>();
  for (const one of courses) if (one !== null) counts.set(one, (counts.get(one) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}

function lastValue(trajectory: Trajectory): number | null {
  return finitePoints(trajectory).at(-1)?.value ?? null;
}

function peakOf(trajectory: Trajectory): { points: TrajectoryPoint[]; peakIndex: number } {
  const points = finitePoints(trajectory);
  let peakIndex = 0;
  points.forEach((point, index) => {
    if (point.value > points[peakIndex]!.value) peakIndex = index;
  });
  return { points, peakIndex };
}

function finitePoints(trajectory: Trajectory): TrajectoryPoint[] {
  return trajectory.filter((point) => Number.isFinite(point.value));
}

/** The value at an epoch, on the straight line between its neighbours. */
function valueAt(points: readonly TrajectoryPoint[], epoch: number): number {
  const after = points.findIndex((point) => point.epoch >= epoch);
  if (after <= 0) return points[after === 0 ? 0 : points.length - 1]!.value;
  const left = points[after - 1]!;
  const right = points[after]!;
  const part = right.epoch === left.epoch ? 1 : (epoch - left.epoch) / (right.epoch - left.epoch);
  return left.value + part * (right.value - left.value);
}
