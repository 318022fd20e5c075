// A reproduction as text: what was found beside what is published, the verdict, and the numbers that decided it.
import {
  byteUnit,
  escapeHtml,
  formatFixed,
  formatMultiplyAdds,
  formatPercent,
  formatSpread,
  multiplyAddUnit,
  nothing,
} from "../report/format.js";
import { renderHtml, renderMarkdown, renderText, type Table, textCell } from "../report/index.js";
import type { Column, Cell as TableCell } from "../report/table.js";
import { mean, type SeededValue, type Summary, summarise } from "../statistics/index.js";
import { type Check, type Outcome, overall } from "./claims.js";
import type { Found } from "./found.js";
import { type Item, overridesAt, type Paper, type Part, type Published, type Scale } from "./paper.js";
import { peakMemory } from "./quantities.js";

/** Test accuracy of a variant beside the published one; fractions. */
export interface Cell {
  readonly part: string;
  readonly variant: string;
  readonly found: Summary | null;
  /** Null where it is not known. */
  readonly published: Published | null;
  /** Means over seeds, null where nothing was run; only of papers that show costs. */
  readonly costs?: { readonly peakBytes: number | null; readonly inferenceMultiplyAdds: number | null };
}

/** What came of an item. */
export interface Reproduction {
  readonly paper: Paper;
  readonly item: Item;
  readonly scale: Scale;
  /** Overrides that came after the scale's. */
  readonly given: readonly string[];
  /** What was changed in the file of each part. */
  readonly changes: readonly { readonly part: string; readonly file: string; readonly overrides: readonly string[] }[];
  readonly cells: readonly Cell[];
  readonly outcome: Outcome;
  readonly checks: readonly Check[];
}

/**
 * @param variants - of each part, in the file's order
 * @param given - overrides that came after the scale's
 */
export function judge(
  { paper, item, scale, parts }: { paper: Paper; item: Item; scale: Scale; parts: readonly Part[] },
  variants: ReadonlyMap<string, readonly string[]>,
  found: Found,
  given: readonly string[],
): Reproduction {
  const cells = parts.flatMap(({ id }) =>
    (variants.get(id) ?? []).map((variant): Cell => {
      const values = found.accuracy(id, variant).map(({ value }) => value);
      const published = item.published?.[id]?.[variant] ?? null;
      const cell = { part: id, variant, found: values.length === 0 ? null : summarise(values), published };
      return paper.costs ? { ...cell, costs: costsOf(found, id, variant) } : cell;
    }),
  );
  const checks = item.judge(found);
  return {
    paper,
    item,
    scale,
    given,
    changes: parts.map((part) => ({
      part: part.id,
      file: part.file,
      overrides: [...overridesAt(part, scale), ...given],
    })),
    cells,
    outcome: overall(checks.map(({ outcome }) => outcome)),
    checks,
  };
}

function costsOf(found: Found, part: string, variant: string): NonNullable<Cell["costs"]> {
  const over = (values: readonly SeededValue[]) =>
    values.length === 0 ? null : mean(values.map(({ value }) => value));
  return {
    peakBytes: over(found.of(part, variant, peakMemory)),
    inferenceMultiplyAdds: over(found.of(part, variant, (run) => run.inferenceMultiplyAdds)),
  };
}

/** For a terminal. */
export function renderReproduction(reproduction: Reproduction, options: { bold?: boolean } = {}): string {
  return [
    ...opening(reproduction),
    renderText(cellsTable(reproduction), options).trimEnd(),
    ...verdict(reproduction),
  ].join("\n");
}

/** For a file beside the report. */
export function reproductionMarkdown(reproduction: Reproduction): string {
  const { paper, item, scale } = reproduction;
  const [, ...rest] = opening(reproduction);
  const title = `# ${item.title} (${item.id}, scale ${scale})\n\n${paper.title}, ${paper.source}.`;
  return `${[title, ...rest, renderMarkdown(cellsTable(reproduction)), ...verdict(reproduction)].join("\n")}\n`;
}

/** For the top of the report. */
export function reproductionHtml(reproduction: Reproduction): string {
  const { item, checks } = reproduction;
  const listOf = (items: readonly string[]) => `<ul>${items.map((one) => `<li>${one}</li>`).join("")}</ul>`;
  const { sentence, lines } = changesOf(reproduction);
  const judged = checks.map(
    ({ statement, outcome, numbers }) =>
      `${escapeHtml(statement)}: <strong>${outcome}</strong>${numbers.length === 0 ? "" : listOf(numbers.map(escapeHtml))}`,
  );
  return [
    `<p>Claim: ${escapeHtml(item.claim)}.</p>`,
    `<p class="finding">${escapeHtml(verdictSentence(reproduction))}</p>`,
    `<p>${escapeHtml(sentence)}</p>`,
    ...(lines.length === 0 ? [] : [listOf(lines.map((line) => `<code>${escapeHtml(line)}</code>`))]),
    renderHtml(cellsTable(reproduction)),
    ...(judged.length === 0 ? [] : ["<p>Checks of the claim:</p>", listOf(judged)]),
    `<p class="note">${escapeHtml(HOW_JUDGED.join(" "))}</p>`,
  ].join("\n");
}

