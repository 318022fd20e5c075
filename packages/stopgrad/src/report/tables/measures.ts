// Measures of the representations in numbers.
import { summariseKnown } from "../../statistics/index.js";
import { measuredKeys, stagesOf } from "../charts/measures.js";
import type { Comparison } from "../comparison.js";
import { inWords } from "../measure-names.js";
import { type Cell, type Table, textCell } from "../table.js";
import { intervalCell, intervalFields } from "./cells.js";

/** A row a variant and stage, a column a measure that has no table of its own. */
export function measuresTable(comparison: Comparison): Table {
  const keys = measuredKeys(comparison);
  return {
    name: "measures",
    title: "Measures of the representations",
    columns: [
      { title: "variant", align: "left", fields: ["variant"] },
      { title: "stage", align: "left", fields: ["stage"] },
      ...keys.map((key) => ({ title: inWords(key), align: "right" as const, fields: intervalFields(key) })),
    ],
    rows: comparison.variants.flatMap((variant) =>
      stagesOf(comparison).flatMap((stage): Cell[][] => {
        const found = variant.completed.flatMap(({ record }) =>
          record.summary!.stages.filter(({ name }) => name === stage),
        );
        if (!found.some(({ measures }) => measures !== undefined)) return [];
        const cells = keys.map((key) => intervalCell(summariseKnown(found.map(({ measures }) => measures?.[key]))));
        return [[textCell(variant.label), textCell(stage), ...cells]];
      }),
    ),
    notes: [
      "Each when it was last taken; in brackets the 95 % interval of the mean over seeds, where there are several.",
    ],
  };
}
