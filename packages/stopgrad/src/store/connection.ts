// A connection to the SQLite file of a store: opening and bringing it to the present version, transactions, and keeping
// the write-ahead log small. Several processes have such connections at once.
//
// - A writer waits for another one (`timeoutMs`) instead of failing, and never for readers; readers wait for nobody.
// - The write-ahead log can start again from its beginning only at a moment when no reader uses it. With many readers
//   there may never be one by itself, so a writer that finds it long makes one: `wal_checkpoint(TRUNCATE)` sends readers
//   that begin to the database and waits for those that are in the middle.
// - A reading connection creates no file. SQLite would create its shared index beside the database even for reading;
//   where there is no log, nobody writes and the file is read as it is, until a log appears.
//
// The driver has the interface of Node's own `node:sqlite` and can be replaced by it.
import { accessSync, closeSync, constants, existsSync, openSync, readSync, type Stats, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { DatabaseSync } from "@photostructure/sqlite";
import { makeFolder } from "../folders.js";
import { describeSystemError } from "../system-error.js";
import { StoreError } from "./errors.js";
import { cannotBeOpened, explained, isBusy, isCorrupt } from "./explain.js";
import { APPLICATION_ID, MIGRATIONS } from "./migrations.js";

export const STORE_FILE = "stopgrad.db";

export interface OpenOptions {
  /** Never writes, and creates nothing; `missing` where there is no store. Default false. */
  readonly readonly?: boolean;
  /** How long a write waits while another process writes, in milliseconds. Default 10 000. */
  readonly timeoutMs?: number;
}

/** The log is cut back when it is longer than this; SQLite copies it into the database at every 4 MiB by itself. */
export const LONGEST_LOG_BYTES = 16 * 2 ** 20;
/** Commits between two looks at its length. */
const LOOK_AT_LOG_EVERY = 16;
/** How long cutting it back waits for readers in the middle of a read, in milliseconds. */
const PATIENCE_WITH_READERS_MS = 1000;

type Database = InstanceType<typeof DatabaseSync>;
export type Statement = ReturnType<Database["prepare"]>;

export class Connection {
  readonly #statements = new Map<string, Statement>();
  #commits = 0;
  /** Length of the log at which it is cut back. */
  #logLimit = LONGEST_LOG_BYTES;

  private constructor(
    readonly file: string,
    readonly readonly: boolean,
    private readonly timeoutMs: number,
    private database: Database,
    /** Reads the file as it is, which is right as long as nobody writes. */
    private frozen: boolean,
  ) {}

  /** Opens the store of a runs folder, creating both where they are missing. @throws StoreError */
  static open(runsDir: string, { readonly = false, timeoutMs = 10_000 }: OpenOptions): Connection {
    const file = resolve(runsDir, STORE_FILE);
    if (readonly) requireStore(runsDir, file);
    else requireWritable(runsDir, file);
    return explained(file, () => {
      requireWhole(file);
      const [database, frozen] = readonly ? openForReading(file, timeoutMs) : [openForWriting(file, timeoutMs), false];
      return new Connection(file, readonly, timeoutMs, database, frozen);
    });
  }

  /** Prepared once. */
  statement(sql: string): Statement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  /** @throws StoreError */
  read<T>(work: () => T): T {
    return explained(this.file, () => {
      if (this.frozen && hasContent(`${this.file}-wal`)) this.#thaw();
      try {
        return work();
      } catch (error) {
        // Somebody may have begun to write in the middle of it.
        if (!this.frozen || !isCorrupt(error) || !existsSync(`${this.file}-wal`)) throw error;
        this.#thaw();
        return work();
      }
    });
  }

  /** All of `work` or nothing of it. @throws StoreError */
  write<T>(work: () => T): T {
    if (this.readonly) throw new StoreError("readonly", `${this.file}: opened read-only`);
    return explained(this.file, () => {
      const result = inTransaction(this.database, work);
      this.#commits += 1;
      if (this.#commits % LOOK_AT_LOG_EVERY === 0) this.#keepLogShort();
      return result;
    });
  }

  /**
   * Leaves the database whole in its one file where nobody is in the middle of a read. The driver gives the log's files
   * back only when the prepared statements are collected, at the latest when the process ends.
   */
  close(): void {
    if (!this.database.isOpen) return;
    this.#statements.clear();
    if (!this.readonly) this.#cutLog();
    this.database.close();
  }

  /** Somebody writes: from here on as one of several. */
  #thaw(): void {
    this.#statements.clear();
    this.database.close();
    this.database = new DatabaseSync(this.file, { readOnly: true, timeout: this.timeoutMs });
    this.frozen = false;
  }

  #keepLogShort(): void {
    const bytes = sizeOf(`${this.file}-wal`);
    if (bytes < this.#logLimit) return;
    this.#logLimit = this.#cutLog() ? LONGEST_LOG_BYTES : bytes + LONGEST_LOG_BYTES;
  }

  /** What is committed stays so whatever becomes of this, so that it fails in silence. @returns whether it was done */
  #cutLog(): boolean {
    try {
      this.database.exec(`PRAGMA busy_timeout = ${Math.min(PATIENCE_WITH_READERS_MS, this.timeoutMs)}`);
      const { busy } = this.database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get() as { busy: number };
      return busy === 0;
    } catch {
      return false;
    } finally {
      this.database.exec(`PRAGMA busy_timeout = ${this.timeoutMs}`);
    }
  }
}

