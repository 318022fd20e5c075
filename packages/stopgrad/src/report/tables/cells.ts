// Cells that tables share: means with their spread or interval, ratios, and the best of a column.
import type { Summary } from "../../statistics/index.js";
import { formatFixed, formatSpread, nothing } from "../format.js";
import type { Cell, CellValue } from "../table.js";

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

export function intervalCell(summary: Summary | null): Cell {
  const format = (value: number) => formatFixed(value, 3);
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

/** Marks the best mean of a column; nothing is best of one, nor what another row prints just so. */
export function markBest(
  rows: Cell[][],
  index: number,
  means: (number | null)[],
  direction: 1 | -1,
  format: (mean: number) => string,
): void {
  const known = means.filter((value): value is number => value !== null);
  if (known.length < 2) return;
  const best = direction > 0 ? Math.max(...known) : Math.min(...known);
  if (known.filter((value) => format(value) === format(best)).length > 1) return;
  rows[means.indexOf(best)]![index]!.best = true;
}
