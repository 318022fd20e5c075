// The soak of `soak.mjs`, for seconds.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type BuiltStore, buildStore } from "./built-store.js";

let built: BuiltStore;
beforeAll(() => {
  built = buildStore();
});
afterAll(() => built.remove());

test("writers and readers side by side meet no error, and the log stays short under readers without a gap", async () => {
  const script = join(import.meta.dirname, "soak.mjs");
  const store = join(built.folder, "store/index.js");
  // Cut back at 16 MiB, and again after as much where readers were in the middle; with no bound it is above 48 in seconds.
  const args = [script, "--seconds", "4", "--largest-log", String(48 * 2 ** 20), "--store", store];
  const run = promisify(execFile)(process.execPath, args).catch((error) => error as { stdout: string; stderr: string });
  const { stdout, stderr } = await run;
  expect(stderr).toBe("");
  const result = JSON.parse(stdout);
  expect(result.problems).toEqual([]);
  expect(result.commits).toBeGreaterThan(20);
  expect(result.reads).toBeGreaterThan(20);
  expect(result.overlappingReads).toBeGreaterThan(20);
});
