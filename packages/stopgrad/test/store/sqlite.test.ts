import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "@photostructure/sqlite";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { MIGRATIONS } from "../../src/store/migrations.js";
import type { MetricPoint, RunSummary } from "../../src/store/records.js";
import { openStore, STORE_FILE } from "../../src/store/sqlite.js";
import type { NewRun } from "../../src/store/store.js";
import { type BuiltStore, buildStore } from "./built-store.js";

let dir: string;
const opened: { close(): void }[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "stopgrad-store-"));
});

afterEach(() => {
  for (const store of opened.splice(0)) store.close();
  rmSync(dir, { recursive: true, force: true });
});

function open(options: Parameters<typeof openStore>[1] = {}, folder = dir) {
  const store = openStore(folder, options);
  opened.push(store);
  return store;
}

/** Another connection, past the store. */
function raw(): Connection {
  const database = new DatabaseSync(join(dir, STORE_FILE));
  opened.push({ close: () => database.isOpen && database.close() });
  return database;
}

type Connection = InstanceType<typeof DatabaseSync>;

const newRun = (id = "demo-e2e-s1-0123abcd", changes: Partial<NewRun> = {}): NewRun => ({
  id,
  name: "demo",
  variant: "e2e",
  seed: 1,
  settings: { epochs: 2, model: { name: "lenet5" } },
  settingsHash: `hash of ${id}`,
  command: "stopgrad train demo.yaml",
  ...changes,
});

const point = (changes: Partial<MetricPoint> = {}): MetricPoint => ({
  epoch: 1,
  step: 10,
  key: "testAccuracy",
  stage: "",
  value: 0.5,
  standardError: null,
  ...changes,
});

const summary: RunSummary = {
  epochs: 2,
  seconds: 1.5,
  imagesPerSecond: 100,
  peakBytes: 12_345,
  trainAccuracy: 0.75,
  testAccuracy: Number.NaN,
  parameters: { backbone: 10, heads: 0 },
  cost: { inference: { backbone: 20, extras: 0 }, training: 60.5 },
  stages: [{ name: "conv1", shape: [6, 14, 14], nhsicXZ: Number.NaN, nhsicYZ: 1, probeTrain: null, probeTest: null }],
};

