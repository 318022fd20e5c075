// Accuracy of a linear probe over stages.
import { type Comparison, mergeOrder } from "../comparison.js";
import type { Chart } from "./chart.js";
import { hasShapes, looksOf, shapeScale, splitScale, variantFields, variantScale } from "./colours.js";
import { topLevel } from "./look.js";
import { percentages, positionAxis } from "./numbers.js";
import { besideOthers, linesSentence, overSeeds, rangeOf, stageAxis } from "./over-stages.js";

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
  const { variants } = comparison;
  const points = variants.flatMap((variant, at) =>
    stages.flatMap((stage, depth) =>
      (["train", "test"] as const).flatMap((split) => {
        const values = variant.completed.map((run) => {
          const summary = run.record.summary!.stages.find((candidate) => candidate.name === stage);
          return split === "train" ? summary?.probeTrain : summary?.probeTest;
        });
        const numbers = overSeeds(values, 100, percentages);
        if (numbers === null) return [];
        const position = besideOthers(depth, at, variants.length);
        return [{ ...variantFields(variant), stage, position, split, ...numbers }];
      }),
    ),
  );
  if (points.length === 0) return null;
  const looks = looksOf(comparison, variants);
  const width = Math.max(240, Math.min(880, 90 * stages.length));
  const height = 240;
  const legendWidth = width - 150; // beside it that of train and test
  const x = stageAxis(stages, "stage");
  const y = positionAxis("mean", rangeOf(points, percentages), height, 6, "probe accuracy (%)");
  const layers = [
    {
      transform: [{ filter: "datum.split === 'test' && datum.n > 1" }],
      mark: { type: "rule", strokeWidth: 1.5, opacity: 0.7, clip: true },
      encoding: { x, y: { ...y, field: "from" }, y2: { field: "to" }, color: variantScale(looks, legendWidth) },
    },
    {
      mark: { type: "line", strokeWidth: 2 },
      encoding: { x, y, color: variantScale(looks, legendWidth), strokeDash: splitScale },
    },
    {
      mark: hasShapes(looks)
        ? { type: "point", filled: true, size: 60, opacity: 1 }
        : { type: "circle", size: 45, opacity: 1 },
      encoding: {
        x,
        y,
        color: variantScale(looks, legendWidth),
        ...(hasShapes(looks) ? { shape: shapeScale(looks, legendWidth) } : {}),
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
  return {
    name: "linear-separability",
    title: "Linear separability",
    caption:
      "Accuracy of a linear classifier trained on each stage's frozen output: train dashed, test solid." +
      linesSentence(points, "the test accuracy's"),
    spec: topLevel([{ width, height, data: { values: points }, layer: layers }], {}),
  };
}
