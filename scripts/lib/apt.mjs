// Installing Debian and Ubuntu packages, where this user may. apt is never cut off in the middle, and waits for its turn.

import { readdirSync } from "node:fs";
import { run, which } from "./command.mjs";
import { task } from "./say.mjs";

const LOCK_SECONDS = 300;

/**
 * Installs packages with apt, as root or with a `sudo` that asks for no password.
 *
 * @param {string[]} packages - their names
 * @param {object} [condition] - a package whose version decides whether to go on
 * @param {string} condition.package - its name
 * @param {(version: string) => boolean} condition.isRefused - true for a version that would be of no use
 * @returns {Promise<string | undefined>} undefined when they are installed, else why not
 */
export async function aptInstall(packages, condition) {
  if (which("apt-get") === undefined) return "this system has no apt";
  const asRoot = process.getuid() === 0 ? [] : ["sudo", "-n"];
  if (asRoot.length > 0 && !(await run([...asRoot, "true"])).ok) return "it needs root or a sudo without password";
  const apt = (...args) => {
    const settings = ["-o", `DPkg::Lock::Timeout=${LOCK_SECONDS}`, "-q"];
    return run([...asRoot, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", ...settings, ...args], { gentle: true });
  };
  const update = () => task("updating apt's package lists", () => apt("update"));
  if (!hasLists()) await update();
  if (condition !== undefined) {
    let version = await candidate(condition.package);
    if (version === undefined) {
      await update();
      version = await candidate(condition.package);
    }
    if (version === undefined) return `it knows no package ${condition.package}`;
    if (condition.isRefused(version)) return `its ${condition.package} is ${version}, which is too old`;
  }
  const install = () =>
    task(`installing ${packages.join(" ")} with apt`, () =>
      apt("install", "-y", "--no-install-recommends", ...packages),
    );
  let result = await install();
  if (!result.ok) {
    // The usual cause: lists so old that the files they name are gone.
    await update();
    result = await install();
  }
  return result.ok ? undefined : (result.tail.split("\n").findLast((line) => line.startsWith("E:")) ?? "it failed");
}

/** Whether apt has downloaded any list of packages; a fresh container has none. */
function hasLists() {
  try {
    return readdirSync("/var/lib/apt/lists").some((name) => /_Packages(\.\w+)?$/.test(name));
  } catch {
    return false;
  }
}

/** The version of a package that apt would install, undefined when it knows none. */
async function candidate(name) {
  const { standardOutput } = await run(["apt-cache", "policy", name], { env: { LC_ALL: "C" } });
  const version = standardOutput.match(/Candidate: (\S+)/)?.[1];
  return version === "(none)" ? undefined : version;
}
