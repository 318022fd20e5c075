// Measures for programs: arrays in, numbers with intervals out. What `stopgrad measure` does with files.
import { inspect } from "node:util";
import { keep, scope, Tensor, tensor } from "@stopgrad/torch";
import type { z } from "zod";
import { ArrayError, type ArrayLabels, labelsOf, labelsOfSplits, type NamedArray } from "./data/arrays.js";
import { describe, shapeAt, shapeOf } from "./experiment/describe.js";
import {
  intervalOf,
  type Measured,
  measureFullSetOf,
  measurePairsOf,
  measureProbesOf,
  measureSamplesOf,
} from "./experiment/measured.js";
import { ofArrays } from "./experiment/representations.js";
import { didYouMean } from "./experiment/suggest.js";
import {
  type FullSetMeasure,
  fullSetMeasures,
  fullSetOptions,
  MeasureError,
  type PairMeasure,
  type ProbeMeasure,
  pairMeasures,
  probeMeasures,
  refusedOfFullSet,
  type SampleMeasure,
  sampleMeasures,
} from "./measures/index.js";
import type { Interval } from "./statistics/index.js";

type ArrayMeasure = PairMeasure | ProbeMeasure | SampleMeasure;
const taken = { ...pairMeasures, ...probeMeasures, ...sampleMeasures };

/** Every measure that can be taken of arrays. */
export type ArrayMeasureName = keyof typeof taken;

/** Numbers one after the other. */
export type Numbers =
  | Float64Array
  | Float32Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | readonly number[];

/** Numbers with their shape, samples first: `{ data: new Float32Array(6), shape: [3, 2] }`; without a shape `[N]`. */
export interface PlainArray {
  readonly data: Numbers;
  readonly shape?: readonly number[];
}

/** Numbers alone are `[N]`: one of each sample. */
export type ArrayInput = Tensor | PlainArray | Numbers;
/** Whole numbers from 0 `[N]`, or one-hot rows `[N, K]`. */
export type LabelInput = ArrayInput;
/** One representation, or a list of them. A list of numbers is one, `[N]`. */
export type RepresentationInput = ArrayInput | readonly ArrayInput[];

export interface MeasuredArrays {
  /** The input, `[N, …]`. */
  readonly x?: ArrayInput | null;
  readonly y?: LabelInput | null;
  /** Representations of the same samples, each `[N, …]`. */
  readonly z: RepresentationInput;
  /** For a probe: the same representations of the samples it is scored on, and their labels, classes of `y`. */
  readonly test?: { readonly y: LabelInput; readonly z: RepresentationInput } | null;
}

export interface TakeMeasureOptions {
  /** Of the measure: `{ sigma: 2 }`; of a full-set estimate its `rank` and the like too. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Samples a mini-batch of `nhsic`, `hsic` and `cka`; the incomplete last one is dropped. Default 128. */
  readonly batch?: number;
  /** `nhsic`, `hsic` and `cka` of all samples at once. Default false. */
  readonly full?: boolean;
  /** Confidence of the intervals, in (0, 1). Default 0.95. */
  readonly level?: number;
  /** Resamples of the intervals. Default 2000, at least 100. */
  readonly resamples?: number;
  /** Intervals by subsamples for numbers that are no mean, too: each costs a hundred measures of half the samples. */
  readonly subsample?: boolean;
}

export interface TakenMeasure {
  /** Position among `z`; 0 of a single one. */
  readonly index: number;
  /** `x,z` and `y,z`; of a probe `train` and `test`; else what the measure calls it: `effectiveRank`. */
  readonly key: string;
  /** NaN where it is undefined. */
  readonly value: number;
  /** Null where there is nothing to make it of. */
  readonly interval: Interval | null;
}

/**
 * A measure of representations in memory. What is given is looked at first, and stays the caller's.
 *
 * @example
 * const z = { data: Float32Array.from([0, 1, 2, 3]), shape: [4, 1] };
 * const [xz, yz] = takeMeasure("nhsic", { x: { data: [0, 0, 1, 0, 0, 1, 1, 1], shape: [4, 2] }, y: [0, 0, 1, 1], z: [z] }, { batch: 4 });
 * xz?.value; // 2.0231725165769
 *
 * @throws MeasureError for an unknown measure or option, what is no array of numbers, arrays of different length, NaN, and
 * what the measure refuses
 */
