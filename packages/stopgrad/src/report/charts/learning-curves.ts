// Loss and accuracy over epochs.
import type { Comparison } from "../comparison.js";
import type { Chart } from "./chart.js";
import { coloursOf } from "./colours.js";
import { bandSentence, curve, curvePanel } from "./curves.js";
import { grid, topLevel } from "./look.js";
import { limitPoints } from "./numbers.js";

/** Loss and accuracy over epochs, train dashed and test solid; null where neither was recorded. */
export function learningCurvesChart(comparison: Comparison): Chart | null {
  const panels = [
    { title: "Loss", unit: "loss", train: "trainLoss", test: "testLoss", times: 1 },
    { title: "Accuracy", unit: "accuracy (%)", train: "trainAccuracy", test: "testAccuracy", times: 100 },
  ];
  const limit = limitPoints(4 * comparison.variants.length, 4000, 60, 200);
  const drawn = panels.map((panel) => ({
    panel,
    points: comparison.variants.flatMap((variant) => [
      ...curve(variant, panel.train, "", limit, { split: "train", times: panel.times }),
      ...curve(variant, panel.test, "", limit, { split: "test", times: panel.times }),
    ]),
  }));
  const filled = drawn.filter(({ points }) => points.length > 0);
  if (filled.length === 0) return null;
  const specs = filled.map(({ panel, points }) =>
    curvePanel(points, {
      title: { text: panel.title },
      width: 520,
      height: 250,
      xTitle: "epoch",
      yTitle: panel.unit,
      valueTitle: panel.unit,
      colours: coloursOf(comparison, comparison.variants),
      splits: true,
      tooltips: true,
    }),
  );
  return {
    name: "learning-curves",
    title: "Loss and accuracy",
    caption: `Train dashed, test solid.${bandSentence(comparison.variants)}`,
    spec: topLevel([grid(specs, 2, { color: "shared", strokeDash: "shared" })], {
      color: "shared",
      strokeDash: "shared",
    }),
  };
}
