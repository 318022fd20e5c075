// Every measure but nHSIC that was taken at several times, over epochs: a chart a measure, in it a panel a stage and a
// colour a variant, as nHSIC has them. Of the input and of the label, one above the other; of training and test images,
// dashed and solid. A number that never changes is not drawn.
import type { Interval } from "../../statistics/index.js";
import { readableDomain } from "../chart-data.js";
import type { Comparison, Variant } from "../comparison.js";
import { capital, inWords } from "../measure-names.js";
import { quantityOf } from "../quantities.js";
import { keysOverTime, onlyValue, stagesOfKeys, withKey } from "../stage-series.js";
import { type Chart, overEpochs } from "./chart.js";
import { looksOf } from "./colours.js";
import { bandSentence, type CurvePoint, curve, curvePanel, drawnExtent, epochsSentence, hasBands } from "./curves.js";
import { grid, pageWidth, titleText, topLevel } from "./look.js";
import { limitPoints, notNegative, percentages, splitEvenly } from "./numbers.js";

/** A row of panels: one number, or that of training and of test images. */
interface Row {
  title: string | null;
  keys: { key: string; split: string }[];
}

/** What one chart draws. */
interface Quantity {
  /** Kebab-case, for the file's name. */
  name: string;
  title: string;
  rows: Row[];
  times: number;
  possible: Interval;
}

const anything: Interval = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];

/** Those whose keys say too little. */
const own: Readonly<Record<string, Pick<Quantity, "title" | "times" | "possible"> & { axis: string }>> = {
  informationY: { title: "Information about the label, at least", axis: "nats", times: 1, possible: anything },
  informationAccuracy: {
    title: "Label: accuracy of a classifier",
    axis: "accuracy (%)",
    times: 100,
    possible: percentages,
  },
  probe: { title: "Linear probe", axis: "accuracy (%)", times: 100, possible: percentages },
  reconstructionError: { title: "Image: error of a decoder", axis: "nats", times: 1, possible: notNegative },
};

/** One chart a measure, in the order in which they were taken; none where nothing but nHSIC has two times. */
export function measuresOverEpochsCharts(comparison: Comparison): Chart[] {
  const keys = keysOverTime(comparison).filter((key) => !isPlaneKey(key) && onlyValue(comparison, key) === null);
  const all = quantitiesOf(keys);
  return all.map((quantity) => chartOf(comparison, quantity, all.length));
}

/** Measures with several times that are the same at all of them and everywhere. */
export function unchangingMeasures(comparison: Comparison): { title: string; value: number }[] {
  return keysOverTime(comparison).flatMap((key) => {
    const value = onlyValue(comparison, key);
    return value === null || isPlaneKey(key) ? [] : [{ title: own[key]?.title ?? inWords(key), value }];
  });
}

function isPlaneKey(key: string): boolean {
  return key === "nhsicXZ" || key === "nhsicYZ";
}

/** `ckaXZ` and `ckaYZ` are two rows of one quantity, `knnTrain` and `knnTest` one row with two lines a variant. */
function quantitiesOf(keys: readonly string[]): Quantity[] {
  const groups = new Map<string, { base: string; keys: string[] }>();
  for (const key of keys) {
    const [, base = key, ending = ""] = /^(.+)([XY]Z|Train|Test)$/.exec(key) ?? [];
    const kind = ending.endsWith("Z") ? "pair" : ending === "" ? "one" : "splits";
    const group = groups.get(`${kind} ${base}`) ?? { base, keys: [] };
    groups.set(`${kind} ${base}`, { ...group, keys: [...group.keys, key] });
  }
  const names = new Set<string>();
  return [...groups].map(([id, { base, keys: grouped }]) => {
    const isSplit = id.startsWith("splits ");
    const rows = isSplit
      ? [
          {
            title: "accuracy (%)",
            keys: grouped.map((key) => ({ key, split: key.endsWith("Train") ? "train" : "test" })),
          },
        ]
      : grouped.map((key) => ({
          title: own[key]?.axis ?? (id.startsWith("pair ") ? pairTitle(key) : quantityOf(key).unit),
          keys: [{ key, split: "" }],
        }));
    return {
      name: unused(fileName(base), names),
      title: own[base]?.title ?? capital(inWords(base)),
      rows,
      times: isSplit ? 100 : (own[base]?.times ?? 1),
      possible: isSplit ? percentages : (own[base]?.possible ?? anything),
    };
  });
}

