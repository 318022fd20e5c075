// The order of the set-up's steps, under one lock, and what is said at the end.

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildAddon } from "./addon.mjs";
import { ensureBlas } from "./blas.mjs";
import { killChildren } from "./command.mjs";
import { ensureLibtorch } from "./libtorch.mjs";
import { acquireLock } from "./lock.mjs";
import { installPackages } from "./packages.mjs";
import { Problem, say, seconds } from "./say.mjs";
import { buildTypeScript } from "./typescript.mjs";

const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

/**
 * Brings a checkout up to date and says so on standard error, a line a step.
 *
 * @param {URL} rootUrl - the repository root
 * @returns {Promise<number>} exit status: 0 when everything is ready, 1 when a step failed
 */
export async function main(rootUrl) {
  const started = performance.now();
  const root = fileURLToPath(rootUrl);
  for (const [signal, status] of Object.entries(SIGNALS)) process.on(signal, () => stop(status));
  try {
    if (process.platform !== "linux") {
      throw new Problem(
        `stopgrad's native addon is built on Linux only, and this is ${process.platform}: ` +
          "use a Linux machine, a container, or WSL 2 on Windows.",
      );
    }
    const release = await acquireLock(join(root, ".setup"));
    process.on("exit", release);
    const libtorch = await ensureLibtorch(root);
    await ensureBlas(libtorch);
    const work = [
      await installPackages(root),
      await buildAddon(root, libtorch, process.env.STOPGRAD_SANITIZE ?? ""),
      await buildTypeScript(root),
    ];
    const outcome = work.some(Boolean) ? "ready" : "nothing to do";
    say(`${outcome}, libtorch ${libtorch.version} (${libtorch.source}: ${libtorch.prefix}), ${seconds(started)}`);
    return 0;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.tail) process.stderr.write(`${error.tail}\n`);
    say(error.message);
    return 1;
  }
}

/** Ends the set-up on a signal: first the programs it started, then itself; the lock goes with it. */
async function stop(status) {
  await killChildren();
  process.exit(status);
}
