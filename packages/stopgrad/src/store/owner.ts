// Which process trains a run, and whether it still lives. A process number alone is not enough, since numbers are used
// again: on Linux the boot and the start time of the process are compared too.
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

export interface Owner {
  /** Host name; on Linux also the process-number space, which containers of one host name do not share. */
  readonly host: string;
  readonly pid: number;
  /** Boot id and start time; "" where the system does not tell. */
  readonly start: string;
}

export function thisProcess(): Owner {
  return { host: host(), pid: process.pid, start: startOf(process.pid) ?? "" };
}

/** False only when it is certain that the process is gone: one on another host counts as alive. */
export function mayBeAlive(owner: Owner): boolean {
  if (owner.host !== host()) return true;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    // EPERM: it lives, and belongs to somebody else.
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  const start = startOf(owner.pid);
  return start === undefined || owner.start === "" || start === owner.start;
}

export function isSameProcess(a: Owner, b: Owner): boolean {
  return a.host === b.host && a.pid === b.pid && a.start === b.start;
}

function host(): string {
  try {
    return `${hostname()} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return hostname();
  }
}

/** Undefined where the system does not tell; "gone" for a process that ends, or has ended and waits for its parent. */
function startOf(pid: number): string | undefined {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    // After the command name, which may hold anything in its parentheses: state (field 3) and start time (field 22).
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? "gone" : `${boot} ${fields[19]}`;
  } catch {
    return undefined;
  }
}
