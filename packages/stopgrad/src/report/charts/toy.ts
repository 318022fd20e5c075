// Figures of the toy (arXiv 2402.09050, section 4.2): W over steps, the points in x and in z, information, accuracy.
// A panel a rule where single seeds are drawn, a colour a rule where ranges over seeds are.

import type { Interval } from "../../statistics/index.js";
import { comparedSteps, type ToyResult, type ToyRule, type ToySettings, toyDataOf, toyRules } from "../../toy/index.js";
import { domain } from "../chart-data.js";
import { formatFixed } from "../format.js";
import type { ChartSpec } from "./chart.js";
import { variantColours } from "./colours.js";
import { grid, pageWidth, topLevel } from "./look.js";
import { notNegative, percentages, positionAxis, significant } from "./numbers.js";

export interface ToyFigure {
  /** File name without ending, kebab-case. */
  readonly name: "toy-weights" | "toy-points" | "toy-information" | "toy-accuracy";
  readonly title: string;
  readonly spec: ChartSpec;
}

/** Title of a rule's panels, and the line below it. */
const titles: Record<ToyRule, { text: string; subtitle: string }> = {
  linear: { text: "linear", subtitle: "layer-wise, W by a linear head" },
  mlp: { text: "mlp", subtitle: "layer-wise, W by a head of 16 ReLU units" },
  e2e: { text: "e2e", subtitle: "end to end, W by the network's own loss" },
};

const panelHeight = 220;

/** Lines on a logarithmic axis end where they fall below. */
const smallestDrawn = 1e-12;

const ruleNames = Object.keys(toyRules) as ToyRule[];
const ruleColours = variantColours.slice(0, ruleNames.length);

/** The pair of colours for two curves or classes in one panel. */
const pairColours = ["#0072b2", "#e69f00"];

export function toyFigures(results: readonly ToyResult[], settings: ToySettings): ToyFigure[] {
  const { seeds } = settings;
  const lines = seeds.length > 1 ? `one line for each of ${seeds.length} seeds` : `seed ${seeds[0]}`;
  const means = seeds.length > 1 ? `thick: mean over ${seeds.length} seeds; thin: each` : `seed ${seeds[0]}`;
  const figures = [
    { name: "toy-weights", title: "The first layer's W over steps", of: lines, spec: weightsFigure(results, settings) },
    {
      name: "toy-points",
      title: "Points in x, and in z = W x",
      of: `seed ${seeds[0]}`,
      spec: pointsFigure(results, settings),
    },
    { name: "toy-information", title: "What z = W x tells", of: means, spec: informationFigure(results, settings) },
    { name: "toy-accuracy", title: "Accuracy", of: means, spec: accuracyFigure(results, settings) },
  ] as const;
  return figures.map(({ name, title, of, spec }) => ({
    name,
    title,
    spec: {
      ...spec,
      title: { text: title, subtitle: `${of}; ${describeSettings(settings)}`, fontSize: 16, offset: 14 },
    } as ChartSpec,
  }));
}

function describeSettings({ penalty, lambda, squaredNorm, learningRate, start, points }: ToySettings): string {
  const form = penalty === "lagrangian" ? "(‖W‖² − c)" : `(‖W‖² − ${squaredNorm})²`;
  return `penalty ${lambda} ${form}, learning rate ${learningRate}, ${formatFixed(points, 0)} points, ${start} start`;
}

function stepAxis(steps: number, title: string | null, scale: "linear" | "log") {
  const axis =
    scale === "linear"
      ? { title, tickCount: 4, format: ",d" }
      : {
          title,
          values: [0, 1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000],
          format: ",d",
          labelFlush: false,
        };
  // symlog: logarithmic above 1, and 0 has a place.
  return {
    field: "step",
    type: "quantitative",
    scale: { domain: [0, steps], nice: false, ...(scale === "log" ? { type: "symlog", constant: 1 } : {}) },
    axis,
  };
}

