// The scale of the loss, on which the lines can be told apart. An untrained network's loss may be a thousand times what it is
// after one epoch, and one diverged step flattens everything else, so not every value decides the scale, as TensorBoard
// ignores outliers when it scales a chart; what lies outside is cut off at the panel's edge, and the axis title says so.
import type { Interval } from "../../statistics/index.js";
import { quantile, readableDomain } from "../chart-data.js";
import { count, formatNumber, joinWords } from "../format.js";
import type { CurvePoint, CurveScale } from "./curves.js";
import { within } from "./numbers.js";

/** Losses that differ by more than this factor get a logarithmic scale. */
const MANY_TIMES = 20;

/** Share of the values at either end that may be outliers, as in TensorBoard. */
const TAIL = 0.05;

/** Epoch 0 is left out of the scale where that would otherwise be so many times as long; outliers, which are of the training. */
const FLATTENED = { byEpoch0: 2, byOutliers: 2.5 };

export interface LossScale extends CurveScale {
  /** Of the axis. */
  title: string;
  /** What is outside, a sentence for the caption; empty where nothing is. */
  outside: string;
}

/**
 * A linear scale that holds all losses; without those of epoch 0 and without outliers where they would flatten the rest; a
 * logarithmic one where what is left is above zero and ranges over more than a factor of 20.
 */
export function lossScale(points: readonly CurvePoint[]): LossScale {
  const trained = points.filter(({ epoch }) => epoch > 0);
  const shown = trained.length > 0 ? trained : points;
  const [low, high] = middle(shown);
  if (shown.every(({ mean }) => mean > 0) && high / low > MANY_TIMES) return logarithmic(points, shown);
  const inside = shown.filter(({ mean }) => mean >= low && mean <= high);
  const usual = flattens(shown, inside, FLATTENED.byOutliers) ? inside : shown;
  const held = withUntrained(points, usual, spanOf);
  const range = readableDomain(held);
  const { cut, outside } = named(points, range);
  return { range, title: cut === "" ? "loss" : `loss (${cut} cut off)`, outside };
}

/**
 * The loss's points as a scale draws them: no band at what is cut off, which would cover the panel up to there, nor further
 * down than the panel; nothing that is not above zero on a logarithmic scale.
 */
export function drawable(points: readonly CurvePoint[], { range, log }: CurveScale): CurvePoint[] {
  return points
    .filter(({ mean }) => !log || mean > 0)
    .map((point) => {
      const { mean, low } = point;
      if (mean < range[0] || mean > range[1]) return { ...point, low: mean, high: mean };
      return { ...point, low: within(low, [range[0], mean]) };
    });
}

function logarithmic(points: readonly CurvePoint[], shown: readonly CurvePoint[]): LossScale {
  // An outlier costs little on this scale: only epoch 0 can be outside.
  const positive = points.filter(({ mean }) => mean > 0);
  const means = withUntrained(positive, shown, factorOf).map(({ mean }) => mean);
  const range: Interval = [0.9 * Math.min(...means), 1.1 * Math.max(...means)];
  const { cut, outside } = named(points, range);
  return { range, log: true, title: cut === "" ? "loss (log scale)" : `loss (log; ${cut} cut off)`, outside };
}

/** What a scale holds, and what of epoch 0 does not flatten that. */
function withUntrained(
  points: readonly CurvePoint[],
  held: readonly CurvePoint[],
  lengthOf: (points: readonly CurvePoint[]) => number,
): readonly CurvePoint[] {
  const all = [...held, ...points.filter(({ epoch }) => epoch === 0)];
  return lengthOf(all) > FLATTENED.byEpoch0 * lengthOf(held) ? held : all;
}

/** Between which the losses lie, outliers aside. */
function middle(points: readonly CurvePoint[]): Interval {
  const means = points.map(({ mean }) => mean);
  return [quantile(means, TAIL), quantile(means, 1 - TAIL)];
}

/** Whether a scale that holds all points is more than so many times as long as one that holds some. */
function flattens(all: readonly CurvePoint[], some: readonly CurvePoint[], times: number): boolean {
  return spanOf(all) > times * spanOf(some);
}

function spanOf(points: readonly CurvePoint[]): number {
  const means = points.map(({ mean }) => mean);
  return Math.max(...means) - Math.min(...means);
}

/** The length of a logarithmic scale. */
function factorOf(points: readonly CurvePoint[]): number {
  const means = points.map(({ mean }) => mean);
  return Math.log(Math.max(...means) / Math.min(...means));
}

/** What of the points a scale does not show, for the axis (short: no longer than the panel is high) and for the caption. */
function named(points: readonly CurvePoint[], range: Interval): { cut: string; outside: string } {
  const beyond = points.filter(({ seed, mean }) => seed === null && (mean < range[0] || mean > range[1]));
  if (beyond.length === 0) return { cut: "", outside: "" };
  const outliers = beyond.filter(({ epoch }) => epoch > 0).length;
  const what = [
    ...(outliers < beyond.length ? ["epoch 0 (the untrained network)"] : []),
    ...(outliers > 0 ? [count(outliers, "outlier")] : []),
  ];
  const means = beyond.map(({ mean }) => mean);
  const ends = [...new Set([Math.min(...means), Math.max(...means)].map(formatNumber))];
  return {
    cut: outliers > 0 ? "outliers" : "epoch 0",
    outside: ` The loss is cut off where it would flatten all else: at ${joinWords(what)}, ${ends.join(" to ")}.`,
  };
}
