// Running programs in a folder that holds a whole system, as if it were the machine's own.
//
// Everything that is mounted there (/proc, /sys, /dev, a folder of data) is mounted in a mount namespace that belongs to
// the one program that runs, and is gone with it however it ends: the machine itself never sees a mount below the
// folder, so that removing the folder cannot reach anything outside. A process namespace of its own makes sure that
// nothing outlives the program either. Needs root and util-linux's `unshare`.

import { join } from "node:path";
import { run, which } from "./command.mjs";
import { Problem } from "./say.mjs";

const PRIVATE = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"];

// $1 is the folder, $2 the data that is mounted read-only at /data (or empty), then come the settings and the program.
// The shell stays as the first process of the namespace and collects processes that lost their parents.
const ENTER = `
set -e
root=$1 data=$2
shift 2
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
if [ -n "$data" ]; then
  mkdir -p "$root/data"
  mount --bind "$data" "$root/data"
  mount -o remount,bind,ro "$root/data"
fi
set +e
chroot "$root" /usr/bin/env -i "$@"
exit $?
`;

const SETTINGS = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: "/root",
  LANG: "C.UTF-8",
};

/** Where a folder of data is seen inside. */
export const DATA_INSIDE = "/data";

/**
 * Makes sure that systems in folders can be made and entered here.
 *
 * @throws {Problem} not Linux, not root, no `debootstrap`, or mounting is not allowed
 */
export async function checkCanEnter() {
  if (process.platform !== "linux" || process.getuid() !== 0) {
    throw new Problem("a system in a folder is made and entered as root on Linux: run this again with sudo.");
  }
  if (which("debootstrap") === undefined) {
    throw new Problem("debootstrap is missing: get it with `sudo apt-get install debootstrap`.");
  }
  const result = await run([...PRIVATE, "--mount-proc", "true"]);
  if (!result.ok) {
    throw new Problem(
      "mounting in a namespace of its own is not allowed here, as in a container without rights: run this on a machine " +
        "or in a privileged container.",
      result.tail,
    );
  }
}

/**
 * A command line that runs a program with its mounts and processes private to it, outside any folder.
 *
 * @param {string[]} command - program and arguments
 */
export function inPrivate(command) {
  return [...PRIVATE, "--mount-proc", ...command];
}

/**
 * A command line that runs a program inside a folder's system, with none of this process's environment.
 *
 * @param {string} folder - the system's root
 * @param {string[]} command - program and arguments, as seen inside
 * @param {object} [options]
 * @param {Record<string, string | undefined>} [options.env] - its environment beside PATH, HOME and LANG
 * @param {string} [options.cwd] - its working directory inside, `/` unless given
 * @param {string} [options.data] - a folder of this machine, seen read-only as {@link DATA_INSIDE}
 */
export function inside(folder, command, { env = {}, cwd = "/", data = "" } = {}) {
  const settings = Object.entries({ ...SETTINGS, ...env }).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  );
  const start = ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", cwd];
  return [...PRIVATE, "sh", "-c", ENTER, "sh", folder, data, ...settings, ...start, ...command];
}

/** Where a path inside lies on this machine. */
export function outside(folder, path) {
  return join(folder, path);
}
