#!/usr/bin/env node
// Many processes at one store for as long as is said: writers that record metrics, readers that read them through the
// store, and readers whose transactions overlap without a gap, so that the write-ahead log never finds a moment without
// one by itself. Fails when a process meets an error, when a reader sees half of what was written together, when what
// was written is not all there, or when the log outgrows its bound. The test suite runs it for seconds;
// for longer, on the built program: node packages/stopgrad/test/store/soak.mjs --seconds 10800
import { fork } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { DatabaseSync } from "@photostructure/sqlite";

/** Points recorded together. */
const TOGETHER = 20;
/** Points of a run before its writer begins another: what a long training leaves. */
const POINTS_OF_A_RUN = 2000;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "10" },
    writers: { type: "string", default: "2" },
    readers: { type: "string", default: "3" },
    overlapping: { type: "string", default: "3" },
    /** Milliseconds between two commits of a writer. */
    pause: { type: "string", default: "1" },
    /** The most the log may hold. */
    "largest-log": { type: "string", default: String(64 * 2 ** 20) },
    store: { type: "string", default: fileURLToPath(new URL("../../dist/store/index.js", import.meta.url)) },
    role: { type: "string" },
    folder: { type: "string" },
  },
});
const seconds = Number(values.seconds);
const { openStore } = await import(pathToFileURL(values.store).href);

if (values.role === undefined) await conduct();
else await play(values.role, values.folder);

async function conduct() {
  const folder = mkdtempSync(join(tmpdir(), "stopgrad-soak-"));
  const file = join(folder, "stopgrad.db");
  const children = [];
  try {
    openStore(folder).close();
    const roles = ["writer", "reader", "overlapping"].flatMap((role) =>
      Array.from({ length: Number(values[role === "overlapping" ? role : `${role}s`]) }, () => role),
    );
    const ends = roles.map((role) => {
      const args = ["--role", role, "--folder", folder, "--seconds", values.seconds, "--pause", values.pause];
      const child = fork(fileURLToPath(import.meta.url), [...args, "--store", values.store], { execArgv: [] });
      children.push(child);
      return new Promise((resolve) => {
        let said = { role, error: "ended without a word" };
        child.on("message", (message) => {
          said = { role, ...message };
        });
        child.on("close", () => resolve(said));
      });
    });
    let over = false;
    const all = Promise.all(ends).finally(() => {
      over = true;
    });
    let largestLog = 0;
    while (!over) {
      largestLog = Math.max(largestLog, statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0);
      await sleep(20);
    }
    const said = await all;
    const written = said.reduce((sum, { points = 0 }) => sum + points, 0);
    const store = openStore(folder);
    const kept = store.listRuns().reduce((sum, { id }) => sum + store.metrics(id).length, 0);
    store.close();
    const database = new DatabaseSync(file, { readOnly: true });
    const integrity = database.prepare("PRAGMA integrity_check").get().integrity_check;
    database.close();
    const problems = said.flatMap(({ role, error }) => (error === undefined ? [] : [`${role}: ${error}`]));
    if (kept !== written) problems.push(`${written} points were written, ${kept} are there`);
    if (integrity !== "ok") problems.push(`integrity check: ${integrity}`);
    if (largestLog > Number(values["largest-log"])) problems.push(`the log grew to ${largestLog} bytes`);
    const of = (name) => said.filter(({ role }) => role === name);
    const sum = (name, key) => of(name).reduce((total, one) => total + (one[key] ?? 0), 0);
    const slowest = (name) => Math.max(0, ...of(name).map(({ slowestMs = 0 }) => slowestMs));
    const result = {
      seconds,
      commits: sum("writer", "operations"),
      points: written,
      slowestCommitMs: Math.round(slowest("writer")),
      reads: sum("reader", "operations"),
      slowestReadMs: Math.round(slowest("reader")),
      overlappingReads: sum("overlapping", "operations"),
      largestLogBytes: largestLog,
      databaseBytes: statSync(file).size,
      problems,
    };
    process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
    if (problems.length > 0) process.exitCode = 1;
  } finally {
    for (const child of children) child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

async function play(role, folder) {
  const result = { operations: 0, points: 0, slowestMs: 0 };
  const end = performance.now() + 1000 * seconds;
  const timed = (work) => {
    const start = performance.now();
    const value = work();
    result.slowestMs = Math.max(result.slowestMs, performance.now() - start);
    result.operations += 1;
    return value;
  };
  try {
    if (role === "writer") await write(folder, end, timed, result);
    else if (role === "reader") await read(folder, end, timed);
    else await overlap(folder, end, result);
    process.send(result);
  } catch (error) {
    process.send({ ...result, error: error.message });
  }
  process.disconnect();
}

async function write(folder, end, timed, result) {
  const store = openStore(folder);
  for (let number = 0; performance.now() < end; number++) {
    const id = `${process.pid}-${number}`;
    store.createRun({ id, name: "soak", variant: "v", seed: 1, settings: {}, settingsHash: id, command: "soak" });
    store.claim(id);
    for (let step = 0; step < POINTS_OF_A_RUN / TOGETHER && performance.now() < end; step++) {
      const points = Array.from({ length: TOGETHER }, (_, at) => {
        return { epoch: 1, step, key: "value", stage: `stage ${at}`, value: step, standardError: null };
      });
      timed(() => store.recordMetrics(id, points));
      result.points += points.length;
      await sleep(Number(values.pause));
    }
    store.setStatus(id, "completed");
    store.release(id);
  }
  store.close();
}

async function read(folder, end, timed) {
  let store = openStore(folder, { readonly: true });
  for (let turn = 1; performance.now() < end; turn++) {
    if (turn % 50 === 0) {
      store.close();
      store = openStore(folder, { readonly: true });
    }
    const runs = timed(() => store.listRuns());
    const run = runs[Math.floor(Math.random() * runs.length)];
    if (run) {
      const { length } = timed(() => store.metrics(run.id));
      if (length % TOGETHER !== 0) throw new Error(`${length} points seen, which is no whole number of ${TOGETHER}`);
    }
    await sleep(5);
  }
  store.close();
}

/** One transaction begins before the other ends. */
async function overlap(folder, end, result) {
  const connections = [0, 1].map(
    () => new DatabaseSync(join(folder, "stopgrad.db"), { readOnly: true, timeout: 10_000 }),
  );
  for (let turn = 0; performance.now() < end; turn++) {
    const [next, last] = turn % 2 === 0 ? connections : connections.toReversed();
    next.exec("BEGIN");
    next.prepare("SELECT count(*) FROM runs").get();
    if (last.isTransaction) last.exec("COMMIT");
    result.operations += 1;
    await sleep(20);
  }
  for (const connection of connections) connection.close();
}
