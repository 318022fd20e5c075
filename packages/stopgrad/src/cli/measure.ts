// `stopgrad measure`: a measure on arrays from anywhere, or on the stages of a finished run at chosen epochs.
import { Generator, keep, randperm, scope, type Tensor, tensor } from "@stopgrad/torch";
import { parse } from "yaml";
import type { z } from "zod";
import { type NamedArray, openArray, openArrays, readLabels, readLabelsOfSplits } from "../data/arrays.js";
import { describe, shapeAt, shapeOf } from "../experiment/describe.js";
import {
  differenceOf,
  type IntervalOptions,
  intervalOf,
  type Measured,
  measureFullSetOf,
  measurePairsOf,
  measureProbesOf,
  measureSamplesOf,
} from "../experiment/measured.js";
import { createObserver } from "../experiment/observer.js";
import { ofArrays, type Representations, rowsOf } from "../experiment/representations.js";
import type { ObserveSettings } from "../experiment/run-settings.js";
import { didYouMean } from "../experiment/suggest.js";
import { openTrained, type TrainedNetwork } from "../experiment/trained-network.js";
import { show } from "../experiment/tree.js";
import { type FullSetMeasure, type FullSetOptions, fullSetMeasures, fullSetOptions } from "../measures/full-set.js";
import { type Measure, MeasureError, type MeasureName, measures } from "../measures/index.js";
import { openStore } from "../store/index.js";
import {
  type CommonOptions,
  dataFolders,
  note,
  print,
  printJson,
  runsDirectory,
  UsageError,
  WorkError,
} from "./context.js";
import { startTicker, type Ticker } from "./ticker.js";

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

/** Bootstrap resamples unless `--bootstrap` says. */
const RESAMPLES = 2000;
/** Samples a mini-batch unless `--batch` says. */
const BATCH = 128;
/** Images of a run that are measured unless `--samples` says: as many as an observer takes, 8 batches of 128. */
const SAMPLES = 1024;

const registry: Readonly<Record<string, Measure>> = measures;

/** What was found of so many samples. */
interface Found {
  readonly rows: readonly Row[];
  readonly samples: number;
}

/** A number that was found, with where. */
interface Row extends Measured {
  /** File or stage. */
  readonly of: string;
  /** Null for files. */
  readonly epoch: number | null;
  /** The same of the other run. */
  readonly against?: Measured;
}

/** What to take and how. */
interface Task {
  readonly name: string;
  /** Samples a mini-batch. */
  readonly batch: number;
  readonly entry: Measure;
  readonly settings: Record<string, unknown>;
  readonly options: MeasureOptions;
  readonly ticker: Ticker;
}

