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
import { openStore } from "../../src/store/index.js";
import {
  checkpoints,
  dyingAt,
  everyGenerator,
  finalTensors,
  folder,
  isAlive,
  json,
  readTensors,
  results,
  runIds,
  start,
  stopgrad,
  stored,
  until,
  untilStep,
  workersOf,
} from "../cli/command.js";

const STEPS_PER_EPOCH = 32;

/** How often the run of the last test of SIGKILL is killed: `STOPGRAD_KILLS=300 npx vitest run -t "random moments"`. */
const KILLS = Number(process.env.STOPGRAD_KILLS ?? 20);
/** Where its random moments begin. */
const KILLS_SEED = Number(process.env.STOPGRAD_KILLS_SEED ?? 1);

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
  const machine = { seconds: 0, imagesPerSecond: 0, peakBytes: 0, secondsToFirstStep: 0 };
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
    expect(Object.keys(tensors).filter((name) => name.startsWith("generator."))).toHaveLength(4);
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
    expect(finished.stderr).toContain(`interrupted; to go on from the checkpoint: stopgrad train ${file} --json`);
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
  it("of the parent: the worker ends and writes nothing more, and the run reads as interrupted", async () => {
    const { id } = await undisturbed();
    const runs = folder();
    const training = start(["train", file, "--runs", runs]);
    await untilStep(runs, id, 4);
    const [worker] = workersOf(training.pid);
    expect(worker).toBeDefined();
    process.kill(training.pid, "SIGKILL");
    await until("the worker's end", () => !isAlive(worker!), 5);
    expect(checkpoints(runs, id)).toHaveLength(0); // the first epoch was not over
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

  it("of a worker that computes on because it was suspended: it ends where its parent is gone", async () => {
    const { id } = await undisturbed();
    const runs = folder();
    const training = start(["train", file, "--runs", runs]);
    await untilStep(runs, id, 4);
    const [worker] = workersOf(training.pid);
    process.kill(worker!, "SIGSTOP");
    process.kill(training.pid, "SIGKILL");
    await training.finished;
    const taken = start(["train", file, "--runs", runs]); // another process takes the run over
    await untilStep(runs, id, 32);
    process.kill(worker!, "SIGCONT");
    await until("the suspended worker's end", () => !isAlive(worker!), 5);
    expect((await taken.finished).code).toBe(0);
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
      /^the training process was ended by SIGKILL \(the system does this when memory runs out\)$/,
    );

    const again = await stopgrad(["train", file, "--runs", runs]);
    expect(again.code).toBe(0);
    expect(again.stderr).toContain("goes on from step 32");
    await expectSameResult(runs);
  });

  it(
    `at ${KILLS} random moments, of the worker, the parent or both, and in the middle of writing checkpoints`,
    async () => {
      const { id } = await undisturbed();
      const random = drawn(KILLS_SEED);
      const between = (low: number, high: number) => Math.floor(low + (high - low) * random());
      let runs = folder();
      const moments: string[] = [];
      while (moments.length < KILLS) {
        // Every other one dies at an operation on a checkpoint file, the others by the clock: a worker takes its first
        // step after about half a second.
        const kind = ["open", "write", "write", "fsync", "rename", "renamed", "remove"][between(0, 7)]!;
        const operation =
          moments.length % 2 === 0 ? `${kind}:${kind === "write" ? between(1, 500) : between(1, 3)}` : "";
        const args = ["train", file, "checkpoint.everySteps=3", "--runs", runs];
        const training = start(args, { detached: true, ...(operation ? { env: dyingAt(operation) } : {}) });
        await until("the worker", () => workersOf(training.pid).length === 1 || training.child.exitCode !== null);
        const [worker] = workersOf(training.pid);
        const victim = ["parent", "worker", "both"][between(0, 3)]!;
        const delay = operation ? 0 : between(200, 1500);
        if (!operation) await new Promise((resolve) => setTimeout(resolve, delay));
        if (!operation && training.child.exitCode === null && worker !== undefined && isAlive(worker)) {
          if (victim === "worker") process.kill(worker, "SIGKILL");
          else process.kill(victim === "both" ? -training.pid : training.pid, "SIGKILL");
        }
        const { code, stderr } = await training.finished;
        if (worker !== undefined) await until("the worker's end", () => !isAlive(worker), 5);
        const moment = operation || `${victim} after ${delay} ms`;
        if (code !== 0) {
          moments.push(moment);
          continue;
        }
        expect(stderr).not.toContain("passed over");
        await expectSameResult(runs); // it was done before the moment came
        runs = folder();
      }
      const last = await stopgrad(["train", file, "--runs", runs]);
      expect(last.code, `${last.stderr} (killed: ${moments.join(", ")})`).toBe(0);
      expect(last.stderr).not.toContain("passed over");
      await expectSameResult(runs);
      expect(existsSync(join(runs, id, "settings.yaml"))).toBe(true);
      const left = readdirSync(join(runs, id, "checkpoints"));
      expect(left.filter((name) => !name.endsWith(".safetensors"))).toEqual([]);
    },
    60_000 + 6_000 * KILLS,
  );

  it.each([
    ["before anything of it is written", "open:2", [4]],
    ["with half of it written", "write:400", [4]],
    ["before it has its name", "rename:2", [4]],
    ["when it has its name", "renamed:2", [4, 8]],
    ["before the oldest is removed", "remove:1", [4, 8, 12]],
  ])("of the worker while it writes a checkpoint, %s", async (_, operation, left) => {
    const { id } = await undisturbed();
    const runs = folder();
    const args = ["train", file, "checkpoint.everySteps=4", "--runs", runs];
    const dead = await stopgrad(args, { env: dyingAt(operation) });
    expect(dead.stderr).toContain("was ended by SIGKILL");
    expect(checkpoints(runs, id).map((name) => Number(/\d+/.exec(name)![0]))).toEqual(left);
    const again = await stopgrad(["resume", id, "--runs", runs]);
    expect(again.stderr).toContain(`goes on from step ${left.at(-1)}`);
    expect(again.stderr).not.toContain("passed over");
    await expectSameResult(runs);
    expect(readdirSync(join(runs, id, "checkpoints")).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });
});

