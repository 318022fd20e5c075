// The runs themselves: those with a result and the commands that repeat them, and those without.
import type { Comparison } from "../comparison.js";
import { formatPercent, nothing } from "../format.js";
import { type Cell, type Table, textCell } from "../table.js";
import { numberCell } from "./cells.js";

/** A row a completed run: its own numbers and the command that repeats it. */
export function runsTable(comparison: Comparison): Table {
  const rows = comparison.variants.flatMap((variant) =>
    variant.completed.map(({ record }): Cell[] => {
      const summary = record.summary!;
      return [
        textCell(variant.label),
        { text: String(record.seed), data: [record.seed] },
        textCell(record.id),
        numberCell(summary.testAccuracy, formatPercent),
        numberCell(summary.trainAccuracy, formatPercent),
        numberCell(summary.epochs, (epochs) => String(epochs)),
        textCell(record.command),
      ];
    }),
  );
  return {
    name: "runs",
    title: "Every run and the command that repeats it",
    columns: [
      { title: "variant", align: "left", fields: ["variant"] },
      { title: "seed", align: "right", fields: ["seed"] },
      { title: "run", align: "left", fields: ["run"] },
      { title: "test accuracy", unit: "%", align: "right", fields: ["testAccuracy"] },
      { title: "train accuracy", unit: "%", align: "right", fields: ["trainAccuracy"] },
      { title: "epochs", align: "right", fields: ["epochs"] },
      { title: "command", align: "left", code: true, fields: ["command"] },
    ],
    rows,
    notes: [],
  };
}

/** A row a run that failed, was interrupted or still runs. */
export function withoutResultTable(comparison: Comparison): Table {
  return {
    name: "runs-without-result",
    title: "Runs without a result",
    columns: [
      { title: "variant", align: "left", fields: ["variant"] },
      { title: "seed", align: "right", fields: ["seed"] },
      { title: "run", align: "left", fields: ["run"] },
      { title: "status", align: "left", fields: ["status"] },
      { title: "error", align: "left", fields: ["error"] },
    ],
    rows: comparison.withoutResult.map((record) => [
      textCell(record.variant),
      { text: String(record.seed), data: [record.seed] },
      textCell(record.id),
      textCell(record.status),
      { text: record.error ?? nothing, data: [record.error] },
    ]),
    notes: ["These runs count nowhere in this report."],
  };
}
