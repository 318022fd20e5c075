// What every verb shares: where runs and data are, how results leave, what an error becomes.
import { resolve } from "node:path";
import { dataDirectories } from "../data/locate.js";

/** Options that every verb takes. */
export interface CommonOptions {
  json?: boolean;
  runs?: string;
  dataDir?: string;
}

/** Exit codes of the contract. */
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
  TorchError: exitCodes.failure,
  FileFormatError: exitCodes.failure,
};

/**
 * Says what went wrong and with which exit code. An error nobody expected shows its place in the code, since it is ours.
 * A full disk, a missing permission and the like are said in the system's words with the path.
 */
export function describeError(error: unknown): { message: string; code: number } {
  if (!(error instanceof Error)) return { message: String(error), code: exitCodes.failure };
  const code = expectedErrors[error.constructor.name] ?? expectedErrors[error.name];
  if (code !== undefined) return { message: error.message, code };
  const system = error as NodeJS.ErrnoException;
  if (system.code !== undefined && system.syscall !== undefined) {
    return { message: systemMessage(system), code: exitCodes.failure };
  }
  return { message: error.stack ?? error.message, code: exitCodes.failure };
}

function systemMessage(error: NodeJS.ErrnoException): string {
  const at = error.path ? ` ${error.path}` : "";
  const words: Record<string, string> = {
    ENOSPC: "the disk is full",
    EROFS: "the file system is read-only",
    EACCES: "permission denied",
    EPERM: "not permitted",
    ENOENT: "no such file or folder",
    EISDIR: "is a folder",
    ENOTDIR: "a part of the path is not a folder",
    EMFILE: "too many open files",
  };
  return `cannot ${error.syscall}${at}: ${words[error.code ?? ""] ?? error.message}`;
}
