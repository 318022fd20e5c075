// An optimised BLAS under the system's libtorch. Debian's libtorch calls whatever BLAS the system has chosen; with the
// reference one a matrix product is some 30 times slower. Python's torch and PyTorch's archive bring their own.

import { existsSync, realpathSync } from "node:fs";
import { basename, join } from "node:path";
import { aptInstall } from "./apt.mjs";
import { say } from "./say.mjs";

const PACKAGE = "libopenblas0-pthread";

/**
 * Installs OpenBLAS where the system's libtorch would run on the reference BLAS, or says how to; never fails.
 *
 * @param {import("./libtorch.mjs").Libtorch} libtorch
 */
export async function ensureBlas(libtorch) {
  if (libtorch.source !== "system") return;
  const [directory] = libtorch.libDirs;
  const library = join(directory, "libblas.so.3");
  if (!isReference(library)) return;
  if (existsSync(join(directory, "openblas-pthread", "libblas.so.3"))) {
    say(
      "warning: OpenBLAS is installed but not chosen, so matrix products are some 30 times slower than they could be: " +
        `choose it with \`sudo update-alternatives --auto libblas.so.3-${basename(directory)}\`.`,
    );
    return;
  }
  const failure = await aptInstall([PACKAGE]);
  if (failure === undefined) return;
  say(
    `warning: there is no optimised BLAS, so matrix products are some 30 times slower than they could be, and it could ` +
      `not be installed (${failure}): get it with \`sudo apt-get install ${PACKAGE}\`.`,
  );
}

/** Whether a system's libblas.so.3 is the reference implementation, which Debian keeps in a folder `blas`. */
function isReference(library) {
  return existsSync(library) && /\/blas\/libblas\.so/.test(realpathSync(library));
}
