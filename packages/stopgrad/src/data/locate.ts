// Where data sets are looked for, and nothing else: no file is opened here.
import { homedir } from "node:os";
import { join, resolve } from "node:path";

/** The part of the environment that decides it; `process.env` fits. */
export interface DataEnvironment {
  readonly STOPGRAD_DATA?: string | undefined;
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
  // A relative XDG_CACHE_HOME is to be ignored, says the XDG base directory specification.
  const xdg = environment.XDG_CACHE_HOME;
  const cache = xdg?.startsWith("/") ? xdg : join(homedir(), ".cache");
  const all = [dataDir, environment.STOPGRAD_DATA, join(cache, "stopgrad", "data")];
  return [...new Set(all.filter((dir) => dir !== undefined && dir !== "").map((dir) => resolve(dir!)))];
}