describe("runs", () => {
  test("what is recorded is read back, by another connection too", () => {
    const store = open();
    const environment = {
      stopgrad: "0.1.0",
      node: "v20",
      libtorch: "2.6",
      blas: "openblas",
      threads: 2,
      device: "cpu",
      platform: "linux",
      cpu: "x",
      commit: null,
    };
    const created = store.createRun(newRun());
    expect(created).toMatchObject({
      ...newRun(),
      status: "running",
      environment: null,
      summary: null,
      finishedAt: null,
    });
    store.setEnvironment(created.id, environment);
    store.setSummary(created.id, summary);
    store.setStatus(created.id, "completed");
    const read = open({ readonly: true }).getRun(created.id);
    expect(read).toMatchObject({ ...newRun(), status: "completed", environment, error: null });
    expect(read.summary).toEqual(summary);
    expect(Date.parse(read.finishedAt ?? "")).toBeGreaterThanOrEqual(Date.parse(read.createdAt));
  });

  test("a run that starts again keeps its creation time and metrics, and loses its end", () => {
    const store = open();
    const { id, createdAt } = store.createRun(newRun());
    store.recordMetrics(id, [point()]);
    store.setSummary(id, summary);
    store.setStatus(id, "failed", "the disk was full");
    expect(store.getRun(id).error).toBe("the disk was full");
    const again = store.createRun(newRun(id, { command: "again" }));
    expect(again).toMatchObject({
      status: "running",
      command: "again",
      createdAt,
      error: null,
      summary: null,
      finishedAt: null,
    });
    expect(store.metrics(id)).toHaveLength(1);
    expect(() => store.createRun(newRun(id, { settingsHash: "other" }))).toThrow(/exists with other settings/);
  });

  test("found by id, by a beginning that only one has, and by hash", () => {
    const store = open();
    for (const id of ["demo-e2e-s1-aa", "demo-e2e-s2-bb", "demo-lw-s1-cc", "100%_x"]) store.createRun(newRun(id));
    expect(store.getRun("demo-l").id).toBe("demo-lw-s1-cc");
    expect(store.getRun("100%").id).toBe("100%_x");
    expect(() => store.getRun("demo-e2e")).toThrow(
      "demo-e2e stands for more than one run: demo-e2e-s1-aa, demo-e2e-s2-bb",
    );
    expect(() => store.getRun("%")).toThrow(/^unknown run: %/);
    expect(() => store.getRun("")).toThrow(/^unknown run: ""/);
    expect(() => store.getRun("demo-e2-s1-aa")).toThrow(/nearest: demo-e2e-s1-aa, /);
    expect(store.findByHash("hash of demo-lw-s1-cc")?.id).toBe("demo-lw-s1-cc");
    expect(store.findByHash("hash")).toBeNull();
    expect(() => open({}, join(dir, "empty")).getRun("x")).toThrow("unknown run: x (there are no runs yet)");
  });

  test("of runs with one hash, a completed one is found, else the newest", () => {
    const store = open();
    for (const id of ["a", "b", "c"]) store.createRun(newRun(id, { settingsHash: "h" }));
    expect(store.findByHash("h")?.id).toBe("c");
    store.setStatus("b", "completed");
    expect(store.findByHash("h")?.id).toBe("b");
  });

  test("listed in order of creation, by name, variant, seed and status", () => {
    const store = open();
    store.createRun(newRun("z"));
    store.createRun(newRun("a", { variant: "lw", seed: 2 }));
    store.createRun(newRun("m", { name: "other" }));
    store.setStatus("a", "completed");
    const ids = (filter = {}) => store.listRuns(filter).map((run) => run.id);
    expect(ids()).toEqual(["z", "a", "m"]);
    expect(ids({ name: "demo" })).toEqual(["z", "a"]);
    expect(ids({ variant: "lw", seed: 2 })).toEqual(["a"]);
    expect(ids({ seed: 3 })).toEqual([]);
    expect(ids({ status: "completed" })).toEqual(["a"]);
  });

  test("an unknown run is refused by every method, and nothing is written", () => {
    const store = open();
    const calls: (() => void)[] = [
      () => store.setStatus("x", "completed"),
      () => store.setSummary("x", summary),
      () => store.recordMetrics("x", [point()]),
      () => store.recordMetrics("x", []),
      () => store.deleteMetricsAfter("x", 0),
      () => store.metrics("x"),
      () => store.claim("x"),
      () => store.owner("x"),
      () => store.deleteRun("x"),
    ];
    for (const call of calls) expect(call).toThrow("unknown run: x (there are no runs yet)");
    expect(raw().prepare("SELECT count(*) AS n FROM metrics").get()).toMatchObject({ n: 0 });
  });

  test("deleting a run deletes its metrics", () => {
    const store = open();
    store.createRun(newRun("a"));
    store.recordMetrics("a", [point()]);
    store.deleteRun("a");
    expect(raw().prepare("SELECT count(*) AS n FROM metrics").get()).toMatchObject({ n: 0 });
  });
});

describe("metrics", () => {
  test("NaN and infinities come back as they were", () => {
    const store = open();
    store.createRun(newRun("a"));
    const points = [
      point({ key: "a", value: Number.NaN, standardError: Number.NaN }),
      point({ key: "b", value: Number.POSITIVE_INFINITY, standardError: Number.NEGATIVE_INFINITY }),
      point({ key: "c", value: 0.1 + 0.2, standardError: null }),
      point({ key: "d", value: -1e-300, standardError: 0, epoch: 0.25 }),
    ];
    store.recordMetrics("a", points);
    expect(store.metrics("a")).toEqual(points);
  });

  test("a point again replaces the one there; an epoch done again leaves no rest of the first", () => {
    const store = open();
    store.createRun(newRun("a"));
    store.recordMetrics("a", [point(), point({ step: 20, epoch: 2 }), point({ step: 20, epoch: 2, stage: "conv1" })]);
    store.recordMetrics("a", [point({ value: 0.75 })]);
    expect(store.metrics("a").map((p) => [p.step, p.stage, p.value])).toEqual([
      [10, "", 0.75],
      [20, "", 0.5],
      [20, "conv1", 0.5],
    ]);
    store.deleteMetricsAfter("a", 10);
    expect(store.metrics("a").map((p) => p.step)).toEqual([10]);
    store.deleteMetricsAfter("a", -1);
    expect(store.metrics("a")).toEqual([]);
  });

  test("of some keys only, and of one run only", () => {
    const store = open();
    for (const id of ["a", "b"]) {
      store.createRun(newRun(id));
      store.recordMetrics(
        id,
        ["x", "y", "z'; --"].map((key) => point({ key })),
      );
    }
    expect(store.metrics("a", ["y", "z'; --"]).map((p) => p.key)).toEqual(["y", "z'; --"]);
    expect(store.metrics("a", [])).toEqual([]);
    store.deleteMetricsAfter("a", -1);
    expect(store.metrics("b")).toHaveLength(3);
  });

  test("all points or none", () => {
    const store = open();
    store.createRun(newRun("a"));
    expect(() => store.recordMetrics("a", [point(), point({ step: -1 })])).toThrow(/expected a step from 0/);
    const bad = point({ key: "b", value: "text" as unknown as number });
    expect(() => store.recordMetrics("a", [point(), bad])).toThrow();
    expect(store.metrics("a")).toEqual([]);
    store.recordMetrics("a", [point()]);
  });
});