/** Numbers in [0, 1), the same for the same seed (the multiplier is Knuth's). */
function drawn(seed: number): () => number {
  let state = BigInt(seed);
  return () => {
    state = (state * 6364136223846793005n + 1442695040888963407n) % 2n ** 64n;
    return Number(state >> 11n) / 2 ** 53;
  };
}

describe("a run that was begun and not claimed", () => {
  it.each(["train", "resume"])("is taken by %s", async (verb) => {
    const runs = folder();
    const done = folder();
    await stopgrad(["train", file, "--runs", done, "epochs=1"]);
    const [id] = runIds(done);
    const { record } = stored(done, id!);
    const store = openStore(runs);
    store.createRun(record); // the process was killed here
    store.close();
    const args = verb === "train" ? ["train", file, "epochs=1"] : ["resume", id!];
    expect((await stopgrad([...args, "--runs", runs])).code).toBe(0);
    expect(finalTensors(runs, id!)).toEqual(finalTensors(done, id!));
    expect(results(runs, id!)).toEqual(results(done, id!));
  });
});

describe("the same seed", () => {
  it("gives the same bits beside another run, and with checkpoints at other times", async () => {
    const { id } = await undisturbed();
    const runs = folder();
    const args = ["seeds=[1,2]", "checkpoint.everySteps=7", "checkpoint.everySeconds=0.2", "--jobs", "2"];
    expect((await stopgrad(["train", file, ...args, "--runs", runs])).code).toBe(0);
    expect(runIds(runs)).toHaveLength(2);
    expect(runIds(runs)).toContain(id);
    await expectSameResult(runs);
  });
});
