// Numbers for charts: six digits, no more points than can be seen, an axis with round ticks.
import type { Interval, Summary } from "../../statistics/index.js";
import { logTicks, ticks } from "../chart-data.js";

/** Six digits: more than a screen shows, and short. */
export function significant(value: number): number {
  return Number(value.toPrecision(6));
}

/** What values of a kind can be at all, in the unit they are drawn in: intervals are drawn no further. */
export const percentages: Interval = [0, 100];
export const notNegative: Interval = [0, Number.POSITIVE_INFINITY];

/** The nearest value of a range. */
export function within(value: number, [low, high]: Interval): number {
  return Math.min(high, Math.max(low, value));
}

/** A number in another unit, with the part of its interval that is possible. */
export function scaled(
  summary: Summary,
  times: number,
  possible: Interval,
): { mean: number; low: number; high: number; n: number } {
  const [low, high] = summary.interval ?? [summary.mean, summary.mean];
  return {
    mean: significant(times * summary.mean),
    low: significant(within(times * low, possible)),
    high: significant(within(times * high, possible)),
    n: summary.n,
  };
}

/** Points a line may have so that a chart of many lines stays small. */
export function limitPoints(lines: number, total: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, Math.floor(total / lines)));
}

/** Lists of nearly equal length, none above `most`. */
export function splitEvenly<T>(items: readonly T[], most: number): T[][] {
  const parts = Math.max(1, Math.ceil(items.length / most));
  const size = Math.ceil(items.length / parts);
  return Array.from({ length: parts }, (_, part) => items.slice(part * size, (part + 1) * size));
}

/** Decimals up to which ticks are written out. */
const MOST_DECIMALS = 4;

/** Ticks written alike; smaller ones in powers of ten, but for 0. */
function tickLabels(decimals: number): { format: string } | { labelExpr: string } {
  if (decimals <= MOST_DECIMALS) return { format: `,.${decimals}f` };
  return { labelExpr: "datum.value === 0 ? '0' : format(datum.value, '.3~e')" };
}

/** A position with its range and round ticks; `toEnd` keeps the tick at the very end of an axis across. */
export function positionAxis(
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
    axis: { title, values, labelFlush: false, ...tickLabels(decimals) },
  };
}

/** The same on a logarithmic scale; every value and the range itself are above zero. */
export function logAxis(field: string, range: Interval, wanted: number, title: string | null) {
  return {
    field,
    type: "quantitative",
    scale: { type: "log", domain: range, nice: false, zero: false },
    axis: { title, values: logTicks(range, wanted), format: ",.4~g", labelFlush: false, labelOverlap: true },
  };
}
