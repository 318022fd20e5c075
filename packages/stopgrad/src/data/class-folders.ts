// A folder of class folders of images, as torchvision's ImageFolder reads it: which images there are, of which class and in
// which split. Looks at names only; no file is opened.
//
//   photos/cat/1.jpg                 or   photos/train/cat/1.jpg
//   photos/dog/2.png                      photos/test/dog/2.png     (or val/, ...; in any case)
//
// Classes are the sorted names of the folders, images are found at any depth below, other files and whatever begins with
// a dot are left out. Names are sorted by their bytes, so that every machine gives the same order.
import { createHash } from "node:crypto";
import { type Dirent, readdirSync, realpathSync, type Stats, statSync } from "node:fs";
import { homedir } from "node:os";
import { extname, join, relative, resolve, sep } from "node:path";
import { DatasetError } from "./dataset.js";

/** An image file. */
export interface ImageFile {
  /** Absolute. */
  readonly path: string;
  /** Below the folder, with forward slashes: `train/cat/1.jpg`. */
  readonly name: string;
  readonly label: number;
  readonly split: "train" | "test";
}

export interface ClassFolders {
  /** Absolute. */
  readonly folder: string;
  /** In label order. */
  readonly classNames: readonly string[];
  /** By split, by label, by name; train first. */
  readonly images: readonly ImageFile[];
}

export interface SplitOptions {
  /** Share of each class that goes into the test split, where there are no folders of the splits; in (0, 1). */
  readonly testFraction: number;
  /** Another seed draws another test split. */
  readonly seed: number;
}

const EXTENSIONS = [".jpg", ".jpeg", ".png", ".webp"];
/** Labels are bytes. */
const MOST_CLASSES = 256;
const TRAIN_FOLDERS = ["train", "training"];
/** Folders of the test split beside `train/`; the first that is there, the others are left out. */
const TEST_FOLDERS = ["test", "testing", "val", "valid", "validation"];

/**
 * @param path - relative to the working directory; `~/` is the home directory
 * @throws DatasetError when there is no such folder, it does not hold two classes or more, each with images, or a link in it
 *   cannot be followed
 */
export function findImages(path: string, { testFraction, seed }: SplitOptions): ClassFolders {
  const folder = resolve(path.replace(/^~(?=$|[/\\])/, homedir));
  const below = foldersIn(folder);
  const splits = splitFolders(folder, below);
  if (splits === null) return drawSplit(classesIn(folder, folder, below), testFraction, seed);

  const train = classesIn(folder, splits.train);
  const names = foldersIn(splits.test);
  const unknown = names.filter((name) => !train.classNames.includes(name));
  if (unknown.length > 0) throw problem(splits.test, `expected classes of ${splits.train}, found ${list(unknown)}`);
  const test = train.classNames.flatMap((name, label) =>
    names.includes(name) ? imagesIn(folder, join(splits.test, name), label, "test") : [],
  );
  if (test.length === 0) throw problem(splits.test, "expected class folders with images, found none");
  return { ...train, images: [...train.images, ...test] };
}

/**
 * The folders of the splits; null where those in a folder are classes.
 *
 * @param below - names of the folders in it
 * @throws DatasetError when all of them are called like splits and one of the two is missing, or stands there twice
 */
function splitFolders(folder: string, below: readonly string[]): { train: string; test: string } | null {
  const called = (names: readonly string[]) => below.filter((name) => names.includes(name.toLowerCase()));
  const trains = called(TRAIN_FOLDERS);
  const tests = TEST_FOLDERS.map((name) => called([name])).find((found) => found.length > 0) ?? [];
  const [train, test] = [trains[0], tests[0]];
  if (train === undefined || test === undefined) {
    if (below.length === 0 || called([...TRAIN_FOLDERS, ...TEST_FOLDERS]).length < below.length) return null;
    const beside = `beside ${below.length > 1 ? "them" : "it"}, ${train === undefined ? "train" : "test or val"} is missing`;
    throw problem(folder, `expected two class folders or more, found only ${list(below)} (${beside})`);
  }
  const twice = [trains, tests].find((found) => found.length > 1);
  if (twice) throw problem(folder, `expected one folder of each split, found ${list(twice)}`);
  return { train: join(folder, train), test: join(folder, test) };
}

