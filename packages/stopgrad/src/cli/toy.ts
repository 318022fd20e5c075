// `stopgrad toy`: rank collapse of a linear layer under a linear head, beside an MLP head and end-to-end training.
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { Worker } from "node:worker_threads";
import { makeFolder } from "../folders.js";
import { toyFigures } from "../report/charts/toy.js";
import { formatFixed, nothing } from "../report/format.js";
import { renderSvg } from "../report/render.js";
import { type Column, renderText, type Table, textCell } from "../report/table.js";
import {
  checkToySettings,
  concludeToy,
  type Range,
  summariseToy,
  type ToyResult,
  type ToySettings,
  ToySettingsError,
  type ToySummary,
  toyDefaults,
  toyRules,
} from "../toy/index.js";
import { writeWhole } from "../write-whole.js";
import {
  type CommonOptions,
  describeError,
  note,
  print,
  printJson,
  runsDirectory,
  UsageError,
  WorkError,
} from "./context.js";
import type { ToyAnswer, ToyJob } from "./toy-worker.js";

interface ToyOptions extends CommonOptions {
  head?: string;
  penalty?: string;
  lambda?: string;
  norm?: string;
  start?: string;
  learningRate?: string;
  steps?: string;
  points?: string;
  seeds?: string;
  out?: string;
}

export async function toy(options: ToyOptions): Promise<void> {
  const settings = settingsOf(options);
  const folder = resolve(options.out ?? join(runsDirectory(options), "reports", "toy"));
  prepareFolder(folder);
  const results = await trainAll(settings);
  const summaries = summariseToy(results, settings);
  const conclusion = concludeToy(summaries);
  const figures: string[] = [];
  for (const { name, spec } of toyFigures(results, settings)) {
    const file = join(folder, `${name}.svg`);
    write(file, await renderSvg(spec));
    figures.push(file);
  }
  if (options.json) {
    printJson({ settings, summaries, conclusion, figures, runs: results });
    return;
  }
  for (const table of [ratioTable(summaries, settings), informationTable(summaries)]) print(`${renderText(table)}\n`);
  print(`${conclusion}\n\nfigures: ${figures.join("\n         ")}`);
}

/** @throws UsageError for the first option that cannot be */
function settingsOf(options: ToyOptions): ToySettings {
  const number = (text: string | undefined, otherwise: number) => (text === undefined ? otherwise : numberOf(text));
  const settings = {
    rules: options.head === undefined ? toyDefaults.rules : words(options.head),
    penalty: options.penalty ?? toyDefaults.penalty,
    lambda: number(options.lambda, toyDefaults.lambda),
    squaredNorm: number(options.norm, toyDefaults.squaredNorm),
    start: options.start ?? toyDefaults.start,
    learningRate: number(options.learningRate, toyDefaults.learningRate),
    steps: number(options.steps, toyDefaults.steps),
    points: number(options.points, toyDefaults.points),
    seeds: options.seeds === undefined ? toyDefaults.seeds : words(options.seeds).map(numberOf),
  } as ToySettings;
  try {
    checkToySettings(settings);
  } catch (error) {
    if (error instanceof ToySettingsError) throw new UsageError(error.message);
    throw error;
  }
  return settings;
}

function words(list: string): string[] {
  return list
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
}

/** The text itself where it is no number, so that the check of the settings names it. */
function numberOf(text: string): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  return Number.isNaN(value) ? (text as unknown as number) : value;
}

