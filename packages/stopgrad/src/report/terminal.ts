// A comparison for a terminal: what came out in sentences, as much of the results table as fits a line, what each variant
// costs, which is never left out, and where the memory goes where variants have several modules.
import type { Comparison } from "./comparison.js";
import { headline } from "./headline.js";
import { renderText, type Table } from "./table.js";
import { costsTable, memoryTable, moduleMemoryTable, resultsTable } from "./tables/index.js";

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

/** @param width - characters a line */
export function renderComparison(comparison: Comparison, width: number, options: { bold?: boolean } = {}): string {
  const { setting, findings } = headline(comparison);
  const tables = [
    fitted(resultsTable(comparison), MOST_WANTED, width, options),
    costs(comparison, options),
    ...memory(comparison, width, options),
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

function fitted(table: Table, wanted: readonly string[], width: number, options: { bold?: boolean }): string {
  for (let kept = wanted.length; ; kept--) {
    const text = renderText(withColumns(table, wanted.slice(0, kept)), options).trimEnd();
    if (kept <= 2 || text.split("\n").every((line) => visibleLength(line) <= width)) return text;
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
