// Arrays from anywhere, for measures: NumPy's `.npy`, entries of `.npz`, and tensors of `.safetensors`. They are mapped,
// not read: an array may be larger than memory, and costs what of it is used (entries of a compressed .npz, and arrays in
// the other byte order, are read whole).
//
// An array is named by its file, `layer1.npy`, or by file and entry, `layers.npz:conv1`; a file of several entries by its
// own name means all of them.
import { existsSync } from "node:fs";
import {
  all,
  isfinite,
  keep,
  loadSafetensors,
  npzHeader,
  readNpy,
  readNpz,
  safetensorsHeader,
  scope,
  type Tensor,
  tensor as tensorOf,
} from "@stopgrad/torch";

/** Samples along the first dimension. */
export interface NamedArray {
  /** As it was named; with the entry where one of several was not: `layers.npz:conv1`. */
  readonly name: string;
  /** `[N, …]` of the element type in the file; unsigned ones of the next wider signed type. Never written to. */
  readonly tensor: Tensor;
}

/** Classes of some samples. */
export interface ArrayLabels {
  readonly name: string;
  /** int64 `[N]`, numbered from 0 without gaps, in the order of the labels in the file. */
  readonly labels: Tensor;
  /** K: how many different ones there are. */
  readonly classes: number;
}

/** What a file holds is not what a measure needs. The message names the file, what it holds and what was expected. */
export class ArrayError extends Error {
  override readonly name = "ArrayError";
}

/** Elements that are looked at at a time: 128 MiB of float64. */
const PIECE = 2 ** 24;

/**
 * The arrays that a name means, mapped, in the order of the file.
 * @throws FileFormatError when there is no such file or entry; ArrayError when it holds no samples
 */
export function openArrays(name: string): NamedArray[] {
  return scope(() => {
    const arrays = opened(name);
    for (const { name, tensor } of arrays) {
      if (tensor.dim === 0) {
        throw new ArrayError(`${name} holds a single number; expected samples along the first dimension`);
      }
      if (tensor.numel === 0) {
        throw new ArrayError(
          `${name} is [${tensor.shape.join(", ")}], without numbers; expected samples with features`,
        );
      }
      keep(tensor);
    }
    return arrays;
  });
}

/** The same where one is needed. @throws ArrayError naming the entries where there are several */
export function openArray(name: string): NamedArray {
  const arrays = openArrays(name);
  if (arrays.length === 1) return arrays[0]!;
  for (const { tensor } of arrays) tensor.dispose();
  const names = arrays.map((array) => array.name);
  throw new ArrayError(`${name} holds ${arrays.length} arrays; expected one of ${names.slice(0, 8).join(", ")}`);
}

function opened(name: string): NamedArray[] {
  const { file, entry } = splitName(name);
  const extension = /\.(npz|safetensors)$/i.exec(file)?.[1]?.toLowerCase();
  if (extension === undefined) return [{ name, tensor: readNpy(file, { mapped: true }) }];
  const isNpz = extension === "npz";
  const names = entry === null ? [...(isNpz ? npzHeader(file) : safetensorsHeader(file).tensors).keys()] : [entry];
  if (names.length === 0) throw new ArrayError(`${file} holds no arrays`);
  const tensors = isNpz
    ? readNpz(file, { names, mapped: true })
    : loadSafetensors(file, { names, mapped: true }).tensors;
  const isAlone = entry !== null || names.length === 1;
  return Array.from(tensors.values(), (tensor, at) => ({ name: isAlone ? name : `${file}:${names[at]}`, tensor }));
}

/** `layers.npz:conv1` → file and entry; a file that is called so is meant itself. */
function splitName(name: string): { file: string; entry: string | null } {
  const match = /^(.*?\.(?:npz|safetensors)):(.+)$/i.exec(name);
  if (!match || existsSync(name)) return { file: name, entry: null };
  return { file: match[1]!, entry: match[2]! };
}

/**
 * Classes from whole numbers from 0, `[N]` or `[N, 1]`, or from one-hot rows `[N, K]`; of any numeric type.
 * @throws ArrayError for another shape, a fraction, a number below 0, NaN
 */
export function readLabels(name: string): ArrayLabels {
  return scope(() => {
    const { tensor } = openArray(name);
    try {
      return labelsOf(name, tensor);
    } finally {
      tensor.dispose();
    }
  });
}

/** The same from an array in memory, which stays the caller's. @throws ArrayError as `readLabels` */
export function labelsOf(name: string, tensor: Tensor): ArrayLabels {
  return scope(() => ({ name, ...numbered(classNumbers(name, tensor)) }));
}

