// What learns when: module by module on frozen ones, on outputs computed once, the classifier after all else, and
// stages that are never trained.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import "../support/one-thread.js";
import { amax, arange, scope, type Tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { slice } from "../../src/data/loader.js";
import type { Batch, LearningRule } from "../../src/rules/index.js";
import { planPhases } from "../../src/rules/phases.js";
import { differing, snapshot } from "../support/compare.js";
import { makeBatch, makeRule, type RuleSetup, trainingData } from "../support/networks.js";

const base: RuleSetup = { model: "resnet18", partition: "stage", classifier: "detached" };

/** Names of what some steps moved. */
function moved(rule: LearningRule, steps = 2, batch = () => makeBatch(3)): Set<string> {
  const before = snapshot(weights(rule));
  for (let step = 0; step < steps; step++) scope(() => rule.step(batch()));
  return new Set(differing(before, snapshot(weights(rule))));
}

function weights(rule: LearningRule): Map<string, Tensor> {
  return new Map([...rule.stateDict()].filter(([name]) => !name.startsWith("optimizer.")));
}

/** State-dict names below a stage, and its head's. */
function namesOf(rule: LearningRule, stage: string): string[] {
  const module = rule.backbone.stages.find(({ name }) => name === stage) ?? rule.backbone.classifier!;
  const own = Array.from(module.stateDict().keys(), (name) => `backbone.${name}`);
  const head = [...rule.stateDict().keys()].filter((name) => name.startsWith(`heads.${stage.replaceAll(".", "_")}.`));
  return [...own, ...head];
}

describe("phases", () => {
  const modules = ["a", "b"];
  const plan = (name: "simultaneous" | "sequential", classifier: "attached" | "detached" | "after") =>
    planPhases(modules, classifier === "attached" ? null : "fc", {
      schedule: { name, statistics: "fixed" },
      classifier,
      format: { epochs: 5, learningRate: 0.1 },
    }).map(({ name, from, end, classifier, epochs }) => [name, from, end, classifier, epochs]);

  test("everything at once, the classifier with it or after it", () => {
    expect(plan("simultaneous", "attached")).toEqual([["all", 0, 2, false, null]]);
    expect(plan("simultaneous", "detached")).toEqual([["all", 0, 2, true, null]]);
    expect(plan("simultaneous", "after")).toEqual([
      ["all", 0, 2, false, null],
      ["fc", 2, 2, true, 5],
    ]);
  });

  test("one module after the other, then the classifier", () => {
    expect(plan("sequential", "attached")).toEqual([
      ["a", 0, 1, false, null],
      ["b", 1, 2, false, null],
    ]);
    expect(plan("sequential", "detached").at(-1)).toEqual(["fc", 2, 2, true, null]);
    expect(plan("sequential", "after").at(-1)).toEqual(["fc", 2, 2, true, 5]);
  });
});

describe("sequential", () => {
  test("a phase moves its own module and head, statistics included, and nothing else", () => {
    const rule = makeRule({ ...base, schedule: { name: "sequential" } });
    const names = [...rule.backbone.stages.map(({ name }) => name), "classifier"];
    expect(rule.phases.map(({ name }) => name)).toEqual(names);
    for (const [at, name] of names.entries()) {
      if (at % 3 !== 0) continue; // the first, two between, the classifier
      rule.enterPhase(at);
      expect([...moved(rule)].sort(), name).toEqual(namesOf(rule, name).sort());
    }
    rule.dispose();
  });

  test("with moving statistics, frozen batch norms follow the images and frozen weights do not move", () => {
    const rule = makeRule({ ...base, schedule: { name: "sequential", statistics: "moving" } });
    rule.enterPhase(2);
    const names = moved(rule);
    const below = [...names].filter((name) => /^backbone\.(bn1|layer1\.0)\b/.test(name));
    expect(below.length).toBeGreaterThan(0);
    for (const name of below) expect(name).toMatch(/running_mean|running_var|num_batches_tracked/);
    rule.dispose();
  });

  test("what a module learns is what it learns alone on the frozen ones below, whatever is above", () => {
    const sequential = makeRule({ ...base, options: { width: 6 }, schedule: { name: "sequential" } });
    // The first module of sequential training is the first module of simultaneous training.
    const simultaneous = makeRule({ ...base, options: { width: 6 } });
    for (const rule of [sequential, simultaneous]) for (let at = 0; at < 3; at++) scope(() => rule.step(makeBatch(at)));
    const of = (rule: LearningRule) => snapshot(rule.backbone.stages[0]!.stateDict());
    expect(differing(of(sequential), of(simultaneous))).toEqual([]);
    sequential.dispose();
    simultaneous.dispose();
  });

  test("while a module learns, its head predicts", () => {
    const rule = makeRule({ ...base, schedule: { name: "sequential" } });
    const { images, labels, indices } = makeBatch(1);
    rule.backbone.eval();
    const early = scope(() => rule.logits(images).toNumbers());
    rule.enterPhase(1);
    rule.backbone.eval();
    expect(scope(() => rule.logits(images).toNumbers())).not.toEqual(early);
    rule.enterPhase(rule.phases.length - 1);
    rule.backbone.eval();
    const last = scope(() => rule.logits(images).toNumbers());
    expect(last).toEqual(scope(() => rule.backbone.forward(images).toNumbers()));
    expect(scope(() => rule.step({ images, labels, indices })).correct).toBeTypeOf("number");
    rule.dispose();
  });
});

describe("asynchronous", () => {
  const setup: RuleSetup = { ...base, options: { width: 6 } };

  /** A batch of the training set, as it is without augmentation. */
  function trainingBatch(start: number, count: number): Batch {
    const { set, normalisation } = trainingData({ model: "resnet18" });
    return scope(() => ({ ...slice(set, start, count, normalisation), indices: arange(start, start + count) }));
  }

  test("learns the same as sequential training of the same images, on outputs computed once", () => {
    const [cached, plain] = (["asynchronous", "sequential"] as const).map((name) =>
      makeRule({ ...setup, schedule: { name } }),
    );
    for (const rule of [cached!, plain!]) {
      for (const phase of [0, 1, 4, 9]) {
        rule.enterPhase(phase);
        scope(() => rule.step(trainingBatch(0, 8)));
        scope(() => rule.step(trainingBatch(9, 7)));
      }
    }
    const difference = [...weights(cached!)].map(([name, tensor]) => {
      const other = weights(plain!).get(name)!;
      return scope(() => amax(tensor.sub(other).abs()).item());
    });
    expect(Math.max(...difference)).toBeLessThan(1e-5); // batches of another size round differently
    cached!.dispose();
    plain!.dispose();
  });

  test("keeps its outputs in the run's folder while it needs them", () => {
    const { scratch, set } = trainingData({ model: "resnet18" });
    const folder = join(scratch, "cached-features");
    const rule = makeRule({ ...setup, schedule: { name: "asynchronous" } });
    expect(existsSync(folder)).toBe(false);
    rule.enterPhase(1);
    expect(readdirSync(folder)).toHaveLength(Math.ceil(set.count / 1000));
    rule.enterPhase(0);
    expect(existsSync(folder)).toBe(false);
    rule.enterPhase(3);
    rule.dispose();
    expect(existsSync(folder)).toBe(false);
  });

  test("leaves nothing when it is stopped while it computes them", () => {
    const { scratch } = trainingData({ model: "resnet18" });
    const rule = makeRule({ ...setup, schedule: { name: "asynchronous" } });
    const stop = () => {
      throw new Error("stopped");
    };
    expect(() => rule.enterPhase(2, stop)).toThrow("stopped");
    expect(existsSync(join(scratch, "cached-features"))).toBe(false);
    rule.enterPhase(2); // and can be entered again
    scope(() => rule.step(trainingBatch(0, 4)));
    rule.dispose();
  });
});

describe("the classifier after all else", () => {
  test("learns alone on the finished network", () => {
    const rule = makeRule({ ...base, classifier: "after", format: { epochs: 5, learningRate: 0.1 } });
    expect(rule.phases.map(({ name, epochs }) => [name, epochs])).toEqual([
      ["all", null],
      ["classifier", 5],
    ]);
    const first = moved(rule);
    expect([...first].filter((name) => name.startsWith("backbone.fc"))).toEqual([]);
    rule.enterPhase(1);
    expect([...moved(rule)].sort()).toEqual(["backbone.fc.bias", "backbone.fc.weight"]);
    rule.dispose();
  });
});

describe("stages that are not trained", () => {
  test("stay, statistics included, and the partition is of those above", () => {
    const rule = makeRule({ ...base, partition: 1, classifier: "attached", frozenStages: 3, options: { width: 6 } });
    expect(rule.moduleNames).toEqual(["layer2.0-layer4.1"]);
    const names = moved(rule);
    expect([...names].filter((name) => /^backbone\.(conv1|bn1|layer1)\b/.test(name))).toEqual([]);
    expect([...names].filter((name) => /^backbone\.(layer[234]|fc)\b/.test(name)).length).toBeGreaterThan(20);
    rule.dispose();
  });
});
