// Step 3: the native addon. Every packages/torch/native/*.cc is compiled by itself, a few at a time, into an object named
// after the fingerprint of all that went into it, so that only what changed is compiled and an object is never stale.

import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { availableParallelism, freemem } from "node:os";
import { basename, join, relative } from "node:path";
import { run, runOrFail, which } from "./command.mjs";
import { findCudaHeaders, standardOf } from "./cuda.mjs";
import { filesBelow, fingerprint, identity, readJson, writeWhole } from "./files.mjs";
import { Problem, say, task } from "./say.mjs";

// The compiler's flags, for one source; include folders and the ABI are added from the libtorch that was found.
// Contraction stays off so that the addon's own arithmetic does not depend on the processor it was compiled for. OpenMP
// is what libtorch's parallel_for is made of where it is included. GCC 14 takes a vector<bool> in libtorch's headers for
// an array of nothing.
const COMPILE_FLAGS = [
  ..."-fPIC -fvisibility=hidden -ffp-contract=off -fopenmp -Wall -Wextra -Wno-array-bounds".split(" "),
  ..."-DNDEBUG -DNAPI_VERSION=8 -DNODE_ADDON_API_CPP_EXCEPTIONS".split(" "),
];
const OPTIMISE = ["-O3"];
const SANITIZE = ["-O1", "-g", "-fno-omit-frame-pointer"];
const LIBRARIES = ["-fopenmp", "-ltorch", "-ltorch_cpu", "-lc10"];
const CUDA_LIBRARIES = ["-Wl,--no-as-needed", "-ltorch_cuda", "-lc10_cuda"];

/** What compiling one file that includes libtorch's headers takes at most, in bytes: bounds how many run at a time. */
const MEMORY_PER_COMPILER = 1.5e9;

/**
 * Builds the addon unless this very one is in place.
 *
 * It goes to packages/torch/build (build-sanitize with sanitizers): stopgrad_torch.node, and libtorch.json with the
 * libtorch it was linked to, the flags, and the fingerprint that says it is up to date. libtorch.json is written last
 * and removed before the addon is replaced, so a build that was cut off is not taken for a whole one.
 *
 * @param {string} root - the repository root
 * @param {import("./libtorch.mjs").Libtorch} libtorch
 * @param {string} sanitizers - such as `address,undefined`; none when empty
 * @returns {Promise<boolean>} whether anything was built
 */
export async function buildAddon(root, libtorch, sanitizers) {
  const torchPackage = join(root, "packages", "torch");
  const build = join(torchPackage, sanitizers === "" ? "build" : "build-sanitize");
  const addon = join(build, "stopgrad_torch.node");
  const record = join(build, "libtorch.json");
  const sources = filesBelow(join(torchPackage, "native"), (name) => name.endsWith(".cc"));
  if (sources.length === 0) throw new Problem(`there is no C++ source in ${join(torchPackage, "native")}.`);

  const compiler = process.env.CXX || "g++";
  const cuda = libtorch.cuda ? findCudaHeaders(libtorch) : undefined;
  const compile = compileFlags(libtorch, cuda, sanitizers);
  const link = linkFlags(libtorch, cuda, sanitizers);
  const shared = sharedFingerprint(root, torchPackage, libtorch, [compiler, ...compile]);
  const units = sources.map((source) => {
    const key = fingerprint([shared, readFileSync(source)]).slice(0, 32);
    return { source, object: join(build, "objects", `${basename(source, ".cc")}-${key}.o`) };
  });
  const key = fingerprint([...units.map(({ object }) => basename(object)), ...link]);
  if (existsSync(addon) && readJson(record)?.key === key) return false;

  if (cuda?.reason !== undefined) say(`${cuda.reason}.`);
  await checkCompiler(compiler, standardOf(libtorch));
  mkdirSync(join(build, "objects"), { recursive: true });
  const missing = units.filter(({ object }) => !existsSync(object));
  if (missing.length > 0) await compileAll(root, [compiler, ...compile], missing);
  await task("linking the addon", async () => {
    const temporary = `${addon}.${process.pid}.part`;
    await runOrFail(
      [compiler, "-shared", "-o", temporary, ...units.map(({ object }) => object), ...link],
      "the native addon could not be linked: see the lines above.",
    );
    if (sanitizers === "") await checkLoads(temporary);
    rmSync(record, { force: true });
    renameSync(temporary, addon);
    writeWhole(record, `${JSON.stringify({ ...libtorch, compiler, flags: [...compile, ...link], key }, null, 2)}\n`);
  });
  removeOthers(join(build, "objects"), new Set(units.map(({ object }) => basename(object))));
  removeOthers(build, new Set([basename(addon), basename(record), "objects"]));
  return true;
}

