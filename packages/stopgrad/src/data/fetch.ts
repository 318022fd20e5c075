// Downloads the official files of a set: size and checksum verified, a broken transfer continued where it stopped, and
// the file in place only when it is whole. Node's http and https, because fetch() may unpack .gz files on the way.
import { createReadStream } from "node:fs";
import { type FileHandle, open, rename, rm, stat } from "node:fs/promises";
import { get as httpGet, type IncomingMessage } from "node:http";
import { get as httpsGet } from "node:https";
import { dirname, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { makeFolder } from "../folders.js";
import { DatasetError, type RemoteFile } from "./dataset.js";
import { looksLikePage, md5 } from "./files.js";

export interface FetchOptions {
  /** Data directory; files go to `directory/RemoteFile.path`. */
  readonly directory: string;
  /** Base address to use instead of the official sites; `RemoteFile.path` is appended. */
  readonly mirror?: string | undefined;
  /** Called after every piece that arrived. `bytes` counts what an earlier attempt had left. */
  readonly onProgress?: ((progress: FetchProgress) => void) | undefined;
  /** Stops at once; what came stays for the next time. */
  readonly signal?: AbortSignal | undefined;
  /** Attempts in a row that bring nothing new before giving up; default 3. */
  readonly attempts?: number;
  /** Pause before another attempt; default 2. */
  readonly pauseSeconds?: number;
  /** Silence after which a connection counts as dead; default 60. */
  readonly silenceSeconds?: number;
}

export interface FetchProgress {
  /** `RemoteFile.path` */
  readonly file: string;
  readonly bytes: number;
  readonly total: number;
}

export interface FetchedFile {
  readonly path: string;
  readonly url: string;
  readonly bytes: number;
  /** `present`: it was there already, with the right checksum. */
  readonly status: "downloaded" | "present";
}

/**
 * One file, in place and verified when the promise resolves.
 *
 * @param set - name of the data set, for messages
 * @throws DatasetError when the server cannot be reached or refuses, the file is not the official one, or the disk
 *   cannot be written; the reason of `signal` when stopped
 */
export async function fetchFile(set: string, file: RemoteFile, options: FetchOptions): Promise<FetchedFile> {
  const path = join(options.directory, file.path);
  const url = options.mirror === undefined ? file.url : `${options.mirror.replace(/\/+$/, "")}/${file.path}`;
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
    throw new DatasetError(`${set}: expected a mirror with an http or https address, got ${options.mirror ?? url}`);
  }
  const fetched = { path, url, bytes: file.bytes };
  const part = `${path}.part`;
  try {
    if ((await sizeOf(path)) === file.bytes && (await md5(path)) === file.md5) return { ...fetched, status: "present" };
    makeFolder(dirname(path));
    await complete(set, file, url, path, part, options);
    const found = await md5(part);
    if (found !== file.md5) {
      const page = looksLikePage(await firstPiece(part)) ? " (it is a web page)" : "";
      await rm(part);
      throw new DatasetError(
        `${set}: ${url}: expected MD5 ${file.md5}, found ${found}${page}; the download was removed, fetch it again or put the official file at ${path}`,
      );
    }
    await rename(part, path);
  } catch (error) {
    const { syscall, code } = error as NodeJS.ErrnoException;
    if (error instanceof DatasetError || syscall === undefined) throw error;
    throw new DatasetError(`${set}: cannot write ${part} (${code}); free the place or choose another \`--data-dir\``, {
      cause: error,
    });
  }
  return { ...fetched, status: "downloaded" };
}

/** Why one attempt failed. */
class AttemptFailed extends Error {
  constructor(
    message: string,
    /** `again`: as it is; `restart`: from the first byte; `never`: another attempt would end the same way. */
    readonly next: "again" | "restart" | "never",
  ) {
    super(message);
  }
}

/** Attempts until `part` has every byte. */
async function complete(
  set: string,
  file: RemoteFile,
  url: string,
  path: string,
  part: string,
  options: FetchOptions,
): Promise<void> {
  const { attempts = 3, pauseSeconds = 2, signal } = options;
  let fruitless = 0;
  for (;;) {
    signal?.throwIfAborted();
    let start = (await sizeOf(part)) ?? 0;
    if (start > file.bytes) {
      await rm(part);
      start = 0;
    }
    if (start === file.bytes) return;
    try {
      await attempt(file, url, part, start, options);
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof AttemptFailed)) throw error;
      if (error.next === "restart") await rm(part, { force: true });
      const grew = ((await sizeOf(part)) ?? 0) > start;
      fruitless = grew ? 0 : fruitless + 1;
      if (error.next === "never" || fruitless >= attempts) {
        const kept = ((await sizeOf(part)) ?? 0) > 0 ? "; what came is kept and continued next time" : "";
        throw new DatasetError(
          `${set}: cannot download ${url}: ${error.message}${kept}; try again later, or put the file at ${path} by hand`,
          { cause: error },
        );
      }
      if (error.next === "again") await wait(pauseSeconds * 1000, undefined, signal === undefined ? {} : { signal });
    }
  }
}

