// The run store in one SQLite file, `<runs>/stopgrad.db`. Several processes read and write it at once: write-ahead
// logging, short transactions, and a wait instead of an error while another one writes. A process that is killed leaves
// either all of a transaction or nothing of it.
//
// The driver has the interface of Node's own `node:sqlite` and can be replaced by it.
import { accessSync, constants, existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { DatabaseSync } from "@photostructure/sqlite";
import { StoreError } from "./errors.js";
import { fromJson, toJson } from "./json.js";
import { APPLICATION_ID, MIGRATIONS } from "./migrations.js";
import { nearestIds } from "./nearest-ids.js";
import { isSameProcess, mayBeAlive, type Owner, thisProcess } from "./owner.js";
import type { MetricPoint, RunEnvironment, RunRecord, RunStatus, RunSummary } from "./records.js";
import type { NewRun, RunFilter, RunOwner, Store } from "./store.js";

export const STORE_FILE = "stopgrad.db";

export interface OpenOptions {
  /** Never writes, and creates nothing; `missing` where there is no store. Default false. */
  readonly readonly?: boolean;
  /** How long a write waits while another process writes, in milliseconds. Default 10 000. */
  readonly timeoutMs?: number;
}

/** Opens the store of a runs folder, creating both where they are missing. */
export function openStore(runsDir: string, { readonly = false, timeoutMs = 10_000 }: OpenOptions = {}): SqliteStore {
  const file = resolve(runsDir, STORE_FILE);
  if (readonly && !existsSync(file))
    throw new StoreError("missing", `no runs in ${runsDir}: there is no ${STORE_FILE}`);
  try {
    if (!readonly) mkdirSync(runsDir, { recursive: true });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "EEXIST" || code === "ENOTDIR") {
      throw new StoreError("failed", `${runsDir}: expected a folder for runs, found a file`, { cause: error });
    }
    throw new StoreError("readonly", `${runsDir}: the folder cannot be created (${code})`, { cause: error });
  }
  if (!readonly) requireWritable(file);
  const database = explained(file, () => connect(file, readonly, timeoutMs));
  try {
    return explained(file, () => {
      migrate(database, file, readonly);
      return new SqliteStore(database, file, readonly);
    });
  } catch (error) {
    database.close();
    throw error;
  }
}

