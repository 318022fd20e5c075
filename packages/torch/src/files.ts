// What the file formats share: the error they give, reading parts of a file, and writing so that a file is either whole
// or not there: a process that is killed leaves at most a temporary file, under a name that nobody reads.
import { randomBytes } from "node:crypto";
import { closeSync, fstatSync, fsyncSync, openSync, readSync, renameSync, unlinkSync, writeSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** A file that cannot be read or written. The message names the file, what was found and what would be right. */
export class FileFormatError extends Error {
  override readonly name = "FileFormatError";

  constructor(
    /** The file, as the caller named it. */
    readonly file: string,
    /** What was found, and what would be right. */
    readonly problem: string,
    options?: ErrorOptions,
  ) {
    super(`${file}: ${problem}`, options);
  }
}

/** One read or write call takes less than 2 GiB. */
const LARGEST_TRANSFER = 1 << 28;

/** An open file that is read at positions. */
export interface OpenFile {
  /** Length in bytes when it was opened. */
  readonly size: number;
  /** Bytes `start` to `start + length`. @throws FileFormatError when the file ends before that */
  read(start: number, length: number): Uint8Array<ArrayBuffer>;
}

/** Opens `file` for reading while `body` runs. @throws FileFormatError when it cannot be opened or read */
export function withFile<R>(file: string, expected: string, body: (opened: OpenFile) => R): R {
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch (error) {
    throw unreadable(file, expected, error);
  }
  try {
    const status = fstatSync(descriptor);
    if (!status.isFile()) throw new FileFormatError(file, `expected ${expected}, found ${kindOf(status)}`);
    return body({ size: status.size, read: (start, length) => readAt(file, expected, descriptor, start, length) });
  } finally {
    closeSync(descriptor);
  }
}

function readAt(
  file: string,
  expected: string,
  descriptor: number,
  start: number,
  length: number,
): Uint8Array<ArrayBuffer> {
  try {
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const count = readSync(descriptor, bytes, done, Math.min(length - done, LARGEST_TRANSFER), start + done);
      if (count === 0) throw new FileFormatError(file, `the file became shorter while it was read`);
      done += count;
    }
    return bytes;
  } catch (error) {
    throw error instanceof FileFormatError ? error : unreadable(file, expected, error);
  }
}

/**
 * Writes a file whole or not at all: into a temporary file in the same folder, flushed to the disk, then renamed over
 * `file`. On an error the temporary file is removed and whatever stood at `file` still does.
 *
 * @param body - calls `write` for each piece; a position writes there instead of at the end
 * @throws FileFormatError when it cannot be written; what `body` throws is passed on
 */
export function writeWhole(file: string, body: (write: (bytes: Uint8Array, position?: number) => void) => void): void {
  const folder = dirname(file);
  const temporary = join(folder, `.${basename(file)}.${process.pid}-${randomBytes(6).toString("hex")}.tmp`);
  const attempt = <R>(action: () => R): R => {
    try {
      return action();
    } catch (error) {
      throw unwritable(file, error);
    }
  };
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
    attempt(() => renameSync(temporary, file));
  } catch (error) {
    if (open) closeSync(descriptor);
    try {
      unlinkSync(temporary);
    } catch {} // the first error is the one to tell
    throw error;
  }
  flushFolder(folder);
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

function kindOf(status: { isDirectory(): boolean }): string {
  return status.isDirectory() ? "a folder" : "something that is not a plain file";
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "";
}

function unreadable(file: string, expected: string, error: unknown): FileFormatError {
  const reasons: Record<string, string> = {
    ENOENT: "there is no such file",
    ENOTDIR: "there is no such file: part of the path is not a folder",
    EACCES: "no permission to read it",
    EISDIR: "this is a folder",
  };
  const reason = reasons[codeOf(error)] ?? `it cannot be read: ${(error as Error).message}`;
  return new FileFormatError(file, `${reason}; expected ${expected}`, { cause: error });
}

function unwritable(file: string, error: unknown): FileFormatError {
  const reasons: Record<string, string> = {
    ENOENT: "the folder does not exist",
    ENOTDIR: "part of the path is not a folder",
    EACCES: "no permission to write there",
    EISDIR: "this is a folder, give the name of a file",
    ENOSPC: "the disk is full",
    EROFS: "the file system is read-only",
  };
  const reason = reasons[codeOf(error)] ?? (error as Error).message;
  return new FileFormatError(file, `it cannot be written: ${reason}`, { cause: error });
}
