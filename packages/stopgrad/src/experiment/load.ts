// Reads an experiment file from disk. What cannot be read is one sentence, with line and column where there is one.
import { readFileSync, statSync } from "node:fs";
import { documentFromText, type SettingsDocument } from "./document.js";
import { SettingsError } from "./problems.js";

/** An experiment file is a page of text; anything larger is another kind of file, named by mistake. */
const LARGEST_BYTES = 1_000_000;

/** @throws SettingsError when the file is missing, a directory, unreadable, not UTF-8, or not one YAML map. */
export function loadDocument(file: string): SettingsDocument {
  const fail = (message: string, location = file): never => {
    throw new SettingsError(file, [{ path: "", message, location }]);
  };
  let bytes: Buffer;
  try {
    const stat = statSync(file);
    if (stat.isDirectory()) fail("is a directory; expected an experiment file (.yaml)");
    if (stat.size > LARGEST_BYTES) fail(`is ${stat.size} bytes long; an experiment file is a page of YAML`);
    bytes = readFileSync(file);
  } catch (error) {
    if (error instanceof SettingsError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return fail("no such file");
    if (code === "EACCES" || code === "EPERM") return fail("may not be read (permission denied)");
    return fail(`cannot be read (${code ?? (error as Error).message})`);
  }
  const bad = firstInvalidByte(bytes);
  if (bad !== null) fail("not UTF-8 text; save the file as UTF-8", `${file}:${bad.line}:${bad.column}`);
  return documentFromText(new TextDecoder().decode(bytes), file);
}

/**
 * Line and column (1 for the first, columns in characters) of the first byte that UTF-8 does not allow, or null.
 * The decoder is fed byte by byte, so that it stops exactly there.
 */
function firstInvalidByte(bytes: Uint8Array): { line: number; column: number } | null {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return null;
  } catch {
    const decoder = new TextDecoder("utf-8", { fatal: true });
    let line = 1;
    let column = 1;
    try {
      for (let i = 0; i < bytes.length; i++) {
        const character = decoder.decode(bytes.subarray(i, i + 1), { stream: true });
        if (character === "\n") {
          line++;
          column = 1;
        } else {
          column += character.length;
        }
      }
    } catch {
      // The byte at the position reached is the bad one.
    }
    return { line, column };
  }
}
