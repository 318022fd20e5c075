// Where data sets are looked for, and nothing else: no file is opened here.
import { homedir } from "node:os";
import { join, resolve } from "node:path";

/** The part of the environment that decides it; `process.env` fits. */
export interface DataEnvironment {
  readonly STOPGRAD_DATA?: string | undefined;
  readonly STOPGRAD_CACHE?: string | undefined;
  readonly XDG_CACHE_HOME?: string | undefined;
}

/**
 * Folders in which data sets are looked for, in order: `--data-dir`, `STOPGRAD_DATA`, the user's cache
 * (`$XDG_CACHE_HOME/stopgrad/data`, else `~/.cache/stopgrad/data`). `stopgrad data fetch` writes into the first.
 *
 * @param dataDir - value of `--data-dir`; "" counts as not given, here as in the environment
 * @returns absolute paths without repeats, at least one; they need not exist
 */
export function dataDirectories(dataDir?: string, environment: DataEnvironment = process.env): string[] {
  const all = [dataDir, environment.STOPGRAD_DATA, join(userCache(environment), "data")];
  return [...new Set(all.filter((dir) => dir !== undefined && dir !== "").map((dir) => resolve(dir!)))];
}

/**
 * Folder of what can be made again at any time, such as decoded images: `STOPGRAD_CACHE`, else the user's cache
 * (`$XDG_CACHE_HOME/stopgrad`, else `~/.cache/stopgrad`). Absolute; need not exist, and need not be writable.
 */
export function cacheDirectory(environment: DataEnvironment = process.env): string {
  return resolve(environment.STOPGRAD_CACHE || userCache(environment));
}

function userCache({ XDG_CACHE_HOME: xdg }: DataEnvironment): string {
  // A relative XDG_CACHE_HOME is to be ignored, says the XDG base directory specification.
  return join(xdg?.startsWith("/") ? xdg : join(homedir(), ".cache"), "stopgrad");
}
