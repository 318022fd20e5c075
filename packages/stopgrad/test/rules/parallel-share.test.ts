// Modules that are shared out give the bits of the loop over all modules: weights, running statistics, optimizer states,
// losses and right answers, whatever crosses the boundary. One process here; what lies between shares is real.
import "../support/one-thread.js";
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memory, scope, type Tensor, tensor } from "@stopgrad/torch";
import { describe, expect, it, onTestFinished, test } from "vitest";
import { losses } from "../../src/losses/index.js";
import {
  boundaryBytes,
  type ModuleRange,
  ModuleShare,
  mapSlots,
  moduleCosts,
  pack,
  refusalOf,
  unpack,
} from "../../src/rules/parallel/index.js";
import type { PartitionedRule } from "../../src/rules/partitioned.js";
import { makeBatch, makeRule, type RuleSetup } from "../support/networks.js";

const IMAGE = [3, 16, 16];
const BATCH = 6;

const partitioned = (setup: RuleSetup) => makeRule(setup) as PartitionedRule;

/** Shared memory of so many bytes, as processes have it. */
function sharedMemory(bytes: number): Tensor {
  const path = join(tmpdir(), `stopgrad-slots-${process.pid}-${Math.random()}`);
  const descriptor = openSync(path, "wx+");
  rmSync(path);
  writeSync(descriptor, new Uint8Array(bytes));
  const mapped = mapSlots(descriptor, bytes);
  closeSync(descriptor);
  onTestFinished(() => mapped.dispose());
  return mapped;
}

/** The bytes of a state, by name. */
function bitsOf(state: ReadonlyMap<string, Tensor>): Map<string, string> {
  return new Map(
    Array.from(state, ([name, one]) => [name, `${one.dtype} [${one.shape}] ${one.toTypedArray().join()}`] as const),
  );
}

const bitsOfRule = (rule: PartitionedRule) => scope(() => bitsOf(rule.stateDict()));

/** Steps of a rule, and of the same rule shared out with cuts before these modules. */
function compare(setup: RuleSetup, cuts: readonly number[], steps = 3): void {
  const whole = partitioned(setup);
  const count = whole.moduleNames.length;
  const ends = [...cuts, count];
  const ranges = ends.map((end, at): ModuleRange => ({ from: cuts[at - 1] ?? 0, end }));
  const shares = ranges.map((range) => new ModuleShare(partitioned({ ...setup, seed: 99 }), range));
  const memories = ranges.map(({ from }) => sharedMemory(boundaryBytes(whole, from, IMAGE, BATCH)));
  // They begin where the rule is after a step, which its loop has made alone: optimizer states travel too.
  scope(() => whole.step(batchAt(0, whole.views)));
  scope(() => {
    const state = whole.stateDict();
    for (const share of shares) share.loadStateDict(state);
  });
  for (let step = 1; step <= steps; step++) {
    whole.setLearningRate(0.01 / step);
    const expected = scope(() => whole.step(batchAt(step, whole.views)));
    const found: { module: string; loss: number }[] = [];
    let correct: number | null = null;
    scope(() => {
      let packed = pack(memories[0]!, everything(memories[0]!), entriesOf(batchAt(step, whole.views)));
      for (const [at, share] of shares.entries()) {
        share.learningRate = 0.01 / step;
        const pass = share.step(unpack(memories[at]!, packed), (tensors) => {
          packed = pack(memories[at + 1]!, everything(memories[at + 1]!), tensors);
        });
        found.push(...pass.losses);
        correct = pass.correct;
      }
    });
    expect(found).toEqual(expected.losses);
    expect(correct).toBe(expected.correct);
  }
  const theirs = scope(() => new Map(shares.flatMap((share) => [...bitsOf(share.stateDict())])));
  const mine = new Map([...bitsOfRule(whole)].filter(([name]) => !name.startsWith("optimizer.param_groups.")));
  expect([...theirs.keys()].sort()).toEqual([...mine.keys()].sort());
  for (const [name, bits] of mine) expect(theirs.get(name) === bits, name).toBe(true);
  for (const share of shares) share.dispose();
  whole.dispose();
}

function batchAt(at: number, views: number) {
  const { images, labels, indices } = makeBatch(at, BATCH, IMAGE);
  return { images: views === 2 ? images.repeat([2, 1, 1, 1]).mul(1.5) : images, labels, indices };
}

const entriesOf = (batch: object) => new Map(Object.entries(batch) as [string, Tensor][]);
const everything = (slots: Tensor) => ({ start: 0, bytes: slots.numel });

const resnet: RuleSetup = { model: "resnet20", options: { width: 4 }, partition: 4 };

describe("shares give the bits of the loop", () => {
  test("in the middle, and one module each", () => {
    compare(resnet, [2]);
    compare({ ...resnet, optimizer: "sgd", settings: { momentum: 0.9, weightDecay: 0.01 } }, [1, 2, 3]);
  });

  test("contexts from the input and from modules on the other side of a boundary", () => {
    const context = { fromInput: true, previousModules: 2 };
    compare({ ...resnet, context }, [2]);
    compare({ ...resnet, context }, [1, 3]);
    compare({ ...resnet, partition: 5, context: { previousModules: 3, recompute: true } }, [1, 2, 3, 4]);
  });

  test("decoders, and terms of nHSIC with the input and with the module's own", () => {
    const reconstruction = { first: { reconstruction: 2, label: 0.5 }, last: { reconstruction: 0.3, label: 1 } };
    compare({ ...resnet, reconstruction }, [1, 2]);
    compare({ ...resnet, nhsic: { with: "input" } }, [2]);
    compare({ ...resnet, nhsic: { with: "module-input", of: "head" } }, [2]);
  });

  test("two views, a loss that does not classify, a classifier beside the last module", () => {
    const contrast = { loss: losses["supervised-contrastive"], head: "projection", classifier: "detached" } as const;
    compare({ ...resnet, ...contrast, lossOptions: { views: 2, temperature: 0.07, baseTemperature: 0.07 } }, [2]);
  });

  test("frozen stages below, segments, 16 bits, and a network without batch norm", () => {
    compare({ ...resnet, frozenStages: 2, partition: 3, segments: 2 }, [1]);
    compare({ ...resnet, precision: "bfloat16" }, [2]);
    compare({ model: "mlp", options: { width: 6 }, partition: "stage" }, [1, 2]);
  });
});

