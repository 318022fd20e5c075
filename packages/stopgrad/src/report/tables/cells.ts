// Cells that tables share: means with their spread or interval, ratios, and the best of a column.
import { differenceOverSeeds, type Interval, mean, type SeededValue, type Summary } from "../../statistics/index.js";
import { formatFixed, formatSignificant, formatSpread, nothing } from "../format.js";
import type { Cell, CellValue, Column } from "../table.js";

export function spreadFields(name: string): string[] {
  return [`${name}Mean`, `${name}Std`];
}

export function intervalFields(name: string): string[] {
  return [`${name}Mean`, `${name}Low`, `${name}High`];
}

export function spreadData(summary: Summary | null): CellValue[] {
  return [summary?.mean ?? null, summary?.std ?? null];
}

export function spreadCell(summary: Summary | null, format: (value: number) => string): Cell {
  return { text: formatSpread(summary, format), data: spreadData(summary) };
}

/** A mean and its interval with as many digits as tell them, percentages with two decimals. @param shown - as what */
export function intervalCell(
  summary: Summary | null,
  {
    times = 1,
    possible = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
  }: { times?: number; possible?: Interval } = {},
): Cell {
  const inRange = (value: number) => Math.min(possible[1], Math.max(possible[0], value));
  const format = (value: number) =>
    times === 100 ? formatFixed(inRange(times * value), 2) : formatSignificant(inRange(times * value));
  const interval = summary?.interval ?? null;
  const text = summary === null ? nothing : format(summary.mean);
  return {
    text: interval === null ? text : `${text} [${format(interval[0])}, ${format(interval[1])}]`,
    data: [summary?.mean ?? null, interval?.[0] ?? null, interval?.[1] ?? null],
  };
}

export function numberCell(value: number, format: (value: number) => string): Cell {
  return Number.isFinite(value) ? { text: format(value), data: [value] } : { text: nothing, data: [null] };
}

export function ratio(summary: Summary | null, reference: Summary | null | undefined): number | null {
  return summary === null || reference == null || reference.mean === 0 ? null : summary.mean / reference.mean;
}

export function bracketed(value: number | null, unit: string, times: number, decimals: number): string {
  return value === null ? "" : ` (${formatFixed(times * value, decimals)}${unit})`;
}

/**
 * Marks the best of a column of numbers that are counted, not sampled; nothing is best of one, nor what another row prints
 * just so.
 */
export function markBest(
  rows: Cell[][],
  index: number,
  values: (number | null)[],
  direction: 1 | -1,
  format: (value: number) => string,
): void {
  const known = values.filter((value): value is number => value !== null);
  if (known.length < 2) return;
  const best = direction > 0 ? Math.max(...known) : Math.min(...known);
  if (known.filter((value) => format(value) === format(best)).length > 1) return;
  rows[values.indexOf(best)]![index]!.best = true;
}

/**
 * Marks the best of a column of means over seeds: better than every other by more than the 95 % interval of their
 * difference, which is paired over shared seeds. Nothing is marked where that cannot be told: of one seed each, or where
 * another row prints just so.
 *
 * @param samples - of each row, one value a seed; none where it has no number
 */
export function markClearlyBest(
  rows: Cell[][],
  index: number,
  samples: readonly (readonly SeededValue[])[],
  direction: 1 | -1,
  format: (mean: number) => string,
): void {
  const known = samples.flatMap((values, row) =>
    values.length === 0 ? [] : [{ row, values, mean: mean(values.map(({ value }) => value)) }],
  );
  if (known.length < 2) return;
  const best = known.reduce((kept, one) => (direction * (one.mean - kept.mean) > 0 ? one : kept));
  const isClear = known.every((other) => {
    if (other === best) return true;
    const { interval } = differenceOverSeeds(best.values, other.values);
    if (interval === null || format(other.mean) === format(best.mean)) return false;
    return direction > 0 ? interval[0] > 0 : interval[1] < 0;
  });
  if (isClear) rows[best.row]![index]!.best = true;
}

/** The unit of columns of numbers with an interval. */
export const WITH_INTERVAL = "[95 %]";

/** The columns without that unit where no row has an interval: of one seed there is none. */
export function withUnitsOfIntervals(columns: readonly Column[], rows: readonly (readonly Cell[])[]): Column[] {
  return columns.map((column, at) => {
    if (column.unit !== WITH_INTERVAL || rows.some((row) => row[at]!.data[1] !== null)) return column;
    const { unit: _, ...bare } = column;
    return bare;
  });
}

/** What bold means in a table that has such a cell, a sentence; else empty. */
export function boldSentence(rows: readonly (readonly Cell[])[], meaning: string): string {
  return rows.some((row) => row.some(({ best }) => best)) ? ` Bold: ${meaning}.` : "";
}
