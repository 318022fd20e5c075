// Runs whose modules learn in worker processes: the same bits as in one process, stopped and killed at any place and gone
// on with either way; and nothing is left when one of the processes dies. Real processes.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Generator, keep, randint, scope, type Tensor, tensor } from "@stopgrad/torch";
import { afterAll, beforeAll, expect, it, onTestFinished, test } from "vitest";
// Built: it starts a worker beside itself.
import { createRule } from "../../dist/experiment/create-rule.js";
import { ModulePipeline } from "../../dist/experiment/parallel.js";
import { documentFromText } from "../../src/experiment/document.js";
import { settingsSchema } from "../../src/experiment/registries.js";
import {
  checkpoints,
  finalTensors,
  isAlive,
  json,
  results,
  start,
  stopgrad,
  stored,
  until,
  workersOf,
} from "../cli/command.js";

/** What travels between workers, all of it: contexts over a boundary, images for decoders, the last small batch. */
const text = `name: parallel
data: { name: glyphs, train: 122, test: 64, batch: 16, augment: { flip: true, crop: { padding: 2 } } }
model: { name: resnet20, width: 2 }
partition: 4
context: { fromInput: true, previousModules: 2 }
objective:
  reconstruction: { weights: { first: { reconstruction: 1, label: 0.5 }, last: { reconstruction: 0.2, label: 1 } } }
epochs: 3
threads: 1
optimizer: { name: sgd, momentum: 0.9, learningRate: 0.05, schedule: { milestones: [2], gamma: 0.1 } }
observe: { nhsic: { every: 1, batch: 16, batches: 1, firstEpoch: true } }
`;

/** What is measured of processes and the machine. */
const MACHINE = /^(worker|seconds|imagesPerSecond|peakBytes)/;

let home: string;
let file: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "stopgrad-parallel-"));
  file = join(home, "parallel.yaml");
  writeFileSync(file, text);
});

afterAll(() => rmSync(home, { recursive: true, force: true }));

let alone: Promise<{ id: string; runs: string; tensors: Record<string, string> }> | undefined;

/** The run without workers, which the first test that asks trains. */
function undisturbed() {
  alone ??= (async () => {
    const runs = join(home, "alone");
    const finished = await stopgrad(train(runs));
    expect(finished.code, finished.stderr).toBe(0);
    const id = json(finished).run as string;
    return { id, runs, tensors: finalTensors(runs, id) };
  })();
  return alone;
}

const train = (runs: string, ...more: string[]) => ["train", file, ...more, "--json", "--runs", runs];
const pointsOf = (runs: string, id: string) => results(runs, id).filter(({ key }) => !MACHINE.test(key));

/** Process numbers of the training process of a command, and of the workers that hold its modules (Linux). */
function processesOf(pid: number): { trainer: number; workers: number[] } {
  const [trainer = 0] = workersOf(pid);
  const isWorker = (child: number) => {
    try {
      return readFileSync(`/proc/${child}/cmdline`, "utf8").includes("parallel-worker.js");
    } catch {
      return false; // git, which looks at the repository for a moment
    }
  };
  return { trainer, workers: workersOf(trainer).filter(isWorker) };
}

/** Files of ours in shared memory. */
const leftOver = () =>
  ["/dev/shm", tmpdir()].flatMap((folder) =>
    existsSync(folder) ? readdirSync(folder).filter((name) => /^stopgrad-\d+-\d+$/.test(name)) : [],
  );

it("a run with workers is the run without them: weights, states, generators, metrics and cost", async () => {
  const alone = await undisturbed();
  const runs = join(home, "together");
  const finished = await stopgrad(train(runs, "parallel.workers=2"));
  expect(finished.code, finished.stderr).toBe(0);
  const document = json(finished);
  expect(document.run).toBe(alone.id);
  expect(finalTensors(runs, alone.id)).toEqual(alone.tensors);
  expect(pointsOf(runs, alone.id)).toEqual(pointsOf(alone.runs, alone.id));
  const { summary } = stored(runs, alone.id).record;
  const expected = stored(alone.runs, alone.id).record.summary;
  expect(summary!.cost).toEqual(expected!.cost);
  expect(summary!.memory).toEqual(expected!.memory);
  expect(summary!.stages).toEqual(expected!.stages);
  const peaks = stored(runs, alone.id).metrics.filter(({ key }) => key === "workerPeakBytes");
  expect(new Set(peaks.map(({ stage }) => stage))).toEqual(new Set(["worker 1", "worker 2"]));
  expect(summary!.peakBytes).toBeGreaterThanOrEqual(Math.max(...peaks.map(({ value }) => value)));
  expect(leftOver()).toEqual([]);
});