function requireStore(runsDir: string, file: string): void {
  const folder = statOf(runsDir, runsDir);
  if (folder === undefined) throw new StoreError("missing", `no runs in ${runsDir}: there is no such folder`);
  requireFolder(runsDir, folder);
  const store = statOf(file, runsDir);
  if (store === undefined) throw new StoreError("missing", `no runs in ${runsDir}: there is no ${STORE_FILE}`);
  requireFile(file, store);
}

/** SQLite itself would open what it may not write for reading, and fail at the first write. */
function requireWritable(runsDir: string, file: string): void {
  const folder = statOf(runsDir, runsDir);
  if (folder === undefined) {
    try {
      makeFolder(runsDir);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EEXIST" || code === "ENOTDIR") throw noFolder(runsDir, error);
      const why = describeSystemError(error) ?? (error as Error).message;
      const kind = code === "ENOSPC" || code === "EDQUOT" ? "failed" : "readonly";
      throw new StoreError(kind, `${runsDir}: the folder cannot be created: ${why}; choose another --runs folder`, {
        cause: error,
      });
    }
  } else {
    requireFolder(runsDir, folder);
  }
  const store = statOf(file, runsDir);
  if (store !== undefined) requireFile(file, store);
  for (const path of store === undefined ? [dirname(file)] : [dirname(file), file]) {
    try {
      accessSync(path, constants.W_OK);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      throw new StoreError("readonly", `${path}: may not be written (${code}); choose another --runs folder`, {
        cause: error,
      });
    }
  }
}

/** Undefined where nothing is. @throws StoreError where that cannot be seen */
function statOf(path: string, runsDir: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOTDIR") throw noFolder(runsDir, error);
    const why = describeSystemError(error) ?? (error as Error).message;
    throw new StoreError("readonly", `${path}: ${why}; choose another --runs folder`, { cause: error });
  }
}

function requireFolder(runsDir: string, found: Stats): void {
  if (!found.isDirectory()) throw noFolder(runsDir);
}

function noFolder(runsDir: string, cause?: unknown): StoreError {
  return new StoreError("failed", `${runsDir}: expected a folder for runs, found a file`, { cause });
}

function requireFile(file: string, found: Stats): void {
  if (!found.isFile()) throw new StoreError("not-a-store", `${file}: expected the store's file, found something else`);
}

/**
 * A file that was cut off, as a copy that ran out of room is, can be opened and written to for a while before SQLite
 * misses anything. Its header says how long it should be (https://sqlite.org/fileformat.html, 1.3).
 */
function requireWhole(file: string): void {
  const header = Buffer.alloc(100);
  const log = `${file}-wal`;
  if (hasContent(log) || sizeOf(file) === 0) return; // what is missing may be in the log; an empty file is a new store
  const descriptor = openToRead(file);
  try {
    if (readSync(descriptor, header) < header.length) return; // no database at all: SQLite says so
  } finally {
    closeSync(descriptor);
  }
  const pageBytes = header.readUInt16BE(16) === 1 ? 65_536 : header.readUInt16BE(16);
  const isKnown =
    header.toString("latin1", 0, 16) === "SQLite format 3\0" && header.readUInt32BE(24) === header.readUInt32BE(92);
  if (isKnown && sizeOf(file) < pageBytes * header.readUInt32BE(28) && !hasContent(log)) {
    throw new StoreError("not-a-store", `${file}: cut off; restore a copy, or move it away to start anew`);
  }
}

function openToRead(file: string): number {
  try {
    return openSync(file, "r");
  } catch (error) {
    const why = describeSystemError(error) ?? (error as Error).message;
    throw new StoreError("readonly", `${file}: ${why}`, { cause: error });
  }
}

