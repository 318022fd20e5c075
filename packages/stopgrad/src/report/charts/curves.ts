// A number over epochs, a colour a variant: the mean over seeds as a line, its interval as a band; of fewer than three seeds
// their own lines, because the interval of two is many times as wide as what they differ in. More variants than
// colours tell apart have a shape each, put on their line at a few places.
import type { Interval } from "../../statistics/index.js";
import { type BandPoint, band, domain, thin } from "../chart-data.js";
import { trajectory, type Variant } from "../comparison.js";
import { count, joinWords } from "../format.js";
import { hasShapes, type Look, shapeScale, splitScale, variantFields, variantScale } from "./colours.js";
import { logAxis, positionAxis, significant, within } from "./numbers.js";

export interface CurvePoint extends BandPoint {
  variant: string;
  variantKey: string;
  split: string;
  /** Of a single seed's own line; null for the mean. */
  seed: number | null;
}

/** Fewest seeds whose mean has a band. */
const FEWEST_FOR_BAND = 3;

/** A line with no more points than this shows them: what was measured twice is no course. */
const FEW_TIMES = 10;

/** An axis that does not hold everything. */
export interface CurveScale {
  range: Interval;
  /** Logarithmic: every value and the range are above zero. */
  log?: boolean;
}

/** The mean over seeds, and where these are two the line of each. */
export function curve(
  variant: Variant,
  key: string,
  stage: string,
  limit: number,
  { split = "", times = 1, possible }: { split?: string; times?: number; possible: Interval },
): CurvePoint[] {
  const seeds = variant.drawn
    .map(({ record, ...run }) => ({ seed: record.seed, values: trajectory({ record, ...run }, key, stage) }))
    .filter(({ values }) => values.length > 0);
  const line = (points: readonly BandPoint[], seed: number | null): CurvePoint[] =>
    thin(points, limit).map((point) => ({
      ...variantFields(variant),
      split,
      seed,
      epoch: point.epoch,
      mean: significant(times * point.mean),
      low: significant(within(times * point.low, possible)),
      high: significant(within(times * point.high, possible)),
      n: point.n,
    }));
  const alone = seeds.length > 1 && seeds.length < FEWEST_FOR_BAND ? seeds : [];
  return [
    ...line(band(seeds.map(({ values }) => values)), null),
    ...alone.flatMap(({ seed, values }) => line(band([values]), seed)),
  ];
}

/** What of the points is drawn: no interval where there is no band. */
export function drawnExtent(points: readonly CurvePoint[]): CurvePoint[] {
  return points.map((point) => (point.n < FEWEST_FOR_BAND ? { ...point, low: point.mean, high: point.mean } : point));
}

