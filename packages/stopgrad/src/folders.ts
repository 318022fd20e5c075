// Creating folders. Node's own `mkdir` with `recursive` goes round for ever in file systems that answer "no such file"
// to a folder they will not take, as /proc does (seen with Node 20): here each level is asked for once.
import { mkdirSync, rmdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

/**
 * Creates a folder and those above it that are missing.
 * @throws the system's error: `EEXIST` or `ENOTDIR` where a file is in the way, `ENOENT` where the file system takes no
 *   folders, `EACCES`, `EROFS`, `ENOSPC` and so on
 * @returns those that it created, outermost first; of an error none is left
 */
export function makeFolder(path: string): string[] {
  const missing: string[] = [];
  for (let at = resolve(path); statSync(at, { throwIfNoEntry: false }) === undefined; at = dirname(at)) {
    missing.push(at);
  }
  const made: string[] = [];
  for (const folder of missing.reverse()) {
    try {
      mkdirSync(folder);
      made.push(folder);
    } catch (error) {
      // Another process may have been faster.
      const isThere = statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true;
      if (isThere) continue;
      removeFolders(made);
      throw error;
    }
  }
  if (missing.length === 0 && !statSync(path).isDirectory()) mkdirSync(path); // says EEXIST
  return made;
}

/** Removes folders that `makeFolder` made, as far as nothing is in them. */
export function removeFolders(made: readonly string[]): void {
  for (const folder of [...made].reverse()) {
    try {
      rmdirSync(folder);
    } catch {
      return; // somebody put something there
    }
  }
}
