// Running other programs so that none outlives the set-up: each gets a process group of its own, which a signal to the
// set-up ends with it. Programs that must not be cut off in the middle (apt) are asked to stop and waited for instead.

import { spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { Problem } from "./say.mjs";

const TAIL_LINES = 25;
const KEPT_CHARACTERS = 200_000;

/** Set for every program that the set-up starts, so that lock.mjs can tell whose they were; apt does not get it. */
export const OWNER_VARIABLE = "STOPGRAD_SETUP_OWNER";

/** @type {Map<import("node:child_process").ChildProcess, { gentle: boolean, closed: Promise<void> }>} */
const running = new Map();
let stopping = false;

/**
 * Runs a program to its end.
 *
 * @param {string[]} command - program and arguments
 * @param {object} [options]
 * @param {string} [options.cwd] - working directory, `/` unless given
 * @param {Record<string, string>} [options.env] - added to this process's environment
 * @param {boolean} [options.gentle] - never kill it, ask it to stop and wait
 * @param {number} [options.timeout] - kill it after so many milliseconds
 * @param {boolean} [options.shown] - pass on what it prints as it comes
 * @returns {Promise<{ ok: boolean, code: number | null, output: string, standardOutput: string, tail: string }>} `code` is
 *   its exit status, null when it was killed; `output` is standard output and standard error together, `tail` its last
 *   lines; a program that cannot be started is one that failed
 */
export function run(command, { cwd = "/", env = {}, gentle = false, timeout, shown = false } = {}) {
  // A signal is being handled: nothing new may start, and the process is about to exit.
  if (stopping) return new Promise(() => {});
  const { promise: closed, resolve: close } = withResolvers();
  const environment = { ...process.env, ...env };
  if (gentle) delete environment[OWNER_VARIABLE];
  const child = spawn(command[0], command.slice(1), {
    cwd,
    env: environment,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    timeout,
    killSignal: "SIGKILL",
  });
  running.set(child, { gentle, closed });
  let output = "";
  let standardOutput = "";
  const keep = (text) => {
    output = (output + text).slice(-KEPT_CHARACTERS);
  };
  child.stdout.setEncoding("utf8").on("data", (text) => {
    standardOutput += text;
    keep(text);
  });
  child.stderr.setEncoding("utf8").on("data", keep);
  if (shown) {
    child.stdout.on("data", (text) => process.stdout.write(text));
    child.stderr.on("data", (text) => process.stderr.write(text));
  }
  return new Promise((resolve) => {
    const finish = (code) => {
      running.delete(child);
      close();
      const tail = output.trimEnd().split("\n").slice(-TAIL_LINES).join("\n");
      if (!stopping) resolve({ ok: code === 0, code, output, standardOutput, tail });
    };
    child.on("error", (error) => {
      keep(`${error.message}\n`);
      if (child.pid === undefined) finish(null);
    });
    child.on("close", finish);
  });
}

/** As `run`, but a failure is a {@link Problem} with the given sentence and the program's last lines. */
export async function runOrFail(command, sentence, options) {
  const result = await run(command, options);
  if (!result.ok) throw new Problem(sentence, result.tail);
  return result;
}

/** Ends every program still running and resolves once they are gone. */
export async function killChildren() {
  stopping = true;
  for (const [child, { gentle }] of running) {
    if (child.pid === undefined) continue;
    try {
      process.kill(-child.pid, gentle ? "SIGINT" : "SIGKILL");
    } catch {
      // It has just ended, or it belongs to root (sudo); either way it is only waited for.
    }
  }
  await Promise.all([...running.values()].map(({ closed }) => closed));
}

/**
 * Where a program is, as the shell would find it.
 *
 * @param {string} program - a name to look up in PATH, or a path
 * @returns {string | undefined} its path, undefined when there is none
 */
export function which(program) {
  const candidates = program.includes("/")
    ? [program]
    : (process.env.PATH ?? "").split(delimiter).map((directory) => join(directory || ".", program));
  return candidates.find((candidate) => {
    try {
      accessSync(candidate, constants.X_OK);
      return statSync(candidate).isFile();
    } catch {
      return false;
    }
  });
}

/** `Promise.withResolvers`, which Node 20 does not have. */
function withResolvers() {
  let resolve;
  const promise = new Promise((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