export function curvePanel(
  all: readonly CurvePoint[],
  options: {
    title: object;
    width: number;
    height: number;
    xTitle: string | null;
    yTitle: string | null;
    valueTitle: string;
    looks: readonly Look[];
    /** What values can be: the axis goes hardly further. */
    possible: Interval;
    /** The axis up, where it is not to hold everything: what lies outside is cut off. */
    scale?: CurveScale;
    splits?: boolean;
    /** Dots that answer the pointer, invisible where a line has many; left out where there would be too many. */
    tooltips: boolean;
  },
): object {
  const points = all.filter(({ seed }) => seed === null);
  const seeds = all.filter(({ seed }) => seed !== null);
  const last = Math.max(1e-6, ...all.map((point) => point.epoch));
  const everything = drawnExtent(all).flatMap((point) => [point.mean, point.low, point.high]);
  const range = options.scale?.range ?? domain(everything, undefined, options.possible);
  const clip = options.scale !== undefined;
  const x = { ...positionAxis("epoch", [0, last], options.width, 5, options.xTitle, true) };
  const y = options.scale?.log
    ? logAxis("mean", range, 5, options.yTitle)
    : positionAxis("mean", range, options.height, 5, options.yTitle);
  const color = variantScale(options.looks);
  const withBand = points.some((point) => point.n >= FEWEST_FOR_BAND);
  const severalSeeds = points.some((point) => point.n > 1);
  const few = hasFewTimes(points);
  const layers: object[] = [];
  if (withBand) {
    layers.push({
      transform: [{ filter: `datum.n >= ${FEWEST_FOR_BAND}` }],
      mark: { type: "area", opacity: 0.18, ...(clip ? { clip } : {}) },
      encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color, detail: { field: "split" } },
    });
  }
  if (seeds.length > 0) {
    layers.push({
      data: { values: seeds },
      mark: { type: "line", strokeWidth: 0.8, opacity: 0.6, ...(clip ? { clip } : {}) },
      encoding: {
        x,
        y,
        color,
        detail: { field: "seed" },
        ...(options.splits ? { strokeDash: splitScale } : {}),
      },
    });
  }
  layers.push({
    mark: { type: "line", strokeWidth: 1.8, ...(clip ? { clip } : {}) },
    encoding: { x, y, color, ...(options.splits ? { strokeDash: splitScale } : {}) },
  });
  if (hasShapes(options.looks)) {
    layers.push({
      data: { values: spacedMarks(points, options.looks) },
      mark: { type: "point", filled: true, size: 45, opacity: 1, ...(clip ? { clip } : {}) },
      encoding: { x, y, color, shape: shapeScale(options.looks) },
    });
  }
  if (options.tooltips || few) {
    layers.push({
      mark: {
        type: "circle",
        ...(few ? { size: 24, opacity: 1 } : { size: 60, opacity: 0 }),
        ...(clip ? { clip } : {}),
      },
      encoding: {
        x,
        y,
        ...(few ? { color } : {}),
        tooltip: [
          { field: "variant", title: "variant" },
          ...(options.splits ? [{ field: "split", title: "split" }] : []),
          { field: "epoch", title: "epoch", format: ".4~g" },
          { field: "mean", title: options.valueTitle, format: ".4~g" },
          ...(severalSeeds
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

/** Whether no line has more points than can be seen one by one. */
function hasFewTimes(points: readonly CurvePoint[]): boolean {
  return linesOf(points).every((line) => line.length <= FEW_TIMES);
}

function linesOf(points: readonly CurvePoint[]): CurvePoint[][] {
  const lines = new Map<string, CurvePoint[]>();
  for (const point of points) {
    const key = JSON.stringify([point.variantKey, point.split]);
    lines.set(key, [...(lines.get(key) ?? []), point]);
  }
  return [...lines.values()];
}

/** Where shapes stand on each line: a few points, not the same in neighbouring variants, and the last. */
function spacedMarks(points: readonly CurvePoint[], looks: readonly Look[]): CurvePoint[] {
  return linesOf(points).flatMap((line) => {
    if (line.length < 2) return []; // no line to stand on
    const at = looks.findIndex(({ label }) => label === line[0]!.variant);
    const apart = Math.max(1, Math.floor(line.length / 4));
    return line.filter((_, index) => index === line.length - 1 || index % apart === at % apart);
  });
}

/** Says what an epoch is where the variants' trainings differ in length because some have several phases; else empty. */
export function epochsSentence(variants: readonly Variant[]): string {
  const lengths = new Map<number, string[]>();
  let phases = false;
  for (const { label, completed } of variants) {
    for (const epochs of new Set(completed.map(({ record }) => record.summary!.epochs))) {
      lengths.set(epochs, [...(lengths.get(epochs) ?? []), label]);
    }
    phases ||= completed.some(({ record }) => record.summary!.epochs !== record.settings.epochs);
  }
  if (!phases || lengths.size < 2) return "";
  const ascending = [...lengths].sort(([a], [b]) => a - b);
  const list = ascending.map(([epochs, labels]) =>
    labels.length > 3 ? `${count(labels.length, "variant")} ${epochs}` : `${joinWords(labels)} ${epochs}`,
  );
  return ` Epochs of all phases of a training together: ${list.join("; ")}.`;
}

/** Whether a mean of some variant has a band. */
export function hasBands(variants: readonly Variant[]): boolean {
  return variants.some(({ drawn }) => drawn.length >= FEWEST_FOR_BAND);
}

/** What the lines of several seeds are; empty where there is one seed each. */
export function bandSentence(variants: readonly Variant[]): string {
  const seeds = variants.map(({ drawn }) => drawn.length);
  if (seeds.every((runs) => runs < 2)) return "";
  const parts = [
    ...(hasBands(variants)
      ? [
          "bands: its 95 % interval (the variants' intervals alone do not say whether they differ: runs are paired by " +
            "seed, see the results)",
        ]
      : []),
    ...(seeds.includes(2) ? ["thin lines: single seeds, where there are two"] : []),
  ];
  return ` Lines: mean over seeds; ${parts.join("; ")}.`;
}
