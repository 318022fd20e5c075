// STL-10, binary version, the labelled part: 5,000 + 8,000 photographs, 96x96 colour, in four files. An image is 3 x 96 x 96
// bytes, red plane, green plane, blue plane, each column by column; labels are bytes from 1 to 10. Read from the unpacked
// folder or straight from the official archive, in `<dir>` or `<dir>/stl10`; the unlabelled images are passed over.
// Normalised as arXiv 2312.07636 and InfoPro do. Source of the format: the set's own page.
import { statSync } from "node:fs";
import { basename, join } from "node:path";
import { z } from "zod";
import { archiveMembers } from "./archive.js";
import type { CheckedFile, Dataset, DatasetError, DatasetFiles, ImageSet, RemoteFile } from "./dataset.js";
import { damaged, isFile, md5, missing, readWhole, rejectPage } from "./files.js";
import { transposePlanes } from "./planes.js";

const set = "stl10";
const side = 96;
const shape = [3, side, side] as const;
const pixels = 3 * side * side;
const classNames = ["airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"];
const folderName = "stl10_binary";

type Split = "train" | "test";
type Kind = "images" | "labels";

/** How many images each split has. */
type Counts = Readonly<Record<Split, number>>;

const files = [
  { split: "train", kind: "images", file: "train_X.bin", md5: "918c2871b30a85fa023e0c44e0bee87f" },
  { split: "train", kind: "labels", file: "train_y.bin", md5: "5a34089d4802c674881badbb80307741" },
  { split: "test", kind: "images", file: "test_X.bin", md5: "7f263ba9f9e0b06b93213547f721ac82" },
  { split: "test", kind: "labels", file: "test_y.bin", md5: "36f9794fa4beb8a2c72628de14fa638e" },
] as const satisfies readonly { split: Split; kind: Kind; [key: string]: unknown }[];

type File = (typeof files)[number];

const archive: RemoteFile = {
  url: "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
  path: "stl10_binary.tar.gz",
  bytes: 2_640_397_119,
  md5: "91f7769df0f17e558f3565bffb0c7dfb",
};

export const stl10: Dataset = stl10Of({ train: 5_000, test: 8_000 });

/** The set with so many images: official counts but in tests. */
export function stl10Of(counts: Counts): Dataset {
  const onDisk: DatasetFiles = {
    remote: [archive],
    places,
    find: (dataDirs) => places(dataDirs).find(isWhole) ?? null,
    check: (found) => check(found, counts),
  };
  return {
    summary: "photographs of ten kinds of things, 96x96 colour, few with labels",
    source: "Coates, Lee, Ng: An Analysis of Single Layer Networks in Unsupervised Feature Learning, 2011",
    options: z.strictObject({}),
    shape: () => shape,
    classes: () => classNames.length,
    trainCount: () => counts.train,
    testCount: () => counts.test,
    load: async (_given, context) => {
      const found = onDisk.find(context.dataDirs);
      if (found === null) throw absentEverywhere(context.dataDirs);
      return {
        name: set,
        ...(await read(found, counts)),
        shape,
        classes: classNames.length,
        classNames,
        mean: [0.5, 0.5, 0.5],
        std: [0.5, 0.5, 0.5],
        readFrom: found,
      };
    },
    files: onDisk,
  };
}

/** The unpacked folder, the data directory itself, then the archive; the same in a folder named like the set. */
function places(dataDirs: readonly string[]): string[] {
  return dataDirs
    .flatMap((dir) => [dir, join(dir, set)])
    .flatMap((dir) => [join(dir, folderName), dir, join(dir, basename(archive.path))]);
}

function isArchive(place: string): boolean {
  return place.endsWith(".tar.gz");
}

function lacking(folder: string): string[] {
  return files.map(({ file }) => file).filter((file) => !isFile(join(folder, file)));
}

function isWhole(place: string): boolean {
  return isArchive(place) ? isFile(place) : lacking(place).length === 0;
}

