// Memory for several processes: a file without a name, which is gone when the last process that uses it is, however that
// comes. What it is for is parallel.ts.
import { closeSync, ftruncateSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Where files are kept in memory (Linux), and where there is room otherwise. */
const FOLDERS = ["/dev/shm", tmpdir()];

/**
 * So many bytes of zeros, in memory where there is room, else among temporary files.
 * @returns the file's descriptor
 * @throws Error when there is no room for it
 */
export function reserveMemory(bytes: number): number {
  const problems: string[] = [];
  for (const folder of FOLDERS) {
    const path = join(folder, `stopgrad-${process.pid}-${Date.now()}`);
    let descriptor: number | null = null;
    try {
      descriptor = openSync(path, "wx+", 0o600);
      rmSync(path);
      // Written and not only made long: memory that turns out not to be there kills whoever touches it.
      const piece = new Uint8Array(1 << 20);
      for (let at = 0; at < bytes; at += piece.length) writeSync(descriptor, piece, 0, piece.length, at);
      ftruncateSync(descriptor, bytes);
      return descriptor;
    } catch (error) {
      if (descriptor !== null) closeSync(descriptor);
      problems.push((error as Error).message);
    }
  }
  throw new Error(`parallel: expected room for ${bytes} bytes that processes share, got none (${problems.join("; ")})`);
}
