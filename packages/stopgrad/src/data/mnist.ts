// MNIST: 60,000 + 10,000 handwritten digits, 28x28 grey, in four IDX files, gzipped or not. Normalised as arXiv 2402.09050 does.
// Read from `<dir>/mnist/`, from torchvision's place `<dir>/MNIST/raw/`, or from `<dir>` itself.
import { statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { CheckedFile, Dataset, DatasetFiles, ImageSet, RemoteFile } from "./dataset.js";
import { isFile, md5, missing, readWhole } from "./files.js";
import { parseIdxImages, parseIdxLabels } from "./idx.js";

const set = "mnist";
const options = z.strictObject({});
const size = 28;
const classes = 10;
const counts = { train: 60_000, test: 10_000 };

type Split = keyof typeof counts;
type Kind = "images" | "labels";

/** The four files. `contentMd5` is the sum of the unpacked file, so that a file packed anew still counts as official. */
const files = [
  {
    split: "train",
    kind: "images",
    file: "train-images-idx3-ubyte",
    bytes: 9_912_422,
    md5: "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    contentMd5: "6bbc9ace898e44ae57da46a324031adb",
  },
  {
    split: "train",
    kind: "labels",
    file: "train-labels-idx1-ubyte",
    bytes: 28_881,
    md5: "d53e105ee54ea40749a09fcbcd1e9432",
    contentMd5: "a25bea736e30d166cdddb491f175f624",
  },
  {
    split: "test",
    kind: "images",
    file: "t10k-images-idx3-ubyte",
    bytes: 1_648_877,
    md5: "9fb629c4189551a2d022fa330f9573f3",
    contentMd5: "2646ac647ad5339dbf082846283269ea",
  },
  {
    split: "test",
    kind: "labels",
    file: "t10k-labels-idx1-ubyte",
    bytes: 4_542,
    md5: "ec29112dd5afa0611ce80d1b7f02629c",
    contentMd5: "27ae3e4e09519cfbb04c329615203637",
  },
] as const satisfies readonly { split: Split; kind: Kind; [key: string]: unknown }[];

const remote: readonly RemoteFile[] = files.map(({ file, bytes, md5 }) => ({
  url: `https://ossci-datasets.s3.amazonaws.com/mnist/${file}.gz`,
  path: `mnist/${file}.gz`,
  bytes,
  md5,
}));

const onDisk: DatasetFiles = {
  remote,
  places: (dataDirs) => dataDirs.flatMap((dir) => [join(dir, "mnist"), join(dir, "MNIST", "raw"), dir]),
  find: (dataDirs) => onDisk.places(dataDirs).find((folder) => absent(folder).length === 0) ?? null,
  check: (folder) => Promise.all(files.map((file) => checkFile(folder, file))),
};

export const mnist: Dataset = {
  summary: "handwritten digits, 28x28 grey",
  source: "LeCun, Cortes, Burges: The MNIST database of handwritten digits",
  options,
  shape: () => [1, size, size],
  classes: () => classes,
  trainCount: () => counts.train,
  testCount: () => counts.test,
  load: async (_given, context) => {
    const folder = onDisk.find(context.dataDirs);
    if (folder === null) throw absentEverywhere(context.dataDirs);
    return {
      name: set,
      train: await readSplit(folder, "train"),
      test: await readSplit(folder, "test"),
      shape: [1, size, size],
      classes,
      classNames: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
      mean: [0.1307],
      std: [0.3081],
      readFrom: folder,
    };
  },
  files: onDisk,
};

/** The file in a folder, or null. The gzipped one first: it is what `stopgrad data fetch` brings. */
function pathOf(folder: string, file: string): string | null {
  const names = [`${file}.gz`, file, file.replace("-idx", ".idx")]; // the last as some archives spell it
  return names.map((name) => join(folder, name)).find(isFile) ?? null;
}

function absent(folder: string): string[] {
  return files.filter(({ file }) => pathOf(folder, file) === null).map(({ file }) => file);
}

function absentEverywhere(dataDirs: readonly string[]) {
  const places = onDisk.places(dataDirs);
  const partial = places.find((folder) => absent(folder).length < files.length);
  const lacks = partial === undefined ? null : `${partial} lacks ${absent(partial).join(", ")}`;
  return missing(
    set,
    places,
    `the four IDX files (${files.map(({ file }) => file).join(", ")}; with or without .gz)`,
    lacks,
  );
}

async function readSplit(folder: string, split: Split): Promise<ImageSet> {
  const [images, labels] = await Promise.all(
    (["images", "labels"] as const).map(async (kind) => {
      const { file } = files.find((each) => each.split === split && each.kind === kind)!;
      const path = pathOf(folder, file)!;
      return parse(await readWhole(set, path), path, split, kind);
    }),
  );
  return { images: images!, labels: labels!, count: counts[split] };
}

/** `[N, 28, 28]`, which is `[N, 1, 28, 28]`, or `[N]`. */
function parse(bytes: Uint8Array, path: string, split: Split, kind: Kind): Uint8Array {
  const expected = { set, split, count: counts[split], otherCount: counts[split === "train" ? "test" : "train"] };
  return kind === "images"
    ? parseIdxImages(bytes, path, { ...expected, height: size, width: size })
    : parseIdxLabels(bytes, path, { ...expected, classes });
}

async function checkFile(
  folder: string,
  { file, split, kind, contentMd5 }: (typeof files)[number],
): Promise<CheckedFile> {
  const path = pathOf(folder, file)!;
  const checked = { path, bytes: statSync(path).size };
  try {
    const content = await readWhole(set, path);
    parse(content, path, split, kind);
    const checksum = (await md5(content)) === contentMd5 ? "official" : "differs";
    return { ...checked, images: counts[split], checksum, problem: null };
  } catch (error) {
    return { ...checked, images: null, checksum: "differs", problem: (error as Error).message };
  }
}
