// Both coordinates of the information plane over epochs: a panel a stage.
import type { Comparison } from "../comparison.js";
import type { Chart } from "./chart.js";
import { looksOf } from "./colours.js";
import { bandSentence, curve, curvePanel, epochsSentence } from "./curves.js";
import { grid, pageWidth, titleText, topLevel } from "./look.js";
import { limitPoints, notNegative, splitEvenly } from "./numbers.js";
import { measured } from "./plane.js";

/** Both coordinates over epochs, a panel a stage, a colour a variant; null where nHSIC was not measured. */
export function nhsicOverEpochsChart(comparison: Comparison): Chart | null {
  const { stages, variants } = comparison;
  const drawn = variants.filter((variant) => stages.some((stage) => measured(variant, stage)));
  if (drawn.length === 0 || stages.length === 0) return null;
  const bands = splitEvenly(stages, 6);
  const perBand = bands[0]!.length;
  const width = Math.max(110, Math.min(230, Math.floor(pageWidth / perBand) - 36));
  const height = Math.round(Math.max(95, Math.min(140, 0.7 * width)));
  const limit = limitPoints(2 * drawn.length * stages.length, 8000, 30, 150);
  const coordinates = [
    { key: "nhsicXZ", title: "nHSIC(X,Z)" },
    { key: "nhsicYZ", title: "nHSIC(Y,Z)" },
  ];
  const scales = { color: "shared", shape: "shared" };
  const rows = bands.map((bandStages) => {
    const panels = coordinates.flatMap(({ key, title }, row) =>
      bandStages.map((stage, column) =>
        curvePanel(
          drawn.flatMap((variant) => curve(variant, key, stage, limit, { possible: notNegative })),
          {
            title: { text: titleText(stage) },
            width,
            height,
            xTitle: row === coordinates.length - 1 ? "epoch" : null,
            yTitle: column === 0 ? title : null,
            valueTitle: title,
            looks: looksOf(comparison, drawn),
            possible: notNegative,
            tooltips: drawn.length * stages.length <= 40,
          },
        ),
      ),
    );
    return grid(panels, bandStages.length, scales);
  });
  return {
    name: "nhsic-over-epochs",
    title: "Dependence on the input and on the label",
    caption: `Above with the input, below with the label.${bandSentence(drawn)}${epochsSentence(drawn)}`,
    spec: topLevel(rows, scales),
  };
}
