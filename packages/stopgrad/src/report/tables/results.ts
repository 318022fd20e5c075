// Accuracy, memory and speed, a row a variant. Accuracy is that of the last epoch, never the best on test; every mean says
// over how many seeds it is.
import { type Difference, overSharedOnly, type SeededValue, summariseKnown } from "../../statistics/index.js";
import type { RunSummary } from "../../store/records.js";
import type { Comparison, Variant } from "../comparison.js";
import {
  byteUnit,
  formatDifference,
  formatFixed,
  formatPercent,
  formatSpread,
  joinWords,
  nothing,
  timeUnit,
} from "../format.js";
import { type Cell, type Column, type Table, textCell } from "../table.js";
import {
  boldSentence,
  bracketed,
  markBest,
  markClearlyBest,
  ratio,
  spreadCell,
  spreadData,
  spreadFields,
} from "./cells.js";
import {
  areComparable,
  differenceToReference,
  differInEpochs,
  hasNoSpread,
  referencesOf,
  sharedSeeds,
} from "./references.js";

/** A row a variant: accuracy, difference to the reference, memory, speed, time. */
export function resultsTable(comparison: Comparison): Table {
  const { variants } = comparison;
  const { references, referenceName, compares, ownOf } = referencesOf(variants);
  const over = (variant: Variant, pick: (summary: RunSummary) => number) =>
    summariseKnown(variant.completed.map((run) => pick(run.record.summary!)));
  const all = variants.map((variant) => ({
    variant,
    test: over(variant, (summary) => summary.testAccuracy),
    train: over(variant, (summary) => summary.trainAccuracy),
    difference: differenceToReference(variant, variant.reference),
    memory: over(variant, (summary) => summary.peakBytes),
    speed: over(variant, (summary) => summary.imagesPerSecond),
    seconds: over(variant, (summary) => summary.seconds),
  }));
  const bytes = byteUnit(Math.max(0, ...all.map((row) => row.memory?.mean ?? 0)));
  const time = timeUnit(Math.max(0, ...all.map((row) => row.seconds?.mean ?? 0)));
  const inBytes = (value: number) => formatFixed(value / bytes.per, value / bytes.per < 10 ? 2 : 1);
  const fast = Math.max(0, ...all.map((row) => row.speed?.mean ?? 0)) >= 100;
  const inSpeed = (value: number) => formatFixed(value, fast ? 0 : 1);
  const inTime = (value: number) => formatFixed(value / time.per, 1);
  const rows = all.map((row): Cell[] => {
    const own = all.find(({ variant }) => variant === ownOf(row.variant));
    const memoryRatio = ratio(row.memory, own?.memory);
    const speedRatio = ratio(row.speed, own?.speed);
    return [
      textCell(row.variant.label),
      spreadCell(row.test, formatPercent),
      { text: String(row.variant.completed.length), data: [row.variant.completed.length] },
      row.variant.reference === null
        ? { text: nothing, data: [null, null, null, null] }
        : {
            text: formatDifference(row.difference, formatPercent),
            data: [
              row.difference?.difference ?? null,
              row.difference?.interval?.[0] ?? null,
              row.difference?.interval?.[1] ?? null,
              row.difference?.method ?? null,
            ],
          },
      spreadCell(row.train, formatPercent),
      {
        text: row.memory === null ? nothing : inBytes(row.memory.mean) + bracketed(memoryRatio, " %", 100, 0),
        data: [...spreadData(row.memory), memoryRatio],
      },
      {
        text: row.speed === null ? nothing : formatSpread(row.speed, inSpeed) + bracketed(speedRatio, " ×", 1, 2),
        data: [...spreadData(row.speed), speedRatio],
      },
      spreadCell(row.seconds, inTime),
    ];
  });
  const columns: Column[] = [
    { title: "variant", align: "left", fields: ["variant"] },
    { title: "test accuracy", unit: "%", align: "right", fields: spreadFields("testAccuracy") },
    { title: "seeds", align: "right", fields: ["seeds"] },
    {
      title: `difference to ${referenceName}`,
      unit: "points [95 %]",
      align: "right",
      fields: ["difference", "differenceLow", "differenceHigh", "differenceMethod"],
    },
    { title: "train accuracy", unit: "%", align: "right", fields: spreadFields("trainAccuracy") },
    {
      title: "peak memory",
      unit: compares ? `${bytes.name}, of ${referenceName}` : bytes.name,
      align: "right",
      fields: [...spreadFields("peakBytes"), "peakBytesOfReference"],
    },
    {
      title: "images/s",
      ...(compares ? { unit: `ratio to ${referenceName}` } : {}),
      align: "right",
      fields: [...spreadFields("imagesPerSecond"), "imagesPerSecondOfReference"],
    },
    { title: "training time", unit: time.name, align: "right", fields: spreadFields("seconds") },
  ];
  if (areComparable(variants)) {
    const seeded = (pick: (summary: RunSummary) => number) => variants.map((variant) => valuesOf(variant, pick));
    markClearlyBest(
      rows,
      1,
      seeded(({ testAccuracy }) => testAccuracy),
      1,
      formatPercent,
    );
    markBest(
      rows,
      5,
      all.map(({ variant, memory }) => (isParallel(variant) ? null : (memory?.mean ?? null))),
      -1,
      inBytes,
    );
    markClearlyBest(
      rows,
      6,
      seeded(({ imagesPerSecond }) => imagesPerSecond),
      1,
      inSpeed,
    );
    markClearlyBest(
      rows,
      7,
      seeded(({ seconds }) => seconds),
      -1,
      inTime,
    );
  }
  const bold = boldSentence(
    rows,
    "better than every other variant by more than the 95 % interval of their difference over seeds; of peak memory, " +
      "which is counted, the lowest",
  );
  const notes = [
    `Accuracy at the last epoch. Mean ± sample standard deviation over seeds. Peak memory: most bytes ` +
      "of live tensors during a training step. Speed and time: training alone, without evaluation and measuring." +
      (differInEpochs(variants)
        ? " Speed is that of a step: the variants are not trained for the same number of epochs (see the costs)."
        : "") +
      bold,
  ];
  const parallel = variants.filter(isParallel).map(({ label }) => label);
  if (parallel.length > 0) {
    notes.push(
      `Modules of ${joinWords(parallel)} learned in processes of their own: the peak is that of the process that needs most, ` +
        "its queue included, and not of all of them together.",
    );
  }
  if (references.length > 1) {
    const pairs = references.map((reference) => {
      const others = variants.filter((variant) => variant.reference === reference).map(({ label }) => label);
      return `${reference.label} of ${joinWords(others)}`;
    });
    notes.push(`Reference: ${pairs.join("; ")}. Only variants whose other settings are the same are compared.`);
  }
  if (compares)
    notes.push(
      describeMethods(
        all.map((row) => [row.variant.label, row.difference]),
        referenceName,
      ),
    );
  return { name: "results", title: "Accuracy, memory and speed", columns, rows, notes };
}

