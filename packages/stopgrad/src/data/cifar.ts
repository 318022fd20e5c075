// CIFAR-10 and CIFAR-100, binary version: records of one label byte (CIFAR-100: coarse, then fine; the fine one is
// used) and 3 x 32 x 32 bytes, red plane, green plane, blue plane. Read from the unpacked folder or straight from the
// official archive, in `<dir>` or `<dir>/cifar10` (`<dir>/cifar100`). Source of the format: the sets' own page.
import { existsSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { z } from "zod";
import { archiveMembers } from "./archive.js";
import { cifar100Names } from "./cifar-100-names.js";
import type { CheckedFile, Dataset, DatasetError, DatasetFiles, ImageSet, RemoteFile } from "./dataset.js";
import { damaged, isFile, md5, missing, readWhole, rejectPage } from "./files.js";

const shape = [3, 32, 32] as const;
const pixels = 3 * 32 * 32;

interface Statistics {
  /** Of pixel / 255, for red, green, blue. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** What tells one CIFAR set from the other. */
interface Definition {
  readonly name: string;
  readonly summary: string;
  readonly classNames: readonly string[];
  readonly options: z.ZodObject;
  readonly statistics: (options: Readonly<Record<string, unknown>>) => Statistics;
  /** Label bytes before the pixels; the last one is the class. */
  readonly labelBytes: number;
  readonly train: readonly Member[];
  readonly test: readonly Member[];
  readonly folder: string;
  readonly archive: RemoteFile;
  /** The Python version, which is often there instead and cannot be read. */
  readonly python: readonly string[];
}

interface Member {
  readonly file: string;
  readonly count: number;
}

const normalisation = z.strictObject({
  /**
   * What pixels are divided by: `image-std`, the mean over images of each image's standard deviation (arXiv 2402.09050 and most
   * PyTorch code), or `pixel-std`, the standard deviation over all pixels (arXiv 2312.07636, InfoPro).
   */
  normalisation: z.enum(["image-std", "pixel-std"]).default("image-std"),
});

const cifar10Statistics = {
  "image-std": { mean: [0.4914, 0.4822, 0.4465], std: [0.2023, 0.1994, 0.201] },
  "pixel-std": {
    mean: [125.3 / 255, 123.0 / 255, 113.9 / 255],
    std: [63.0 / 255, 62.1 / 255, 66.7 / 255],
  },
};

export const cifar10: Dataset = cifar({
  name: "cifar10",
  summary: "photographs of ten kinds of things, 32x32 colour",
  classNames: ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
  options: normalisation,
  statistics: (options) => cifar10Statistics[normalisation.parse(options).normalisation],
  labelBytes: 1,
  train: [1, 2, 3, 4, 5].map((i) => ({ file: `data_batch_${i}.bin`, count: 10_000 })),
  test: [{ file: "test_batch.bin", count: 10_000 }],
  folder: "cifar-10-batches-bin",
  archive: {
    url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    path: "cifar-10-binary.tar.gz",
    bytes: 170_052_171,
    md5: "c32a1d4ab5d03f1284b67883e8d87530",
  },
  python: ["cifar-10-batches-py", "cifar-10-python.tar.gz"],
});

export const cifar100: Dataset = cifar({
  name: "cifar100",
  summary: "photographs of a hundred kinds of things, 32x32 colour",
  classNames: cifar100Names,
  options: z.strictObject({}),
  statistics: () => ({ mean: [0.5071, 0.4867, 0.4408], std: [0.2675, 0.2565, 0.2761] }),
  labelBytes: 2,
  train: [{ file: "train.bin", count: 50_000 }],
  test: [{ file: "test.bin", count: 10_000 }],
  folder: "cifar-100-binary",
  archive: {
    url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    path: "cifar-100-binary.tar.gz",
    bytes: 168_513_733,
    md5: "03b5dce01913d631647c71ecec9e9cb8",
  },
  python: ["cifar-100-python", "cifar-100-python.tar.gz"],
});

function cifar(definition: Definition): Dataset {
  const { name, classNames } = definition;
  const classes = classNames.length;
  const trainCount = total(definition.train);
  const testCount = total(definition.test);
  const files: DatasetFiles = {
    remote: [definition.archive],
    places: (dataDirs) => places(definition, dataDirs),
    find: (dataDirs) => places(definition, dataDirs).find((place) => isWhole(definition, place)) ?? null,
    check: (found) => check(definition, found),
  };
  return {
    summary: definition.summary,
    source: "Krizhevsky: Learning Multiple Layers of Features from Tiny Images, 2009",
    options: definition.options,
    shape: () => shape,
    classes: () => classes,
    trainCount: () => trainCount,
    testCount: () => testCount,
    load: async (given, context) => {
      const { mean, std } = definition.statistics(given);
      const found = files.find(context.dataDirs);
      if (found === null) throw absentEverywhere(definition, context.dataDirs);
      const [train, test] = await read(definition, found);
      return { name, train, test, shape, classes, classNames, mean, std, readFrom: found };
    },
    files,
  };
}

function total(members: readonly Member[]): number {
  return members.reduce((sum, { count }) => sum + count, 0);
}

/** The unpacked folder, the data directory itself, then the archive; the same in a folder named like the set. */
function places(definition: Definition, dataDirs: readonly string[]): string[] {
  return dataDirs
    .flatMap((dir) => [dir, join(dir, definition.name)])
    .flatMap((dir) => [join(dir, definition.folder), dir, join(dir, basename(definition.archive.path))]);
}

function isArchive(place: string): boolean {
  return place.endsWith(".tar.gz");
}

function lacking(definition: Definition, folder: string): string[] {
  const names = [...definition.train, ...definition.test].map(({ file }) => file);
  return names.filter((file) => !isFile(join(folder, file)));
}

function isWhole(definition: Definition, place: string): boolean {
  return isArchive(place) ? isFile(place) : lacking(definition, place).length === 0;
}

function absentEverywhere(definition: Definition, dataDirs: readonly string[]): DatasetError {
  const all = places(definition, dataDirs);
  const members = definition.train.length + definition.test.length;
  const partial = all.find((place) => !isArchive(place) && lacking(definition, place).length < members);
  const python = dataDirs
    .flatMap((dir) => definition.python.map((file) => join(dir, file)))
    .find((path) => existsSync(path));
  const partly =
    partial !== undefined
      ? `${partial} lacks ${lacking(definition, partial).join(", ")}`
      : python !== undefined
        ? `${python} is the Python version, the binary version is read`
        : null;
  const wanted = `${basename(definition.archive.path)} or its folder ${definition.folder}`;
  return missing(definition.name, all, wanted, partly);
}

/** Reads every member into place, whatever their order in the archive. */
async function read(definition: Definition, found: string): Promise<[train: ImageSet, test: ImageSet]> {
  const splits = [definition.train, definition.test].map((members) => ({
    members,
    images: new Uint8Array(total(members) * pixels),
    labels: new Uint8Array(total(members)),
    count: total(members),
  })) as [ImageSet & { members: readonly Member[] }, ImageSet & { members: readonly Member[] }];
  await eachMember(definition, found, (path, file, bytes) => {
    for (const { members, images, labels } of splits) {
      const place = members.findIndex((member) => member.file === file);
      if (place < 0) continue;
      const start = total(members.slice(0, place));
      decode(definition, path, members[place]!.count, bytes, images.subarray(start * pixels), labels.subarray(start));
    }
  });
  rejectCopies(definition, found, splits);
  return splits;
}

/**
 * One file's records into `images` `[count, 3, 32, 32]` and `labels` `[count]`.
 *
 * @throws DatasetError for another length than `count` records, or a label that is no class
 */
function decode(
  definition: Definition,
  path: string,
  count: number,
  bytes: Uint8Array,
  images: Uint8Array,
  labels: Uint8Array,
): void {
  const { name, labelBytes, classNames } = definition;
  rejectPage(name, path, bytes);
  const record = labelBytes + pixels;
  if (bytes.length !== count * record) {
    const how = bytes.length < count * record ? "cut short" : "too long";
    const other = [...definition.train, ...definition.test].find((member) => member.count * record === bytes.length);
    const hint = other === undefined ? "" : `: this is the size of ${other.file}`;
    const expected = `${count * record} bytes (${count} records of ${record})`;
    throw damaged(name, path, `${how}: expected ${expected}, found ${bytes.length}${hint}`);
  }
  for (let i = 0, at = 0; i < count; i++, at += record) {
    const label = bytes[at + labelBytes - 1]!;
    if (label >= classNames.length) {
      throw damaged(name, path, `expected labels from 0 to ${classNames.length - 1}, found ${label} in record ${i}`);
    }
    labels[i] = label;
    images.set(bytes.subarray(at + labelBytes, at + record), i * pixels);
  }
}

/** Two files of equal size with the same images are one file under two names: a test file copied from training data. */
function rejectCopies(
  definition: Definition,
  found: string,
  splits: readonly (ImageSet & { members: readonly Member[] })[],
) {
  const parts = splits.flatMap(({ members, images }) =>
    members.map(({ file, count }, i) => {
      const start = total(members.slice(0, i)) * pixels;
      return { file, images: images.subarray(start, start + count * pixels) };
    }),
  );
  for (const [i, first] of parts.entries()) {
    for (const second of parts.slice(i + 1)) {
      if (Buffer.compare(first.images, second.images) !== 0) continue;
      const where = isArchive(found) ? found : join(found, second.file);
      throw damaged(
        definition.name,
        where,
        `expected other images than in ${first.file}, found the same in ${second.file}`,
      );
    }
  }
}

/** Calls `use` with each wanted file's bytes. @throws DatasetError when one lacks or the archive cannot be read */
async function eachMember(
  definition: Definition,
  found: string,
  use: (path: string, file: string, bytes: Uint8Array) => void,
): Promise<void> {
  const wanted = [...definition.train, ...definition.test].map(({ file }) => file);
  if (!isArchive(found)) {
    for (const file of wanted) use(join(found, file), file, await readWhole(definition.name, join(found, file)));
    return;
  }
  const left = new Set(wanted);
  for await (const { name, bytes } of archiveMembers(definition.name, found, left)) {
    left.delete(name);
    use(`${found} (${name})`, name, bytes);
  }
  if (left.size > 0) throw damaged(definition.name, found, `expected it to hold ${[...left].join(", ")}, found none`);
}

async function check(definition: Definition, found: string): Promise<CheckedFile[]> {
  const archive = isArchive(found);
  const checksum = !archive
    ? "not published" // the site publishes a sum of the archive only
    : (await md5(found)) === definition.archive.md5
      ? "official"
      : "differs";
  const checked: CheckedFile[] = [];
  const members = [...definition.train, ...definition.test];
  const one = (path: string, file: string, bytes: Uint8Array) => {
    const { count } = members.find((member) => member.file === file)!;
    const entry = { path, bytes: bytes.length, checksum } as const;
    try {
      decode(definition, path, count, bytes, new Uint8Array(count * pixels), new Uint8Array(count));
      checked.push({ ...entry, images: count, problem: null });
    } catch (error) {
      checked.push({ ...entry, images: null, problem: (error as Error).message });
    }
  };
  try {
    await eachMember(definition, found, one);
  } catch (error) {
    const bytes = archive ? statSync(found).size : 0;
    checked.push({ path: found, bytes, images: null, checksum, problem: (error as Error).message });
  }
  return checked;
}
