// Software and hardware of a run.
import { execFileSync } from "node:child_process";
import { cpus } from "node:os";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { blasLibrary, version as libtorchVersion } from "@stopgrad/torch";
import type { RunEnvironment } from "../store/records.js";
import { stopgradVersion } from "../version.js";

/** Asks libtorch, so only for a process that computes. */
export function describeEnvironment(threads: number, device: string): RunEnvironment {
  return {
    stopgrad: stopgradVersion(),
    node: process.versions.node,
    libtorch: libtorchVersion(),
    blas: blasLibrary(),
    threads,
    device,
    platform: `${process.platform} ${process.arch}`,
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    commit: workingCommit(),
  };
}

/** Commit of this source tree, `-dirty` appended when files have changed; null outside a repository. */
function workingCommit(): string | null {
  const options = {
    cwd: dirname(fileURLToPath(import.meta.url)),
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"] as ["ignore", "pipe", "ignore"],
  } as const;
  try {
    const commit = execFileSync("git", ["rev-parse", "HEAD"], options).trim();
    const changed = execFileSync("git", ["status", "--porcelain", "--untracked-files=no"], options).trim() !== "";
    return changed ? `${commit}-dirty` : commit;
  } catch {
    return null;
  }
}