export function takeMeasure(
  name: ArrayMeasureName,
  arrays: MeasuredArrays,
  settings: TakeMeasureOptions = {},
): TakenMeasure[] {
  try {
    return take(name, arrays, settings);
  } catch (error) {
    if (error instanceof ArrayError) throw new MeasureError(error.message, { cause: error });
    throw error;
  }
}

function take(name: ArrayMeasureName, arrays: MeasuredArrays, given: TakeMeasureOptions): TakenMeasure[] {
  if (!Object.hasOwn(taken, name)) {
    const known = Object.keys(taken);
    throw new MeasureError(
      `expected one of ${known.join(", ")}, got ${inWords(name)}${didYouMean(String(name), known)}`,
    );
  }
  const entry: ArrayMeasure = taken[name];
  const { batch, full, level, resamples, subsample, options } = checkSettings(name, given);
  requireMap("arrays", arrays, ["x", "y", "z", "test"]);
  requireNeeded(name, entry, options, arrays);
  const { source, test } = openAll(arrays, entry.kind === "probe");
  try {
    const found = (): Measured[] => {
      if (full) return measureFullSetOf(name as FullSetMeasure, options, source);
      if (entry.kind === "pair") return measurePairsOf(entry, options, source, batch);
      if (entry.kind === "sample") return measureSamplesOf(entry, options, source, subsample);
      return measureProbesOf(entry, options, source, test!);
    };
    return found().map((row) => ({
      index: row.at,
      key: row.what,
      value: row.value,
      interval: intervalOf(row, { level, resamples }),
    }));
  } finally {
    test?.dispose();
    source.dispose();
  }
}

// --- settings --------------------------------------------------------------------------------------------------------

/** With the defaults filled in, and the measure's options checked. */
function checkSettings(name: ArrayMeasureName, given: TakeMeasureOptions) {
  requireMap("settings", given, ["options", "batch", "full", "level", "resamples", "subsample"]);
  const { options = {}, batch = 128, full = false, level = 0.95, resamples = 2000, subsample = false } = given;
  const require = (holds: boolean, key: keyof TakeMeasureOptions, expected: string) => {
    if (!holds) throw new MeasureError(`${key}: expected ${expected}, got ${inWords(given[key])}`);
  };
  require(Number.isSafeInteger(batch) && batch > 0, "batch", "a positive whole number of samples");
  require(typeof full === "boolean", "full", "true or false");
  require(typeof subsample === "boolean", "subsample", "true or false");
  require(level > 0 && level < 1, "level", "a share in (0, 1), as in 0.95");
  require(Number.isSafeInteger(resamples) && resamples >= 100, "resamples", "a whole number, at least 100");
  if (full && !Object.hasOwn(fullSetMeasures, name)) {
    throw new MeasureError(`full is for ${Object.keys(fullSetMeasures).join(", ")}, got ${name}`);
  }
  const measure: ArrayMeasure = taken[name];
  const schema = full ? measure.options.extend(fullSetOptions.shape) : measure.options;
  const checked = checkOptions(name, schema, options);
  const refused = full
    ? refusedOfFullSet(name as FullSetMeasure, checked)
    : measure.refused?.(checked, { images: null, dimensions: null });
  if (refused) throw new MeasureError(`${name}: ${refused.option}: ${refused.message}`);
  return { batch, full, level, resamples, subsample, options: checked };
}