describe("opening", () => {
  const failure = (work: () => unknown): { code?: string; message: string } => {
    try {
      work();
    } catch (error) {
      return error as Error;
    }
    throw new Error("expected an error");
  };

  test("creates the folder; opens again; read-only creates nothing", () => {
    const folder = join(dir, "new", "runs");
    expect(failure(() => openStore(folder, { readonly: true })).code).toBe("missing");
    expect(existsSync(folder)).toBe(false);
    open({}, folder).createRun(newRun("a"));
    const store = open({ readonly: true }, folder);
    expect(store.listRuns()).toHaveLength(1);
    expect(failure(() => store.setStatus("a", "completed")).code).toBe("readonly");
    expect(existsSync(join(folder, STORE_FILE))).toBe(true);
  });

  test("a file that is not SQLite, another program's database, a newer version", () => {
    writeFileSync(join(dir, STORE_FILE), "name,value\n".repeat(200));
    expect(failure(() => openStore(dir))).toMatchObject({
      code: "not-a-store",
      message: expect.stringMatching(/not an SQLite/),
    });
    rmSync(join(dir, STORE_FILE));

    const other = raw();
    other.exec("CREATE TABLE bookmarks (url TEXT)");
    expect(failure(() => openStore(dir))).toMatchObject({
      code: "not-a-store",
      message: expect.stringMatching(/another program/),
    });
    expect(failure(() => openStore(dir, { readonly: true })).code).toBe("not-a-store");
    other.close();
    rmSync(join(dir, STORE_FILE));

    openStore(dir).close();
    raw().exec(`PRAGMA user_version = ${MIGRATIONS.length + 1}`);
    expect(failure(() => openStore(dir))).toMatchObject({
      code: "newer",
      message: expect.stringMatching(/update stopgrad/),
    });
  });

  test("an empty file, as a crash at the first opening leaves it, becomes a store", () => {
    writeFileSync(join(dir, STORE_FILE), "");
    expect(failure(() => openStore(dir, { readonly: true })).code).toBe("missing");
    open().createRun(newRun());
  });

  test("a file where the folder should be", () => {
    writeFileSync(join(dir, "runs"), "");
    expect(failure(() => openStore(join(dir, "runs")))).toMatchObject({
      message: expect.stringMatching(/expected a folder/),
    });
  });

  test("a database that another connection holds: waits, then says so", () => {
    const store = open({ timeoutMs: 100 });
    store.createRun(newRun("a"));
    const holder = raw();
    holder.exec("BEGIN IMMEDIATE");
    const started = Date.now();
    expect(failure(() => store.setStatus("a", "completed"))).toMatchObject({
      code: "locked",
      message: expect.stringMatching(/locked/),
    });
    expect(Date.now() - started).toBeGreaterThanOrEqual(90);
    expect(store.getRun("a").status).toBe("running");
    holder.exec("ROLLBACK");
    store.setStatus("a", "completed");
  });
});

