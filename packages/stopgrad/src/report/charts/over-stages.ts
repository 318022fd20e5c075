// One quantity over depth: a panel with a line a variant, mean over seeds and its 95 % interval at each stage.
import { type Interval, summariseKnown } from "../../statistics/index.js";
import type { StageSummary } from "../../store/records.js";
import { readableDomain } from "../chart-data.js";
import type { Comparison } from "../comparison.js";
import { hasShapes, type Look, shapeScale, variantFields, variantScale } from "./colours.js";
import { positionAxis, scaled, significant } from "./numbers.js";

export interface Quantity {
  /** Of the panel. */
  readonly title: string;
  readonly pick: (stage: StageSummary) => number | null | undefined;
  readonly times: number;
  readonly possible: Interval;
}

/** A point a variant and stage where a run has a value: mean over seeds and its interval. */
export function pointsOf({ variants }: Comparison, stages: readonly string[], { pick, times, possible }: Quantity) {
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

/** One quantity over the stages, a line a variant. */
export function panelOf(
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
  const range = readableDomain(points, possible);
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

/** Names as a list in the charting library's expressions, whose strings are JavaScript's of before 2019. */
function literal(names: readonly string[]): string {
  return JSON.stringify(names).replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
}
