// What images are, wherever they lie: SHA-256 of their names and bytes. Reading 100,000 photographs can take minutes, so the
// sum of each is kept in the user's cache, beside the decoded images, and a file is read again only when its size, a time
// (of change, or of change to its status) or its place on the disk differs. Nothing depends on what is kept: a damaged file
// counts as absent, and where none can be written, images are read once a process.
//
// Format: SHA-256 of the rest, a line end, JSON: a list of [name, stamp, sum].
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { makeFolder } from "../folders.js";
import { writeWhole } from "../write-whole.js";
import type { ClassFolders, ImageFile } from "./class-folders.js";
import { DatasetError } from "./dataset.js";
import { cacheDirectory } from "./locate.js";

/** An image's sum, and how its file looked from outside when it was read. */
interface Sum {
  readonly stamp: string;
  readonly sum: string;
}

type Sums = ReadonlyMap<string, Sum>;

/** What this process has read already, by the path of the file it is kept in. */
const remembered = new Map<string, Sums>();

/**
 * One sum for all images of a folder: another where one is added, taken away, renamed or changed; the same for a copy, and
 * however they are split.
 *
 * @returns 64 hexadecimal digits
 * @throws DatasetError for the first file that cannot be read
 */
export function sumOfImages({ folder, images }: ClassFolders): string {
  const kept = join(cacheDirectory(), "images", `${sha256(folder).slice(0, 32)}.sums`);
  const known = remembered.get(kept) ?? readSums(kept);
  const sums = new Map(images.map((image) => [image.name, sumOf(image, known.get(image.name))]));
  const isKnown = sums.size === known.size && [...sums].every(([name, sum]) => known.get(name) === sum);
  remembered.set(kept, sums);
  if (!isKnown) writeSums(kept, sums);
  const byName = [...sums].map(([name, { sum }]) => `${sum} ${JSON.stringify(name)}\n`).sort();
  return sha256(byName.join(""));
}

/** @param known - as it was when it was last read */
function sumOf({ path }: ImageFile, known: Sum | undefined): Sum {
  try {
    // The stamp first: a file that changes meanwhile is read again the next time.
    const { size, mtimeMs, ctimeMs, ino } = statSync(path);
    const stamp = [size, mtimeMs, ctimeMs, ino].join(" ");
    return known?.stamp === stamp ? known : { stamp, sum: sha256(readFileSync(path)) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new DatasetError(`folder: ${path}: cannot be read (${code})`, { cause: error });
  }
}

function readSums(path: string): Sums {
  try {
    const text = readFileSync(path, "utf8");
    const end = text.indexOf("\n");
    const rest = text.slice(end + 1);
    if (text.slice(0, end) !== sha256(rest)) return new Map();
    const listed = JSON.parse(rest) as [name: string, stamp: string, sum: string][];
    return new Map(listed.map(([name, stamp, sum]) => [name, { stamp, sum }]));
  } catch {
    return new Map();
  }
}

/** Puts the file in place whole; says nothing when that cannot be done. */
function writeSums(path: string, sums: Sums): void {
  try {
    makeFolder(dirname(path));
  } catch {
    return;
  }
  const rest = JSON.stringify([...sums].map(([name, { stamp, sum }]) => [name, stamp, sum]));
  try {
    writeWhole(path, `${sha256(rest)}\n${rest}`);
  } catch {} // they are made again
}

function sha256(of: string | Uint8Array): string {
  return createHash("sha256").update(of).digest("hex");
}
