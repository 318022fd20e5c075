// Training on a GPU: the CPU's results within tolerance, the same batches, runs that go on bit for bit, checkpoints that
// cross. What needs no GPU (refusals, what is asked of the device) runs everywhere.
import "../support/one-thread.js";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cuda, Generator, memory, scope, type Tensor } from "@stopgrad/torch";
import { describe, expect, it, onTestFinished } from "vitest";
import { glyphs } from "../../src/data/glyphs.js";
import { EpochOrder, normalisationOf, slice, tensorSet } from "../../src/data/loader.js";
import { pinnedTransfer, placeOn, resident, streamed } from "../../src/data/transfer.js";
import { createRule } from "../../src/experiment/create-rule.js";
import { refusedDevice } from "../../src/experiment/device.js";
import { documentFromText } from "../../src/experiment/document.js";
import { runId, settingsHash } from "../../src/experiment/identity.js";
import type { TrainingEvent } from "../../src/experiment/protocol.js";
import { settingsSchema } from "../../src/experiment/registries.js";
import type { RunSettings } from "../../src/experiment/run-settings.js";
import { sideBySide } from "../../src/experiment/runner.js";
import { train } from "../../src/experiment/trainer.js";
import type { Batch, LearningRule } from "../../src/rules/index.js";
import { openStore } from "../../src/store/index.js";
import { folder, json, stopgrad } from "../cli/command.js";
import { makeBatch, trainingData } from "../support/networks.js";

const here = cuda.isAvailable();
const onGpu = describe.skipIf(!here);

const text = `data: { name: glyphs, train: 160, test: 64, batch: 32, augment: { flip: true, crop: { padding: 2 } } }
model: { name: resnet18, width: 8 }
partition: stage
epochs: 2
observe:
  nhsic: { every: 1, batch: 32, batches: 2 }
  probe: { at: end }
`;

/** Settings of the one run of an experiment file. A device that is not there is put in past validation. */
function settingsOf(device: string, more = ""): RunSettings {
  const [settings] = settingsSchema.expand(documentFromText(text + more, "file.yaml")).runs;
  return { ...settings!, device };
}

/** Trains in this process, until it is asked to stop for the `stopAfter`-th time. */
async function trained(settings: RunSettings, options: { directory?: string; stopAfter?: number } = {}) {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), "stopgrad-cuda-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const events: TrainingEvent[] = [];
  let asked = 0;
  await train(
    { settings, directory, dataDirs: [], resume: true, retrainFrom: null, startedAt: Date.now() },
    {
      emit: async (event) => void events.push(event),
      shouldStop: () => ++asked > (options.stopAfter ?? Number.POSITIVE_INFINITY),
    },
  );
  const values: Record<string, number> = {};
  for (const event of events) {
    for (const { key, stage, step, value } of event.type === "metrics" ? event.points : []) {
      if (!/seconds|imagesPerSecond|peakBytes/.test(key)) values[`${key} ${stage} ${step}`] = value;
    }
  }
  return { last: events.at(-1)!, values, directory, asked };
}

describe("a device", () => {
  it("that is the CPU, or no place to train, is judged without libtorch", () => {
    expect(refusedDevice("cpu")).toBeNull();
    expect(() => settingsSchema.expand(documentFromText(`${text}device: meta\n`, "file.yaml"))).toThrow(
      /device: expected cpu, cuda or cuda:1, got "meta"/,
    );
  });

  it("that is not there is refused with what was found", () => {
    const refusal = refusedDevice("cuda:99")!;
    if (here) expect(refusal).toMatch(/^cuda:99 cannot be used, because there (is one device|are \d+ devices)/);
    else expect(refusal).toMatch(/^cuda:99 cannot be used, because libtorch [\d.]+ (is|has) .*; use cpu$/);
  });

  it("that is not there ends a run with one sentence, and its place in the store is kept", async () => {
    const settings = settingsOf("cuda:99");
    expect((await trained(settings)).last).toEqual({
      type: "failed",
      message: refusedDevice("cuda:99"),
    });
    const runs = folder();
    const store = openStore(runs);
    const id = runId(settings);
    const record = { id, name: settings.name, variant: settings.variant, seed: settings.seed };
    store.createRun({ ...record, settings: { ...settings }, settingsHash: settingsHash(settings), command: "made" });
    store.setStatus(id, "interrupted");
    store.close();
    const resumed = await stopgrad(["resume", id, "--runs", runs, "--json"]);
    expect(resumed.code).toBe(1);
    expect(json(resumed).error).toBe(`run ${id} trains on a GPU: ${refusedDevice("cuda:99")}`);
    const after = openStore(runs, { readonly: true });
    expect(after.getRun(id).status).toBe("interrupted");
    after.close();
  });

  it("that is a GPU trains one run at a time, unless it is said otherwise", () => {
    const runs = Array.from({ length: 4 }, () => settingsOf("cuda"));
    expect([sideBySide(runs, undefined), sideBySide(runs, 3)]).toEqual([1, 3]);
    expect(sideBySide([settingsOf("cpu"), settingsOf("cuda:1")], undefined)).toBe(1);
  });
});