it("a share holds its own modules' tensors and nothing else of the network", () => {
  const whole = partitioned({ ...resnet, context: { fromInput: true } });
  const before = memory().liveBytes;
  const rule = partitioned({ ...resnet, context: { fromInput: true } });
  const all = memory().liveBytes - before;
  const share = new ModuleShare(rule, { from: 0, end: 1 });
  const mine = memory().liveBytes - before;
  expect(mine).toBeLessThan(all / 4);
  const names = scope(() => [...share.stateDict().keys()]);
  expect(names.every((name) => /^(backbone\.(conv1|bn1|layer1)|heads\.stem)/.test(name))).toBe(true);
  share.dispose();
  expect(memory().liveBytes).toBe(before);
  whole.dispose();
});

it("a step of a share leaves nothing behind", () => {
  const share = new ModuleShare(partitioned({ ...resnet, context: { previousModules: 2 } }), { from: 2, end: 3 });
  const rule = partitioned({ ...resnet, context: { previousModules: 2 } });
  const maps = [0, 1].map((at) => [BATCH, ...rule.parts().modules[at]!.shape]);
  scope(() => {
    const zeros = (shape: number[]) => tensor(new Float32Array(shape.reduce((a, b) => a * b)).fill(0.5), { shape });
    const arrived = new Map([
      ...entriesOf(batchAt(0, 1)),
      ["features", zeros(maps[1]!)],
      ["history.0", zeros(maps[0]!)],
    ]);
    const step = () =>
      scope(() => void share.step(new Map(Array.from(arrived, ([n, t]) => [n, t.detach()])), () => {}));
    step();
    const { liveTensors } = memory();
    step();
    expect(memory().liveTensors).toBe(liveTensors);
  });
});

it("measuring what modules cost changes nothing and leaves nothing behind", () => {
  const decoders = { first: { reconstruction: 1, label: 1 }, last: { reconstruction: 1, label: 1 } };
  const rule = partitioned({ ...resnet, context: { fromInput: true }, reconstruction: decoders, frozenStages: 1 });
  const before = bitsOfRule(rule);
  const { liveTensors } = memory();
  const costs = moduleCosts(rule, IMAGE);
  expect(costs).toHaveLength(rule.moduleNames.length);
  expect(costs.every((seconds) => seconds > 0)).toBe(true);
  expect(memory().liveTensors).toBe(liveTensors);
  expect(bitsOfRule(rule)).toEqual(before);
  expect(rule.backbone.training).toBe(true);
});

it("modules that cannot learn apart are refused", () => {
  const refused = (setup: Partial<RuleSetup>) => refusalOf(partitioned({ ...resnet, ...setup }));
  expect(refused({})).toBeNull();
  expect(refused({ partition: 1 })).toMatch(/one module/);
  expect(refused({ schedule: { name: "sequential" } })).toMatch(/sequential.*use simultaneous/);
  expect(refused({ options: { width: 4, dropout: 0.2 } })).toMatch(/dropout 0/);
  expect(refused({ classifier: "after" })).toMatch(/classifier/);
  const selection = { tolerance: 0.1, after: 1, images: 8 };
  expect(refused({ context: { fromInput: true, selection } })).toMatch(/selection/);
  expect(refused({ loss: losses.predsim })).toBeNull();
});

describe("slots", () => {
  it("give tensors back with their bits, types and layout, in the shared memory itself", () => {
    const slots = sharedMemory(4096);
    scope(() => {
      const floats = tensor([
        [
          [
            [1, Number.NaN],
            [3, 4],
          ],
          [
            [-0, 6],
            [7, 8],
          ],
        ],
      ]);
      const given = new Map([
        ["rows", floats],
        ["channels last", floats.contiguous("channels-last")],
        ["places", tensor(BigInt64Array.of(1n, -(2n ** 62n)))],
        ["every second", tensor([1, 2, 3, 4, 5, 6]).view([3, 2]).select(1, 0)],
        ["one for all", tensor([7]).expand([4])],
        ["bytes", tensor(Uint8Array.of(1, 2, 255))],
      ]);
      const found = unpack(slots, pack(slots, { start: 128, bytes: 3000 }, given));
      expect(bitsOf(found)).toEqual(bitsOf(given));
      expect(found.get("channels last")!.strides).toEqual(given.get("channels last")!.strides);
      expect([...found.values()].every((one) => one.sharesStorage(slots))).toBe(true);
      expect(slots.narrow(0, 0, 128).sum().item()).toBe(0);
    });
  });

  it("refuse what does not fit", () => {
    const slots = sharedMemory(256);
    const given = new Map([["images", tensor(new Float32Array(33))]]);
    expect(() => pack(slots, { start: 0, bytes: 128 }, given)).toThrow(
      "shared memory: expected tensors of at most 128 bytes, got more with images",
    );
  });
});
