// Each stage's output on disk, a file a stage, for any other program: batch by batch, so that none has to fit into memory.
// A file appears under its name only when all of them are whole; until then they are temporary files in the same folder,
// which a process that is killed leaves behind under names that begin with a dot and end with `.tmp`.
import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, renameSync, rmSync, statfsSync, statSync, writeSync } from "node:fs";
import { basename, join } from "node:path";
import { amax, FileFormatError, readNpy, saveSafetensors, scope, type Tensor, writeNpz } from "@stopgrad/torch";
import { makeFolder, removeFolders } from "../folders.js";
import { describeSystemError } from "../system-error.js";
import { writeWhole } from "../write-whole.js";
import type { Representations } from "./representations.js";
import { TrainedNetworkError } from "./trained-network.js";

export const activationFormats = ["npy", "npz", "safetensors"] as const;
export type ActivationFormat = (typeof activationFormats)[number];

/** Bytes of an element. */
const widths = { float32: 4, float16: 2 } as const;
export type ActivationType = keyof typeof widths;

/** Largest number that float16 holds. */
const LARGEST_FLOAT16 = 65504;

/** Images of one forward pass. */
const AT_ONCE = 250;

export interface ActivationOptions {
  readonly folder: string;
  /** Of representations and input; labels are int64. */
  readonly dtype: ActivationType;
  readonly format: ActivationFormat;
  /** Called between batches with how many samples are done; what it throws ends the work, and nothing is left of it. */
  readonly breathe?: (done: number, total: number) => void;
  /** What is written beside, into `activations.json`: where the activations come from. */
  readonly origin: Readonly<Record<string, unknown>>;
}

export interface WrittenArray {
  /** Stage, or `x` for the input, `labels`. */
  readonly name: string;
  readonly file: string;
  /** With the samples. */
  readonly shape: readonly number[];
  readonly dtype: string;
}

/**
 * Writes `<stage>.<format>` for each representation, `x` for the input, `labels`, and `activations.json` that describes
 * them. Files of these names that are there already are replaced. An archive has one array, under the file's name. Of an
 * error nothing new is left, nor a folder that was made for it.
 *
 * Memory: a batch of 250 samples. Disk: the arrays; of `npz` and `safetensors`, one of them twice for a while.
 * @throws FileFormatError when a file cannot be written or a folder has its name, TrainedNetworkError when the disk has too little room or a number
 * does not fit into float16
 */
export async function writeActivations(source: Representations, options: ActivationOptions): Promise<WrittenArray[]> {
  const made = makeOutputFolder(options.folder);
  try {
    return await writeInto(source, options);
  } catch (error) {
    removeFolders(made);
    throw error;
  }
}

async function writeInto(
  source: Representations,
  { folder, dtype, format, breathe, origin }: ActivationOptions,
): Promise<WrittenArray[]> {
  const { names, shapes, count, labels } = source;
  for (const name of [...names, "x", "labels"]) requireNoFolder(join(folder, `${name}.${format}`));
  requireNoFolder(join(folder, MANIFEST));
  let inputShape: readonly number[] = [];
  source.pass(0, 1, (x) => {
    inputShape = x!.shape.slice(1);
    return () => {};
  });
  const planned = [...names.map((name, at) => ({ name, shape: shapes[at]! })), { name: "x", shape: inputShape }];
  requireRoom(folder, planned, count, dtype);
  const files: StreamedFile[] = [];
  try {
    for (const { name, shape } of planned) files.push(new StreamedFile(folder, name, dtype, [count, ...shape]));
    const input = files.at(-1)!;
    for (let start = 0; start < count; start += AT_ONCE) {
      breathe?.(start, count);
      source.pass(start, Math.min(AT_ONCE, count - start), (x) => {
        input.append(x!);
        return (z, at) => files[at]!.append(z);
      });
      await new Promise(setImmediate); // for signals
    }
    const ofLabels = new StreamedFile(folder, "labels", "int64", [count]);
    files.push(ofLabels);
    ofLabels.append(labels!);
    for (const file of files) {
      breathe?.(count, count);
      file.finish(format);
    }
    const written = files.map((file) => file.publish());
    const arrays = written.map((array) => ({ ...array, file: basename(array.file) })); // they lie beside it
    writeManifest(folder, { ...origin, samples: count, arrays });
    return written;
  } catch (error) {
    for (const file of files) file.discard();
    throw error;
  }
}

/** Describes what lies beside it. */
export const MANIFEST = "activations.json";

/** @throws FileFormatError: a file cannot take the place of a folder */
function requireNoFolder(path: string): void {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  throw new FileFormatError(path, "expected no folder where a file is to be written; choose another --out");
}

/** An array on its way to disk. */
class StreamedFile {
  readonly #temporary: string;
  #descriptor: number | null;
  #target: string;
  /** Whether it has its name, where nothing had it before. */
  #isNew = false;

  constructor(
    folder: string,
    readonly name: string,
    readonly dtype: ActivationType | "int64",
    readonly shape: readonly number[],
  ) {
    this.#target = join(folder, `${name}.npy`);
    this.#temporary = join(folder, `.${name}.${process.pid}-${randomBytes(6).toString("hex")}.tmp`);
    this.#descriptor = this.#attempt(() => openSync(this.#temporary, "wx"));
    this.#write(npyHeader(dtype, shape));
  }

