// The set-up script against a miniature checkout: a one-file addon, two one-file TypeScript projects, packages in place.
// What is tested is what a user relies on: quick when nothing is to be done, safe to run twice at once, safe to kill.
import { type ChildProcess, spawn } from "node:child_process";
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const ADDON = `
#include <napi.h>
#include "answer.h"
Napi::Object start(Napi::Env env, Napi::Object exports) {
  exports.Set("answer", Napi::Number::New(env, ANSWER));
  return exports;
}
NODE_API_MODULE(stopgrad_torch, start)
`;

let base: string;
let tree: string;

interface Outcome {
  status: number | null;
  text: string;
}

function start(environment: NodeJS.ProcessEnv = {}): {
  child: ChildProcess;
  done: Promise<Outcome>;
  text: () => string;
} {
  const child = spawn(process.execPath, [join(tree, "scripts", "setup.mjs")], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let text = "";
  child.stderr?.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  const done = new Promise<Outcome>((resolve) => {
    child.on("close", (status) => resolve({ status, text }));
  });
  return { child, done, text: () => text };
}

const setUp = (environment?: NodeJS.ProcessEnv) => start(environment).done;

async function until(condition: () => boolean, milliseconds = 20_000): Promise<void> {
  const end = performance.now() + milliseconds;
  while (!condition()) {
    if (performance.now() > end) throw new Error("waited too long");
    await sleep(5);
  }
}

const built = (file: string) => join(tree, "packages", "torch", "build", file);
const native = (file: string) => join(tree, "packages", "torch", "native", file);

/** What the built addon exports, read in a process of its own: Node keeps an addon that it has once loaded. */
async function answer(): Promise<string> {
  const code = "const m = { exports: {} }; process.dlopen(m, process.argv[1]); console.log(m.exports.answer)";
  const child = spawn(process.execPath, ["-e", code, built("stopgrad_torch.node")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  for await (const part of child.stdout) text += part;
  return text.trim();
}

/** Processes that mention the miniature checkout on their command line or work in it: what a set-up left running. */
function leftRunning(): string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid) || pid === String(process.pid)) return false;
    try {
      return (
        readlinkSync(`/proc/${pid}/cwd`).startsWith(tree) || readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(tree)
      );
    } catch {
      return false;
    }
  });
}

function makeTree(folder: string): void {
  cpSync(join(ROOT, "scripts"), join(folder, "scripts"), { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "name": "miniature", "private": true, "type": "module" }');
  const lock =
    '{ "name": "miniature", "lockfileVersion": 3, "requires": true, "packages": { "": { "name": "miniature" } } }';
  writeFileSync(join(folder, "package-lock.json"), lock);
  writeFileSync(join(folder, "tsconfig.base.json"), '{ "compilerOptions": { "composite": true, "types": [] } }');
  const projects = ["torch", "stopgrad"];
  const references = projects.map((name) => ({ path: `packages/${name}` }));
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ files: [], references }));
  for (const name of projects) {
    const project = join(folder, "packages", name);
    mkdirSync(join(project, "src"), { recursive: true });
    writeFileSync(join(project, "package.json"), '{ "type": "module" }');
    const config = {
      extends: "../../tsconfig.base.json",
      compilerOptions: { rootDir: "src", outDir: "dist" },
      include: ["src"],
    };
    writeFileSync(join(project, "tsconfig.json"), JSON.stringify(config));
    writeFileSync(join(project, "src", "index.ts"), "export const one = 1;\n");
  }
  mkdirSync(join(folder, "packages", "torch", "native"));
  writeFileSync(join(folder, "packages", "torch", "native", "addon.cc"), ADDON);
  writeFileSync(join(folder, "packages", "torch", "native", "answer.h"), "#define ANSWER 41\n");
  linkPackages(folder);
}

/** Puts the packages that the build reads in place of the empty node_modules that `npm ci` makes of an empty lock. */
function linkPackages(folder: string): void {
  for (const name of ["typescript", "node-addon-api", "node-api-headers"]) {
    const target = join(folder, "node_modules", name);
    mkdirSync(dirname(target), { recursive: true });
    if (!existsSync(target)) symlinkSync(realpathSync(join(ROOT, "node_modules", name)), target);
  }
}

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), "stopgrad-setup-"));
  const pristine = join(base, "pristine");
  makeTree(pristine);
  tree = pristine;
  // The first run is npm's: it finds nothing to install and writes the stamp that the copies below start from.
  await setUp();
  linkPackages(pristine);
  expect(await setUp()).toMatchObject({ status: 0 });
}, 120_000);

afterAll(() => rmSync(base, { recursive: true, force: true }));

