// Files for people: whole or not there, also on a full disk or when the process is killed.
import { randomBytes } from "node:crypto";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/**
 * Writes beside the file and renames, so that a name never holds a part; what was there stays when the writing fails.
 * @throws Error of the file system, its `path` the file's
 */
export function writeWhole(file: string, text: string): void {
  const temporary = join(dirname(file), `.${basename(file)}.${randomBytes(6).toString("hex")}.tmp`);
  try {
    writeFileSync(temporary, text);
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error instanceof Error ? Object.assign(error, { path: file }) : error;
  }
}
