// Information observed on networks: which stages, the same numbers each time, and nothing of the network or of the
// generators is touched.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Generator, rand, scope, tensor } from "@stopgrad/torch";
import { describe, expect, it, onTestFinished } from "vitest";
import { normalisationOf } from "../../src/data/loader.js";
import { createObserver, type ObservedData } from "../../src/experiment/observer.js";
import type { TrainingEvent } from "../../src/experiment/protocol.js";
import { settingsSchema } from "../../src/experiment/registries.js";
import type { ObserveSettings } from "../../src/experiment/run-settings.js";
import { measuredStages } from "../../src/experiment/streamed-observer.js";
import { train } from "../../src/experiment/trainer.js";
import type { LearningRule } from "../../src/rules/index.js";
import "../support/one-thread.js";
import { documentFromText } from "../../src/experiment/document.js";
import { makeRule } from "../support/networks.js";

/** Images whose brightness is their class: 4 classes. */
function brightImages(count: number, seed: number): ObservedData["train"] {
  const noise = new Generator(seed);
  const labels = Array.from({ length: count }, (_, at) => (at * 7) % 4);
  return scope(() => {
    const classes = tensor(labels, { dtype: "int64" });
    const brightness = classes.to("float32").mul(50).add(30).reshape([count, 1, 1, 1]);
    const grain = rand([count, 3, 8, 8], { generator: noise }).mul(40);
    return { images: grain.add(brightness).to("uint8"), labels: classes, count };
  });
}

const data: ObservedData = {
  train: brightImages(96, 1),
  test: brightImages(50, 2),
  normalisation: normalisationOf({ mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] }),
  classes: 4,
};

const settings = (given: object = {}): ObserveSettings => ({
  at: "end",
  firstEpoch: false,
  stages: "all",
  train: 64,
  test: null,
  batch: 16,
  epochs: 3,
  learningRate: 1e-2,
  ...given,
});

const observe = (rule: LearningRule, given: object = {}, breathe?: () => void) =>
  createObserver("information", settings(given), data).observe(rule, breathe);

const contextual = () =>
  makeRule({
    model: "resnet20",
    options: { width: 4 },
    inputShape: [3, 8, 8],
    classes: 4,
    partition: 3,
    head: "auxiliary",
    context: { fromInput: true, previousModules: 1 },
  });

