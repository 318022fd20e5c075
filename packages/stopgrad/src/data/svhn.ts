// SVHN, cropped digits: 73,257 + 26,032 house numbers' digits from street views, 32x32 colour, in two MAT-files. Each holds
// X, `[32, 32, 3, N]` column-major, and y, `[N, 1]`, in which 10 stands for the digit 0. The training split alone, and
// the normalisation, as arXiv 2312.07636 and InfoPro use them; the `extra` split is not read.
// Read from `<dir>/svhn/` or from `<dir>` itself, where torchvision puts them.
import { statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { CheckedFile, Dataset, DatasetFiles, ImageSet, RemoteFile } from "./dataset.js";
import { damaged, isFile, md5, missing, readWhole } from "./files.js";
import { type MatArray, MatError, readMat } from "./mat.js";
import { transposePlanes } from "./planes.js";

const set = "svhn";
const shape = [3, 32, 32] as const;
const pixels = 3 * 32 * 32;
const classes = 10;

type Split = "train" | "test";

/** How many images each split has. */
type Counts = Readonly<Record<Split, number>>;

const remote: Readonly<Record<Split, RemoteFile>> = {
  train: {
    url: "http://ufldl.stanford.edu/housenumbers/train_32x32.mat",
    path: "svhn/train_32x32.mat",
    bytes: 182_040_794,
    md5: "e26dedcc434d2e4c54c9b2d4a06d8373",
  },
  test: {
    url: "http://ufldl.stanford.edu/housenumbers/test_32x32.mat",
    path: "svhn/test_32x32.mat",
    bytes: 64_275_384,
    md5: "eb5a983be6a315427106f1b164d9cef3",
  },
};
const fileNames: Readonly<Record<Split, string>> = { train: "train_32x32.mat", test: "test_32x32.mat" };
const splits = ["train", "test"] as const;

export const svhn: Dataset = svhnOf({ train: 73_257, test: 26_032 });

/** The set with so many images: official counts but in tests. */
export function svhnOf(counts: Counts): Dataset {
  const files: DatasetFiles = {
    remote: [remote.train, remote.test],
    places: (dataDirs) => dataDirs.flatMap((dir) => [join(dir, set), dir]),
    find: (dataDirs) => files.places(dataDirs).find((folder) => lacking(folder).length === 0) ?? null,
    check: async (folder) => {
      const checked: CheckedFile[] = [];
      for (const split of splits) checked.push(await checkFile(folder, split, counts)); // one at a time: they are large
      return checked;
    },
  };
  return {
    summary: "digits of house numbers in street views, 32x32 colour",
    source: "Netzer et al.: Reading Digits in Natural Images with Unsupervised Feature Learning, 2011",
    options: z.strictObject({}),
    shape: () => shape,
    classes: () => classes,
    trainCount: () => counts.train,
    testCount: () => counts.test,
    load: async (_given, context) => {
      const folder = files.find(context.dataDirs);
      if (folder === null) throw absentEverywhere(files.places(context.dataDirs));
      return {
        name: set,
        train: await readSplit(folder, "train", counts),
        test: await readSplit(folder, "test", counts),
        shape,
        classes,
        classNames: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
        mean: [0.5, 0.5, 0.5],
        std: [0.5, 0.5, 0.5],
        readFrom: folder,
      };
    },
    files,
  };
}

function lacking(folder: string): string[] {
  return splits.map((split) => fileNames[split]).filter((file) => !isFile(join(folder, file)));
}

function absentEverywhere(places: readonly string[]) {
  const partial = places.find((folder) => lacking(folder).length < splits.length);
  const lacks = partial === undefined ? null : `${partial} lacks ${lacking(partial).join(", ")}`;
  return missing(set, places, `${fileNames.train} and ${fileNames.test} (cropped digits)`, lacks);
}

async function readSplit(folder: string, split: Split, counts: Counts): Promise<ImageSet> {
  const path = join(folder, fileNames[split]);
  return decode(await readWhole(set, path), path, split, counts);
}

/** Bytes of an array beside its images: flags, dimensions, name. */
const HEADER_BYTES = 4096;

/**
 * @returns images `[N, 3, 32, 32]`, labels 0 to 9
 * @throws DatasetError when it is not a MAT-file with the split's images and labels
 */
async function decode(bytes: Uint8Array, path: string, split: Split, counts: Counts): Promise<ImageSet> {
  const count = counts[split];
  const mostBytes = Math.max(counts.train, counts.test) * pixels + HEADER_BYTES;
  let arrays: Map<string, MatArray>;
  try {
    arrays = await readMat(bytes, { names: ["X", "y"], mostBytes });
  } catch (error) {
    if (error instanceof MatError) throw damaged(set, path, error.message);
    throw error;
  }
  const [X, y] = ["X", "y"].map((name) => arrays.get(name));
  if (X === undefined || y === undefined) {
    throw damaged(set, path, `expected the arrays X and y, found ${[...arrays.keys()].join(", ") || "neither"}`);
  }
  const other = split === "train" ? "test" : "train";
  const expected = [32, 32, 3, count];
  if (X.dimensions.join() !== expected.join() || !(X.numbers instanceof Uint8Array)) {
    const hint = X.dimensions.join() === [32, 32, 3, counts[other]].join() ? `: this is the ${other} file` : "";
    throw damaged(set, path, `expected X of ${describe(expected, "bytes")}, found ${describeArray(X)}${hint}`);
  }
  if (y.numbers.length !== count || y.dimensions.some((size) => size !== 1 && size !== count)) {
    throw damaged(set, path, `expected y of ${describe([count, 1], "labels")}, found ${describeArray(y)}`);
  }
  return { images: transposePlanes(X.numbers, 32), labels: decodeLabels(y, path), count };
}

/** 1 to 9, and 10 for 0. */
function decodeLabels(y: MatArray, path: string): Uint8Array {
  const digits = Array.from(y.numbers, Number);
  const wrong = digits.findIndex((digit) => !(Number.isInteger(digit) && digit >= 1 && digit <= classes));
  if (wrong >= 0) {
    throw damaged(set, path, `expected labels from 1 to ${classes}, found ${digits[wrong]} at position ${wrong}`);
  }
  return Uint8Array.from(digits, (digit) => digit % classes);
}

function describe(dimensions: readonly number[], what: string): string {
  return `${dimensions.join(" x ")} ${what}`;
}

function describeArray({ dimensions, numbers }: MatArray): string {
  return describe(
    dimensions,
    `(${numbers.constructor.name.replace("Array", "").replace("Buffer", "Uint8").toLowerCase()})`,
  );
}

async function checkFile(folder: string, split: Split, counts: Counts): Promise<CheckedFile> {
  const path = join(folder, fileNames[split]);
  const { size: bytes } = statSync(path);
  try {
    const { count } = await readSplit(folder, split, counts);
    const checksum = (await md5(path)) === remote[split].md5 ? "official" : "differs";
    return { path, bytes, images: count, checksum, problem: null };
  } catch (error) {
    return { path, bytes, images: null, checksum: "differs", problem: (error as Error).message };
  }
}