/** A rule of the settings and the bytes of a state, name by name. */
function ruleOf(settings: RunSettings): LearningRule {
  const generator = settings.device === "cpu" ? new Generator(1) : cuda.defaultGenerator().manualSeed(1);
  const generators = { dropout: generator, rule: new Generator(2) };
  return createRule(settings, { shape: [3, 16, 16], classes: 10 }, generators, trainingData({ model: "resnet18" }));
}

function largestDifference(a: ReadonlyMap<string, Tensor>, b: ReadonlyMap<string, Tensor>): number {
  let largest = 0;
  for (const [name, value] of a) {
    if (!/^(backbone|heads)/.test(name)) continue;
    const [mine, other] = [value.toNumbers(), b.get(name)!.toNumbers()];
    for (const [at, number] of mine.entries()) {
      largest = Math.max(largest, Math.abs(number - other[at]!) / (1 + Math.abs(number)));
    }
  }
  return largest;
}

const onDevice = (batch: Batch, device: string): Batch => ({
  images: batch.images.toDevice(device),
  labels: batch.labels.toDevice(device),
  indices: batch.indices.toDevice(device),
});

onGpu("on a GPU", () => {
  it.each(["1", "3", "stage"])("steps of partition %s are the CPU's within tolerance", (partition) => {
    scope(() => {
      const settings = (device: string) => ({
        ...settingsOf(device),
        ...(partition === "stage" ? {} : { partition: Number(partition), classifier: "attached" as const }),
      });
      const [cpu, gpu] = [ruleOf(settings("cpu")), ruleOf(settings("cuda"))];
      expect(largestDifference(cpu.stateDict(), gpu.stateDict())).toBe(0); // initial values are the same draws
      for (let step = 0; step < 3; step++) {
        const batch = makeBatch(step, 16);
        const [expected, got] = [cpu.step(batch), gpu.step(onDevice(batch, "cuda"))];
        expect(got.losses.map(({ module }) => module)).toEqual(expected.losses.map(({ module }) => module));
        for (const [at, { loss }] of expected.losses.entries()) expect(got.losses[at]!.loss).toBeCloseTo(loss, 1);
        expect(Number.isInteger(got.correct)).toBe(true);
      }
      expect(largestDifference(cpu.stateDict(), gpu.stateDict())).toBeLessThan(0.05);
    });
  });

  it("a state saved there goes on here, and the other way round", () => {
    scope(() => {
      const [cpu, gpu] = [ruleOf(settingsOf("cpu")), ruleOf(settingsOf("cuda"))];
      gpu.step(onDevice(makeBatch(0, 16), "cuda"));
      cpu.loadStateDict(new Map(Array.from(gpu.stateDict(), ([name, value]) => [name, value.toDevice("cpu")])));
      expect(largestDifference(cpu.stateDict(), gpu.stateDict())).toBe(0);
      cpu.step(makeBatch(1, 16));
      gpu.loadStateDict(cpu.stateDict());
      expect(largestDifference(cpu.stateDict(), gpu.stateDict())).toBe(0);
      expect([...gpu.backbone.parameters()].every(({ device }) => device === "cuda:0")).toBe(true);
      gpu.step(onDevice(makeBatch(2, 16), "cuda"));
    });
  });

  it.each(["float32", "bfloat16"] as const)("replayed steps are the computed ones, %s", (precision) => {
    scope(() => {
      const rules = [{}, { graph: true }].map((options) =>
        ruleOf({ ...settingsOf("cuda"), precision, rule: { name: "partitioned", ...options } }),
      );
      for (let step = 0; step < 8; step++) {
        const batch = onDevice(makeBatch(step, step === 5 ? 7 : 16), "cuda");
        const [computed, replayed] = rules.map((rule) => rule.step(batch));
        for (const [at, { loss }] of computed!.losses.entries())
          expect(replayed!.losses[at]!.loss).toBeCloseTo(loss, 2);
      }
      expect(largestDifference(rules[0]!.stateDict(), rules[1]!.stateDict())).toBeLessThan(0.02);
      for (const rule of rules) rule.dispose();
    });
  });

  it("computes stages in bfloat16", () => {
    scope(() => {
      const rule = ruleOf({ ...settingsOf("cuda"), precision: "bfloat16" });
      const { losses } = rule.step(onDevice(makeBatch(0, 16), "cuda"));
      expect(losses.every(({ loss }) => Number.isFinite(loss))).toBe(true);
      const output = rule.backbone.stages[0]!.forward(makeBatch(0, 4).images.toDevice("cuda"));
      expect(output.dtype).toBe("bfloat16");
    });
  });

  it("batches are the CPU's to the last bit before they are normalised, kept there or brought there", async () => {
    const dataset = await glyphs.load(glyphs.options.parse({}), { dataDirs: [], train: 70, test: 10 });
    scope(() => {
      const made = () => tensorSet(dataset.train, null, dataset, 0);
      const sets = [made(), resident(made(), "cuda"), streamed(made(), pinnedTransfer("cuda"))];
      const batches = sets.map((set, at) => {
        const normalisation = normalisationOf(dataset, at === 0 ? "cpu" : "cuda");
        const order = new EpochOrder(set, 16, new Generator(1));
        const generator = new Generator(2);
        const found = Array.from({ length: order.batches }, (_, index) => {
          const augment = { flip: true, crop: { padding: 2 } };
          const { images, labels } = order.get(index, normalisation, augment, generator);
          order.fetchAhead(index + 1);
          return { images: images.toDevice("cpu"), labels: labels.toNumbers() };
        });
        order.dispose();
        const first = slice(set, 3, 8, normalisation);
        return [...found, { images: first.images.toDevice("cpu"), labels: first.labels.toNumbers() }];
      });
      const [expected, ...others] = batches;
      for (const [at, { images, labels }] of expected!.entries()) {
        for (const other of others) {
          expect(other[at]!.labels).toEqual(labels);
          // A multiplication and an addition, which a GPU may fuse.
          expect(other[at]!.images.allclose(images, { relative: 1e-6, absolute: 1e-6 })).toBe(true);
        }
        expect(others[0]![at]!.images.equal(others[1]![at]!.images)).toBe(true);
      }
      expect(placeOn(made(), "cuda").images.device).toBe("cuda:0"); // small enough to be kept there
    });
  });

  it.each(["", "rule: { name: partitioned, graph: true }\n"])(
    "a run is the CPU's within tolerance %s",
    async (more) => {
      const cpu = await trained(settingsOf("cpu"));
      const gpu = await trained(settingsOf("cuda", more));
      expect(gpu.last).toMatchObject({ type: "completed" });
      expect(Object.keys(gpu.values)).toEqual(Object.keys(cpu.values));
      for (const [name, value] of Object.entries(cpu.values)) {
        const tolerance = /Accuracy|probe/.test(name) ? 0.2 : /nhsic/.test(name) ? 0.5 : 0.3;
        expect(Math.abs(gpu.values[name]! - value), name).toBeLessThanOrEqual(tolerance * (1 + Math.abs(value)));
      }
      // Before the first step nothing but rounding differs.
      for (const [name, value] of Object.entries(cpu.values).filter(([name]) => / 0$/.test(name))) {
        expect(gpu.values[name], name).toBeCloseTo(value, 2);
      }
    },
  );

  it.each(["", "rule: { name: partitioned, graph: true }\n"])(
    "a run that is stopped ends as one that is not %s",
    async (more) => {
      const settings = settingsOf("cuda", more);
      const whole = await trained(settings);
      const again = await trained(settings);
      expect(again.values).toEqual(whole.values); // the premise: the same seed gives the same numbers
      for (const stopAfter of [whole.asked - 9, Math.floor(whole.asked / 2)]) {
        const stopped = await trained(settings, { stopAfter });
        expect(stopped.last.type).toBe("interrupted");
        const resumed = await trained(settings, { directory: stopped.directory });
        expect(resumed.last.type).toBe("completed");
        expect({ ...stopped.values, ...resumed.values }).toEqual(whole.values);
      }
    },
  );

  it("says what its memory is, without the data set", async () => {
    const { last } = await trained(settingsOf("cuda"));
    expect(last.type).toBe("completed");
    const { peakBytes, parameters } = (last as Extract<TrainingEvent, { type: "completed" }>).summary;
    // Weights, gradients and Adam's two moments, at least; all of it far below what a data set of this size would add.
    expect(peakBytes).toBeGreaterThan(16 * (parameters.backbone + parameters.heads));
    expect(peakBytes).toBeLessThan(2 ** 30);
  });

  it("holds nothing more after a step", () => {
    scope(() => {
      const rule = ruleOf(settingsOf("cuda"));
      const batch = onDevice(makeBatch(0, 16), "cuda");
      for (let step = 0; step < 3; step++) rule.step(batch);
      const before = [cuda.memory().allocatedBytes, memory().liveTensors];
      for (let step = 0; step < 3; step++) rule.step(batch);
      expect([cuda.memory().allocatedBytes, memory().liveTensors]).toEqual(before);
    });
  });

  it("is listed by doctor", async () => {
    const { gpus, devices } = json(await stopgrad(["doctor", "--json"]));
    expect(devices).toContain("cuda:0");
    expect(gpus[0]).toEqual({
      device: "cuda:0",
      name: cuda.deviceName(),
      capability: expect.stringMatching(/^\d+\.\d+$/),
      memoryBytes: cuda.deviceProperties().totalBytes,
    });
  });
});