/** Trains every rule from every seed, as many side by side as there are processors. */
async function trainAll(settings: ToySettings): Promise<ToyResult[]> {
  const jobs: ToyJob[] = settings.rules.flatMap((rule) => settings.seeds.map((seed) => ({ rule, seed, settings })));
  const results: ToyResult[] = [];
  let next = 0;
  const workers = Array.from(
    { length: Math.min(jobs.length, availableParallelism()) },
    () => new Worker(new URL("./toy-worker.js", import.meta.url)),
  );
  const work = async (worker: Worker) => {
    for (let at = next++; at < jobs.length; at = next++) {
      const { rule, seed } = jobs[at]!;
      worker.postMessage(jobs[at]);
      const [answer] = (await once(worker, "message")) as [ToyAnswer];
      if ("error" in answer) throw failure(answer.error);
      results[at] = answer.result;
      note(`toy: ${rule}, seed ${seed}: done (${results.filter(Boolean).length} of ${jobs.length})`);
    }
  };
  try {
    await Promise.all(workers.map(work));
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  return results;
}

function failure({ name, message }: { name: string; message: string }): Error {
  return name === "ToyDivergedError" ? new WorkError(message) : new Error(message);
}

/** Before the work, so that a folder that cannot be is told at once. */
function prepareFolder(folder: string): void {
  try {
    makeFolder(folder);
  } catch (error) {
    throw new WorkError(`the figures cannot be written to ${folder}: ${describeError(error).message}`);
  }
}

function write(file: string, text: string): void {
  try {
    writeWhole(file, text);
  } catch (error) {
    throw new WorkError(`${file} cannot be written: ${describeError(error).message}`);
  }
}

const right = (title: string): Column => ({ title, align: "right", fields: [title] });

function ratioTable(summaries: readonly ToySummary[], settings: ToySettings): Table {
  const { penalty, lambda, learningRate, points, seeds, start } = settings;
  const first = summaries[0]!;
  const { rate } = first;
  const columns: Column[] = [
    { title: "W trained by", align: "left", fields: ["rule"] },
    ...first.rows.map(({ step }) => right(`step ${formatFixed(step, 0)}`)),
    ...(rate === null ? [] : [right(`fall ${formatFixed(rate.from, 0)} → ${formatFixed(rate.to, 0)}`)]),
    right("head accuracy"),
    right("network accuracy"),
  ];
  return {
    name: "toy-ratio",
    title:
      `σ₂/σ₁ of W, range over ${seeds.length} ${seeds.length === 1 ? "seed" : "seeds"} ` +
      `(${penalty} penalty, λ = ${lambda}, step ${learningRate}, ${formatFixed(points, 0)} points, ${start} start)`,
    columns,
    rows: summaries.map(({ rule, rows, rate }) => {
      const last = rows.at(-1)!;
      return [
        textCell(rule),
        ...rows.map(({ ratio }) => textCell(rangeText(ratio, small))),
        ...(rate === null ? [] : [textCell(rangeText(rate.measured, small))]),
        textCell(rangeText(last.headAccuracy, percent)),
        textCell(rangeText(last.networkAccuracy, percent)),
      ];
    }),
    notes: [
      ...summaries.map(({ rule }) => `${rule}: ${toyRules[rule]}.`),
      "Accuracy in % at the last step; network: after a second layer of 16 ReLU units, which layer-wise learns from sg[z].",
      ...(summaries.some(({ rule }) => rule === "linear") ? theoryNote(summaries, settings) : []),
    ],
  };
}

function theoryNote(summaries: readonly ToySummary[], settings: ToySettings): string[] {
  const rate = summaries.find(({ rule }) => rule === "linear")?.rate;
  if (!rate || rate.theory === null) return [];
  const time = (rate.to - rate.from) * settings.learningRate;
  return [
    `Theory for linear: σ₂ falls by exp(−2 λ · ${Number(time.toPrecision(6))}) = ${small(rate.theory)} between those steps, the ratio by ` +
      `${rangeText(rate.theoryOverShrinking, small)}, since σ₁ shrinks too.`,
  ];
}

function informationTable(summaries: readonly ToySummary[]): Table {
  const quantities = [
    ["nHSIC(X,Z)", "nhsicXZ"],
    ["nHSIC(Y,Z)", "nhsicYZ"],
    ["I(X;Z), nats", "informationXZ"],
    ["I(Y;Z), nats", "informationYZ"],
  ] as const;
  return {
    name: "toy-information",
    title: "What z tells, range over seeds (nHSIC: batches of 256 points; I: counted in cells of side 0.1)",
    columns: [
      { title: "W trained by", align: "left", fields: ["rule"] },
      { title: "", align: "left", fields: ["quantity"] },
      ...summaries[0]!.rows.map(({ step }) => right(`step ${formatFixed(step, 0)}`)),
    ],
    rows: summaries.flatMap(({ rule, rows }) =>
      quantities.map(([title, key]) => [
        textCell(rule),
        textCell(title),
        ...rows.map((row) => textCell(rangeText(row[key], (value) => value.toFixed(2)))),
      ]),
    ),
    notes: [],
  };
}

function rangeText(range: Range | null, text: (value: number) => string): string {
  if (range === null) return nothing;
  const [low, high] = [text(range.low), text(range.high)];
  return low === high ? high : `${low} to ${high}`;
}

/** Two digits: 0.36, 0.0082, 4.2e-10. */
function small(value: number): string {
  return value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(1) : value.toPrecision(2);
}

function percent(fraction: number): string {
  return (100 * fraction).toFixed(1);
}
