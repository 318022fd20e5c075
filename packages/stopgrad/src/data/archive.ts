// Gzipped tar archives, read without unpacking them on disk: the wanted files one after the other, all others passed over.
import { createReadStream, statSync } from "node:fs";
import { basename } from "node:path";
import { createGunzip } from "node:zlib";
import { extract } from "tar-stream";
import { DatasetError } from "./dataset.js";
import { damaged, firstBytes, gzipProblem, rejectPage } from "./files.js";

/**
 * The wanted files of an archive in its own order, so that only one is held at a time. Leaving the loop early leaves the
 * rest of the archive unread.
 *
 * @param set - name of the data set, for messages
 * @param wanted - names without folders; may shrink on the way
 * @throws DatasetError when the archive cannot be read, is cut short or damaged, or is something else
 */
export async function* archiveMembers(
  set: string,
  path: string,
  wanted: ReadonlySet<string>,
): AsyncGenerator<{ name: string; bytes: Uint8Array }> {
  const file = createReadStream(path);
  const unpack = createGunzip();
  const tar = extract();
  let first: Uint8Array | null = null;
  file.once("data", (chunk) => {
    first = chunk as Buffer;
  });
  // An error anywhere ends the archive's stream, and with it the loop below.
  file.on("error", (error) => unpack.destroy(error));
  unpack.on("error", (error) => tar.destroy(error));
  file.pipe(unpack).pipe(tar);
  try {
    for await (const entry of tar) {
      const name = basename(entry.header.name);
      if (!wanted.has(name)) {
        entry.resume();
        continue;
      }
      const chunks: Uint8Array[] = [];
      for await (const chunk of entry) chunks.push(chunk as Uint8Array);
      yield { name, bytes: Buffer.concat(chunks) };
    }
  } catch (error) {
    if (error instanceof DatasetError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code?.startsWith("E")) throw new DatasetError(`${set}: ${path}: cannot be read (${code})`, { cause: error });
    if (first !== null) rejectPage(set, path, first);
    if (code?.startsWith("Z_")) {
      const { size } = statSync(path);
      const noGzip = first !== null && (first[0] !== 0x1f || first[1] !== 0x8b);
      throw damaged(set, path, noGzip ? `expected gzip data, found ${firstBytes(first!)}` : gzipProblem(error, size));
    }
    throw damaged(set, path, `not a whole tar archive (${message})`);
  } finally {
    file.destroy();
    unpack.destroy();
  }
}
