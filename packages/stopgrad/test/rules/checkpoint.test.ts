// A rule's saved state holds everything: a new rule that loads it goes on with the same bits.
import "../support/one-thread.js";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Generator, loadSafetensors, saveSafetensors, scope, type Tensor, zeros } from "@stopgrad/torch";
import { afterAll, expect, test } from "vitest";
import type { OptimizerName } from "../../src/optimizers/index.js";
import { optimizers } from "../../src/optimizers/index.js";
import { differing, snapshot } from "../support/compare.js";
import { makeBatch, makeRule, modelNames, type RuleSetup } from "../support/networks.js";

const folder = mkdtempSync(join(tmpdir(), "stopgrad-rule-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const settings = { momentum: 0.9 };
const cases = modelNames.flatMap((model) =>
  (Object.keys(optimizers) as OptimizerName[]).map((optimizer) => ({
    model,
    optimizer,
    ...(optimizer === "sgd" ? { settings } : {}),
  })),
);

test.each(cases)("$model with $optimizer goes on bit for bit after saving and loading", (setup) => {
  const path = join(folder, `${setup.model}-${setup.optimizer}.safetensors`);
  const common: RuleSetup = { ...setup, partition: 3, classifier: "detached" };
  const dropout = new Generator(5);
  const rule = makeRule({ ...common, dropoutGenerator: dropout });
  const results = [0, 1].map((at) => rule.step(makeBatch(at)));
  expect(results).toHaveLength(2);
  saveSafetensors(path, new Map<string, Tensor>([...rule.stateDict(), ["generator", dropout.getState()]]));
  const expected = [2, 3].map((at) => rule.step(makeBatch(at)));

  const otherDropout = new Generator(6);
  const other = makeRule({ ...common, seed: 99, dropoutGenerator: otherDropout });
  const { tensors } = loadSafetensors(path);
  other.loadStateDict(tensors);
  otherDropout.setState(tensors.get("generator")!);
  expect([2, 3].map((at) => other.step(makeBatch(at)))).toEqual(expected);
  expect(differing(snapshot(rule.stateDict()), snapshot(other.stateDict()))).toEqual([]);
});

test("state is named backbone., heads. and optimizer., heads by their module", () => {
  const names = (setup: RuleSetup) => [...makeRule(setup).stateDict().keys()];
  const found = names({ model: "resnet18", partition: { cuts: [1, 3] } });
  expect(new Set(found.map((name) => name.split(".")[0]))).toEqual(new Set(["backbone", "heads", "optimizer"]));
  expect(found).toContain("backbone.layer2.0.downsample.0.weight");
  expect(found.filter((name) => name.startsWith("heads."))).toEqual([
    "heads.stem.1.weight",
    "heads.stem.1.bias",
    "heads.layer1_0-layer1_1.1.weight",
    "heads.layer1_0-layer1_1.1.bias",
  ]);
  expect(names({ model: "lenet5", partition: 1 }).some((name) => name.startsWith("heads."))).toBe(false);
});

test("saved state of another network is refused by name", () => {
  const saved = makeRule({ model: "mlp" }).stateDict();
  expect(() => makeRule({ model: "lenet5" }).loadStateDict(saved)).toThrow(/missing backbone\.conv1\.weight/);
});

/** The first saved name that matches. */
const named = (saved: ReadonlyMap<string, Tensor>, pattern: RegExp) =>
  [...saved.keys()].find((name) => pattern.test(name))!;

test.each<[string, (saved: Map<string, Tensor>) => void, RegExp]>([
  ["lacks a weight", (saved) => saved.delete("backbone.fc3.bias"), /missing backbone\.fc3\.bias$/],
  [
    "has a weight of another shape",
    (saved) => saved.set("backbone.fc3.bias", zeros([2])),
    /fc3\.bias \[10\], got \[2\]$/,
  ],
  ["has heads of another partition", (saved) => saved.set("heads.conv1.1.bias", zeros([1])), /unexpected heads\.conv1/],
  ["lacks a moment", (saved) => saved.delete(named(saved, /^optimizer.*exp_avg_sq/)), /exp_avg_sq/],
  [
    "has a moment of another shape",
    (saved) => saved.set(named(saved, /^optimizer.*exp_avg/), zeros([2, 2])),
    /\[2, 2\]/,
  ],
  [
    "is of an optimizer without moments",
    (saved) => {
      for (const name of [...saved.keys()]) if (name.startsWith("optimizer.")) saved.delete(name);
    },
    /optimizer: expected/,
  ],
])("saved state that %s changes nothing", (_, spoil, message) => {
  const source = makeRule({ model: "lenet5", seed: 7 });
  source.step(makeBatch(0));
  const saved = new Map(source.stateDict());
  spoil(saved);
  const rule = makeRule({ model: "lenet5", seed: 8 });
  rule.step(makeBatch(1));
  const before = snapshot(rule.stateDict());
  expect(() => rule.loadStateDict(saved)).toThrow(message);
  expect(differing(before, snapshot(rule.stateDict()))).toEqual([]);
});

test("the learning rate is the one set last", () => {
  const moved = (rate: number) => {
    const rule = makeRule({ model: "mlp", optimizer: "sgd" });
    const before = rule.backbone.parameters().map((parameter) => parameter.clone());
    rule.setLearningRate(rate);
    rule.step(makeBatch(0));
    return scope(() => Math.max(...rule.backbone.parameters().flatMap((p, i) => p.sub(before[i]!).abs().toNumbers())));
  };
  expect(moved(0)).toBe(0);
  expect(moved(0.2) / moved(0.1)).toBeCloseTo(2, 3);
});
