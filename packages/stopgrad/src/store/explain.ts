// SQLite's errors as sentences: which file, what is wrong, what would help.
import { StoreError, type StoreErrorCode } from "./errors.js";

// SQLite's primary result codes that mean something to a user (https://sqlite.org/rescode.html).
const ERROR = 1;
const PERMISSION = 3;
const BUSY = 5;
const LOCKED = 6;
const READ_ONLY = 8;
const IO_ERROR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANNOT_OPEN = 14;
const PROTOCOL = 15;
const NOT_A_DATABASE = 26;

/** The lowest byte of the error's extended code; 0 for an error that is not SQLite's. */
function primaryCode(error: unknown): number {
  const { errcode, code, message } = (error ?? {}) as { errcode?: unknown; code?: unknown; message?: unknown };
  if (typeof errcode === "number") return errcode & 0xff;
  if (code !== "ERR_SQLITE_ERROR") return 0;
  return message === "database disk image is malformed" ? CORRUPT : ERROR; // reading many rows, the driver drops the code
}

/** Whether another connection was in the way. */
export function isBusy(error: unknown): boolean {
  return [BUSY, LOCKED, PROTOCOL].includes(primaryCode(error));
}

/** Whether the file's bytes are not what they should be. */
export function isCorrupt(error: unknown): boolean {
  return [CORRUPT, NOT_A_DATABASE].includes(primaryCode(error));
}

/** Whether the folder has no room for the files that connections share. */
export function cannotBeOpened(error: unknown): boolean {
  return [CANNOT_OPEN, READ_ONLY, PERMISSION].includes(primaryCode(error));
}

/** Runs `work`; what SQLite throws becomes a `StoreError` that says what to do. */
export function explained<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const code = primaryCode(error);
    if (code === 0) throw error;
    const [kind, sentence] = sentenceFor(code, (error as Error).message);
    throw new StoreError(kind, `${file}: ${sentence}`, { cause: error });
  }
}

function sentenceFor(code: number, message: string): [StoreErrorCode, string] {
  switch (code) {
    case BUSY:
    case LOCKED:
    case PROTOCOL:
      return ["locked", "locked by another process for too long; try again when it has finished"];
    case READ_ONLY:
    case CANNOT_OPEN:
    case PERMISSION:
      return ["readonly", "cannot be opened for this; may the file and its folder be read and written?"];
    case NOT_A_DATABASE:
      return ["not-a-store", "not an SQLite database; move it away or choose another --runs folder"];
    case CORRUPT:
      return ["not-a-store", "damaged; restore a copy, or move it away to start anew"];
    case FULL:
      return ["failed", "the disk is full; make room and give the same command again"];
    case IO_ERROR:
      return [
        "failed",
        `the system would not read or write it (${message}): is a quota or a limit of file sizes reached, or the disk failing?`,
      ];
    default:
      return ["failed", message];
  }
}
