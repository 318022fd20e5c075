// Runs side by side: each in a worker process of its own, its events stored here. This process is the store's only
// writer for its runs; a run that is already done is not done again, one that was interrupted goes on.
import type { ChildProcess } from "node:child_process";
import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { stringify } from "yaml";
import { makeFolder } from "../folders.js";
import { type RunOrigin, type RunRecord, type Store, StoreError } from "../store/index.js";
import { describeSystemError } from "../system-error.js";
import { writeWhole } from "../write-whole.js";
import { newestCheckpoint } from "./checkpoint.js";
import { runId, settingsHash } from "./identity.js";
import type { ParentMessage, TrainingEvent, TrainingJob, WorkerMessage } from "./protocol.js";
import type { RunSettings } from "./run-settings.js";
import { startWorker } from "./worker-process.js";

export interface RunnerOptions {
  store: Store;
  /** Folder that holds the store and a folder for each run. */
  runsDir: string;
  dataDirs: readonly string[];
  /** Runs side by side; default: as many as there are processors, and no more than runs. */
  jobs?: number;
  /** Start every run from its beginning, forgetting what is stored. */
  fresh?: boolean;
  /** The command that repeats a run. */
  commandFor(settings: RunSettings): string;
  /** Where runs that begin now come from; null leaves what is recorded. */
  origin?: RunOrigin | null;
  /** What happens, as it happens. */
  onEvent?(run: PlannedRun, event: TrainingEvent): void;
  /** Aborting it ends every run with a checkpoint. */
  signal?: AbortSignal;
}

/** A run with its place in the store. */
export interface PlannedRun {
  id: string;
  settings: RunSettings;
  /** Completed before: nothing to do. */
  done: boolean;
}

export interface RunOutcome {
  run: PlannedRun;
  record: RunRecord;
  /** Why it is not completed, one sentence; null when it is, or when it was interrupted. */
  problem: string | null;
}

/**
 * How many of these runs train side by side: as many as there are processors for their threads, unless `jobs` says. One
 * thread a run, the default, measures fastest: the networks' operators are too small to be shared between threads
 * (LeNet5, batch 128, two processors: 24,300 images/s in two runs of one thread, 8,300 in one run of two). Runs on a GPU
 * share its memory, and how much one needs is not known before it trains: one after the other, unless `jobs` says.
 */
export function sideBySide(runs: readonly RunSettings[], jobs: number | undefined): number {
  // Workers of modules have their own threads; as many as there are processors for leave none to another run.
  const processesOf = ({ parallel }: RunSettings) => (parallel ? (parallel.workers ?? Number.POSITIVE_INFINITY) : 1);
  const threads = Math.max(1, ...runs.map((run) => run.threads * processesOf(run)));
  const usual = runs.some(({ device }) => device !== "cpu") ? 1 : Math.floor(availableParallelism() / threads);
  return Math.max(1, Math.min(jobs ?? usual, runs.length));
}

/** Which run of the store each of the settings is, and whether it is done. */
export function plan(runs: readonly RunSettings[], store: Store, fresh = false): PlannedRun[] {
  return runs.map((settings) => {
    const known = store.findByHash(settingsHash(settings));
    return { id: known?.id ?? runId(settings), settings, done: !fresh && known?.status === "completed" };
  });
}

/**
 * Trains every run that is not done, `jobs` at a time. A run that fails does not stop the others; a store that cannot
 * be written stops them all.
 *
 * @returns what became of each run that was begun, in the order given
 * @throws StoreError when the store cannot be read or written
 */
export async function runAll(runs: readonly PlannedRun[], options: RunnerOptions): Promise<RunOutcome[]> {
  const { store, signal } = options;
  const waiting = sourcesFirst(runs.filter((run) => !run.done));
  const jobs = sideBySide(
    waiting.map(({ settings }) => settings),
    options.jobs,
  );
  const workers = new Set<ChildProcess>();
  const problems = new Map<PlannedRun, string>();
  /** Runs that were begun, by id, until they end. */
  const underWay = new Map<string, Promise<void>>();
  const fatal: unknown[] = [];

  const stopAll = () => {
    for (const worker of workers) askToStop(worker);
  };
  const killAll = () => {
    for (const worker of workers) worker.kill("SIGKILL");
  };
  const work = async () => {
    for (let run = waiting.shift(); run && !signal?.aborted && fatal.length === 0; run = waiting.shift()) {
      let ended = () => {};
      underWay.set(run.id, new Promise<void>((resolve) => (ended = resolve)));
      try {
        await underWay.get(run.settings.retrain?.from ?? ""); // what it starts from was begun before it
        if (signal?.aborted) break;
        await trainOne(run, workers, options);
      } catch (error) {
        const message = problemOfOneRun(error);
        if (message === null) {
          fatal.push(error);
          stopAll();
        } else {
          problems.set(run, message);
          options.onEvent?.(run, { type: "failed", message });
        }
      } finally {
        ended();
      }
    }
  };

  signal?.addEventListener("abort", stopAll);
  process.on("exit", killAll);
  try {
    await Promise.all(Array.from({ length: jobs }, work));
  } finally {
    signal?.removeEventListener("abort", stopAll);
    process.off("exit", killAll);
  }
  if (fatal.length > 0) throw fatal[0];
  return runs.flatMap((run) => {
    try {
      const record = store.getRun(run.id);
      return [{ run, record, problem: record.status === "completed" ? null : (problems.get(run) ?? record.error) }];
    } catch (error) {
      if (error instanceof StoreError && error.code === "unknown-run") return []; // not begun when it was interrupted
      throw error;
    }
  });
}

