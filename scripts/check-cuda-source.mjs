#!/usr/bin/env node
// Checks that the addon's CUDA unit compiles, on a machine that need not have a GPU nor a libtorch with CUDA: packages of
// libtorch without CUDA hold its CUDA headers too, and CUDA's own come with the toolkit. Nothing is written.
//
// Usage: node scripts/check-cuda-source.mjs [FOLDER ...]
// FOLDER is a libtorch (with include/ and lib/), such as that of a Python torch; without any, the system's and the one that
// set-up has found. Ends with 0 when every one compiles or there was nothing to compile against (said as "skipped"), else 1.

import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { compileFlags } from "./lib/addon.mjs";
import { run } from "./lib/command.mjs";
import { findCudaHeaders } from "./lib/cuda.mjs";
import { readJson } from "./lib/files.mjs";
import { inspect } from "./lib/libtorch.mjs";
import { say, speakAs } from "./lib/say.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const source = join("packages", "torch", "native", "cuda.cc");
speakAs("check");

/** What libtorch's build writes into `cuda_cmake_macros.h`, which a package without CUDA leaves out. */
const WITHOUT_MACROS = "-DC10_CUDA_NO_CMAKE_CONFIGURE_FILE";

const folders = process.argv.length > 2 ? process.argv.slice(2).map((folder) => resolve(folder)) : found();
let failures = 0;
for (const folder of folders) {
  const { libtorch, reason } = inspect(folder, "STOPGRAD_LIBTORCH");
  if (reason !== undefined) {
    say(`${folder}: skipped, ${reason}`);
    continue;
  }
  const headers = [...libtorch.includeDirs, "/usr/include"].find((include) =>
    existsSync(join(include, "ATen", "cuda", "CUDAGraph.h")),
  );
  const cuda = findCudaHeaders(libtorch);
  if (headers === undefined || cuda.include === undefined) {
    const missing =
      headers === undefined ? "it comes without its headers for CUDA" : "CUDA's own headers were not found";
    say(`libtorch ${libtorch.version} (${folder}): skipped, ${missing}`);
    continue;
  }
  const hasMacros = existsSync(join(headers, "c10", "cuda", "impl", "cuda_cmake_macros.h"));
  const flags = [...compileFlags(libtorch, cuda, ""), ...(hasMacros ? [] : [WITHOUT_MACROS]), "-Werror"];
  const result = await run([process.env.CXX || "g++", ...flags, "-fsyntax-only", source], { cwd: root });
  if (!result.ok) {
    failures += 1;
    process.stderr.write(`${result.output.split("\n").slice(0, 30).join("\n")}\n`);
  }
  const verdict = result.ok ? "compiles" : "does not compile";
  say(`libtorch ${libtorch.version} (${folder}), CUDA ${cuda.version} (${cuda.include}): ${source} ${verdict}`);
}
process.exitCode = failures === 0 ? 0 : 1;

/** The libtorch of the set-up and the system's. */
function found() {
  const ofSetUp = readJson(join(root, ".setup", "libtorch.json"))?.libtorch?.prefix;
  return [...new Set([ofSetUp, "/usr"].filter((folder) => folder !== undefined))];
}
