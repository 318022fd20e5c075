// CUDA's headers, which libtorch's own include where it has CUDA: looked for wherever people have them. Nothing of CUDA
// is linked or installed; the libraries come with libtorch.

import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { which } from "./command.mjs";
import { readIfThere } from "./files.mjs";

/** What the addon includes, and what those include in turn: a folder without them is of no use. */
const HEADERS = ["cuda.h", "cuda_runtime_api.h", "crt/host_defines.h"];

/**
 * The headers for a libtorch with CUDA: of its own major version, because the runtime's structures change with it.
 *
 * @param {import("./libtorch.mjs").Libtorch} libtorch - one with `cuda`
 * @returns {{ include: string, version: number, reason?: undefined } | { reason: string }} the folder and its CUDA (13 for
 *   13.0), or one sentence without a full stop that says what is missing and how to get it
 */
export function findCudaHeaders(libtorch) {
  const wanted = cudaVersionOf(libtorch);
  const folders = includeFolders(libtorch);
  const usable = folders
    .filter((folder) => HEADERS.every((header) => existsSync(join(folder, header))))
    .map((include) => ({ include, version: headerVersion(include) }));
  const fitting = usable.find(({ version }) => wanted === undefined || version === wanted);
  if (fitting !== undefined) return fitting;
  const other = usable.map(({ include, version }) => `CUDA ${version} in ${include}`).join(", ");
  const needed = wanted === undefined ? "CUDA" : `CUDA ${wanted}`;
  return {
    reason:
      `libtorch ${libtorch.version} has CUDA, but the headers of ${needed} were not found` +
      `${other === "" ? "" : ` (only ${other})`}, so that the addon computes on the CPU only: install the CUDA toolkit, or ` +
      `set CUDA_HOME to the folder that holds include/cuda_runtime_api.h, and run the set-up again`,
  };
}

/** In the order in which they are believed: what the user says, what lies beside libtorch, the system's. */
function includeFolders({ prefix }) {
  const { CUDA_HOME, CUDA_PATH, CONDA_PREFIX } = process.env;
  const chosen = [CUDA_HOME, CUDA_PATH].filter(Boolean).map((home) => join(home, "include"));
  // NVIDIA's packages for pip: nvidia/cu13/include, before CUDA 13 nvidia/cuda_runtime/include.
  const wheels = join(prefix, "..", "nvidia");
  const beside = foldersIn(wheels).map((name) => join(wheels, name, "include"));
  const conda = CONDA_PREFIX
    ? [join(CONDA_PREFIX, "targets", "x86_64-linux", "include"), join(CONDA_PREFIX, "include")]
    : [];
  const nvcc = which("nvcc");
  const ofCompiler = nvcc === undefined ? [] : [join(dirname(realpathSync(nvcc)), "..", "include")];
  const numbered = foldersIn("/usr/local")
    .filter((name) => /^cuda-\d/.test(name))
    .reverse();
  const system = ["cuda", ...numbered].map((name) => join("/usr/local", name, "include"));
  return [...chosen, ...beside, ...conda, ...ofCompiler, ...system, "/usr/include"];
}

function foldersIn(folder) {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

/** 13 of `#define CUDART_VERSION 13000`. */
function headerVersion(include) {
  const found = readIfThere(join(include, "cuda_runtime_api.h"))?.match(/#define CUDART_VERSION\s+(\d+)/)?.[1];
  return found === undefined ? undefined : Math.floor(Number(found) / 1000);
}

/** The major version that libtorch was built with, read off the name of the runtime that libc10_cuda needs. */
function cudaVersionOf({ libDirs }) {
  for (const directory of libDirs) {
    const library = join(directory, "libc10_cuda.so");
    if (!existsSync(library)) continue;
    const name = readFileSync(library, "latin1").match(/libcudart(?:-\w+)?\.so\.(\d+)/);
    if (name !== null) return Number(name[1]);
  }
  return undefined;
}

/**
 * The C++ standard that a libtorch's headers ask for.
 *
 * @param {import("./libtorch.mjs").Libtorch} libtorch
 * @returns {17 | 20} at least 17, which the addon itself needs
 */
export function standardOf({ includeDirs }) {
  for (const folder of [...includeDirs, "/usr/include"]) {
    const header = readIfThere(join(folder, "ATen", "ATen.h"));
    const asked = header?.match(/C\+\+(\d\d) or later/)?.[1];
    if (asked !== undefined) return Number(asked) > 17 ? 20 : 17;
  }
  return 17;
}
