// Where the memory of a step goes: what each part of each module stores, counted by hand for plain convolutions; and how
// contexts that are computed again, and gradient checkpointing, change it.
import "../support/one-thread.js";
import { conv2d, Generator, nn, scope, type Tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { heads } from "../../src/heads/index.js";
import { losses } from "../../src/losses/index.js";
import { Backbone, Stage } from "../../src/models/index.js";
import { optimizers } from "../../src/optimizers/index.js";
import { type LearningRule, type RuleContext, rules, StepMemory } from "../../src/rules/index.js";
import { makeBatch, makeRule, type RuleSetup, trainingData } from "../support/networks.js";

const BATCH = 16;
const SIDE = 16;
const CLASSES = 10;
/** Bytes of a float32 map of one channel of the batch. */
const MAP = BATCH * SIDE * SIDE * 4;

/** Convolutions without bias or anything after them: such a one stores its input, and its output is the next one's. */
function convolutions(channels: readonly number[]): Stage[] {
  const generator = new Generator(1);
  return channels.slice(1).map((outputs, at) => {
    const conv = new nn.Conv2d(channels[at]!, outputs, 3, { padding: 1, bias: false, generator });
    return new Stage(`conv${at + 1}`, { [`conv${at + 1}`]: conv }, (input) =>
      conv2d(input, conv.weight, { padding: 1 }),
    );
  });
}

/** Two modules of two convolutions each: 3 → 4 → 6 and 6 → 8 → 5 channels, behind them a classifier of channels' means. */
function twoModules(more: Partial<RuleContext> = {}, channels = [3, 4, 6, 8, 5]): LearningRule {
  const inputShape = [3, SIDE, SIDE] as const;
  const fc = new nn.Linear(5, CLASSES, { generator: new Generator(2) });
  const classifier = new Stage("classifier", { fc }, (input: Tensor) => fc.forward(input.mean([2, 3])));
  const dropoutGenerator = new Generator(3);
  return rules.partitioned.create(
    {},
    {
      backbone: new Backbone(convolutions(channels), classifier),
      inputShape,
      classes: CLASSES,
      precision: "float32",
      moduleSizes: [2, 2],
      frozenStages: 0,
      classifier: "attached",
      format: { epochs: null, learningRate: null },
      schedule: { name: "simultaneous", statistics: "fixed" },
      loss: { entry: losses["cross-entropy"], options: {} },
      head: { entry: heads.linear, options: {} },
      nhsic: null,
      reconstruction: null,
      context: null,
      segments: null,
      optimizer: { entry: optimizers.sgd, settings: { learningRate: 0.01, weightDecay: 0 } },
      headGenerator: new Generator(4),
      contextGenerator: new Generator(5),
      dropoutGenerator,
      ruleGenerator: new Generator(6),
      training: trainingData({ model: "lenet5", inputShape }),
      ...more,
    },
  );
}

/** What the third step of a rule keeps. */
function watched(rule: LearningRule, shape = [3, SIDE, SIDE]): StepMemory {
  const batch = makeBatch(0, BATCH, shape, CLASSES);
  for (let step = 0; step < 2; step++) scope(() => rule.step(batch));
  const memory = new StepMemory("cpu");
  rule.watchMemory!(memory);
  scope(() => rule.step(batch));
  rule.dispose();
  return memory;
}

const context = { fusion: { name: "add" }, selection: null, recompute: false } as const;
/** Small tensors: class scores, per-channel statistics, a gradient of a weight. */
const SMALL = 8192;

function expectNear(bytes: number, expected: number): void {
  expect(bytes).toBeGreaterThanOrEqual(expected);
  expect(bytes).toBeLessThan(expected + SMALL);
}

describe("two modules of two convolutions, by hand", () => {
  test("a module stores what its convolutions give", () => {
    const { modules } = watched(twoModules());
    expect(modules.map(({ module }) => module)).toEqual(["conv1-conv2", "conv3-conv4"]);
    // 4 and 6 channels; 8 and 5. A module's input is there before it.
    expect(modules.map(({ activations }) => activations)).toEqual([(4 + 6) * MAP, (8 + 5) * MAP]);
    expect(modules.map(({ context, decoder }) => [context, decoder])).toEqual([
      [0, 0],
      [0, 0],
    ]);
  });

  test("a linear head stores pooled features and the loss class scores, and no map", () => {
    const { modules } = watched(twoModules());
    for (const { head } of modules) {
      // At least the class scores' log-softmax, [16, 10]; at most the features that a head of maps is given, too.
      expect(head).toBeGreaterThanOrEqual(BATCH * CLASSES * 4);
      expect(head).toBeLessThan(MAP + BATCH * 2048 * 4);
    }
  });

  test("the most at once is all of it and the gradients on their way", () => {
    const memory = watched(twoModules());
    // Gradients of the output, twice where it is made, and of what is below; as much again for libtorch's convolution.
    const passing = [2 * (6 + 6 + 4) * MAP, 2 * (5 + 5 + 8) * MAP];
    for (const [at, { activations, head, context, decoder, peak }] of memory.modules.entries()) {
      const sum = activations + head + context + decoder;
      expect(peak).toBeGreaterThan(sum);
      expect(peak).toBeLessThan(sum + passing[at]! + SMALL);
      expect(memory.peak).toBeGreaterThan(peak);
    }
  });

  test("a module's peak is its own, however much an earlier one needs", () => {
    const [usual, wide] = [twoModules(), twoModules({}, [3, 64, 6, 8, 5])].map((rule) => watched(rule).modules);
    expect(wide![0]!.activations).toBe((64 + 6) * MAP);
    expect(wide![0]!.peak).toBeGreaterThan(2 * wide![1]!.peak);
    expect(wide![1]!.peak).toBe(usual![1]!.peak);
  });

  test("a context stores the encoder's maps and the combined feature", () => {
    const given = { ...context, fromInput: true, previousModules: 0 };
    const [first, second] = watched(twoModules({ context: given })).modules;
    expect(first!.context).toBe(0);
    // An encoder keeps of 12 inner channels what the convolution gives and what is rectified, of 6 outer ones the same,
    // and its maps are of the feature's size, so that nothing is pooled. The sum is a map of 6 channels.
    expectNear(second!.context, (12 + 12 + 6 + 6 + 6) * MAP);
    expect(second!.activations).toBe((8 + 5) * MAP);
  });

  test.each([
    { fusion: "add", channels: 0, why: "is written over the feature and stores nothing" },
    { fusion: "concatenate", channels: 6, why: "stores the combined feature alone" },
  ] as const)("a context that is computed again $why: $fusion", ({ fusion, channels }) => {
    const given = { ...context, fromInput: true, previousModules: 1, fusion: { name: fusion } };
    const stored = watched(twoModules({ context: given }));
    const again = watched(twoModules({ context: { ...given, recompute: true } }));
    expectNear(again.modules[1]!.context, channels * MAP);
    expect(again.modules[1]!.activations).toBe((8 + 5) * MAP);
    expect(again.modules[0]!.peak).toBe(stored.modules[0]!.peak);
    // A map more while the encoder is differentiated is more than is saved here, where it has one path alone.
    if (channels === 0) expect(again.modules[1]!.peak).toBeLessThan(stored.modules[1]!.peak);
  });

  test("a decoder stores its maps at the images' size", () => {
    const weights = { reconstruction: 1, label: 1 };
    const [first, second] = watched(twoModules({ reconstruction: { first: weights, last: weights } })).modules;
    // 12 channels before and after the rectifier, and logits of 3 channels. The error of each pixel is not kept.
    expectNear(first!.decoder, (12 + 12 + 3) * MAP);
    expect(second!.decoder).toBe(0);
    expect(first!.activations).toBe((4 + 6) * MAP);
  });

  test("labels that are sent through the stages store as much there as the images", () => {
    const loss = { entry: losses["signal-propagation"], options: {} };
    const more = { loss, head: { entry: heads.none, options: {} }, classifier: "detached" } as const;
    const { modules } = watched(twoModules(more));
    expect(modules.map(({ activations }) => activations)).toEqual([2 * (4 + 6) * MAP, 2 * (8 + 5) * MAP]);
    for (const { activations, head, peak } of modules) expect(activations + head).toBeLessThanOrEqual(peak);
  });

  test("the nHSIC term stores with the head's loss", () => {
    const nhsic = { weight: 0.1, with: "module-input", of: "output", sigma: 5, epsilon: 1e-5 } as const;
    const [plain, term] = [twoModules(), twoModules({ nhsic })].map((rule) => watched(rule).modules);
    for (const at of [0, 1]) {
      // At least two matrices of pairs, of the output's rows and of the factor that they are compared with.
      expect(term![at]!.head - plain![at]!.head).toBeGreaterThanOrEqual(2 * BATCH * BATCH * 4);
      expect(term![at]!.activations).toBe(plain![at]!.activations);
      expect(term![at]!.activations + term![at]!.head).toBeLessThanOrEqual(term![at]!.peak);
    }
  });

  test("a decoder that does not count stores nothing", () => {
    const none = { reconstruction: 0, label: 1 };
    const { modules } = watched(twoModules({ reconstruction: { first: none, last: none } }));
    expect(modules.map(({ decoder }) => decoder)).toEqual([0, 0]);
  });

  test("a module in segments stores their inputs and what the last one stores", () => {
    const { modules } = watched(twoModules({ segments: 2 }));
    // The segment below is not stored, only what it gives: here, of one convolution each, that is the same.
    expect(modules.map(({ activations }) => activations)).toEqual([
      expect.closeTo((4 + 6) * MAP, -5),
      expect.closeTo((8 + 5) * MAP, -5),
    ]);
  });
});

describe("ResNet-20", () => {
  const base: RuleSetup = {
    model: "resnet20",
    options: { width: 8 },
    inputShape: [3, 32, 32],
    partition: 4,
    head: "auxiliary",
    optimizer: "sgd",
  };
  const setups: Record<string, RuleSetup> = {
    dgl: base,
    R2E: { ...base, context: { fromInput: true, previousModules: 2 } },
    "R2E again": { ...base, context: { fromInput: true, previousModules: 2, recompute: true } },
    checkpointed: { ...base, partition: 2, segments: "square-root" },
    "with decoders": {
      ...base,
      reconstruction: { first: { reconstruction: 1, label: 1 }, last: { reconstruction: 1, label: 1 } },
    },
  };
  const found = (setup: RuleSetup) => watched(makeRule(setup), [3, 32, 32]);

  test.each(Object.keys(setups))(
    "%s: the parts of a module are within its peak, and that within the step's",
    (name) => {
      const memory = found(setups[name]!);
      expect(memory.modules.length).toBe(setups[name]!.partition);
      for (const { activations, head, context, decoder, peak } of memory.modules) {
        for (const part of [activations, head, context, decoder]) expect(part).toBeGreaterThanOrEqual(0);
        expect(activations + head + context + decoder).toBeLessThanOrEqual(peak);
        expect(peak).toBeLessThan(memory.peak);
      }
    },
  );

  test("contexts computed again: less is stored, and the step's peak is lower", () => {
    const [stored, again] = [found(setups.R2E!), found(setups["R2E again"]!)];
    const dgl = found(base);
    for (const at of [1, 2, 3]) {
      expect(again.modules[at]!.context).toBeLessThan(stored.modules[at]!.context / 2);
      expect(again.modules[at]!.peak).toBeLessThan(stored.modules[at]!.peak);
    }
    expect(again.peak).toBeLessThan(stored.peak);
    expect(dgl.peak).toBeLessThan(stored.peak);
  });

  test("gradient checkpointing: less is stored", () => {
    const [checkpointed, ordinary] = [found(setups.checkpointed!), found({ ...base, partition: 2 })];
    for (const at of [0, 1]) {
      expect(checkpointed.modules[at]!.activations).toBeLessThan(0.75 * ordinary.modules[at]!.activations);
    }
    expect(checkpointed.peak).toBeLessThan(ordinary.peak);
  });

  test("one step is watched, and watching changes nothing", () => {
    const [plain, seen] = [makeRule(base), makeRule(base)];
    const memory = new StepMemory("cpu");
    seen.watchMemory!(memory);
    for (const step of [0, 1]) {
      const batch = makeBatch(step, 8, [3, 32, 32]);
      expect(scope(() => seen.step(batch))).toEqual(scope(() => plain.step(batch)));
      expect(memory.modules).toHaveLength(4);
    }
    plain.dispose();
    seen.dispose();
  });
});
