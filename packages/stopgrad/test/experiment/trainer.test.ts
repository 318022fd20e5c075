// What a run does when its numbers fail: it says which, where and when; what a measure that fails costs it: nothing; and
// what its summary says of memory and contexts.
import "../support/one-thread.js";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memory, type Tensor } from "@stopgrad/torch";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  checkpointSteps,
  restoreCheckpoint,
  saveCheckpoint,
  type TrainingState,
} from "../../src/experiment/checkpoint.js";
import { documentFromText } from "../../src/experiment/document.js";
import { settingsHash } from "../../src/experiment/identity.js";
import type { TrainingEvent } from "../../src/experiment/protocol.js";
import { settingsSchema } from "../../src/experiment/registries.js";
import { train } from "../../src/experiment/trainer.js";
import type { MetricPoint } from "../../src/store/index.js";

const small = `data: { name: glyphs, train: 96, test: 64, batch: 32 }
model: { name: mlp, width: 16 }
epochs: 2
`;

/** Trains the one run of an experiment file in this process. */
async function trained(text: string, options: { stopAfter?: number; directory?: string } = {}) {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), "stopgrad-trainer-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const [settings] = settingsSchema.expand(documentFromText(text, "file.yaml")).runs;
  const events: TrainingEvent[] = [];
  let asked = 0;
  await train(
    { settings: settings!, directory, dataDirs: [], resume: true, retrainFrom: null, startedAt: Date.now() },
    {
      emit: async (event) => {
        events.push(event);
      },
      shouldStop: () => ++asked > (options.stopAfter ?? Number.POSITIVE_INFINITY),
    },
  );
  const points = events.flatMap((event) => (event.type === "metrics" ? event.points : []));
  const warnings = events.flatMap((event) => (event.type === "warning" ? [event.message] : []));
  return { last: events.at(-1)!, events, points, warnings, directory, asked };
}

const failed = (message: RegExp) => ({ type: "failed", message: expect.stringMatching(message) });

it("a loss that is not a number ends the run with its module, epoch and step", async () => {
  const { last } = await trained(`${small}partition: stage\noptimizer: { name: sgd, learningRate: 1e18 }\n`);
  expect(last).toEqual(
    failed(/^the loss of fc1 became Infinity in epoch 1, step 2 \(learning rate 1000000000000000000\)/),
  );
});

it("weights that are not numbers after the last step of an epoch end the run", async () => {
  // The first loss is finite; the step after it takes 3e38 · 1e4 times every weight away from it.
  const overflowing = "optimizer: { name: sgd, learningRate: 3e38, weightDecay: 1e4 }\n";
  const { last, points } = await trained(small.replace("train: 96", "train: 32") + overflowing);
  expect(last).toEqual(
    failed(/^backbone\.fc1\.weight became NaN or infinite in epoch 1, step 1 \(learning rate 3e\+38\)/),
  );
  expect(new Set(points.map(({ step }) => step))).toEqual(new Set([0]));
});

it("weights that no accuracy shows are looked at too: those of heads", async () => {
  const text = `${small.replace("train: 96", "train: 32")}partition: { cuts: [1] }\n`;
  const stopped = await trained(text, { stopAfter: 3 }); // two batches before training, one step, then the test images
  expect(stopped.last).toMatchObject({ type: "interrupted", step: 1, epoch: 0 });
  const [settings] = settingsSchema.expand(documentFromText(text, "file.yaml")).runs;
  const identity = settingsHash(settings!);
  const spoil = (tensors: ReadonlyMap<string, Tensor>, state: TrainingState) => {
    const head = [...tensors.keys()].find((name) => name.startsWith("heads."))!;
    saveCheckpoint(
      stopped.directory,
      new Map([...tensors, [head, tensors.get(head)!.mul(Number.NaN)]]),
      state,
      identity,
    );
  };
  expect(restoreCheckpoint(stopped.directory, identity, spoil, expect.unreachable)).toBe(true);
  const { last } = await trained(text, { directory: stopped.directory });
  expect(last).toEqual(failed(/^heads\.fc1\.\S* became NaN or infinite in epoch 1, step 1 /));
});

