#!/usr/bin/env node
// Runs the tests on Debian 13 and its libtorch 2.6, in a folder beside whatever system this machine has.
//
// Debian is made there by debootstrap the first time (some 4 GB, a few minutes) and kept; the working tree is copied
// in as it stands, uncommitted changes included, then set up and tested. Nothing of it is mounted or installed on the
// machine itself, and the folder may be deleted at any time. Only node built-ins are used.
//
// Ends with 0 when every test passed, 1 after a failure, 2 on wrong usage, 130 when interrupted; the exit status of the
// program with `--`.

import { cpSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { commitOf, copyCheckout, copyPackages } from "./lib/checkout.mjs";
import { checkCanEnter, DATA_INSIDE, inside, outside } from "./lib/chroot.mjs";
import { killChildren, run } from "./lib/command.mjs";
import { makeDebian, proxySettings } from "./lib/debian.mjs";
import { acquireLock } from "./lib/lock.mjs";
import { Problem, say, seconds, speakAs } from "./lib/say.mjs";
import { ASK_VERSIONS, RECORD_FILES, readCounts, readVersions, record } from "./lib/versions.mjs";

const USAGE = `usage: node scripts/debian13.mjs [options] [-- program argument ...]

  --all            everything that \`npm test\` does, instead of the tests of packages/torch
  --here           no Debian 13: the same on this system, to compare
  --record         keep the result in docs/libtorch-versions.json and renew the table in docs/libtorch-versions.md
  --folder DIR     where Debian 13 is kept (STOPGRAD_DEBIAN13, else stopgrad/debian13 in the user's cache)
  -- program ...   run this in the copy of the checkout, set up, instead of the tests
  --help

Needs root and the package debootstrap, except with --here. STOPGRAD_DATA, where it is set, is seen by the tests.`;

const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };
/** Inside: the copy of the checkout, and Vitest's report. */
const CHECKOUT = "/work/stopgrad";
const REPORT = "/tmp/stopgrad-tests.json";
const NPM_CA = "/etc/stopgrad-npm-ca.pem";

const root = fileURLToPath(new URL("..", import.meta.url));

speakAs("debian13");
for (const [signal, status] of Object.entries(SIGNALS)) {
  process.on(signal, async () => {
    await killChildren();
    process.exit(status);
  });
}
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Problem)) throw error;
  if (error.tail) process.stderr.write(`${error.tail}\n`);
  say(error.message);
  process.exitCode = 1;
}

async function main(argv) {
  const options = parseOptions(argv);
  if (typeof options === "number") return options;
  const started = performance.now();
  const system = options.here ? await here() : await debian13(options.folder);
  if (options.program.length > 0) {
    const { code } = await run(system.command(options.program), { cwd: root, shown: true });
    return code ?? 1;
  }
  const before = await commitOf(root, RECORD_FILES);
  rmSync(system.report, { force: true });
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${system.reportInside}`];
  const tests = options.all
    ? ["npm", "test", "--", ...reporters]
    : ["npx", "vitest", "run", "packages/torch", ...reporters];
  const { ok } = await run(system.command(tests), { cwd: root, shown: true });
  const counts = readCounts(system.report);
  if (counts === undefined) throw new Problem("no test ran: see the lines above.");
  const versions = await readVersions(system.command(ASK_VERSIONS), root);
  const result = {
    ...versions,
    tests: options.all ? "all" : "@stopgrad/torch",
    ...counts,
    date: new Date().toISOString(),
    commit: before,
  };
  if (options.record) record(root, result);
  say(
    `libtorch ${result.libtorch}, ${result.system}: ${counts.passed} passed, ${counts.failed} failed, ` +
      `${counts.skipped} skipped, ${seconds(started)}`,
  );
  return ok && counts.failed === 0 ? 0 : 1;
}

/** Options, or the exit status when there is nothing to do. */
function parseOptions(argv) {
  const end = argv.indexOf("--");
  try {
    const { values } = parseArgs({
      args: end === -1 ? argv : argv.slice(0, end),
      options: {
        all: { type: "boolean", default: false },
        here: { type: "boolean", default: false },
        record: { type: "boolean", default: false },
        folder: { type: "string" },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) {
      process.stdout.write(`${USAGE}\n`);
      return 0;
    }
    const cache = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
    const folder = resolve(values.folder ?? process.env.STOPGRAD_DEBIAN13 ?? join(cache, "stopgrad", "debian13"));
    if (folder === "/") throw new Error("--folder: expected a folder of its own, got /");
    return { ...values, folder, program: end === -1 ? [] : argv.slice(end + 1) };
  } catch (error) {
    say(error.message);
    process.stderr.write(`${USAGE}\n`);
    return 2;
  }
}

/** This machine's own system and this checkout, set up. */
async function here() {
  const { ok } = await run(["node", "scripts/setup.mjs"], { cwd: root, shown: true });
  if (!ok) throw new Problem("the set-up failed: see the lines above.");
  const report = join(root, ".setup", "tests.json");
  return { command: (program) => program, report, reportInside: report };
}

/** Debian 13 with a copy of the checkout, set up. */
async function debian13(folder) {
  await checkCanEnter();
  const release = await acquireLock(`${folder}.lock`);
  process.on("exit", release);
  await makeDebian(folder);
  const copy = outside(folder, CHECKOUT);
  await copyCheckout(root, copy);
  const data = process.env.STOPGRAD_DATA;
  const env = {
    ...proxySettings(),
    ...(await npmSettings(folder)),
    FORCE_COLOR: process.stderr.isTTY ? "1" : undefined,
    STOPGRAD_DATA: data ? DATA_INSIDE : undefined,
  };
  const command = (program) => inside(folder, program, { env, cwd: CHECKOUT, data: data ? resolve(data) : "" });
  const setUp = () => run(command(["node", "scripts/setup.mjs"]), { shown: true });
  let { ok, output } = await setUp();
  if (!ok && output.includes("npm packages could not be installed")) {
    say("npm finds no registry in there: copying the packages of this checkout, which are built for the same platform");
    await copyPackages(root, copy);
    ({ ok, output } = await setUp());
  }
  if (!ok) throw new Problem("the set-up in Debian 13 failed: see the lines above.");
  return { command, report: outside(folder, REPORT), reportInside: REPORT };
}

/** npm's way to its registry, as it is configured for this checkout; what needs a password is not passed on. */
async function npmSettings(folder) {
  const keys = ["registry", "proxy", "https-proxy", "noproxy", "strict-ssl", "cafile"];
  const { ok, standardOutput } = await run(["npm", "config", "list", "--json"], { cwd: root });
  if (!ok) return {};
  const configured = JSON.parse(standardOutput);
  const settings = {};
  for (const key of keys) {
    const value = configured[key];
    if (value === null || value === undefined || value === "") continue;
    settings[`npm_config_${key.replaceAll("-", "_")}`] = String(value);
  }
  if (settings.npm_config_cafile !== undefined) {
    cpSync(settings.npm_config_cafile, outside(folder, NPM_CA), { dereference: true });
    settings.npm_config_cafile = NPM_CA;
  }
  return settings;
}
