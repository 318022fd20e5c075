// Step 4: TypeScript to JavaScript, with the compiler's own incremental build behind a fingerprint of the sources.

import { readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { run } from "./command.mjs";
import { filesBelow, fingerprint, readIfThere, readJson, writeWhole } from "./files.mjs";
import { Problem, task } from "./say.mjs";

/**
 * Builds every project that tsconfig.json refers to, unless its `dist` was built from these very sources.
 *
 * A stamp in each `dist` holds the sources' fingerprint. It goes away before the compiler starts and comes back when
 * all is written; where one is missing (a build was cut off, a `dist` was deleted) the compiler's own records are not
 * trusted and everything is written again.
 *
 * @param {string} root - the repository root
 * @returns {Promise<boolean>} whether anything was built
 */
export async function buildTypeScript(root) {
  const projects = readJson(join(root, "tsconfig.json")).references.map(({ path }) => join(root, path));
  const inputs = [
    ...["tsconfig.json", "tsconfig.base.json", "package-lock.json"].map((name) => join(root, name)),
    ...projects.flatMap((project) => [
      join(project, "tsconfig.json"),
      join(project, "package.json"),
      ...filesBelow(join(project, "src"), (name) => /\.[cm]?tsx?$|\.json$/.test(name)),
    ]),
  ];
  const key = fingerprint(inputs.flatMap((path) => [relative(root, path), readFileSync(path)]));
  const stamps = projects.map((project) => join(project, "dist", ".stopgrad-built"));
  const found = stamps.map(readIfThere);
  if (found.every((stamp) => stamp === key)) return false;
  const whole = found.every((stamp) => stamp !== undefined);
  await task("building the TypeScript", async () => {
    for (const stamp of stamps) rmSync(stamp, { force: true });
    const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
    const result = await run([process.execPath, compiler, "--build", ...(whole ? [] : ["--force"])], { cwd: root });
    if (!result.ok) throw new Problem("the TypeScript does not compile: see the lines above.", result.tail);
  });
  for (const stamp of stamps) writeWhole(stamp, key);
  return true;
}
