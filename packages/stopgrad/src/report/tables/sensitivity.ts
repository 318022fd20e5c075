// Which conclusions survive another way of measuring: a row a conclusion, and all the numbers behind it.
import { type Conclusion, describeVerdicts, type SettingFinding } from "../../statistics/index.js";
import { formatFixed, formatInterval, nothing } from "../format.js";
import { type Cell, type Table, textCell } from "../table.js";

/** A row a conclusion: its number in the default setting, in how many settings it holds, what it flips with. */
export function sensitivityTable(conclusions: readonly Conclusion[], title: string, notes: readonly string[]): Table {
  return {
    name: "sensitivity",
    title,
    columns: [
      { title: "conclusion", align: "left", fields: ["conclusion"] },
      { title: "number", align: "left", fields: ["quantity"] },
      { title: "default", unit: "[95 %]", align: "right", fields: ["value", "low", "high"] },
      { title: "over settings", align: "left", fields: ["holds", "flips", "yes", "no", "cannotBeTold", "of"] },
    ],
    rows: conclusions.map((conclusion) => {
      const { statement, quantity, threshold, findings, counts } = conclusion;
      return [
        textCell(statement),
        { text: threshold === null ? quantity : `${quantity} > ${threshold}`, data: [quantity] },
        valueCell(findings[0]!),
        {
          text: describeVerdicts(conclusion),
          data: [counts.holds, counts.flips, counts.yes, counts.no, counts["cannot be told"], findings.length],
        },
      ];
    }),
    notes: [...notes],
  };
}

/** Columns of a terminal line, where the terminal does not say, and at least. */
const LINE = 120;
const NARROWEST = 72;

/** Columns that a conclusion has at least. */
const NARROWEST_STATEMENT = 20;

/** Between two columns of the table. */
const GAP = "  ";

/** Verdicts that are counted, beside a conclusion. */
const counted = ["holds", "flips", "cannot tell"] as const;

/** A conclusion of which some setting tells something. */
interface SummaryRow {
  readonly statement: string;
  readonly number: string;
  /** Settings with each verdict, in the order of `counted`. */
  readonly counts: readonly string[];
  /** Under the row: the settings that flip it. */
  readonly flips: string | null;
}

/**
 * What a sweep found, in lines as wide as the terminal: how many conclusions hold, flip, or cannot be told; then a row for
 * each of which some setting tells something, with the settings that flip it under it. The others are only counted.
 *
 * @param width - columns of a line
 */
export function sensitivitySummary(
  conclusions: readonly Conclusion[],
  title: string,
  notes: readonly string[],
  width = LINE,
): string {
  const line = Math.max(NARROWEST, width);
  const told = conclusions.filter(({ findings, counts }) => counts["cannot be told"] < findings.length);
  const prose = (sentences: readonly string[]) => sentences.flatMap((sentence) => wrapped(sentence, line));
  const paragraphs = [
    prose([title, countSentence(conclusions)]),
    ...(told.length > 0 ? [summaryLines(told, line), prose(legend(told))] : []),
    prose(notes),
  ];
  return paragraphs
    .filter((lines) => lines.length > 0)
    .map((lines) => `${lines.join("\n")}\n`)
    .join("\n");
}

/** The table with its headings. */
function summaryLines(told: readonly Conclusion[], line: number): string[] {
  const of = told[0]!.findings.length;
  const headings = { statement: "conclusion", number: "default [95 %]", counts: counted, flips: null };
  const rows: SummaryRow[] = [headings, ...told.map(summaryRow)];
  const widths = {
    number: Math.max(...rows.map(({ number }) => number.length)),
    counts: counted.map((_, at) => Math.max(...rows.map(({ counts }) => counts[at]!.length))),
  };
  const beside = [widths.number, ...widths.counts].reduce((sum, width) => sum + GAP.length + width, 0);
  const longest = Math.max(...rows.map(({ statement }) => statement.length));
  const room = Math.min(longest, Math.max(NARROWEST_STATEMENT, line - beside));
  const lines = rows.flatMap(({ statement, number, counts, flips }) => {
    const [first, ...rest] = wrapped(statement, room, "  ");
    const numbers = [number.padStart(widths.number), ...counts.map((count, at) => count.padStart(widths.counts[at]!))];
    const under = flips === null ? [] : wrapped(`    ${flips}`, line, "    ");
    return [[first!.padEnd(room), ...numbers].join(GAP), ...rest, ...under];
  });
  const overCounts = `in so many of ${of} settings`;
  return [overCounts.padStart(room + beside), ...lines];
}

function summaryRow(conclusion: Conclusion): SummaryRow {
  const { statement, findings, counts } = conclusion;
  const flipped = findings.filter(({ verdict }) => verdict === "flips" || verdict === "no");
  return {
    statement,
    number: isOrder(conclusion) ? `τ ≥ ${lowestAgreement(findings)}` : valueCell(findings[0]!).text,
    counts: [counts.holds + counts.yes, counts.flips + counts.no, counts["cannot be told"]].map(String),
    flips: flipped.length === 0 ? null : `flips with ${someOf(flipped, MOST_NAMED)}`,
  };
}

