// Every measure that has no chart of its own, over depth at the end of training: entanglement, geometry, nearest neighbours,
// mutual information and what else a run observed.
import type { Interval } from "../../statistics/index.js";
import { type Comparison, mergeOrder } from "../comparison.js";
import { inWords } from "../measure-names.js";
import type { Chart } from "./chart.js";
import { looksOf } from "./colours.js";
import { grid, topLevel } from "./look.js";
import { panelOf, pointsOf } from "./over-stages.js";

const COLUMNS = 3;

const anything: Interval = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];

/** A panel a measure; null where no run has one. */
export function measuresChart(comparison: Comparison): Chart | null {
  const stages = stagesOf(comparison);
  const looks = looksOf(comparison, comparison.variants);
  const drawn = measuredKeys(comparison)
    .map((key) => ({
      title: inWords(key),
      pick: (stage: { measures?: Readonly<Record<string, number | null>> }) => stage.measures?.[key],
      times: 1,
      possible: anything,
    }))
    .map((quantity) => ({ quantity, points: pointsOf(comparison, stages, quantity) }))
    .filter(({ points }) => points.length > 0);
  if (drawn.length === 0) return null;
  const columns = Math.min(COLUMNS, drawn.length);
  const width = columns === 1 ? Math.max(300, Math.min(880, 60 * stages.length)) : Math.floor(880 / columns);
  const panels = drawn.map(({ quantity, points }, at) =>
    panelOf(quantity, points, { stages, looks, width, isLast: at >= drawn.length - columns }),
  );
  const severalSeeds = drawn.some(({ points }) => points.some(({ n }) => n > 1));
  const scales = { color: "shared", shape: "shared" };
  return {
    name: "measures",
    title: "Measures of the representations",
    caption:
      "Depth from left to right, each measure when it was last taken." +
      (severalSeeds ? " Mean over seeds; vertical lines: its 95 % interval, cut off at the panel's edge." : ""),
    spec: topLevel([grid(panels, columns, scales)], scales),
  };
}

/** Keys of measures that some run has, in the order in which they were taken. */
export function measuredKeys({ variants }: Comparison): string[] {
  return mergeOrder(
    variants.flatMap(({ completed }) =>
      completed.flatMap(({ record }) => record.summary!.stages.map(({ measures }) => Object.keys(measures ?? {}))),
    ),
  );
}

/** Stages with such a measure, in network order. */
export function stagesOf({ variants }: Comparison): string[] {
  const lists = variants.flatMap(({ completed }) =>
    completed.slice(0, 1).map(({ record }) => ({
      all: record.summary!.stages.map(({ name }) => name),
      measured: record.summary!.stages.filter(({ measures }) => measures !== undefined).map(({ name }) => name),
    })),
  );
  const measured = new Set(lists.flatMap((list) => list.measured));
  return mergeOrder(lists.map(({ all }) => all)).filter((stage) => measured.has(stage));
}
