// The run store.
export { StoreError, type StoreErrorCode } from "./errors.js";
export type {
  MetricPoint,
  RunEnvironment,
  RunOrigin,
  RunRecord,
  RunStatus,
  RunSummary,
  StageSummary,
} from "./records.js";
export { type OpenOptions, openStore, SqliteStore, STORE_FILE } from "./sqlite.js";
export type { NewRun, RunFilter, RunOwner, Store } from "./store.js";
