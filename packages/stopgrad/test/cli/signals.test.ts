// Ctrl-C and what a terminal shows.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  checkpoints,
  folder,
  isAlive,
  json,
  longMeasure,
  program,
  put,
  readTensors,
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
    expect(finished.stderr).toMatch(
      /^interrupted; to go on from the checkpoints: stopgrad compare \S+.*long\.yaml' --jobs 2 --json --runs /m,
    );
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
    await until("checkpoints", () => ids.every((id) => checkpoints(runs, id).length > 0));
    for (const worker of workers) process.kill(worker, "SIGSTOP"); // they cannot answer the first one
    command.child.kill("SIGINT");
    command.child.kill("SIGINT"); // npm passes on what the terminal has sent to all: one signal, heard twice
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(isAlive(command.pid)).toBe(true);
    const before = ids.map((id) => checkpoints(runs, id));
    command.child.kill("SIGINT");
    const finished = await command.finished;
    expect(finished.code).toBe(130);
    await until("the workers' end", () => !workers.some(isAlive), 2);
    expect(finished.stderr).toMatch(/^stopped at once: the last checkpoints stay; to go on: stopgrad compare /m);
    for (const id of ids) expect(stored(runs, id).record.status).toBe("interrupted");
    expect(ids.map((id) => checkpoints(runs, id))).toEqual(before);
    expect(before.every((names) => names.length > 0)).toBe(true);
  });
});

describe.skipIf(process.platform !== "linux")("while a run measures", () => {
  /** A run whose one epoch is over, and whose worker computes without a turn for messages. */
  async function measuring() {
    const runs = folder();
    const file = put(runs, "file.yaml", longMeasure);
    const command = start(["train", file, "checkpoint.everySteps=5", "--fresh", "--json", "--runs", runs]);
    await until("a run", () => runIds(runs).length === 1);
    const id = runIds(runs)[0]!;
    await until("the last step's checkpoint", () => checkpoints(runs, id).length === 2, 60);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const [worker] = workersOf(command.pid);
    return { runs, id, command, worker: worker!, file };
  }

  it("Ctrl-C is heard: the epoch is kept, and measured when the run goes on", async () => {
    const { runs, id, command, file } = await measuring();
    command.child.kill("SIGINT");
    const finished = await command.finished;
    expect(finished.code).toBe(130);
    const goOn = `stopgrad train '${file.replaceAll("'", "'\\''")}' checkpoint.everySteps=5 --json --runs`;
    expect(finished.stderr).toContain(`interrupted; to go on from the checkpoint: ${goOn}`); // without --fresh
    const { record, metrics } = stored(runs, id);
    expect(record.status).toBe("interrupted");
    expect(new Set(metrics.map(({ step }) => step))).toEqual(new Set([0]));
    const newest = readTensors(join(runs, id, "checkpoints", checkpoints(runs, id).at(-1)!));
    expect(JSON.parse(newest.metadata["stopgrad.state"]!)).toMatchObject({ epoch: 0, step: 10, stepInEpoch: 10 });
  });

  it("and its parent is killed, it ends, and writes nothing more", async () => {
    const { runs, id, command, worker } = await measuring();
    const before = checkpoints(runs, id);
    process.kill(command.pid, "SIGKILL");
    await command.finished; // its worker may hear of the end first
    await until("the worker's end", () => !isAlive(worker));
    expect(checkpoints(runs, id)).toEqual(before);
    expect(stored(runs, id)).toMatchObject({ record: { status: "interrupted" }, metrics: expect.any(Array) });
    expect(stored(runs, id).metrics.some(({ step }) => step > 0)).toBe(false);
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