/**
 * Paths inside the repository are relative to it, so that a checkout that was moved is not compiled again.
 *
 * @param {import("./libtorch.mjs").Libtorch} libtorch
 * @param {ReturnType<typeof findCudaHeaders> | undefined} cuda - undefined for a libtorch without CUDA
 * @param {string} sanitizers
 */
export function compileFlags(libtorch, cuda, sanitizers) {
  const includeDirs = [
    join("node_modules", "node-api-headers", "include"),
    join("node_modules", "node-addon-api"),
    ...libtorch.includeDirs,
    ...(cuda?.include === undefined || cuda.include === "/usr/include" ? [] : [cuda.include]),
  ];
  return [
    `-std=c++${standardOf(libtorch)}`,
    ...COMPILE_FLAGS,
    ...(cuda === undefined ? [] : [cuda.include === undefined ? "-DSTOPGRAD_CUDA_HEADERS_MISSING" : "-DSTOPGRAD_CUDA"]),
    ...(sanitizers === "" ? OPTIMISE : [...SANITIZE, `-fsanitize=${sanitizers}`]),
    `-D_GLIBCXX_USE_CXX11_ABI=${libtorch.abi}`,
    ...includeDirs.flatMap((directory) => ["-isystem", directory]),
  ];
}

function linkFlags(libtorch, cuda, sanitizers) {
  return [
    ...(sanitizers === "" ? [] : [`-fsanitize=${sanitizers}`]),
    ...libtorch.libDirs.flatMap((directory) => [`-L${directory}`, `-Wl,-rpath,${directory}`]),
    ...LIBRARIES,
    ...(cuda?.include === undefined ? [] : CUDA_LIBRARIES),
  ];
}

/** What every object depends on besides its own source. */
function sharedFingerprint(root, torchPackage, libtorch, command) {
  const headers = filesBelow(join(torchPackage, "native"), (name) => /\.h(pp)?$/.test(name));
  const napi = ["node-api-headers", "node-addon-api"].map((name) =>
    readFileSync(join(root, "node_modules", name, "package.json")),
  );
  const libraries = libtorch.libDirs.map((directory) => identity(join(directory, "libtorch_cpu.so")));
  const contents = headers.flatMap((header) => [basename(header), readFileSync(header)]);
  return fingerprint([...command, libtorch.version, ...libraries, ...napi, ...contents]);
}

/** Compiles units side by side; the first failure stops the rest from starting. Warnings are passed on. */
async function compileAll(root, command, units) {
  const waiting = [...units];
  const byMemory = Math.max(1, Math.floor(freemem() / MEMORY_PER_COMPILER));
  const workers = Math.min(availableParallelism(), byMemory, units.length);
  let warnings = "";
  await task(`compiling the addon (${units.length} ${units.length === 1 ? "file" : "files"})`, async (report) => {
    let finished = 0;
    const work = async () => {
      for (let unit = waiting.shift(); unit !== undefined; unit = waiting.shift()) {
        const temporary = `${unit.object}.${process.pid}.part`;
        const source = relative(root, unit.source);
        const result = await run([...command, "-c", source, "-o", temporary], { cwd: root });
        if (!result.ok) {
          waiting.length = 0;
          const lines = result.output.split("\n");
          const first = Math.max(0, lines.findIndex((line) => /\berror:/.test(line)) - 2);
          throw new Problem(
            `${source} does not compile: see the lines above.`,
            lines.slice(first, first + 25).join("\n"),
          );
        }
        warnings += result.output;
        renameSync(temporary, unit.object);
        finished += 1;
        report(`${finished} of ${units.length}`);
      }
    };
    const outcomes = await Promise.allSettled(Array.from({ length: workers }, work));
    const failed = outcomes.find(({ status }) => status === "rejected");
    if (failed !== undefined) throw failed.reason;
  });
  process.stderr.write(warnings);
}

async function checkCompiler(compiler, standard) {
  if (which(compiler) === undefined) {
    throw new Problem(`there is no C++ compiler (${compiler}): get one with \`sudo apt-get install g++\`.`);
  }
  const { standardOutput } = await run([compiler, "-dM", "-E", "-x", "c++", `-std=c++${standard}`, "/dev/null"]);
  // 201703L, 202002L; 201709L in compilers that were early.
  if (!/__cplusplus 20(17\d\d|2\d\d\d)L/.test(standardOutput)) {
    throw new Problem(`${compiler} does not know C++${standard}: get a newer one with \`sudo apt-get install g++\`.`);
  }
}

/** Loads the addon in a Node of its own: a missing symbol or library shows here, not in the middle of a run. */
async function checkLoads(addon) {
  const load = "process.dlopen({ exports: {} }, process.argv[1])";
  await runOrFail(
    [process.execPath, "-e", load, addon],
    "the native addon was built but cannot be loaded: see the lines above.",
  );
}

function removeOthers(directory, kept) {
  for (const name of readdirSync(directory)) {
    if (!kept.has(name)) rmSync(join(directory, name), { recursive: true, force: true });
  }
}
