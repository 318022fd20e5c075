// A run that is stopped, killed, or finds its newest checkpoint damaged ends with the same bits as one that was not.
// Real processes, and a network, data and rule in which every random generator matters.
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  checkpoints,
  everyGenerator,
  finalTensors,
  folder,
  isAlive,
  json,
  readTensors,
  results,
  start,
  stopgrad,
  stored,
  until,
  untilStep,
  workersOf,
} from "../cli/command.js";

const STEPS_PER_EPOCH = 32;

/** What the tests share: the experiment file, a run that nothing disturbed, and one that was interrupted. */
let home: string;
let file: string;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "stopgrad-resume-"));
  file = join(home, "generators.yaml");
  writeFileSync(file, everyGenerator);
});

afterAll(() => rmSync(home, { recursive: true, force: true }));

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** A run that nothing disturbed. */
const undisturbed = once(async () => {
  const runs = join(home, "undisturbed");
  const finished = await stopgrad(["train", file, "--json", "--runs", runs]);
  expect(finished.code).toBe(0);
  const document = json(finished);
  return { id: document.run as string, document, tensors: finalTensors(runs, document.run), runs };
});

/** A run stopped in the middle of its second epoch: a checkpoint of the first epoch's end, and one after it. */
const interrupted = once(async () => {
  const { id } = await undisturbed();
  const runs = join(home, "interrupted");
  // The whole process group hears Ctrl-C, as on a terminal.
  const training = start(["train", file, "--json", "--runs", runs], { detached: true });
  await until("the first checkpoint", () => checkpoints(runs, id).length === 1);
  process.kill(-training.pid, "SIGINT");
  return { runs, finished: await training.finished };
});

/** The interrupted run in a folder of this test's own. */
async function interruptedCopy(): Promise<string> {
  const runs = folder();
  cpSync((await interrupted()).runs, runs, { recursive: true });
  return runs;
}

/** The run in `runs` is complete, and the same as the undisturbed one. */
async function expectSameResult(runs: string): Promise<void> {
  const { id, tensors, document, runs: reference } = await undisturbed();
  expect(stored(runs, id).record).toMatchObject({ status: "completed", error: null });
  const machine = { seconds: 0, imagesPerSecond: 0, peakBytes: 0 };
  expect({ ...stored(runs, id).record.summary, ...machine }).toEqual({
    ...stored(reference, id).record.summary,
    ...machine,
  });
  expect(results(runs, id)).toEqual(results(reference, id));
  const mine = finalTensors(runs, id);
  expect(Object.keys(mine).filter((name) => mine[name] !== tensors[name])).toEqual([]);
  expect(Object.keys(mine)).toEqual(Object.keys(tensors));
  expect(document.epochs).toBe(3);
}

describe("an undisturbed run", () => {
  it("uses every generator, and keeps the newest two checkpoints", async () => {
    const { runs, id, tensors } = await undisturbed();
    expect(checkpoints(runs, id)).toEqual(["step-000000064.safetensors", "step-000000096.safetensors"]);
    expect(Object.keys(tensors).filter((name) => name.startsWith("generator."))).toHaveLength(3);
    const before = readTensors(join(runs, id, "checkpoints", checkpoints(runs, id)[0]!)).tensors;
    for (const name of ["generator.augmentation", "generator.dropout", "generator.order"]) {
      expect(tensors[name]).not.toBe(before[name]);
    }
  });
});

describe("Ctrl-C", () => {
  it("writes a checkpoint in the middle of the epoch and ends with 130", async () => {
    const { id } = await undisturbed();
    const { runs, finished } = await interrupted();
    expect(finished).toMatchObject({ code: 130, signal: null });
    expect(finished.stderr).toContain("interrupted: the same command goes on from the checkpoint");
    expect(json(finished)).toMatchObject({ run: id, status: "interrupted", testAccuracy: null });
    expect(stored(runs, id).record.status).toBe("interrupted");
    const newest = checkpoints(runs, id).at(-1)!;
    const state = JSON.parse(readTensors(join(runs, id, "checkpoints", newest)).metadata["stopgrad.state"]!);
    expect(state.stepInEpoch).toBeGreaterThan(0);
    expect(state.step).toBe(state.epoch * STEPS_PER_EPOCH + state.stepInEpoch);
  });

  it("changes nothing in the result of the run that goes on with resume", async () => {
    const { id } = await undisturbed();
    const runs = await interruptedCopy();
    const resumed = await stopgrad(["resume", id.slice(0, -3), "--json", "--runs", runs]);
    expect(resumed.code).toBe(0);
    expect(resumed.stderr).toMatch(/goes on from step \d+/);
    expect(json(resumed)).toMatchObject({ run: id, status: "completed", epochs: 3 });
    await expectSameResult(runs);
  });
});