/** Rows: norms of W's columns, W's singular values, on logarithmic axes: exponential decay is a straight line. */
function weightsFigure(results: readonly ToyResult[], settings: ToySettings): ChartSpec {
  const columns = settings.rules.length;
  const width = Math.min(400, Math.floor(pageWidth / columns) - 70);
  const rows = [
    {
      names: ["‖w₁‖", "‖w₂‖"],
      yTitle: "norm of W's columns",
      values: ({ weights: [a, b, c, d] }: ToyResult["snapshots"][number]) => [Math.hypot(a!, c!), Math.hypot(b!, d!)],
    },
    {
      names: ["σ₁", "σ₂"],
      yTitle: "singular values of W",
      values: ({ singularValues }: ToyResult["snapshots"][number]) => [...singularValues],
    },
  ];
  const bands = rows.map(({ names, yTitle, values }, row) => {
    const points = results.map((result) => ({
      rule: result.rule,
      values: evenly(result, settings.steps)
        .flatMap((snapshot) =>
          values(snapshot).map((value, which) => ({
            seed: result.seed,
            step: snapshot.step,
            curve: names[which]!,
            value: significant(value),
          })),
        )
        .filter(({ value }) => value >= smallestDrawn),
    }));
    const all = points.flatMap(({ values }) => values.map(({ value }) => value));
    const range = logDomain(all);
    const panels = settings.rules.map((rule, column) => {
      const drawn = points.filter((one) => one.rule === rule).flatMap((one) => one.values);
      const y = {
        field: "value",
        type: "quantitative",
        scale: { type: "log", domain: range, nice: false },
        axis: { title: column === 0 ? yTitle : null, ...powersOfTen(range) },
      };
      const x = stepAxis(settings.steps, row === rows.length - 1 ? "step" : null, "linear");
      const color = {
        field: "curve",
        type: "nominal",
        scale: { domain: names, range: pairColours },
        legend: {
          title: null,
          orient: "top",
          symbolType: "stroke",
          symbolStrokeWidth: 3,
          symbolSize: 300,
          symbolOpacity: 1,
        },
      };
      const layers: object[] = [
        {
          mark: { type: "line", strokeWidth: 1.3, opacity: 0.75 },
          encoding: { x, y, color, detail: { field: "seed" } },
        },
      ];
      const line = theoryLine(drawn, names[1]!, settings);
      if (line.length > 0) {
        layers.push(
          { data: { values: line }, mark: { type: "line", color: "#222222", strokeDash: [5, 4] }, encoding: { x, y } },
          {
            data: { values: line.slice(0, 1) },
            mark: { type: "text", align: "left", dx: 6, dy: -6, fontSize: 11, color: "#222222" },
            encoding: { x, y, text: { value: "slope of exp(−2λt)" } },
          },
        );
      }
      return {
        title: titles[rule],
        width,
        height: panelHeight,
        data: { values: drawn },
        layer: rule === "linear" ? layers : layers.slice(0, 1),
      };
    });
    return grid(panels, columns, { color: "shared" });
  });
  return topLevel(bands, { color: "independent" });
}

/** The theory's decay beside the curves that follow it: above the highest, from a quarter of the steps on. */
function theoryLine(
  points: readonly { step: number; curve: string; value: number }[],
  curve: string,
  settings: ToySettings,
): { step: number; value: number }[] {
  const { penalty, lambda, learningRate, steps } = settings;
  if (penalty !== "lagrangian" || lambda === 0) return [];
  const from = Math.round(steps / 4);
  const highest = Math.max(0, ...points.filter((p) => p.curve === curve && p.step === from).map(({ value }) => value));
  const fall = 2 * lambda * learningRate; // of the logarithm, a step
  // To the last step, or to where lines end.
  const to = Math.min(steps, from + Math.log((4 * highest) / smallestDrawn) / fall);
  if (!(to > from)) return [];
  return [from, to].map((step) => ({ step, value: significant(4 * highest * Math.exp(-fall * (step - from))) }));
}

