// The information plane in numbers.
import {
  type Course,
  courseThresholds,
  describeThresholds,
  type PlaneSummaryOverSeeds,
  planeSummary,
  planeSummaryOverSeeds,
} from "../../statistics/index.js";
import { type Comparison, planeBatch, trajectory, type Variant } from "../comparison.js";
import { formatFixed, nothing } from "../format.js";
import { type Cell, type Table, textCell } from "../table.js";
import { intervalCell, intervalFields, spreadCell, spreadFields } from "./cells.js";

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
          spreadCell(row.compressionX, (value) => formatFixed(value, 3)),
          spreadCell(row.retentionY, (value) => formatFixed(value, 3)),
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
    columns: [
      { title: "stage", align: "left", fields: ["stage"] },
      { title: "variant", align: "left", fields: ["variant"] },
      { title: "nHSIC(X,Z)", unit: "last epoch", align: "right", fields: spreadFields("nhsicXZ") },
      { title: "nHSIC(Y,Z)", unit: "last epoch", align: "right", fields: spreadFields("nhsicYZ") },
      { title: "m", align: "right", fields: ["batch"] },
      { title: "compression of X", align: "right", fields: spreadFields("compressionX") },
      { title: "retention of Y", align: "right", fields: spreadFields("retentionY") },
      { title: "nHSIC(X,Z)", unit: "course", align: "left", fields: ["courseX"] },
      { title: "nHSIC(Y,Z)", unit: "course", align: "left", fields: ["courseY"] },
      { title: "bottleneck", unit: "seeds", align: "right", fields: ["bottleneckRuns", "bottleneckOf"] },
    ],
    rows,
    notes: [
      "m: the mini-batch on which nHSIC is estimated; values depend on it. Compression of X: 1 − final / highest " +
        "nHSIC(X,Z); noise biases it slightly upwards, because the highest is a maximum over noisy points. Retention of Y: final / highest nHSIC(Y,Z). Bottleneck: both rise, then compression of X is above " +
        `${courseThresholds.fall} with retention of Y above 0.95. Mean ± sample standard deviation over seeds.`,
      `Course, judged for each seed. ${describeThresholds()}`,
    ],
  };
}

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
    columns: [
      { title: "variant", align: "left", fields: ["variant"] },
      {
        title: "role differentiation",
        unit: "[95 %]",
        align: "right",
        fields: intervalFields("roleDifferentiation"),
      },
      { title: "spread of compression", unit: "[95 %]", align: "right", fields: intervalFields("uniformity") },
    ],
    rows,
    notes: [
      "Role differentiation: retention of Y in the last stage minus its mean over the stages between first and last. " +
        "Spread of compression: standard deviation over stages of the compression of X; 0 where all stages behave alike.",
    ],
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
      summary: planeSummaryOverSeeds(
        variant.drawn.map((run) =>
          planeSummary(
            comparison.stages
              .map((stage) => ({
                stage,
                x: trajectory(run, "nhsicXZ", stage),
                y: trajectory(run, "nhsicYZ", stage),
              }))
              .filter(({ x, y }) => x.length > 0 || y.length > 0),
          ),
        ),
      ),
    }))
    .filter(({ summary }) => summary.stages.length > 0);
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
