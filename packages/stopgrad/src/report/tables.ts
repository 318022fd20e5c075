// The report's tables: results, the information plane in numbers, what differs between the variants and what does not.
// Accuracy is that of the last epoch, never the best on test; every mean says over how many seeds it is.
import {
  type Course,
  courseThresholds,
  type Difference,
  describeThresholds,
  differenceOverSeeds,
  overSharedOnly,
  type PlaneSummaryOverSeeds,
  planeSummary,
  planeSummaryOverSeeds,
  type Summary,
  summariseKnown,
} from "../statistics/index.js";
import type { RunEnvironment, RunSummary } from "../store/records.js";
import { type Comparison, flattenSettings, planeBatch, trajectory, type Variant } from "./comparison.js";
import {
  byteUnit,
  count,
  formatDifference,
  formatFixed,
  formatMultiplyAdds,
  formatPercent,
  formatSpread,
  joinWords,
  multiplyAddUnit,
  nothing,
  timeUnit,
  type Unit,
} from "./format.js";
import { type Cell, type CellValue, type Column, type Table, textCell } from "./table.js";

/** Every name a table of a report can have, in the order of the report. */
export const tableNames = [
  "results",
  "costs",
  "information-plane",
  "plane-over-stages",
  "settings-that-differ",
  "shared-settings",
  "runs",
  "runs-without-result",
] as const;

/** The tables that have something to say, in the order of the report. */
export function reportTables(comparison: Comparison): Table[] {
  return [
    resultsTable(comparison),
    costsTable(comparison),
    planeTable(comparison),
    planeOverStagesTable(comparison),
    differingSettingsTable(comparison),
    sharedSettingsTable(comparison),
    runsTable(comparison),
    withoutResultTable(comparison),
  ].filter((table) => table.rows.length > 0);
}

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
    const means = (pick: (row: (typeof all)[number]) => Summary | null) => all.map((row) => pick(row)?.mean ?? null);
    markBest(
      rows,
      1,
      means(({ test }) => test),
      1,
      formatPercent,
    );
    markBest(
      rows,
      5,
      means(({ memory }) => memory),
      -1,
      inBytes,
    );
    markBest(
      rows,
      6,
      means(({ speed }) => speed),
      1,
      inSpeed,
    );
    markBest(
      rows,
      7,
      means(({ seconds }) => seconds),
      -1,
      inTime,
    );
  }
  const bold = rows.some((row) => row.some((cell) => cell.best)) ? "; best in bold" : "";
  const notes = [
    `Accuracy at the last epoch. Mean ± sample standard deviation over seeds${bold}. Peak memory: most bytes ` +
      "of live tensors during a training step. Speed and time: training alone, without evaluation and measuring." +
      (differInEpochs(variants)
        ? " Speed is that of a step: the variants are not trained for the same number of epochs (see the costs)."
        : ""),
  ];
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

