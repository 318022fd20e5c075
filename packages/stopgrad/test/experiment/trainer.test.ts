// What a run does when its numbers fail: it says which, where and when; and what a measure that fails costs it: nothing.
import "../support/one-thread.js";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Tensor } from "@stopgrad/torch";
import { expect, it, onTestFinished } from "vitest";
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
  return { last: events.at(-1)!, points, warnings, directory, asked };
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
  expect(warnings[0]).toMatch(/^nhsic of fc1, fc2.* cannot be computed before the first step: .*use a larger epsilon$/);
  expect(warnings[2]).toMatch(/ cannot be computed in epoch 2, step 3: /);
  if (last.type === "completed") expect(last.summary.stages[0]).toMatchObject({ nhsicXZ: null, nhsicYZ: null });
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