/** Every class of a folder, all its images in the training split. */
function classesIn(root: string, folder: string, classNames = foldersIn(folder)): ClassFolders {
  if (classNames.length < 2)
    throw problem(folder, `expected two class folders or more, found ${tooFew(folder, classNames)}`);
  if (classNames.length > MOST_CLASSES) {
    throw problem(folder, `expected at most ${MOST_CLASSES} class folders, found ${classNames.length}`);
  }
  const byClass = classNames.map((name, label) => imagesIn(root, join(folder, name), label, "train"));
  const empty = classNames.filter((_, label) => byClass[label]!.length === 0);
  if (empty.length > 0) {
    const wanted = `images (${EXTENSIONS.join(", ")}) in every class folder`;
    throw problem(folder, `expected ${wanted}, found none in ${list(empty)}`);
  }
  return { folder: root, classNames, images: byClass.flat() };
}

function tooFew(folder: string, classNames: readonly string[]): string {
  if (classNames.length === 1) return `only ${classNames[0]}`;
  const loose = entriesOf(folder).filter(({ name }) => isImage(name)).length;
  return loose > 0 ? `none but loose images (${loose}); put them into a folder for each class` : "none";
}

/**
 * Moves a share of every class into the test split: the images whose hashes, of seed and name, are smallest. So an image
 * that is added or taken away leaves the others where they are, nearly.
 */
function drawSplit(found: ClassFolders, testFraction: number, seed: number): ClassFolders {
  const rank = ({ name }: ImageFile) => createHash("sha256").update(`${seed}/${name}`).digest("hex");
  const chosen = new Set<ImageFile>();
  for (const label of found.classNames.keys()) {
    const members = found.images.filter((image) => image.label === label);
    const ranks = new Map(members.map((image) => [image, rank(image)]));
    const ordered = members.sort((a, b) => (ranks.get(a)! < ranks.get(b)! ? -1 : 1));
    // Both splits get one where there are two.
    const size = Math.min(Math.max(Math.round(testFraction * members.length), 1), members.length - 1);
    for (const image of ordered.slice(0, size)) chosen.add(image);
  }
  if (chosen.size === 0) {
    throw problem(
      found.folder,
      "expected a class with two images or more, to draw a test split from, found one in each",
    );
  }
  const train = found.images.filter((image) => !chosen.has(image));
  const test = found.images.filter((image) => chosen.has(image)).map((image) => ({ ...image, split: "test" as const }));
  return { ...found, images: [...train, ...test] };
}

/** Images of a class at any depth, sorted by name. */
function imagesIn(root: string, folder: string, label: number, split: ImageFile["split"]): ImageFile[] {
  const prefix = relative(root, folder).split(sep).join("/");
  return namesBelow(folder, [])
    .map((name) => `${prefix}/${name}`)
    .sort(byBytes)
    .map((name) => ({ path: join(root, name), name, label, split }));
}

/** @param above - real paths of the folders above, so that a link back to one of them is not followed for ever */
function namesBelow(folder: string, above: readonly string[]): string[] {
  const real = realpathSync(folder);
  if (above.includes(real)) return [];
  return entriesOf(folder).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (isFolder(path, entry)) return namesBelow(path, [...above, real]).map((name) => `${entry.name}/${name}`);
    return isImage(entry.name) && isFile(path, entry) ? [entry.name] : [];
  });
}

/** Names of the folders in a folder, sorted. */
function foldersIn(folder: string): string[] {
  return entriesOf(folder)
    .filter((entry) => isFolder(join(folder, entry.name), entry))
    .map(({ name }) => name)
    .sort(byBytes);
}

/** What a folder holds, except what is hidden. @throws DatasetError when it cannot be listed */
function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).filter(({ name }) => !name.startsWith("."));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const found =
      code === "ENOENT" ? "nothing there" : code === "ENOTDIR" ? "a file" : `a folder that cannot be read (${code})`;
    throw problem(folder, `expected a folder of class folders of images, found ${found}`);
  }
}

/** Links count as what they lead to. */
function isFolder(path: string, entry: Dirent): boolean {
  return entry.isSymbolicLink() ? (targetOf(path)?.isDirectory() ?? false) : entry.isDirectory();
}

function isFile(path: string, entry: Dirent): boolean {
  return entry.isSymbolicLink() ? (targetOf(path)?.isFile() ?? false) : entry.isFile();
}

/** What a link leads to, undefined where there is nothing. @throws DatasetError when that cannot be told */
function targetOf(link: string): Stats | undefined {
  try {
    return statSync(link, { throwIfNoEntry: false });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const found = code === "ELOOP" ? "one that leads to itself" : `one that cannot be followed (${code})`;
    throw problem(link, `expected a link to an image or a folder, found ${found}; replace or remove it`, error);
  }
}

function isImage(name: string): boolean {
  return EXTENSIONS.includes(extname(name).toLowerCase());
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** `a, b, c and 5 more`. */
function list(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(", ");
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}

function problem(path: string, what: string, cause?: unknown): DatasetError {
  return new DatasetError(`folder: ${path}: ${what}`, { cause });
}