it("a worker that is killed ends the run with its name; without workers it goes on from the last checkpoint", async () => {
  const alone = await undisturbed();
  const runs = join(home, "killed-worker");
  const training = start(train(runs, "parallel.workers=2"));
  await until("the first checkpoint", () => checkpoints(runs, alone.id).length > 0);
  const { trainer, workers } = processesOf(training.pid);
  expect(workers).toHaveLength(2);
  process.kill(workers[1]!, "SIGKILL");
  const { code, stderr } = await training.finished;
  expect(code).not.toBe(0);
  expect(stderr).toMatch(
    /worker 2 of 2 \(modules? \S+.*\) was ended by SIGKILL \(the system does this when memory runs/,
  );
  expect(stored(runs, alone.id).record.status).toBe("failed");
  expect([trainer, ...workers].filter(isAlive)).toEqual([]);
  expect(leftOver()).toEqual([]);
  expect((await stopgrad(train(runs))).code).toBe(0);
  expect(finalTensors(runs, alone.id)).toEqual(alone.tensors);
  expect(pointsOf(runs, alone.id)).toEqual(pointsOf(alone.runs, alone.id));
});

it("a run begun without workers goes on with them, is stopped, killed with all it started, and ends the same", async () => {
  const alone = await undisturbed();
  const runs = join(home, "killed-trainer");
  const first = start(train(runs, "checkpoint.everySteps=1"), { detached: true });
  await until("a checkpoint", () => checkpoints(runs, alone.id).length > 0);
  process.kill(-first.pid, "SIGINT");
  await first.finished;

  const second = start(train(runs, "parallel.workers=4", "checkpoint.everySteps=3"));
  const latest = checkpoints(runs, alone.id).at(-1);
  await until("another checkpoint", () => checkpoints(runs, alone.id).at(-1) !== latest);
  const { trainer, workers } = processesOf(second.pid);
  expect(workers).toHaveLength(4);
  process.kill(trainer, "SIGKILL");
  await second.finished;
  await until("the end of its workers", () => !workers.some(isAlive));
  expect(leftOver()).toEqual([]);

  const third = start(train(runs, "parallel.workers=1"), { detached: true });
  await until("its worker", () => processesOf(third.pid).workers.length === 1);
  process.kill(-third.pid, "SIGINT");
  const { stderr } = await third.finished;
  expect(stderr).toMatch(/interrupted/);
  expect(stderr).not.toMatch(/worker 1/);

  expect((await stopgrad(train(runs, "parallel=modules"))).code).toBe(0);
  expect(finalTensors(runs, alone.id)).toEqual(alone.tensors);
});

test.each([
  ["one worker", 1, false],
  ["two workers, each batch waited for", 2, true],
  ["two workers, one behind the other", 2, false],
])("%s: the weights of the loop", async (_, workers, isSynchronous) => {
  const [settings] = settingsSchema.expand(documentFromText(`${text}parallel: { workers: ${workers} }\n`, "")).runs;
  const images = { shape: [1, 28, 28], classes: 10 };
  const normalisation = { scale: tensor([[[[1 / 128]]]]), shift: tensor([[[[-1]]]]) };
  const nothing = { images: tensor(new Uint8Array(0)), labels: tensor(new BigInt64Array(0)), count: 0 };
  const training = { set: nothing, normalisation, batch: 1, scratch: "" };
  const made = () => {
    const generators = { dropout: new Generator(1), rule: new Generator(1) };
    const rule = createRule(settings!, images, generators, training);
    onTestFinished(() => rule.dispose());
    return rule;
  };
  const [loop, shared] = [made(), made()];
  const generator = new Generator(1);
  const batches = [7, 7, 7, 7, 3].map((count) => ({
    images: keep(
      randint(0, 256, [count, ...images.shape], { generator })
        .div(128)
        .sub(1),
    ),
    labels: keep(randint(0, 10, [count], { generator }).to("int64")),
    indices: keep(randint(0, 50, [count], { generator }).to("int64")),
  }));
  const options = { settings: settings!, images, trainedShape: images.shape, normalisation, rule: shared, batch: 7 };
  const pipeline = await ModulePipeline.start(options);
  onTestFinished(() => pipeline.close());
  for (const batch of batches) {
    await pipeline.room();
    pipeline.feed(batch, { learningRate: 0.05 });
    if (isSynchronous) await pipeline.drain();
  }
  const expected = batches.map((batch) => scope(() => loop.step(batch)));
  const reports = await pipeline.gather();
  expect(reports.map(({ worker }) => worker)).toEqual(["worker 1", "worker 2"].slice(0, workers));
  const steps = pipeline.results();
  expect(steps.map(({ losses, loss, correct }) => ({ losses, loss, correct }))).toEqual(expected);
  const bits = (state: Map<string, Tensor>) => Array.from(state, ([name, one]) => [name, one.toTypedArray()]);
  expect(scope(() => bits(shared.stateDict()))).toEqual(scope(() => bits(loop.stateDict())));
});
