// Every measure that has no chart of its own, over depth at the end of training: entanglement, geometry, probes, mutual
// information and what else a run observed, a chart a family. A number that is everywhere the same is not drawn.
import { type Comparison, mergeOrder } from "../comparison.js";
import { capital, inWords } from "../measure-names.js";
import { type FamilyName, families, familyOf, otherFamily, quantityOf, scaleOf } from "../quantities.js";
import type { Chart } from "./chart.js";
import { looksOf } from "./colours.js";
import { grid, topLevel } from "./look.js";
import { linesSentence, panelOf, pointsOf, type Quantity } from "./over-stages.js";

const COLUMNS = 3;

/** Measures of one family that some run has, in the order in which they were taken. */
export interface MeasuredFamily {
  name: FamilyName;
  title: string;
  keys: string[];
  /** Keys whose value is one and the same at several stages or in several runs, with that value. */
  unchanging: Map<string, number>;
}

/** The families with a value, in the order of the report. */
export function measuredFamilies(comparison: Comparison): MeasuredFamily[] {
  const all = measuredKeys(comparison);
  return [...families, otherFamily].flatMap(({ name, title }) => {
    const keys = all.filter((key) => familyOf(key) === name);
    const unchanging = keys.flatMap((key): [string, number][] => {
      const values = valuesOf(comparison, key);
      return values.length > 1 && new Set(values).size === 1 ? [[key, values[0]!]] : [];
    });
    return keys.length === 0 ? [] : [{ name, title, keys, unchanging: new Map(unchanging) }];
  });
}

/** A chart a family with something that varies, a panel a measure. */
export function measuresCharts(comparison: Comparison): Chart[] {
  const stages = stagesOf(comparison);
  const looks = looksOf(comparison, comparison.variants);
  return measuredFamilies(comparison).flatMap(({ name, title, keys, unchanging }) => {
    const drawn = keys
      .filter((key) => !unchanging.has(key))
      .map((key) => quantity(key))
      .map((quantity) => ({ quantity, points: pointsOf(comparison, stages, quantity) }));
    if (drawn.length === 0) return [];
    const columns = Math.min(COLUMNS, drawn.length);
    const width = columns === 1 ? Math.max(300, Math.min(880, 60 * stages.length)) : columns === 2 ? 440 : 300;
    const panels = drawn.map(({ quantity, points }, at) =>
      panelOf(quantity, points, { stages, looks, width, isLast: at >= drawn.length - columns }),
    );
    const scales = { color: "shared", shape: "shared" };
    return [
      {
        name: `measures-${name}` as const,
        title: `${title} over depth`,
        caption:
          "Depth from left to right, each measure when it was last taken." +
          linesSentence(drawn.flatMap(({ points }) => points)),
        spec: topLevel([grid(panels, columns, scales)], scales),
      },
    ];
  });
}

/** Keys of measures of which some run has a value, in the order in which they were taken. */
export function measuredKeys(comparison: Comparison): string[] {
  const keys = mergeOrder(
    comparison.variants.flatMap(({ completed }) =>
      completed.flatMap(({ record }) => record.summary!.stages.map(({ measures }) => Object.keys(measures ?? {}))),
    ),
  );
  return keys.filter((key) => valuesOf(comparison, key).length > 0);
}

/** Stages with such a measure, in network order. */
export function stagesOf({ variants }: Comparison): string[] {
  const lists = variants.flatMap(({ completed }) =>
    completed.slice(0, 1).map(({ record }) => ({
      all: record.summary!.stages.map(({ name }) => name),
      measured: record.summary!.stages.filter(({ measures }) => measures !== undefined).map(({ name }) => name),
    })),
  );
  const measured = new Set(lists.flatMap((list) => list.measured));
  return mergeOrder(lists.map(({ all }) => all)).filter((stage) => measured.has(stage));
}

function quantity(key: string): Quantity {
  return {
    title: capital(inWords(key)),
    unit: quantityOf(key).unit,
    pick: ({ measures }) => measures?.[key],
    ...scaleOf(key),
  };
}

/** Of every stage of every completed run that has one. */
function valuesOf({ variants }: Comparison, key: string): number[] {
  return variants.flatMap(({ completed }) =>
    completed.flatMap(({ record }) =>
      record.summary!.stages.flatMap(({ measures }) => {
        const value = measures?.[key];
        return typeof value === "number" && Number.isFinite(value) ? [value] : [];
      }),
    ),
  );
}
