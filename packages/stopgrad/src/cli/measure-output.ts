// What `stopgrad measure` prints of what it found: lines for people, or a document.
import { differenceOf, type IntervalOptions, intervalOf } from "../experiment/measured.js";
import type { FullSetOptions } from "../measures/full-set.js";
import type { Measure } from "../measures/index.js";
import { note, print, printJson } from "./context.js";
import { type Found, type MeasureOptions, type Row, samplesInWords, type Task } from "./measure-task.js";

/** Bootstrap resamples unless `--bootstrap` says. */
const RESAMPLES = 2000;

export function printRows(task: Task, found: Found): void {
  const { rows, samples, split } = found;
  const { name, entry, settings, options, batch } = task;
  const intervals = intervalsOf(options);
  const results = rows.map((row) => ({ row, document: documentOf(row, entry, intervals) }));
  const batches = batchesIn(rows);
  for (const remark of remarksOf(rows, options)) note(remark);
  const full = options.full ? fullSetOf(settings as FullSetOptions, samples!) : null;
  if (options.json) {
    printJson({
      measure: name,
      ...(options.run === undefined ? {} : { run: options.run }),
      ...(options.against === undefined ? {} : { against: options.against }),
      ...(samples === null ? {} : { samples: batches === null ? samples : batch * batches }),
      ...(split === undefined ? {} : { split }),
      ...(batches === null ? {} : { batch, batches }),
      ...(full === null ? {} : { full }),
      options: settings,
      level: options.level,
      results: results.map(({ document }) => document),
    });
    return;
  }
  print(headingOf(task, full, batches, found));
  const width = (text: (row: Row) => string) => Math.max(0, ...rows.map((row) => text(row).length));
  const [whatWidth, ofWidth] = [width(({ what }) => what), width(({ of }) => of)];
  let epoch: number | null = null;
  for (const { row, document } of results) {
    if (row.epoch !== null && row.epoch !== epoch) print(`epoch ${Number(row.epoch.toFixed(3))}`);
    epoch = row.epoch;
    const label = `  ${row.what.padEnd(whatWidth)}  ${row.of.padEnd(ofWidth)}`;
    print(`${label}  ${inWords(row, document, options.level)}`);
  }
  if (name === "nhsic" && full && !isExact(full)) print(`  ${offExact(full, settings)}`);
  if (entry.kind === "sample" && rows.some(lacksInterval)) note(HOW_TO_HAVE_INTERVALS);
}

/** What is no mean has an interval only where it is asked for: it costs a hundred measures of half the samples. */
const HOW_TO_HAVE_INTERVALS =
  "numbers without an interval are no means over samples; --bootstrap 2000 gives them one by measuring 100 halves of the samples";

function lacksInterval({ value, evidence }: Row): boolean {
  return evidence.of === "nothing" && Number.isFinite(value);
}

/** What is said of some rows, each once: where two runs are compared, with the run. */
function remarksOf(rows: readonly Row[], { against }: MeasureOptions): Set<string> {
  return new Set(
    rows.flatMap(({ of, remark, against: other }) => [
      ...(remark ? [`${of}: ${remark}`] : []),
      ...(other?.remark ? [`${of} of ${against}: ${other.remark}`] : []),
    ]),
  );
}

/** How a value of all samples at once was had. */
interface FullSet {
  readonly samples: number;
  readonly approximation: FullSetOptions["approximation"];
  /** Landmarks or random features; absent where the value is exact. */
  readonly rank?: number;
}

/** With as many landmarks as were taken: no more than samples. */
function fullSetOf({ approximation, rank }: FullSetOptions, samples: number): FullSet {
  if (approximation === "exact") return { samples, approximation };
  return { samples, approximation, rank: approximation === "nystrom" ? Math.min(rank, samples) : rank };
}

