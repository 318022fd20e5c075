// A comparison for a terminal: what came out in sentences, as much of the results table as fits a line, what each variant
// costs, which is never left out, where the memory goes where variants have several modules, and which contexts a selection
// kept.
import type { Comparison } from "./comparison.js";
import { headline } from "./headline.js";
import { type Cell, renderText, type Table, textCell } from "./table.js";
import { contextsTable, costsTable, memoryTable, moduleMemoryTable, resultsTable } from "./tables/index.js";

/** How the titles of the results table's columns begin, the ones to give up first at the end. */
const MOST_WANTED = ["variant", "test accuracy", "difference", "peak memory", "images/s", "training time", "seeds"];

/** The same for the memory table. */
const MEMORY_MOST_WANTED = [
  "variant",
  "peak of a step",
  "activations",
  "head",
  "context",
  "decoder",
  "parameters",
  "optimizer",
  "gradients",
  "its peak",
  "largest module",
];

/** The same for contexts, and which of its columns names the module. */
const CONTEXTS_MOST_WANTED = ["variant", "module", "in use", "out of use"];
const MODULE = 1;

/** @param width - characters a line */
export function renderComparison(comparison: Comparison, width: number, options: { bold?: boolean } = {}): string {
  const { setting, findings } = headline(comparison);
  const tables = [
    fitted(resultsTable(comparison), MOST_WANTED, width, options),
    costs(comparison, options),
    ...memory(comparison, width, options),
    ...contexts(comparison, width, options),
  ];
  return [setting, ...tables, findings.join("\n")].join("\n\n");
}

/** Narrow: what the columns' units and titles say alike is in the title. */
function costs(comparison: Comparison, options: { bold?: boolean }): string {
  const table = costsTable(comparison);
  const columns = table.columns.map(({ unit: _, ...column }) => ({
    ...column,
    title: column.title.replace("training multiply-adds", "training per image").replace(" multiply-adds", ""),
  }));
  const hasContexts = columns.some((column) => column.title === "heads");
  const title = `${table.title}: backbone + ${hasContexts ? "contexts" : "heads"} or extras`;
  return renderText({ ...table, title, columns, notes: [] }, options).trimEnd();
}

/** One unit for all, in the title; nothing where no variant has several modules. */
function memory(comparison: Comparison, width: number, options: { bold?: boolean }): string[] {
  if (moduleMemoryTable(comparison).rows.length === 0) return [];
  const table = memoryTable(comparison);
  const unit = table.columns.find((column) => column.unit !== undefined)?.unit;
  const columns = table.columns.map(({ unit: _, ...column }) => column);
  const title = `${table.title}, ${unit}: in a step, and in the largest module`;
  return [fitted({ ...table, title, columns }, MEMORY_MOST_WANTED, width, options)];
}

/** Which contexts a selection left, neighbouring modules that agree in one row; nothing where none was made. */
function contexts(comparison: Comparison, width: number, options: { bold?: boolean }): string[] {
  const table = contextsTable(comparison);
  if (table.rows.length === 0) return [];
  const rows: Cell[][] = [];
  let first = "";
  for (const row of table.rows) {
    const last = rows.at(-1);
    const agrees = last?.every(({ text }, at) => at === MODULE || text === row[at]!.text) ?? false;
    if (!agrees) {
      first = row[MODULE]!.text;
      rows.push([...row]);
    } else last![MODULE] = textCell(`${first} … ${row[MODULE]!.text}`);
  }
  return [fitted({ ...table, rows }, CONTEXTS_MOST_WANTED, width, options, 3)];
}

/** The table with as many of its most wanted columns as fit, and never fewer than `least`. */
function fitted(
  table: Table,
  wanted: readonly string[],
  width: number,
  options: { bold?: boolean },
  least = 2,
): string {
  for (let kept = wanted.length; ; kept--) {
    const text = renderText(withColumns(table, wanted.slice(0, kept)), options).trimEnd();
    if (kept <= least || text.split("\n").every((line) => visibleLength(line) <= width)) return text;
  }
}

/** The table with only the columns whose titles begin so, without notes. */
function withColumns(table: Table, titles: readonly string[]): Table {
  const kept = table.columns.map((column) => titles.some((title) => column.title.startsWith(title)));
  return {
    ...table,
    notes: [],
    columns: table.columns.filter((_, index) => kept[index]),
    rows: table.rows.map((row) => row.filter((_, index) => kept[index])),
  };
}

function visibleLength(line: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: terminal codes begin with one
  return [...line.replace(/\u001b\[\d+m/g, "")].length;
}
