// A detached classifier: trained on features behind a stop-gradient, and it is what predicts.
import "../support/one-thread.js";
import { crossEntropy, noGrad, randn, scope } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import type { Partition } from "../../src/experiment/partition.js";
import { countCorrect } from "../../src/rules/index.js";
import { differing, snapshot } from "../support/compare.js";
import { makeBatch, makeRule } from "../support/networks.js";

const partitions: Partition[] = [1, 2, "stage"];

describe.each(partitions)("ResNet-18, partition %s", (partition) => {
  const setup = { model: "resnet18", options: { width: 6 }, partition, classifier: "detached" } as const;

  test("predicts, and its loss and hits are the step's", () => {
    const rule = makeRule(setup);
    const twin = makeRule(setup).backbone.train();
    const { images, labels, indices } = makeBatch(0);
    const { loss, correct } = scope(() => {
      const logits = twin.forward(images);
      return { loss: crossEntropy(logits, labels).item(), correct: countCorrect(logits, labels) };
    });
    const result = rule.step({ images, labels, indices });
    expect(result.losses.at(-1)).toEqual({ module: "classifier", loss });
    expect(result.loss).toBe(loss);
    expect(result.correct).toBe(correct);
    expect(result.losses.map(({ module }) => module)).toEqual([...rule.moduleNames, "classifier"]);

    rule.backbone.eval();
    let features = images;
    for (const stage of rule.backbone.stages) features = stage.forward(features);
    const classified = rule.backbone.classifier!.forward(features);
    expect(rule.logits(images).toNumbers()).toEqual(classified.toNumbers());
  });

  test("learns from the features without moving them", () => {
    const rule = makeRule(setup);
    const twin = makeRule(setup);
    noGrad(() =>
      scope(() => {
        for (const parameter of twin.backbone.classifier!.parameters()) parameter.add_(randn(parameter.shape));
      }),
    );
    const before = snapshot(rule.backbone.classifier!.stateDict());
    rule.step(makeBatch(0));
    twin.step(makeBatch(0));
    expect(differing(before, snapshot(rule.backbone.classifier!.stateDict()))).toEqual(["fc.weight", "fc.bias"]);
    const stages = (of: typeof rule) =>
      new Map(of.backbone.stages.flatMap((stage) => [...snapshot(stage.stateDict())]));
    expect(differing(stages(rule), stages(twin))).toEqual([]);
  });

  test("every module has a head of its own, the last one too; attached, the classifier is the last one's", () => {
    const named = (classifier: "attached" | "detached") => {
      const rule = makeRule({ ...setup, classifier });
      return [
        rule.moduleNames.length,
        new Set(Array.from(rule.stateDict().keys()).flatMap((name) => /^heads\.([^.]+)/.exec(name)?.[1] ?? [])).size,
      ];
    };
    const [modules, detached] = named("detached");
    expect(detached).toBe(modules);
    expect(named("attached")).toEqual([modules, modules! - 1]);
  });
});

test("a network whose last stage gives the logits has no classifier to detach", () => {
  const [attached, detached] = (["attached", "detached"] as const).map((classifier) => {
    const rule = makeRule({ model: "lenet5", partition: "stage", classifier });
    return [rule.step(makeBatch(0)), ...snapshot(rule.stateDict())];
  });
  expect(detached).toEqual(attached);
});

test("training improves what the step reports", () => {
  const rule = makeRule({ model: "lenet5", options: {}, partition: "stage", settings: { learningRate: 3e-3 } });
  const results = Array.from({ length: 60 }, () => scope(() => rule.step(makeBatch(0, 32))));
  const [first, last] = [results[0]!, results.at(-1)!];
  expect(last.loss).toBeLessThan(0.2 * first.loss);
  for (const [at, { loss }] of last.losses.entries()) expect(loss).toBeLessThan(first.losses[at]!.loss);
  expect(last.correct).toBeGreaterThan(28);
});
