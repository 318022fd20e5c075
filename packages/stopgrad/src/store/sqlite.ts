// The run store in one SQLite file, `<runs>/stopgrad.db`. Several processes read and write it at once: write-ahead
// logging, short transactions, and a wait instead of an error while another one writes (`connection.ts`). A process that
// is killed leaves either all of a transaction or nothing of it.
import { Connection, type OpenOptions, type Statement } from "./connection.js";
import { StoreError } from "./errors.js";
import { fromJson, toJson } from "./json.js";
import { nearestIds } from "./nearest-ids.js";
import { isSameProcess, mayBeAlive, type Owner, thisProcess } from "./owner.js";
import type { MetricPoint, RunEnvironment, RunOrigin, RunRecord, RunStatus, RunSummary } from "./records.js";
import type { NewRun, RunFilter, RunOwner, Store } from "./store.js";

export { type OpenOptions, STORE_FILE } from "./connection.js";

/** Opens the store of a runs folder, creating both where they are missing. @throws StoreError */
export function openStore(runsDir: string, options: OpenOptions = {}): SqliteStore {
  return new SqliteStore(Connection.open(runsDir, options));
}

const RUN_COLUMNS =
  "id, name, variant, seed, status, settings, settings_hash, command, environment, created_at, finished_at, error, summary, owner_host, owner_pid, owner_start, owner_since, folder, given, experiment_file, experiment_hash";

