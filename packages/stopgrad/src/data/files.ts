// What every set that lies in files shares: finding its folder, reading a file whole, and the sentences that say what
// is wrong. One grammar: set, file, what was expected, what was found, what to do.
import { createHash } from "node:crypto";
import { createReadStream, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { DatasetError } from "./dataset.js";

const gunzipWhole = promisify(gunzip);

/** Links count as what they lead to. @throws DatasetError when that cannot be told: a link to itself, a closed folder */
export function isFile(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const what = code === "ELOOP" ? "a link that leads to itself" : `cannot be read (${code})`;
    throw new DatasetError(`${path}: ${what}`, { cause: error });
  }
}

/** `remove this file, then run ...`: fetching replaces only a file of the same name, so the damaged one must go. */
export function damaged(set: string, path: string, what: string): DatasetError {
  return new DatasetError(`${set}: ${path}: ${what}; remove this file, then run \`stopgrad data fetch ${set}\``);
}

/**
 * The set is nowhere, or not whole.
 *
 * @param partly - where some of it was found and what lacks there, if so
 */
export function missing(set: string, places: readonly string[], wanted: string, partly: string | null): DatasetError {
  const found = partly === null ? "" : `; ${partly}`;
  return new DatasetError(
    `${set}: not found (looked in ${places.join(", ")})${found}; run \`stopgrad data fetch ${set}\`, ` +
      `or put ${wanted} there, or name the folder that has them with --data-dir or STOPGRAD_DATA`,
  );
}

/** A file's bytes, unpacked where it is gzip by content (whatever its name says). */
export async function readWhole(set: string, path: string): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new DatasetError(`${set}: ${path}: cannot be read (${(error as NodeJS.ErrnoException).code})`, {
      cause: error,
    });
  }
  rejectPage(set, path, bytes);
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) {
    if (path.endsWith(".gz")) throw damaged(set, path, `expected gzip data, found ${firstBytes(bytes)}`);
    return bytes;
  }
  try {
    return await gunzipWhole(bytes);
  } catch (error) {
    throw damaged(set, path, gzipProblem(error, bytes.length));
  }
}

/** What zlib's error means for a file of so many bytes. */
export function gzipProblem(error: unknown, bytes: number): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === "Z_BUF_ERROR"
    ? `cut short: the gzip data stops after ${bytes} bytes, before its end`
    : `damaged gzip data (${message})`;
}

/** A saved web page is the usual outcome of a download that needed a login or hit a dead address. */
export function rejectPage(set: string, path: string, bytes: Uint8Array): void {
  if (bytes.length === 0) throw damaged(set, path, "is empty");
  if (looksLikePage(bytes)) throw damaged(set, path, "is a web page (HTML), not data: a download went wrong");
}

export function looksLikePage(bytes: Uint8Array): boolean {
  return /^(\xef\xbb\xbf)?\s*<(!doctype|html|head|\?xml|!--)/i.test(
    Buffer.from(bytes.subarray(0, 64)).toString("latin1"),
  );
}

export function firstBytes(bytes: Uint8Array): string {
  const shown = Array.from(bytes.subarray(0, 4), (byte) => byte.toString(16).padStart(2, "0"));
  return bytes.length === 0 ? "no bytes" : `first bytes ${shown.join(" ")}`;
}

/** MD5 of a file or of bytes, lower-case hexadecimal: the sum the official sites publish, against accidents only. */
export async function md5(of: string | Uint8Array): Promise<string> {
  const hash = createHash("md5");
  if (typeof of === "string") for await (const chunk of createReadStream(of)) hash.update(chunk as Uint8Array);
  else hash.update(of);
  return hash.digest("hex");
}
