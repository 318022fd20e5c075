// Decoders in training steps: which modules have one, what its error counts, and what its gradients reach. Whole steps
// against PyTorch are in greedy-steps.test.ts.
import "../support/one-thread.js";
import { arange, type Parameter, scope, type Tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { slice } from "../../src/data/loader.js";
import { losses } from "../../src/losses/index.js";
import { weightsOfModule } from "../../src/reconstruction/index.js";
import type { LearningRule } from "../../src/rules/index.js";
import { bytesOf, differing, expectClose, snapshot } from "../support/compare.js";
import { makeBatch, makeRule, type RuleSetup, trainingData } from "../support/networks.js";

const IMAGE = [3, 8, 8] as const;
const base: RuleSetup = {
  model: "resnet20",
  options: { width: 4 },
  inputShape: IMAGE,
  partition: { cuts: [3, 6, 8] },
  head: "auxiliary",
};
const batch = (at: number) => makeBatch(at, 8, IMAGE);
const weights = (reconstruction: number, label: number) => ({ reconstruction, label });
const same = (reconstruction: number, label: number) => ({
  first: weights(reconstruction, label),
  last: weights(reconstruction, label),
});

/** Losses of a rule's first step, then thrown away. */
function firstLosses(setup: Partial<RuleSetup>): number[] {
  const rule = makeRule({ ...base, ...setup });
  const { losses } = rule.step(batch(0));
  rule.dispose();
  return losses.map(({ loss }) => loss);
}

function parametersOf(rule: LearningRule): Map<string, Parameter> {
  return new Map([
    ...Array.from(rule.backbone.namedParameters(), ([name, one]) => [`backbone.${name}`, one] as const),
    ...Array.from(rule.auxiliary!.namedParameters(), ([name, one]) => [`heads.${name}`, one] as const),
  ]);
}

const decodersIn = (rule: LearningRule) =>
  [...rule.auxiliary!.namedChildren()].map(([name]) => name).filter((name) => name.endsWith("_decoder"));

describe("what the error counts", () => {
  test("each module's loss is λ₁ · error + λ₂ · loss, with weights from the first to the last local one", () => {
    const range = { first: weights(5, 0.5), last: weights(1, 2) };
    const label = firstLosses({ reconstruction: same(1e-9, 1) });
    const both = firstLosses({ reconstruction: same(1, 1) });
    const found = firstLosses({ reconstruction: range });
    const expected = label.map((loss, at) => {
      if (at === 3) return loss; // the classifier's
      const { reconstruction, label } = weightsOfModule(range.first, range.last, at, 4);
      return reconstruction * (both[at]! - loss) + label * loss;
    });
    expectClose(found, expected, 1e-5);
    // By hand: 5, 3, 1 and 0.5, 1.25, 2.
    expect(found[1]).toBeCloseTo(3 * (both[1]! - label[1]!) + 1.25 * label[1]!, 4);
  });

  test("the label alone is the loss without a decoder", () => {
    expect(firstLosses({ reconstruction: same(0, 1) })).toEqual(firstLosses({}));
  });
});

describe("which modules have a decoder", () => {
  test.each([
    ["attached", "cross-entropy", 3],
    ["detached", "supervised-contrastive", 4],
  ] as const)("a classifier that is %s: every module with a local loss", (classifier, loss, count) => {
    const rule = makeRule({
      ...base,
      classifier,
      loss: losses[loss],
      lossOptions: loss === "cross-entropy" ? {} : { views: 1 },
      reconstruction: same(1, 1),
    });
    const names = rule.moduleNames.slice(0, count).map((name) => `${name.replaceAll(".", "_")}_decoder`);
    expect(decodersIn(rule)).toEqual(names);
    rule.step(batch(0));
    rule.dispose();
  });

  test("none where the error does not count, and none for one module", () => {
    const rule = makeRule({ ...base, reconstruction: { first: weights(1, 1), last: weights(0, 1) } });
    expect(decodersIn(rule)).toHaveLength(2); // weights 1, 1/2 and 0
    rule.dispose();
    const whole = makeRule({ ...base, partition: 1, reconstruction: same(1, 1) });
    expect(whole.auxiliary).toBeNull();
    whole.dispose();
  });

  test("a module that does not end in a map is refused by name", () => {
    const vectors: RuleSetup = { model: "mlp", partition: 2, reconstruction: same(1, 1) };
    expect(() => makeRule(vectors)).toThrow(
      /reconstruction: expected features \[C, H, W\], got \[\d+\]; a decoder needs modules that end in feature maps/,
    );
  });
});

describe("what an error reaches", () => {
  const gradients = (reconstruction: RuleSetup["reconstruction"]) => {
    const rule = makeRule({ ...base, reconstruction: reconstruction! });
    rule.step(batch(0));
    const found = new Map(
      Array.from(parametersOf(rule), ([name, { grad }]) => [name, grad && scope(() => bytesOf(grad))]),
    );
    const names = rule.moduleNames.map((name) => name.replaceAll(".", "_"));
    const stages = rule.backbone.stages.map((stage) => [...stage.stateDict().keys()].map((key) => `backbone.${key}`));
    rule.dispose();
    return { found, names, stages };
  };

  test("its own decoder and its own module's stages; no head, and no other module", () => {
    // Weights of the three modules: 1, 1, 1 and 1, 2, 3.
    const one = gradients(same(1, 1));
    const more = gradients({ first: weights(1, 1), last: weights(3, 1) });
    const changed = [...one.found.keys()].filter(
      (name) => Buffer.compare(one.found.get(name)!, more.found.get(name)!) !== 0,
    );
    const modules = [one.stages.slice(0, 3), one.stages.slice(3, 6), one.stages.slice(6, 8), one.stages.slice(8)];
    expect(modules[3]).toHaveLength(2);
    const of = (at: number) => {
      const stages = new Set(modules[at]!.flat());
      return [...one.found.keys()].filter(
        (name) => stages.has(name) || name.startsWith(`heads.${one.names[at]}_decoder.`),
      );
    };
    expect(changed.sort()).toEqual([...of(1), ...of(2)].sort());
  });

  test("with a label that does not count a head gets gradients of 0, and the stages the decoder's alone", () => {
    const { found, names } = gradients(same(1, 0));
    for (const name of names.slice(0, 3)) {
      const head = [...found].filter(([key]) => key.startsWith(`heads.${name}.`));
      expect(head.length).toBeGreaterThan(0);
      for (const [, bytes] of head) expect(new Float32Array(bytes!.buffer).every((value) => value === 0)).toBe(true);
    }
    const stem = new Float32Array(found.get("backbone.conv1.weight")!.buffer);
    expect(stem.some((value) => value !== 0)).toBe(true);
  });
});

test("one module after the other, each on outputs computed once (InfoPro's asynchronous form), is sequential training", () => {
  const { set, normalisation } = trainingData(base);
  const part = (start: number, count: number) =>
    scope(() => ({ ...slice(set, start, count, normalisation), indices: arange(start, start + count) }));
  const run = (name: "sequential" | "asynchronous") => {
    const rule = makeRule({ ...base, schedule: { name }, reconstruction: same(2, 1), optimizer: "sgd" });
    for (const phase of rule.phases.keys()) {
      rule.enterPhase(phase);
      const before = snapshot(weightsOf(rule));
      for (const start of [0, 8]) scope(() => rule.step(part(start, 8)));
      // The phase's own module, head and decoder; batches seen count in them alone.
      const own = rule.moduleNames[phase]!.replaceAll(".", "_");
      const heads = differing(before, snapshot(weightsOf(rule))).filter((name) => name.startsWith("heads."));
      for (const name of heads) expect(name).toMatch(new RegExp(`^heads\\.${own}(_decoder)?\\.`));
      expect(heads.some((name) => name.includes("_decoder."))).toBe(phase < 3);
    }
    const numbers = [...weightsOf(rule).values()].flatMap((tensor) => scope(() => tensor.toNumbers()));
    rule.dispose();
    return numbers;
  };
  expectClose(run("asynchronous"), run("sequential"), 1e-5);
});

function weightsOf(rule: LearningRule): Map<string, Tensor> {
  return new Map([...rule.stateDict()].filter(([name]) => !name.startsWith("optimizer.")));
}