describe("information of a network's stages", () => {
  it("is taken at all stages, where modules end, or where so many equal modules would end", () => {
    const rule = contextual();
    const stages = rule.backbone.stages.map(({ name }) => name);
    const measured = (given: object) => [...new Set(observe(rule, { epochs: 1, ...given }).map(({ stage }) => stage))];
    expect(measured({})).toEqual(stages);
    expect(rule.moduleEnds).toEqual([3, 6, 9]); // 10 stages: 4, 3 and 3
    expect(measured({ stages: "ends" })).toEqual([3, 6, 9].map((at) => stages[at]));
    expect(measured({ stages: 2 })).toEqual([4, 9].map((at) => stages[at]));
    expect(measuredStages(99, 3, [0])).toEqual([0, 1, 2]);
    expect(measuredStages("ends", 3, undefined)).toEqual([0, 1, 2]);
    rule.dispose();
  });

  it("finds what is there: brightness is the class", () => {
    const rule = contextual();
    const found = observe(rule, { stages: "ends", epochs: 8 });
    for (const { key, value, problem } of found) {
      expect(problem).toBeNull();
      if (key === "informationAccuracy") expect(value).toBeGreaterThan(0.8);
      if (key === "informationY") expect(value).toBeGreaterThan(0.6);
      if (key === "informationY") expect(value).toBeLessThan(Math.log(4));
      if (key === "reconstructionError") expect(value).toBeLessThan(Math.log(2));
    }
    expect(found.map(({ key }) => key).slice(0, 3)).toEqual([
      "informationY",
      "informationAccuracy",
      "reconstructionError",
    ]);
    rule.dispose();
  });

  it("leaves every tensor of the network as it is, and gives the same again, with other modules too", () => {
    const rule = contextual();
    rule.backbone.train();
    const before = new Map([...rule.stateDict()].map(([name, value]) => [name, value.toNumbers()]));
    const first = observe(rule, { stages: "ends" });
    expect(rule.backbone.training).toBe(true);
    for (const [name, value] of rule.stateDict()) expect([name, value.toNumbers()]).toEqual([name, before.get(name)]);
    for (const parameter of rule.backbone.parameters()) expect(parameter.grad).toBeNull();
    expect(observe(rule, { stages: "ends" })).toEqual(first);
    const alone = observe(rule, { stages: 1 });
    expect(first.slice(-3)).toEqual(alone); // the last stage, whatever is measured beside it
    rule.dispose();
  });

  it("ends where it is told to, with the network in its mode", () => {
    const rule = contextual();
    rule.backbone.train();
    let asked = 0;
    const stop = () => {
      asked += 1;
      if (asked > 20) throw new Error("stop");
    };
    expect(() => observe(rule, {}, stop)).toThrow("stop");
    expect(rule.backbone.training).toBe(true);
    rule.dispose();
  });

  it("a stage that gives no numbers is a problem of its own, not the run's", () => {
    const rule = contextual();
    const { weight } = rule.backbone.stages[6]!.parts as unknown as { weight?: unknown };
    expect(weight).toBeUndefined();
    scope(() => {
      const last = [...rule.backbone.stages[6]!.parameters()][0]!;
      last.detach().mul_(Number.NaN);
    });
    const found = observe(rule, { stages: "ends" });
    const problems = found.filter(({ key }) => key === "informationY").map(({ problem }) => problem);
    expect(problems).toEqual([
      null,
      "expected finite features, got NaN or infinity",
      "expected finite features, got NaN or infinity",
    ]);
    expect(found.filter(({ problem }) => problem !== null).every(({ value }) => Number.isNaN(value))).toBe(true);
    rule.dispose();
  });

  it("stands in a run's summary, beside the stages' other measures", async () => {
    const directory = mkdtempSync(join(tmpdir(), "stopgrad-information-"));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    const text = `data: { name: glyphs, train: 96, test: 64, batch: 32 }
model: { name: mlp, width: 16 }
partition: 2
epochs: 1
observe: { information: { stages: ends, epochs: 2, train: 64 } }
`;
    const [settings] = settingsSchema.expand(documentFromText(text, "file.yaml")).runs;
    const events: TrainingEvent[] = [];
    const job = {
      settings: settings!,
      directory,
      dataDirs: [],
      resume: false,
      retrainFrom: null,
      startedAt: Date.now(),
    };
    await train(job, { emit: async (event) => void events.push(event), shouldStop: () => false });
    const last = events.at(-1)!;
    const stages = last.type === "completed" ? last.summary.stages : [];
    const measured = stages.filter(({ informationAccuracy }) => informationAccuracy !== undefined);
    expect(measured.length).toBe(2);
    expect(stages.length).toBeGreaterThan(2);
    const points = events.flatMap((event) => (event.type === "metrics" ? event.points : []));
    for (const { name, informationY, informationAccuracy, reconstructionError } of measured) {
      const value = (key: string) => points.find((point) => point.key === key && point.stage === name)!.value;
      expect([informationY, informationAccuracy, reconstructionError]).toEqual(
        ["informationY", "informationAccuracy", "reconstructionError"].map(value),
      );
    }
  });

  it("settings: defaults, and what is refused", () => {
    const text = (observe: string) => `data: { name: glyphs, train: 96, test: 64 }
model: mlp
epochs: 1
observe: { information: ${observe} }
`;
    const parse = (observe: string) => settingsSchema.expand(documentFromText(text(observe), "file.yaml")).runs[0]!;
    expect(parse("true").observe.information).toEqual({
      at: "end",
      firstEpoch: false,
      stages: "all",
      train: 5000,
      test: null,
      batch: 128,
      epochs: 10,
      learningRate: 1e-2,
    });
    expect(parse("{ stages: 4, every: 2, train: 96 }").observe.information).toMatchObject({
      stages: 4,
      every: 2,
      train: 96,
    });
    // The default is for data sets of any size; a number that is asked for is not cut.
    expect(() => parse("{ train: 97 }")).toThrow("observe.information.train: expected at most the 96 training images");
    expect(() => parse("{ stages: 6 }")).toThrow(
      "observe.information.stages: expected at most the 5 stages of mlp, got 6",
    );
    expect(() => parse("{ stages: end }")).toThrow(/all, ends \(of modules\) or a number of equal modules/);
    expect(() => parse("{ batches: 4 }")).toThrow(/unknown key/);
  });
});