function openForWriting(file: string, timeout: number): Database {
  const database = new DatabaseSync(file, { timeout, enableForeignKeyConstraints: true });
  try {
    const version = storeVersion(database, file);
    patiently(timeout, () => {
      // FULL: a checkpoint of a run is written after its metrics are stored, and must not outlive them in a power cut.
      database.exec(
        `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = ${LONGEST_LOG_BYTES};`,
      );
    });
    if (version < MIGRATIONS.length) {
      inTransaction(database, () => migrate(database, storeVersion(database, file))); // another process may be faster
    }
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** @returns the database, and whether it is the file as it lies there or a copy of it, so that it does not change */
function openForReading(file: string, timeout: number): [Database, frozen: boolean] {
  // Beside a log of no length nobody has written yet.
  let frozen = !hasContent(`${file}-wal`) && !existsSync(`${file}-shm`);
  let database = frozen ? openFrozen(file, timeout) : new DatabaseSync(file, { readOnly: true, timeout });
  try {
    database.prepare("SELECT count(*) FROM sqlite_schema").get();
  } catch (error) {
    database.close();
    // A folder that may not be written has no room for the files that readers share.
    if (!cannotBeOpened(error) || hasContent(`${file}-wal`)) throw error;
    database = openFrozen(file, timeout);
    frozen = true;
  }
  try {
    const version = storeVersion(database, file);
    if (version === 0) throw new StoreError("missing", `no runs in ${file} yet`);
    if (version === MIGRATIONS.length) return [database, frozen];
    return [migratedCopy(database, file, version), false];
  } catch (error) {
    database.close();
    throw error;
  }
}

function openFrozen(file: string, timeout: number): Database {
  return new DatabaseSync(`${pathToFileURL(file)}?immutable=1`, { readOnly: true, timeout });
}

/** A store of an earlier version, read without changing it: its rows in memory, brought to the present version. */
function migratedCopy(source: Database, file: string, version: number): Database {
  const copy = new DatabaseSync(":memory:");
  migrate(copy, 0, version);
  source.exec("BEGIN");
  const tables = copy.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all() as { name: string }[];
  inTransaction(copy, () => {
    for (const { name } of tables) {
      const columns = (copy.prepare(`PRAGMA table_info(${name})`).all() as { name: string }[]).map((row) => row.name);
      const insert = copy.prepare(
        `INSERT INTO ${name} (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`,
      );
      for (const row of source.prepare(`SELECT ${columns.join(", ")} FROM ${name}`).iterate()) {
        insert.run(...(Object.values(row as object) as (string | number | null)[]));
      }
    }
  });
  source.close();
  migrate(copy, storeVersion(copy, file));
  return copy;
}

/** The steps that a database of `version` lacks. */
function migrate(database: Database, version: number, to = MIGRATIONS.length): void {
  if (version >= to) return;
  for (const step of MIGRATIONS.slice(version, to)) database.exec(step);
  database.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${to};`);
}

/** How many migrations it has had; 0 when it is new. @throws StoreError when it is no store, or one of a later version */
function storeVersion(database: Database, file: string): number {
  const pragma = (name: string) => Number(Object.values(database.prepare(`PRAGMA ${name}`).get() as object)[0]);
  const version = pragma("user_version");
  const tables = Number((database.prepare("SELECT count(*) AS n FROM sqlite_schema").get() as { n: number }).n);
  if (pragma("application_id") !== APPLICATION_ID && (tables > 0 || version > 0)) {
    const message = `${file}: a database of another program, not of stopgrad; choose another --runs folder`;
    throw new StoreError("not-a-store", message);
  }
  if (version > MIGRATIONS.length) {
    const message = `${file}: written by a newer stopgrad (store version ${version}, this one knows ${MIGRATIONS.length}); update stopgrad or choose another --runs folder`;
    throw new StoreError("newer", message);
  }
  return version;
}

function inTransaction<T>(database: Database, work: () => T): T {
  database.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    database.exec("COMMIT");
    return result;
  } catch (error) {
    try {
      if (database.isTransaction) database.exec("ROLLBACK");
    } catch {
      // SQLite rolls back when the database is closed or next opened; the first error is the one to tell.
    }
    throw error;
  }
}

/** Where SQLite answers "busy" without waiting, as when two connections turn the same new file to write-ahead logging. */
function patiently(timeoutMs: number, work: () => void): void {
  const end = performance.now() + timeoutMs;
  for (;;) {
    try {
      work();
      return;
    } catch (error) {
      if (!isBusy(error) || performance.now() > end) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

function hasContent(path: string): boolean {
  return sizeOf(path) > 0;
}

/** 0 where there is no such file. */
function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