/** A row a variant: parameters, and the arithmetic of training, for an image and in all, and of inference. */
export function costsTable(comparison: Comparison): Table {
  const { variants } = comparison;
  const { referenceName, compares, ownOf } = referencesOf(variants);
  const all = variants.map((variant) => ({
    variant,
    parameters: variant.completed[0]?.record.summary?.parameters ?? null,
    // The same for every seed; runs of the first version do not have it.
    cost: variant.completed.map(({ record }) => record.summary!.cost).find((cost) => cost != null) ?? null,
    whole: wholeTraining(variant),
  }));
  const training = multiplyAddUnit(Math.max(0, ...all.map(({ cost }) => cost?.training ?? 0)));
  const inference = multiplyAddUnit(Math.max(0, ...all.map(({ cost }) => cost?.inference.backbone ?? 0)));
  const inAll = multiplyAddUnit(Math.max(0, ...all.map(({ whole }) => whole ?? 0)));
  const rows = all.map(({ variant, parameters, cost, whole }): Cell[] => {
    const own = all.find((row) => row.variant === ownOf(variant));
    const trainingRatio = cost && own?.cost?.training ? cost.training / own.cost.training : null;
    const wholeRatio = whole !== null && own?.whole ? whole / own.whole : null;
    const { backbone, extras } = cost?.inference ?? { backbone: null, extras: null };
    return [
      textCell(variant.label),
      {
        text:
          parameters === null
            ? nothing
            : `${formatFixed(parameters.backbone, 0)} + ${formatFixed(parameters.heads, 0)}`,
        data: [parameters?.backbone ?? null, parameters?.heads ?? null],
      },
      {
        text:
          cost === null
            ? nothing
            : `${formatMultiplyAdds(cost.training, training)} ${training.name}${bracketed(trainingRatio, " ×", 1, 2)}`,
        data: [cost?.training ?? null, trainingRatio],
      },
      {
        text:
          whole === null
            ? nothing
            : `${formatMultiplyAdds(whole, inAll)} ${inAll.name}${bracketed(wholeRatio, " ×", 1, 2)}`,
        data: [whole, wholeRatio],
      },
      {
        text:
          backbone === null
            ? nothing
            : `${formatMultiplyAdds(backbone, inference)} + ${formatMultiplyAdds(extras, inference)} ${inference.name}`,
        data: [backbone, extras],
      },
    ];
  });
  if (areComparable(variants)) {
    const inUnit = (unit: Unit) => (value: number) => formatMultiplyAdds(value, unit);
    markBest(
      rows,
      2,
      all.map(({ cost }) => cost?.training ?? null),
      -1,
      inUnit(training),
    );
    markBest(
      rows,
      3,
      all.map(({ whole }) => whole),
      -1,
      inUnit(inAll),
    );
  }
  return {
    name: "costs",
    title: "Parameters and multiply-adds",
    columns: [
      { title: "variant", align: "left", fields: ["variant"] },
      {
        title: "parameters",
        unit: "backbone + heads",
        align: "right",
        fields: ["parametersBackbone", "parametersHeads"],
      },
      {
        title: "training multiply-adds",
        unit: `for an image${compares ? `, ratio to ${referenceName}` : ""}`,
        align: "right",
        fields: ["trainingMultiplyAdds", "trainingMultiplyAddsOfReference"],
      },
      {
        title: "whole training",
        unit: `all images${compares ? `, ratio to ${referenceName}` : ""}`,
        align: "right",
        fields: ["wholeTrainingMultiplyAdds", "wholeTrainingMultiplyAddsOfReference"],
      },
      {
        title: "inference multiply-adds",
        unit: "for an image, backbone + extras",
        align: "right",
        fields: ["inferenceMultiplyAddsBackbone", "inferenceMultiplyAddsExtras"],
      },
    ],
    rows,
    notes: [
      "Multiply-adds of convolutions and matrix products: in training those of a step's forward and backward passes, in " +
        "inference those that evaluation computes. Heads are not needed at inference; extras are what stays beside the " +
        "backbone there.",
      "Multiply-adds for an image are those of a step, as images/s are, on average over training. Whole training: times " +
        "every image of every epoch of all phases, mean over seeds; measuring and evaluation are not in it." +
        (differInEpochs(variants)
          ? " The variants are not trained for the same number of epochs: compare the whole training."
          : ""),
    ],
  };
}

/** A row a stage and variant: where the path ends and what it did on the way. */
export function planeTable(comparison: Comparison): Table {
  const summaries = planeSummaries(comparison);
  const rows = comparison.stages.flatMap((stage) =>
    summaries.flatMap(({ variant, batch, summary }): Cell[][] => {
      const row = summary.stages.find((candidate) => candidate.stage === stage);
      if (row === undefined || (row.finalX === null && row.finalY === null)) return [];
      return [
        [
          textCell(stage),
          textCell(variant.label),
          spreadCell(row.finalX, (value) => formatFixed(value, 2)),
          spreadCell(row.finalY, (value) => formatFixed(value, 3)),
          { text: batch === null ? nothing : String(batch), data: [batch] },
          spreadCell(row.compressionX, (value) => formatFixed(value, 3)),
          spreadCell(row.retentionY, (value) => formatFixed(value, 3)),
          coursesCell(row.coursesX),
          coursesCell(row.coursesY),
          {
            text: row.bottleneck.of === 0 ? nothing : `${row.bottleneck.runs} of ${row.bottleneck.of}`,
            data: [row.bottleneck.of === 0 ? null : row.bottleneck.runs, row.bottleneck.of],
          },
        ],
      ];
    }),
  );
  return {
    name: "information-plane",
    title: "Information plane: where each stage ends and what it did on the way",
    columns: [
      { title: "stage", align: "left", fields: ["stage"] },
      { title: "variant", align: "left", fields: ["variant"] },
      { title: "nHSIC(X,Z)", unit: "last epoch", align: "right", fields: spreadFields("nhsicXZ") },
      { title: "nHSIC(Y,Z)", unit: "last epoch", align: "right", fields: spreadFields("nhsicYZ") },
      { title: "m", align: "right", fields: ["batch"] },
      { title: "compression of X", align: "right", fields: spreadFields("compressionX") },
      { title: "retention of Y", align: "right", fields: spreadFields("retentionY") },
      { title: "nHSIC(X,Z)", unit: "course", align: "left", fields: ["courseX"] },
      { title: "nHSIC(Y,Z)", unit: "course", align: "left", fields: ["courseY"] },
      { title: "bottleneck", unit: "seeds", align: "right", fields: ["bottleneckRuns", "bottleneckOf"] },
    ],
    rows,
    notes: [
      "m: the mini-batch on which nHSIC is estimated; values depend on it. Compression of X: 1 − final / highest " +
        "nHSIC(X,Z); noise biases it slightly upwards, because the highest is a maximum over noisy points. Retention of Y: final / highest nHSIC(Y,Z). Bottleneck: both rise, then compression of X is above " +
        `${courseThresholds.fall} with retention of Y above 0.95. Mean ± sample standard deviation over seeds.`,
      `Course, judged for each seed. ${describeThresholds()}`,
    ],
  };
}

