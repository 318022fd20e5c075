// `stopgrad measure`: a measure on arrays from anywhere, or on the stages of a finished run at chosen epochs.
import { type FullSetMeasure, fullSetMeasures, fullSetOptions, refusedOfFullSet } from "../measures/full-set.js";
import { type Measure, MeasureError } from "../measures/index.js";
import { UsageError, WorkError } from "./context.js";
import { measureFiles } from "./measure-files.js";
import { find, list } from "./measure-list.js";
import { printRows } from "./measure-output.js";
import { measureRun } from "./measure-runs.js";
import { parseSettings } from "./measure-settings.js";
import { BATCH, type MeasureOptions, type Task, withoutName } from "./measure-task.js";
import { startTicker } from "./ticker.js";

export async function measure(name: string | undefined, options: MeasureOptions): Promise<void> {
  if (options.list) {
    list(name, options);
    return;
  }
  const entry = find(name);
  if (options.full && !Object.hasOwn(fullSetMeasures, name!)) {
    throw new UsageError(`measure: --full is for ${Object.keys(fullSetMeasures).join(", ")}, got ${name}`);
  }
  const taken = options.full
    ? {
        options: entry.options.extend(fullSetOptions.shape),
        refused: (given: Readonly<Record<string, unknown>>) => refusedOfFullSet(name as FullSetMeasure, given),
      }
    : entry;
  const settings = parseSettings(`measure ${name}`, taken, options.set ?? [], flagsFor(entry, options));
  requireOptions(name!, entry, options);
  const task: Task = {
    name: name!,
    batch: options.batch ?? BATCH,
    entry,
    settings,
    options,
    ticker: startTicker(),
  };
  try {
    const found = options.run === undefined ? measureFiles(task) : await measureRun(task, options.run);
    task.ticker.end();
    printRows(task, found);
  } catch (error) {
    task.ticker.end();
    if (error instanceof MeasureError) throw new WorkError(`measure ${name}: ${withoutName(name!, error.message)}`);
    throw error;
  }
}

/** What experiment files and other tools call these → the flag that says it here. */
function flagsFor({ kind }: Measure, { run, full }: MeasureOptions): Record<string, string> {
  const samples = { images: "--samples", samples: "--samples", batches: "--samples" };
  return {
    level: "--level",
    resamples: "--bootstrap",
    bootstrap: "--bootstrap",
    ...(kind === "pair" && !full ? { batch: "--batch" } : {}),
    ...(run !== undefined || kind === "probe" ? { split: "--split" } : {}),
    ...(run === undefined ? {} : { epochs: "--epochs", stages: "--stages" }),
    ...(run === undefined || kind === "streamed" ? {} : samples),
  };
}

/** What cannot go together. */
function requireOptions(name: string, { kind }: Measure, options: MeasureOptions): void {
  const { run, split } = options;
  const refuse = (message: string) => {
    throw new UsageError(`measure: ${message}`);
  };
  const files = ["x", "y", "z", "testY", "testZ"] as const;
  const ofRuns = ["against", "epochs", "stages", "samples"] as const;
  const flag = (key: string) => `--${key.replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`)}`;
  if (options.batch !== undefined && kind !== "pair") {
    refuse(`--batch is for ${Object.keys(fullSetMeasures).join(", ")}, and ${name} takes no mini-batches`);
  }
  if (options.batch !== undefined && options.full) {
    refuse("--batch is for means over mini-batches, and --full takes all samples at once; leave one of them out");
  }
  if (run !== undefined) {
    const given = files.find((key) => options[key] !== undefined);
    if (given) refuse(`${flag(given)} is for files; expected it without --run`);
    if (split !== undefined && split !== "test" && split !== "train") {
      refuse(`--split: expected test or train of a run's images, got ${split}`);
    }
    return;
  }
  const given = ofRuns.find((key) => options[key] !== undefined);
  if (given) refuse(`${flag(given)} is for runs; expected --run beside it`);
  if (kind === "streamed") {
    refuse(`${name} trains while images pass through a network; expected a run, as in --run ID`);
  }
  if ((options.z ?? []).length === 0) refuse("expected representations, as in --z Z1.npy Z2.npy, or a run (--run ID)");
  if (kind === "pair" && options.x === undefined && options.y === undefined) {
    refuse("expected an input (--x X.npy), labels (--y Y.npy) or both");
  }
  const share = Number(split);
  if (split !== undefined && !(share > 0 && share < 1)) {
    refuse(`--split: expected the share of the samples to train on, as in 0.8, got ${split}`);
  }
  if (kind !== "probe") {
    const unused = split !== undefined ? "split" : (["testY", "testZ"] as const).find((key) => options[key]);
    if (unused) refuse(`${flag(unused)} is for probes, and ${name} is none`);
    return;
  }
  if (options.y === undefined) refuse("a probe needs labels (--y Y.npy)");
  const hasTest = options.testZ !== undefined || options.testY !== undefined;
  if (hasTest === (split !== undefined)) {
    refuse("a probe needs test samples: either --test-z and --test-y, or --split 0.8 for a part of the samples given");
  }
  if (hasTest && (options.testZ === undefined || options.testY === undefined)) {
    refuse("expected test representations and their labels, --test-z and --test-y, got one of them");
  }
}
