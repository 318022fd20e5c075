// Probes of every stage of a network: one pass over the images of each split, whatever the probe, and the network as it was.
import "../support/one-thread.js";
import { Generator, memory, noGrad, rand, scope, tensor } from "@stopgrad/torch";
import { describe, expect, it } from "vitest";
import { normalisationOf, slice } from "../../src/data/loader.js";
import type { ObservedData } from "../../src/experiment/observer.js";
import { collectFeatures, ProbeObserver } from "../../src/experiment/probe-observer.js";
import { knn } from "../../src/measures/knn.js";
import { mlpProbe } from "../../src/measures/mlp-probe.js";
import { probe } from "../../src/measures/probe.js";
import type { LearningRule } from "../../src/rules/index.js";
import { makeRule } from "../support/networks.js";

/** Images whose brightness is their class: 4 classes. */
function brightImages(count: number, seed: number): ObservedData["train"] {
  return scope(() => {
    const classes = tensor(BigInt64Array.from({ length: count }, (_, at) => BigInt((at * 7) % 4)));
    const brightness = classes.to("float32").mul(50).add(30).reshape([count, 1, 1, 1]);
    const grain = rand([count, 3, 8, 8], { generator: new Generator(seed) }).mul(40);
    return { images: grain.add(brightness).to("uint8"), labels: classes, count };
  });
}

const data: ObservedData = {
  train: brightImages(620, 1), // two parts of a pass
  test: brightImages(120, 2),
  normalisation: normalisationOf({ mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] }),
  classes: 4,
};

const network = () =>
  makeRule({ model: "resnet20", options: { width: 4 }, inputShape: [3, 8, 8], classes: 4, partition: 1 });

/** Counts the images that pass through the network. */
function counted(rule: LearningRule): { rule: LearningRule; images: () => number } {
  let images = 0;
  const readStages: LearningRule["readStages"] = (batch, read) => {
    images += batch.size(0);
    return rule.readStages(batch, read);
  };
  return { rule: { backbone: rule.backbone, readStages } as unknown as LearningRule, images: () => images };
}

describe.each([
  { measure: probe, options: { train: 300 } },
  { measure: mlpProbe, options: { train: 300, hidden: 16, epochs: 20, batch: 32, learningRate: 1e-2 } },
  { measure: knn, options: { train: 300, k: 5 } },
])("probes of all stages: $measure.key", ({ measure, options }) => {
  it("takes one pass over the images of each split, finds brightness, and leaves nothing behind", () => {
    const whole = network();
    const { rule, images } = counted(whole);
    const live = memory().liveTensors;
    rule.backbone.train();
    const found = new ProbeObserver(measure, options, data).observe(rule);
    expect(images()).toBe(300 + 120);
    expect(rule.backbone.training).toBe(true);
    expect(memory().liveTensors).toBe(live);
    const stages = rule.backbone.stages.map(({ name }) => name);
    expect(found.map(({ stage, key }) => [stage, key])).toEqual(
      stages.flatMap((stage) => ["Train", "Test"].map((split) => [stage, measure.key + split])),
    );
    for (const { value, problem, standardError } of found) {
      expect([problem, standardError]).toEqual([null, null]);
      expect(value).toBeGreaterThan(0.6);
      expect(value).toBeLessThanOrEqual(1);
    }
    expect(new ProbeObserver(measure, options, data).observe(rule)).toEqual(found);
    whole.dispose();
  });

  it("a stage that gives no numbers is a problem of its own, not the run's", () => {
    const rule = network();
    scope(() => [...rule.backbone.stages[6]!.parameters()][0]!.detach().mul_(Number.NaN));
    const found = new ProbeObserver(measure, options, data).observe(rule);
    for (const [at, { value, problem }] of found.entries()) {
      expect(problem).toBe(at < 12 ? null : "expected finite features, got NaN, infinity or numbers beyond float32");
      expect(Number.isNaN(value)).toBe(at >= 12);
    }
    rule.dispose();
  });

  it("ends where it is told to, with nothing left behind", () => {
    const rule = network();
    const live = memory().liveTensors;
    let asked = 0;
    const stop = () => {
      asked += 1;
      if (asked > 4) throw new Error("stop");
    };
    expect(() => new ProbeObserver(measure, options, data).observe(rule, stop)).toThrow("stop");
    expect(memory().liveTensors).toBe(live);
    rule.dispose();
  });
});

describe("collectFeatures", () => {
  it("gives what the stages give, reduced, in the images' order, across parts of a pass", () => {
    const rule = network();
    rule.backbone.eval();
    scope(() => {
      const collected = collectFeatures(rule, probe, data, { set: data.train, count: 510 });
      expect(collected.map(({ shape }) => shape[0])).toEqual(rule.backbone.stages.map(() => 510));
      const { images } = slice(data.train, 505, 5, data.normalisation);
      const direct = noGrad(() => rule.readStages(images, (output) => probe.reduce(output).clone()));
      for (const [at, features] of direct.entries()) {
        const far = collected[at]!.narrow(0, 505, 5).sub(features).abs().toNumbers();
        expect(Math.max(...far)).toBeLessThan(1e-5);
      }
    });
    rule.dispose();
  });
});