function absentEverywhere(dataDirs: readonly string[]): DatasetError {
  const all = places(dataDirs);
  const partial = all.find((place) => !isArchive(place) && lacking(place).length < files.length);
  const partly = partial === undefined ? null : `${partial} lacks ${lacking(partial).join(", ")}`;
  return missing(set, all, `${basename(archive.path)} or its folder ${folderName}`, partly);
}

async function read(found: string, counts: Counts): Promise<Record<Split, ImageSet>> {
  const decoded = new Map<string, Uint8Array>();
  await eachFile(found, async (path, file, bytes) => {
    decoded.set(file.file, decode(await bytes(), path, file, counts));
  });
  const split = (name: Split): ImageSet => ({
    images: decoded.get(`${name}_X.bin`)!,
    labels: decoded.get(`${name}_y.bin`)!,
    count: counts[name],
  });
  return { train: split("train"), test: split("test") };
}

/**
 * @param bytes - taken over: images are put in order in place
 * @returns `[N, 3, 96, 96]`, or labels `[N]` from 0 to 9
 * @throws DatasetError for another length, or a label that is no class
 */
function decode(bytes: Uint8Array, path: string, { split, kind, file }: File, counts: Counts): Uint8Array {
  rejectPage(set, path, bytes);
  const each = kind === "images" ? pixels : 1;
  const count = counts[split];
  if (bytes.length !== count * each) {
    const how = bytes.length < count * each ? "cut short" : "too long";
    const expected = `${count * each} bytes for the ${count} ${split} ${kind}`;
    const other = files.find((one) => bytes.length === counts[one.split] * (one.kind === "images" ? pixels : 1));
    const hint = other === undefined || other.file === file ? "" : `: this is the size of ${other.file}`;
    throw damaged(set, path, `${how}: expected ${expected}, found ${bytes.length}${hint}`);
  }
  if (kind === "images") return transposePlanes(bytes, side);
  const wrong = bytes.findIndex((label) => label < 1 || label > classNames.length);
  if (wrong >= 0) {
    const range = `1 to ${classNames.length}`;
    throw damaged(set, path, `expected labels from ${range}, found ${bytes[wrong]} at position ${wrong}`);
  }
  return bytes.map((label) => label - 1);
}

/**
 * Calls `use` with each file, one after the other.
 * @param use - `bytes` reads the file, where it is not read yet
 * @throws DatasetError when one lacks or the archive cannot be read
 */
async function eachFile(
  found: string,
  use: (path: string, file: File, bytes: () => Promise<Uint8Array>) => Promise<void>,
): Promise<void> {
  if (!isArchive(found)) {
    for (const file of files) {
      const path = join(found, file.file);
      await use(path, file, () => readWhole(set, path));
    }
    return;
  }
  const left = new Set<string>(files.map(({ file }) => file));
  for await (const { name, bytes } of archiveMembers(set, found, left)) {
    left.delete(name);
    await use(`${found} (${name})`, files.find(({ file }) => file === name)!, async () => bytes);
    if (left.size === 0) return; // what is left of the archive may be gigabytes of unlabelled images
  }
  throw damaged(set, found, `expected it to hold ${[...left].join(", ")}, found none`);
}

async function check(found: string, counts: Counts): Promise<CheckedFile[]> {
  const checked: CheckedFile[] = [];
  const wrong = (path: string, bytes: number, error: unknown) => {
    checked.push({ path, bytes, images: null, checksum: "differs", problem: (error as Error).message });
  };
  try {
    await eachFile(found, async (path, file, read) => {
      let length = 0;
      try {
        const bytes = await read();
        length = bytes.length;
        const checksum = (await md5(bytes)) === file.md5 ? "official" : "differs"; // before images are put in order
        decode(bytes, path, file, counts);
        checked.push({ path, bytes: length, images: counts[file.split], checksum, problem: null });
      } catch (error) {
        wrong(path, length, error);
      }
    });
  } catch (error) {
    wrong(found, statSync(found).size, error);
  }
  return checked;
}
