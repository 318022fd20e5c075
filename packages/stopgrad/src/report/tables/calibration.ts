// Estimators of mutual information against what is known, as tables: every number for files, estimate and error over
// dimension and strength for a terminal, and the region in which each estimator holds.
import type { CalibrationPair, CalibrationResult, EstimatorName } from "../../measures/mutual-information/index.js";
import { formatFixed, nothing, signed } from "../format.js";
import { type Cell, type Column, type Table, textCell } from "../table.js";

const pairWords: Record<CalibrationPair, string> = { input: "I(X;Z)", labels: "I(Y;Z)" };

/** Beside an estimate that fails. */
const MARK = "✗";

const criterion = `${MARK}: off by more than 0.1 nats and by more than a tenth of the truth.`;

const number = (value: number | null): Cell => ({
  text: value === null ? nothing : formatFixed(value, 3),
  data: [value],
});

/** A row for each estimate: truth, estimate, error, and whether it fails. */
export function calibrationTable(results: readonly CalibrationResult[]): Table {
  const right = (title: string, field: string, unit?: string): Column => ({
    title,
    align: "right",
    fields: [field],
    ...(unit === undefined ? {} : { unit }),
  });
  return {
    name: "calibration",
    title: "Estimators of mutual information against the truth",
    columns: [
      { title: "estimator", align: "left", fields: ["estimator"] },
      { title: "of", align: "left", fields: ["of"] },
      right("dimension", "dimension"),
      right("correlation", "correlation"),
      right("truth", "truth", "nats"),
      right("estimate", "estimate", "nats"),
      right("error", "error", "nats"),
      { title: "fails", align: "left", fields: ["fails"] },
      right("seeds", "seeds"),
    ],
    rows: results.map((result) => [
      textCell(result.estimator),
      textCell(pairWords[result.pair]),
      { text: String(result.dimension), data: [result.dimension] },
      { text: formatFixed(result.correlation, 4), data: [result.correlation] },
      number(result.truth),
      number(result.estimate),
      { ...number(result.error), text: result.error === null ? nothing : signedNumber(result.error, 3) },
      { text: result.refused === null ? (result.fails ? MARK : "") : `${MARK} refused`, data: [String(result.fails)] },
      { text: String(result.estimates.length), data: [result.estimates.length] },
    ]),
    notes: [criterion, ...refusals(results)],
  };
}

/** A table for each estimator and pair: a row a dimension, a column a strength; estimate, error, and a mark. */
export function calibrationGrids(results: readonly CalibrationResult[]): Table[] {
  return groups(results).map(({ estimator, pair, rows }) => ({
    name: `calibration-${estimator}-${pair}`,
    title: `${estimator}, ${pairWords[pair]}: estimate (error), nats`,
    columns: [
      { title: "d", align: "right", fields: ["dimension"] },
      ...rows[0]!.map((first, at): Column => {
        // Given by correlation, the truth differs from row to row and stands in the cells.
        const title = sameTruth(rows, at) ? `truth ${trimmed(first.truth)}` : `ρ ${trimmed(first.correlation)}`;
        return { title, align: "right", fields: [title] };
      }),
    ],
    rows: rows.map((row) => [
      { text: String(row[0]!.dimension), data: [row[0]!.dimension] },
      ...row.map((result, at) => ({
        text: `${sameTruth(rows, at) ? "" : `${trimmed(result.truth)}: `}${estimateText(result)}`,
        data: [result.estimate],
      })),
    ]),
    notes: [],
  }));
}

/** Up to which strength each estimator holds at each dimension, all weaker ones included. */
export function calibrationRegions(results: readonly CalibrationResult[]): Table {
  const dimensions = [...new Set(results.map(({ dimension }) => dimension))];
  return {
    name: "calibration-regions",
    title: "Where each estimator holds: up to so many nats, of what was tried",
    columns: [
      { title: "estimator", align: "left", fields: ["estimator"] },
      { title: "of", align: "left", fields: ["of"] },
      ...dimensions.map(
        (dimension): Column => ({ title: `d = ${dimension}`, align: "right", fields: [`dimension${dimension}`] }),
      ),
    ],
    rows: groups(results).map(({ estimator, pair, rows }) => [
      textCell(estimator),
      textCell(pairWords[pair]),
      ...dimensions.map((dimension) => regionCell(rows.find((row) => row[0]!.dimension === dimension)!)),
    ]),
    notes: [criterion],
  };
}

function regionCell(row: readonly CalibrationResult[]): Cell {
  const byTruth = row.toSorted((a, b) => a.truth - b.truth);
  const firstFailure = byTruth.findIndex(({ fails }) => fails);
  if (firstFailure < 0) return { text: `all (${trimmed(byTruth.at(-1)!.truth)})`, data: [byTruth.at(-1)!.truth] };
  if (firstFailure === 0) return { text: "none", data: [null] };
  const { truth } = byTruth[firstFailure - 1]!;
  return { text: trimmed(truth), data: [truth] };
}

interface Group {
  readonly estimator: EstimatorName;
  readonly pair: CalibrationPair;
  /** A list of strengths for each dimension. */
  readonly rows: CalibrationResult[][];
}

function groups(results: readonly CalibrationResult[]): Group[] {
  return grouped(results, ({ estimator, pair }) => `${pair} ${estimator}`).map((group) => ({
    estimator: group[0]!.estimator,
    pair: group[0]!.pair,
    rows: grouped(group, ({ dimension }) => dimension),
  }));
}

/** Lists of items of the same key, in the order in which keys come. */
function grouped<T>(items: readonly T[], keyOf: (item: T) => unknown): T[][] {
  const found = new Map<unknown, T[]>();
  for (const item of items) found.set(keyOf(item), [...(found.get(keyOf(item)) ?? []), item]);
  return [...found.values()];
}

/** Whether all dimensions have the same truth in a column. */
function sameTruth(rows: readonly CalibrationResult[][], at: number): boolean {
  return rows.every((row) => Math.abs(row[at]!.truth - rows[0]![at]!.truth) < 1e-9);
}

function estimateText({ estimate, error, fails }: CalibrationResult): string {
  if (estimate === null || error === null) return `${MARK} refused`;
  return `${fails ? `${MARK} ` : ""}${formatFixed(estimate, 2)} (${signedNumber(error, 2)})`;
}

function refusals(results: readonly CalibrationResult[]): string[] {
  return [...new Set(results.flatMap(({ refused }) => refused ?? []))];
}

const signedNumber = (value: number, decimals: number) => signed(value, (size) => formatFixed(size, decimals));

/** Two decimals at most, without zeros at the end. */
const trimmed = (value: number) => String(Number(value.toFixed(value < 0.1 ? 3 : 2)));