const QUERIES = {
  insertRun: `INSERT INTO runs (id, name, variant, seed, status, settings, settings_hash, command, environment, created_at,
      folder, given, experiment_file, experiment_hash)
    VALUES (:id, :name, :variant, :seed, 'running', :settings, :settingsHash, :command, :environment, :createdAt,
      :folder, :given, :experimentFile, :experimentHash)
    ON CONFLICT (id) DO UPDATE SET status = 'running', settings = excluded.settings, command = excluded.command,
      environment = excluded.environment, finished_at = NULL, error = NULL, summary = NULL`,
  setOrigin: `UPDATE runs SET folder = :folder, given = :given, experiment_file = :experimentFile,
      experiment_hash = :experimentHash WHERE id = :id`,
  insertExperiment: "INSERT INTO experiments (hash, text) VALUES (:hash, :text) ON CONFLICT (hash) DO NOTHING",
  experiment: "SELECT text FROM experiments WHERE hash = ?",
  deleteUnusedExperiments:
    "DELETE FROM experiments WHERE hash NOT IN (SELECT experiment_hash FROM runs WHERE experiment_hash IS NOT NULL)",
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
  folder: string | null;
  given: string | null;
  experiment_file: string | null;
  experiment_hash: string | null;
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
  readonly #me = thisProcess();

  /** Use `openStore`. */
  constructor(private readonly connection: Connection) {}

  /** Absolute path of the database. */
  get file(): string {
    return this.connection.file;
  }

  get readonly(): boolean {
    return this.connection.readonly;
  }

  createRun(run: NewRun): RunRecord {
    return this.#write(() => {
      const there = this.#row(run.id);
      if (there && there.settings_hash !== run.settingsHash) {
        throw new StoreError("failed", `run ${run.id} exists with other settings; it cannot start again with these`);
      }
      this.#query("insertRun").run({
        id: run.id,
        name: run.name,
        variant: run.variant,
        seed: run.seed,
        settings: toJson(run.settings),
        settingsHash: run.settingsHash,
        command: run.command,
        environment: run.environment ? toJson(run.environment) : null,
        createdAt: new Date().toISOString(),
        ...originColumns(run.origin ?? null),
      });
      if (run.origin) {
        const { experiment } = run.origin;
        if (experiment) this.#query("insertExperiment").run({ hash: experiment.hash, text: experiment.text });
        if (there) this.#query("setOrigin").run({ id: run.id, ...originColumns(run.origin) });
      }
      return this.#toRecord(this.#existing(run.id));
    });
  }

  getRun(idOrPrefix: string): RunRecord {
    return this.#read(() => {
      const exact = this.#row(idOrPrefix);
      if (exact) return this.#toRecord(exact);
      const matches = this.#query("runsByPrefix").all({ prefix: idOrPrefix }) as { id: string }[];
      if (matches.length === 1 && idOrPrefix !== "") return this.#toRecord(this.#existing(matches[0]?.id ?? ""));
      if (matches.length > 1 && idOrPrefix !== "") {
        const ids = matches.map(({ id }) => id);
        throw new StoreError("unknown-run", `${idOrPrefix} stands for more than one run: ${ids.join(", ")}`);
      }
      throw this.#unknown(idOrPrefix);
    });
  }

  findByHash(settingsHash: string): RunRecord | null {
    return this.#read(() => {
      const row = this.#query("runsByHash").get(settingsHash) as RunRow | undefined;
      return row ? this.#toRecord(row) : null;
    });
  }

  listRuns({ name, variant, seed, status }: RunFilter = {}): RunRecord[] {
    return this.#read(() => {
      const filter = { name: name ?? null, variant: variant ?? null, seed: seed ?? null };
      const records = (this.#query("runs").all(filter) as RunRow[]).map((row) => this.#toRecord(row));
      return status === undefined ? records : records.filter((run) => run.status === status);
    });
  }

  setStatus(id: string, status: RunStatus, error: string | null = null): void {
    const finishedAt = status === "running" ? null : new Date().toISOString();
    this.#update(id, () => this.#query("setStatus").run({ id, status, error, finishedAt }));
  }

  setSummary(id: string, summary: RunSummary): void {
    this.#update(id, () => this.#query("setSummary").run({ id, summary: toJson(summary) }));
  }

  setEnvironment(id: string, environment: RunEnvironment): void {
    this.#update(id, () => this.#query("setEnvironment").run({ id, environment: toJson(environment) }));
  }

  deleteRun(id: string): void {
    this.#update(id, () => {
      const result = this.#query("deleteRun").run(id);
      this.#query("deleteUnusedExperiments").run();
      return result;
    });
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
        this.#query("insertMetric").run({ id, epoch, step, key, stage, ...stored });
      }
    });
  }

  deleteMetricsAfter(id: string, step: number): void {
    this.#write(() => {
      this.#existing(id);
      this.#query("deleteMetrics").run(id, step);
    });
  }

  metrics(id: string, keys?: readonly string[]): MetricPoint[] {
    return this.#read(() => {
      const rows = this.#query("metrics").all({ id, keys: keys ? JSON.stringify(keys) : null }) as MetricRow[];
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
      this.#query("claim").run({ id, ...this.#me, since: new Date().toISOString() });
    });
  }

  release(id: string): void {
    this.#write(() => this.#query("release").run({ id, ...this.#me }));
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
    this.connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #toRecord(row: RunRow): RunRecord {
    const owner = ownerOf(row);
    const isDead = row.status === "running" && owner !== null && !mayBeAlive(owner);
    return {
      id: row.id,
      name: row.name,
      variant: row.variant,
      seed: row.seed,
      status: isDead ? "interrupted" : row.status,
      settings: this.#parse(row.settings),
      settingsHash: row.settings_hash,
      command: row.command,
      environment: row.environment === null ? null : this.#parse<RunEnvironment>(row.environment),
      origin: this.#origin(row),
      createdAt: row.created_at,
      finishedAt: row.finished_at,
      error: row.error,
      summary: row.summary === null ? null : this.#parse<RunSummary>(row.summary),
    };
  }

  #origin({ folder, given, experiment_file: file, experiment_hash: hash }: RunRow): RunOrigin | null {
    if (folder === null) return null;
    const found = hash === null ? undefined : (this.#query("experiment").get(hash) as { text: string } | undefined);
    const experiment = found && file !== null && hash !== null ? { file, hash, text: found.text } : null;
    return { folder, given, experiment };
  }

  #parse<T>(json: string): T {
    try {
      return fromJson<T>(json);
    } catch (error) {
      const message = `${this.file}: damaged; restore a copy, or move it away to start anew`;
      throw new StoreError("not-a-store", message, { cause: error });
    }
  }

  #row(id: string): RunRow | undefined {
    return this.#query("run").get(id) as RunRow | undefined;
  }

  #existing(id: string): RunRow {
    const row = this.#row(id);
    if (!row) throw this.#unknown(id);
    return row;
  }

  #unknown(id: string): StoreError {
    const ids = (this.#query("runIds").all() as { id: string }[]).map((row) => row.id);
    const hint = ids.length === 0 ? "there are no runs yet" : `nearest: ${nearestIds(id, ids).join(", ")}`;
    return new StoreError("unknown-run", `unknown run: ${id || '""'} (${hint})`);
  }

  #update(id: string, statement: () => { changes: number }): void {
    this.#write(() => {
      if (Number(statement().changes) === 0) throw this.#unknown(id);
    });
  }

  #read<T>(work: () => T): T {
    return this.connection.read(work);
  }

  #write<T>(work: () => T): T {
    return this.connection.write(work);
  }

  #query(name: keyof typeof QUERIES): Statement {
    return this.connection.statement(QUERIES[name]);
  }
}

function ownerOf(row: RunRow): Owner | null {
  const { owner_host: host, owner_pid: pid, owner_start: start } = row;
  return host !== null && pid !== null && start !== null ? { host, pid, start } : null;
}

function originColumns(origin: RunOrigin | null) {
  return {
    folder: origin?.folder ?? null,
    given: origin?.given ?? null,
    experimentFile: origin?.experiment?.file ?? null,
    experimentHash: origin?.experiment?.hash ?? null,
  };
}