function checkOptions(name: string, schema: z.ZodObject, given: Readonly<Record<string, unknown>>) {
  requireMap(`${name}: options`, given);
  const known = Object.keys(schema.shape);
  const unknown = Object.keys(given).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    throw new MeasureError(
      `${name}: unknown option ${unknown} (known: ${known.join(", ")})${didYouMean(unknown, known)}`,
    );
  }
  const checked = schema.safeParse(given);
  if (checked.success) return checked.data as Record<string, unknown>;
  const key = String(checked.error.issues[0]!.path[0]);
  const expected = describe(shapeAt(shapeOf(schema), [key]) ?? {});
  throw new MeasureError(`${name}: ${key}: expected ${expected}, got ${inWords(given[key])}`);
}

/** @param known - its keys; default: any */
function requireMap(what: string, given: unknown, known?: readonly string[]): void {
  const isMap = typeof given === "object" && given !== null && !Array.isArray(given) && !ArrayBuffer.isView(given);
  if (!isMap || given instanceof Tensor) {
    const keys = known ? `{ ${known.join(", ")} }` : "{ option: value }";
    throw new MeasureError(`${what}: expected ${keys}, got ${inWords(given)}`);
  }
  const unknown = known && Object.keys(given).find((key) => !known.includes(key));
  if (unknown === undefined) return;
  throw new MeasureError(`${what}: unknown key ${unknown} (known: ${known!.join(", ")})${didYouMean(unknown, known!)}`);
}

/** What a measure cannot do without, in the words of this function. */
function requireNeeded(
  name: string,
  entry: ArrayMeasure,
  { pairs }: Readonly<Record<string, unknown>>,
  { x, y, test }: MeasuredArrays,
): void {
  const require = (holds: boolean, expected: string) => {
    if (!holds) throw new MeasureError(`${name}: expected ${expected}, got none`);
  };
  const needs = entry.kind === "sample" ? entry.needs : entry.kind === "probe" ? ["labels"] : [];
  require(isGiven(x) || !(needs.includes("x") || pairs === "input"), "the input of the samples (x)");
  require(isGiven(y) || !(needs.includes("labels") || pairs === "labels"), "labels of the samples (y)");
  if (entry.kind === "pair" || pairs === "both") require(isGiven(x) || isGiven(y), "an input (x), labels (y) or both");
  if (entry.kind !== "probe") return;
  require(isGiven(test), "samples to score it on (test: { y, z })");
  requireMap("test", test, ["y", "z"]);
  require(isGiven(test!.y), "labels of the test samples (test.y)");
}

// --- arrays ----------------------------------------------------------------------------------------------------------

/** Arrays as what measures are taken of; they are looked at for numbers that are not finite when they are read. */
function openAll({ x, y, z, test }: MeasuredArrays, scored: boolean) {
  return scope(() => {
    const input = isGiven(x) ? samplesOf("x", x) : null;
    const representations = listOf("z", z);
    const given = isGiven(y) ? { name: "y", tensor: asTensor("y", y) } : null;
    requireSameCount([...representations, input, given]);
    if (!scored) {
      const labels = given && labelsOf(given.name, given.tensor);
      return { source: kept(representations, input, labels), test: null };
    }
    const ofTest = listOf("test.z", test!.z);
    const givenOfTest = { name: "test.y", tensor: asTensor("test.y", test!.y) };
    requireSameCount([...ofTest, givenOfTest]);
    requireAlike(representations, ofTest);
    const labels = labelsOfSplits(given!, givenOfTest);
    return { source: kept(representations, input, labels.train), test: kept(ofTest, null, labels.test) };
  });
}

function kept(z: readonly NamedArray[], x: NamedArray | null, labels: ArrayLabels | null) {
  for (const { tensor } of x ? [x, ...z] : z) keep(tensor);
  return ofArrays(z, x, labels);
}

/** Whether they are the same samples as the first one's. */
function requireSameCount([first, ...others]: readonly (NamedArray | null)[]): void {
  const count = first!.tensor.size(0);
  for (const other of others) {
    if (!other || other.tensor.dim === 0 || other.tensor.size(0) === count) continue; // a number is no label, as is said later
    throw new MeasureError(
      `${other.name} holds ${other.tensor.size(0)} samples, ${first!.name} holds ${count}; they must be the same samples`,
    );
  }
}

