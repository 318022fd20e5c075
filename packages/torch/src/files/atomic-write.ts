// Writing so that a file is either whole or not there: into a temporary file in the same folder, flushed to the disk,
// then renamed over the target, then the folder flushed so that the rename lasts too. A process that is killed leaves
// at most a temporary file, under a name that nobody reads.
import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, realpathSync, renameSync, statSync, unlinkSync, writeSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { FileFormatError, LARGEST_TRANSFER } from "./open-file.js";

/** Appends bytes; with a position, writes there instead, over what is there already. */
export type Write = (bytes: Uint8Array, position?: number) => void;

/** File systems take names of 255 bytes; this much of the target's goes into the temporary one. */
const LONGEST_PREFIX = 180;

/**
 * Writes a file whole or not at all. On an error the temporary file is removed and whatever stood at `file` still
 * does. A symbolic link at `file` stays; the file that it leads to is replaced.
 *
 * @param body - calls `write` for each piece
 * @throws FileFormatError naming the file and the reason when it cannot be written; what `body` throws is passed on
 */
export function writeWhole(file: string, body: (write: Write) => void): void {
  const attempt = <R>(action: () => R): R => {
    try {
      return action();
    } catch (error) {
      throw unwritable(file, error);
    }
  };
  const target = attempt(() => finalName(file)); // before writing gigabytes that cannot be put there
  const folder = dirname(target);
  const prefix = Buffer.from(basename(target)).subarray(0, LONGEST_PREFIX).toString().replace(/\ufffd+$/, ""); // biome-ignore format: one line
  const temporary = join(folder, `.${prefix}.${process.pid}-${randomBytes(6).toString("hex")}.tmp`);
  const descriptor = attempt(() => openSync(temporary, "wx"));
  let open = true;
  try {
    let end = 0;
    body((bytes, position) => {
      attempt(() => writeAt(descriptor, bytes, position ?? end));
      if (position === undefined) end += bytes.length;
    });
    attempt(() => fsyncSync(descriptor));
    open = false;
    attempt(() => closeSync(descriptor));
    attempt(() => renameSync(temporary, target));
  } catch (error) {
    try {
      if (open) closeSync(descriptor);
    } catch {} // the first error is the one to tell
    try {
      unlinkSync(temporary);
    } catch {}
    throw error;
  }
  flushFolder(folder);
}

/** The file behind `file`'s symbolic links, or `file` when there is none yet. @throws when it is a folder */
function finalName(file: string): string {
  const status = statSync(file, { throwIfNoEntry: false });
  if (status?.isDirectory() || /[/\\]$/.test(file)) throw Object.assign(new Error("is a folder"), { code: "EISDIR" });
  return status ? realpathSync(file) : file;
}

function writeAt(descriptor: number, bytes: Uint8Array, start: number): void {
  let done = 0;
  while (done < bytes.length) {
    done += writeSync(descriptor, bytes, done, Math.min(bytes.length - done, LARGEST_TRANSFER), start + done);
  }
}

/** Makes the rename itself last. Where a folder cannot be opened or flushed (Windows), the system sees to it. */
function flushFolder(folder: string): void {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(folder, "r");
    fsyncSync(descriptor);
  } catch {
    return;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function unwritable(file: string, error: unknown): FileFormatError {
  const reasons: Record<string, string> = {
    ENOENT: "the folder does not exist",
    ENOTDIR: "part of the path is not a folder",
    EACCES: "no permission to write there",
    EPERM: "the system does not permit it",
    EISDIR: "this is a folder, give the name of a file",
    ENOSPC: "the disk is full",
    EDQUOT: "the disk quota is used up",
    EFBIG: "the file is larger than the system or this user's limit permits",
    EROFS: "the file system is read-only",
    ELOOP: "its symbolic links lead in a circle",
    ENAMETOOLONG: "the name is too long",
    EMFILE: "this process has too many files open",
    ENFILE: "the system has too many files open",
    EIO: "the disk reports an error",
  };
  const { code, message } = error as NodeJS.ErrnoException;
  return new FileFormatError(file, `it cannot be written: ${reasons[code ?? ""] ?? message}`, { cause: error });
}
