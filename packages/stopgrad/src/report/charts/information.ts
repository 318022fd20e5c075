// What is left of the label and of the image at each depth: how well small networks read them from a stage's output, and
// beside it nHSIC, where that was measured.
import type { Interval } from "../../statistics/index.js";
import { summariseKnown } from "../../statistics/index.js";
import type { StageSummary } from "../../store/records.js";
import { domain } from "../chart-data.js";
import { type Comparison, mergeOrder, planeBatch } from "../comparison.js";
import { joinWords } from "../format.js";
import type { Chart } from "./chart.js";
import { hasShapes, type Look, looksOf, shapeScale, variantFields, variantScale } from "./colours.js";
import { grid, topLevel } from "./look.js";
import { notNegative, percentages, positionAxis, scaled, significant } from "./numbers.js";

interface Quantity {
  /** Of the panel. */
  readonly title: string;
  readonly pick: (stage: StageSummary) => number | null | undefined;
  readonly times: number;
  readonly possible: Interval;
}

/** Of the label above, of the image below. */
const quantities: readonly (readonly Quantity[])[] = [
  [
    {
      title: "Label: accuracy of a classifier (%)",
      pick: (stage) => stage.informationAccuracy,
      times: 100,
      possible: percentages,
    },
    { title: "Label: nHSIC(Y,Z)", pick: (stage) => stage.nhsicYZ, times: 1, possible: notNegative },
  ],
  [
    {
      title: "Image: error of a decoder (nats)",
      pick: (stage) => stage.reconstructionError,
      times: 1,
      possible: notNegative,
    },
    { title: "Image: nHSIC(X,Z)", pick: (stage) => stage.nhsicXZ, times: 1, possible: notNegative },
  ],
];

/** Label and image information over depth, a line a variant; null where it was not measured. */
export function informationChart(comparison: Comparison): Chart | null {
  const stages = measuredStages(comparison);
  if (stages.length === 0) return null;
  const looks = looksOf(comparison, comparison.variants);
  const drawn = quantities.map((row) =>
    row
      .map((quantity) => ({ quantity, points: pointsOf(comparison, stages, quantity) }))
      .filter(({ points }) => points.length > 0),
  );
  const columns = Math.max(...drawn.map((row) => row.length));
  const width = columns === 1 ? Math.max(300, Math.min(880, 60 * stages.length)) : 470;
  const panels = drawn.flatMap((row, at) =>
    row.map(({ quantity, points }) =>
      panelOf(quantity, points, { stages, looks, width, isLast: at === drawn.length - 1 }),
    ),
  );
  const everything = drawn.flat();
  const severalSeeds = everything.some(({ points }) => points.some(({ n }) => n > 1));
  const batches = [...new Set(comparison.variants.map(planeBatch).filter((batch) => batch !== null))];
  const scales = { color: "shared", shape: "shared" };
  return {
    name: "information",
    title: "What the modules keep",
    caption:
      "Depth from left to right, at the end of training. Above, of the label: test accuracy of a small classifier trained on " +
      "the stage's frozen output. Below, of the image: error of a small decoder trained on it (binary cross-entropy for each " +
      "pixel and channel; lower is more information)." +
      (columns > 1 && batches.length > 0
        ? ` At the right the same by nHSIC, on mini-batches of m = ${joinWords(batches.map(String))}.`
        : "") +
      (severalSeeds ? " Mean over seeds; vertical lines: its 95 % interval, cut off at the panel's edge." : ""),
    spec: topLevel([grid(panels, columns, scales)], scales),
  };
}

/** Stages at which a classifier or a decoder was trained, in network order. */
function measuredStages({ variants }: Comparison): string[] {
  const isMeasured = ({ informationAccuracy, reconstructionError }: StageSummary) =>
    informationAccuracy != null || reconstructionError != null;
  const lists = variants.flatMap(({ completed }) =>
    completed.slice(0, 1).map(({ record }) => ({
      all: record.summary!.stages.map(({ name }) => name),
      measured: record.summary!.stages.filter(isMeasured).map(({ name }) => name),
    })),
  );
  const measured = new Set(lists.flatMap((list) => list.measured));
  // The order of all stages: variants may have been measured at different ones.
  return mergeOrder(lists.map(({ all }) => all)).filter((stage) => measured.has(stage));
}

function pointsOf({ variants }: Comparison, stages: readonly string[], { pick, times, possible }: Quantity) {
  const apart = Math.min(0.06, 0.6 / variants.length); // side by side, so that no interval hides another
  return variants.flatMap((variant, at) =>
    stages.flatMap((stage, depth) => {
      const values = variant.completed.map(({ record }) => {
        const summary = record.summary!.stages.find(({ name }) => name === stage);
        return summary && pick(summary);
      });
      const summary = summariseKnown(values);
      if (summary === null) return [];
      const position = significant(depth + apart * (at - (variants.length - 1) / 2));
      return [{ ...variantFields(variant), stage, position, ...scaled(summary, times, possible) }];
    }),
  );
}

function panelOf(
  { title, possible }: Quantity,
  points: ReturnType<typeof pointsOf>,
  {
    stages,
    looks,
    width,
    isLast,
  }: { stages: readonly string[]; looks: readonly Look[]; width: number; isLast: boolean },
): object {
  const height = 200;
  const range = rangeOf(points, possible);
  const x = {
    field: "position",
    type: "quantitative",
    scale: { domain: [-0.45, stages.length - 0.55], nice: false, zero: false },
    title: isLast ? "stage" : null,
    axis: {
      values: stages.map((_, depth) => depth),
      labelExpr: `${literal(stages)}[datum.value]`,
      labelAngle: stages.length > 6 ? -40 : 0,
      labelLimit: 130,
      labelOverlap: false,
      grid: false,
    },
  };
  const y = positionAxis("mean", range, height, 5, null);
  const color = variantScale(looks);
  const shape = hasShapes(looks) ? { shape: shapeScale(looks) } : {};
  return {
    title: { text: title },
    width,
    height,
    data: { values: points },
    layer: [
      {
        transform: [{ filter: "datum.n > 1" }],
        mark: { type: "rule", strokeWidth: 1.5, opacity: 0.5, clip: true },
        encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color },
      },
      {
        mark: { type: "line", strokeWidth: 2 },
        encoding: { x, y, color },
      },
      {
        mark: hasShapes(looks)
          ? { type: "point", filled: true, size: 60, opacity: 1 }
          : { type: "circle", size: 45, opacity: 1 },
        encoding: {
          x,
          y,
          color,
          ...shape,
          tooltip: [
            { field: "variant", title: "variant" },
            { field: "stage", title: "stage" },
            { field: "mean", title, format: ".4~g" },
            { field: "low", title: "95 % from", format: ".4~g" },
            { field: "high", title: "to", format: ".4~g" },
            { field: "n", title: "seeds" },
          ],
        },
      },
    ],
  };
}

/**
 * A range that holds every mean, and of the intervals as much as leaves the lines readable: with two seeds they are many
 * times as wide as what the lines differ in.
 */
function rangeOf(points: readonly { mean: number; low: number; high: number }[], possible: Interval): Interval {
  const means = domain(
    points.map(({ mean }) => mean),
    0.5,
    possible,
  );
  const everything = domain(
    points.flatMap(({ mean, low, high }) => [mean, low, high]),
    undefined,
    possible,
  );
  return [Math.max(means[0], everything[0]), Math.min(means[1], everything[1])];
}

/** Names as a list in the charting library's expressions, whose strings are JavaScript's of before 2019. */
function literal(names: readonly string[]): string {
  return JSON.stringify(names).replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
}
