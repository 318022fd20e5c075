// What can happen to a store's file and folder: each is one clear sentence, as a `StoreError`, and takes nothing away.
import { execFileSync, spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "@photostructure/sqlite";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { makeFolder } from "../../src/folders.js";
import { openStore, STORE_FILE, StoreError } from "../../src/store/index.js";
import { type BuiltStore, buildStore } from "./built-store.js";

let built: BuiltStore;
let filled: string;
let dir: string;
let file: string;

beforeAll(() => {
  built = buildStore();
  // In a process of its own: the driver lets go of a file for certain only when its process ends.
  const script = join(built.folder, "fill.mjs");
  writeFileSync(script, FILL);
  filled = join(built.folder, "filled");
  execFileSync(process.execPath, [script, filled]);
});
afterAll(() => built.remove());

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "stopgrad-faults-"));
  file = join(dir, STORE_FILE);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const FILL = `
  import { openStore } from "./store/index.js";
  const store = openStore(process.argv[2]);
  const run = { name: "n", variant: "v", seed: 1, settings: { epochs: 2, text: "x".repeat(300) }, command: "c" };
  for (let i = 0; i < 20; i++) {
    store.createRun({ ...run, id: "run-" + i, settingsHash: "h" + i });
    const point = (step) => ({ epoch: 1, step, key: "k", stage: "", value: step, standardError: null });
    store.recordMetrics("run-" + i, Array.from({ length: 50 }, (_, step) => point(step)));
  }
  store.close();`;

const run = (id: string) => ({
  id,
  name: "n",
  variant: "v",
  seed: 1,
  settings: { epochs: 2, text: "x".repeat(300) },
  settingsHash: id,
  command: "c",
});

const point = (step: number) => ({ epoch: 1, step, key: "k", stage: "", value: step, standardError: null });

/** A store of 20 runs with 50 points each, a few pages, that nobody has open. */
function fill(): void {
  expect(readdirSync(filled)).toEqual([STORE_FILE]);
  copyFileSync(join(filled, STORE_FILE), file);
}

function failure(work: () => unknown): StoreError {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(StoreError);
    expect((error as Error).message).not.toContain("\n");
    return error as StoreError;
  }
  throw new Error("expected an error");
}

/** Everything a reading command asks. */
function readAll(): void {
  const store = openStore(dir, { readonly: true });
  try {
    for (const { id } of store.listRuns()) store.metrics(id);
  } finally {
    store.close();
  }
}

