// What the command line says when runs cannot be kept or read: one sentence, exit 1, nothing lost, nothing hung.
import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Finished, folder, json, program, put, results, runIds, stopgrad, tiny } from "./command.js";

function expectSentence({ code, stdout, stderr }: Finished, sentence: RegExp): void {
  expect(stderr.trimEnd().split("\n").at(-1)).toMatch(sentence);
  expect(stderr).not.toMatch(/^\s+at /m);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
}

const file = (where: string) => put(where, "file.yaml", tiny);
const trained = ["--variant", "e2e"];

describe.skipIf(process.platform !== "linux")("a folder that takes nothing", () => {
  it("is refused by train, in no time", async () => {
    const args = ["train", file(folder()), ...trained, "--runs", "/proc/x"];
    expectSentence(
      await stopgrad(args),
      /^stopgrad: \/proc\/x: the folder cannot be created: .*another --runs folder$/,
    );
  });

  it("is refused by report and compare as --out; what compare trained is kept", async () => {
    const runs = folder();
    const compared = await stopgrad(["compare", file(runs), "--runs", runs, "--out", "/proc/x/y"]);
    expect(compared.code).toBe(1);
    expect(compared.stdout).toContain("test accuracy (%)");
    expect(compared.stderr).toMatch(/^the report in \/proc\/x\/y cannot be written: cannot mkdir \/proc\/x: /m);
    expect(runIds(runs)).toHaveLength(2);
    const before = readFileSync(join(runs, "stopgrad.db"));
    const reported = await stopgrad(["report", "tiny", "--runs", runs, "--out", "/proc/x/y"]);
    expectSentence(
      reported,
      /^stopgrad: the report in \/proc\/x\/y cannot be written: .*--out chooses another folder$/,
    );
    expect(readFileSync(join(runs, "stopgrad.db")).equals(before)).toBe(true);
  });
});

it("reading verbs create nothing, with and without a store", async () => {
  const runs = folder();
  for (const args of [["runs"], ["runs", "x"], ["report", "x"]]) {
    await stopgrad([...args, "--runs", join(runs, "new")]);
    expect(readdirSync(runs)).toEqual([]);
  }
  expect((await stopgrad(["train", file(runs), ...trained, "--runs", runs])).code).toBe(0);
  const before = readdirSync(runs, { recursive: true }).sort();
  expect(before).not.toContain("stopgrad.db-wal");
  for (const args of [["runs"], ["runs", "tiny"], ["runs", "tiny", "--yaml"]]) {
    expect((await stopgrad([...args, "--runs", runs])).code).toBe(0);
  }
  expect(readdirSync(runs, { recursive: true }).sort()).toEqual(before);
});

it("a store that was cut off is refused by every verb that needs it, and left as it is", async () => {
  const runs = folder();
  expect((await stopgrad(["train", file(runs), ...trained, "--runs", runs])).code).toBe(0);
  const database = join(runs, "stopgrad.db");
  truncateSync(database, 9000);
  const before = readFileSync(database);
  for (const args of [["runs"], ["runs", "tiny"], ["report", "tiny"], ["train", file(runs), ...trained, "--fresh"]]) {
    const result = await stopgrad([...args, "--runs", runs]);
    expectSentence(result, /^stopgrad: .*stopgrad\.db: cut off; restore a copy, or move it away to start anew$/);
  }
  expect(readFileSync(database).equals(before)).toBe(true);
});

it("a file in place of the folder is refused by every verb", async () => {
  const where = folder();
  const path = join(where, "taken");
  writeFileSync(path, "kept");
  for (const args of [["runs"], ["runs", "x"], ["report", "x"], ["train", file(where), ...trained], ["resume", "x"]]) {
    expectSentence(
      await stopgrad([...args, "--runs", path]),
      /^stopgrad: .*taken: expected a folder for runs, found a/,
    );
  }
  expect(readFileSync(path, "utf8")).toBe("kept");
});

// A limit of file sizes stands for a full disk: the system refuses the write in the same place.
it.skipIf(process.platform === "win32")(
  "where the store has no room, training ends with one sentence, and the same command does the rest",
  async () => {
    const where = folder();
    const whole = join(where, "whole");
    const runs = join(where, "runs");
    const args = ["train", file(where), ...trained];
    const { run } = json(await stopgrad([...args, "--runs", whole, "--json"]));
    // In KiB: before the tables are there, in the middle of them, and while metrics are stored.
    for (const [at, limit] of [1, 12, 60].entries()) {
      const command = [process.execPath, program, ...args, "--runs", join(runs, String(at))];
      const ended = spawnSync("/bin/bash", ["-c", `ulimit -f ${limit}; exec "$0" "$@"`, ...command], {
        encoding: "utf8",
      });
      expectSentence(
        { code: ended.status, signal: ended.signal, stdout: ended.stdout, stderr: ended.stderr },
        /stopgrad\.db: the system would not read or write it .*quota or a limit of file sizes/,
      );
      execFileSync(process.execPath, [program, ...args, "--runs", join(runs, String(at))], { stdio: "ignore" });
      expect(results(join(runs, String(at)), run)).toEqual(results(whole, run));
    }
  },
);