/** One value a seed, where it is a finite number. */
function valuesOf(variant: Variant, pick: (summary: RunSummary) => number): SeededValue[] {
  return variant.completed
    .map(({ record }) => ({ seed: record.seed, value: pick(record.summary!) }))
    .filter(({ value }) => Number.isFinite(value));
}

/** Whether its modules learned beside each other. */
function isParallel({ settings }: Variant): boolean {
  return (settings.parallel ?? null) !== null;
}

function describeMethods(
  differences: readonly (readonly [label: string, difference: Difference | null])[],
  reference: string,
): string {
  const known = differences.flatMap(([, difference]) => (difference === null ? [] : [difference]));
  const withInterval = known.filter(({ interval }) => interval !== null);
  const pairs = [...new Set(withInterval.filter(({ method }) => method === "paired").map(({ n }) => n))];
  const parts = [`Difference: test accuracy minus that of ${reference}, in percentage points.`];
  if (pairs.length > 0) {
    parts.push(
      `95 % t-interval of the differences between runs with the same seed (${pairs.sort((a, b) => a - b).join(", ")} shared seeds).`,
    );
  }
  if (withInterval.some(({ method }) => method === "welch")) {
    parts.push("Welch's 95 % interval where fewer than two seeds are shared.");
  }
  if (known.some(({ method }) => method === "single" || method === "unpaired")) {
    parts.push("No interval where there are too few seeds for one.");
  }
  if (known.some(hasNoSpread)) {
    parts.push("No interval where the differences, or the values on both sides, are equal: no spread to judge by.");
  }
  for (const [label, difference] of differences) {
    if (difference === null || !overSharedOnly(difference)) continue;
    const [own, other] = difference.means.map((value) => formatPercent(value));
    parts.push(
      `The difference of ${label} is over ${sharedSeeds(difference)} only, where its mean is ${own} % and that of ` +
        `${reference} ${other} %.`,
    );
  }
  return parts.join(" ");
}
