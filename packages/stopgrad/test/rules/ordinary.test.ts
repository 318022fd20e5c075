// The partitioned rule beside training loops as one writes them by hand: the same bits, step after step, in weights,
// running statistics and optimizer state; and beside plain PyTorch (fixtures/record.py) to rounding.
import "../support/one-thread.js";
import { arange, crossEntropy, Generator, type nn, type optim, scope, type Tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { moduleSizes, type Partition } from "../../src/experiment/partition.js";
import { heads } from "../../src/heads/index.js";
import { type Backbone, stageShapes } from "../../src/models/index.js";
import { type OptimizerEntry, type OptimizerName, optimizers } from "../../src/optimizers/index.js";
import type { Batch, StepResult } from "../../src/rules/index.js";
import { differing, expectClose, snapshot } from "../support/compare.js";
import { figures, imagesOf, labelsOf, setState, summaryError, summaryOf } from "../support/formula.js";
import {
  makeBackbone,
  makeBatch,
  makeRule,
  modelNames,
  optimizerSettings,
  type RuleSetup,
} from "../support/networks.js";

const STEPS = 4;

const optimizerSetups: { optimizer: OptimizerName; settings: Record<string, unknown> }[] = [
  { optimizer: "adam", settings: { learningRate: 1e-3, weightDecay: 1e-4 } },
  { optimizer: "sgd", settings: { learningRate: 0.05, momentum: 0.9, nesterov: true } },
];
const setups = modelNames.flatMap((model) => optimizerSetups.map((optimizer) => ({ model, ...optimizer })));

function makeOptimizer(setup: RuleSetup, modules: readonly nn.Module[]): optim.Optimizer {
  const entry: OptimizerEntry = optimizers[setup.optimizer!];
  return entry.create(
    optimizerSettings(setup),
    modules.flatMap((module) => module.parameters()),
  );
}

function stateOf(backbone: Backbone, optimizer: optim.Optimizer, headsByName: Record<string, nn.Module> = {}) {
  const all = new Map<string, Tensor>();
  const add = (prefix: string, state: Map<string, Tensor>) => {
    for (const [name, entry] of state) all.set(prefix + name, entry);
  };
  add("backbone.", backbone.stateDict());
  for (const [name, head] of Object.entries(headsByName)) add(`heads.${name.replaceAll(".", "_")}.`, head.stateDict());
  add("optimizer.", optimizer.stateDict());
  return snapshot(all);
}

const correctOf = (logits: Tensor, labels: Tensor) =>
  labels.toNumbers().filter((label, i) => {
    const row = logits.narrow(0, i, 1).toNumbers();
    return row.indexOf(Math.max(...row)) === label;
  }).length;

describe.each(setups)("$model with $optimizer", (setup) => {
  test("partition 1 is ordinary backpropagation, bit for bit", () => {
    const rule = makeRule({ ...setup, partition: 1 });
    const backbone = makeBackbone(setup).train();
    const optimizer = makeOptimizer(setup, [backbone]);
    expect(rule.auxiliary).toBeNull();
    for (let step = 0; step < STEPS; step++) {
      const batch = makeBatch(step);
      const { result, loss, correct } = scope(() => {
        optimizer.zeroGrad();
        const logits = backbone.forward(batch.images);
        const loss = crossEntropy(logits, batch.labels);
        loss.backward();
        optimizer.step();
        return { result: rule.step(batch), loss: loss.item(), correct: correctOf(logits, batch.labels) };
      });
      expect(result).toEqual({ losses: [{ module: "network", loss }], loss, correct });
      expect(differing(snapshot(rule.stateDict()), stateOf(backbone, optimizer))).toEqual([]);
    }
  });

  test.each<[string, Partition, "linear" | "mlp", "attached" | "detached"]>([
    ["layer-wise", "stage", "linear", "attached"],
    ["layer-wise with a detached classifier", "stage", "linear", "detached"],
    ["block-wise", 3, "mlp", "attached"],
    ["after the second stage", { cuts: [2] }, "mlp", "detached"],
    ["end to end through a head, classifier detached", 1, "linear", "detached"],
  ])("%s is greedy training written by hand, bit for bit", (_, partition, head, classifier) => {
    const rule = makeRule({ ...setup, partition, head, classifier });
    const backbone = makeBackbone(setup).train();
    const detached = classifier === "detached" && backbone.classifier !== null;
    const shapes = stageShapes(backbone, [3, 16, 16]);
    const generator = new Generator(2001); // the rule's own
    const ends = moduleSizes(partition, backbone.stages.length).map((_, at, sizes) =>
      sizes.slice(0, at + 1).reduce((sum, size) => sum + size, 0),
    );
    const headOf = ends.map((end, at) =>
      at === ends.length - 1 && !detached
        ? null
        : heads[head].create({}, { shape: shapes[end - 1]!, classes: 10, outputs: "classes", generator }),
    );
    const named: Record<string, nn.Module> = Object.fromEntries(
      headOf.flatMap((module, at) => (module ? [[rule.moduleNames[at], module]] : [])),
    );
    const optimizer = makeOptimizer(setup, [backbone, ...Object.values(named)]);

    const step = ({ images, labels }: Batch): StepResult =>
      scope(() => {
        const losses: StepResult["losses"][number][] = [];
        const learn = (module: string, scores: Tensor) => {
          const loss = crossEntropy(scores, labels);
          loss.backward();
          losses.push({ module, loss: loss.item() });
          return scores;
        };
        optimizer.zeroGrad();
        let features = images;
        let scores = images;
        for (const [at, end] of ends.entries()) {
          let hidden = features;
          for (const stage of backbone.stages.slice(ends[at - 1] ?? 0, end)) hidden = stage.forward(hidden);
          const readout = headOf[at] ?? backbone.classifier;
          scores = learn(rule.moduleNames[at]!, readout ? readout.forward(hidden) : hidden);
          features = hidden.detach();
        }
        if (detached) scores = learn("classifier", backbone.classifier!.forward(features));
        optimizer.step();
        return { losses, loss: losses.at(-1)!.loss, correct: correctOf(scores, labels) };
      });

    for (let at = 0; at < STEPS; at++) {
      const batch = makeBatch(at);
      expect(rule.step(batch)).toEqual(step(batch));
      expect(differing(snapshot(rule.stateDict()), stateOf(backbone, optimizer, named))).toEqual([]);
    }
    backbone.eval();
    rule.backbone.eval();
    const { images } = makeBatch(9);
    expect(rule.logits(images).toNumbers()).toEqual(backbone.forward(images).toNumbers());
  });
});

test("a step trains in training mode, also right after an evaluation", () => {
  const train = (evaluates: boolean) => {
    const rule = makeRule({ model: "resnet18", partition: "stage" });
    for (let at = 0; at < 2; at++) {
      if (evaluates) rule.backbone.eval();
      rule.step(makeBatch(at));
      expect([...rule.backbone.namedModules()].every(([, module]) => module.training)).toBe(true);
    }
    return snapshot(rule.stateDict());
  };
  expect(differing(train(true), train(false))).toEqual([]);
});

test("a partition that cuts anywhere trains something else than backpropagation does", () => {
  const train = (partition: Partition) => {
    const rule = makeRule({ model: "lenet5", partition });
    rule.step(makeBatch(0));
    return new Map([...snapshot(rule.backbone.stateDict())]);
  };
  expect(differing(train(1), train(2)).length).toBeGreaterThan(0);
});

describe("beside plain PyTorch", () => {
  const recorded: Record<string, RuleSetup & { batch: number; steps: number }> = {
    "lenet5 layer-wise": {
      model: "lenet5",
      options: {},
      inputShape: [3, 32, 32],
      partition: "stage",
      settings: { learningRate: 1e-3, weightDecay: 1e-4 },
      batch: 16,
      steps: 5,
    },
    "resnet18 block-wise": {
      model: "resnet18",
      options: { width: 8 },
      partition: { cuts: [3] },
      head: "mlp",
      optimizer: "sgd",
      settings: { learningRate: 0.01, momentum: 0.9 },
      batch: 8,
      steps: 3,
    },
  };

  test("every recorded training is compared", () => {
    expect(Object.keys(recorded).sort()).toEqual(Object.keys(figures.training).sort());
  });

  test.each(Object.entries(recorded))("%s: losses and weights agree to 1e-5", (name, setup) => {
    const expected = figures.training[name]!;
    const rule = makeRule(setup);
    setState(rule.backbone.stateDict());
    setState(rule.auxiliary!.stateDict());
    for (let step = 0; step < setup.steps; step++) {
      const result = scope(() =>
        rule.step({
          images: imagesOf(`images/${step}`, [setup.batch, ...(setup.inputShape ?? [3, 16, 16])]),
          labels: labelsOf(setup.batch),
          indices: arange(0, setup.batch),
        }),
      );
      expectClose(
        result.losses.map(({ loss }) => loss),
        expected.losses[step]!,
        1e-5,
      );
    }
    const state = rule.stateDict();
    for (const [entry, want] of Object.entries(expected.state)) {
      const actual = state.get(entry);
      expect(actual, entry).toBeDefined();
      expect(summaryError(summaryOf(actual!), want, actual!.numel), entry).toBeLessThan(1e-5);
    }
  });
});
