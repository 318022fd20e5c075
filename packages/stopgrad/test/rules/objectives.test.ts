// Every registered loss in the partitioned rule: on every model, alone and with the nHSIC term, it isolates gradients,
// goes on bit for bit after saving and loading, and leaves nothing behind.
import "../support/one-thread.js";
import { amax, arange, eye, grad, linalgInverse, memory, noGrad, scope, type Tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import type { HeadName } from "../../src/heads/index.js";
import { type LocalLoss, losses } from "../../src/losses/index.js";
import { forwardThrough } from "../../src/models/index.js";
import type { Batch, LearningRule } from "../../src/rules/index.js";
import { differing, snapshot } from "../support/compare.js";
import { imagesOf } from "../support/formula.js";
import { makeBatch, makeRule, modelNames, type RuleSetup } from "../support/networks.js";

const lossNames = Object.keys(losses) as (keyof typeof losses)[];
const cases = modelNames.flatMap((model) => lossNames.map((loss) => ({ model, loss })));

function setupOf(model: RuleSetup["model"], name: keyof typeof losses): RuleSetup {
  const loss: LocalLoss = losses[name];
  const lossOptions = loss.options.parse({});
  const head = loss.heads[0] as HeadName;
  return { model, loss, lossOptions, head, partition: 2, classifier: loss.classifies ? "attached" : "detached" };
}

/** A batch with as many views as the rule compares. */
function batchFor(rule: LearningRule, at: number, count = 8): Batch {
  const { images, labels } = makeBatch(at, rule.views * count);
  return { images, labels: labels.narrow(0, 0, count).clone(), indices: arange(0, count) };
}

describe.each(cases)("$loss on $model", ({ model, loss }) => {
  test("a module's loss moves that module and what belongs to it; finite, nothing is left behind", () => {
    const rule = makeRule({ ...setupOf(model, loss), schedule: { name: "sequential" } });
    for (const [phase, { name }] of rule.phases.entries()) {
      rule.enterPhase(phase);
      const weights = () => snapshot(new Map([...rule.stateDict()].filter(([key]) => !key.startsWith("optimizer."))));
      const before = weights();
      const result = scope(() => rule.step(batchFor(rule, 1)));
      for (const one of result.losses) expect(Number.isFinite(one.loss), one.module).toBe(true);
      expect(result.losses.at(-1)!.module).toBe(name);
      const stages = new Set(stagesOf(rule, name).flatMap((stage) => [...stage.stateDict().keys()]));
      const heads = `heads.${name.replaceAll(".", "_")}`;
      const foreign = differing(before, weights()).filter((key) => {
        const own = key.startsWith("backbone.") && stages.has(key.slice("backbone.".length));
        return (
          !own && !key.startsWith(`${heads}.`) && !key.startsWith(`${heads}_loss.`) && !key.startsWith("heads.labels.")
        );
      });
      expect(foreign).toEqual([]);
      expect(differing(before, weights()).length).toBeGreaterThan(0);
      const live = memory().liveTensors;
      scope(() => rule.step(batchFor(rule, 2)));
      expect(memory().liveTensors).toBe(live);
    }
    rule.dispose();
  });

  test("goes on bit for bit after saving and loading", () => {
    const [one, other] = [0, 1].map(() => makeRule({ ...setupOf(model, loss), options: noDropout(model) }));
    scope(() => one!.step(batchFor(one!, 1)));
    other!.loadStateDict(one!.stateDict());
    for (const rule of [one!, other!]) scope(() => rule.step(batchFor(rule, 2)));
    expect(differing(snapshot(one!.stateDict()), snapshot(other!.stateDict()))).toEqual([]);
    one!.dispose();
    other!.dispose();
  });
});

const learning = [...modelNames, "resnet50" as const].flatMap((model) => lossNames.map((loss) => ({ model, loss })));

describe.each(learning)("$loss on $model", ({ model, loss }) => {
  test("every module learns a batch, and evaluation predicts", () => {
    const rule = makeRule({ ...setupOf(model, loss), options: noDropout(model), settings: { learningRate: 3e-3 } });
    const batch = batchFor(rule, 1, 12);
    const lossesOf = () => scope(() => rule.step(batch)).losses;
    const first = lossesOf();
    for (let step = 0; step < 20; step++) lossesOf();
    for (const [at, { module, loss: last }] of lossesOf().entries()) expect(last, module).toBeLessThan(first[at]!.loss);
    rule.backbone.eval();
    const predicted = scope(() => noGrad(() => rule.logits(batch.images)).shape);
    expect(predicted).toEqual([12 * rule.views, 10]);
    rule.dispose();
  });
});

/** Stages of a module by its name, or the classifier's. */
function stagesOf(rule: LearningRule, name: string) {
  const { stages, classifier } = rule.backbone;
  if (name === classifier?.name) return [classifier];
  const [first, last] = name.split("-");
  const from = stages.findIndex((stage) => stage.name === first);
  const to = stages.findIndex((stage) => stage.name === (last ?? first));
  const attached = to === stages.length - 1 && classifier ? [classifier] : [];
  return [...stages.slice(from, to + 1), ...attached];
}

function noDropout(model: RuleSetup["model"]): Record<string, unknown> {
  const width = { width: model === "resnet50" ? 2 : model === "mlp" ? 32 : 6 };
  return model.startsWith("resnet") || model.startsWith("vgg") || model === "vit" ? { ...width, dropout: 0 } : width;
}

describe("a loss that does not classify", () => {
  test("end to end leaves the last stage of LeNet-5 to the classifier's loss", () => {
    const rule = makeRule({ ...setupOf("lenet5", "supervised-contrastive"), partition: 1 });
    expect(rule.moduleNames).toEqual(["network"]);
    const { losses: found, correct } = scope(() => rule.step(batchFor(rule, 1)));
    expect(found.map(({ module }) => module)).toEqual(["network", "fc3"]);
    expect(correct).toBeGreaterThanOrEqual(0);
    rule.dispose();
  });

  test("counts each image once, however many views it has", () => {
    const rule = makeRule({ ...setupOf("mlp", "simclr"), partition: 1, settings: { learningRate: 0.01 } });
    const rows = Array.from({ length: 30 }, () => scope(() => rule.step(batchFor(rule, 1))).correct!);
    expect(Math.max(...rows)).toBeLessThanOrEqual(8);
    expect(Math.max(...rows)).toBeGreaterThan(2);
    for (const correct of rows) expect(Number.isInteger(2 * correct)).toBe(true); // of two views each
    rule.dispose();
  });
});

describe("signal propagation", () => {
  test("signals are normalised for themselves and leave the images' running statistics alone", () => {
    const rule = makeRule({ ...setupOf("resnet18", "signal-propagation"), options: { width: 6 } });
    const plain = makeRule({ model: "resnet18", options: { width: 6 }, partition: 2, classifier: "detached" });
    for (const one of [rule, plain]) scope(() => one.step(makeBatch(1)));
    const statistics = (one: LearningRule) =>
      new Map([...one.stateDict()].filter(([name]) => /bn1\.(running|num)/.test(name)));
    const stem = (one: LearningRule) =>
      snapshot(new Map([...statistics(one)].filter(([name]) => name.startsWith("backbone.bn1"))));
    expect(differing(stem(rule), stem(plain))).toEqual([]);
    for (const [name, count] of rule.stateDict())
      if (name.endsWith("num_batches_tracked")) expect(count.item()).toBe(1);
    rule.dispose();
    plain.dispose();
  });

  test("the projection of labels is trained first, and saved", () => {
    const rule = makeRule(setupOf("mlp", "signal-propagation"));
    const { losses: found } = scope(() => rule.step(makeBatch(1)));
    expect(found[0]!.module).toBe("labels");
    expect([...rule.stateDict().keys()].some((name) => name.startsWith("heads.labels."))).toBe(true);
    rule.dispose();
  });
});

/** K̃ (K̃ + ε N I)⁻¹ as it is defined, with every difference of rows and an explicit inverse, differentiable. */
function factorByHand(values: Tensor): Tensor {
  const rows = values.reshape([values.size(0), -1]).to("float64"); // [N, D]
  const [count, features] = [rows.size(0), rows.size(1)];
  const differences = rows.unsqueeze(0).sub(rows.unsqueeze(1)); // [N, N, D]
  const gram = differences
    .square()
    .sum([2])
    .mul(-1 / (2 * 25 * features))
    .exp();
  const identity = eye(count, { dtype: "float64" });
  const centring = identity.sub(1 / count);
  const centred = centring.matmul(gram).matmul(centring);
  return centred.matmul(linalgInverse(centred.add(identity.mul(1e-5 * count))));
}

describe("the nHSIC term", () => {
  /** Gradient of the first stage's weight after one step with learning rate 0 would be kept by the rule: read it there. */
  function gradientOf(nhsicTerm: RuleSetup["nhsic"]): { gradient: Tensor; loss: number } {
    const setup: RuleSetup = {
      model: "mlp",
      options: { width: 12 },
      partition: "stage",
      ...(nhsicTerm ? { nhsic: nhsicTerm } : {}),
    };
    const rule = makeRule(setup);
    const { losses: found } = scope(() => rule.step(makeBatch(1, 16)));
    const second = rule.backbone.stages[1]!.parameters()[0]!;
    const gradient = second.grad!.clone();
    rule.dispose();
    return { gradient, loss: found[1]!.loss };
  }

  test.each(["input", "module-input"] as const)(
    "with the %s is taken from the module's loss, with its gradient",
    (partner) => {
      scope(() => {
        const weight = 0.3;
        const without = gradientOf(undefined);
        const withTerm = gradientOf({ weight, with: partner });
        // By hand: the same network's second stage, nHSIC by its definition, differentiated by autograd.
        const rule = makeRule({ model: "mlp", options: { width: 12 }, partition: "stage" });
        const images = imagesOf("images/1", [16, 3, 16, 16]);
        const hidden = noGrad(() => forwardThrough(rule.backbone.stages.slice(0, 1), images));
        const stage = rule.backbone.stages[1]!;
        const other = noGrad(() => factorByHand(partner === "input" ? images : hidden));
        const term = other
          .mul(factorByHand(stage.forward(hidden)))
          .sum()
          .mul(-weight);
        const [expected] = grad([term], [stage.parameters()[0]!]);
        expect(withTerm.loss - without.loss).toBeCloseTo(term.item(), 4);
        const largest = amax(expected!.abs()).item();
        expect(largest).toBeGreaterThan(1e-4);
        const difference = withTerm.gradient.sub(without.gradient).sub(expected!);
        expect(amax(difference.abs()).item()).toBeLessThan(1e-3 * largest);
        rule.dispose();
      });
    },
  );
});
