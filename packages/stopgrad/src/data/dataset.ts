// What a data set is: plain typed arrays, known shape and classes before anything is read. Torch-free, so that
// validation, `stopgrad data` and a browser can use it; the loader beside this file wraps the arrays into tensors.
import type { Registry, RegistryEntry } from "../registry.js";

/** `[C, H, W]`. */
export type ImageShape = readonly [channels: number, height: number, width: number];

/** Images of one split, as they lie in memory. */
export interface ImageSet {
  /** `[N, C, H, W]` row-major, 0 to 255. */
  readonly images: Uint8Array;
  /** `[N]`, 0 to classes - 1. */
  readonly labels: Uint8Array;
  /** N. */
  readonly count: number;
}

export interface LoadedDataset {
  readonly name: string;
  readonly train: ImageSet;
  readonly test: ImageSet;
  readonly shape: ImageShape;
  readonly classes: number;
  /** `[classes]`, in label order. */
  readonly classNames: readonly string[];
  /** `[C]`, of pixel / 255: a normalised pixel is (pixel / 255 - mean) / std. */
  readonly mean: readonly number[];
  /** `[C]`, of pixel / 255. */
  readonly std: readonly number[];
  /** Folder or archive it was read from; null for a set that is drawn, not read. */
  readonly readFrom: string | null;
}

export interface LoadContext {
  /** Folders looked in, first match wins; see `locate.ts`. */
  readonly dataDirs: readonly string[];
  /**
   * How many images will be used. A set that is drawn makes exactly so many (its first ones); a set that is read
   * ignores this and returns all, and the caller takes a `subset`. Default: all there are.
   */
  readonly train?: number;
  readonly test?: number;
  /** Called while images are prepared for the first time, which may take minutes: so many are done. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** A file on an official site. */
export interface RemoteFile {
  /** Official address. */
  readonly url: string;
  /** Where it goes below the data directory, for example `mnist/train-labels-idx1-ubyte.gz`; also its path on a mirror. */
  readonly path: string;
  readonly bytes: number;
  /** Lower-case hexadecimal. */
  readonly md5: string;
}

/** A file of a set as it was found; `problem` is null when its structure is right. */
export interface CheckedFile {
  readonly path: string;
  readonly bytes: number;
  readonly images: number | null;
  readonly checksum: "official" | "differs" | "not published";
  readonly problem: string | null;
}

/** What a set that lies in files adds to a `Dataset`. */
export interface DatasetFiles {
  /** What `stopgrad data fetch` downloads. */
  readonly remote: readonly RemoteFile[];
  /** Every place looked in, in order, for messages. */
  places(dataDirs: readonly string[]): string[];
  /** The folder or archive that `load` would read, or null. Looks only at names: no file is opened. */
  find(dataDirs: readonly string[]): string | null;
  /** Reads every file found and says of each what is wrong, instead of stopping at the first. */
  check(found: string): Promise<CheckedFile[]>;
}

/** A named data set. `options` are the parsed `Dataset.options`, that is what stands beside `data.name`. */
export interface Dataset extends RegistryEntry {
  /** `[C, H, W]`, known before loading. */
  shape(options: DatasetOptions): ImageShape;
  /** @throws DatasetError, as the counts, where it has to look and cannot find (`wants`) */
  classes(options: DatasetOptions): number;
  /** Most images there are. */
  trainCount(options: DatasetOptions): number;
  testCount(options: DatasetOptions): number;
  /** @throws DatasetError naming the file, what was expected, what was found and what to do */
  load(options: DatasetOptions, context: LoadContext): Promise<LoadedDataset>;
  /** Absent for a set that is drawn, or that lies where its options say. */
  readonly files?: DatasetFiles;
  /**
   * For a set that is whatever its options say: what an experiment file has to hold. Such a set has no default options, and
   * its classes and counts come from looking at names.
   */
  readonly wants?: string;
  /**
   * For such a set: what tells its images from others under the same options, lower-case hexadecimal. Validation puts it into
   * the settings as the option `contents`, which the set has to have; `load` refuses another one.
   *
   * @throws DatasetError
   */
  fingerprint?(options: DatasetOptions): string;
}

/** Options as zod returns them; each set parses its own again, so that its defaults hold for `{}` too. */
export type DatasetOptions = Readonly<Record<string, unknown>>;

export type Datasets = Registry<Dataset>;

/**
 * A data set cannot be read or fetched. Cause: a file is absent, damaged, cut short, or not what its name says.
 * Cure: the message says it in one sentence; `stopgrad data fetch` brings the official files.
 */
export class DatasetError extends Error {
  override readonly name = "DatasetError";
}
