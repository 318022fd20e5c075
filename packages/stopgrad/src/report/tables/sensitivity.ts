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

/** Columns of a terminal line. */
const LINE = 120;

/** Columns a conclusion may take in it, and those that shorter ones are filled up to: the rest is for settings. */
const STATEMENT = 64;
const ALIGNED = 50;

/**
 * What a sweep found, in lines of at most 120 columns: how many conclusions hold, flip, or cannot be told; then one line
 * for each of which some setting tells something, `holds in 14 of 15; flips: sigma 1`. The others are only counted.
 */
export function sensitivitySummary(
  conclusions: readonly Conclusion[],
  title: string,
  notes: readonly string[],
): string {
  const told = conclusions.filter(({ findings, counts }) => counts["cannot be told"] < findings.length);
  const rows = told.map((conclusion) => ({
    statement: shortStatement(conclusion.statement),
    value: valueCell(conclusion.findings[0]!).text,
    conclusion,
  }));
  const widths = {
    statement: Math.min(ALIGNED, Math.max(...rows.map(({ statement }) => statement.length))),
    value: Math.max(...rows.map(({ value }) => value.length)),
  };
  const lines = rows.map(({ statement, value, conclusion }) => {
    const aligned = `${statement.padEnd(widths.statement)}  ${value.padStart(widths.value)}  `;
    const tight = `${statement}  ${value}  `;
    const start = [aligned, tight].find(({ length }) => shortVerdicts(conclusion, LINE - length) !== null) ?? aligned;
    return start + (shortVerdicts(conclusion, LINE - start.length) ?? verdictCounts(conclusion));
  });
  const paragraphs = [
    [...wrapped(title), ...wrapped(countSentence(conclusions))],
    ...(lines.length > 0 ? [lines] : []),
    ...(notes.length > 0 ? [notes.flatMap(wrapped)] : []),
  ];
  return `${paragraphs.map((paragraph) => paragraph.join("\n")).join("\n\n")}\n`;
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

/** `holds in 10 of 15; flips: sigma 1, sigma 2 and 3 more`: three names, or as many as fit; null without room for one. */
function shortVerdicts(conclusion: Conclusion, room: number): string | null {
  const { findings, counts } = conclusion;
  if (counts.flips === 0) return verdictCounts(conclusion);
  const flipped = findings.filter(({ verdict }) => verdict === "flips").map(({ setting }) => setting);
  const held = `holds in ${counts.holds} of ${findings.length}`;
  const lines = [3, 2, 1].map((most) => `${held}; flips: ${someOf(flipped, most)}`);
  return lines.find((line) => line.length <= room) ?? null;
}

/** `holds in 10 of 15; flips in 5`; where the default cannot tell `yes in 3, no in 2 of 15`. */
function verdictCounts({ findings, counts }: Conclusion): string {
  if (findings[0]!.verdict === "cannot be told") {
    const answers = (["yes", "no"] as const).filter((verdict) => counts[verdict] > 0);
    return `${answers.map((verdict) => `${verdict} in ${counts[verdict]}`).join(", ")} of ${findings.length}`;
  }
  const held = `holds in ${counts.holds} of ${findings.length}`;
  return counts.flips > 0 ? `${held}; flips in ${counts.flips}` : held;
}

function someOf(names: readonly string[], most: number): string {
  const more = names.length - most;
  return more > 0 ? `${names.slice(0, most).join(", ")} and ${more} more` : names.join(", ");
}

/** At most 64 columns: of an order the first and the last stage, else both ends of the sentence. */
function shortStatement(statement: string): string {
  if (statement.length <= STATEMENT) return statement;
  const stages = statement.split(" < ");
  const short = stages.length > 2 ? `${stages[0]} < … < ${stages.at(-1)}` : statement;
  if (short.length <= STATEMENT) return short;
  const end = Math.floor((STATEMENT - 1) / 2);
  return `${short.slice(0, STATEMENT - 1 - end)}…${short.slice(-end)}`;
}

/** Lines of at most 120 columns, broken at spaces. */
function wrapped(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= LINE) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
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
