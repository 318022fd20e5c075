// PyTorch's own archive of libtorch for the CPU: the last resort where there is neither a Python torch nor apt. It
// brings its own BLAS. It is unpacked into the user's cache, so that every checkout shares it.

import { createWriteStream, existsSync, mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { run, which } from "./command.mjs";
import { task } from "./say.mjs";

// The last version whose archive carries `cxx11-abi` in its name is 2.7; from 2.8 on the name is without it.
const VERSION = "2.6.0";
const ADDRESS = `https://download.pytorch.org/libtorch/cpu/libtorch-cxx11-abi-shared-with-deps-${VERSION}%2Bcpu.zip`;

/** The folder that the archive is unpacked into. */
export function archiveFolder() {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "stopgrad", `libtorch-${VERSION}`);
}

/** The commands that do by hand what `downloadArchive` does. */
export function archiveCommand() {
  return `curl -Lo libtorch.zip ${ADDRESS} && unzip -q libtorch.zip && export STOPGRAD_LIBTORCH=$PWD/libtorch`;
}

/**
 * Downloads and unpacks the archive; whole or not at all.
 *
 * @returns {Promise<string | undefined>} undefined when it is in place, else why not
 */
export async function downloadArchive() {
  if (process.arch !== "x64") return `there is none for ${process.arch}`;
  if (process.report.getReport().header.glibcVersionRuntime === undefined) return "it needs a system with glibc";
  const folder = archiveFolder();
  const temporary = `${folder}.${process.pid}`;
  const zip = `${temporary}.zip.part`;
  try {
    mkdirSync(dirname(folder), { recursive: true });
    await task(`downloading libtorch ${VERSION} from ${new URL(ADDRESS).host}`, (report) => download(zip, report));
    await task(`unpacking libtorch ${VERSION}`, () => unpack(zip, temporary));
    // Another set-up may have put it there meanwhile; theirs is as good.
    if (!existsSync(folder)) renameSync(join(temporary, "libtorch"), folder);
    return undefined;
  } catch (error) {
    return error.cause?.message ?? error.message;
  } finally {
    rmSync(zip, { force: true });
    rmSync(temporary, { recursive: true, force: true });
  }
}

async function download(path, report) {
  const response = await fetch(ADDRESS);
  if (!response.ok) throw new Error(`${ADDRESS} answered ${response.status}`);
  const total = Number(response.headers.get("content-length"));
  let received = 0;
  async function* counted(chunks) {
    for await (const chunk of chunks) {
      received += chunk.length;
      report(`${(received / 1e6).toFixed(0)} of ${total > 0 ? (total / 1e6).toFixed(0) : "?"} MB`);
      yield chunk;
    }
  }
  await pipeline(Readable.fromWeb(response.body), counted, createWriteStream(path));
  const { size } = statSync(path);
  if (total > 0 && size !== total) throw new Error(`the download has ${size} bytes instead of ${total}`);
}

async function unpack(zip, folder) {
  const command =
    which("unzip") === undefined ? ["python3", "-m", "zipfile", "-e", zip, folder] : ["unzip", "-q", zip, "-d", folder];
  const result = await run(command);
  if (!result.ok) throw new Error(`${command[0]} could not unpack it: ${result.tail.split("\n").at(-1)}`);
}
