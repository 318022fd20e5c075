// The information plane in numbers.
import {
  type Course,
  courseThresholds,
  type Difference,
  describeThresholds,
  type PlaneSummary,
  type PlaneSummaryOverSeeds,
  planeDifference,
  planeSummary,
  planeSummaryOverSeeds,
  type SeededPlaneSummary,
  type Summary,
} from "../../statistics/index.js";
import { type Comparison, planeBatch, type ReportRun, trajectory, type Variant } from "../comparison.js";
import { formatFixed, formatSignificant, nothing, signed } from "../format.js";
import { type Cell, type Column, type Table, textCell } from "../table.js";
import {
  intervalCell,
  intervalFields,
  spreadCell,
  spreadFields,
  WITH_INTERVAL,
  withUnitsOfIntervals,
} from "./cells.js";
import { hasNoSpread } from "./references.js";

/** A row a stage and variant: where the path ends and what it did on the way. */
export function planeTable(comparison: Comparison): Table {
  const summaries = planeSummaries(comparison);
  const rows = comparison.stages.flatMap((stage) =>
    summaries.flatMap(({ variant, batch, summary }): Cell[][] => {
      const row = summary.stages.find((candidate) => candidate.stage === stage);
      if (row === undefined || (row.finalX === null && row.finalY === null)) return [];
      return [
        [
          textCell(stage),
          textCell(variant.label),
          spreadCell(row.finalX, (value) => formatFixed(value, 2)),
          spreadCell(row.finalY, (value) => formatFixed(value, 3)),
          { text: batch === null ? nothing : String(batch), data: [batch] },
          intervalCell(asShare(row.compressionX)),
          intervalCell(asShare(row.retentionY)),
          coursesCell(row.coursesX),
          coursesCell(row.coursesY),
          {
            text: row.bottleneck.of === 0 ? nothing : `${row.bottleneck.runs} of ${row.bottleneck.of}`,
            data: [row.bottleneck.of === 0 ? null : row.bottleneck.runs, row.bottleneck.of],
          },
        ],
      ];
    }),
  );
  return {
    name: "information-plane",
    title: "Information plane: where each stage ends and what it did on the way",
    columns: withUnitsOfIntervals(
      [
        { title: "stage", align: "left", fields: ["stage"] },
        { title: "variant", align: "left", fields: ["variant"] },
        { title: "nHSIC(X,Z)", unit: "last epoch", align: "right", fields: spreadFields("nhsicXZ") },
        { title: "nHSIC(Y,Z)", unit: "last epoch", align: "right", fields: spreadFields("nhsicYZ") },
        { title: "m", align: "right", fields: ["batch"] },
        { title: "compression of X", unit: WITH_INTERVAL, align: "right", fields: intervalFields("compressionX") },
        { title: "retention of Y", unit: WITH_INTERVAL, align: "right", fields: intervalFields("retentionY") },
        { title: "nHSIC(X,Z)", unit: "course", align: "left", fields: ["courseX"] },
        { title: "nHSIC(Y,Z)", unit: "course", align: "left", fields: ["courseY"] },
        { title: "bottleneck", unit: "seeds", align: "right", fields: ["bottleneckRuns", "bottleneckOf"] },
      ],
      rows,
    ),
    rows,
    notes: [
      "m: the mini-batch on which nHSIC is estimated; values depend on it. Compression of X: 1 − final / highest " +
        "nHSIC(X,Z); noise biases it slightly upwards, because the highest is a maximum over noisy points. Retention of Y: final / highest nHSIC(Y,Z). Bottleneck: both rise, then compression of X is above " +
        `${courseThresholds.fall} with retention of Y above 0.95. nHSIC: mean ± sample standard deviation over seeds; the others: mean with its 95 % interval.`,
      `Course, judged for each seed. ${describeThresholds()}`,
    ],
  };
}

/** Columns of what is said of all stages together. */
const acrossStages: readonly Column[] = [
  { title: "role differentiation", unit: WITH_INTERVAL, align: "right", fields: intervalFields("roleDifferentiation") },
  { title: "spread of compression", unit: WITH_INTERVAL, align: "right", fields: intervalFields("uniformity") },
];

/** A row a variant: how much its stages differ in what they do. */
export function planeOverStagesTable(comparison: Comparison): Table {
  const rows = planeSummaries(comparison)
    .filter(({ summary }) => summary.roleDifferentiation !== null || summary.uniformity !== null)
    .map(({ variant, summary }): Cell[] => [
      textCell(variant.label),
      intervalCell(summary.roleDifferentiation),
      intervalCell(summary.uniformity),
    ]);
  return {
    name: "plane-over-stages",
    title: "Do the stages take different roles?",
    columns: withUnitsOfIntervals([{ title: "variant", align: "left", fields: ["variant"] }, ...acrossStages], rows),
    rows,
    notes: [
      "Role differentiation: retention of Y in the last stage minus its mean over the stages between first and last. " +
        "Spread of compression: standard deviation over stages of the compression of X; 0 where all stages behave alike.",
    ],
  };
}

