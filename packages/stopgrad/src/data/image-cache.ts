// Decoded images kept for the next time, a file a set: decoding takes minutes, reading it back seconds. A file is named after
// what was decoded and how, holds a checksum, and is put in place whole; one that is damaged counts as absent. Nothing
// depends on it: where it cannot be written, images are decoded again.
//
// Format: 32 bytes of header (text, padded with spaces), the images one after the other, SHA-256 of both.
import { createHash, randomUUID } from "node:crypto";
import { readdirSync, rmSync } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { makeFolder } from "../folders.js";

/** What a file holds. */
export interface CachedImages {
  readonly count: number;
  /** Bytes of one image. */
  readonly bytes: number;
}

const SUFFIX = ".images";
const HEADER_BYTES = 32;
const CHECKSUM_BYTES = 32;
/** Bytes that are read or written at a time, about. */
const PIECE_BYTES = 2 ** 22;

/**
 * Path of a cache file. Files of one `kind` replace each other.
 *
 * @param kind - what the images are and how they were decoded, for example the folder and the size
 * @param content - everything else that decides the bytes, for example a sum of the files' names and bytes
 */
export function cacheFile(folder: string, kind: unknown, content: unknown): string {
  const digest = (value: unknown) => createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 32);
  return join(folder, `${digest(kind)}-${digest(content)}${SUFFIX}`);
}

/**
 * Reads a file image by image.
 *
 * @param put - called for every image in order, also when the file turns out to be damaged; `pixels` is valid until it
 *   returns
 * @returns whether the file was there and whole
 */
export async function readCache(
  path: string,
  { count, bytes }: CachedImages,
  put: (index: number, pixels: Uint8Array) => void,
): Promise<boolean> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch {
    return false;
  }
  try {
    const { size } = await file.stat();
    if (size !== HEADER_BYTES + count * bytes + CHECKSUM_BYTES) return false;
    const header = await readExactly(file, new Uint8Array(HEADER_BYTES));
    if (Buffer.compare(header, headerOf({ count, bytes })) !== 0) return false;
    const sum = createHash("sha256").update(header);
    const together = Math.max(1, Math.floor(PIECE_BYTES / bytes));
    const piece = new Uint8Array(together * bytes);
    for (let start = 0; start < count; start += together) {
      const images = Math.min(together, count - start);
      sum.update(await readExactly(file, piece.subarray(0, images * bytes)));
      for (let i = 0; i < images; i++) put(start + i, piece.subarray(i * bytes, (i + 1) * bytes));
    }
    const stored = await readExactly(file, new Uint8Array(CHECKSUM_BYTES));
    return Buffer.compare(stored, sum.digest()) === 0;
  } catch {
    return false;
  } finally {
    await file.close();
  }
}

/**
 * Writes a file, in place of older ones of its kind. Says nothing when that cannot be done.
 *
 * @param get - an image's bytes
 */
export async function writeCache(
  path: string,
  { count, bytes }: CachedImages,
  get: (index: number) => Uint8Array,
): Promise<void> {
  const part = `${path}.${randomUUID()}.part`;
  try {
    makeFolder(dirname(path));
    const file = await open(part, "wx");
    try {
      const header = headerOf({ count, bytes });
      const sum = createHash("sha256").update(header);
      await file.writeFile(header);
      const together = Math.max(1, Math.floor(PIECE_BYTES / bytes));
      for (let start = 0; start < count; start += together) {
        const length = Math.min(together, count - start);
        const piece = Buffer.concat(Array.from({ length }, (_, i) => get(start + i)));
        sum.update(piece);
        await file.writeFile(piece);
      }
      await file.writeFile(sum.digest());
    } finally {
      await file.close();
    }
    await rename(part, path);
    removeOthers(path);
  } catch {
    await rm(part, { force: true }).catch(() => {});
  }
}

function headerOf({ count, bytes }: CachedImages): Uint8Array {
  return Buffer.from(`stopgrad 1 ${count} ${bytes}`.padEnd(HEADER_BYTES));
}

/** Files of the same kind: of the images as they were before, and of writers that were killed. */
function removeOthers(path: string): void {
  const [kind] = basename(path).split("-");
  for (const name of readdirSync(dirname(path))) {
    const isSameKind = name.startsWith(`${kind}-`) && name !== basename(path);
    if (isSameKind) rmSync(join(dirname(path), name), { force: true });
  }
}

/** Fills `buffer`. @throws when the file ends before */
async function readExactly(file: FileHandle, buffer: Uint8Array): Promise<Uint8Array> {
  for (let done = 0; done < buffer.length; ) {
    const { bytesRead } = await file.read(buffer, done, buffer.length - done);
    if (bytesRead === 0) throw new Error("the file ends early");
    done += bytesRead;
  }
  return buffer;
}