/** Snapshots about evenly spaced in steps, and every one of the first hundredth. */
function evenly({ snapshots }: ToyResult, steps: number): ToyResult["snapshots"] {
  let last = Number.NEGATIVE_INFINITY;
  return snapshots.filter(({ step }) => {
    if (step - last < steps / 200 && step !== steps) return false;
    last = step;
    return true;
  });
}

function logDomain(values: readonly number[]): [number, number] {
  const low = Math.max(smallestDrawn, Math.min(...values));
  const high = Math.max(...values, 10 * low);
  return [10 ** Math.floor(Math.log10(low) - 0.05), 10 ** Math.ceil(Math.log10(high) + 0.05)];
}

function powersOfTen([low, high]: [number, number]): { values: number[]; format: string } {
  const [from, to] = [Math.round(Math.log10(low)), Math.round(Math.log10(high))];
  const every = Math.max(1, Math.ceil((to - from) / 6));
  const values = Array.from({ length: Math.floor((to - from) / every) + 1 }, (_, i) => Number(`1e${to - i * every}`));
  return { values, format: ".0e" };
}

/** A row a rule: x, then z at the compared steps, of the first seed; ranges are equal within a row. */
function pointsFigure(results: readonly ToyResult[], settings: ToySettings): ChartSpec {
  const steps = comparedSteps(settings.steps);
  const columns = steps.length + 1;
  const side = Math.min(170, Math.floor(pageWidth / columns) - 36);
  const seed = settings.seeds[0]!;
  const data = toyDataOf(settings, seed);
  const shown = Math.min(300, data.classes.length);
  const color = {
    field: "class",
    type: "nominal",
    scale: { domain: ["+1", "−1"], range: pairColours },
    legend: { title: "class", orient: "top", symbolType: "circle", symbolSize: 90, symbolOpacity: 1 },
  };
  const classes = Array.from({ length: shown }, (_, i) => (data.classes[i]! > 0 ? "+1" : "−1"));
  const panel = (title: object, at: (i: number) => [number, number], reach: number, axes: [string, string]) => {
    const position = (field: string, axisTitle: string) => ({
      field,
      type: "quantitative",
      scale: { domain: [-reach, reach], nice: false },
      axis: { title: axisTitle, tickCount: 4, titlePadding: 2 },
    });
    return {
      title,
      width: side,
      height: side,
      data: {
        values: classes.map((name, i) => {
          const [across, up] = at(i);
          return { across: significant(across), up: significant(up), class: name };
        }),
      },
      mark: { type: "circle", size: 7, opacity: 0.7 },
      encoding: { x: position("across", axes[0]), y: position("up", axes[1]), color },
    };
  };
  const x = (i: number): [number, number] => [data.first[i]!, data.second[i]!];
  const panels = settings.rules.flatMap((rule) => {
    const { snapshots } = results.find((result) => result.rule === rule && result.seed === seed)!;
    const maps = steps.map((step) => {
      const [a, b, c, d] = snapshots.find((snapshot) => snapshot.step === step)!.weights as [
        number,
        number,
        number,
        number,
      ];
      return (i: number): [number, number] => [a * x(i)[0] + b * x(i)[1], c * x(i)[0] + d * x(i)[1]];
    });
    const farthest = Math.max(...maps.flatMap((map) => classes.map((_, i) => Math.max(...map(i).map(Math.abs)))));
    const reach = niceReach(farthest);
    return [
      panel({ text: rule, subtitle: "the input" }, x, 2.4, ["x₁", "x₂"]),
      ...maps.map((map, index) =>
        panel({ text: rule, subtitle: `z at step ${formatFixed(steps[index]!, 0)}` }, map, reach, ["z₁", "z₂"]),
      ),
    ];
  });
  return topLevel([grid(panels, columns, { color: "shared" })], {});
}