beforeEach(() => {
  tree = mkdtempSync(join(base, "tree-"));
  cpSync(join(base, "pristine"), tree, { recursive: true, verbatimSymlinks: true });
});

/** Takes away what was built, so that the next run has work to do. */
function unbuild(): void {
  rmSync(join(tree, "packages", "torch", "build"), { recursive: true });
  for (const name of ["torch", "stopgrad"]) rmSync(join(tree, "packages", name, "dist"), { recursive: true });
}

describe("set-up", () => {
  it("builds, and has nothing to do the second time", async () => {
    unbuild();
    const first = await setUp();
    expect(first).toMatchObject({ status: 0 });
    expect(await answer()).toBe("41");
    expect(JSON.parse(readFileSync(built("libtorch.json"), "utf8"))).toMatchObject({
      version: expect.stringMatching(/^\d+\.\d+/),
    });
    const inode = statSync(built("stopgrad_torch.node")).ino;
    const second = await setUp();
    expect(second.status).toBe(0);
    expect(second.text).toMatch(/^set-up: nothing to do, libtorch .*\n$/);
    expect(statSync(built("stopgrad_torch.node")).ino).toBe(inode);
  });

  it("rebuilds the addon when a header changes, and when it changes back", async () => {
    writeFileSync(native("answer.h"), "#define ANSWER 42\n");
    expect((await setUp()).text).toContain("compiling the addon (1 file)");
    expect(await answer()).toBe("42");
    writeFileSync(native("answer.h"), "#define ANSWER 41\n");
    expect(await setUp()).toMatchObject({ status: 0 });
    expect(await answer()).toBe("41");
    expect(readdirSync(built("objects"))).toHaveLength(1);
  });

  it("rebuilds the TypeScript when a source changes or a dist is gone, whatever the compiler's own records say", async () => {
    const output = join(tree, "packages", "stopgrad", "dist", "index.js");
    writeFileSync(join(tree, "packages", "stopgrad", "src", "index.ts"), "export const two = 2;\n");
    expect((await setUp()).text).toContain("building the TypeScript");
    expect(readFileSync(output, "utf8")).toContain("two = 2");
    rmSync(dirname(output), { recursive: true });
    expect(await setUp()).toMatchObject({ status: 0 });
    expect(existsSync(output)).toBe(true);
  });

  it("does not trust the output of a compiler that was cut off", async () => {
    // As after a kill between two files: one is old and damaged, the stamps are gone, the compiler's record is complete.
    for (const name of ["torch", "stopgrad"]) rmSync(join(tree, "packages", name, "dist", ".stopgrad-built"));
    const output = join(tree, "packages", "torch", "dist", "index.js");
    writeFileSync(output, "");
    expect(await setUp()).toMatchObject({ status: 0 });
    expect(readFileSync(output, "utf8")).toContain("one = 1");
  });

  it("installs again when the lock file changes", async () => {
    // The miniature's lock file is empty: npm clears the folder, and with it the packages linked there for the build.
    appendFileSync(join(tree, "package-lock.json"), "\n");
    expect((await setUp()).text).toContain("installing the npm packages: done");
    expect(existsSync(join(tree, "node_modules", ".stopgrad-installed"))).toBe(true);
  });

  it("prints the compiler's lines and one sentence when the addon does not compile, and recovers", async () => {
    appendFileSync(native("addon.cc"), "int x = nowhere;\n");
    const failed = await setUp();
    expect(failed.status).toBe(1);
    expect(failed.text).toMatch(/error: .nowhere. was not declared/);
    expect(failed.text.trimEnd().split("\n").at(-1)).toBe(
      "set-up: packages/torch/native/addon.cc does not compile: see the lines above.",
    );
    writeFileSync(native("addon.cc"), ADDON);
    expect(await setUp()).toMatchObject({ status: 0 });
  });

  it("names the command that gets a compiler when there is none", async () => {
    unbuild();
    const { status, text } = await setUp({ PATH: dirname(process.execPath), CXX: "g++-of-nowhere" });
    expect(status).toBe(1);
    expect(text).toContain("there is no C++ compiler (g++-of-nowhere): get one with `sudo apt-get install g++`.");
  });

  it("refuses a STOPGRAD_LIBTORCH that holds no libtorch, and says what was expected", async () => {
    const { status, text } = await setUp({ STOPGRAD_LIBTORCH: join(tree, "scripts") });
    expect(status).toBe(1);
    expect(text).toMatch(
      /STOPGRAD_LIBTORCH: expected a folder with include\/ and lib\/.*, got .*scripts: there is no .*torch\.h\./,
    );
  });

  it("takes an archive's layout from STOPGRAD_LIBTORCH, and the first choice again without it", async () => {
    const record = JSON.parse(readFileSync(built("libtorch.json"), "utf8"));
    const archive = join(tree, "libtorch");
    const headers = record.includeDirs.at(-1).replace(/\/torch\/csrc\/api\/include$/, "");
    mkdirSync(join(archive, "include"), { recursive: true });
    for (const name of ["ATen", "c10", "caffe2", "torch"])
      symlinkSync(join(headers, name), join(archive, "include", name));
    symlinkSync(record.libDirs[0], join(archive, "lib"));
    writeFileSync(join(archive, "build-version"), "9.8.7+cpu\n");
    expect(await setUp({ STOPGRAD_LIBTORCH: archive })).toMatchObject({ status: 0 });
    expect(JSON.parse(readFileSync(built("libtorch.json"), "utf8"))).toMatchObject({
      source: "STOPGRAD_LIBTORCH",
      version: "9.8.7",
      prefix: archive,
      libDirs: [join(archive, "lib")],
    });
    expect(await setUp()).toMatchObject({ status: 0 });
    expect(JSON.parse(readFileSync(built("libtorch.json"), "utf8"))).toEqual(record);
  });
});