/** Settings that are named under a conclusion; more are counted. */
const MOST_NAMED = 6;

function someOf(findings: readonly SettingFinding[], most: number): string {
  const names = findings.map(({ setting }) => setting);
  return names.length > most ? `${names.slice(0, most).join(", ")} and ${names.length - most} more` : names.join(", ");
}

const isOrder = ({ threshold }: Conclusion) => threshold === null;

/** The least that any setting's order agrees with the default's. */
function lowestAgreement(findings: readonly SettingFinding[]): string {
  const known = findings.flatMap(({ value }) => (value === null ? [] : [value]));
  return known.length === 0 ? nothing : formatFixed(Math.min(...known), 3);
}

/** What stands in the table, as far as it does. */
function legend(told: readonly Conclusion[]): string[] {
  const asks = told.some(({ findings }) => findings[0]!.verdict === "cannot be told");
  return [
    ...(asks ? ['After "whether", which the default setting cannot tell, "holds" counts yes and "flips" no.'] : []),
    ...(told.some(isOrder)
      ? [
          "τ: Kendall's rank correlation (τ_b) of an order with the default's, 1 for the same and −1 for the reverse; the " +
            "lowest of all settings, also of those that cannot tell.",
        ]
      : []),
  ];
}

/** `12 of 70 conclusions hold in every setting, 3 flip in some, 55 cannot be told in any.` */
function countSentence(conclusions: readonly Conclusion[]): string {
  const count = (wanted: (one: Conclusion) => boolean) => conclusions.filter(wanted).length;
  const untold = (one: Conclusion) => one.counts["cannot be told"] === one.findings.length;
  const byDefault = ({ findings }: Conclusion) => findings[0]!.verdict === "holds";
  const every = count(({ counts, findings }) => counts.holds === findings.length);
  const flip = count(({ counts }) => counts.flips > 0);
  const parts: [number, string][] = [
    [flip, flip === 1 ? "flips in some" : "flip in some"],
    [count((one) => byDefault(one) && one.counts.flips === 0) - every, "hold in some and cannot be told in the others"],
    [count((one) => !byDefault(one) && !untold(one)), "cannot be told by the default setting but by others"],
    [count(untold), "cannot be told in any"],
  ];
  const rest = parts.flatMap(([number, text]) => (number > 0 ? [`, ${number} ${text}`] : []));
  const conclusionsHold =
    conclusions.length === 1 ? "conclusion holds" : `conclusions ${every === 1 ? "holds" : "hold"}`;
  return `${every} of ${conclusions.length} ${conclusionsHold} in every setting${rest.join("")}.`;
}

/** Lines of at most so many columns, broken at spaces, and within a word where it is longer than a line. */
function wrapped(text: string, width: number, indent = ""): string[] {
  const lines: string[] = [];
  let line = /^ */.exec(text)![0];
  let isEmpty = true;
  for (let word of text.trim().split(/ +/)) {
    if (!isEmpty && line.length + 1 + word.length > width) {
      lines.push(line);
      line = indent;
      isEmpty = true;
    }
    while (isEmpty && line.length + word.length > width) {
      lines.push(line + word.slice(0, width - line.length));
      word = word.slice(width - line.length);
      line = indent;
    }
    line += isEmpty ? word : ` ${word}`;
    isEmpty = false;
  }
  return [...lines, line];
}

/** A row for each conclusion and setting. */
export function sensitivityValuesTable(conclusions: readonly Conclusion[]): Table {
  return {
    name: "sensitivity-values",
    title: "Every setting",
    columns: [
      { title: "conclusion", align: "left", fields: ["conclusion"] },
      { title: "number", align: "left", fields: ["quantity", "threshold"] },
      { title: "setting", align: "left", fields: ["setting"] },
      { title: "value", unit: "[95 %]", align: "right", fields: ["value", "low", "high"] },
      { title: "verdict", align: "left", fields: ["verdict"] },
    ],
    rows: conclusions.flatMap(({ statement, quantity, threshold, findings }) =>
      findings.map((finding): Cell[] => [
        textCell(statement),
        { text: quantity, data: [quantity, threshold] },
        textCell(finding.setting),
        valueCell(finding),
        textCell(finding.verdict),
      ]),
    ),
    notes: [],
  };
}

function valueCell({ value, interval }: SettingFinding): Cell {
  const format = (number: number) => formatFixed(number, 3);
  const text = value === null ? nothing : format(value);
  return {
    text: interval === null ? text : `${text} ${formatInterval(interval, format)}`,
    data: [value, interval?.[0] ?? null, interval?.[1] ?? null],
  };
}
