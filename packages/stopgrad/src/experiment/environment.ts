// Software and hardware of a run. The machine's name is left out on purpose: see `RunEnvironment`.
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem, type as typeOfSystem } from "node:os";
import { blasLibrary, version as libtorchVersion } from "@stopgrad/torch";
import type { RunEnvironment } from "../store/records.js";
import { stopgradVersion } from "../version.js";
import { describeDevice } from "./device.js";

/** How long git may look for changed files, in milliseconds. */
const GIT_TIMEOUT = 5000;

/** Instruction sets that libtorch and BLAS choose their kernels by, as Linux names them. */
const TELLING_SETS = [
  ...["sse4_2", "avx", "f16c", "fma", "avx2", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "avx512_fp16"],
  ...["amx_bf16", "amx_int8", "amx_tile"],
  ...["asimd", "asimdhp", "asimddp", "bf16", "i8mm", "sve", "sve2", "sme"],
];

let commit: Promise<string | null> | null = null;

/** Sets git to work. Before libtorch is loaded that is quick: a process with much memory takes long to start another. */
export function prepareEnvironment(): void {
  commit ??= commitOf(process.cwd());
}

/** Asks libtorch, so only for a process that computes. */
export async function describeEnvironment(
  threads: number,
  device: string,
  precision = "float32",
): Promise<RunEnvironment> {
  prepareEnvironment();
  const cpu = describeCpu();
  return {
    stopgrad: stopgradVersion(),
    node: process.versions.node,
    libtorch: libtorchVersion(),
    blas: blasLibrary(),
    threads,
    device: describeDevice(device),
    precision,
    platform: `${process.platform} ${process.arch}`,
    os: [distribution(), `${typeOfSystem()} ${release()}`].filter((part) => part !== null).join(", "),
    ...cpu,
    processors: availableParallelism(),
    memoryBytes: totalmem(),
    commit: await commit,
  };
}

/**
 * Commit of the repository around a folder, `-dirty` appended when tracked files have changed and `-unchecked` when
 * that could not be found out in time; null outside a repository. Changes nothing there, its index neither.
 */
export async function commitOf(folder: string): Promise<string | null> {
  const [commit, changes] = await Promise.all([
    git(folder, "rev-parse", "--verify", "HEAD"),
    git(folder, "status", "--porcelain", "--untracked-files=no"),
  ]);
  if (commit === null) return null;
  return commit + (changes === null ? "-unchecked" : changes === "" ? "" : "-dirty");
}

function git(folder: string, ...command: string[]): Promise<string | null> {
  const env = { ...process.env, GIT_OPTIONAL_LOCKS: "0" };
  return new Promise((resolve) => {
    execFile("git", command, { cwd: folder, env, timeout: GIT_TIMEOUT, maxBuffer: 2 ** 26 }, (error, output) =>
      resolve(error ? null : output.trim()),
    );
  });
}

function describeCpu(): { cpu: string; instructionSets: string[] } {
  const info = contentsOf("/proc/cpuinfo");
  const flags = new Set(/^(?:flags|Features)\s*:(.*)$/m.exec(info)?.[1]?.trim().split(/\s+/) ?? []);
  return {
    cpu: /^model name\s*:\s*(.+)$/m.exec(info)?.[1]?.trim() ?? cpus()[0]?.model.trim() ?? "unknown",
    instructionSets: TELLING_SETS.filter((name) => flags.has(name)),
  };
}

/** `Debian GNU/Linux 12 (bookworm)`; null where there is no such file. */
function distribution(): string | null {
  return /^PRETTY_NAME="?(.*?)"?$/m.exec(contentsOf("/etc/os-release"))?.[1] ?? null;
}

function contentsOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
