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