/** Classes of two splits, numbered alike. @throws ArrayError when the second has a label that the first lacks */
export function readLabelsOfSplits(train: string, test: string): { train: ArrayLabels; test: ArrayLabels } {
  const opened = [train, test].map((name) => ({ name, tensor: openArray(name).tensor }));
  const [ofTrain, ofTest] = opened as [NamedArray, NamedArray];
  try {
    return labelsOfSplits(ofTrain, ofTest);
  } finally {
    for (const { tensor } of opened) tensor.dispose();
  }
}

/** The same from arrays in memory, which stay the caller's. @throws ArrayError as `readLabelsOfSplits` */
export function labelsOfSplits(train: NamedArray, test: NamedArray): { train: ArrayLabels; test: ArrayLabels } {
  return scope(() => {
    const [ofTrain, ofTest] = [classNumbers(train.name, train.tensor), classNumbers(test.name, test.tensor)];
    const known = new Set(ofTrain);
    const unknown = ofTest.find((value) => !known.has(value));
    if (unknown !== undefined) {
      throw new ArrayError(
        `${test.name} holds the label ${unknown}, which ${train.name} does not; expected the same classes`,
      );
    }
    const both = [...known];
    return {
      train: { name: train.name, ...numbered(ofTrain, both) },
      test: { name: test.name, ...numbered(ofTest, both) },
    };
  });
}

/** A label of each sample, a whole number from 0. */
function classNumbers(name: string, tensor: Tensor): number[] {
  const refuse = () =>
    new ArrayError(`${name} is [${tensor.shape.join(", ")}]; expected labels [N], or one-hot rows [N, K]`);
  if (tensor.dim > 2) throw refuse();
  if (tensor.dim === 2 && tensor.size(1) > 1) {
    return scope(() => {
      const hot = tensor.to("float64");
      const isOneHot = hot.mul(hot).sub(hot).abs().sum().item() === 0 && hot.sum([1]).sub(1).abs().sum().item() === 0;
      if (!isOneHot) throw refuse();
      return hot.argmax(1).toNumbers();
    });
  }
  const values = scope(() => tensor.reshape([-1]).toNumbers());
  const wrong = values.find((value) => !Number.isSafeInteger(value) || value < 0);
  if (wrong === undefined) return values;
  throw new ArrayError(`${name} holds the label ${wrong}; expected whole numbers from 0 (classes)`);
}

/** @param classes - default: those there are */
function numbered(values: readonly number[], classes: readonly number[] = [...new Set(values)]) {
  const numbers = new Map([...classes].sort((a, b) => a - b).map((value, number) => [value, BigInt(number)]));
  return {
    labels: keep(tensorOf(BigInt64Array.from(values, (value) => numbers.get(value)!))),
    classes: classes.length,
  };
}

/**
 * The first number in an array that is not finite, in rows `start` to `end`, and where; null when all are. Looked at in
 * pieces, so that nothing of the array's length is made.
 */
function firstNotFinite(
  { tensor }: NamedArray,
  start = 0,
  end = tensor.size(0),
): { value: number; position: number[] } | null {
  if (!/float/.test(tensor.dtype)) return null;
  const perRow = tensor.numel / tensor.size(0);
  const rows = Math.max(1, Math.floor(PIECE / perRow));
  for (let row = start; row < end; row += rows) {
    const found = scope(() => {
      const piece = tensor.narrow(0, row, Math.min(rows, end - row));
      if (all(isfinite(piece)).item() !== 0) return null;
      const bad = isfinite(piece).reshape([-1]).to("uint8").argmin(0).item();
      const value = piece.reshape([-1]).narrow(0, bad, 1).to("float64").item();
      const [within = 0, ...rest] = positionOf(bad, piece.shape);
      return { value, position: [row + within, ...rest] };
    });
    if (found) return found;
  }
  return null;
}

/** @throws ArrayError naming the first number that is not finite in rows `start` to `end`, and its place */
export function requireFinite(array: NamedArray, start?: number, end?: number): void {
  const found = firstNotFinite(array, start, end);
  if (found === null) return;
  throw new ArrayError(`${array.name} holds ${found.value} at [${found.position.join(", ")}]; expected finite numbers`);
}

/** Where the element number `at` of an array of this shape is. */
function positionOf(at: number, shape: readonly number[]): number[] {
  return shape.map((size, dimension) => {
    const stride = shape.slice(dimension + 1).reduce((product, below) => product * below, 1);
    return Math.floor(at / stride) % size;
  });
}