describe("a damaged file", () => {
  test("cut off, in its header too, and with rubbish in front", () => {
    fill();
    const whole = readFileSync(file);
    for (const size of [50, 600, 4096, 5000, whole.length - 4096, whole.length - 1]) {
      writeFileSync(file, whole);
      truncateSync(file, size);
      for (const work of [() => readAll(), () => openStore(dir).listRuns()]) {
        expect(failure(work)).toMatchObject({
          code: "not-a-store",
          message: expect.stringMatching(/damaged|cut off|not an SQLite/),
        });
      }
    }
    writeFileSync(file, Buffer.concat([Buffer.from("garbage".repeat(10)), whole]));
    expect(failure(readAll).message).toBe(
      `${file}: not an SQLite database; move it away or choose another --runs folder`,
    );
  });

  test("with flipped bits: is read, or refused in one sentence; and is never changed by reading", () => {
    fill();
    const whole = readFileSync(file);
    let state = 12_345;
    const random = (below: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const refusals = new Set<string>();
    for (let round = 0; round < 400; round++) {
      const bytes = Buffer.from(whole);
      for (let flips = 1 + random(8); flips > 0; flips--) {
        // Every other one among the first pages, where the header and the schema are.
        const at = random(round % 2 === 0 ? 8192 : bytes.length);
        bytes[at]! ^= 1 << random(8);
      }
      writeFileSync(file, bytes);
      try {
        readAll();
      } catch (error) {
        expect(error, `round ${round}`).toBeInstanceOf(StoreError);
        refusals.add((error as StoreError).code);
      }
      expect(readFileSync(file).equals(bytes)).toBe(true);
    }
    expect(refusals).toContain("not-a-store");
  });

  test("settings that are no JSON any more", () => {
    fill();
    const database = new DatabaseSync(file);
    database.exec("UPDATE runs SET settings = substr(settings, 1, 20) WHERE id = 'run-3'");
    database.close();
    expect(failure(readAll)).toMatchObject({ code: "not-a-store", message: expect.stringMatching(/damaged/) });
  });
});

describe("a file that others hold", () => {
  test("exclusively, for longer than the timeout: reading and writing say so, and work when it is free", () => {
    fill();
    const holder = new DatabaseSync(file);
    holder.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; UPDATE runs SET error = 'x' WHERE id = 'run-1'");
    const refused = (readonly: boolean) => {
      const started = performance.now();
      expect(failure(() => openStore(dir, { readonly, timeoutMs: 150 }).listRuns())).toMatchObject({
        code: "locked",
        message: `${file}: locked by another process for too long; try again when it has finished`,
      });
      expect(performance.now() - started).toBeGreaterThan(140);
    };
    refused(false);
    const reader = openStore(dir, { readonly: true, timeoutMs: 150 });
    expect(reader.getRun("run-1").error).toBeNull(); // nothing is committed: the file is as it was
    reader.close();
    holder.exec("COMMIT; BEGIN EXCLUSIVE; UPDATE runs SET error = 'y' WHERE id = 'run-1'");
    refused(false);
    refused(true);
    holder.exec("ROLLBACK");
    holder.close();
    const store = openStore(dir, { timeoutMs: 150 });
    store.recordMetrics("run-1", [point(99)]);
    expect(store.metrics("run-1")).toHaveLength(51);
    expect(store.getRun("run-1").error).toBe("x");
    store.close();
  });

  test("a writer does not wait for a reader in the middle of a transaction", () => {
    fill();
    const reader = new DatabaseSync(file, { readOnly: true });
    reader.exec("BEGIN");
    reader.prepare("SELECT count(*) FROM runs").get();
    const store = openStore(dir, { timeoutMs: 50 });
    for (let i = 0; i < 100; i++) store.recordMetrics("run-1", [point(100 + i)]);
    expect(store.metrics("run-1")).toHaveLength(150);
    reader.exec("COMMIT");
    reader.close();
    store.close();
  });
});

describe("reading", () => {
  test("creates nothing beside the file, whether or not the folder may be written", () => {
    fill();
    const before = statSync(file).mtimeMs;
    readAll();
    expect(readdirSync(dir)).toEqual([STORE_FILE]);
    expect(statSync(file).mtimeMs).toBe(before);
  });

  test("goes on with what a writer adds that comes later, before and after the log is cut back", () => {
    fill();
    const reader = openStore(dir, { readonly: true });
    expect(reader.metrics("run-1")).toHaveLength(50);
    const writer = openStore(dir);
    writer.recordMetrics("run-1", [point(77)]);
    expect(reader.metrics("run-1")).toHaveLength(51);
    const other = new DatabaseSync(file);
    other.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    other.close();
    writer.recordMetrics("run-1", [point(78)]);
    expect(reader.metrics("run-1")).toHaveLength(52);
    writer.close();
    reader.close();
    expect(openStore(dir, { readonly: true }).metrics("run-1")).toHaveLength(52);
  });

  test("sees what is in a log whose writer was killed", () => {
    fill();
    const script = `
      import { createRequire } from "node:module";
      const { DatabaseSync } = createRequire(${JSON.stringify(import.meta.url)})("@photostructure/sqlite");
      const database = new DatabaseSync(${JSON.stringify(file)});
      database.exec("PRAGMA journal_mode = WAL; UPDATE runs SET name = 'from the log'");
      process.kill(process.pid, "SIGKILL");`;
    spawnSync(process.execPath, ["--input-type=module", "-e", script]);
    expect(existsSync(`${file}-wal`)).toBe(true);
    const store = openStore(dir, { readonly: true });
    expect(store.listRuns({ name: "from the log" })).toHaveLength(20);
    store.close();
  });
});

describe("folders that cannot be", () => {
  test("a file in the way, at the end and in the middle of the path", () => {
    writeFileSync(join(dir, "taken"), "");
    for (const path of [join(dir, "taken"), join(dir, "taken", "runs")]) {
      expect(failure(() => openStore(path)).message).toBe(`${path}: expected a folder for runs, found a file`);
    }
    expect(failure(() => openStore(join(dir, "taken"), { readonly: true })).message).toMatch(/expected a folder/);
    mkdirSync(join(dir, "odd", STORE_FILE), { recursive: true });
    for (const readonly of [true, false]) {
      expect(failure(() => openStore(join(dir, "odd"), { readonly })).message).toMatch(/expected the store's file/);
    }
  });

  test.skipIf(process.platform !== "linux")("a file system that takes none, in no time", () => {
    for (const path of ["/proc/x", "/proc/x/y/z", "/proc/self/x"]) {
      expect(failure(() => openStore(path))).toMatchObject({
        code: "readonly",
        message: expect.stringMatching(new RegExp(`^${path}: the folder cannot be created: .*; choose another --runs`)),
      });
    }
    expect(failure(() => openStore("/proc/self/attr")).code).toBe("readonly");
    expect(() => makeFolder("/proc/x/y")).toThrow(/ENOENT/);
  });

  test("created as asked, several levels at once, and again", () => {
    const path = join(dir, "a", "b", "c");
    makeFolder(path);
    makeFolder(path);
    expect(readdirSync(join(dir, "a", "b"))).toEqual(["c"]);
    writeFileSync(join(path, "file"), "");
    expect(() => makeFolder(join(path, "file"))).toThrow(/EEXIST/);
    expect(() => makeFolder(join(path, "file", "x"))).toThrow(/ENOTDIR/);
  });
});

describe.skipIf(process.platform === "win32")("no room", () => {
  test("the write that does not fit is refused, and what was stored before is there", () => {
    const script = join(built.folder, "overfill.mjs");
    writeFileSync(
      script,
      `import { openStore } from "./store/index.js";
       const store = openStore(process.argv[2]);
       const run = { name: "n", variant: "v", seed: 1, settings: { x: "x".repeat(1000) }, command: "c" };
       let stored = 0;
       try {
         for (; stored < 5000; stored++) store.createRun({ ...run, id: "run-" + stored, settingsHash: "h" + stored });
       } catch (error) {
         console.log(JSON.stringify({ stored, name: error.name, code: error.code, message: error.message }));
       }
       store.close();`,
    );
    // A limit of file sizes stands for a full disk: the system refuses the write in the same place.
    const limited = `ulimit -f 800; exec "$0" "$@"`;
    const output = execFileSync("/bin/bash", ["-c", limited, process.execPath, script, dir], { encoding: "utf8" });
    const said = JSON.parse(output);
    expect(said).toMatchObject({ name: "StoreError", code: "failed" });
    expect(said.message).toMatch(
      /^.*stopgrad\.db: the system would not read or write it \(disk I\/O error\): is a quota/,
    );
    expect(said.stored).toBeGreaterThan(50);
    const store = openStore(dir);
    expect(store.listRuns()).toHaveLength(said.stored);
    store.createRun(run("more"));
    store.close();
  });
});