/** The same runs, each after the one whose weights it takes over. */
function sourcesFirst(runs: readonly PlannedRun[]): PlannedRun[] {
  const byId = new Map(runs.map((run) => [run.id, run]));
  const ordered = new Set<PlannedRun>();
  const add = (run: PlannedRun) => {
    const source = byId.get(run.settings.retrain?.from ?? "");
    if (source && !ordered.has(source)) add(source);
    ordered.add(run);
  };
  for (const run of runs) add(run);
  return [...ordered];
}

/** The checkpoint that a run starts from: a file, or the newest of a run that is completed; or why there is none. */
function sourceOf(from: string, { store, runsDir }: RunnerOptions): NonNullable<TrainingJob["retrainFrom"]> {
  if (existsSync(from) && statSync(from).isFile()) return { path: resolve(from) };
  const known = store.listRuns().find(({ id }) => id === from);
  if (!known) return { problem: "there is no such run or file; train it first" };
  if (known.status !== "completed") return { problem: `that run is ${known.status}; it has to be completed first` };
  const path = newestCheckpoint(join(runsDir, from));
  return path === null ? { problem: "that run has no checkpoint any more; train it again with --fresh" } : { path };
}

/** What concerns one run only: it is being trained elsewhere, or its folder cannot be written. Null for all else. */
function problemOfOneRun(error: unknown): string | null {
  if (error instanceof StoreError) return error.code === "claimed" ? error.message : null;
  return describeSystemError(error);
}

/** Milliseconds between two looks at a run that another process trains. */
const LOOK_EVERY = 1000;

/**
 * Takes a run for this process, after any other process that trains it here has ended.
 * @returns false when there is nothing left to do: the other one completed it, or this command is being ended
 */
async function claimInTurn(run: PlannedRun, { store, signal, fresh, onEvent }: RunnerOptions): Promise<boolean> {
  for (let told = false; ; told = true) {
    try {
      store.claim(run.id);
      return fresh === true || store.getRun(run.id).status !== "completed";
    } catch (error) {
      if (!(error instanceof StoreError && error.code === "claimed")) throw error;
      if (!told) onEvent?.(run, { type: "warning", message: `${error.message}; waiting for it` });
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
      if (signal?.aborted) return false;
    }
  }
}

async function trainOne(run: PlannedRun, workers: Set<ChildProcess>, options: RunnerOptions): Promise<void> {
  const { store, fresh = false } = options;
  const { settings, id } = run;
  const directory = join(options.runsDir, id);
  const earlier = store.findByHash(settingsHash(settings));
  const begin = () =>
    store.createRun({
      id,
      name: settings.name,
      variant: settings.variant,
      seed: settings.seed,
      settings: settings as unknown as Record<string, unknown>,
      settingsHash: settingsHash(settings),
      command: options.commandFor(settings),
      environment: earlier?.environment ?? null,
      origin: options.origin ?? null,
    });
  if (!earlier) begin();
  // Before anything of a run that another process may be training is touched; it may have begun it just now.
  if (!(await claimInTurn(run, options))) return;
  try {
    if (earlier) begin();
    if (fresh) {
      store.deleteMetricsAfter(id, -1);
      rmSync(directory, { recursive: true, force: true });
    }
    makeFolder(directory);
    writeSettings(join(directory, "settings.yaml"), stringify(settings));
    const job: TrainingJob = {
      settings,
      directory,
      dataDirs: options.dataDirs,
      resume: !fresh,
      retrainFrom: settings.retrain && sourceOf(settings.retrain.from, options),
      startedAt: performance.timeOrigin,
    };
    const worker = startWorker(settings.threads);
    workers.add(worker);
    await supervise(worker, job, run, options).finally(() => workers.delete(worker));
  } catch (error) {
    const message = problemOfOneRun(error);
    // A store that fails cannot be told. The claim stays, and reads as interrupted once this process is gone.
    if (message === null) throw error;
    if (!(error instanceof StoreError)) store.setStatus(id, "failed", message);
    store.release(id);
    throw error;
  }
  store.release(id);
}