/** SQLite itself would open what it may not write for reading, and fail at the first write. */
function requireWritable(file: string): void {
  for (const path of [dirname(file), file].filter((path) => existsSync(path))) {
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

type Database = InstanceType<typeof DatabaseSync>;
type Statement = ReturnType<Database["prepare"]>;

function connect(file: string, readonly: boolean, timeout: number): Database {
  const options = { readOnly: readonly, timeout, enableForeignKeyConstraints: true };
  const database = new DatabaseSync(file, options);
  if (!readonly) return database;
  try {
    database.prepare("SELECT count(*) FROM sqlite_schema").get();
    return database;
  } catch (error) {
    database.close();
    // A folder that may not be written has no room for the files that readers share. If no write-ahead log lies there
    // either, nobody writes, and the file can be read as it is.
    const isEmpty = (path: string) => !existsSync(path) || statSync(path).size === 0;
    if (![CANNOT_OPEN, READ_ONLY].includes(primaryCode(error)) || !isEmpty(`${file}-wal`)) throw error;
    return new DatabaseSync(`${pathToFileURL(file)}?immutable=1`, options);
  }
}

/** Brings a new or older database to the present version, in one transaction. */
function migrate(database: Database, file: string, readonly: boolean): void {
  const pragma = (name: string) => Number(Object.values(database.prepare(`PRAGMA ${name}`).get() as object)[0]);
  const check = (): number => {
    const version = pragma("user_version");
    const tables = Number((database.prepare("SELECT count(*) AS n FROM sqlite_schema").get() as { n: number }).n);
    if (pragma("application_id") !== APPLICATION_ID && (tables > 0 || version > 0)) {
      throw new StoreError(
        "not-a-store",
        `${file}: a database of another program, not of stopgrad; choose another --runs folder`,
      );
    }
    if (version > MIGRATIONS.length) {
      const message = `${file}: written by a newer stopgrad (store version ${version}, this one knows ${MIGRATIONS.length}); update stopgrad or choose another --runs folder`;
      throw new StoreError("newer", message);
    }
    return version;
  };
  const version = check();
  if (readonly) {
    if (version === 0) throw new StoreError("missing", `no runs in ${file} yet`);
    if (version < MIGRATIONS.length) {
      const message = `${file}: store version ${version} is older than this stopgrad's ${MIGRATIONS.length}, and it is open read-only; open it once for writing`;
      throw new StoreError("readonly", message);
    }
    return;
  }
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;");
  if (version === MIGRATIONS.length) return;
  inTransaction(database, () => {
    // Another process may have been faster.
    for (const step of MIGRATIONS.slice(check())) database.exec(step);
    database.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${MIGRATIONS.length};`);
  });
}

function inTransaction<T>(database: Database, work: () => T): T {
  database.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    database.exec("COMMIT");
    return result;
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}

const RUN_COLUMNS =
  "id, name, variant, seed, status, settings, settings_hash, command, environment, created_at, finished_at, error, summary, owner_host, owner_pid, owner_start, owner_since";

const QUERIES = {
  insertRun: `INSERT INTO runs (id, name, variant, seed, status, settings, settings_hash, command, environment, created_at)
    VALUES (:id, :name, :variant, :seed, 'running', :settings, :settingsHash, :command, :environment, :createdAt)
    ON CONFLICT (id) DO UPDATE SET status = 'running', settings = excluded.settings, command = excluded.command,
      environment = excluded.environment, finished_at = NULL, error = NULL, summary = NULL`,
  run: `SELECT ${RUN_COLUMNS} FROM runs WHERE id = ?`,
  runsByPrefix: "SELECT id FROM runs WHERE substr(id, 1, length(:prefix)) = :prefix ORDER BY id LIMIT 20",
  runIds: "SELECT id FROM runs",
  runsByHash: `SELECT ${RUN_COLUMNS} FROM runs WHERE settings_hash = ?
    ORDER BY status = 'completed' DESC, created_at DESC, rowid DESC LIMIT 1`,
  runs: `SELECT ${RUN_COLUMNS} FROM runs
    WHERE (:name IS NULL OR name = :name) AND (:variant IS NULL OR variant = :variant) AND (:seed IS NULL OR seed = :seed)
    ORDER BY created_at, rowid`,
  setStatus: "UPDATE runs SET status = :status, error = :error, finished_at = :finishedAt WHERE id = :id",
  setSummary: "UPDATE runs SET summary = :summary WHERE id = :id",
  setEnvironment: "UPDATE runs SET environment = :environment WHERE id = :id",
  deleteRun: "DELETE FROM runs WHERE id = ?",
  insertMetric: `INSERT OR REPLACE INTO metrics (run_id, key, stage, step, epoch, value, standard_error)
    VALUES (:id, :key, :stage, :step, :epoch, :value, :standardError)`,
  deleteMetrics: "DELETE FROM metrics WHERE run_id = ? AND step > ?",
  metrics: `SELECT epoch, step, key, stage, value, standard_error FROM metrics
    WHERE run_id = :id AND (:keys IS NULL OR key IN (SELECT value FROM json_each(:keys))) ORDER BY step, key, stage`,
  claim: `UPDATE runs SET owner_host = :host, owner_pid = :pid, owner_start = :start, owner_since = :since WHERE id = :id`,
  release: `UPDATE runs SET owner_host = NULL, owner_pid = NULL, owner_start = NULL, owner_since = NULL
    WHERE id = :id AND owner_host = :host AND owner_pid = :pid AND owner_start = :start`,
} as const;

/** A row of `runs`. */
interface RunRow {
  id: string;
  name: string;
  variant: string;
  seed: number;
  status: RunStatus;
  settings: string;
  settings_hash: string;
  command: string;
  environment: string | null;
  created_at: string;
  finished_at: string | null;
  error: string | null;
  summary: string | null;
  owner_host: string | null;
  owner_pid: number | null;
  owner_start: string | null;
  owner_since: string | null;
}

interface MetricRow {
  epoch: number;
  step: number;
  key: string;
  stage: string;
  value: number | null;
  standard_error: number | "NaN" | null;
}

export class SqliteStore implements Store {
  readonly #statements: { readonly [query in keyof typeof QUERIES]: Statement };
  readonly #me = thisProcess();

  /** Use `openStore`. */
  constructor(
    private readonly database: Database,
    /** Absolute path of the database. */
    readonly file: string,
    readonly readonly: boolean,
  ) {
    const prepared = Object.entries(QUERIES).map(([name, sql]) => [name, database.prepare(sql)]);
    this.#statements = Object.fromEntries(prepared);
  }

  createRun(run: NewRun): RunRecord {
    return this.#write(() => {
      const there = this.#row(run.id);
      if (there && there.settings_hash !== run.settingsHash) {
        throw new StoreError("failed", `run ${run.id} exists with other settings; it cannot start again with these`);
      }
      this.#statements.insertRun.run({
        id: run.id,
        name: run.name,
        variant: run.variant,
        seed: run.seed,
        settings: toJson(run.settings),
        settingsHash: run.settingsHash,
        command: run.command,
        environment: run.environment ? toJson(run.environment) : null,
        createdAt: new Date().toISOString(),
      });
      return toRecord(this.#existing(run.id));
    });
  }

  getRun(idOrPrefix: string): RunRecord {
    return this.#read(() => {
      const exact = this.#row(idOrPrefix);
      if (exact) return toRecord(exact);
      const matches = this.#statements.runsByPrefix.all({ prefix: idOrPrefix }) as { id: string }[];
      if (matches.length === 1 && idOrPrefix !== "") return toRecord(this.#existing(matches[0]?.id ?? ""));
      if (matches.length > 1 && idOrPrefix !== "") {
        const ids = matches.map(({ id }) => id);
        throw new StoreError("unknown-run", `${idOrPrefix} stands for more than one run: ${ids.join(", ")}`);
      }
      throw this.#unknown(idOrPrefix);
    });
  }

  findByHash(settingsHash: string): RunRecord | null {
    return this.#read(() => {
      const row = this.#statements.runsByHash.get(settingsHash) as RunRow | undefined;
      return row ? toRecord(row) : null;
    });
  }

  listRuns({ name, variant, seed, status }: RunFilter = {}): RunRecord[] {
    return this.#read(() => {
      const filter = { name: name ?? null, variant: variant ?? null, seed: seed ?? null };
      const records = (this.#statements.runs.all(filter) as RunRow[]).map(toRecord);
      return status === undefined ? records : records.filter((run) => run.status === status);
    });
  }

  setStatus(id: string, status: RunStatus, error: string | null = null): void {
    const finishedAt = status === "running" ? null : new Date().toISOString();
    this.#update(id, () => this.#statements.setStatus.run({ id, status, error, finishedAt }));
  }

  setSummary(id: string, summary: RunSummary): void {
    this.#update(id, () => this.#statements.setSummary.run({ id, summary: toJson(summary) }));
  }

  setEnvironment(id: string, environment: RunEnvironment): void {
    this.#update(id, () => this.#statements.setEnvironment.run({ id, environment: toJson(environment) }));
  }

  deleteRun(id: string): void {
    this.#update(id, () => this.#statements.deleteRun.run(id));
  }

  recordMetrics(id: string, points: readonly MetricPoint[]): void {
    for (const { key, step, epoch } of points) {
      if (key === "" || !Number.isSafeInteger(step) || step < 0 || !Number.isFinite(epoch)) {
        throw new StoreError(
          "failed",
          `metric ${key}: expected a step from 0 and a finite epoch, got ${step} and ${epoch}`,
        );
      }
    }
    this.#write(() => {
      this.#existing(id);
      for (const { epoch, step, key, stage, value, standardError } of points) {
        const stored = {
          value: Number.isNaN(value) ? null : value,
          standardError: Number.isNaN(standardError) ? "NaN" : standardError,
        };
        this.#statements.insertMetric.run({ id, epoch, step, key, stage, ...stored });
      }
    });
  }

  deleteMetricsAfter(id: string, step: number): void {
    this.#write(() => {
      this.#existing(id);
      this.#statements.deleteMetrics.run(id, step);
    });
  }

  metrics(id: string, keys?: readonly string[]): MetricPoint[] {
    return this.#read(() => {
      const rows = this.#statements.metrics.all({ id, keys: keys ? JSON.stringify(keys) : null }) as MetricRow[];
      if (rows.length === 0) this.#existing(id);
      return rows.map(({ value, standard_error, ...row }) => ({
        ...row,
        value: value ?? Number.NaN,
        standardError: standard_error === "NaN" ? Number.NaN : standard_error,
      }));
    });
  }

  claim(id: string, { force = false }: { readonly force?: boolean } = {}): void {
    this.#write(() => {
      const row = this.#existing(id);
      const owner = ownerOf(row);
      if (owner && !force && !isSameProcess(owner, this.#me) && mayBeAlive(owner)) {
        const who = `process ${owner.pid} on ${owner.host.split(" ")[0]}, since ${row.owner_since}`;
        throw new StoreError("claimed", `run ${id} is being trained by another process (${who})`);
      }
      this.#statements.claim.run({ id, ...this.#me, since: new Date().toISOString() });
    });
  }

  release(id: string): void {
    this.#write(() => this.#statements.release.run({ id, ...this.#me }));
  }

  owner(id: string): RunOwner | null {
    return this.#read(() => {
      const row = this.#existing(id);
      const owner = ownerOf(row);
      if (!owner || !mayBeAlive(owner)) return null;
      return { host: owner.host.split(" ")[0] ?? "", pid: owner.pid, since: row.owner_since ?? "" };
    });
  }

  close(): void {
    if (this.database.isOpen) this.database.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #row(id: string): RunRow | undefined {
    return this.#statements.run.get(id) as RunRow | undefined;
  }

  #existing(id: string): RunRow {
    const row = this.#row(id);
    if (!row) throw this.#unknown(id);
    return row;
  }

  #unknown(id: string): StoreError {
    const ids = (this.#statements.runIds.all() as { id: string }[]).map((row) => row.id);
    const hint = ids.length === 0 ? "there are no runs yet" : `nearest: ${nearestIds(id, ids).join(", ")}`;
    return new StoreError("unknown-run", `unknown run: ${id || '""'} (${hint})`);
  }

  #update(id: string, statement: () => { changes: number }): void {
    this.#write(() => {
      if (Number(statement().changes) === 0) throw this.#unknown(id);
    });
  }

  #read<T>(work: () => T): T {
    return explained(this.file, work);
  }

  #write<T>(work: () => T): T {
    if (this.readonly) throw new StoreError("readonly", `${this.file}: opened read-only`);
    return explained(this.file, () => inTransaction(this.database, work));
  }
}

function ownerOf(row: RunRow): Owner | null {
  const { owner_host: host, owner_pid: pid, owner_start: start } = row;
  return host !== null && pid !== null && start !== null ? { host, pid, start } : null;
}

function toRecord(row: RunRow): RunRecord {
  const owner = ownerOf(row);
  const isDead = row.status === "running" && owner !== null && !mayBeAlive(owner);
  return {
    id: row.id,
    name: row.name,
    variant: row.variant,
    seed: row.seed,
    status: isDead ? "interrupted" : row.status,
    settings: fromJson(row.settings),
    settingsHash: row.settings_hash,
    command: row.command,
    environment: row.environment === null ? null : fromJson<RunEnvironment>(row.environment),
    createdAt: row.created_at,
    finishedAt: row.finished_at,
    error: row.error,
    summary: row.summary === null ? null : fromJson<RunSummary>(row.summary),
  };
}

// SQLite's primary result codes that mean something to a user (https://sqlite.org/rescode.html).
const ERROR = 1;
const BUSY = 5;
const LOCKED = 6;
const READ_ONLY = 8;
const CORRUPT = 11;
const FULL = 13;
const CANNOT_OPEN = 14;
const NOT_A_DATABASE = 26;

/** The lowest byte of the error's extended code; 0 for an error that is not SQLite's. */
function primaryCode(error: unknown): number {
  const { errcode, code, message } = (error ?? {}) as { errcode?: unknown; code?: unknown; message?: unknown };
  if (typeof errcode === "number") return errcode & 0xff;
  if (code !== "ERR_SQLITE_ERROR") return 0;
  return message === "database disk image is malformed" ? CORRUPT : ERROR; // reading many rows, the driver drops the code
}

/** Runs `work`; what SQLite throws becomes a `StoreError` that says what to do. */
function explained<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const code = primaryCode(error);
    if (code === 0) throw error;
    const cause = { cause: error };
    switch (code) {
      case BUSY:
      case LOCKED:
        throw new StoreError(
          "locked",
          `${file}: locked by another process for too long; try again when it has finished`,
          cause,
        );
      case READ_ONLY:
      case CANNOT_OPEN:
        throw new StoreError(
          "readonly",
          `${file}: cannot be opened for this; may the file and its folder be read and written?`,
          cause,
        );
      case NOT_A_DATABASE:
        throw new StoreError(
          "not-a-store",
          `${file}: not an SQLite database; move it away or choose another --runs folder`,
          cause,
        );
      case CORRUPT:
        throw new StoreError("not-a-store", `${file}: damaged; restore a copy, or move it away to start anew`, cause);
      case FULL:
        throw new StoreError("failed", `${file}: the disk is full`, cause);
      default:
        throw new StoreError("failed", `${file}: ${(error as Error).message}`, cause);
    }
  }
}
