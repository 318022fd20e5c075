// What is left of the label and of the image at each depth: how well small networks read them from a stage's output, and
// beside it nHSIC, where that was measured.
import type { StageSummary } from "../../store/records.js";
import { type Comparison, mergeOrder, planeBatch } from "../comparison.js";
import { joinWords } from "../format.js";
import type { Chart } from "./chart.js";
import { looksOf } from "./colours.js";
import { grid, topLevel } from "./look.js";
import { notNegative, percentages } from "./numbers.js";
import { linesSentence, panelOf, pointsOf, type Quantity } from "./over-stages.js";

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
      linesSentence(everything.flatMap(({ points }) => points)),
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