/** Whether test representations are those of the training samples. */
function requireAlike(train: readonly NamedArray[], test: readonly NamedArray[]): void {
  if (train.length !== test.length) {
    throw new MeasureError(`expected a test.z for each z, got ${train.length} and ${test.length} representations`);
  }
  for (const [at, { name, tensor }] of train.entries()) {
    const other = test[at]!;
    if (tensor.shape.slice(1).join() === other.tensor.shape.slice(1).join()) continue;
    throw new MeasureError(
      `${name} is [${tensor.shape.join(", ")}], ${other.name} is [${other.tensor.shape.join(", ")}]; ` +
        "training and test samples must have the same features",
    );
  }
}

/** Representations, named by their place where they are a list. */
function listOf(name: string, given: RepresentationInput): NamedArray[] {
  if (!isGiven(given) || (Array.isArray(given) && given.length === 0)) {
    throw new MeasureError(`expected representations (${name}: [...]), got none`);
  }
  if (!Array.isArray(given) || isPlain(given[0])) return [samplesOf(name, given as ArrayInput)];
  return (given as readonly ArrayInput[]).map((array, at) => samplesOf(`${name}[${at}]`, array));
}

/** An array of its own, which may be freed. */
function samplesOf(name: string, array: ArrayInput): NamedArray {
  const made = asTensor(name, array);
  if (made.dim === 0) throw new MeasureError(`${name} is a single number; expected samples along the first dimension`);
  if (made.numel === 0) {
    throw new MeasureError(`${name} is [${made.shape.join(", ")}], without numbers; expected samples with features`);
  }
  return { name, tensor: made === array ? made.view(made.shape) : made };
}

function asTensor(name: string, array: ArrayInput): Tensor {
  if (array instanceof Tensor) return array;
  const isMap = typeof array === "object" && array !== null && "data" in array;
  const { data, shape = null } = isMap ? array : { data: array };
  const numbers = asNumbers(name, data);
  if (shape === null) return tensor(numbers);
  if (!Array.isArray(shape) || !shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
    throw new MeasureError(`${name}: expected a shape of whole numbers, as in [3, 2], got ${inWords(shape)}`);
  }
  const expected = shape.reduce((product, size) => product * size, 1);
  if (expected === numbers.length) return tensor(numbers, { shape });
  throw new MeasureError(`${name}: a shape of [${shape.join(", ")}] has ${expected} numbers, got ${numbers.length}`);
}

/** Of a type that tensors have: the next wider one where there is none. */
function asNumbers(name: string, data: unknown) {
  if (Array.isArray(data)) {
    const wrong = data.findIndex((value) => typeof value !== "number");
    if (wrong < 0) return Float64Array.from(data as number[]);
    throw new MeasureError(`${name}: expected numbers, got ${inWords(data[wrong])} at [${wrong}]`);
  }
  if (data instanceof BigUint64Array || data instanceof Uint32Array || data instanceof Uint16Array) {
    return Float64Array.from<number | bigint>(data, Number);
  }
  const isSupported =
    data instanceof Float64Array ||
    data instanceof Float32Array ||
    data instanceof BigInt64Array ||
    data instanceof Int32Array ||
    data instanceof Int16Array ||
    data instanceof Int8Array ||
    data instanceof Uint8Array ||
    data instanceof Uint8ClampedArray;
  if (isSupported) return data;
  throw new MeasureError(
    `${name}: expected numbers, as a tensor, a typed array or { data, shape }, got ${inWords(data)}`,
  );
}

function isGiven<T>(value: T | null | undefined): value is T {
  return value !== undefined && value !== null;
}

/** Whether this is an element, and no array. */
function isPlain(value: unknown): boolean {
  return typeof value !== "object" || value === null;
}

/** A value as it would be written in a program, cut to what a line holds. */
function inWords(value: unknown): string {
  if (value instanceof Tensor) return "a tensor";
  if (value === undefined) return "nothing";
  const text =
    typeof value === "string"
      ? JSON.stringify(value)
      : inspect(value, { depth: 1, breakLength: Infinity, maxArrayLength: 5, maxStringLength: 40 });
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
