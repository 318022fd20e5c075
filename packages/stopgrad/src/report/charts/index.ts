// The report's charts as Vega-Lite specifications: plain JSON with their data inside, so that the same object is drawn
// on the server, made interactive in a browser, saved beside the report and opened in any Vega-Lite editor.
import type { Comparison } from "../comparison.js";
import type { Chart } from "./chart.js";
import { costChart } from "./cost.js";
import { informationChart } from "./information.js";
import { informationPlaneChart } from "./information-plane.js";
import { learningCurvesChart } from "./learning-curves.js";
import { linearSeparabilityChart } from "./linear-separability.js";
import { measuresCharts } from "./measures.js";
import { measuresOverEpochsCharts } from "./measures-over-epochs.js";
import { memoryChart } from "./memory.js";
import { nhsicOverEpochsChart } from "./nhsic-over-epochs.js";

export { type Chart, type ChartSpec, chartNames, overEpochs } from "./chart.js";
export { variantColours } from "./colours.js";
export { type MeasuredFamily, measuredFamilies } from "./measures.js";
export { unchangingMeasures } from "./measures-over-epochs.js";
export {
  costChart,
  informationChart,
  informationPlaneChart,
  learningCurvesChart,
  linearSeparabilityChart,
  measuresCharts,
  measuresOverEpochsCharts,
  memoryChart,
  nhsicOverEpochsChart,
};

/** The charts that have something to draw, in the order of the report. */
export function reportCharts(comparison: Comparison): Chart[] {
  return [
    informationPlaneChart(comparison),
    nhsicOverEpochsChart(comparison),
    learningCurvesChart(comparison),
    linearSeparabilityChart(comparison),
    informationChart(comparison),
    ...measuresCharts(comparison),
    ...measuresOverEpochsCharts(comparison),
    costChart(comparison),
    memoryChart(comparison),
  ].filter((chart) => chart !== null);
}
