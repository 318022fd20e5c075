// One quantity over depth: a panel with a line a variant, mean over seeds and its 95 % interval at each stage.
import { type Interval, summariseKnown } from "../../statistics/index.js";
import type { StageSummary } from "../../store/records.js";
import { readableDomain } from "../chart-data.js";
import type { Comparison } from "../comparison.js";
import { hasShapes, type Look, shapeScale, variantFields, variantScale } from "./colours.js";
import { keyOf } from "./look.js";
import { positionAxis, scaled, significant } from "./numbers.js";

export interface Quantity {
  /** Of the panel. */
  readonly title: string;
  /** Of the axis up, where the title does not say it. */
  readonly unit?: string | null;
  readonly pick: (stage: StageSummary) => number | null | undefined;
  readonly times: number;
  readonly possible: Interval;
}

/** A point a variant and stage where a run has a value: mean over seeds and its interval. */
export function pointsOf({ variants }: Comparison, stages: readonly string[], { pick, times, possible }: Quantity) {
  return variants.flatMap((variant, at) =>
    stages.flatMap((stage, depth) => {
      const values = variant.completed.map(({ record }) => {
        const summary = record.summary!.stages.find(({ name }) => name === stage);
        return summary && pick(summary);
      });
      const numbers = overSeeds(values, times, possible);
      if (numbers === null) return [];
      return [{ ...variantFields(variant), stage, position: besideOthers(depth, at, variants.length), ...numbers }];
    }),
  );
}

/**
 * The mean over seeds with its interval, and from where to where a vertical line stands for it: over the interval, of two
 * seeds from one to the other, because their interval is many times as wide. Null where no run has a value.
 */
export function overSeeds(values: readonly (number | null | undefined)[], times: number, possible: Interval) {
  const summary = summariseKnown(values);
  if (summary === null) return null;
  const numbers = scaled(summary, times, possible);
  if (summary.n !== 2) return { ...numbers, from: numbers.low, to: numbers.high };
  const both = values.filter((value): value is number => typeof value === "number" && Number.isFinite(value));
  const [from, to] = both.map((value) => significant(times * value)).sort((a, b) => a - b);
  return { ...numbers, from: from!, to: to! };
}

/** A range that holds the means and what is readable of the vertical lines. */
export function rangeOf(points: readonly { mean: number; from: number; to: number }[], possible: Interval): Interval {
  return readableDomain(
    points.map(({ mean, from, to }) => ({ mean, low: from, high: to })),
    possible,
  );
}

/** Says what the vertical lines are; empty where there is one seed each. @param whose - the interval's */
export function linesSentence(points: readonly { n: number }[], whose = "its"): string {
  const seeds = points.map(({ n }) => n);
  if (seeds.every((n) => n < 2)) return "";
  const both = "from one seed to the other";
  if (seeds.every((n) => n <= 2)) return ` Mean over seeds; vertical lines: ${both}.`;
  const two = seeds.includes(2) ? `, of two seeds ${both}` : "";
  return ` Mean over seeds; vertical lines: ${whose} 95 % interval${two}, cut off at the panel's edge.`;
}

/** Where a variant's point of a stage stands across: beside those of the others, so that no interval hides another. */
export function besideOthers(depth: number, variant: number, variants: number): number {
  const apart = Math.min(0.06, 0.6 / variants);
  return significant(depth + apart * (variant - (variants - 1) / 2));
}

/** The stages across, in network order; points stand at their `position`. */
export function stageAxis(stages: readonly string[], title: string | null) {
  return {
    field: "position",
    type: "quantitative",
    scale: { domain: [-0.45, stages.length - 0.55], nice: false, zero: false },
    title,
    axis: {
      values: stages.map((_, depth) => depth),
      labelExpr: `slice(${literal(stages.map(keyOf))}[datum.value], 1)`,
      labelAngle: stages.length > 6 ? -40 : 0,
      labelLimit: 130,
      labelOverlap: false,
      grid: false,
    },
  };
}

/** One quantity over the stages, a line a variant. */
export function panelOf(
  { title, unit = null, possible }: Quantity,
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
  const x = stageAxis(stages, isLast ? "stage" : null);
  const y = positionAxis("mean", range, height, 5, unit);
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
        encoding: { x, y: { ...y, field: "from" }, y2: { field: "to" }, color },
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

/** Names as a list in the charting library's expressions, whose strings are JavaScript's of before 2019. */
function literal(names: readonly string[]): string {
  return JSON.stringify(names).replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
}