/** A little more than the farthest coordinate, to two digits; never 0. */
function niceReach(farthest: number): number {
  return farthest === 0 ? 1 : Number((1.05 * farthest).toPrecision(2));
}

interface CurvePoint {
  rule: ToyRule;
  seed: number;
  step: number;
  value: number;
}

/** A line a seed, a colour a rule, steps on a logarithmic axis. */
function curvesPanel(
  points: readonly CurvePoint[],
  options: { settings: ToySettings; title: object; yTitle: string; range: Interval; xTitle: string | null },
): object {
  const { settings, title, yTitle, range, xTitle } = options;
  const x = stepAxis(settings.steps, xTitle, "log");
  const y = positionAxis("value", range, panelHeight, 5, yTitle, true);
  const color = {
    field: "rule",
    type: "nominal",
    scale: {
      domain: settings.rules,
      range: settings.rules.map((rule) => ruleColours[ruleNames.indexOf(rule)]!),
    },
    legend: {
      title: null,
      orient: "top",
      symbolType: "stroke",
      symbolStrokeWidth: 3,
      symbolSize: 300,
      symbolOpacity: 1,
    },
  };
  const single = {
    mark: { type: "line", strokeWidth: 0.7, opacity: 0.45 },
    encoding: { x, y, color, detail: { field: "seed" } },
  };
  const mean = {
    mark: { type: "line", strokeWidth: 2.4 },
    encoding: { x, y: { ...y, aggregate: "mean" }, color },
  };
  return {
    title,
    width: 500,
    height: panelHeight,
    data: { values: points.map((point) => ({ ...point, value: significant(point.value) })) },
    layer: settings.seeds.length > 1 ? [single, mean] : [mean],
  };
}

function informationFigure(results: readonly ToyResult[], settings: ToySettings): ChartSpec {
  const nhsic = (key: "x" | "y") =>
    results.flatMap(({ rule, seed, nhsic }) =>
      nhsic.map((point) => ({ rule, seed, step: point.step, value: point[key] })),
    );
  const counted = (key: "informationXZ" | "informationYZ") =>
    results.flatMap(({ rule, seed, snapshots }) =>
      snapshots.map((snapshot) => ({ rule, seed, step: snapshot.step, value: snapshot[key] })),
    );
  const panels = [
    { text: "nHSIC with the input", yTitle: "nHSIC(X,Z), m = 256", points: nhsic("x") },
    { text: "nHSIC with the class", yTitle: "nHSIC(Y,Z), m = 256", points: nhsic("y") },
    { text: "mutual information with the input, counted", yTitle: "I(X;Z), nats", points: counted("informationXZ") },
    { text: "mutual information with the class, counted", yTitle: "I(Y;Z), nats", points: counted("informationYZ") },
  ].map(({ text, yTitle, points }, index) =>
    curvesPanel(points, {
      settings,
      title: { text },
      yTitle,
      xTitle: index > 1 ? "step" : null,
      range: domain([0, ...points.map(({ value }) => value)], undefined, notNegative),
    }),
  );
  return topLevel([grid(panels, 2, { color: "shared" })], {});
}

function accuracyFigure(results: readonly ToyResult[], settings: ToySettings): ChartSpec {
  const points = (key: "headAccuracy" | "networkAccuracy") =>
    results.flatMap(({ rule, seed, snapshots }) =>
      snapshots.map((snapshot) => ({ rule, seed, step: snapshot.step, value: 100 * snapshot[key] })),
    );
  const panels = [
    { text: "what W learns from: its head, or the network", values: points("headAccuracy") },
    { text: "the network, after its second layer", values: points("networkAccuracy") },
  ].map(({ text, values }) =>
    curvesPanel(values, {
      settings,
      title: { text },
      yTitle: "accuracy, %",
      xTitle: "step",
      range: domain(
        values.map(({ value }) => value),
        undefined,
        percentages,
      ),
    }),
  );
  return topLevel([grid(panels, 2, { color: "shared" })], {});
}