function headingOf(
  { name, entry, batch }: Task,
  full: FullSet | null,
  batches: number | null,
  { samples, split }: Found,
): string {
  if (full) {
    const how = full.rank === undefined ? "exact" : `by ${full.approximation} of rank ${full.rank}`;
    return `${name} of all ${samplesInWords(full.samples)} at once, ${how}`;
  }
  const images = split === undefined ? "" : ` ${split} images`;
  if (batches !== null) return `${name}, mean over ${batches} batches of ${batch}${images}`;
  if (samples === null) return name;
  const of = entry.kind === "probe" ? ", scored on" : " of";
  return `${name}${of} ${split === undefined ? samplesInWords(samples) : `${samples}${images}`}`;
}

/** As it is with every sample as a landmark. */
function isExact({ approximation, rank, samples }: FullSet): boolean {
  return approximation === "exact" || (approximation === "nystrom" && rank === samples);
}

/** The spectrum's tail that an approximation misses counts the more in nHSIC, the smaller its ridge is. */
function offExact({ rank, approximation }: FullSet, { epsilon, kernel }: Record<string, unknown>): string {
  const but = kernel === "linear" ? `; arrays of at most ${rank} features are exact` : "";
  const side =
    approximation === "nystrom" ? "is below the exact value" : "is mostly below the exact value, and can be above";
  return `an approximation of rank ${rank} ${side}, far off where epsilon is small (here ${epsilon})${but}`;
}

interface Document {
  readonly value: number;
  readonly standardError?: number | null;
  readonly interval: readonly [number, number] | null;
  readonly against?: number;
  readonly difference?: number;
  readonly differenceInterval?: readonly [number, number] | null;
  /** What is to be said of it, such as why there is no value. */
  readonly remark?: string;
}

/** A row as `--json` prints it. */
function documentOf(row: Row, { kind }: Measure, intervals: IntervalOptions): Document {
  const { what, value, standardError, epoch, of, against } = row;
  const difference = against && differenceOf(row, against, intervals);
  return {
    ...(epoch === null ? {} : { epoch, stage: of }),
    [kind === "pair" ? "pair" : "key"]: what,
    ...(epoch === null ? { file: of } : {}),
    value,
    ...(standardError === undefined ? {} : { standardError }),
    interval: intervalOf(row, intervals),
    ...(difference
      ? {
          against: against.value,
          difference: difference.difference,
          differenceInterval: difference.interval,
        }
      : {}),
    ...(row.remark === undefined ? {} : { remark: row.remark }),
  };
}

/** `5.7088178 ± 0.18 (standard error), 95 % [5.3496120, 6.0680236]; against 5.2000000: +0.5088, 95 % [0.1234, 0.9012]`. */
function inWords({ value }: Row, document: Document, level: number): string {
  const percent = Number((100 * level).toPrecision(9));
  const range = (interval: readonly [number, number], digits: number) =>
    `[${interval.map((end) => end.toPrecision(digits)).join(", ")}]`;
  const inDigits = (found: number, digits: number) =>
    Number.isFinite(found) ? found.toPrecision(digits) : "undefined";
  const spread = document.standardError == null ? "" : ` ± ${document.standardError.toPrecision(2)} (standard error)`;
  const interval = document.interval ? `, ${percent} % ${range(document.interval, 8)}` : "";
  const number = inDigits(value, 8);
  if (document.difference === undefined) return `${number}${spread}${interval}`;
  const sign = document.difference > 0 ? "+" : "";
  const apart = document.differenceInterval ? `, ${percent} % ${range(document.differenceInterval, 4)}` : "";
  return `${number}${interval}; against ${inDigits(document.against!, 8)}: ${sign}${inDigits(document.difference, 4)}${apart}`;
}

/** Batches that the values are means over; null where they are none. */
function batchesIn(rows: readonly Row[]): number | null {
  for (const { evidence } of rows) if (evidence.of === "batches") return evidence.batches;
  return null;
}

function intervalsOf({ bootstrap, level }: MeasureOptions): IntervalOptions {
  return { level, resamples: bootstrap ?? RESAMPLES };
}