/** A row a variant: how much its stages differ in what they do. */
export function planeOverStagesTable(comparison: Comparison): Table {
  const rows = planeSummaries(comparison)
    .filter(({ summary }) => summary.roleDifferentiation !== null || summary.uniformity !== null)
    .map(({ variant, summary }): Cell[] => [
      textCell(variant.label),
      intervalCell(summary.roleDifferentiation),
      intervalCell(summary.uniformity),
    ]);
  return {
    name: "plane-over-stages",
    title: "Do the stages take different roles?",
    columns: [
      { title: "variant", align: "left", fields: ["variant"] },
      {
        title: "role differentiation",
        unit: "[95 %]",
        align: "right",
        fields: intervalFields("roleDifferentiation"),
      },
      { title: "spread of compression", unit: "[95 %]", align: "right", fields: intervalFields("uniformity") },
    ],
    rows,
    notes: [
      "Role differentiation: retention of Y in the last stage minus its mean over the stages between first and last. " +
        "Spread of compression: standard deviation over stages of the compression of X; 0 where all stages behave alike.",
    ],
  };
}

/** A row a setting that is not the same in all variants. */
export function differingSettingsTable(comparison: Comparison): Table {
  const { variants } = comparison;
  const flat = variants.map(describeVariant);
  const paths = mergedPaths(flat).filter((path) => new Set(flat.map((settings) => settings.get(path))).size > 1);
  return {
    name: "settings-that-differ",
    title: "What differs between the variants",
    columns: [
      { title: "setting", align: "left", fields: ["setting"] },
      ...variants.map((variant): Column => ({ title: variant.label, align: "left", fields: [variant.label] })),
    ],
    rows: paths.map((path) => [
      textCell(path),
      ...flat.map((settings): Cell => {
        const value = settings.get(path);
        return { text: value ?? nothing, data: [value ?? null] };
      }),
    ]),
    notes: [],
  };
}

/** A row a setting or version that all variants share. */
export function sharedSettingsTable(comparison: Comparison): Table {
  const flat = comparison.variants.map(describeVariant);
  const first = flat[0] ?? new Map<string, string>();
  const shared = [...first].filter(([path, value]) => flat.every((settings) => settings.get(path) === value));
  return {
    name: "shared-settings",
    title: comparison.variants.length > 1 ? "Settings and versions all variants share" : "Settings and versions",
    columns: [
      { title: "setting", align: "left", fields: ["setting"] },
      { title: "value", align: "left", fields: ["value"] },
    ],
    rows: shared.map(([path, value]) => [textCell(path), textCell(value)]),
    notes: [],
  };
}

/** A row a completed run: its own numbers and the command that repeats it. */
export function runsTable(comparison: Comparison): Table {
  const rows = comparison.variants.flatMap((variant) =>
    variant.completed.map(({ record }): Cell[] => {
      const summary = record.summary!;
      return [
        textCell(variant.label),
        { text: String(record.seed), data: [record.seed] },
        textCell(record.id),
        numberCell(summary.testAccuracy, formatPercent),
        numberCell(summary.trainAccuracy, formatPercent),
        numberCell(summary.epochs, (epochs) => String(epochs)),
        textCell(record.command),
      ];
    }),
  );
  return {
    name: "runs",
    title: "Every run and the command that repeats it",
    columns: [
      { title: "variant", align: "left", fields: ["variant"] },
      { title: "seed", align: "right", fields: ["seed"] },
      { title: "run", align: "left", fields: ["run"] },
      { title: "test accuracy", unit: "%", align: "right", fields: ["testAccuracy"] },
      { title: "train accuracy", unit: "%", align: "right", fields: ["trainAccuracy"] },
      { title: "epochs", align: "right", fields: ["epochs"] },
      { title: "command", align: "left", code: true, fields: ["command"] },
    ],
    rows,
    notes: [],
  };
}

