// The report's charts as Vega-Lite specifications: plain JSON with their data inside, so that the same object is drawn
// on the server, made interactive in a browser, saved beside the report and opened in any Vega-Lite editor.
// Colours: variants by the Okabe–Ito set (told apart with any colour vision; its yellow, too pale for lines on white,
// replaced by a grey), epochs by viridis without its palest end. Panels are concatenated, not faceted, because ranges
// must be equal within a stage over variants and free between stages, which a facet cannot say.
import type { TopLevelSpec } from "vega-lite";
import { type Interval, type Summary, summariseKnown } from "../statistics/index.js";
import type { RunSummary } from "../store/records.js";
import { arrows, type BandPoint, band, domain, type Panel, type PathPoint, path, thin, ticks } from "./chart-data.js";
import { type Comparison, mergeOrder, planeBatch, trajectory, type Variant } from "./comparison.js";
import { byteUnit, formatFixed, formatNumber, joinWords } from "./format.js";

export type ChartSpec = TopLevelSpec;

export interface Chart {
  /** File name without ending, kebab-case. */
  name: (typeof chartNames)[number];
  title: string;
  /** What is drawn and how to read it, one to three sentences. */
  caption: string;
  spec: ChartSpec;
}

/** Every name a chart of a report can have, in the order of the report. */
export const chartNames = [
  "information-plane",
  "nhsic-over-epochs",
  "learning-curves",
  "linear-separability",
  "cost",
] as const;

/** One colour a variant, in order; also for terminals and pages that name variants beside the charts. */
export const variantColours = [
  "#0072b2",
  "#d55e00",
  "#009e73",
  "#cc79a7",
  "#e69f00",
  "#56b4e9",
  "#000000",
  "#888888",
] as const;

/** Viridis from dark violet to yellow-green: later is lighter. */
const epochColours = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30"];

/** Widest chart, in pixels: what fits a page. */
const pageWidth = 1140;

/** An arrowhead with a notch, pointing up: its direction is plain at any angle, a triangle's is not. */
const arrowhead = "M0,-1.1L0.8,1L0,0.5L-0.8,1Z";

const font = "Helvetica, Arial, sans-serif";

/** The charts that have something to draw, in the order of the report. */
export function reportCharts(comparison: Comparison): Chart[] {
  return [
    informationPlaneChart(comparison),
    nhsicOverEpochsChart(comparison),
    learningCurvesChart(comparison),
    linearSeparabilityChart(comparison),
    costChart(comparison),
  ].filter((chart) => chart !== null);
}

