// Step 1: where libtorch comes from. In this order: the folder that STOPGRAD_LIBTORCH names, an installed Python `torch`,
// the system's package, and when there is none of them, apt or PyTorch's own archive.

import { existsSync, readFileSync, realpathSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { aptInstall } from "./apt.mjs";
import { archiveCommand, archiveFolder, downloadArchive } from "./archive.mjs";
import { run, which } from "./command.mjs";
import { fingerprint, identity, readIfThere, readJson, writeWhole } from "./files.mjs";
import { Problem, say } from "./say.mjs";

/** The oldest libtorch that the addon compiles against: Debian 12's. */
const OLDEST = "1.13";

const MULTIARCH = { x64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" }[process.arch];
const APT_PACKAGES = ["libtorch-dev", "libopenblas0-pthread", "g++"];

// Finds the package without importing it, which would take seconds. The working folder is `/`, so that no folder that
// happens to be called torch is taken for it.
const ASK_PYTHON = `
import importlib.util, json, sys
spec = importlib.util.find_spec("torch")
print(json.dumps({"folders": list(spec.submodule_search_locations or []) if spec else [], "path": sys.path}))
`;

/**
 * @typedef {object} Libtorch
 * @property {string} version - such as `2.6.0`
 * @property {"STOPGRAD_LIBTORCH" | "python" | "system" | "archive"} source - which of the places it was found in
 * @property {string} prefix - the folder that holds include/ and lib/
 * @property {string[]} includeDirs - for the compiler; without /usr/include, which it searches anyway
 * @property {string[]} libDirs - for the linker, and for the loader at run time
 * @property {0 | 1} abi - the value of _GLIBCXX_USE_CXX11_ABI it was built with
 * @property {boolean} cuda - whether it brings CUDA's kernels
 */

/**
 * Finds libtorch, and installs it when there is none.
 *
 * @param {string} root - the repository root
 * @returns {Promise<Libtorch>}
 * @throws {Problem} when STOPGRAD_LIBTORCH names no libtorch, or nothing could be found or installed
 */
export async function ensureLibtorch(root) {
  const memory = join(root, ".setup", "libtorch.json");
  const remembered = readJson(memory);
  if (remembered !== undefined && remembered.key === keyOf(remembered.watched)) return remembered.libtorch;
  const watched = new Set(["/usr/include/torch", "/usr/local/include/torch"]);
  const libtorch = (await findLibtorch(watched)) ?? (await installLibtorch(watched));
  for (const directory of libtorch.libDirs) watched.add(join(directory, "libtorch_cpu.so"));
  writeWhole(memory, JSON.stringify({ key: keyOf([...watched]), watched: [...watched], libtorch }, null, 2));
  say(`found libtorch ${libtorch.version} (${libtorch.source}: ${libtorch.prefix})`);
  return libtorch;
}

/** What the answer depended on: the settings that choose a Python or a libtorch, and the folders that were looked into. */
function keyOf(watched) {
  const { STOPGRAD_LIBTORCH, VIRTUAL_ENV, CONDA_PREFIX, PYENV_VERSION, PYTHONPATH, PYTHONHOME } = process.env;
  const settings = [STOPGRAD_LIBTORCH, VIRTUAL_ENV, CONDA_PREFIX, PYENV_VERSION, PYTHONPATH, PYTHONHOME];
  return fingerprint([JSON.stringify(settings), which("python3") ?? "", ...watched.map(identity)]);
}

/** Looks in every place in turn and adds to `watched` what would change the answer. */
async function findLibtorch(watched) {
  const chosen = process.env.STOPGRAD_LIBTORCH;
  if (chosen) {
    const found = inspect(resolve(chosen), "STOPGRAD_LIBTORCH");
    if (found.reason === undefined) return found.libtorch;
    throw new Problem(
      `STOPGRAD_LIBTORCH: expected a folder with include/ and lib/, such as an unpacked libtorch or the folder of ` +
        `Python's torch, got ${chosen}: ${found.reason}.`,
    );
  }
  for (const folder of await pythonTorchFolders(watched)) {
    if (!hasOwnLibraries(folder)) continue;
    const found = inspect(folder, "python");
    if (found.reason === undefined) return found.libtorch;
    say(`passing over ${folder}: ${found.reason}`);
  }
  for (const prefix of ["/usr/local", "/usr"]) {
    const found = inspect(prefix, "system");
    if (found.reason === undefined) return found.libtorch;
  }
  const found = inspect(archiveFolder(), "archive");
  return found.reason === undefined ? found.libtorch : undefined;
}

/** The folders of an importable `torch`, as the first python3 on the PATH and the system's one see them. */
async function pythonTorchFolders(watched) {
  const pythons = [...new Set([which("python3"), which("/usr/bin/python3")])].filter((python) => python !== undefined);
  watched.add(join(process.env.PYENV_ROOT ?? join(homedir(), ".pyenv"), "version"));
  const answers = await Promise.all(pythons.map((python) => run([python, "-c", ASK_PYTHON], { timeout: 10_000 })));
  return answers.flatMap(({ ok, standardOutput }) => {
    if (!ok) return [];
    const { folders, path } = JSON.parse(standardOutput);
    for (const entry of path) if (entry !== "") watched.add(entry);
    return folders;
  });
}

/** Whether a Python torch brings libtorch; Debian's links to the system's, and then it is the system's that counts. */
function hasOwnLibraries(folder) {
  const library = join(folder, "lib", "libtorch_cpu.so");
  return existsSync(library) && realpathSync(library).startsWith(realpathSync(folder));
}

/**
 * What a folder with include/ and lib/ holds.
 *
 * @returns {{ libtorch: Libtorch, reason?: undefined } | { reason: string }} the libtorch, or why it is not usable
 */
export function inspect(prefix, source) {
  const include = join(prefix, "include");
  const api = join(include, "torch", "csrc", "api", "include");
  const header = join(api, "torch", "torch.h");
  if (!existsSync(header)) return { reason: `there is no ${header}` };
  const places = ["lib", ...(MULTIARCH === undefined ? [] : [join("lib", MULTIARCH)]), "lib64"];
  const lib = places.map((place) => join(prefix, place)).find((place) => existsSync(join(place, "libtorch_cpu.so")));
  if (lib === undefined) return { reason: `there is no ${join(prefix, "lib", "libtorch_cpu.so")}` };
  const version = versionOf(prefix, include, api);
  if (version === undefined) return { reason: "its headers do not say which version it is" };
  if (isOlder(version, OLDEST)) return { reason: `it is libtorch ${version}, and ${OLDEST} is the oldest that works` };
  const libtorch = {
    version,
    source,
    prefix,
    includeDirs: include === "/usr/include" ? [api] : [include, api],
    libDirs: [lib],
    abi: abiOf(lib),
    cuda: existsSync(join(lib, "libtorch_cuda.so")),
  };
  return { libtorch };
}

/** The version: from Python's version.py or the archive's own file, else from the headers. */
function versionOf(prefix, include, api) {
  const python = readIfThere(join(prefix, "version.py"))?.match(/__version__ = ['"]([\d.]+)/)?.[1];
  if (python !== undefined) return python;
  const archive = readIfThere(join(prefix, "build-version"))?.match(/^[\d.]+/)?.[0];
  if (archive !== undefined) return archive;
  for (const folder of [join(api, "torch"), join(include, "torch", "headeronly"), join(include, "torch")]) {
    const header = readIfThere(join(folder, "version.h"));
    const parts = ["MAJOR", "MINOR", "PATCH"].map(
      (part) => header?.match(new RegExp(`#define TORCH_VERSION_${part} (\\d+)`))?.[1],
    );
    if (parts.every((part) => part !== undefined)) return parts.join(".");
  }
  return undefined;
}

/** Compares the leading numbers of two versions. */
export function isOlder(version, than) {
  const [major, minor] = version.split(".").map(Number);
  const [thanMajor, thanMinor] = than.split(".").map(Number);
  return major < thanMajor || (major === thanMajor && minor < thanMinor);
}

/** Which std::string libc10 was built with, read off the mangled name of c10::Error's constructor. */
function abiOf(lib) {
  const library = readFileSync(join(lib, "libc10.so"));
  return library.includes("_ZN3c105ErrorC1ENS_14SourceLocationESs") ? 0 : 1;
}

/** Installs libtorch through apt, else from PyTorch's archive. */
async function installLibtorch(watched) {
  say("no libtorch found: not in STOPGRAD_LIBTORCH, nor in Python, nor in the system");
  const apt = await aptInstall(APT_PACKAGES, {
    package: "libtorch-dev",
    isRefused: (version) => isOlder(version, OLDEST),
  });
  const viaApt = await findLibtorch(watched);
  if (viaApt !== undefined) return viaApt;
  const archive = await downloadArchive();
  const viaArchive = await findLibtorch(watched);
  if (viaArchive !== undefined) return viaArchive;
  throw new Problem(
    `libtorch is missing and could not be installed (apt: ${apt ?? "installed, but not usable"}; PyTorch's archive: ` +
      `${archive ?? "unpacked, but not usable"}). Get it with \`sudo apt-get install ${APT_PACKAGES.join(" ")}\`, ` +
      `or with \`${archiveCommand()}\`, or with \`pip install torch --index-url https://download.pytorch.org/whl/cpu\`.`,
  );
}
