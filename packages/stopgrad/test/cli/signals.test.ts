// Ctrl-C and what a terminal shows.
import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import {
  checkpoints,
  folder,
  isAlive,
  json,
  program,
  put,
  runIds,
  smallest,
  start,
  stored,
  tiny,
  until,
  untilStep,
  workersOf,
} from "./command.js";

/** Enough epochs that no test sees the end. */
const long = tiny.replace("epochs: 2", "epochs: 2000");

/** A comparison with two runs under way. */
async function comparing() {
  const runs = folder();
  const command = start(["compare", put(runs, "long.yaml", long), "--jobs", "2", "--json", "--runs", runs]);
  await until("two runs", () => runIds(runs).length === 2);
  const ids = runIds(runs);
  for (const id of ids) await untilStep(runs, id, 8);
  return { runs, ids, command, workers: workersOf(command.pid) };
}

describe.skipIf(process.platform === "win32")("one signal", () => {
  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("%s ends every run with a checkpoint", async (signal) => {
    const { runs, ids, command, workers } = await comparing();
    process.kill(command.pid, signal);
    const finished = await command.finished;
    expect(finished.code).toBe(130);
    expect(finished.stderr).toContain("stopping: each run writes a checkpoint");
    expect(finished.stderr).toContain("interrupted: the same command goes on from the checkpoints");
    expect(json(finished)).toMatchObject({
      variants: [
        { name: "e2e", runs: [{ status: "interrupted" }], testAccuracy: { n: 0 } },
        { name: "layer-wise", runs: [{ status: "interrupted" }], testAccuracy: { n: 0 } },
      ],
      report: null,
    });
    for (const id of ids) {
      expect(stored(runs, id).record.status).toBe("interrupted");
      expect(checkpoints(runs, id).length).toBeGreaterThan(0);
    }
    for (const worker of workers) expect(isAlive(worker)).toBe(false);
  });
});

describe.skipIf(process.platform !== "linux")("a second Ctrl-C", () => {
  it("ends everything at once", async () => {
    const { runs, ids, command, workers } = await comparing();
    for (const worker of workers) process.kill(worker, "SIGSTOP"); // they cannot answer the first one
    command.child.kill("SIGINT");
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(isAlive(command.pid)).toBe(true);
    command.child.kill("SIGINT");
    const finished = await command.finished;
    expect(finished.code).toBe(130);
    await until("the workers' end", () => !workers.some(isAlive), 2);
    for (const id of ids) expect(stored(runs, id).record.status).toBe("interrupted");
  });
});

const hasScript = spawnSync("script", ["--version"]).status === 0;

describe.skipIf(!hasScript)("on a terminal", () => {
  it("shows a bar a run and leaves the cursor as it was", () => {
    const runs = folder();
    const file = put(runs, "file.yaml", smallest);
    const quote = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;
    const command = [process.execPath, program, "train", file, "seeds=[1,2]", "--runs", runs].map(quote).join(" ");
    const { stdout, status } = spawnSync("script", ["-qec", command, "/dev/null"], { encoding: "utf8" });
    expect(status).toBe(0);
    expect(stdout).toMatch(/default, seed 1 █+ epoch 1\/1 {2}loss \d\.\d+ {2}\d+ images\/s {2}test accuracy [\d.]+ %/);
    expect(stdout).toMatch(/default, seed 2 █+ epoch 1\/1/);
    const [hidden, shown] = ["\u001b[?25l", "\u001b[?25h"].map((code) => stdout.lastIndexOf(code));
    expect(hidden).toBeGreaterThanOrEqual(0);
    expect(shown).toBeGreaterThan(hidden!);
  });
});
