// The interface of the run store: runs, their measured numbers, and who is training them. SQLite implements it
// (`sqlite.ts`); it is kept this small so that a server database for a team can implement it too. Calls answer at once,
// as SQLite does: a run writes a few rows an epoch.
import type { MetricPoint, RunEnvironment, RunOrigin, RunRecord, RunStatus, RunSummary } from "./records.js";

/** A run about to start; the rest of its record is the store's. */
export type NewRun = Pick<RunRecord, "id" | "name" | "variant" | "seed" | "settings" | "settingsHash" | "command"> & {
  readonly environment?: RunEnvironment | null;
  readonly origin?: RunOrigin | null;
};

/** Which runs to list; what is not given does not restrict. */
export interface RunFilter {
  readonly name?: string;
  readonly variant?: string;
  readonly seed?: number;
  readonly status?: RunStatus;
}

/** A process that trains a run. */
export interface RunOwner {
  readonly host: string;
  readonly pid: number;
  /** ISO 8601, UTC. */
  readonly since: string;
}

/**
 * All methods throw `StoreError`. A run's status is as recorded, but a `running` one whose process is known to be gone
 * reads as `interrupted`: whoever was killed could not say so.
 */
export interface Store {
  /**
   * Records a run as running. One of the same id that is there already starts again: its status, error, summary,
   * command and environment are replaced, its origin where one is given; its metrics and its creation time stay
   * (`deleteMetricsAfter(id, -1)` for a fresh start). Refused where the same id stands for other settings.
   */
  createRun(run: NewRun): RunRecord;
  /** By its id or a beginning that only it has; `unknown-run` names the nearest ids. */
  getRun(idOrPrefix: string): RunRecord;
  /** A run of exactly these settings: a completed one if there is any, else the newest; null when there is none. */
  findByHash(settingsHash: string): RunRecord | null;
  /** In order of creation. */
  listRuns(filter?: RunFilter): RunRecord[];

  /** Sets the finishing time too, except for `running`. @param error - why it failed, one sentence */
  setStatus(id: string, status: RunStatus, error?: string | null): void;
  setSummary(id: string, summary: RunSummary): void;
  setEnvironment(id: string, environment: RunEnvironment): void;
  /** Forgets a run and its metrics. */
  deleteRun(id: string): void;

  /** All points or none. A point of the same run, key, stage and step replaces the one there. */
  recordMetrics(id: string, points: readonly MetricPoint[]): void;
  /** Forgets what lies after a checkpoint. @param step - the last one to keep; -1 keeps nothing */
  deleteMetricsAfter(id: string, step: number): void;
  /** In order of step, then key, then stage. @param keys - default: all */
  metrics(id: string, keys?: readonly string[]): MetricPoint[];

  /**
   * Takes a run for this process, so that no other trains it too: `claimed` names the owner. A claim whose process is
   * gone is taken over; one on another machine cannot be checked from here and holds until `force`.
   */
  claim(id: string, options?: { readonly force?: boolean }): void;
  /** Gives it back; nothing happens where it is not this process's. */
  release(id: string): void;
  /** Who trains it, as far as can be told from here; null for nobody. */
  owner(id: string): RunOwner | null;

  close(): void;
}
