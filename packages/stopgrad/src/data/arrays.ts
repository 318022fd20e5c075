// Arrays from anywhere, for measures: NumPy's `.npy`, entries of `.npz`, tensors of `.safetensors`, and those of what
// `torch.save` wrote (`.pt`, `.pth`: a tensor, or those of a dict, list or tuple; no code in it is run). They are mapped, not
// read: an array may be larger than memory, and costs what of it is used (entries of a compressed .npz, and arrays in the
// other byte order, are read whole).
//
// An array is named by its file, `layer1.npy`, or by file and entry, `layers.npz:conv1`, of a list by its place,
// `layers.pt:0`; a file of several entries by its own name means all of them.
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import {
  all,
  type CheckpointValue,
  isfinite,
  keep,
  loadCheckpoint,
  loadSafetensors,
  npzHeader,
  readNpy,
  readNpz,
  safetensorsHeader,
  scope,
  Tensor,
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
  return openOthers(name, []);
}

/**
 * The same without those that are used otherwise, such as the labels in an archive of everything. What names one array is
 * meant, whatever else it is.
 * @param others - names of other arrays
 * @throws ArrayError also where nothing is left
 */
export function openOthers(name: string, others: readonly string[]): NamedArray[] {
  return scope(() => {
    const arrays = opened(name, others);
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

function opened(name: string, others: readonly string[]): NamedArray[] {
  const { file, entry } = splitName(name);
  const archive = archiveOf(file);
  if (archive === null) return [{ name, tensor: readNpy(file, { mapped: true }) }];
  if (entry !== null) return [{ name, tensor: archive.read([entry])[0]! }];
  const all = archive.names();
  if (all.length === 0) throw new ArrayError(`${file} holds no arrays`);
  if (all.length === 1) return [{ name, tensor: archive.read(all)[0]! }];
  const used = entriesOf(file, others);
  const names = all.filter((one) => !used.includes(one));
  if (names.length === 0) throw new ArrayError(`${file} holds nothing but ${all.join(", ")}, which are used otherwise`);
  const tensors = archive.read(names);
  return names.map((one, at) => ({ name: `${file}:${one}`, tensor: tensors[at]! }));
}

/** Which entries of a file other names mean. */
function entriesOf(file: string, others: readonly string[]): string[] {
  return others.flatMap((other) => {
    const { file: its, entry } = splitName(other);
    if (entry === null || resolve(its) !== resolve(file)) return [];
    return /\.npz$/i.test(file) ? [entry, entry.replace(/\.npy$/, "")] : [entry];
  });
}

/** A file of several arrays. */
interface Archive {
  names(): string[];
  /** @throws FileFormatError or ArrayError for a name that is not there */
  read(names: readonly string[]): Tensor[];
}

/** By the ending of the name; null where it is that of no archive. */
function archiveOf(file: string): Archive | null {
  switch (/\.(npz|safetensors|pth?)$/i.exec(file)?.[1]?.toLowerCase()) {
    case undefined:
      return null;
    case "npz":
      return {
        names: () => [...npzHeader(file).keys()],
        read: (names) => [...readNpz(file, { names, mapped: true }).values()],
      };
    case "safetensors":
      return {
        names: () => [...safetensorsHeader(file).tensors.keys()],
        read: (names) => [...loadSafetensors(file, { names, mapped: true }).tensors.values()],
      };
    default:
      return checkpointArchive(file);
  }
}

/** What `torch.save` wrote: its tensors without their history. A tensor alone is called by the file's name. */
function checkpointArchive(file: string): Archive {
  const tensors = tensorsIn(file, loadCheckpoint(file, { mapped: true }));
  return {
    names: () => [...tensors.keys()],
    read: (names) =>
      names.map((name) => {
        const found = tensors.get(name);
        if (found) return found.detach();
        const there = [...tensors.keys()].slice(0, 8).join(", ");
        throw new ArrayError(`${file}: there is no tensor ${JSON.stringify(name)}; it has ${there}`);
      }),
  };
}

/** What else is there, such as the number of an epoch, is left out. @throws ArrayError where there are none */
function tensorsIn(file: string, value: CheckpointValue): Map<string, Tensor> {
  if (value instanceof Tensor) return new Map([["0", value]]);
  const entries: [unknown, unknown][] =
    value instanceof Map ? [...value] : Array.isArray(value) ? [...value.entries()] : [];
  const tensors = entries.filter((entry): entry is [unknown, Tensor] => entry[1] instanceof Tensor);
  if (tensors.length === 0) {
    throw new ArrayError(
      `${file}: expected a tensor, or a dict, list or tuple with tensors, as by torch.save({"conv1": z}, file); found none`,
    );
  }
  return new Map(tensors.map(([key, tensor]) => [String(key), tensor]));
}

/** `layers.npz:conv1` → file and entry; a file that is called so is meant itself. */
function splitName(name: string): { file: string; entry: string | null } {
  const match = /^(.*?\.(?:npz|safetensors|pth?)):(.+)$/i.exec(name);
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
      const amiss = hot
        .mul(hot)
        .ne(hot)
        .any(1)
        .logicalOr(hot.sum([1]).ne(1))
        .toNumbers(); // of each row
      const row = amiss.findIndex((wrong) => wrong !== 0);
      if (row < 0) return hot.argmax(1).toNumbers();
      const numbers = hot.select(0, row).toNumbers();
      const shown = numbers.length > 8 ? `${numbers.slice(0, 8).join(", ")}, ...` : numbers.join(", ");
      throw new ArrayError(
        `${name}: row ${row} is [${shown}]; expected one-hot rows, a single 1 and else 0, or labels [N]`,
      );
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
  const fault = faultOf(array, start, end);
  if (fault !== null) throw new ArrayError(`${array.name} ${fault}`);
}

/** `holds NaN at [7, 3]; expected finite numbers`; null where all are finite. */
export function faultOf(array: NamedArray, start?: number, end?: number): string | null {
  const found = firstNotFinite(array, start, end);
  return found && `holds ${found.value} at [${found.position.join(", ")}]; expected finite numbers`;
}

/** Where the element number `at` of an array of this shape is. */
function positionOf(at: number, shape: readonly number[]): number[] {
  return shape.map((size, dimension) => {
    const stride = shape.slice(dimension + 1).reduce((product, below) => product * below, 1);
    return Math.floor(at / stride) % size;
  });
}
