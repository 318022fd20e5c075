// `stopgrad calibrate`: the estimators of mutual information on Gaussians whose information is known, and where they fail.
import { statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { getThreads } from "@stopgrad/torch";
import { didYouMean } from "../experiment/suggest.js";
import { makeFolder, removeFolders } from "../folders.js";
import {
  type CalibrationPair,
  type CalibrationPlan,
  type CalibrationResult,
  calibrate as calibrated,
  calibrationTasks,
  type EstimatorName,
  estimators,
  toleranceOf,
} from "../measures/mutual-information/index.js";
import { calibrationChart } from "../report/charts/calibration.js";
import { renderSvg } from "../report/render.js";
import { renderCsv, renderMarkdown, renderText } from "../report/table.js";
import { calibrationGrids, calibrationRegions, calibrationTable } from "../report/tables/calibration.js";
import { writeWhole } from "../write-whole.js";
import { type CommonOptions, note, print, printJson, UsageError, WorkError } from "./context.js";
import { duration } from "./progress.js";

interface CalibrateOptions extends CommonOptions {
  estimators?: string;
  pairs?: string;
  dimensions?: string;
  information?: string;
  correlations?: string;
  samples?: number;
  seeds?: number;
  quick?: boolean;
  out?: string;
}

/** About five minutes on two cores. */
const full = { dimensions: [1, 2, 5, 10, 20], information: [0.1, 0.5, 1, 2, 4, 8], samples: 5000, options: {} };

/** About 15 seconds: it shows what a calibration looks like, and hardly how good the trained estimators are. */
const quick = {
  dimensions: [1, 5],
  information: [0.5, 2],
  samples: 1000,
  options: { mine: { steps: 150, batch: 128 }, "info-nce": { steps: 150, batch: 128 } },
};

/** Fewest samples: below it estimates say nothing. */
const FEWEST_SAMPLES = 100;

const pairNames: readonly CalibrationPair[] = ["input", "labels"];

/** Milliseconds between two lines of progress. */
const PROGRESS_EVERY = 3000;

export async function calibrate(options: CalibrateOptions): Promise<void> {
  const plan = planOf(options);
  if (options.out !== undefined) requirePlace(resolve(options.out));
  const results = estimateAll(plan);
  const files = options.out === undefined ? [] : await write(resolve(options.out), results);
  if (options.json) {
    const { samples, seeds } = plan;
    printJson({ samples, seeds, tolerance: { nats: 0.1, share: 0.1 }, results, files });
    return;
  }
  const bold = process.stdout.isTTY;
  const tables = [...calibrationGrids(results), calibrationRegions(results)];
  print(tables.map((table) => renderText(table, { bold })).join("\n"));
  for (const refused of new Set(results.flatMap((result) => result.refused ?? []))) print(`refused: ${refused}`);
  for (const file of files) print(`written: ${file}`);
}

/** Estimates with a line of progress now and then: each estimator's time to go by its own speed so far. */
function estimateAll(plan: CalibrationPlan): CalibrationResult[] {
  const tasks = calibrationTasks(plan);
  if (tasks.length === 0) {
    throw new UsageError("calibrate: label-bound takes labels only: give it --pairs labels, or name another estimator");
  }
  getThreads(); // loads libtorch, so that the first estimate is not timed with it
  const results: CalibrationResult[] = [];
  let shown = performance.now();
  for (const result of calibrated(plan)) {
    results.push(result);
    if (performance.now() - shown < PROGRESS_EVERY || results.length === tasks.length) continue;
    shown = performance.now();
    const left = tasks.slice(results.length).reduce((sum, { estimator }) => sum + secondsOf(estimator, results), 0);
    const { estimator, dimension } = result;
    note(`${results.length} of ${tasks.length} estimates (${estimator}, d = ${dimension}), ${duration(left)} to go`);
  }
  return results;
}

/** Mean seconds of an estimate by this estimator so far; of all where it has not begun. */
function secondsOf(estimator: EstimatorName, results: readonly CalibrationResult[]): number {
  const own = results.filter((result) => result.estimator === estimator);
  const known = own.length > 0 ? own : results;
  return known.reduce((sum, { seconds }) => sum + seconds, 0) / known.length;
}

/** Names of the files that `--out` gets. */
const fileNames = ["calibration.md", "calibration.csv", "calibration.svg", "calibration.vl.json"] as const;

/** What cannot be written is told before the work; a folder is left behind only with something in it. */
function requirePlace(folder: string): void {
  removeFolders(makeFolder(folder));
  for (const path of fileNames.map((name) => join(folder, name))) {
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) continue;
    throw new WorkError(`calibrate: ${path}: expected no folder where a file is to be written`);
  }
}

