// Loss and accuracy over epochs.
import type { Interval } from "../../statistics/index.js";
import type { Comparison } from "../comparison.js";
import type { Chart } from "./chart.js";
import { looksOf } from "./colours.js";
import { bandSentence, curve, curvePanel, drawnExtent, epochsSentence } from "./curves.js";
import { grid, topLevel } from "./look.js";
import { drawable, lossScale } from "./loss-scale.js";
import { limitPoints, percentages } from "./numbers.js";

/** Loss and accuracy over epochs, train dashed and test solid; null where neither was recorded. */
export function learningCurvesChart(comparison: Comparison): Chart | null {
  const anything: Interval = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]; // a local loss may be negative
  const panels = [
    { title: "Loss", unit: "loss", train: "trainLoss", test: "testLoss", times: 1, possible: anything },
    {
      title: "Accuracy",
      unit: "accuracy (%)",
      train: "trainAccuracy",
      test: "testAccuracy",
      times: 100,
      possible: percentages,
    },
  ];
  const limit = limitPoints(4 * comparison.variants.length, 4000, 60, 200);
  const drawn = panels.map((panel) => ({
    panel,
    points: comparison.variants.flatMap((variant) => [
      ...curve(variant, panel.train, "", limit, { ...panel, split: "train" }),
      ...curve(variant, panel.test, "", limit, { ...panel, split: "test" }),
    ]),
  }));
  const filled = drawn.filter(({ points }) => points.length > 0);
  if (filled.length === 0) return null;
  const scaleOf = new Map(
    filled.map(({ panel, points }) => [panel, panel.unit === "loss" ? lossScale(drawnExtent(points)) : null]),
  );
  const specs = filled.map(({ panel, points }) => {
    const scale = scaleOf.get(panel) ?? null;
    return curvePanel(scale ? drawable(points, scale) : points, {
      title: { text: panel.title },
      width: 520,
      height: 250,
      xTitle: "epoch",
      yTitle: scale?.title ?? panel.unit,
      valueTitle: panel.unit,
      looks: looksOf(comparison, comparison.variants),
      possible: panel.possible,
      ...(scale ? { scale } : {}),
      splits: true,
      tooltips: true,
    });
  });
  const outside = [...scaleOf.values()].map((scale) => scale?.outside ?? "").join("");
  const scales = { color: "shared", strokeDash: "shared", shape: "shared" };
  return {
    name: "learning-curves",
    title: "Loss and accuracy",
    caption: `Train dashed, test solid.${outside}${bandSentence(comparison.variants)}${epochsSentence(comparison.variants)}`,
    spec: topLevel([grid(specs, 2, scales)], scales),
  };
}
