// How a conclusion's number moves with the way it is measured: a panel a conclusion, a row a setting.
import type { Conclusion, Verdict } from "../../statistics/index.js";
import type { ChartSpec } from "./chart.js";
import { keyOf, labelExpr, titleText, topLevel } from "./look.js";
import { significant } from "./numbers.js";

export interface SensitivityChart {
  title: string;
  caption: string;
  spec: ChartSpec;
}

/** Rows that can be read in one panel. */
const MOST_ROWS = 40;

/** Panels that can be read in one picture: eight rows of three. */
const MOST_PANELS = 24;

const verdictColours: Record<Verdict, string> = {
  holds: "#1b7837",
  flips: "#c51b7d",
  yes: "#2b6cb0",
  no: "#d98200",
  "cannot be told": "#8c8c8c",
};
const verdicts = Object.keys(verdictColours);

/**
 * Small multiples: the number of each conclusion under every setting, with its interval; the default on top, filled, and
 * as a dashed line; the threshold as a solid one. Of more than 24 conclusions those are drawn whose verdicts differ
 * between settings, then those that hold. Null without conclusions.
 *
 * @param shown - labels of the settings that are drawn, where not all are; at most 40 are
 */
export function sensitivityChart(
  conclusions: readonly Conclusion[],
  shown: readonly string[] | null = null,
): SensitivityChart | null {
  const first = conclusions[0];
  if (first === undefined) return null;
  const labels = first.findings
    .map(({ setting }) => setting)
    .filter((label) => shown === null || shown.includes(label))
    .slice(0, MOST_ROWS);
  const drawn = mostTelling(conclusions);
  const panels = drawn.map((conclusion, at) => panel(conclusion, labels, at % COLUMNS === 0));
  // Columns are as wide as they need: only the first has the settings' names.
  const resolve = { scale: { color: "shared" }, legend: { color: "shared" } };
  const rows = { concat: panels, columns: COLUMNS, align: "each", spacing: { row: 14, column: 16 }, resolve };
  const all =
    labels.length === first.findings.length ? "" : ` Of ${first.findings.length} settings ${labels.length} are drawn.`;
  const some =
    drawn.length === conclusions.length
      ? ""
      : ` Of ${conclusions.length} conclusions ${drawn.length} are drawn, first those whose verdicts differ between ` +
        "settings; the numbers of all of them are in the table of values (.csv).";
  return {
    title: "Does the conclusion change with the way it is measured?",
    caption:
      "The number behind each conclusion under every setting, with its 95 % interval; filled and dashed: the default " +
      `setting; solid line: the threshold. Where the default cannot tell, other settings may say yes or no.${all}${some}`,
    spec: topLevel([rows], {}),
  };
}

const COLUMNS = 3;

/** At most 24: all of one verdict after those of several, and those that cannot be told anywhere last. */
function mostTelling(conclusions: readonly Conclusion[]): readonly Conclusion[] {
  if (conclusions.length <= MOST_PANELS) return conclusions;
  const rank = ({ findings, counts }: Conclusion) => {
    if (counts["cannot be told"] === findings.length) return 3;
    if (counts.flips > 0 || (counts.yes > 0 && counts.no > 0)) return 0;
    return counts["cannot be told"] > 0 ? 1 : 2;
  };
  return [...conclusions].sort((a, b) => rank(a) - rank(b)).slice(0, MOST_PANELS);
}

function panel({ statement, quantity, threshold, findings }: Conclusion, labels: readonly string[], isFirst: boolean) {
  const values = labels.flatMap((label, place) => {
    const found = findings.find(({ setting }) => setting === label)!;
    if (found.value === null) return [];
    const [low, high] = found.interval ?? [found.value, found.value];
    return [
      {
        setting: label,
        settingKey: keyOf(label),
        value: significant(found.value),
        low: significant(low),
        high: significant(high),
        verdict: found.verdict,
        isDefault: place === 0,
      },
    ];
  });
  const y = {
    field: "settingKey",
    type: "nominal",
    scale: { domain: labels.map(keyOf) },
    title: null,
    axis: { labelExpr, labels: isFirst, labelLimit: 170, labelPadding: 6, ticks: false, domain: false, grid: true },
  };
  const x = {
    field: "value",
    type: "quantitative",
    title: quantity,
    scale: { zero: false, padding: 8 },
    axis: { tickCount: 4 },
  };
  const color = {
    field: "verdict",
    type: "nominal",
    scale: { domain: verdicts, range: Object.values(verdictColours) },
    legend: { title: null, orient: "right" },
  };
  const line = (at: number, dash: number[], colour: string) => ({
    data: { values: [{ at: significant(at) }] },
    mark: { type: "rule", strokeDash: dash, color: colour, strokeWidth: 1 },
    encoding: { x: { field: "at", type: "quantitative" } },
  });
  const reference = findings[0]!.value;
  return {
    title: { text: broken(statement).map(titleText), fontSize: 11 },
    width: 210,
    height: { step: 15 },
    data: { values },
    layer: [
      ...(threshold === null ? [] : [line(threshold, [1, 0], "#444444")]),
      ...(reference === null ? [] : [line(reference, [3, 3], "#888888")]),
      {
        mark: { type: "rule", strokeWidth: 1.5 },
        encoding: { y, x: { ...x, field: "low" }, x2: { field: "high" }, color },
      },
      {
        mark: { type: "point", size: 38, opacity: 1, strokeWidth: 1.5 },
        encoding: {
          y,
          x,
          color,
          fill: {
            condition: { test: "datum.isDefault", field: "verdict", type: "nominal", scale: color.scale, legend: null },
            value: "white",
          },
          tooltip: [
            { field: "setting" },
            { field: "value", title: quantity },
            { field: "low" },
            { field: "high" },
            { field: "verdict" },
          ],
        },
      },
    ],
  };
}

/** A title in lines of at most 26 letters, at spaces. */
function broken(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < 26) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.length <= 5 ? lines : [...lines.slice(0, 4), `${lines[4]} …`];
}