/** As `--json` prints it. At scale smoke there is no outcome: it is null. */
export function reproductionDocument({ paper, item, ...rest }: Reproduction): Record<string, unknown> {
  const cells = rest.cells.map(({ part, variant, found, published, costs }) => ({
    part,
    variant,
    found: found === null ? null : { mean: found.mean, std: found.std, n: found.n },
    published: typeof published === "object" ? (published?.mean ?? null) : published,
    ...(typeof published === "object" && published !== null ? { publishedStd: published.std } : {}),
    ...costs,
  }));
  const { scale, changes, outcome, checks } = rest;
  return {
    paper: paper.id,
    item: item.id,
    title: item.title,
    scale,
    claim: item.claim,
    changes,
    cells,
    verdict: { outcome: scale === "smoke" ? null : outcome, checks },
  };
}

function opening(reproduction: Reproduction): string[] {
  const { item } = reproduction;
  const { sentence, lines } = changesOf(reproduction);
  return [`${item.title}`, "", `Claim: ${item.claim}.`, "", sentence, ...lines.map((line) => `- ${line}`), ""];
}

/** Whose settings these are, and what was changed in which file. */
function changesOf({ scale, changes, given }: Reproduction): { sentence: string; lines: string[] } {
  if (scale === "paper" && given.length === 0) {
    return { sentence: "Settings: the paper's, as far as they are published.", lines: [] };
  }
  const why = scale === "smoke" ? " They only show that it runs." : "";
  return {
    sentence: `Not the paper's settings (scale ${scale}).${why} Changed:`,
    lines: changes.map(({ file, overrides }) => `${file}: ${overrides.join(" ") || "as it stands"}`),
  };
}

function verdictSentence({ scale, outcome }: Reproduction): string {
  if (scale === "smoke") return "Verdict: none, at scale smoke it would mean nothing.";
  return `Verdict: the claim ${outcome === "cannot be told" ? "cannot be told from these runs" : outcome}.`;
}

const HOW_JUDGED = [
  "A check holds when the whole interval (95 %, over seeds) lies beyond its threshold. One seed has none: ±0.02 (2 points)",
  "is assumed; over √n where n seeds give the very same number. Bytes and multiply-adds are counted: their range is shown.",
];

function verdict(reproduction: Reproduction): string[] {
  return [
    "",
    verdictSentence(reproduction),
    ...reproduction.checks.flatMap(({ statement, outcome, numbers }) => [
      `- ${statement}: ${outcome}`,
      ...numbers.map((number) => `  - ${number}`),
    ]),
    "",
    ...HOW_JUDGED,
  ];
}

function cellsTable({ cells, item, paper }: Reproduction): Table {
  const several = item.parts.length > 1;
  const isError = paper.shows === "error";
  const shown = (accuracy: number) => (isError ? 1 - accuracy : accuracy);
  const costs = costColumns(cells);
  return {
    name: "reproduction",
    title: `Test ${isError ? "error" : "accuracy"}, last epoch`,
    columns: [
      ...(several ? [{ title: "part", align: "left" as const, fields: ["part"] }] : []),
      { title: "variant", align: "left", fields: ["variant"] },
      { title: "seeds", align: "right", fields: ["seeds"] },
      { title: "found", unit: "%", align: "right", fields: ["found"] },
      { title: "published", unit: "%", align: "right", fields: ["published"] },
      ...costs.map(({ column }) => column),
    ],
    rows: cells.map((cell) => {
      const { part, variant, found, published } = cell;
      const summary = found && { ...found, mean: shown(found.mean) };
      return [
        ...(several ? [textCell(part)] : []),
        textCell(variant),
        { text: String(found?.n ?? 0), data: [found?.n ?? 0] },
        { text: formatSpread(summary, (value) => formatPercent(value)), data: [summary?.mean ?? null] },
        publishedCell(published, shown),
        ...costs.map(({ of }) => of(cell)),
      ];
    }),
    notes: paper.publishedIn === undefined ? [] : [paper.publishedIn],
  };
}

function publishedCell(published: Published | null, shown: (accuracy: number) => number): TableCell {
  if (published === null) return { text: nothing, data: [null] };
  if (typeof published === "number") return { text: formatPercent(shown(published), 1), data: [shown(published)] };
  const mean = shown(published.mean);
  return { text: `${formatPercent(mean)} ± ${formatPercent(published.std)}`, data: [mean] };
}

/** Peak memory and multiply-adds at inference, each in one unit; none where the paper shows no costs. */
function costColumns(cells: readonly Cell[]): { column: Column; of(cell: Cell): TableCell }[] {
  if (cells.every(({ costs }) => costs === undefined)) return [];
  const largest = (key: CostName) => Math.max(0, ...cells.map(({ costs }) => costs?.[key] ?? 0));
  const bytes = byteUnit(largest("peakBytes"));
  const multiplyAdds = multiplyAddUnit(largest("inferenceMultiplyAdds"));
  const column = (title: string, unit: string, key: CostName, format: (value: number) => string) => ({
    column: { title, unit, align: "right" as const, fields: [key] },
    of: ({ costs }: Cell) => {
      const value = costs?.[key] ?? null;
      return { text: value === null ? nothing : format(value), data: [value] };
    },
  });
  return [
    column("peak memory", bytes.name, "peakBytes", (value) => formatFixed(value / bytes.per, 1)),
    column("multiply-adds at inference", multiplyAdds.name, "inferenceMultiplyAdds", (value) =>
      formatMultiplyAdds(value, multiplyAdds),
    ),
  ];
}

type CostName = keyof NonNullable<Cell["costs"]>;
