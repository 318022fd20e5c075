// A reproduction as text: what was found beside what is published, the verdict, and the numbers that decided it.
import { escapeHtml, formatPercent, formatSpread, nothing } from "../report/format.js";
import { renderHtml, renderMarkdown, renderText, type Table, textCell } from "../report/index.js";
import { type Summary, summarise } from "../statistics/index.js";
import { type Check, type Outcome, overall } from "./claims.js";
import type { Found } from "./found.js";
import { type Item, overridesAt, type Paper, type Part, type Scale } from "./paper.js";

/** Test accuracy of a variant beside the paper's; fractions. */
export interface Cell {
  readonly part: string;
  readonly variant: string;
  readonly found: Summary | null;
  /** Null where it is not known. */
  readonly published: number | null;
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
      return { part: id, variant, found: values.length === 0 ? null : summarise(values), published };
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
  const cells = rest.cells.map(({ found, ...cell }) => ({
    ...cell,
    found: found === null ? null : { mean: found.mean, std: found.std, n: found.n },
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
  "is assumed; over √n where n seeds give the very same number.",
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

function cellsTable({ cells, item }: Reproduction): Table {
  const several = item.parts.length > 1;
  const percent = (value: number) => formatPercent(value);
  return {
    name: "reproduction",
    title: "Test accuracy, last epoch",
    columns: [
      ...(several ? [{ title: "part", align: "left" as const, fields: ["part"] }] : []),
      { title: "variant", align: "left", fields: ["variant"] },
      { title: "seeds", align: "right", fields: ["seeds"] },
      { title: "found", unit: "%", align: "right", fields: ["found"] },
      { title: "published", unit: "%", align: "right", fields: ["published"] },
    ],
    rows: cells.map(({ part, variant, found, published }) => [
      ...(several ? [textCell(part)] : []),
      textCell(variant),
      { text: String(found?.n ?? 0), data: [found?.n ?? 0] },
      { text: formatSpread(found, percent), data: [found?.mean ?? null] },
      { text: published === null ? nothing : formatPercent(published, 1), data: [published] },
    ]),
    notes: [],
  };
}
