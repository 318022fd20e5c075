// A table as plain data, and the four ways to write it: terminal text, Markdown, CSV and HTML.
// A cell keeps both what is read (`text`) and the numbers behind it (`data`), so that CSV is exact where the others
// round: in CSV a column of means has one field each for mean, spread and count.
import { escapeHtml } from "./format.js";

export type CellValue = string | number | null;

export interface Cell {
  text: string;
  /** One value for each field of the column. */
  data: CellValue[];
  /** The best of its column, shown bold. */
  best?: boolean;
}

export interface Column {
  title: string;
  /** Shown after the title in brackets; a stored value in CSV keeps its own unit (fractions, bytes, seconds). */
  unit?: string;
  align: "left" | "right";
  /** Set for commands and paths: shown in a monospaced font where there is a choice. */
  code?: boolean;
  /** Names of the CSV fields the column becomes. */
  fields: string[];
}

export interface Table {
  /** File name without ending, kebab-case. */
  name: string;
  title: string;
  columns: Column[];
  /** One cell a column in each row. */
  rows: Cell[][];
  /** Sentences below the table: what the numbers are. */
  notes: string[];
}

/** A cell whose text is its only value. */
export function textCell(text: string): Cell {
  return { text, data: [text] };
}

/** Aligned columns for a terminal with a monospaced font; `bold` also marks the best with escape codes. */
export function renderText(table: Table, options: { bold?: boolean } = {}): string {
  const header = table.columns.map((column) => oneLine(columnTitle(column)));
  const texts = table.rows.map((row) => row.map((cell) => oneLine(cell.text)));
  const widths = header.map((title, index) => Math.max(...[title, ...texts.map((row) => row[index]!)].map(width)));
  const line = (cells: string[], style: (text: string, index: number) => string = (text) => text) =>
    cells
      .map((text, index) => {
        const space = " ".repeat(widths[index]! - width(text));
        return table.columns[index]!.align === "right" ? space + style(text, index) : style(text, index) + space;
      })
      .join("  ")
      .trimEnd();
  const rows = texts.map((row, rowIndex) =>
    line(row, (text, index) =>
      options.bold && table.rows[rowIndex]![index]!.best ? `\u001b[1m${text}\u001b[22m` : text,
    ),
  );
  const lines = [table.title, "", line(header), line(widths.map((size) => "─".repeat(size))), ...rows];
  return `${[...lines, ...(table.notes.length > 0 ? ["", ...table.notes.map(oneLine)] : [])].join("\n")}\n`;
}

/** A pipe table with the best in bold, the title as a heading, the notes below. */
export function renderMarkdown(table: Table): string {
  const line = (cells: string[]) => `| ${cells.join(" | ")} |`;
  const rows = table.rows.map((row) =>
    line(
      row.map((cell, index) => {
        if (table.columns[index]!.code && cell.text !== "") return markdownCode(cell.text);
        return cell.best ? `**${escapeMarkdown(cell.text)}**` : escapeMarkdown(cell.text);
      }),
    ),
  );
  const lines = [
    `### ${escapeMarkdown(table.title)}`,
    "",
    line(table.columns.map((column) => escapeMarkdown(columnTitle(column)))),
    line(table.columns.map((column) => (column.align === "right" ? "---:" : ":---"))),
    ...rows,
    ...table.notes.flatMap((note) => ["", escapeMarkdown(note)]),
  ];
  return `${lines.join("\n")}\n`;
}

/** RFC 4180: a header line, CRLF line ends, fields quoted where they must be, full precision, empty for unknown. */
export function renderCsv(table: Table): string {
  const records: CellValue[][] = [
    table.columns.flatMap((column) => column.fields),
    ...table.rows.map((row) => row.flatMap((cell) => cell.data)),
  ];
  return records.map((record) => `${record.map(csvField).join(",")}\r\n`).join("");
}

/** A `table` element with a caption; notes follow as paragraphs. Every text is escaped. */
export function renderHtml(table: Table): string {
  const align = (column: Column) => (column.align === "right" ? ' class="number"' : "");
  const header = table.columns
    .map((column) => {
      const unit = column.unit === undefined ? "" : ` <span class="unit">${escapeHtml(column.unit)}</span>`;
      return `<th scope="col"${align(column)}>${escapeHtml(column.title)}${unit}</th>`;
    })
    .join("");
  const rows = table.rows.map((row) => {
    const cells = row.map((cell, index) => {
      const tag = cell.best ? "strong" : table.columns[index]!.code ? "code" : "";
      const text = tag === "" ? escapeHtml(cell.text) : `<${tag}>${escapeHtml(cell.text)}</${tag}>`;
      // Short text stays on one line; a browser would break it at hyphens.
      const classes = table.columns[index]!.align === "right" ? "number" : cell.text.length <= 24 ? "short" : "";
      const attribute = classes === "" ? "" : ` class="${classes}"`;
      return index === 0 ? `<th scope="row"${attribute}>${text}</th>` : `<td${attribute}>${text}</td>`;
    });
    return `<tr>${cells.join("")}</tr>`;
  });
  return [
    `<div class="table"><table><caption>${escapeHtml(table.title)}</caption>`,
    `<thead><tr>${header}</tr></thead>`,
    `<tbody>${rows.join("\n")}</tbody></table></div>`,
    ...table.notes.map((note) => `<p class="note">${escapeHtml(note)}</p>`),
  ].join("\n");
}

function columnTitle(column: Column): string {
  return column.unit === undefined ? column.title : `${column.title} (${column.unit})`;
}

function csvField(value: CellValue): string {
  if (value === null || (typeof value === "number" && !Number.isFinite(value))) return "";
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A code span that shows every character as it is; only the pipe would end the cell. */
function markdownCode(text: string): string {
  const longest = Math.max(0, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = "`".repeat(longest + 1);
  const space = longest > 0 ? " " : "";
  return `${fence}${space}${oneLine(text).replaceAll("|", "\\|")}${space}${fence}`;
}

/** Backslashes before what Markdown would take as its own; a cell is one line. */
function escapeMarkdown(text: string): string {
  return oneLine(text).replace(/[\\`*_<>[\]|#~]/g, (character) => `\\${character}`);
}

/** Line breaks and control characters (a name may carry escape codes) become spaces. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]+/gu, " ");
}

/** Columns a text takes in a terminal: combining marks none, wide East Asian characters and emoji two. */
function width(text: string): number {
  let columns = 0;
  for (const character of text) {
    if (/\p{M}|\u200d/u.test(character)) continue;
    columns +=
      /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60]|\p{Extended_Pictographic}/u.test(
        character,
      )
        ? 2
        : 1;
  }
  return columns;
}
