// Runs side by side: each in a worker process of its own, its events stored here. This process is the store's only
// writer for its runs; a run that is already done is not done again, one that was interrupted goes on.
import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { type RunRecord, type Store, StoreError } from "../store/index.js";
import { runId, settingsHash } from "./identity.js";
import type { ParentMessage, TrainingEvent, TrainingJob, WorkerMessage } from "./protocol.js";
import type { RunSettings } from "./run-settings.js";

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
}

/**
 * Threads for each of `jobs` runs. One run a processor with one thread each measures fastest: the networks' operators
 * are too small to share (LeNet5, batch 128, two processors: 1.9 times the images of one run with two threads).
 */
export function shareOut(runs: number, jobs: number | undefined): { jobs: number; threads: number } {
  const processors = availableParallelism();
  const sideBySide = Math.max(1, Math.min(jobs ?? processors, Math.max(1, runs)));
  return { jobs: sideBySide, threads: Math.max(1, Math.floor(processors / sideBySide)) };
}

/** Which run of the store each of the settings is, and whether it is done. */
export function plan(runs: readonly RunSettings[], store: Store, fresh = false): PlannedRun[] {
  return runs.map((settings) => {
    const known = store.findByHash(settingsHash(settings));
    return { id: known?.id ?? runId(settings), settings, done: !fresh && known?.status === "completed" };
  });
}

/**
 * Trains every run that is not done, `jobs` at a time. A run that fails does not stop the others.
 * @returns the stored record of each, in the order given; its status says how it ended
 */
export async function runAll(runs: readonly PlannedRun[], options: RunnerOptions): Promise<RunOutcome[]> {
  const open = runs.filter((run) => !run.done);
  const share = shareOut(open.length, options.jobs);
  const waiting = [...open];
  const failures = new Map<PlannedRun, unknown>();
  const work = async () => {
    for (let run = waiting.shift(); run && !options.signal?.aborted; run = waiting.shift()) {
      try {
        await trainOne(run, share.threads, options);
      } catch (error) {
        failures.set(run, error);
      }
    }
  };
  await Promise.all(Array.from({ length: share.jobs }, work));
  const [failure] = failures.values();
  if (failure !== undefined) throw failure;
  return runs.flatMap((run) => {
    try {
      return [{ run, record: options.store.getRun(run.id) }];
    } catch (error) {
      if (error instanceof StoreError && error.code === "unknown-run") return []; // not begun when it was interrupted
      throw error;
    }
  });
}

async function trainOne(run: PlannedRun, threads: number, options: RunnerOptions): Promise<void> {
  const { store } = options;
  const { settings, id } = run;
  const directory = join(options.runsDir, id);
  const earlier = store.findByHash(settingsHash(settings));
  store.createRun({
    id,
    name: settings.name,
    variant: settings.variant,
    seed: settings.seed,
    settings: settings as unknown as Record<string, unknown>,
    settingsHash: settingsHash(settings),
    command: options.commandFor(settings),
  });
  store.claim(id);
  try {
    if (options.fresh) {
      store.deleteMetricsAfter(id, -1);
      rmSync(directory, { recursive: true, force: true });
    }
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, "settings.yaml"), stringify(settings));
    await superviseWorker(
      {
        settings,
        directory,
        dataDirs: options.dataDirs,
        // A resumed run keeps its threads: their number decides how sums are rounded.
        threads: settings.threads ?? earlier?.environment?.threads ?? threads,
        resume: !options.fresh,
      },
      run,
      options,
    );
  } catch (error) {
    store.setStatus(id, "failed", error instanceof Error ? error.message : String(error));
    throw error;
  } finally {
    store.release(id);
  }
}

/** Starts a worker, stores what it says, and settles when it has ended. */
function superviseWorker(job: TrainingJob, run: PlannedRun, options: RunnerOptions): Promise<void> {
  const { store } = options;
  const worker = startWorker(job.threads);
  const send = (message: ParentMessage) => {
    if (worker.connected) worker.send(message, () => {});
  };
  const stop = () => send({ type: "stop" });
  options.signal?.addEventListener("abort", stop);

  let ended = false;
  let complaint = "";
  worker.stderr?.on("data", (data: Buffer) => {
    complaint = (complaint + data.toString()).slice(-2000);
  });

  const record = (event: TrainingEvent) => {
    switch (event.type) {
      case "started":
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
    ended ||= event.type === "completed" || event.type === "interrupted" || event.type === "failed";
  };

  return new Promise((resolve, reject) => {
    worker.on("message", ({ id, event }: WorkerMessage) => {
      try {
        record(event);
        options.onEvent?.(run, event);
        if (event.type !== "progress") send({ type: "ack", id });
      } catch (error) {
        worker.kill("SIGKILL");
        reject(error);
      }
    });
    worker.on("error", reject);
    worker.on("exit", (code, signal) => {
      options.signal?.removeEventListener("abort", stop);
      if (!ended) {
        const how = signal ? `was ended by ${signal}` : `ended with exit code ${code}`;
        const hint = signal === "SIGKILL" ? " (the system does this when memory runs out)" : "";
        const last = complaint.trim().split("\n").at(-1);
        const message = `the training process ${how}${hint}${last ? `: ${last}` : ""}; the same command goes on from its last checkpoint`;
        try {
          store.setStatus(run.id, "failed", message);
          options.onEvent?.(run, { type: "failed", message });
        } catch (error) {
          reject(error);
        }
      }
      resolve();
    });
    send({ type: "job", job });
  });
}

function startWorker(threads: number): ChildProcess {
  const limit = String(threads);
  return fork(fileURLToPath(new URL("./worker.js", import.meta.url)), [], {
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    env: { ...process.env, OMP_NUM_THREADS: limit, OPENBLAS_NUM_THREADS: limit, MKL_NUM_THREADS: limit },
  });
}