/** One request from byte `start` on; resolves when the server has sent all it announced. */
async function attempt(
  file: RemoteFile,
  url: string,
  part: string,
  start: number,
  options: FetchOptions,
): Promise<void> {
  const response = await request(url, start, options);
  try {
    let at = firstByte(response, start);
    const announced = Number(response.headers["content-length"] ?? Number.NaN);
    if (announced >= 0 && at + announced !== file.bytes) {
      const page = response.headers["content-type"]?.startsWith("text/html") ? " (a web page)" : "";
      const failure = `expected ${file.bytes} bytes, the server offers ${at + announced}${page}`;
      throw new AttemptFailed(failure, start > 0 ? "restart" : "never");
    }
    const handle = await open(part, at === 0 ? "w" : "r+");
    try {
      for await (const chunk of pieces(response)) {
        if (at + chunk.length > file.bytes) {
          throw new AttemptFailed(
            `expected ${file.bytes} bytes, the server sends more`,
            start > 0 ? "restart" : "never",
          );
        }
        await writeAll(handle, chunk, at);
        at += chunk.length;
        options.onProgress?.({ file: file.path, bytes: at, total: file.bytes });
      }
    } finally {
      await handle.close();
    }
    if (at < file.bytes) throw new AttemptFailed(`the connection ended after ${at} of ${file.bytes} bytes`, "again");
  } finally {
    response.destroy();
  }
}

/** Byte that the response starts with. @throws AttemptFailed when it is no answer to the request */
function firstByte(response: IncomingMessage, start: number): number {
  const status = response.statusCode!;
  if (status === 200) return 0; // all of it: the server knows no ranges, or none was asked for
  if (status === 206 && Number(/^bytes (\d+)-/.exec(response.headers["content-range"] ?? "")?.[1]) === start)
    return start;
  const answer = `the server answered ${status} ${response.statusMessage ?? ""}`.trimEnd();
  if (start > 0 && (status === 206 || status === 416)) throw new AttemptFailed(answer, "restart");
  throw new AttemptFailed(answer, status >= 500 || status === 408 || status === 429 ? "again" : "never");
}

/** The response to a GET, redirects followed. */
async function request(url: string, start: number, options: FetchOptions): Promise<IncomingMessage> {
  let address = new URL(url);
  for (let redirects = 0; redirects <= 5; redirects++) {
    const response = await once(address, start, options);
    const { location } = response.headers;
    if (![301, 302, 303, 307, 308].includes(response.statusCode!) || location === undefined) return response;
    response.destroy();
    address = new URL(location, address);
  }
  throw new AttemptFailed("more than five redirects", "never");
}

function once(address: URL, start: number, options: FetchOptions): Promise<IncomingMessage> {
  const { signal, silenceSeconds = 60 } = options;
  if (address.protocol !== "http:" && address.protocol !== "https:") {
    throw new AttemptFailed(`redirected to ${address.href}, which is no http or https address`, "never");
  }
  const get = address.protocol === "http:" ? httpGet : httpsGet;
  const headers = { "user-agent": "stopgrad", ...(start > 0 ? { range: `bytes=${start}-` } : {}) };
  return new Promise((resolve, reject) => {
    let response: IncomingMessage | undefined;
    const sent = get(address, { headers, ...(signal === undefined ? {} : { signal }) }, (incoming) => {
      response = incoming;
      resolve(incoming);
    });
    sent.setTimeout(silenceSeconds * 1000, () => {
      (response ?? sent).destroy(new Error(`no answer for ${silenceSeconds} s`));
    });
    sent.on("error", (error) => reject(new AttemptFailed(reason(error), "again")));
  });
}

/** The body, with errors of the connection as failed attempts. */
async function* pieces(response: IncomingMessage): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of response) yield chunk as Uint8Array;
  } catch (error) {
    throw new AttemptFailed(`the connection broke (${reason(error as Error)})`, "again");
  }
}

function reason(error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  return error.message || code || error.name;
}

async function writeAll(handle: FileHandle, chunk: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < chunk.length; ) {
    const { bytesWritten } = await handle.write(chunk, done, chunk.length - done, at + done);
    done += bytesWritten;
  }
}

async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

async function firstPiece(path: string): Promise<Uint8Array> {
  for await (const chunk of createReadStream(path, { end: 63 })) return chunk as Uint8Array;
  return new Uint8Array();
}