// Processes of their own run the compiled store: the same source, built into a temporary folder.
describe("several processes", () => {
  let built: BuiltStore;
  let script: string;
  const children: ChildProcess[] = [];

  beforeAll(() => {
    built = buildStore();
    script = join(built.folder, "child.mjs");
    writeFileSync(script, CHILD);
  });

  afterEach(() => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
  });

  afterAll(() => built.remove());

  /** Starts a child; it sends one message when it has got where the test wants it. */
  function start(role: string, options: { uid?: number } = {}): ChildProcess {
    const child = fork(script, [role, dir], { execArgv: [], ...options });
    children.push(child);
    return child;
  }

  async function message(child: ChildProcess): Promise<unknown> {
    const [said] = await Promise.race([
      once(child, "message"),
      once(child, "exit").then(([code]) => {
        throw new Error(`the child ended with ${code} and said nothing`);
      }),
    ]);
    return said;
  }

  async function kill(child: ChildProcess): Promise<void> {
    child.kill("SIGKILL");
    await once(child, "exit");
  }

  test("two that create the store and write at once lose nothing", async () => {
    const writers = [start("write-a"), start("write-b"), start("write-c")];
    const exits = writers.map((child) => once(child, "exit"));
    for (const exit of exits) expect(await exit).toEqual([0, null]);
    const store = open();
    for (const id of ["write-a", "write-b", "write-c"]) {
      expect(store.metrics(id)).toHaveLength(2000);
      expect(store.getRun(id).status).toBe("completed");
    }
  });

  test("one killed in the middle of a transaction leaves what was there before it", async () => {
    const child = start("half-a-transaction");
    expect(await message(child)).toBe("in the middle");
    expect(open({ readonly: true }).metrics("a")).toHaveLength(1);
    await kill(child);
    const store = open({ timeoutMs: 1000 });
    expect(store.metrics("a").map((p) => p.key)).toEqual(["kept"]);
    store.recordMetrics("a", [point({ key: "after" })]);
    expect(raw().prepare("PRAGMA integrity_check").get()).toMatchObject({ integrity_check: "ok" });
  });

  test("a claimed run is refused to others until its process is gone", async () => {
    const child = start("claim");
    expect(await message(child)).toBe("claimed");
    const store = open();
    expect(store.owner("a")?.pid).toBe(child.pid);
    expect(store.getRun("a").status).toBe("running");
    expect(() => store.claim("a")).toThrow(
      new RegExp(`run a is being trained by another process \\(process ${child.pid} on`),
    );
    store.release("a");
    expect(store.owner("a")?.pid).toBe(child.pid);

    await kill(child);
    expect(store.owner("a")).toBeNull();
    expect(store.getRun("a").status).toBe("interrupted");
    expect(store.listRuns({ status: "interrupted" })).toHaveLength(1);
    store.claim("a");
    store.claim("a");
    expect(store.owner("a")?.pid).toBe(process.pid);
    store.release("a");
    expect(store.owner("a")).toBeNull();
  });

  test("a process number that is used again is not the owner; another machine's counts as alive", () => {
    const store = open();
    store.createRun(newRun("a"));
    store.claim("a");
    raw().exec("UPDATE runs SET owner_start = 'an earlier boot 17'");
    if (process.platform === "linux") expect(store.owner("a")).toBeNull();
    raw().exec("UPDATE runs SET owner_host = 'elsewhere', owner_pid = 1");
    expect(store.owner("a")).toMatchObject({ host: "elsewhere", pid: 1 });
    expect(() => store.claim("a")).toThrow(/process 1 on elsewhere/);
    store.claim("a", { force: true });
    expect(store.owner("a")?.pid).toBe(process.pid);
  });

  test("a folder that may not be written: reading works, writing says why", async () => {
    const folder = join(dir, "sealed");
    mkdirSync(folder);
    const store = openStore(folder);
    store.createRun(newRun("a"));
    store.close();
    chmodSync(dir, 0o755);
    chmodSync(folder, 0o555);
    chmodSync(join(folder, STORE_FILE), 0o444);
    // Root may write anywhere, so the child gives root up.
    const child = start("sealed", process.getuid?.() === 0 ? { uid: 65_534 } : {});
    expect(await message(child)).toEqual({ runs: ["a"], write: "readonly", create: "readonly" });
    chmodSync(folder, 0o755);
  });
});

const CHILD = `
import { openStore } from "./store/sqlite.js";
import { DatabaseSync } from "@photostructure/sqlite";
import { join } from "node:path";
const [role, dir] = process.argv.slice(2);
const run = (id) => ({ id, name: "n", variant: "v", seed: 1, settings: {}, settingsHash: id, command: "c" });
const point = (key, step) => ({ epoch: 1, step, key, stage: "", value: step, standardError: null });
const codeOf = (work) => { try { work(); return "done"; } catch (error) { return error.code; } };
if (role.startsWith("write-")) {
  const store = openStore(dir);
  store.createRun(run(role));
  for (let i = 0; i < 200; i++) store.recordMetrics(role, Array.from({ length: 10 }, (_, j) => point("k", i * 10 + j)));
  store.setStatus(role, "completed");
  store.close();
} else if (role === "half-a-transaction") {
  const store = openStore(dir);
  store.createRun(run("a"));
  store.recordMetrics("a", [point("kept", 1)]);
  const database = new DatabaseSync(join(dir, "stopgrad.db"));
  database.exec("PRAGMA cache_size = 10; BEGIN IMMEDIATE");
  const insert = database.prepare("INSERT INTO metrics VALUES ('a', ?, '', ?, 1, 1, NULL)");
  for (let i = 0; i < 20000; i++) insert.run("lost", i);
  process.send("in the middle");
  setInterval(() => {}, 1000);
} else if (role === "claim") {
  const store = openStore(dir);
  store.createRun(run("a"));
  store.claim("a");
  process.send("claimed");
  setInterval(() => {}, 1000);
} else if (role === "sealed") {
  const folder = join(dir, "sealed");
  const store = openStore(folder, { readonly: true });
  process.send({
    runs: store.listRuns().map(({ id }) => id),
    write: codeOf(() => openStore(folder)),
    create: codeOf(() => openStore(join(folder, "new"))),
  });
}
`;