function chartOf(comparison: Comparison, quantity: Quantity, charts: number): Chart {
  const { name, title, rows, times, possible } = quantity;
  const stages = stagesOfKeys(
    comparison,
    rows.flatMap(({ keys }) => keys.map(({ key }) => key)),
  );
  const narrowed = new Map(
    rows.flatMap(({ keys }) =>
      keys.map(({ key }) => [key, comparison.variants.map((variant) => [variant, withKey(variant, key)] as const)]),
    ),
  );
  const lines = comparison.variants.length * stages.length * rows.flatMap(({ keys }) => keys).length;
  const limit = limitPoints(lines * charts, 24_000, 25, 120);
  const pointsOf = (row: Row, stage: string): CurvePoint[] =>
    row.keys.flatMap(({ key, split }) =>
      narrowed.get(key)!.flatMap(([, variant]) => curve(variant, key, stage, limit, { split, times, possible })),
    );
  const drawn: Variant[] = comparison.variants.filter((_, at) =>
    [...narrowed.values()].some((variants) => variants[at]![1].drawn.some(({ metrics }) => metrics.length > 0)),
  );
  const looks = looksOf(comparison, drawn);
  const splits = rows.some(({ keys }) => keys.some(({ split }) => split !== ""));
  const bands = splitEvenly(stages, 6);
  const width = Math.max(110, Math.min(230, Math.floor(pageWidth / bands[0]!.length) - 36));
  const height = Math.round(Math.max(95, Math.min(140, 0.7 * width)));
  const scales = { color: "shared", shape: "shared", ...(splits ? { strokeDash: "shared" } : {}) };
  const grids = bands.map((bandStages) =>
    grid(
      rows.flatMap((row, at) =>
        bandStages.map((stage, column) => {
          const points = pointsOf(row, stage);
          return curvePanel(points, {
            title: { text: titleText(stage) },
            width,
            height,
            xTitle: at === rows.length - 1 ? "epoch" : null,
            yTitle: column === 0 ? row.title : null,
            valueTitle: row.title ?? title,
            looks,
            possible,
            scale: { range: readableDomain(drawnExtent(points), possible) },
            splits,
            tooltips: lines <= 60,
          });
        }),
      ),
      bandStages.length,
      scales,
    ),
  );
  return {
    name: `${overEpochs}${name}`,
    title,
    caption:
      explanation(rows) +
      (splits ? " Train dashed, test solid." : rows.length > 1 ? " Above with the input, below with the label." : "") +
      bandSentence(drawn) +
      (hasBands(drawn) ? " Bands are cut off at the panel's edge." : "") +
      epochsSentence(drawn),
    spec: topLevel(grids, scales),
  };
}

/** `ksgYZ` → `KSG(Y, Z), nats`. */
function pairTitle(key: string): string {
  const { unit } = quantityOf(key);
  return unit === null ? inWords(key) : `${inWords(key)}, ${unit}`;
}

/** What is drawn, a sentence; of several rows each has its own. Empty where that is not known. */
function explanation(rows: readonly Row[]): string {
  const says = rows.flatMap(({ keys }) => keys.slice(0, 1).map(({ key }) => quantityOf(key).says));
  return says
    .filter((text) => text !== "")
    .map((text) => `${capital(text)}.`)
    .join(" ");
}

/** `effectiveRank` → `effective-rank`. */
function fileName(base: string): string {
  const name = base
    .replaceAll(/([a-z0-9])([A-Z])/g, "$1-$2")
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .slice(0, 60)
    .replaceAll(/^-|-$/g, "");
  return name === "" ? "measure" : name;
}

/** With a number behind it where it is taken already. */
function unused(name: string, names: Set<string>): string {
  let free = name;
  for (let next = 2; names.has(free); next++) free = `${name}-${next}`;
  names.add(free);
  return free;
}
