// What every verb shares: where runs and data are, how results leave, what an error becomes.
import { resolve } from "node:path";
import { dataDirectories } from "../data/locate.js";
import { describeSystemError } from "../system-error.js";

/** Options that every verb takes. */
export interface CommonOptions {
  json?: boolean;
  runs?: string;
  dataDir?: string;
}

/** Exit codes of the contract. `interrupted` is that of every signal that ends a command: SIGINT, SIGTERM, SIGHUP. */
export const exitCodes = { success: 0, failure: 1, usage: 2, interrupted: 130 } as const;

/** The user asked for something that cannot be: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The work failed in a way that has been told already, or is told by its message: exit code 1. */
export class WorkError extends Error {
  override readonly name = "WorkError";
}

/** Folder of runs: `--runs`, `STOPGRAD_RUNS`, `./runs`. */
export function runsDirectory(options: CommonOptions): string {
  return resolve(options.runs ?? process.env.STOPGRAD_RUNS ?? "runs");
}

/** Folders of data sets, in the order they are looked in. */
export function dataFolders(options: CommonOptions): string[] {
  return dataDirectories(options.dataDir);
}

/** Standard output: the JSON document, or text for people. */
export function print(text: string): void {
  process.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
}

export function printJson(document: unknown): void {
  print(JSON.stringify(document, null, 2));
}

/** Standard error: progress and remarks. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Names of error classes whose messages are written for users, and the exit code of each. */
const expectedErrors: Record<string, number> = {
  UsageError: exitCodes.usage,
  SettingsError: exitCodes.usage,
  UnknownDatasetError: exitCodes.usage,
  WorkError: exitCodes.failure,
  DatasetError: exitCodes.failure,
  StoreError: exitCodes.failure,
  MeasureError: exitCodes.failure,
  TrainedNetworkError: exitCodes.failure,
  ArrayError: exitCodes.failure,
  TorchError: exitCodes.failure,
  FileFormatError: exitCodes.failure,
};

export interface DescribedError {
  /** One sentence. */
  message: string;
  /** Exit code. */
  code: number;
  /** Where in the code, for an error that nobody expected: it is ours. */
  trace?: string;
}

/** Says what went wrong and with which exit code; a full disk, a missing permission and the like in words. */
export function describeError(error: unknown): DescribedError {
  if (!(error instanceof Error)) return { message: String(error), code: exitCodes.failure };
  const { message } = error;
  if (namesNoRun(error) || asksForNonsense(error)) return { message, code: exitCodes.usage };
  const code = expectedErrors[error.constructor.name] ?? expectedErrors[error.name];
  if (code !== undefined) return { message, code };
  const system = describeSystemError(error);
  if (system !== null) return { message: system, code: exitCodes.failure };
  return { message, code: exitCodes.failure, ...(error.stack ? { trace: error.stack } : {}) };
}

/** Of a run: epochs that are no numbers, a stage of another network. */
function asksForNonsense(error: Error): boolean {
  return error.name === "TrainedNetworkError" && (error as { wrong?: unknown }).wrong === true;
}

/** A run, or a folder of runs, that is not there: as wrong as a file that is not there. */
function namesNoRun(error: Error): boolean {
  const { code } = error as { code?: unknown };
  return error.name === "StoreError" && (code === "unknown-run" || code === "missing");
}