/** A panel a stage and variant: the mean path over seeds, epoch as colour; null where nHSIC was not measured. */
export function informationPlaneChart(comparison: Comparison): Chart | null {
  const variants = comparison.variants.filter((variant) => comparison.stages.some((stage) => measured(variant, stage)));
  const { stages } = comparison;
  if (variants.length === 0 || stages.length === 0) return null;

  const bands = splitEvenly(stages, 6);
  const perBand = bands[0]!.length;
  const width = Math.max(110, Math.min(230, Math.floor(pageWidth / perBand) - 36));
  const height = Math.round(Math.max(105, Math.min(165, 0.8 * width)));
  const pointsPerPath = limitPoints(variants.length * stages.length, 8000, 30, 150);
  const lastEpoch = Math.max(
    ...variants.flatMap((variant) =>
      variant.drawn.flatMap((run) => run.metrics.filter(isPlane).map((point) => point.epoch)),
    ),
  );
  const severalSeeds = variants.some((variant) => variant.drawn.length > 1);
  const subtitles = new Map(
    variants.map((variant) => [variant, wrap(variant.label, Math.floor(width / 6.2)).map(titleText)]),
  );
  const lines = Math.max(...[...subtitles.values()].map((text) => text.length));

  const rows = bands.map((bandStages) => {
    const panels = variants.map(() => [] as object[]);
    bandStages.forEach((stage, column) => {
      const drawn = variants.map((variant) => planePaths(variant, stage, pointsPerPath));
      const everything = drawn.flatMap(({ mean, seeds }) => [...mean, ...seeds.flat()]);
      const panel: Panel = {
        width,
        height,
        xDomain: domain(everything.map((point) => point.x)),
        yDomain: domain(everything.map((point) => point.y)),
      };
      variants.forEach((variant, row) => {
        const title = {
          text: titleText(stage),
          subtitle: pad(subtitles.get(variant)!, lines),
          subtitleColor: colourOf(comparison, variant),
        };
        panels[row]!.push(
          planePanel(drawn[row]!, panel, {
            title,
            lastEpoch,
            xTitle: row === variants.length - 1 ? "nHSIC(X,Z)" : null,
            yTitle: column === 0 ? "nHSIC(Y,Z)" : null,
          }),
        );
      });
    });
    return grid(panels.flat(), bandStages.length, { color: "shared" });
  });
  const batches = [...new Set(variants.map(planeBatch).filter((batch) => batch !== null))];
  return {
    name: "information-plane",
    title: "Paths through the information plane",
    caption:
      "A panel for each stage (in network order) and variant. Each dot is one measurement, coloured by epoch; the open " +
      "circle is the untrained network, arrowheads show the direction of training." +
      (severalSeeds ? " Dots: mean over seeds; thin lines: single seeds." : "") +
      (batches.length > 0 ? ` nHSIC on mini-batches of m = ${joinWords(batches.map(String))}.` : "") +
      " Ranges are equal for one stage over variants and differ between stages.",
    spec: topLevel(rows, { color: "shared" }),
  };
}

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
  const rows = bands.map((bandStages) => {
    const panels = coordinates.flatMap(({ key, title }, row) =>
      bandStages.map((stage, column) =>
        curvePanel(
          drawn.flatMap((variant) => curve(variant, key, stage, limit)),
          {
            title: { text: titleText(stage) },
            width,
            height,
            xTitle: row === coordinates.length - 1 ? "epoch" : null,
            yTitle: column === 0 ? title : null,
            valueTitle: title,
            colours: coloursOf(comparison, drawn),
            tooltips: drawn.length * stages.length <= 40,
          },
        ),
      ),
    );
    return grid(panels, bandStages.length, { color: "shared" });
  });
  return {
    name: "nhsic-over-epochs",
    title: "Dependence on the input and on the label",
    caption: `Above with the input, below with the label.${bandSentence(drawn)}`,
    spec: topLevel(rows, { color: "shared" }),
  };
}

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
        return [{ ...named, order, split, ...scaled(summary, 100) }];
      }),
    ),
  );
  if (points.length === 0) return null;
  const colours = coloursOf(comparison, comparison.variants);
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
      encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color: variantScale(colours) },
    },
    {
      mark: { type: "line", strokeWidth: 2 },
      encoding: { x, y: { ...y, field: "mean" }, color: variantScale(colours), strokeDash: splitScale },
    },
    {
      mark: { type: "circle", size: 45, opacity: 1 },
      encoding: {
        x,
        y: { ...y, field: "mean" },
        color: variantScale(colours),
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

/** Bars of peak memory and of speed; null where no run has finished. */
export function costChart(comparison: Comparison): Chart | null {
  const over = (pick: (summary: RunSummary) => number) =>
    comparison.variants.flatMap((variant) => {
      const summary = summariseKnown(variant.completed.map((run) => pick(run.record.summary!)));
      return summary === null ? [] : [{ variant, summary }];
    });
  const memory = over((summary) => summary.peakBytes);
  const speed = over((summary) => summary.imagesPerSecond);
  const bytes = byteUnit(Math.max(0, ...memory.map(({ summary }) => summary.mean)));
  const panels = [
    {
      title: `Peak memory (${bytes.name})`,
      rows: memory,
      per: bytes.per,
      text: (value: number) => formatFixed(value, value < 10 ? 2 : 1),
    },
    { title: "Images per second", rows: speed, per: 1, text: formatNumber },
  ].filter(({ rows }) => rows.length > 0);
  if (panels.length === 0) return null;
  const colours = coloursOf(comparison, comparison.variants);
  const specs = panels.map(({ title, rows, per, text }) => {
    const values = rows.map(({ variant, summary }) => ({
      ...variantFields(variant),
      ...scaled(summary, 1 / per),
      text: text(summary.mean / per),
    }));
    const highest = Math.max(...values.map(({ mean, high }) => Math.max(mean, high)));
    const scale = { domain: [0, highest * 1.25 || 1], nice: false };
    const y = {
      field: "variantKey",
      type: "nominal",
      scale: { domain: rows.map(({ variant }) => keyOf(variant.label)) },
      title: null,
      axis: { labelExpr, labelLimit: 190, ticks: false, domain: false, grid: false },
    };
    const x = { field: "mean", type: "quantitative", title: null, scale, axis: { tickCount: 5 } };
    return {
      title: { text: title },
      width: 400,
      height: { step: 30 },
      data: { values },
      layer: [
        {
          mark: { type: "bar", height: 18 },
          encoding: {
            y,
            x,
            color: { ...variantScale(colours), legend: null },
            tooltip: [
              { field: "variant", title: "variant" },
              { field: "text", title },
              { field: "n", title: "seeds" },
            ],
          },
        },
        {
          transform: [{ filter: "datum.n > 1 && datum.high > datum.low" }],
          mark: { type: "rule", color: "#222222", strokeWidth: 1.5 },
          encoding: { y, x: { ...x, field: "low" }, x2: { field: "high" } },
        },
        {
          mark: { type: "text", align: "left", dx: 6, fontSize: 12 },
          encoding: { y, x: { ...x, field: "end" }, text: { field: "text" } },
          transform: [{ calculate: "max(datum.mean, datum.high)", as: "end" }],
        },
      ],
    };
  });
  return {
    name: "cost",
    title: "Memory and speed",
    caption:
      "Peak memory: most bytes of live tensors during a training step. Speed: training alone." +
      (panels.some(({ rows }) => rows.some(({ summary }) => summary.n > 1))
        ? " Mean over seeds; the line is the 95 % interval."
        : ""),
    spec: topLevel([grid(specs, 2, {})], {}),
  };
}

interface CurvePoint extends BandPoint {
  variant: string;
  variantKey: string;
  split: string;
}

interface PlanePaths {
  mean: PathPoint[];
  seeds: PathPoint[][];
}

function planePaths(variant: Variant, stage: string, limit: number): PlanePaths {
  const over = (key: string) => variant.drawn.map((run) => trajectory(run, key, stage));
  const asTrajectory = (points: readonly BandPoint[]) => points.map(({ epoch, mean }) => ({ epoch, value: mean }));
  const xs = over("nhsicXZ");
  const ys = over("nhsicYZ");
  const seeds = xs.map((x, index) => path(x, ys[index]!)).filter((points) => points.length > 0);
  return {
    mean: thin(path(asTrajectory(band(xs)), asTrajectory(band(ys))), limit),
    seeds: seeds.length > 1 && seeds.length <= 10 ? seeds.map((points) => thin(points, limit)) : [],
  };
}

function planePanel(
  paths: PlanePaths,
  panel: Panel,
  options: { title: object; lastEpoch: number; xTitle: string | null; yTitle: string | null },
): object {
  const x = positionAxis("x", panel.xDomain, panel.width, 4, options.xTitle);
  const y = positionAxis("y", panel.yDomain, panel.height, 4, options.yTitle);
  const order = { field: "epoch", type: "quantitative" };
  const points = paths.mean.map(rounded);
  const color = {
    field: "epoch",
    type: "quantitative",
    // The square root gives the first epochs, where most happens, more of the colours.
    scale: { type: "sqrt", domain: [0, options.lastEpoch || 1], range: epochColours },
    legend: { title: "epoch", orient: "top", direction: "horizontal", gradientLength: 260, tickCount: 6 },
  };
  const layers: object[] = [];
  if (paths.seeds.length > 0) {
    layers.push({
      data: { values: paths.seeds.flatMap((seed, index) => seed.map((point) => ({ ...rounded(point), seed: index }))) },
      mark: { type: "line", color: "#bbbbbb", strokeWidth: 0.7 },
      encoding: { x, y, order, detail: { field: "seed" } },
    });
  }
  layers.push(
    { data: { values: points }, mark: { type: "line", color: "#777777", strokeWidth: 1.1 }, encoding: { x, y, order } },
    {
      data: { values: points },
      mark: { type: "circle", size: 22, opacity: 1 },
      encoding: {
        x,
        y,
        color,
        tooltip: [
          { field: "epoch", title: "epoch", format: ".4~g" },
          { field: "x", title: "nHSIC(X,Z)", format: ".2f" },
          { field: "y", title: "nHSIC(Y,Z)", format: ".3f" },
        ],
      },
    },
    {
      data: { values: arrows(paths.mean, panel).map((arrow) => ({ ...rounded(arrow), angle: arrow.angle })) },
      mark: { type: "point", shape: arrowhead, filled: true, size: 120, stroke: "white", strokeWidth: 0.7, opacity: 1 },
      encoding: { x, y, color, angle: { field: "angle", type: "quantitative", scale: null } },
    },
    {
      data: { values: points.slice(0, 1) },
      mark: {
        type: "point",
        shape: "circle",
        filled: true,
        opacity: 1,
        fill: "white",
        stroke: "#222222",
        strokeWidth: 1.5,
        size: 50,
      },
      encoding: { x, y },
    },
  );
  return { title: options.title, width: panel.width, height: panel.height, layer: layers };
}

/** A position with its range and round ticks; `toEnd` keeps the tick at the very end of an axis across. */
function positionAxis(
  field: string,
  range: Interval,
  pixels: number,
  wanted: number,
  title: string | null,
  toEnd = false,
) {
  const { values, decimals } = ticks(range, wanted, toEnd ? null : pixels);
  return {
    field,
    type: "quantitative",
    scale: { domain: range, nice: false, zero: false },
    axis: { title, values, format: `,.${decimals}f`, labelFlush: false },
  };
}

function curve(
  variant: Variant,
  key: string,
  stage: string,
  limit: number,
  { split = "", times = 1 }: { split?: string; times?: number } = {},
): CurvePoint[] {
  return thin(band(variant.drawn.map((run) => trajectory(run, key, stage))), limit).map((point) => ({
    ...variantFields(variant),
    split,
    epoch: point.epoch,
    mean: significant(times * point.mean),
    low: significant(times * point.low),
    high: significant(times * point.high),
    n: point.n,
  }));
}

function curvePanel(
  points: readonly CurvePoint[],
  options: {
    title: object;
    width: number;
    height: number;
    xTitle: string | null;
    yTitle: string | null;
    valueTitle: string;
    colours: [string, string][];
    splits?: boolean;
    /** Invisible dots that answer the pointer; left out where there would be too many. */
    tooltips: boolean;
  },
): object {
  const epochs = points.map((point) => point.epoch);
  const last = Math.max(1e-6, ...epochs);
  const range = domain(points.flatMap((point) => [point.mean, point.low, point.high]));
  const x = { ...positionAxis("epoch", [0, last], options.width, 5, options.xTitle, true) };
  const y = positionAxis("mean", range, options.height, 5, options.yTitle);
  const color = variantScale(options.colours);
  const withBand = points.some((point) => point.n > 1);
  const layers: object[] = [];
  if (withBand) {
    layers.push({
      transform: [{ filter: "datum.n > 1" }],
      mark: { type: "area", opacity: 0.18 },
      encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color, detail: { field: "split" } },
    });
  }
  layers.push({
    mark: { type: "line", strokeWidth: 1.8 },
    encoding: { x, y, color, ...(options.splits ? { strokeDash: splitScale } : {}) },
  });
  if (options.tooltips) {
    layers.push({
      mark: { type: "circle", size: 60, opacity: 0 },
      encoding: {
        x,
        y,
        tooltip: [
          { field: "variant", title: "variant" },
          ...(options.splits ? [{ field: "split", title: "split" }] : []),
          { field: "epoch", title: "epoch", format: ".4~g" },
          { field: "mean", title: options.valueTitle, format: ".4~g" },
          ...(withBand
            ? [
                { field: "low", title: "95 % from", format: ".4~g" },
                { field: "high", title: "to", format: ".4~g" },
                { field: "n", title: "seeds" },
              ]
            : []),
        ],
      },
    });
  }
  return {
    title: options.title,
    width: options.width,
    height: options.height,
    data: { values: points },
    layer: layers,
  };
}

const splitScale = {
  field: "split",
  type: "nominal",
  scale: {
    domain: ["train", "test"],
    range: [
      [5, 3],
      [1, 0],
    ],
  },
  legend: { title: null, orient: "top", symbolType: "stroke", symbolSize: 500 },
};

/**
 * A name as scales and groups use it. The library keeps groups in plain objects, where `constructor` or `__proto__`
 * would be found before it is put there; no name that begins with a colon is.
 */
function keyOf(name: string): string {
  return `:${name}`;
}

/** A name as a title, with an invisible space after those that the library would take for its own. */
function titleText(name: string): string {
  return name in Object.prototype ? `${name} ` : name;
}

/** The name of a key again, for axes and legends. */
const labelExpr = "slice(datum.value, 1)";

function variantFields({ label }: Variant): { variant: string; variantKey: string } {
  return { variant: label, variantKey: keyOf(label) };
}

function variantScale(colours: readonly [string, string][]) {
  const longest = Math.max(...colours.map(([label]) => label.length));
  return {
    field: "variantKey",
    type: "nominal",
    scale: { domain: colours.map(([label]) => keyOf(label)), range: colours.map(([, colour]) => colour) },
    legend: {
      title: null,
      labelExpr,
      orient: "top",
      symbolType: "stroke",
      symbolStrokeWidth: 3,
      symbolOpacity: 1, // the bands' own opacity would make it pale
      symbolSize: 300,
      labelLimit: 0,
      columns: Math.max(1, Math.floor(pageWidth / (60 + 8 * longest))),
    },
  };
}

/** Panels in rows of `columns`, each column as wide as its widest. */
function grid(panels: readonly object[], columns: number, scales: Record<string, string>): object {
  return { concat: panels, columns, align: "all", spacing: { row: 14, column: 16 }, resolve: resolve(scales) };
}

/** The whole chart: bands of panels one below the other, with the look all charts share. */
function topLevel(rows: readonly object[], scales: Record<string, string>): ChartSpec {
  const spec = {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    background: "white",
    padding: 8,
    ...(rows.length === 1 ? rows[0] : { vconcat: rows, spacing: 26, resolve: resolve(scales) }),
    config: {
      font,
      aria: false,
      mark: { tooltip: null },
      view: { stroke: "#d0d0d0" },
      axis: {
        labelFontSize: 11,
        titleFontSize: 12,
        titleFontWeight: "normal",
        labelColor: "#333333",
        titleColor: "#222222",
        gridColor: "#ececec",
        domainColor: "#999999",
        tickColor: "#999999",
        labelOverlap: "parity",
        titlePadding: 6,
      },
      title: {
        anchor: "start",
        frame: "group",
        fontSize: 13,
        subtitleFontSize: 11,
        color: "#111111",
        offset: 6,
        subtitlePadding: 2,
        limit: 0,
      },
      legend: { labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", labelColor: "#222222" },
    },
  };
  return spec as unknown as ChartSpec;
}

function resolve(scales: Record<string, string>): object {
  return Object.keys(scales).length === 0 ? {} : { scale: scales, legend: scales };
}

function bandSentence(variants: readonly Variant[]): string {
  return variants.some((variant) => variant.drawn.length > 1)
    ? " Lines: mean over seeds; bands: its 95 % interval (the variants' intervals alone do not say whether they differ: " +
        "runs are paired by seed, see the results)."
    : "";
}

function coloursOf(comparison: Comparison, variants: readonly Variant[]): [string, string][] {
  return variants.map((variant) => [variant.label, colourOf(comparison, variant)]);
}

function colourOf(comparison: Comparison, variant: Variant): string {
  return variantColours[comparison.variants.indexOf(variant) % variantColours.length]!;
}

function measured(variant: Variant, stage: string): boolean {
  return variant.drawn.some((run) => run.metrics.some((point) => isPlane(point) && point.stage === stage));
}

function isPlane(point: { key: string; value: number }): boolean {
  return (point.key === "nhsicXZ" || point.key === "nhsicYZ") && Number.isFinite(point.value);
}

function scaled(summary: Summary, times: number): { mean: number; low: number; high: number; n: number } {
  const [low, high] = summary.interval ?? [summary.mean, summary.mean];
  return {
    mean: significant(times * summary.mean),
    low: significant(times * low),
    high: significant(times * high),
    n: summary.n,
  };
}

function rounded({ epoch, x, y }: PathPoint): PathPoint {
  return { epoch: significant(epoch), x: significant(x), y: significant(y) };
}

/** Six digits: more than a screen shows, and short. */
function significant(value: number): number {
  return Number(value.toPrecision(6));
}

/** Points a line may have so that a chart of many lines stays small. */
function limitPoints(lines: number, total: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, Math.floor(total / lines)));
}

/** Lists of nearly equal length, none above `most`. */
function splitEvenly<T>(items: readonly T[], most: number): T[][] {
  const parts = Math.max(1, Math.ceil(items.length / most));
  const size = Math.ceil(items.length / parts);
  return Array.from({ length: parts }, (_, part) => items.slice(part * size, (part + 1) * size));
}

/** Lines of at most `limit` characters, broken at spaces where there are any. */
function wrap(text: string, limit: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/).flatMap((long) => chunks(long, limit))) {
    if (line !== "" && line.length + 1 + word.length > limit) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function chunks(word: string, size: number): string[] {
  return word.length <= size ? [word] : [word.slice(0, size), ...chunks(word.slice(size), size)];
}

function pad(lines: readonly string[], length: number): string[] {
  return [...lines, ...Array.from({ length: length - lines.length }, () => " ")];
}