export async function measure(name: string | undefined, options: MeasureOptions): Promise<void> {
  if (options.list) {
    list(options);
    return;
  }
  const entry = find(name);
  if (options.full && !Object.hasOwn(fullSetMeasures, name!)) {
    throw new UsageError(`measure: --full is for ${Object.keys(fullSetMeasures).join(", ")}, got ${name}`);
  }
  const taken = options.full ? { options: entry.options.extend(fullSetOptions.shape) } : entry;
  const settings = parseSettings(`measure ${name}`, taken, options.set ?? []);
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

/** A refusal less the name of the measure that some begin with: it has been said. */
function withoutName(name: string, message: string): string {
  return message.startsWith(`${name}: `) ? message.slice(name.length + 2) : message;
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

/** What is measured, and what a probe is fitted on. */
interface Sources {
  readonly source: Representations;
  readonly training: Representations | null;
}

/**
 * Rows of every representation, with NaN and a remark where the measure refuses one.
 * @throws MeasureError where it refuses all
 */
function take(task: Task, sources: Sources, breathe: (done: number, total: number) => void): Measured[] {
  const rows = takeAll(task, sources, breathe);
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

function intervalsOf({ bootstrap, level }: MeasureOptions): IntervalOptions {
  return { level, resamples: bootstrap ?? RESAMPLES };
}

// --- files -----------------------------------------------------------------------------------------------------------

function measureFiles(task: Task): Found {
  const { entry, options, ticker, name, batch } = task;
  const breathe = (done: number, total: number) => ticker.tick(name, done, total);
  const { train, test } = openFiles(entry, options);
  try {
    // What is wrong in the files is said before what they are too short for.
    if (entry.kind === "pair" && train.count < batch) train.visit(() => {});
    const found = take(task, { source: test ?? train, training: test && train }, breathe);
    if (entry.kind === "pair" && !options.full) noteLeftOut(train.count, batch);
    const rows = found.map((row) => ({ ...row, of: train.names[row.at]!, epoch: null }));
    return { rows, samples: train.count };
  } finally {
    test?.dispose();
    train.dispose();
  }
}

/** The arrays that are named, checked against each other; a second source where a probe is to be scored. */
function openFiles(
  { kind }: Measure,
  { x: inputFile, y: labelFile, z: files = [], testZ, testY, split }: MeasureOptions,
): { train: Representations; test: Representations | null } {
  const x = inputFile === undefined ? null : openArray(inputFile);
  if (kind === "probe" && testZ && testY !== undefined) {
    const { train, test } = readLabelsOfSplits(labelFile!, testY);
    const [z, ofTest] = [files.flatMap(openArrays), testZ.flatMap(openArrays)];
    requireAlike(z, ofTest);
    requireSameCount(null, train, z);
    requireSameCount(null, test, ofTest);
    return { train: ofArrays(z, null, train), test: ofArrays(ofTest, null, test) };
  }
  const labels = labelFile === undefined ? null : readLabels(labelFile);
  const z = files.flatMap(openArrays);
  requireSameCount(x, labels, z);
  const source = ofArrays(z, x, labels);
  if (split === undefined) return { train: source, test: null };
  const { train, test } = splitRows(source.count, Number(split));
  return { train: rowsOf(source, train), test: rowsOf(source, test) };
}

/** Drawn from seed 0, so that samples sorted by class are split fairly, and always in the same way. */
function splitRows(count: number, share: number): { train: Tensor; test: Tensor } {
  const size = Math.round(share * count);
  if (size < 2 || count - size < 1) {
    throw new WorkError(`--split ${share} of ${count} samples leaves ${size} to train on and ${count - size} to test`);
  }
  return scope(() => {
    const order = randperm(count, { generator: new Generator(0) }).toNumbers();
    const rows = (chosen: number[]) =>
      keep(
        tensor(
          BigInt64Array.from(
            chosen.sort((a, b) => a - b),
            BigInt,
          ),
        ),
      );
    return { train: rows(order.slice(0, size)), test: rows(order.slice(size)) };
  });
}

function requireSameCount(
  x: NamedArray | null,
  labels: { name: string; labels: Tensor } | null,
  z: readonly NamedArray[],
): void {
  const all = [x, labels && { name: labels.name, tensor: labels.labels }, ...z].filter((array) => array !== null);
  const first = all[0]!;
  for (const { name, tensor } of all) {
    if (tensor.size(0) === first.tensor.size(0)) continue;
    throw new WorkError(
      `${name} holds ${samplesInWords(tensor.size(0))}, ${first.name} holds ${first.tensor.size(0)}; they must be the same samples`,
    );
  }
}

const samplesInWords = (count: number) => (count === 1 ? "1 sample" : `${count} samples`);

/** Training and test representations have to be of the same stages. */
function requireAlike(train: readonly NamedArray[], test: readonly NamedArray[]): void {
  if (train.length !== test.length) {
    throw new UsageError(`measure: expected a --test-z for each --z, got ${train.length} and ${test.length} arrays`);
  }
  for (const [at, { name, tensor }] of train.entries()) {
    const other = test[at]!;
    if (tensor.shape.slice(1).join() === other.tensor.shape.slice(1).join()) continue;
    throw new WorkError(
      `${name} is [${tensor.shape.join(", ")}], ${other.name} is [${other.tensor.shape.join(", ")}]; ` +
        "training and test samples must have the same features",
    );
  }
}

function noteLeftOut(count: number, batch: number): void {
  const left = count % batch;
  if (left === 0) return;
  note(
    `${left} of ${count} samples ${left === 1 ? "makes" : "make"} no whole batch of ${batch} and ${left === 1 ? "was" : "were"} left out`,
  );
}

// --- runs ------------------------------------------------------------------------------------------------------------

async function measureRun(task: Task, run: string): Promise<Found> {
  const { options } = task;
  const store = openStore(runsDirectory(options), { readonly: true });
  const networks: TrainedNetwork[] = [];
  try {
    const open = async (id: string) => {
      const [first] = networks;
      const shared = first ? { imagesOf: first } : {};
      const network = await openTrained(store, runsDirectory(options), id, {
        dataDirs: dataFolders(options),
        ...shared,
      });
      networks.push(network);
      return network;
    };
    const network = await open(run);
    const other = options.against === undefined ? null : await open(options.against);
    return measureNetworks(task, network, other);
  } finally {
    for (const network of networks.reverse()) network.dispose();
    store.close();
  }
}

/** Every epoch of one network; of two, those stages that both have. */
function measureNetworks(task: Task, network: TrainedNetwork, other: TrainedNetwork | null): Found {
  const { options, entry, batch } = task;
  const wanted = options.epochs ?? "last";
  const epochs = network.epochs(wanted);
  const others = other ? (wanted === "last" ? other.epochs("last") : epochs) : [];
  if (other) for (const epoch of others) other.epochs(String(epoch));
  const both = other ? network.stages.filter((stage) => other.stages.includes(stage)) : network.stages;
  if (both.length === 0) {
    throw new WorkError(`runs ${network.id} and ${other!.id} have no stage of the same name`);
  }
  for (const one of [network, other]) one?.stagesAt(options.stages);
  const stages = options.stages ?? both;
  const rows: Row[] = [];
  for (const [at, epoch] of epochs.entries()) {
    network.load(epoch);
    other?.load(others[at]!);
    const found = measureStages(task, network, stages, `${network.id}, epoch ${epoch}`);
    const against = other ? measureStages(task, other, stages, `${other.id}, epoch ${others[at]}`) : null;
    for (const row of found) {
      const same = against?.find(({ of, what }) => of === row.of && what === row.what);
      rows.push({ ...row, epoch, ...(same ? { against: same } : {}) });
    }
  }
  const samples = samplesOf(task, network);
  if (entry.kind === "pair" && !options.full) noteLeftOut(samples, batch);
  return { rows, samples };
}

/** Of a run's images that are measured: what was asked for, or an observer's usual number. */
function samplesOf({ options, entry }: Task, { images }: TrainedNetwork): number {
  const { count } = images[options.split === "train" ? "train" : "test"];
  if (options.samples !== undefined) return options.samples;
  return entry.kind === "probe" ? count : Math.min(SAMPLES, count);
}

function measureStages(task: Task, network: TrainedNetwork, stages: readonly string[], where: string): Row[] {
  const { entry, options, ticker, name } = task;
  const breathe = (done: number, total: number) => ticker.tick(`${name} of ${where}`, done, total);
  if (entry.kind === "streamed") return observed(task, network, stages, where);
  const split = options.split === "train" ? "train" : "test";
  const source = network.representations({ split, stages, samples: samplesOf(task, network) });
  const training = entry.kind === "probe" ? network.representations({ split: "train", stages }) : null;
  try {
    const found = take(task, { source, training }, breathe);
    return found.map((row) => ({ ...row, of: source.names[row.at]!, epoch: network.epoch }));
  } finally {
    training?.dispose();
    source.dispose();
  }
}

/** A measure that is trained while images pass: as a run's observer takes it. */
function observed(task: Task, network: TrainedNetwork, stages: readonly string[], where: string): Row[] {
  const { name, settings, ticker } = task;
  const when = { ...settings, firstEpoch: false } as unknown as ObserveSettings;
  const observer = createObserver(name as MeasureName, when, network.images);
  let steps = 0;
  try {
    const found = observer.observe(network.rule, () => ticker.tick(`${name} of ${where}, batches`, ++steps, 0));
    return found
      .filter(({ stage }) => stages.includes(stage))
      .map(({ stage, key, value, problem }) => {
        if (problem !== null) note(`${stage}, ${key}: ${problem}`);
        const at = stages.indexOf(stage);
        return { at, what: key, value, of: stage, epoch: network.epoch, evidence: { of: "nothing" } };
      });
  } finally {
    observer.dispose();
  }
}

// --- output ----------------------------------------------------------------------------------------------------------

function printRows(task: Task, { rows, samples }: Found): void {
  const { name, entry, settings, options, batch } = task;
  const intervals = intervalsOf(options);
  const results = rows.map((row) => ({ row, document: documentOf(row, entry, intervals) }));
  const batches = batchesIn(rows);
  for (const remark of remarksOf(rows, options)) note(remark);
  const full = options.full ? fullSetOf(settings as FullSetOptions, samples) : null;
  if (options.json) {
    printJson({
      measure: name,
      ...(options.run === undefined ? {} : { run: options.run }),
      ...(options.against === undefined ? {} : { against: options.against }),
      ...(batches === null ? {} : { batch, batches }),
      ...(full === null ? {} : { full }),
      options: settings,
      level: options.level,
      results: results.map(({ document }) => document),
    });
    return;
  }
  print(headingOf(name, full, batches, batch));
  const width = (text: (row: Row) => string) => Math.max(0, ...rows.map((row) => text(row).length));
  const [whatWidth, ofWidth] = [width(({ what }) => what), width(({ of }) => of)];
  let epoch: number | null = null;
  for (const { row, document } of results) {
    if (row.epoch !== null && row.epoch !== epoch) print(`epoch ${Number(row.epoch.toFixed(3))}`);
    epoch = row.epoch;
    const label = `  ${row.what.padEnd(whatWidth)}  ${row.of.padEnd(ofWidth)}`;
    print(`${label}  ${inWords(row, document, options.level)}`);
  }
  if (name === "nhsic" && full && !isExact(full)) print(`  ${belowExact(full, settings)}`);
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

function headingOf(name: string, full: FullSet | null, batches: number | null, batch: number): string {
  if (full) {
    const how = full.rank === undefined ? "exact" : `by ${full.approximation} of rank ${full.rank}`;
    return `${name} of all ${samplesInWords(full.samples)} at once, ${how}`;
  }
  return batches === null ? name : `${name}, mean over ${batches} batches of ${batch}`;
}

/** As it is with every sample as a landmark. */
function isExact({ approximation, rank, samples }: FullSet): boolean {
  return approximation === "exact" || (approximation === "nystrom" && rank === samples);
}

/** The spectrum's tail that an approximation misses counts the more in nHSIC, the smaller its ridge is. */
function belowExact({ rank }: FullSet, { epsilon, kernel }: Record<string, unknown>): string {
  const but = kernel === "linear" ? `; arrays of at most ${rank} features are exact` : "";
  return `an approximation of rank ${rank} is below the exact value, the more so the smaller epsilon is (here ${epsilon})${but}`;
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
  const percent = Number((100 * level).toFixed(2));
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

// --- measures and their options --------------------------------------------------------------------------------------

function list(options: CommonOptions): void {
  const entries = Object.entries(registry).map(([name, { kind, summary, source, options: schema }]) => ({
    name,
    kind,
    summary,
    source,
    options: schema.parse({}),
  }));
  if (options.json) {
    printJson({ measures: entries });
    return;
  }
  for (const { name, summary, source, options: defaults } of entries) {
    print(`${name}: ${summary}`);
    print(`  source: ${source}`);
    for (const [key, value] of Object.entries(defaults)) {
      print(`  --set ${key}=${typeof value === "object" ? JSON.stringify(value) : value} (default)`);
    }
  }
}

function find(name: string | undefined): Measure {
  const known = Object.keys(registry);
  if (name === undefined) throw new UsageError(`measure: expected the name of a measure (known: ${known.join(", ")})`);
  if (!Object.hasOwn(registry, name)) {
    throw new UsageError(`unknown measure: ${name} (known: ${known.join(", ")})${didYouMean(name, known)}`);
  }
  return registry[name]!;
}

/** `distance=plain sigma=5` against the measure's own options. */
export function parseSettings(
  where: string,
  entry: Pick<Measure, "options">,
  given: readonly string[],
): Record<string, unknown> {
  const settings: Record<string, unknown> = {};
  const known = Object.keys(entry.options.shape);
  for (const text of given) {
    const at = text.indexOf("=");
    if (at < 1) throw new UsageError(`${where}: expected option=value, got ${text}`);
    const key = text.slice(0, at);
    if (!known.includes(key)) {
      throw new UsageError(`${where}: unknown option ${key} (known: ${known.join(", ")})${didYouMean(key, known)}`);
    }
    try {
      settings[key] = parse(text.slice(at + 1));
    } catch {
      throw new UsageError(`${where}: ${key}: expected ${expected(entry, key)}, got ${text.slice(at + 1)}`);
    }
  }
  const checked = entry.options.safeParse(settings);
  if (checked.success) return checked.data;
  const issue = (checked.error as z.ZodError).issues[0]!;
  const key = String(issue.path[0]);
  throw new UsageError(`${where}: ${key}: expected ${expected(entry, key)}, got ${show(settings[key])}`);
}

/** What an option may be, in words. */
function expected(entry: Pick<Measure, "options">, option: string): string {
  return describe(shapeAt(shapeOf(entry.options), [option]) ?? {});
}
