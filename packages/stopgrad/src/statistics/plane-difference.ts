// Two variants' information planes, number by number: does A compress more than B, keep more of the label, give its
// stages more different roles? Seed by seed where both have the seed, which takes out what initialisation and data order
// do to both alike (`difference.ts`).
import { type Difference, differenceOverSeeds, type SeededValue } from "./difference.js";
import type { PlaneSummary, StagePlaneSummary } from "./information-plane.js";

/** One run's plane in numbers, and its seed. */
export interface SeededPlaneSummary {
  seed: number;
  summary: PlaneSummary;
}

export interface StagePlaneDifference {
  stage: string;
  finalX: Difference | null;
  finalY: Difference | null;
  compressionX: Difference | null;
  retentionY: Difference | null;
}

/** a − b of every summary number; null where one side has no value of it. */
export interface PlaneDifference {
  /** Stages that both have, by name, in the order of `a`. */
  stages: StagePlaneDifference[];
  roleDifferentiation: Difference | null;
  uniformity: Difference | null;
}

/**
 * Differences of the plane's summary numbers, a − b: paired over the seeds both have where these are two or more, else
 * Welch's, else without an interval (`differenceOverSeeds`). A run without a number (null) is left out of that number.
 *
 * @param a - one run or more, each seed once
 * @param b - likewise
 * @throws RangeError for a seed that comes twice
 */
export function planeDifference(
  a: readonly SeededPlaneSummary[],
  b: readonly SeededPlaneSummary[],
  level = 0.95,
): PlaneDifference {
  const between = (pick: (summary: PlaneSummary) => number | null | undefined) => {
    const valuesA = known(a, pick);
    const valuesB = known(b, pick);
    return valuesA.length === 0 || valuesB.length === 0 ? null : differenceOverSeeds(valuesA, valuesB, level);
  };
  return {
    stages: sharedStages(a, b).map((stage) => {
      const of = (pick: (summary: StagePlaneSummary) => number | null) =>
        between(({ stages }) => {
          const found = stages.find((one) => one.stage === stage);
          return found && pick(found);
        });
      return {
        stage,
        finalX: of((summary) => summary.finalX),
        finalY: of((summary) => summary.finalY),
        compressionX: of((summary) => summary.compressionX),
        retentionY: of((summary) => summary.retentionY),
      };
    }),
    roleDifferentiation: between((summary) => summary.roleDifferentiation),
    uniformity: between((summary) => summary.uniformity),
  };
}

function known(
  runs: readonly SeededPlaneSummary[],
  pick: (summary: PlaneSummary) => number | null | undefined,
): SeededValue[] {
  return runs.flatMap(({ seed, summary }) => {
    const value = pick(summary);
    return typeof value === "number" && Number.isFinite(value) ? [{ seed, value }] : [];
  });
}

function sharedStages(a: readonly SeededPlaneSummary[], b: readonly SeededPlaneSummary[]): string[] {
  const names = (runs: readonly SeededPlaneSummary[]) =>
    new Set(runs.flatMap(({ summary }) => summary.stages.map(({ stage }) => stage)));
  const inB = names(b);
  return [...names(a)].filter((stage) => inB.has(stage));
}
