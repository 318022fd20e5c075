// Estimated against true mutual information: a panel a dimension, the line where both are equal, and the estimates that
// fail marked.
import type { CalibrationPair, CalibrationResult } from "../../measures/mutual-information/index.js";
import { domain } from "../chart-data.js";
import type { ChartSpec } from "./chart.js";
import { variantColours } from "./colours.js";
import { grid, keyOf, labelExpr, topLevel } from "./look.js";
import { positionAxis, significant } from "./numbers.js";

const titles: Record<CalibrationPair, string> = { input: "I(X;Z)", labels: "I(Y;Z)" };

/** Two strokes that cross. */
const cross = "M-0.9,-0.9L0.9,0.9M-0.9,0.9L0.9,-0.9";

const [WITHIN, FAILS, ABOVE] = ["within the tolerance", "fails", "fails, above the panel"] as const;

/** Of the largest truth: how high panels go. Estimates can be many times as high, and would flatten all others. */
const HEADROOM = 1.25;

/** Panels in a row, their side, and what one takes with its axis, in pixels. */
const COLUMNS = 5;
const PANEL = 190;
const PANEL_WITH_AXIS = 228;

/** Points where the tolerance is drawn: straight lines between them are close to its edge. */
const BAND_POINTS = 60;

/**
 * The chart of a calibration: with the input above, with labels below. What refused is not drawn.
 * @param tolerance - how far an estimate may be from a truth: the grey band
 */
export function calibrationChart(
  results: readonly CalibrationResult[],
  tolerance: (truth: number) => number,
): ChartSpec {
  const drawn = results.filter(({ estimate }) => estimate !== null && Number.isFinite(estimate));
  const names = [...new Set(results.map(({ estimator }) => estimator))];
  const pairs = [...new Set(drawn.map(({ pair }) => pair))];
  const scales = { color: "shared", shape: "shared" };
  const widest = Math.max(1, ...pairs.map((pair) => dimensionsOf(drawn, pair).length));
  const width = PANEL_WITH_AXIS * Math.min(COLUMNS, widest);
  const rows = pairs.map((pair) => {
    const ofPair = drawn.filter((result) => result.pair === pair);
    const panels = dimensionsOf(ofPair, pair).map((dimension) =>
      panelOf(pair, dimension, ofPair, { names, width, tolerance }),
    );
    const title = { text: `Estimate of ${titles[pair]} over the truth, nats`, offset: 14 };
    return { ...grid(panels, COLUMNS, scales), title };
  });
  return topLevel(rows, scales);
}

/** Ascending. */
function dimensionsOf(results: readonly CalibrationResult[], pair: CalibrationPair): number[] {
  const ofPair = results.filter((result) => result.pair === pair);
  return [...new Set(ofPair.map(({ dimension }) => dimension))].sort((a, b) => a - b);
}

/** Columns of a legend no wider than the panels. @param symbol - pixels for a symbol and the space around it */
function legendColumns(width: number, labels: readonly string[], symbol: number): number {
  const longest = Math.max(...labels.map(({ length }) => length));
  return Math.max(1, Math.floor(width / (symbol + 7 * longest)));
}

function panelOf(
  pair: CalibrationPair,
  dimension: number,
  ofPair: readonly CalibrationResult[],
  { names, width, tolerance }: { names: readonly string[]; width: number; tolerance: (truth: number) => number },
): object {
  const size = PANEL;
  const largest = Math.max(...ofPair.map(({ truth }) => truth), 0.1);
  const xRange = domain([0, largest]);
  const lowest = Math.min(0, ...ofPair.map(({ estimate }) => estimate!));
  const highest = HEADROOM * largest;
  const yRange = domain([Math.max(lowest, -largest), highest]); // the same in all panels of a row
  const x = positionAxis("truth", xRange, size, 4, `true ${titles[pair]}`);
  const y = positionAxis("estimate", yRange, size, 5, null);
  const points = ofPair
    .filter((result) => result.dimension === dimension)
    .map(({ estimator, truth, estimate, error, fails }) => ({
      estimator,
      estimatorKey: keyOf(estimator),
      truth: significant(truth),
      estimate: significant(estimate!),
      drawn: significant(Math.min(highest, estimate!)),
      error: significant(error!),
      judgement: estimate! > highest ? ABOVE : fails ? FAILS : WITHIN,
    }));
  const band = Array.from({ length: BAND_POINTS + 1 }, (_, at) => {
    const truth = (at / BAND_POINTS) * largest;
    return { truth, estimate: truth, low: truth - tolerance(truth), high: truth + tolerance(truth) };
  });
  const color = {
    field: "estimatorKey",
    type: "nominal",
    scale: { domain: names.map(keyOf), range: names.map((_, at) => variantColours[at % variantColours.length]) },
    legend: {
      title: null,
      labelExpr,
      orient: "top",
      symbolType: "stroke",
      symbolStrokeWidth: 3,
      symbolSize: 300,
      columns: legendColumns(width, names, 45),
    },
  };
  const shape = {
    field: "judgement",
    type: "nominal",
    scale: { domain: [WITHIN, FAILS, ABOVE], range: ["circle", cross, "triangle-up"] },
    legend: {
      title: null,
      orient: "bottom",
      symbolStrokeColor: "#222222",
      symbolSize: 60,
      labelLimit: 0,
      columns: legendColumns(width, [WITHIN, FAILS, ABOVE], 25),
    },
  };
  return {
    title: { text: `d = ${dimension}` },
    width: size,
    height: size,
    layer: [
      {
        data: { values: band },
        mark: { type: "area", color: "#888888", opacity: 0.25, clip: true },
        encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" } },
      },
      {
        data: { values: band },
        mark: { type: "line", color: "#666666", strokeWidth: 1, strokeDash: [4, 3], clip: true },
        encoding: { x, y },
      },
      {
        data: { values: points },
        mark: { type: "line", strokeWidth: 1.2, opacity: 0.6, clip: true },
        encoding: { x, y: { ...y, field: "drawn" }, color },
      },
      {
        data: { values: points },
        mark: { type: "point", filled: false, size: 45, strokeWidth: 1.8, opacity: 1 },
        encoding: {
          x,
          y: { ...y, field: "drawn" },
          color,
          shape,
          tooltip: [
            { field: "estimator", title: "estimator" },
            { field: "truth", title: "true (nats)", format: ".3~f" },
            { field: "estimate", title: "estimate (nats)", format: ".3~f" },
            { field: "error", title: "error (nats)", format: ".3~f" },
            { field: "judgement", title: " " },
          ],
        },
      },
    ],
  };
}