/** A row a stage and variant with a reference: summary numbers less the reference's; the last row of a variant is of all stages. */
export function planeDifferencesTable(comparison: Comparison): Table {
  const shown: Difference[] = [];
  const rows = comparison.variants.flatMap((variant): Cell[][] => {
    const { reference } = variant;
    if (reference === null) return [];
    const { stages, roleDifferentiation, uniformity } = planeDifference(
      seededPlanes(variant, comparison.stages),
      seededPlanes(reference, comparison.stages),
    );
    const row = (stage: string, differences: readonly (Difference | null)[]) => {
      shown.push(...differences.filter((difference) => difference !== null));
      return [textCell(variant.label), textCell(reference.label), textCell(stage), ...differences.map(differenceCell)];
    };
    const perStage = stages
      .filter(({ compressionX, retentionY }) => compressionX !== null || retentionY !== null)
      .map(({ stage, compressionX, retentionY }) => row(stage, [compressionX, retentionY, null, null]));
    const hasRoles = roleDifferentiation !== null || uniformity !== null;
    return [...perStage, ...(hasRoles ? [row("all", [null, null, roleDifferentiation, uniformity])] : [])];
  });
  return {
    name: "plane-differences",
    title: "Differences in the information plane",
    columns: withUnitsOfIntervals(
      [
        { title: "variant", align: "left", fields: ["variant"] },
        { title: "less", align: "left", fields: ["reference"] },
        { title: "stage", align: "left", fields: ["stage"] },
        { title: "compression of X", unit: WITH_INTERVAL, align: "right", fields: intervalFields("compressionX") },
        { title: "retention of Y", unit: WITH_INTERVAL, align: "right", fields: intervalFields("retentionY") },
        ...acrossStages,
      ],
      rows,
    ),
    rows,
    notes: [
      "Paired over the seeds that both have, where these are two or more; in brackets the 95 % interval." +
        whyWithoutInterval(shown),
    ],
  };
}

/** Why numbers stand without an interval, sentences; empty where all have one. */
function whyWithoutInterval(differences: readonly Difference[]): string {
  const without = differences.filter(({ interval }) => interval === null);
  const equal = without.some(hasNoSpread);
  const few = without.some((difference) => !hasNoSpread(difference));
  return (
    (equal
      ? " No interval where the seeds' differences, or the values on both sides, are equal: no spread to judge by."
      : "") + (few ? " No interval where there are too few seeds for one." : "")
  );
}

function seededPlanes(variant: Variant, stages: readonly string[]): SeededPlaneSummary[] {
  return variant.drawn.map((run) => ({ seed: run.record.seed, summary: planeOf(run, stages) }));
}

function differenceCell(difference: Difference | null): Cell {
  const format = (value: number) => signed(value, (size) => formatSignificant(size, 3));
  const interval = difference?.interval ?? null;
  const text = difference === null ? nothing : format(difference.difference);
  return {
    text: interval === null ? text : `${text} [${interval.map(format).join(", ")}]`,
    data: [difference?.difference ?? null, interval?.[0] ?? null, interval?.[1] ?? null],
  };
}

/** The plane in numbers for each variant that measured it, stages in network order. */
export function planeSummaries(
  comparison: Comparison,
): { variant: Variant; batch: number | null; summary: PlaneSummaryOverSeeds }[] {
  return comparison.variants
    .map((variant) => ({
      variant,
      batch: planeBatch(variant),
      summary: planeSummaryOverSeeds(variant.drawn.map((run) => planeOf(run, comparison.stages))),
    }))
    .filter(({ summary }) => summary.stages.length > 0);
}

/** An interval of a share goes no further than a share can. */
function asShare(summary: Summary | null): Summary | null {
  if (!summary?.interval) return summary;
  const [low, high] = summary.interval;
  return { ...summary, interval: [Math.max(0, low), Math.min(1, high)] };
}

/** One run's plane, of the stages that were measured. */
function planeOf(run: ReportRun, stages: readonly string[]): PlaneSummary {
  return planeSummary(
    stages
      .map((stage) => ({ stage, x: trajectory(run, "nhsicXZ", stage), y: trajectory(run, "nhsicYZ", stage) }))
      .filter(({ x, y }) => x.length > 0 || y.length > 0),
  );
}

/** `rises then falls`, or `rises then falls (2 of 3)` where seeds disagree. */
export function describeCourses(courses: readonly (readonly [Course, number])[]): string {
  const total = courses.reduce((sum, [, runs]) => sum + runs, 0);
  if (courses.length === 0) return nothing;
  if (courses.length === 1) return courses[0]![0];
  return courses.map(([name, runs]) => `${name} (${runs}\u00a0of\u00a0${total})`).join(", ");
}

function coursesCell(courses: readonly (readonly [Course, number])[]): Cell {
  const text = describeCourses(courses);
  return { text, data: [courses.length === 0 ? null : text.replaceAll("\u00a0", " ")] };
}