/** Writes them whole or not at all, and not where they stand already: a full disk costs no file that was right. */
function writeSettings(path: string, text: string): void {
  if (existsSync(path) && readFileSync(path, "utf8") === text) return;
  writeWhole(path, text);
}

/** Gives a worker its job, stores what it says, and settles when it has ended. */
function supervise(worker: ChildProcess, job: TrainingJob, run: PlannedRun, options: RunnerOptions): Promise<void> {
  const { store } = options;
  /** It has said how the run ended. */
  let told = false;
  let complaint = "";
  worker.stderr?.on("data", (data: Buffer) => {
    complaint = (complaint + data.toString()).slice(-4000);
  });

  const record = (event: TrainingEvent) => {
    switch (event.type) {
      case "started":
        warnOfNewBeginning(event.step, run, options);
        store.setEnvironment(run.id, event.environment);
        store.deleteMetricsAfter(run.id, event.step === 0 ? -1 : event.step);
        break;
      case "metrics":
        store.recordMetrics(run.id, event.points);
        break;
      case "completed":
        store.setSummary(run.id, event.summary);
        store.setStatus(run.id, "completed");
        break;
      case "interrupted":
        store.setStatus(run.id, "interrupted");
        break;
      case "failed":
        store.setStatus(run.id, "failed", event.message);
        break;
    }
    options.onEvent?.(run, event);
    told ||= event.type === "completed" || event.type === "interrupted" || event.type === "failed";
  };

  return new Promise((resolve, reject) => {
    let failure: unknown;
    let hasFailed = false;
    const attempt = (action: () => void) => {
      if (hasFailed) return;
      try {
        action();
      } catch (error) {
        failure = error;
        hasFailed = true;
        worker.kill("SIGKILL");
      }
    };
    worker.on("message", ({ id, event }: WorkerMessage) => {
      attempt(() => {
        record(event);
        if (event.type !== "progress") send(worker, { type: "ack", id });
      });
    });
    worker.on("error", (error) => {
      if (worker.pid === undefined) reject(error); // it could not be started
    });
    worker.on("close", (code, signal) => {
      if (!told) attempt(() => record({ type: "failed", message: describeEnd(code, signal, complaint) }));
      if (hasFailed) reject(failure);
      else resolve();
    });
    send(worker, { type: "job", job });
    if (options.signal?.aborted) askToStop(worker);
  });
}

/** A run of which epochs are recorded begins anew, because no checkpoint is left. */
function warnOfNewBeginning(step: number, run: PlannedRun, { store, fresh, onEvent }: RunnerOptions): void {
  const recorded = step > 0 || fresh ? 0 : store.metrics(run.id, ["trainLoss"]).length;
  if (recorded === 0) return;
  const epochs = recorded === 1 ? "the epoch that is recorded is" : `the ${recorded} epochs that are recorded are`;
  const message = `no checkpoint is left to go on from: it starts again, and ${epochs} replaced`;
  onEvent?.(run, { type: "warning", message });
}

/** Why a worker ended that has not said so itself. */
function describeEnd(code: number | null, signal: NodeJS.Signals | null, complaint: string): string {
  const how = signal ? `was ended by ${signal}` : `ended with exit code ${code}`;
  const hint = signal === "SIGKILL" ? " (the system does this when memory runs out)" : "";
  const lines = complaint.split("\n").map((line) => line.trim());
  const telling = lines.filter((line) => line !== "" && !/^at |^Node\.js v/.test(line)); // no stack, no version
  const last = telling.find((line) => /error|what\(\)/i.test(line)) ?? telling.at(-1);
  return `the training process ${how}${hint}${last ? `: ${last}` : ""}`;
}

function send(worker: ChildProcess, message: ParentMessage): void {
  if (worker.connected) worker.send(message, () => {}); // one that ends meanwhile tells by its end
}

/** Says on its lifeline, which it hears while it computes, that it should end with a checkpoint. */
function askToStop(worker: ChildProcess): void {
  worker.stdin?.write("stop\n");
}

/** Its standard input is its lifeline: it ends where this process ends, however that comes. */
