// Every value of every measure of a stage that was recorded, one a row, for programs: unrounded, run by run.
import type { Comparison } from "../comparison.js";
import { nothing } from "../format.js";
import { keysOverTime, stageValues } from "../stage-series.js";
import { type Cell, type Column, type Table, textCell } from "../table.js";

/** Of the table and its file. */
export const seriesName = "measures-over-epochs";

/** A row a run, measure, stage and time; no rows where nothing was measured more than once. */
export function measuresOverEpochsTable(comparison: Comparison): Table {
  const left = (title: string): Column => ({ title, align: "left", fields: [title] });
  const right = (title: string, field = title): Column => ({ title, align: "right", fields: [field] });
  const values = keysOverTime(comparison).length === 0 ? [] : stageValues(comparison);
  return {
    name: seriesName,
    title: "Measures over epochs",
    columns: [
      left("variant"),
      right("seed"),
      left("run"),
      left("measure"),
      left("stage"),
      right("epoch"),
      right("step"),
      right("value"),
      right("standard error", "standardError"),
    ],
    rows: values.map(({ variant, run, key, stage, epoch, step, value, standardError }) => [
      textCell(variant.label),
      exact(run.record.seed),
      textCell(run.record.id),
      textCell(key),
      textCell(stage),
      exact(epoch),
      exact(step),
      exact(value),
      exact(standardError),
    ]),
    notes: [],
  };
}

function exact(value: number | null): Cell {
  return { text: value === null ? nothing : String(value), data: [value] };
}