describe("two set-ups", () => {
  it("wait for each other and build once", async () => {
    unbuild();
    const first = start();
    await until(() => first.text().includes("compiling"));
    const second = start();
    const outcomes = await Promise.all([first.done, second.done]);
    expect(outcomes.map(({ status }) => status)).toEqual([0, 0]);
    expect(outcomes[1].text).toMatch(new RegExp(`waiting for another set-up, process ${first.child.pid} `));
    expect(outcomes[1].text).toContain("nothing to do");
  });

  it("never hold the lock together, also when its earlier owners are dead", async () => {
    const directory = join(tree, "lock");
    mkdirSync(directory);
    symlinkSync("999999999:1", join(directory, "turn-7"));
    const code = `
      import { closeSync, openSync, unlinkSync } from "node:fs";
      const { acquireLock } = await import(process.argv[1]);
      const inside = process.argv[2] + "/inside";
      for (let round = 0; round < 8; round++) {
        const release = await acquireLock(process.argv[2]);
        closeSync(openSync(inside, "wx"));
        await new Promise((resolve) => setTimeout(resolve, 3));
        unlinkSync(inside);
        release();
      }`;
    const lock = join(tree, "scripts", "lib", "lock.mjs");
    const statuses = await Promise.all(
      Array.from({ length: 6 }, () => {
        const child = spawn(process.execPath, ["--input-type=module", "-e", code, lock, directory], {
          stdio: "ignore",
        });
        return new Promise((resolve) => child.on("close", resolve));
      }),
    );
    expect(statuses).toEqual([0, 0, 0, 0, 0, 0]);
    expect(readdirSync(directory)).toEqual(["turn-55"]);
  });
});

describe("a set-up that is stopped", () => {
  it("ends its compiler and gives the lock back on SIGTERM", async () => {
    unbuild();
    const { child, done, text } = start();
    await until(() => text().includes("compiling"));
    child.kill("SIGTERM");
    expect(await done).toMatchObject({ status: 143 });
    expect(leftRunning()).toEqual([]);
    const next = await setUp();
    expect(next.status).toBe(0);
    expect(next.text).not.toContain("waiting");
  });

  it("leaves nothing that the next one trusts, killed at any moment", async () => {
    for (const moment of ["begin", "compiling", "linking", "building"]) {
      unbuild();
      const { child, done, text } = start();
      if (moment !== "begin") await until(() => text().includes(moment));
      child.kill("SIGKILL");
      await done;
      expect(await setUp(), moment).toMatchObject({ status: 0 });
      expect(leftRunning(), moment).toEqual([]);
      expect(await answer(), moment).toBe("41");
      expect(existsSync(join(tree, "packages", "stopgrad", "dist", "index.js")), moment).toBe(true);
      expect(readdirSync(join(tree, "packages", "torch", "build")).sort()).toEqual([
        "libtorch.json",
        "objects",
        "stopgrad_torch.node",
      ]);
    }
  });

  it("has the programs it left running ended by the next one", async () => {
    const owner = "999999999:1";
    for (const turn of readdirSync(join(tree, ".setup"))) {
      if (turn.startsWith("turn-")) rmSync(join(tree, ".setup", turn));
    }
    symlinkSync(owner, join(tree, ".setup", "turn-1"));
    const orphan = spawn("sleep", ["60"], { env: { ...process.env, STOPGRAD_SETUP_OWNER: owner }, stdio: "ignore" });
    const ended = new Promise((resolve) => orphan.on("close", (_status, signal) => resolve(signal)));
    expect(await setUp()).toMatchObject({ status: 0 });
    expect(await ended).toBe("SIGKILL");
  });
});