describe("a damaged checkpoint", () => {
  const damages: Record<string, (path: string) => void> = {
    "is cut short": (path) => truncateSync(path, 100_000),
    "has one bit changed in its numbers": (path) => {
      const bytes = readFileSync(path);
      bytes[bytes.length - 1000]! ^= 1;
      writeFileSync(path, bytes);
    },
    "says it is of another run": (path) => {
      const bytes = readFileSync(path).toString("latin1");
      const other = bytes.replace(/("stopgrad\.run":")(.)/, (_, key, digit) => key + (digit === "0" ? "1" : "0"));
      writeFileSync(path, Buffer.from(other, "latin1"));
    },
  };

  it.each(Object.keys(damages))("that %s is passed over for the one before, with a warning", async (name) => {
    const { id } = await undisturbed();
    const runs = await interruptedCopy();
    const [older, newest] = checkpoints(runs, id);
    damages[name]!(join(runs, id, "checkpoints", newest!));
    writeFileSync(join(runs, id, "checkpoints", `.${newest}.99-abc.tmp`), "half written");

    const resumed = await stopgrad(["train", file, "--runs", runs]);
    expect(resumed.code).toBe(0);
    expect(resumed.stderr).toContain(`warning: passed over a checkpoint: ${join(runs, id, "checkpoints", newest!)}`);
    expect(resumed.stderr).toContain(`goes on from step ${Number(/\d+/.exec(older!)![0])}`);
    await expectSameResult(runs);
    expect(readdirSync(join(runs, id, "checkpoints")).filter((entry) => entry.endsWith(".tmp"))).toEqual([]);
  });

  it("without another one starts the run again", async () => {
    const { id } = await undisturbed();
    const runs = await interruptedCopy();
    for (const name of checkpoints(runs, id)) truncateSync(join(runs, id, "checkpoints", name), 50);
    const resumed = await stopgrad(["train", file, "--runs", runs]);
    expect(resumed.stderr.match(/passed over a checkpoint/g)).toHaveLength(2);
    expect(resumed.stderr).not.toContain("goes on from");
    await expectSameResult(runs);
  });
});

describe.skipIf(process.platform !== "linux")("SIGKILL", () => {
  it("of the parent: the worker checkpoints and ends, and the run reads as interrupted", async () => {
    const { id } = await undisturbed();
    const runs = folder();
    const training = start(["train", file, "--runs", runs]);
    await untilStep(runs, id, 4);
    const [worker] = workersOf(training.pid);
    expect(worker).toBeDefined();
    process.kill(training.pid, "SIGKILL");
    await until("the worker's end", () => !isAlive(worker!), 5);
    expect(checkpoints(runs, id)).toHaveLength(1);
    expect(stored(runs, id).record.status).toBe("interrupted");
    const listed = await stopgrad(["runs", "--status", "interrupted", "--json", "--runs", runs]);
    expect(json(listed).runs).toMatchObject([{ id, status: "interrupted" }]);

    expect((await stopgrad(["resume", id, "--runs", runs])).code).toBe(0);
    await expectSameResult(runs);
  });

  // Step 8 is measured in the middle of an epoch, step 32 at its end.
  it.each([
    ["step 8", 4],
    ["step 32", 16],
  ])("of a parent that has not stored the measures at %s: no checkpoint gets ahead of them", async (_, seen) => {
    const { id } = await undisturbed();
    const runs = folder();
    const training = start(["train", file, "--runs", runs]);
    await untilStep(runs, id, seen);
    const [worker] = workersOf(training.pid);
    process.kill(training.pid, "SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, 1000)); // the worker comes to the measures, and waits
    process.kill(training.pid, "SIGKILL");
    await until("the worker's end", () => !isAlive(worker!), 5);
    expect((await stopgrad(["resume", id, "--runs", runs])).code).toBe(0);
    await expectSameResult(runs);
  });

  it("of the worker: the run fails with one sentence, and goes on with the same command", async () => {
    const { id } = await undisturbed();
    const runs = folder();
    const training = start(["train", file, "--json", "--runs", runs]);
    await until("the first checkpoint", () => checkpoints(runs, id).length === 1);
    process.kill(workersOf(training.pid)[0]!, "SIGKILL");
    const finished = await training.finished;
    expect(finished.code).toBe(1);
    expect(json(finished)).toMatchObject({ run: id, status: "failed" });
    expect(json(finished).error).toMatch(
      /^the training process was ended by SIGKILL .*goes on from its last checkpoint$/,
    );

    const again = await stopgrad(["train", file, "--runs", runs]);
    expect(again.code).toBe(0);
    expect(again.stderr).toContain("goes on from step 32");
    await expectSameResult(runs);
  });

  it("at several random moments, of the worker, the parent or both", async () => {
    const { id } = await undisturbed();
    const runs = folder();
    const moments: string[] = [];
    for (const victim of ["parent", "worker", "both", "parent"]) {
      const training = start(["train", file, "--runs", runs], { detached: true });
      await until("the worker", () => workersOf(training.pid).length === 1 || training.child.exitCode !== null);
      const [worker] = workersOf(training.pid);
      const delay = 500 + 900 * Math.random(); // a worker takes its first step after about half a second
      await new Promise((resolve) => setTimeout(resolve, delay));
      moments.push(`${victim} after ${delay.toFixed(0)} ms`);
      if (training.child.exitCode === null) {
        if (victim === "worker") process.kill(worker!, "SIGKILL");
        else process.kill(victim === "both" ? -training.pid : training.pid, "SIGKILL");
      }
      await training.finished;
      if (worker !== undefined) await until("the worker's end", () => !isAlive(worker), 5);
    }
    const last = await stopgrad(["train", file, "--runs", runs]);
    expect(last.code, `${last.stderr} (killed: ${moments.join(", ")})`).toBe(0);
    await expectSameResult(runs);
    expect(existsSync(join(runs, id, "settings.yaml"))).toBe(true);
  });
});
