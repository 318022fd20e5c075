// Reading parts of a file, and the error that every format gives. A file is read at positions and in pieces, so that
// nothing of its length ever has to fit into one array: an array of JavaScript's ends at 4 GiB in Node 20.
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";

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

/** Makes the error for one file, or for one thing inside it. */
export type Refuse = (problem: string) => FileFormatError;

/** Bytes that are read at positions: a file, a part of one, or an array. */
export interface ByteSource {
  /** Length in bytes. */
  readonly size: number;
  /** Bytes `start` to `start + length`, which must be there. @throws FileFormatError when they cannot be read */
  read(start: number, length: number): Uint8Array<ArrayBuffer>;
  /** The same, but good only until the next call: reading a long file piece by piece takes one buffer. */
  readPiece(start: number, length: number): Uint8Array<ArrayBuffer>;
}

/** An open file; `size` is its length when it was opened. */
export interface OpenFile extends ByteSource {
  /** As the caller named it. */
  readonly path: string;
  readonly descriptor: number;
}

/** One read or write call takes less than 2 GiB. */
export const LARGEST_TRANSFER = 1 << 28;

/** Characters of a name in an error. */
const LONGEST_SHOWN = 120;

/** Opens `file` for reading while `body` runs. @throws FileFormatError when it cannot be opened or read */
export function withFile<R>(file: string, expected: string, body: (opened: OpenFile) => R): R {
  let descriptor: number;
  try {
    // Without O_NONBLOCK (which Windows lacks) opening a named pipe waits for a writer.
    descriptor = openSync(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    throw unreadable(file, expected, error);
  }
  try {
    const status = fstatSync(descriptor);
    if (!status.isFile()) {
      const found = status.isDirectory() ? "a folder" : "something that is not a plain file";
      throw new FileFormatError(file, `expected ${expected}, found ${found}`);
    }
    const into = (bytes: Uint8Array<ArrayBuffer>, start: number): Uint8Array<ArrayBuffer> => {
      readInto(bytes, file, expected, descriptor, start);
      return bytes;
    };
    let buffer = new Uint8Array(0);
    return body({
      path: file,
      descriptor,
      size: status.size,
      read: (start, length) => into(new Uint8Array(length), start),
      readPiece: (start, length) => {
        if (buffer.length < length) buffer = new Uint8Array(length);
        return into(buffer.subarray(0, length), start);
      },
    });
  } finally {
    closeSync(descriptor);
  }
}

/** An array as a source: what is read are views of it. */
export function bytesSource(bytes: Uint8Array): ByteSource {
  const read = (start: number, length: number) => bytes.subarray(start, start + length) as Uint8Array<ArrayBuffer>;
  return { size: bytes.length, read, readPiece: read };
}

function readInto(bytes: Uint8Array, file: string, expected: string, descriptor: number, start: number): void {
  let done = 0;
  while (done < bytes.length) {
    let count: number;
    try {
      count = readSync(descriptor, bytes, done, Math.min(bytes.length - done, LARGEST_TRANSFER), start + done);
    } catch (error) {
      throw unreadable(file, expected, error);
    }
    if (count === 0) throw new FileFormatError(file, "the file became shorter while it was read");
    done += count;
  }
}

function unreadable(file: string, expected: string, error: unknown): FileFormatError {
  const reasons: Record<string, string> = {
    ENOENT: "there is no such file",
    ENOTDIR: "there is no such file: part of the path is not a folder",
    EACCES: "no permission to read it",
    EISDIR: "this is a folder",
    ELOOP: "its symbolic links lead in a circle",
    ENAMETOOLONG: "the name is too long",
    EMFILE: "this process has too many files open",
    ENFILE: "the system has too many files open",
    EIO: "the disk reports an error",
    ENXIO: "this is not a plain file",
  };
  const { code, message } = error as NodeJS.ErrnoException;
  const reason = reasons[code ?? ""] ?? `it cannot be read: ${message}`;
  return new FileFormatError(file, `${reason}; expected ${expected}`, { cause: error });
}

/** Text from a file, safe to print: in quotes, ASCII only, and not longer than a line or two. */
export function shown(text: string): string {
  const quoted = JSON.stringify(text.slice(0, LONGEST_SHOWN)).replace(
    /[\x7f-\uffff]/g,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  const isWhole = text.length <= LONGEST_SHOWN && quoted.length <= 2 * LONGEST_SHOWN;
  return isWhole ? quoted : `${quoted.slice(0, 2 * LONGEST_SHOWN)}..."`;
}

/** Names for an error: the first few, and how many more there are. */
export function listed(names: Iterable<string>): string {
  const all = Array.from(names, shown);
  if (all.length === 0) return "none";
  return all.length <= 8 ? all.join(", ") : `${all.slice(0, 8).join(", ")} and ${all.length - 8} more`;
}
