// Step 2: the npm packages, exactly as package-lock.json says. Install scripts stay off: no dependency needs one.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { run, which } from "./command.mjs";
import { fingerprint, readIfThere, writeWhole } from "./files.mjs";
import { Problem, task } from "./say.mjs";

/**
 * Runs `npm ci` unless the packages of this very lock file are in place. The stamp lies inside node_modules, which
 * `npm ci` empties before it begins, so an install that was cut off leaves no stamp.
 *
 * @param {string} root - the repository root
 * @returns {Promise<boolean>} whether anything was installed
 */
export async function installPackages(root) {
  const key = fingerprint([readFileSync(join(root, "package-lock.json")), process.platform, process.arch]);
  const stamp = join(root, "node_modules", ".stopgrad-installed");
  if (readIfThere(stamp) === key) return false;
  const npm = which("npm");
  if (npm === undefined) throw new Problem("npm is not on the PATH: install the one that comes with Node.");
  await task("installing the npm packages", async () => {
    const options = ["--ignore-scripts", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"];
    const result = await run([npm, "ci", ...options], { cwd: root });
    if (result.ok) return;
    throw new Problem(
      "the npm packages could not be installed: see npm's lines above, and try `npm ci` once the cause is gone.",
      // npm names the cause first and explains its own options last.
      result.output.split("\n").slice(0, 20).join("\n"),
    );
  });
  writeWhole(stamp, key);
  return true;
}
