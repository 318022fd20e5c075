// A copy of this checkout's working tree: every file that git knows or would add, changed ones as they are now, without
// what is built or installed. What the copy builds for itself stays there from one call to the next.

import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { run, runOrFail } from "./command.mjs";
import { readJson, writeWhole } from "./files.mjs";
import { Problem } from "./say.mjs";

/** Names what was copied the last time, so that a file deleted since is deleted there too. */
const COPIED = ".setup/copied.json";

/**
 * Brings a copy of the working tree up to date.
 *
 * @param {string} root - the repository root
 * @param {string} target - the copy; created when missing
 */
export async function copyCheckout(root, target) {
  const listing = await run(["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
  if (!listing.ok) throw new Problem(`expected ${root} to be a git checkout: see the lines above.`, listing.tail);
  const names = [...new Set(listing.standardOutput.split("\0"))].filter(
    (name) => name !== "" && statOf(join(root, name)),
  );
  for (const name of readJson(join(target, COPIED)) ?? []) {
    if (!names.includes(name)) rmSync(join(target, name), { force: true });
  }
  // Before anything is copied, so that what a cut-off call has copied is known too.
  writeWhole(join(target, COPIED), JSON.stringify(names));
  for (const name of names) copyFile(join(root, name), join(target, name));
}

/** Copies a file or a symbolic link unless it is there already; times of unchanged files stay, for incremental builds. */
function copyFile(source, target) {
  const stats = statOf(source);
  const there = statOf(target);
  if (stats.isSymbolicLink()) {
    const link = readlinkSync(source);
    if (there?.isSymbolicLink() && readlinkSync(target) === link) return;
    rmSync(target, { recursive: true, force: true });
    mkdirSync(dirname(target), { recursive: true });
    symlinkSync(link, target);
    return;
  }
  const content = readFileSync(source);
  if (!there?.isFile() || !readFileSync(target).equals(content)) {
    rmSync(target, { recursive: true, force: true });
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, content);
  }
  chmodSync(target, stats.mode & 0o777);
}

function statOf(path) {
  return lstatSync(path, { throwIfNoEntry: false });
}

/**
 * Copies the installed npm packages of this checkout: for a system that has no way to npm's registry.
 *
 * @param {string} root - the repository root, with node_modules
 * @param {string} target - the copy made by {@link copyCheckout}
 */
export async function copyPackages(root, target) {
  if (!statOf(join(root, "node_modules"))?.isDirectory()) {
    throw new Problem(`there are no packages in ${root} to copy either: run \`npm run setup\` there first.`);
  }
  rmSync(join(target, "node_modules"), { recursive: true, force: true });
  await runOrFail(
    ["cp", "-a", join(root, "node_modules"), join(target, "node_modules")],
    "the npm packages could not be copied: see the lines above.",
  );
}

/**
 * What the working tree is.
 *
 * @param {string} root - the repository root
 * @param {string[]} except - files whose changes do not count
 * @returns {Promise<string>} the commit, `-dirty` behind it when files differ from it or are new
 */
export async function commitOf(root, except) {
  const git = (...args) => runOrFail(["git", "-C", root, ...args], `git cannot tell the state of ${root}: see above.`);
  const commit = (await git("rev-parse", "HEAD")).standardOutput.trim();
  const status = await git("status", "--porcelain", "--", ".", ...except.map((path) => `:(exclude)${path}`));
  return status.standardOutput === "" ? commit : `${commit}-dirty`;
}