it("a measure that cannot be computed is NaN, with a warning that names measure, stage and epoch; the run goes on", async () => {
  // A ridge far below the rounding of float64 leaves the centred Gram matrix singular.
  const observe = "observe: { nhsic: { every: 1, batch: 32, batches: 2, epsilon: 1e-300 } }\n";
  const { last, points, warnings } = await trained(small + observe);
  expect(last.type).toBe("completed");
  const nhsic = points.filter(({ key }) => key.startsWith("nhsic"));
  expect(nhsic).toHaveLength(3 * 2 * (last.type === "completed" ? last.summary.stages.length : 0));
  expect(nhsic.every(({ value, standardError }) => Number.isNaN(value) && standardError === null)).toBe(true);
  expect(warnings).toHaveLength(3);
  expect(warnings[0]).toMatch(
    /^nhsic of fc1, fc2.* cannot be computed before the first step: epsilon: expected at least .*, got 1e-300$/,
  );
  expect(warnings[2]).toMatch(/ cannot be computed in epoch 2, step 3: /);
  if (last.type === "completed") expect(last.summary.stages[0]).toMatchObject({ nhsicXZ: null, nhsicYZ: null });
});

it("says what is measured before each measure, in order, and what a warning of one is made of", async () => {
  const observe = `observe: { nhsic: { every: 2, batch: 32, batches: 2 }, ksg: { at: end, images: 32, largestDimension: 4 } }\n`;
  const { events } = await trained(small + observe);
  const told = events.flatMap((event) => {
    if (event.type === "measuring") return [`${event.measure} ${event.epoch} (${event.number} of ${event.of})`];
    return event.type === "metrics" ? [`metrics ${event.points[0]!.epoch}`] : [];
  });
  expect(told).toEqual([
    "test accuracy 0 (1 of 1)",
    "nhsic 0 (1 of 1)",
    "metrics 0",
    "test accuracy 1 (1 of 1)",
    "metrics 1",
    "test accuracy 2 (1 of 1)",
    "nhsic 2 (1 of 2)",
    "ksg 2 (2 of 2)",
    "metrics 2",
  ]);
  const warning = events.find((event) => event.type === "warning");
  expect(warning).toMatchObject({
    problem: { measure: "ksg", stages: expect.arrayContaining(["fc1"]), reason: expect.stringContaining("features") },
  });
  const { measure, stages, reason } = (warning as Extract<TrainingEvent, { type: "warning" }>).problem!;
  expect(warning!.message).toBe(`${measure} of ${stages.join(", ")} cannot be computed in epoch 2, step 3: ${reason}`);
});

it("leaves no tensor behind, whatever it observes and however it ends", async () => {
  const observe =
    "observe: { nhsic: { every: 1, batch: 32, batches: 2 }, geometry: { every: 1 }, probe: { at: end } }\n";
  const left = async (text: string, options: { stopAfter?: number } = {}) => {
    const before = memory().liveTensors;
    await trained(text, options);
    return memory().liveTensors - before;
  };
  expect(await left(small + observe)).toBe(0);
  expect(await left(small + observe, { stopAfter: 12 })).toBe(0);
  expect(await left(`${small + observe}optimizer: { name: sgd, learningRate: 1e18 }\n`)).toBe(0);
});

it("every place where it can be stopped is one it goes on from, to the same numbers", async () => {
  const text = `${small.replace("mlp, width: 16", "resnet18, width: 2, dropout: 0.2")}
observe: { nhsic: { every: 1, batch: 32, batches: 2, firstEpoch: true }, probe: { at: end } }
`.replace("batch: 32 }", "batch: 32, evaluationBatch: 32, augment: { crop: { padding: 2 } } }");
  const machine = ["seconds", "imagesPerSecond", "peakBytes"];
  /** The last value at every step, as the store keeps them. */
  const kept = (points: readonly MetricPoint[]) => {
    const sorted = points.filter(({ key }) => !machine.includes(key));
    return new Map(sorted.map((point) => [`${point.step} ${point.key} ${point.stage}`, point] as const));
  };
  const whole = await trained(text);
  expect(whole.last.type).toBe("completed");
  const steps = checkpointSteps(whole.directory);
  // The fits of the probe ask hundreds of times: every third place among the first, every fortieth after that.
  for (let at = 0; at < whole.asked; at += at < 40 ? 3 : 40) {
    const first = await trained(text, { stopAfter: at });
    expect(first.last.type, `stopped at ${at}`).toBe("interrupted");
    const second = await trained(text, { directory: first.directory });
    expect(second.last.type).toBe("completed");
    const after = second.points[0]!.step;
    const all = [...first.points.filter(({ step }) => step <= after), ...second.points];
    expect([...kept(all)].sort()).toEqual([...kept(whole.points)].sort());
    expect(checkpointSteps(first.directory)).toContain(steps[0]);
    for (const { value } of second.points) expect(Number.isFinite(value)).toBe(true);
  }
});

