// Accuracy of a linear probe over stages.
import { summariseKnown } from "../../statistics/index.js";
import { type Comparison, mergeOrder } from "../comparison.js";
import type { Chart } from "./chart.js";
import { hasShapes, looksOf, shapeScale, splitScale, variantFields, variantScale } from "./colours.js";
import { keyOf, labelExpr, topLevel } from "./look.js";
import { percentages, scaled } from "./numbers.js";

/** Accuracy of a linear probe on each stage at the last epoch it was taken; null where none was. */
export function linearSeparabilityChart(comparison: Comparison): Chart | null {
  const lists = comparison.variants.flatMap((variant) =>
    variant.completed
      .slice(0, 1)
      .map((run) =>
        run.record
          .summary!.stages.filter((stage) => stage.probeTrain !== null || stage.probeTest !== null)
          .map((stage) => stage.name),
      ),
  );
  const stages = mergeOrder(lists);
  const points = comparison.variants.flatMap((variant) =>
    stages.flatMap((stage, order) =>
      (["train", "test"] as const).flatMap((split) => {
        const values = variant.completed.map((run) => {
          const summary = run.record.summary!.stages.find((candidate) => candidate.name === stage);
          return split === "train" ? summary?.probeTrain : summary?.probeTest;
        });
        const summary = summariseKnown(values);
        if (summary === null) return [];
        const named = { ...variantFields(variant), stage, stageKey: keyOf(stage) };
        return [{ ...named, order, split, ...scaled(summary, 100, percentages) }];
      }),
    ),
  );
  if (points.length === 0) return null;
  const looks = looksOf(comparison, comparison.variants);
  const x = {
    field: "stageKey",
    type: "nominal",
    scale: { domain: stages.map(keyOf) },
    title: "stage",
    axis: { labelExpr, labelAngle: stages.length > 7 ? -40 : 0, labelLimit: 160, grid: false },
  };
  const y = { type: "quantitative", title: "probe accuracy (%)", scale: { zero: false } };
  const layers = [
    {
      transform: [{ filter: "datum.split === 'test' && datum.n > 1" }],
      mark: { type: "rule", strokeWidth: 1.5, opacity: 0.7 },
      encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color: variantScale(looks) },
    },
    {
      mark: { type: "line", strokeWidth: 2 },
      encoding: { x, y: { ...y, field: "mean" }, color: variantScale(looks), strokeDash: splitScale },
    },
    {
      mark: hasShapes(looks)
        ? { type: "point", filled: true, size: 60, opacity: 1 }
        : { type: "circle", size: 45, opacity: 1 },
      encoding: {
        x,
        y: { ...y, field: "mean" },
        color: variantScale(looks),
        ...(hasShapes(looks) ? { shape: shapeScale(looks) } : {}),
        tooltip: [
          { field: "variant", title: "variant" },
          { field: "stage", title: "stage" },
          { field: "split", title: "split" },
          { field: "mean", title: "accuracy (%)", format: ".2f" },
          { field: "n", title: "seeds" },
        ],
      },
    },
  ];
  const width = Math.max(240, Math.min(880, 90 * stages.length));
  return {
    name: "linear-separability",
    title: "Linear separability",
    caption:
      "Accuracy of a linear classifier trained on each stage's frozen output: train dashed, test solid" +
      (points.some(({ n }) => n > 1) ? ", mean over seeds with 95 % interval." : "."),
    spec: topLevel([{ width, height: 240, data: { values: points }, layer: layers }], {}),
  };
}
