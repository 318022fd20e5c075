// What a command loads before it answers, counted rather than timed; and the worker that is started ahead of its job.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { folder, isAlive, json, put, smallest, stopgrad, until } from "./command.js";

/** Addresses of every script that a command line ran, as V8 reports them for coverage. */
async function loaded(args: readonly string[]): Promise<string[]> {
  const coverage = folder();
  await stopgrad(args, { env: { NODE_V8_COVERAGE: coverage } });
  const [report] = readdirSync(coverage);
  const { result } = JSON.parse(readFileSync(join(coverage, report!), "utf8")) as { result: { url: string }[] };
  return result.map(({ url }) => url).filter((url) => url.startsWith("file:"));
}

describe("a command loads what it needs", () => {
  it("--help and mistakes: the command line alone", async () => {
    for (const args of [["--help"], ["--version"], ["train", "--help"], ["trian"]]) {
      const files = await loaded(args);
      expect(files.some((url) => url.includes("/dist/cli/main.js"))).toBe(true);
      expect(files.filter((url) => /\/node_modules\/(?!commander\/)/.test(url))).toEqual([]);
      expect(
        files.filter((url) =>
          /\/dist\/(?!cli\/|version|system-error|data\/locate|measures\/mutual-information\/names)/.test(url),
        ),
      ).toEqual([expect.stringContaining("/experiment/worker-process.js")]);
      expect(files.length).toBeLessThan(20);
    }
  });

  it("runs: the store, but no schemas, no engine, no charts", async () => {
    const where = folder();
    const runs = join(where, "runs");
    expect((await stopgrad(["train", put(where, "file.yaml", smallest), "--runs", runs])).code).toBe(0);
    const files = await loaded(["runs", "--runs", runs]);
    expect(files.some((url) => url.includes("/store/sqlite.js"))).toBe(true);
    expect(files.filter((url) => /\/(zod|yaml|vega[\w-]*|cli-progress|torch)\//.test(url))).toEqual([]);
  });
});

describe("a worker started ahead", () => {
  const module = new URL("../../dist/experiment/worker-process.js", import.meta.url).href;
  /** Runs a few lines in a process of their own; what they print, as JSON. */
  const script = (lines: string) => {
    const text = `import { prepareWorker, startWorker } from ${JSON.stringify(module)};\n${lines}`;
    return JSON.parse(execFileSync(process.execPath, ["--input-type=module", "-e", text], { encoding: "utf8" }));
  };

  it("is the first that wants one thread; others are new, and so is one in place of a dead one", () => {
    const said = script(`
      prepareWorker(); prepareWorker();
      const two = startWorker(2), first = startWorker(1), second = startWorker(1);
      prepareWorker();
      const dead = startWorker(1);
      console.log(JSON.stringify([two, first, second, dead].map(({ pid, connected }) => [typeof pid, connected])));
      process.exit(0);`);
    expect(said).toEqual(Array(4).fill(["number", true]));
    const [ahead, taken, other] = script(`
      import { readFileSync } from "node:fs";
      prepareWorker();
      const ahead = Number(readFileSync("/proc/self/task/" + process.pid + "/children", "utf8").trim().split(" ")[0]);
      console.log(JSON.stringify([ahead, startWorker(1).pid, startWorker(1).pid]));
      process.exit(0);`) as number[];
    if (process.platform === "linux") expect(taken).toBe(ahead);
    expect(other).not.toBe(taken);
  });

  it("is not taken when it has ended meanwhile", () => {
    const [ahead, taken] = script(`
      import { once } from "node:events";
      import { readFileSync } from "node:fs";
      prepareWorker();
      const ahead = Number(readFileSync("/proc/self/task/" + process.pid + "/children", "utf8").trim().split(" ")[0]);
      process.kill(ahead, "SIGKILL");
      await new Promise((resolve) => setTimeout(resolve, 500));
      const taken = startWorker(1);
      console.log(JSON.stringify([ahead, taken.pid]));
      process.exit(0);`) as number[];
    expect(taken).not.toBe(ahead);
  });

  it("neither keeps a command alive that does not need it, nor outlives it", async () => {
    const pid = script(`
      import { readFileSync } from "node:fs";
      prepareWorker();
      console.log(readFileSync("/proc/self/task/" + process.pid + "/children", "utf8").trim().split(" ")[0]);`) as number;
    await until("the worker's end", () => !isAlive(pid));
    const runs = folder();
    const wrong = await stopgrad(["train", put(runs, "file.yaml", "epochs: none\n"), "--runs", runs, "--json"]);
    expect(wrong.code).toBe(2);
    expect(json(wrong).error).toContain("epochs");
    expect(readdirSync(runs)).toEqual(["file.yaml"]);
  });
});