async function write(folder: string, results: readonly CalibrationResult[]): Promise<string[]> {
  const spec = calibrationChart(results, toleranceOf);
  const table = calibrationTable(results);
  const contents: Record<(typeof fileNames)[number], string> = {
    "calibration.md": [calibrationRegions(results), table].map(renderMarkdown).join("\n"),
    "calibration.csv": renderCsv(table),
    "calibration.svg": await renderSvg(spec),
    "calibration.vl.json": `${JSON.stringify(spec)}\n`,
  };
  const files = Object.entries(contents).map(([name, text]) => ({ path: join(folder, name), text }));
  const made = makeFolder(folder);
  try {
    for (const { path, text } of files) writeWhole(path, text);
  } catch (error) {
    if (made.length > 0) for (const { path } of files) await rm(path, { force: true });
    removeFolders(made);
    throw error;
  }
  return files.map(({ path }) => path);
}

function planOf(options: CalibrateOptions): CalibrationPlan {
  const usual = options.quick ? quick : full;
  if (options.information !== undefined && options.correlations !== undefined) {
    throw new UsageError("calibrate: expected --information or --correlations, got both");
  }
  const samples = options.samples ?? usual.samples;
  if (samples < FEWEST_SAMPLES) {
    throw new UsageError(`calibrate: --samples: expected at least ${FEWEST_SAMPLES}, got ${samples}`);
  }
  return {
    estimators: names("estimators", options.estimators, Object.keys(estimators) as EstimatorName[]),
    pairs: names("pairs", options.pairs, pairNames),
    dimensions:
      numbers("dimensions", options.dimensions, "whole numbers from 1 to 1000, as in 1,2", (value) => {
        return Number.isInteger(value) && value >= 1 && value <= 1000;
      }) ?? usual.dimensions,
    strengths: strengthsOf(options) ?? { information: usual.information },
    samples,
    seeds: options.seeds ?? 1,
    options: usual.options,
  };
}

function strengthsOf({ information, correlations }: CalibrateOptions): CalibrationPlan["strengths"] | null {
  const byCorrelation = numbers(
    "correlations",
    correlations,
    "numbers between -1 and 1, as in 0.5,0.9",
    (value) => Math.abs(value) < 1,
  );
  if (byCorrelation) return { correlations: byCorrelation };
  const byNats = numbers(
    "information",
    information,
    "nats from 0 to 15, as in 0.5,2",
    (value) => value >= 0 && value <= 15,
  );
  return byNats && { information: byNats };
}

/** `1,2,5` as numbers, each once; null where the option was not given. */
function numbers(
  option: string,
  text: string | undefined,
  expected: string,
  isRight: (value: number) => boolean,
): number[] | null {
  if (text === undefined) return null;
  const words = text.split(",").map((word) => word.trim());
  const wrong = words.find((word) => word === "" || !isRight(Number(word)));
  if (wrong === undefined) return [...new Set(words.map(Number))];
  throw new UsageError(`calibrate: --${option}: expected ${expected}, got ${wrong === "" ? "nothing" : wrong}`);
}

/** `mine,ksg` as names that are known, each once; all where the option was not given. */
function names<Name extends string>(option: string, text: string | undefined, known: readonly Name[]): Name[] {
  if (text === undefined) return [...known];
  const words = text.split(",").map((word) => word.trim());
  for (const word of words) {
    if ((known as readonly string[]).includes(word)) continue;
    throw new UsageError(
      `calibrate: --${option}: unknown name: ${word || "(empty)"} (known: ${known.join(", ")})${didYouMean(word, known)}`,
    );
  }
  return [...new Set(words as Name[])];
}