/** A row a run that failed, was interrupted or still runs. */
export function withoutResultTable(comparison: Comparison): Table {
  return {
    name: "runs-without-result",
    title: "Runs without a result",
    columns: [
      { title: "variant", align: "left", fields: ["variant"] },
      { title: "seed", align: "right", fields: ["seed"] },
      { title: "run", align: "left", fields: ["run"] },
      { title: "status", align: "left", fields: ["status"] },
      { title: "error", align: "left", fields: ["error"] },
    ],
    rows: comparison.withoutResult.map((record) => [
      textCell(record.variant),
      { text: String(record.seed), data: [record.seed] },
      textCell(record.id),
      textCell(record.status),
      { text: record.error ?? nothing, data: [record.error] },
    ]),
    notes: ["These runs count nowhere in this report."],
  };
}

/** Who is compared with whom, and what to call the reference in a column's title. */
function referencesOf(variants: readonly Variant[]) {
  const references = [...new Set(variants.flatMap(({ reference }) => (reference === null ? [] : [reference])))];
  return {
    references,
    referenceName: references.length > 1 ? "its reference" : ((references[0] ?? variants[0])?.label ?? ""),
    compares: references.length > 0,
    /** What a variant's ratios are to: a reference has itself, a variant that shares its circumstances with none nothing. */
    ownOf: (variant: Variant): Variant | null =>
      variant.reference ?? (references.includes(variant) || variants.length === 1 ? variant : null),
  };
}

/** Test accuracy of a variant minus the reference's, in fractions; null for the reference and where one has no run. */
export function differenceToReference(variant: Variant, reference: Variant | null): Difference | null {
  if (reference === null || variant === reference) return null;
  const values = (of: Variant) =>
    of.completed
      .map(({ record }) => ({ seed: record.seed, value: record.summary!.testAccuracy }))
      .filter(({ value }) => Number.isFinite(value));
  const a = values(variant);
  const b = values(reference);
  return a.length === 0 || b.length === 0 ? null : differenceOverSeeds(a, b);
}

/** The plane in numbers for each variant that measured it, stages in network order. */
export function planeSummaries(
  comparison: Comparison,
): { variant: Variant; batch: number | null; summary: PlaneSummaryOverSeeds }[] {
  return comparison.variants
    .map((variant) => ({
      variant,
      batch: planeBatch(variant),
      summary: planeSummaryOverSeeds(
        variant.drawn.map((run) =>
          planeSummary(
            comparison.stages
              .map((stage) => ({
                stage,
                x: trajectory(run, "nhsicXZ", stage),
                y: trajectory(run, "nhsicYZ", stage),
              }))
              .filter(({ x, y }) => x.length > 0 || y.length > 0),
          ),
        ),
      ),
    }))
    .filter(({ summary }) => summary.stages.length > 0);
}

/** `rises then falls`, or `rises then falls (2 of 3)` where seeds disagree. */
export function describeCourses(courses: readonly (readonly [Course, number])[]): string {
  const total = courses.reduce((sum, [, runs]) => sum + runs, 0);
  if (courses.length === 0) return nothing;
  if (courses.length === 1) return courses[0]![0];
  return courses.map(([name, runs]) => `${name} (${runs}\u00a0of\u00a0${total})`).join(", ");
}

function coursesCell(courses: readonly (readonly [Course, number])[]): Cell {
  const text = describeCourses(courses);
  return { text, data: [courses.length === 0 ? null : text.replaceAll("\u00a0", " ")] };
}

function spreadFields(name: string): string[] {
  return [`${name}Mean`, `${name}Std`];
}

function intervalFields(name: string): string[] {
  return [`${name}Mean`, `${name}Low`, `${name}High`];
}

function spreadData(summary: Summary | null): CellValue[] {
  return [summary?.mean ?? null, summary?.std ?? null];
}

function spreadCell(summary: Summary | null, format: (value: number) => string): Cell {
  return { text: formatSpread(summary, format), data: spreadData(summary) };
}

