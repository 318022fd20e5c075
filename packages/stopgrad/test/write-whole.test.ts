// A file is whole or as it was: also where the disk is full, and where the name is taken by a folder.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { writeWhole } from "../src/write-whole.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stopgrad-whole-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it("replaces what was there", () => {
  const file = join(folder, "a.md");
  writeFileSync(file, "before, and longer");
  writeWhole(file, "after");
  expect(readFileSync(file, "utf8")).toBe("after");
  expect(readdirSync(folder)).toEqual(["a.md"]);
});

it("says which file cannot be written, and leaves nothing of its own", () => {
  mkdirSync(join(folder, "taken"));
  expect(() => writeWhole(join(folder, "taken"), "text")).toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
  expect(readdirSync(folder)).toEqual(["taken"]);
  const missing = join(folder, "no", "such.md");
  expect(() => writeWhole(missing, "text")).toThrow(expect.objectContaining({ code: "ENOENT", path: missing }));
});

it("keeps the old text where the new one cannot be written whole", () => {
  const file = join(folder, "a.md");
  writeFileSync(file, "before");
  const module = new URL("../dist/write-whole.js", import.meta.url).href;
  const script = `const { writeWhole } = await import("${module}");
    try { writeWhole("${file}", "x".repeat(100000)); } catch ({ code, path }) { console.log(code, path); }`;
  // No file of more than 8 blocks of 1024 bytes: the writing fails in the middle.
  const limited = 'ulimit -f 8; exec "$0" --input-type=module --eval "$1"';
  const { stdout } = spawnSync("bash", ["-c", limited, process.execPath, script], { encoding: "utf8" });
  expect(stdout).toBe(`EFBIG ${file}\n`);
  expect(readFileSync(file, "utf8")).toBe("before");
  expect(readdirSync(folder)).toEqual(["a.md"]);
});