it("checkpoints come by epochs, steps or time, whichever is due", async () => {
  const steps = async (checkpoint: string) =>
    checkpointSteps((await trained(`${small}checkpoint: ${checkpoint}\n`)).directory);
  expect(await steps("{ every: 1 }")).toEqual([6, 3]);
  expect(await steps("{ every: 2 }")).toEqual([6]);
  expect(await steps("{ every: 2, everySteps: 5 }")).toEqual([6, 5]);
  expect(await steps("{ every: 2, everySeconds: 1e-6 }")).toEqual([6, 5]);
  expect(await steps("{ every: 2, everySeconds: null }")).toEqual([6]);
});

describe("memory by module", () => {
  const layered = `${small}partition: stage\nobjective: { head: linear }\n`;
  const memoryOf = ({ last }: Awaited<ReturnType<typeof trained>>) =>
    last.type === "completed" ? last.summary.memory! : expect.unreachable();
  const names = ["fc1", "fc2", "fc3", "fc4", "fc5"];
  /** Of its weights and biases, and of a head where it has one, in float32. */
  const gradients = [3072, 16, 16, 16].map((inputs) => 4 * (17 * 10 + (inputs + 1) * 16));

  it.each(["simultaneous", "sequential", "asynchronous"])("%s: of every module, in order", async (schedule) => {
    const memory = memoryOf(await trained(`${layered}schedule: ${schedule}\n`));
    expect(memory.modules.map(({ module }) => module)).toEqual(names);
    for (const { activations, peak } of memory.modules) {
      expect(activations).toBeGreaterThan(0);
      expect(peak).toBeGreaterThanOrEqual(activations);
    }
    const all = gradients.reduce((sum, bytes) => sum + bytes, 4 * 17 * 10);
    expect(memory.gradients).toBe(schedule === "simultaneous" ? all : Math.max(...gradients));
  });

  it("of a step of each phase, however often the run was stopped", async () => {
    const text = `${layered}schedule: sequential\n`;
    const whole = memoryOf(await trained(text));
    let run = await trained(text, { stopAfter: 4 });
    while (run.last.type === "interrupted") run = await trained(text, { directory: run.directory, stopAfter: 4 });
    expect(memoryOf(run)).toEqual(whole);
  });

  it("of one step an epoch, the first", async () => {
    const memory = memoryOf(await trained(`${layered.replace("batch: 32", "batch: 96")}schedule: sequential\n`));
    expect(memory.modules.map(({ module }) => module)).toEqual(names);
  });

  it("a classifier that learns after all else has no module, and does not hide the gradients before it", async () => {
    const after = `${small.replace("mlp, width: 16", "resnet20, width: 2")}partition: 2\nclassifier: after\n`;
    const memory = memoryOf(await trained(after.replace("epochs: 2", "epochs: 1")));
    expect(memory.modules).toHaveLength(2);
    // All but the classifier: the parameters without their running statistics, which have no gradient.
    expect(memory.gradients).toBeGreaterThan(0.8 * (memory.parameters + memory.heads));
  });
});

it("contexts that a selection takes out of use are no parameters of the network any more", async () => {
  const text = (selection: string) => `${small.replace("mlp, width: 16", "resnet20, width: 2")}partition: 3
context: { fromInput: true, previousModules: 1, selection: { after: 1, ${selection} } }\n`;
  const [kept, taken] = [await trained(text("tolerance: 0, images: 32")), await trained(text("tolerance: 1e9"))];
  const summaries = [kept, taken].map(({ last }) => (last.type === "completed" ? last.summary : null));
  expect(summaries[1]!.contexts!.every(({ used }) => used.length === 0)).toBe(true);
  expect(summaries[1]!.parameters.contexts).toBe(0);
  expect(summaries[1]!.memory!.contexts).toBe(summaries[0]!.memory!.contexts); // they still take their memory
  const used = summaries[0]!.contexts!.flatMap(({ used }) => used);
  expect(summaries[0]!.parameters.contexts! > 0).toBe(used.length > 0);
});