function intervalCell(summary: Summary | null): Cell {
  const format = (value: number) => formatFixed(value, 3);
  const interval = summary?.interval ?? null;
  const text = summary === null ? nothing : format(summary.mean);
  return {
    text: interval === null ? text : `${text} [${format(interval[0])}, ${format(interval[1])}]`,
    data: [summary?.mean ?? null, interval?.[0] ?? null, interval?.[1] ?? null],
  };
}

function numberCell(value: number, format: (value: number) => string): Cell {
  return Number.isFinite(value) ? { text: format(value), data: [value] } : { text: nothing, data: [null] };
}

function ratio(summary: Summary | null, reference: Summary | null | undefined): number | null {
  return summary === null || reference == null || reference.mean === 0 ? null : summary.mean / reference.mean;
}

function bracketed(value: number | null, unit: string, times: number, decimals: number): string {
  return value === null ? "" : ` (${formatFixed(times * value, decimals)}${unit})`;
}

/** Marks the best mean of a column; nothing is best of one, nor what another row prints just so. */
function markBest(
  rows: Cell[][],
  index: number,
  means: (number | null)[],
  direction: 1 | -1,
  format: (mean: number) => string,
): void {
  const known = means.filter((value): value is number => value !== null);
  if (known.length < 2) return;
  const best = direction > 0 ? Math.max(...known) : Math.min(...known);
  if (known.filter((value) => format(value) === format(best)).length > 1) return;
  rows[means.indexOf(best)]![index]!.best = true;
}

/** Whether the variants' numbers can be ranked: the same images, however they are batched and augmented, and network. */
function areComparable(variants: readonly Variant[]): boolean {
  const kinds = variants.map(({ settings: { data, model } }) => {
    const { batch: _, evaluationBatch: __, augment: ___, ...images } = (data ?? {}) as Record<string, unknown>;
    return JSON.stringify([...flattenSettings({ images, model: model ?? null })].sort());
  });
  return new Set(kinds).size <= 1;
}

function differInEpochs(variants: readonly Variant[]): boolean {
  const epochs = variants.flatMap(({ completed }) => completed.map(({ record }) => record.summary!.epochs));
  return new Set(epochs).size > 1;
}

/** Multiply-adds of all training, mean over seeds; null where no run has its cost for an image. */
function wholeTraining({ completed }: Variant): number | null {
  const all = completed.map(({ record }) => {
    const { cost, imagesPerSecond, seconds } = record.summary!;
    return cost ? cost.training * Math.round(imagesPerSecond * seconds) : null; // seconds are those of these images
  });
  return summariseKnown(all)?.mean ?? null;
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

/** Whether the interval is missing although there are seeds enough. */
export function hasNoSpread({ interval, method }: Difference): boolean {
  return interval === null && (method === "paired" || method === "welch");
}

/** `the 2 shared seeds`, `the one shared seed`. */
export function sharedSeeds({ n }: Difference): string {
  return n === 1 ? "the one shared seed" : `the ${count(n, "shared seed")}`;
}

/** Settings and environment of a variant; several values where its runs differ in their environment. */
function describeVariant(variant: Variant): Map<string, string> {
  const flat = flattenSettings(variant.settings);
  const runs = variant.completed.length > 0 ? variant.completed : variant.drawn;
  const seeds = runs.map((run) => run.record.seed);
  if (seeds.length > 0) flat.set("seeds", seeds.join(", "));
  const keys: [keyof RunEnvironment, string][] = [
    ["device", "device used"],
    ["threads", "threads"],
    ["stopgrad", "stopgrad version"],
    ["commit", "commit"],
    ["libtorch", "libtorch version"],
    ["blas", "BLAS"],
    ["node", "Node.js version"],
    ["platform", "platform"],
    ["cpu", "CPU"],
  ];
  for (const [key, title] of keys) {
    const values = new Set(runs.map((run) => run.record.environment?.[key]).filter((value) => value != null));
    if (values.size > 0) flat.set(title, [...values].join(", "));
  }
  return flat;
}

function mergedPaths(all: readonly Map<string, string>[]): string[] {
  return [...new Set(all.flatMap((settings) => [...settings.keys()]))];
}

/** How many seeds stand behind the variants, in words. */
export function describeSeeds(comparison: Comparison): string {
  const counts = [...new Set(comparison.variants.map((variant) => variant.completed.length).filter((n) => n > 0))];
  if (counts.length === 0) return "no seed";
  if (counts.length === 1) return count(counts[0]!, "seed");
  return `${Math.min(...counts)} to ${count(Math.max(...counts), "seed")}`;
}
