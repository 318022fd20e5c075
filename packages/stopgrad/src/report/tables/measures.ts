// Measures of the representations in numbers, a table a family; linear probes and what trained networks read from a stage.
import { summariseKnown } from "../../statistics/index.js";
import type { StageSummary } from "../../store/records.js";
import { measuredFamilies, stagesOf } from "../charts/measures.js";
import { type Comparison, mergeOrder } from "../comparison.js";
import { inWords } from "../measure-names.js";
import { quantityOf, scaleOf } from "../quantities.js";
import { type Cell, type Column, type Table, textCell } from "../table.js";
import { intervalCell, intervalFields } from "./cells.js";

/** A number of a stage as a column. */
interface Measured {
  key: string;
  title: string;
  pick: (stage: StageSummary) => number | null | undefined;
}

const when =
  "Each when it was last taken; in brackets the 95 % interval of the mean over seeds, where there are several.";

/** A table a family of measures that have none of their own: a row a variant and stage, a column a measure. */
export function measuresTables(comparison: Comparison): Table[] {
  const stages = stagesOf(comparison);
  return measuredFamilies(comparison).map(({ name, title, keys }) => ({
    name: `measures-${name}`,
    title,
    ...rowsOver(
      comparison,
      stages,
      keys.map((key) => ({ key, title: inWords(key), pick: ({ measures }) => measures?.[key] })),
    ),
    notes: [when],
  }));
}

/** Accuracy of linear probes: a row a variant and stage; no rows where none was taken. */
export function linearSeparabilityTable(comparison: Comparison): Table {
  const columns: Measured[] = [
    { key: "probeTrain", title: "train accuracy", pick: ({ probeTrain }) => probeTrain },
    { key: "probeTest", title: "test accuracy", pick: ({ probeTest }) => probeTest },
  ];
  return {
    name: "linear-separability",
    title: "Linear separability",
    ...rowsOver(comparison, stagesWith(comparison, columns), columns),
    notes: [`Accuracy of a linear classifier that is fitted to the stage's output for training images. ${when}`],
  };
}

/** What trained networks read from a stage: a row a variant and stage; no rows where that was not measured. */
export function informationTable(comparison: Comparison): Table {
  const columns: Measured[] = [
    { key: "informationY", title: "label: information, at least", pick: ({ informationY }) => informationY },
    {
      key: "informationAccuracy",
      title: "label: test accuracy",
      pick: ({ informationAccuracy }) => informationAccuracy,
    },
    { key: "reconstructionError", title: "image: error", pick: ({ reconstructionError }) => reconstructionError },
  ];
  const used = columns.filter((column) => stagesWith(comparison, [column]).length > 0);
  return {
    name: "information",
    title: "What the modules keep",
    ...rowsOver(comparison, stagesWith(comparison, used), used),
    notes: [
      "Label: by a small classifier trained on the stage's output, the information being label entropy less its " +
        "cross-entropy. Image: by a small decoder trained on it, binary cross-entropy for each pixel and channel. " +
        `Both on test images. ${when}`,
    ],
  };
}

/** A row a variant and stage where some of its runs has a value. */
function rowsOver(
  { variants }: Comparison,
  stages: readonly string[],
  measured: readonly Measured[],
): { columns: Column[]; rows: Cell[][] } {
  const rows = variants.flatMap((variant) =>
    stages.flatMap((stage): Cell[][] => {
      const found = variant.completed.flatMap(({ record }) =>
        record.summary!.stages.filter(({ name }) => name === stage),
      );
      const summaries = measured.map(({ pick }) => summariseKnown(found.map(pick)));
      if (summaries.every((summary) => summary === null)) return [];
      const cells = summaries.map((summary, at) => intervalCell(summary, scaleOf(measured[at]!.key)));
      return [[textCell(variant.label), textCell(stage), ...cells]];
    }),
  );
  const columns = measured.map(({ key, title }): Column => {
    const { unit } = quantityOf(key);
    return { title, ...(unit === null ? {} : { unit }), align: "right", fields: intervalFields(key) };
  });
  return {
    columns: [
      { title: "variant", align: "left", fields: ["variant"] },
      { title: "stage", align: "left", fields: ["stage"] },
      ...columns,
    ],
    rows,
  };
}

/** Stages where some run has one of these, in network order. */
function stagesWith({ variants }: Comparison, measured: readonly Measured[]): string[] {
  const lists = variants.flatMap(({ completed }) => completed.map(({ record }) => record.summary!.stages));
  const isKnown = (stage: StageSummary) => measured.some(({ pick }) => Number.isFinite(pick(stage) ?? Number.NaN));
  const known = new Set(lists.flatMap((stages) => stages.filter(isKnown).map(({ name }) => name)));
  const orders = new Map(
    lists.map((stages) => stages.map(({ name }) => name)).map((names) => [names.join("\n"), names]),
  );
  return mergeOrder([...orders.values()]).filter((name) => known.has(name));
}
