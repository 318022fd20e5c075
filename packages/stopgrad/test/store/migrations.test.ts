// Stores of earlier versions, written as SQL by hand, and two processes that bring one up to date at once.
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "@photostructure/sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { MIGRATIONS } from "../../src/store/migrations.js";
import { openStore, STORE_FILE } from "../../src/store/sqlite.js";
import { buildStore } from "./built-store.js";

/** The tables of each version that has shipped, and a few rows. Never changed: a later version appends one. */
const FIXTURES: Record<number, string> = {
  1: `
    CREATE TABLE runs (
      id TEXT PRIMARY KEY, name TEXT NOT NULL, variant TEXT NOT NULL, seed INTEGER NOT NULL,
      status TEXT NOT NULL CHECK (status IN ('running', 'completed', 'interrupted', 'failed')),
      settings TEXT NOT NULL, settings_hash TEXT NOT NULL, command TEXT NOT NULL, environment TEXT,
      created_at TEXT NOT NULL, finished_at TEXT, error TEXT, summary TEXT,
      owner_host TEXT, owner_pid INTEGER, owner_start TEXT, owner_since TEXT) STRICT;
    CREATE INDEX runs_by_hash ON runs (settings_hash);
    CREATE TABLE metrics (
      run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, key TEXT NOT NULL, stage TEXT NOT NULL,
      step INTEGER NOT NULL, epoch REAL NOT NULL, value REAL, standard_error ANY,
      PRIMARY KEY (run_id, key, stage, step)) STRICT, WITHOUT ROWID;
    INSERT INTO runs (id, name, variant, seed, status, settings, settings_hash, command, created_at) VALUES
      ('old-a-s1', 'old', 'a', 1, 'completed', '{"epochs":2}', 'hash a', 'stopgrad train old.yaml', '2025-01-01T00:00:00.000Z'),
      ('old-a-s2', 'old', 'a', 2, 'failed', '{"epochs":2}', 'hash b', 'stopgrad train old.yaml', '2025-01-01T00:00:01.000Z');
    INSERT INTO metrics VALUES ('old-a-s1', 'testAccuracy', '', 10, 1, 0.5, NULL),
      ('old-a-s1', 'testAccuracy', '', 20, 2, NULL, 'NaN');
    PRAGMA application_id = 0x73677264;
    PRAGMA user_version = 1;`,
};

const versions = Array.from({ length: MIGRATIONS.length - 1 }, (_, at) => at + 1);

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "stopgrad-migrations-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Puts a store of an earlier version there. */
function writeFixture(version: number): void {
  const database = new DatabaseSync(join(dir, STORE_FILE));
  database.exec(`PRAGMA journal_mode = WAL; ${FIXTURES[version]}`);
  database.close();
}

function expectOldRows(store: ReturnType<typeof openStore>): void {
  expect(store.listRuns().map(({ id, status }) => [id, status])).toEqual([
    ["old-a-s1", "completed"],
    ["old-a-s2", "failed"],
  ]);
  const run = store.getRun("old-a-s1");
  expect(run).toMatchObject({ settings: { epochs: 2 }, command: "stopgrad train old.yaml", origin: null });
  expect(store.metrics("old-a-s1")).toEqual([
    { epoch: 1, step: 10, key: "testAccuracy", stage: "", value: 0.5, standardError: null },
    { epoch: 2, step: 20, key: "testAccuracy", stage: "", value: Number.NaN, standardError: Number.NaN },
  ]);
}

/** Tables and columns, in the order of their names. */
function schema(): string[] {
  const database = new DatabaseSync(join(dir, STORE_FILE), { readOnly: true });
  try {
    const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").all();
    return (tables as { name: string }[]).flatMap(({ name }) =>
      (database.prepare(`PRAGMA table_info(${name})`).all() as { name: string; type: string }[]).map(
        (column) => `${name}.${column.name} ${column.type}`,
      ),
    );
  } finally {
    database.close();
  }
}

function userVersion(): number {
  const database = new DatabaseSync(join(dir, STORE_FILE), { readOnly: true });
  const { user_version: version } = database.prepare("PRAGMA user_version").get() as { user_version: number };
  database.close();
  return version;
}

test("there is a fixture of every earlier version", () => {
  expect(Object.keys(FIXTURES).map(Number)).toEqual(versions);
});

test.each(versions)("version %i: opened for writing, it becomes the present one and keeps its rows", (version) => {
  writeFixture(version);
  const store = openStore(dir);
  expectOldRows(store);
  const origin = { folder: "/x", given: "stopgrad train", experiment: { file: "a.yaml", hash: "h", text: "a: 1\n" } };
  const settings = { id: "new", name: "new", variant: "v", seed: 1, settings: {}, settingsHash: "n", command: "c" };
  store.createRun({ ...settings, origin });
  expect(store.getRun("new").origin).toEqual(origin);
  store.close();
  expect(userVersion()).toBe(MIGRATIONS.length);
  const migrated = schema();
  rmSync(join(dir, STORE_FILE));
  openStore(dir).close();
  expect(migrated).toEqual(schema());
});

test.each(versions)("version %i: opened for reading, it is read and stays as it is", (version) => {
  writeFixture(version);
  const before = readFileSync(join(dir, STORE_FILE));
  const store = openStore(dir, { readonly: true });
  expectOldRows(store);
  store.close();
  expect(readdirSync(dir)).toEqual([STORE_FILE]);
  expect(readFileSync(join(dir, STORE_FILE)).equals(before)).toBe(true);
});

test.each(versions)("version %i: a migration that cannot be done leaves everything as it was", (version) => {
  writeFixture(version);
  const database = new DatabaseSync(join(dir, STORE_FILE));
  // In the way of the last statement of the last step, so that those before it have been done.
  database.exec("ALTER TABLE runs ADD COLUMN experiment_hash TEXT");
  database.close();
  const before = schema();
  expect(() => openStore(dir)).toThrow(/stopgrad\.db: duplicate column name: experiment_hash/);
  expect(userVersion()).toBe(version);
  expect(schema()).toEqual(before);
});

test("several processes that open an old store at once all succeed", async () => {
  const built = buildStore();
  try {
    const script = join(built.folder, "child.mjs");
    writeFileSync(
      script,
      `import { openStore } from "./store/index.js";
       process.on("message", () => {
         const store = openStore(process.argv[2]);
         const run = { id: String(process.pid), name: "n", variant: "v", seed: 1, settings: {}, settingsHash: String(process.pid), command: "c" };
         store.createRun(run);
         store.close();
         process.disconnect();
       });
       process.send("ready");`,
    );
    for (let round = 0; round < 5; round++) {
      for (const name of readdirSync(dir)) rmSync(join(dir, name));
      writeFixture(1);
      const children = Array.from({ length: 4 }, () => fork(script, [dir], { execArgv: [] }));
      await Promise.all(children.map((child) => once(child, "message")));
      const ends = children.map((child) => once(child, "exit"));
      for (const child of children) child.send("go");
      for (const end of ends) expect(await end).toEqual([0, null]);
      const store = openStore(dir, { readonly: true });
      expect(store.listRuns()).toHaveLength(6);
      store.close();
      expect(userVersion()).toBe(MIGRATIONS.length);
    }
  } finally {
    built.remove();
  }
});
