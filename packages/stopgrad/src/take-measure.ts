// Measures for programs: arrays in, numbers with intervals out. What `stopgrad measure` does with files.
import { keep, scope, Tensor, tensor } from "@stopgrad/torch";
import { labelsOf, type NamedArray } from "./data/arrays.js";
import {
  intervalOf,
  type Measured,
  measureFullSetOf,
  measurePairsOf,
  measureProbesOf,
  measureSamplesOf,
} from "./experiment/measured.js";
import { ofArrays, type Representations } from "./experiment/representations.js";
import {
  type FullSetMeasure,
  fullSetMeasures,
  fullSetOptions,
  MeasureError,
  pairMeasures,
  probeMeasures,
  sampleMeasures,
} from "./measures/index.js";
import type { Interval } from "./statistics/index.js";

const taken = { ...pairMeasures, ...probeMeasures, ...sampleMeasures };

/** Every measure that can be taken of arrays. */
export type ArrayMeasureName = keyof typeof taken;

/** Numbers with their shape, samples first: `{ data: new Float32Array(6), shape: [3, 2] }`; without a shape `[N]`. */
export interface PlainArray {
  readonly data: Float32Array | Float64Array | Int32Array | Int16Array | Int8Array | Uint8Array | readonly number[];
  readonly shape?: readonly number[];
}

export type ArrayInput = Tensor | PlainArray;
/** Whole numbers from 0 `[N]`, or one-hot rows `[N, K]`. */
export type LabelInput = ArrayInput | ArrayLike<number>;

export interface MeasuredArrays {
  /** The input, `[N, …]`. */
  readonly x?: ArrayInput;
  readonly y?: LabelInput;
  /** Representations of the same samples, each `[N, …]`. */
  readonly z: readonly ArrayInput[];
  /** For a probe: the same representations of the samples it is scored on, and their labels. */
  readonly test?: { readonly y: LabelInput; readonly z: readonly ArrayInput[] };
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
  /** Position among `z`. */
  readonly index: number;
  /** `x,z` and `y,z`; of a probe `train` and `test`; else what the measure calls it: `effectiveRank`. */
  readonly key: string;
  /** NaN where it is undefined. */
  readonly value: number;
  /** Null where there is nothing to make it of. */
  readonly interval: Interval | null;
}

/**
 * A measure of representations in memory.
 *
 * @example
 * const z = { data: Float32Array.from([0, 1, 2, 3]), shape: [4, 1] };
 * const [xz, yz] = takeMeasure("nhsic", { x: { data: [0, 0, 1, 0, 0, 1, 1, 1], shape: [4, 2] }, y: [0, 0, 1, 1], z: [z] }, { batch: 4 });
 * xz?.value; // 2.0231725165769
 *
 * @throws MeasureError for an unknown measure or option, arrays of different length, NaN, and what the measure refuses
 */
export function takeMeasure(
  name: ArrayMeasureName,
  arrays: MeasuredArrays,
  {
    options = {},
    batch = 128,
    full = false,
    level = 0.95,
    resamples = 2000,
    subsample = false,
  }: TakeMeasureOptions = {},
): TakenMeasure[] {
  if (!Object.hasOwn(taken, name)) {
    throw new MeasureError(`expected one of ${Object.keys(taken).join(", ")}, got ${name}`);
  }
  if (full && !Object.hasOwn(fullSetMeasures, name)) {
    throw new MeasureError(`full is for ${Object.keys(fullSetMeasures).join(", ")}, got ${name}`);
  }
  const entry = taken[name];
  const schema = full ? entry.options.extend(fullSetOptions.shape) : entry.options;
  const checked = schema.safeParse(options);
  if (!checked.success) {
    const { path, message } = checked.error.issues[0]!;
    throw new MeasureError(`${name}: ${[...path.map(String), message].join(": ")}`);
  }
  const settings = checked.data as Record<string, unknown>;
  const source = open(arrays.x ?? null, arrays.y ?? null, arrays.z);
  try {
    const found = (): Measured[] => {
      if (full) return measureFullSetOf(name as FullSetMeasure, settings, source);
      if (entry.kind === "pair") return measurePairsOf(entry, settings, source, batch);
      if (entry.kind === "sample") return measureSamplesOf(entry, settings, source, subsample);
      if (!arrays.test) throw new MeasureError(`${name}: expected samples to score it on (test: { y, z }), got none`);
      const test = open(null, arrays.test.y, arrays.test.z);
      try {
        return measureProbesOf(entry, settings, source, test);
      } finally {
        test.dispose();
      }
    };
    return found().map((row) => ({
      index: row.at,
      key: row.what,
      value: row.value,
      interval: intervalOf(row, { level, resamples }),
    }));
  } finally {
    source.dispose();
  }
}

/** Arrays as what measures are taken of; they are looked at for numbers that are not finite when they are read. */
function open(x: ArrayInput | null, y: LabelInput | null, z: readonly ArrayInput[]): Representations {
  if (z.length === 0) throw new MeasureError("expected representations (z: [...]), got none");
  return scope(() => {
    const input = x && named("x", x);
    const representations = z.map((array, at) => named(`z[${at}]`, array));
    const count = representations[0]!.tensor.size(0);
    const requireCount = ({ name, tensor: one }: NamedArray) => {
      if (one.size(0) === count) return;
      throw new MeasureError(
        `${name} holds ${one.size(0)} samples, z[0] holds ${count}; they must be the same samples`,
      );
    };
    for (const one of [input, ...representations]) if (one) requireCount(one);
    const given = y && asTensor("y", "length" in y ? { data: Array.from(y) } : y);
    if (given && given.dim > 0) requireCount({ name: "y", tensor: given });
    const labels = given && labelsOf("y", given);
    for (const one of [input, ...representations]) if (one) keep(one.tensor);
    return ofArrays(representations, input, labels);
  });
}

/** An array of its own, which may be freed. */
function named(name: string, array: ArrayInput): NamedArray {
  const made = asTensor(name, array);
  if (made.dim === 0) throw new MeasureError(`${name} is a single number; expected samples along the first dimension`);
  return { name, tensor: made === array ? made.view(made.shape) : made };
}

function asTensor(name: string, array: ArrayInput): Tensor {
  if (array instanceof Tensor) return array;
  const { data, shape = [data.length] } = array;
  const expected = shape.reduce((product, size) => product * size, 1);
  if (expected !== data.length) {
    throw new MeasureError(`${name}: a shape of [${shape.join(", ")}] has ${expected} numbers, got ${data.length}`);
  }
  return tensor(ArrayBuffer.isView(data) ? data : Float64Array.from(data), { shape });
}