  append(batch: Tensor): void {
    scope(() => {
      this.#requireFinite(batch);
      const converted = batch.to(this.dtype);
      const values = (converted.device === "cpu" ? converted : converted.toDevice("cpu")).toTypedArray();
      this.#write(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    });
  }

  /** Closes the file, in its final form but under its temporary name. */
  finish(format: ActivationFormat): void {
    this.#close(true);
    if (format === "npy") return;
    this.#target = this.#target.replace(/npy$/, format);
    const packed = `${this.#temporary}.${format}.tmp`;
    try {
      scope(() => {
        const arrays = { [this.name]: readNpy(this.#temporary, { mapped: true }) };
        if (format === "npz") writeNpz(packed, arrays);
        else saveSafetensors(packed, arrays);
      });
    } catch (error) {
      if (!(error instanceof FileFormatError)) throw error;
      throw new FileFormatError(this.#target, error.problem, { cause: error });
    }
    this.#attempt(() => renameSync(packed, this.#temporary));
  }

  publish(): WrittenArray {
    const isNew = statSync(this.#target, { throwIfNoEntry: false }) === undefined;
    this.#attempt(() => renameSync(this.#temporary, this.#target));
    this.#isNew = isNew;
    return { name: this.name, file: this.#target, shape: this.shape, dtype: this.dtype };
  }

  /** Removes what is there of it, unless it has replaced another file. */
  discard(): void {
    try {
      this.#close(false);
    } catch {} // the first error is the one to tell
    rmSync(this.#isNew ? this.#target : this.#temporary, { force: true });
  }

  #close(isWhole: boolean): void {
    const descriptor = this.#descriptor;
    if (descriptor === null) return;
    this.#descriptor = null;
    this.#attempt(() => {
      try {
        if (isWhole) fsyncSync(descriptor);
      } finally {
        closeSync(descriptor);
      }
    });
  }

  #write(bytes: Uint8Array): void {
    this.#attempt(() => {
      for (let done = 0; done < bytes.length; ) done += writeSync(this.#descriptor!, bytes, done);
    });
  }

  #requireFinite(batch: Tensor): void {
    const largest = amax(batch.abs()).item(); // NaN where there is one
    if (!Number.isFinite(largest)) {
      throw new TrainedNetworkError(`${this.name} holds NaN or infinity: the weights do, or make them of these images`);
    }
    if (this.dtype === "float16" && largest > LARGEST_FLOAT16) {
      throw new TrainedNetworkError(
        `${this.name} holds numbers up to ${largest.toPrecision(4)}, beyond the ${LARGEST_FLOAT16} of float16; use --dtype float32`,
      );
    }
  }

  #attempt<R>(action: () => R): R {
    try {
      return action();
    } catch (error) {
      throw new FileFormatError(this.#target, describeSystemError(error) ?? (error as Error).message, { cause: error });
    }
  }
}

/** What stands before the data of a .npy file, format version 1.0: a multiple of 64 bytes. Source: numpy/lib/format.py. */
function npyHeader(dtype: ActivationType | "int64", shape: readonly number[]): Buffer {
  const descr = { float32: "<f4", float16: "<f2", int64: "<i8" }[dtype];
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${sizes}), }`;
  const length = Math.ceil((10 + text.length + 1) / 64) * 64 - 10;
  const start = Buffer.from("\x93NUMPY\x01\x00\0\0", "latin1");
  start.writeUInt16LE(length, 8);
  return Buffer.concat([start, Buffer.from(`${text.padEnd(length - 1)}\n`, "latin1")]);
}

function makeOutputFolder(folder: string): string[] {
  try {
    return makeFolder(folder);
  } catch (error) {
    throw new FileFormatError(folder, describeSystemError(error) ?? (error as Error).message, { cause: error });
  }
}

/** Before hours of work whose result has no room. Quotas are not seen here, but by the writing itself. */
function requireRoom(
  folder: string,
  planned: readonly { shape: readonly number[] }[],
  count: number,
  dtype: ActivationType,
): void {
  const sizeOf = (shape: readonly number[]) => shape.reduce((product, size) => product * size, count * widths[dtype]);
  const needed = planned.reduce((sum, { shape }) => sum + sizeOf(shape), 8 * count);
  const { bavail, bsize } = statfsSync(folder);
  if (needed <= bavail * bsize) return;
  const gigabytes = (bytes: number) =>
    bytes < 1e8 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
  throw new TrainedNetworkError(
    `the activations take ${gigabytes(needed)}, and ${folder} has room for ${gigabytes(bavail * bsize)}; ` +
      "choose --stages, fewer --samples or --dtype float16",
  );
}

function writeManifest(folder: string, content: object): void {
  const file = join(folder, MANIFEST);
  try {
    writeWhole(file, `${JSON.stringify(content, null, 2)}\n`);
  } catch (error) {
    throw new FileFormatError(file, describeSystemError(error) ?? (error as Error).message, { cause: error });
  }
}
