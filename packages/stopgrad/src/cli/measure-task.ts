// What `stopgrad measure` shares between files and runs: its options, what is to be taken, and taking it of representations.
import {
  type Measured,
  measureFullSetOf,
  measurePairsOf,
  measureProbesOf,
  measureSamplesOf,
} from "../experiment/measured.js";
import type { Representations } from "../experiment/representations.js";
import type { FullSetMeasure } from "../measures/full-set.js";
import { type Measure, MeasureError } from "../measures/index.js";
import { type CommonOptions, note } from "./context.js";
import type { Ticker } from "./ticker.js";

export interface MeasureOptions extends CommonOptions {
  list?: boolean;
  x?: string;
  y?: string;
  z?: string[];
  testY?: string;
  testZ?: string[];
  /** Of files, the share that a probe is fitted on; of a run, `test` or `train`. */
  split?: string;
  batch?: number;
  set?: string[];
  /** Of all samples at once instead of a mean over mini-batches. */
  full?: boolean;
  /** Resamples. */
  bootstrap?: number;
  level: number;
  run?: string;
  against?: string;
  epochs?: string;
  stages?: string[];
  samples?: number;
}

/** What was found of so many samples. */
export interface Found {
  readonly rows: readonly Row[];
  /** Those that a probe is scored on; null of a measure that chooses them itself. */
  readonly samples: number | null;
  /** Of a run's images. */
  readonly split?: "test" | "train";
}

/** Samples a mini-batch unless `--batch` says, or a run observed the measure otherwise. */
export const BATCH = 128;

/** A number that was found, with where. */
export interface Row extends Measured {
  /** File or stage. */
  readonly of: string;
  /** Null for files. */
  readonly epoch: number | null;
  /** The same of the other run. */
  readonly against?: Measured;
}

/** What to take and how. */
export interface Task {
  readonly name: string;
  /** Samples a mini-batch. */
  batch: number;
  readonly entry: Measure;
  readonly settings: Record<string, unknown>;
  readonly options: MeasureOptions;
  readonly ticker: Ticker;
}

/** What is measured, and what a probe is fitted on. */
export interface Sources {
  readonly source: Representations;
  readonly training: Representations | null;
}

/**
 * Rows of every representation, with NaN and a remark where the measure refuses one.
 * @throws MeasureError where it refuses all
 */
export function take(task: Task, sources: Sources, breathe: (done: number, total: number) => void): Measured[] {
  const rows = inWordsOfFiles(takeAll(task, sources, breathe), sources);
  const { names } = sources.source;
  const [first] = rows.filter(({ refusal }) => refusal !== undefined);
  if (first && rows.every(({ refusal }) => refusal !== undefined)) {
    const others = names.length === 1 ? "" : `; the other ${names.length - 1} could not be measured either`;
    throw new MeasureError(`${names[first.at]}: ${withoutName(task.name, first.refusal!)}${others}`);
  }
  return rows.map(({ refusal, ...row }) =>
    refusal === undefined ? row : { ...row, remark: withoutName(task.name, refusal) },
  );
}

/** Of a number that is not finite the file says more than the measure: where it is. */
function inWordsOfFiles(rows: readonly Measured[], { source, training }: Sources): Measured[] {
  const faults = new Map<number, string | null>();
  const faultOf = (at: number) => {
    if (!faults.has(at)) faults.set(at, training?.faultOf?.(at) ?? source.faultOf?.(at) ?? null);
    return faults.get(at) ?? null;
  };
  return rows.map((row) => (row.refusal === undefined ? row : { ...row, refusal: faultOf(row.at) ?? row.refusal }));
}

function takeAll(
  { entry, settings, options, name, batch }: Task,
  { source, training }: Sources,
  breathe: (done: number, total: number) => void,
): Measured[] {
  switch (entry.kind) {
    case "pair":
      return options.full
        ? measureFullSetOf(name as FullSetMeasure, settings, source, breathe, "row")
        : measurePairsOf(entry, settings, source, batch, breathe, "row");
    case "probe":
      return measureProbesOf(entry, settings, training!, source, breathe, "row");
    case "sample":
      return measureSamplesOf(entry, settings, source, options.bootstrap !== undefined, breathe, "row");
    case "streamed":
      throw new Error(`${name} is taken by an observer`);
    default:
      return entry satisfies never;
  }
}

/** A refusal less the name of the measure that some begin with: it has been said. */
export function withoutName(name: string, message: string): string {
  return message.startsWith(`${name}: `) ? message.slice(name.length + 2) : message;
}

/** Says how many samples made no whole batch. */
export function noteLeftOut(count: number, batch: number): void {
  const left = count % batch;
  if (left === 0) return;
  note(
    `${left} of ${count} samples ${left === 1 ? "makes" : "make"} no whole batch of ${batch} and ${left === 1 ? "was" : "were"} left out`,
  );
}

export const samplesInWords = (count: number) => (count === 1 ? "1 sample" : `${count} samples`);
