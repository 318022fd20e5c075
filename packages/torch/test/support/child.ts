// Scripts that need a process or a worker thread of their own. They import the built package, as users do.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Address of the built package, for an import in a script. */
export const builtPackage = new URL("../../dist/index.js", import.meta.url).href;

if (!existsSync(fileURLToPath(builtPackage))) {
  throw new Error('the package is not built: run "npm run build" first');
}

/** Runs `script` (a module body in which `torch` is the package) in a process of its own; its last line, parsed. */
export function runScript<T>(script: string, options: { nodeOptions?: string[]; env?: NodeJS.ProcessEnv } = {}): T {
  const output = execFileSync(
    process.execPath,
    [
      ...(options.nodeOptions ?? []),
      "--input-type=module",
      "--eval",
      `import * as torch from "${builtPackage}";${script}`,
    ],
    { encoding: "utf8", env: { ...process.env, ...options.env } },
  );
  return JSON.parse(output.trim().split("\n").at(-1)!);
}
