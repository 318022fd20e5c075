// Forward-Forward: its loss by hand, whole trainings beside an independent PyTorch transcription
// (fixtures/record-forward-forward.py), isolation of blocks, phases, prediction, saving, and learning.
import "../support/one-thread.js";
import { existsSync, readFileSync } from "node:fs";
import {
  arange,
  cat,
  Generator,
  grad,
  memory,
  noGrad,
  randint,
  randn,
  relu,
  scope,
  type Tensor,
  tensor,
} from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import {
  EpochOrder,
  type Normalisation,
  normalisationOf,
  slice,
  type TensorSet,
  tensorSet,
} from "../../src/data/loader.js";
import { dataDirectories } from "../../src/data/locate.js";
import { mnist } from "../../src/data/mnist.js";
import { evaluate } from "../../src/experiment/evaluate.js";
import { heads } from "../../src/heads/index.js";
import { losses } from "../../src/losses/index.js";
import { type Backbone, type ModelName, models } from "../../src/models/index.js";
import { optimizers } from "../../src/optimizers/index.js";
import { forwardForward, forwardForwardLoss, unit } from "../../src/rules/forward-forward.js";
import type { Batch, LearningRule, RuleContext, TrainingData } from "../../src/rules/index.js";
import { type LabelEmbeddingName, labelEmbeddings } from "../../src/rules/label-embedding.js";
import { bytesOf, differing, expectClose, snapshot } from "../support/compare.js";
import { imagesOf, type Summary, setState, summaryError, summaryOf, values } from "../support/formula.js";
import { makeBackbone, makeBatch, modelNames, smallOptions, trainingData } from "../support/networks.js";

interface Setup {
  options?: Record<string, unknown>;
  shape?: readonly [number, number, number];
  classes?: number;
  model?: ModelName;
  modelOptions?: Record<string, unknown>;
  training?: TrainingData;
  seed?: number;
  rate?: number;
  sequential?: boolean;
  context?: Partial<RuleContext>;
  generator?: Generator;
}

function makeRule(setup: Setup): LearningRule {
  const { options = {}, shape = [1, 8, 8], classes = 3, model = "mlp", seed = 1 } = setup;
  const backbone = models[model].create(setup.modelOptions ?? smallOptions(model), {
    inputShape: forwardForward.inputShape!(options, shape) as [number, number, number],
    classes,
    generator: new Generator(seed),
    dropoutGenerator: new Generator(seed + 1000),
  });
  return forwardForward.create(options, {
    backbone,
    inputShape: shape,
    classes,
    precision: "float32",
    moduleSizes: [backbone.stages.length],
    frozenStages: 0,
    classifier: "attached",
    format: { epochs: null, learningRate: null },
    schedule: { name: setup.sequential ? "sequential" : "simultaneous", statistics: "fixed" },
    loss: { entry: losses["cross-entropy"], options: {} },
    head: { entry: heads.linear, options: {} },
    nhsic: null,
    reconstruction: null,
    context: null,
    segments: null,
    optimizer: { entry: optimizers.adam, settings: { learningRate: setup.rate ?? 0.03, weightDecay: 0 } },
    headGenerator: new Generator(seed + 2000),
    contextGenerator: new Generator(seed + 4000),
    dropoutGenerator: new Generator(seed + 1000),
    ruleGenerator: setup.generator ?? new Generator(seed + 3000),
    training: setup.training ?? trainingData({ model, inputShape: shape, classes }),
    ...setup.context,
  });
}

const batchOf = (at: number, count = 5, shape: readonly number[] = [1, 8, 8], classes = 3): Batch =>
  makeBatch(at, count, shape, classes);

/** Runs every phase for so many steps, and gives the losses of each step. */
function train(rule: LearningRule, steps: number, batch: (at: number) => Batch): number[][] {
  let at = 0;
  return rule.phases.flatMap((_, phase) => {
    rule.enterPhase(phase);
    return Array.from({ length: steps }, () => scope(() => rule.step(batch(at++)).losses.map(({ loss }) => loss)));
  });
}

test("the loss by hand: θ = 2, G = 3 and 1 for right labels, 2.5 and 0.5 for wrong ones", () => {
  scope(() => {
    const goodness = tensor([3, 1, 2.5, 0.5], { dtype: "float64" }).requiresGrad_();
    const loss = forwardForwardLoss(goodness, 2);
    expect(loss.item()).toBeCloseTo(0.7005034092998, 12);
    const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
    const expected = [-sigmoid(-1), -sigmoid(1), sigmoid(0.5), sigmoid(-1.5)].map((slope) => slope / 4);
    expectClose(grad(loss, goodness)[0]!.toNumbers(), expected, 1e-12);
    const extreme = forwardForwardLoss(tensor([1e4, 0, 0, 1e4], { dtype: "float64" }), 2).item();
    expect(extreme).toBeCloseTo((0 + 2 + 0 + 9998) / 4 + 2 * Math.log1p(Math.exp(-2)) / 4, 6); // biome-ignore format: terms
  });
});

test("a block's input has length 1, all but the batch taken as one dimension; zeros stay zeros", () => {
  scope(() => {
    const scaled = unit(
      tensor([
        [[[3, 0]], [[0, 4]]],
        [[[0, 0]], [[0, 0]]],
      ]),
    )
      .flatten(1)
      .toNested() as number[][];
    expectClose(scaled[0]!, [3 / 5.0001, 0, 0, 4 / 5.0001], 1e-6);
    expect(scaled[1]).toEqual([0, 0, 0, 0]);
  });
});

describe("beside plain PyTorch", () => {
  interface Recorded {
    losses: number[][];
    scores: number[];
    state: Record<string, Summary>;
  }
  const { runs } = JSON.parse(readFileSync(new URL("../fixtures/forward-forward.json", import.meta.url), "utf8")) as {
    runs: Record<string, Recorded>;
  };

  const COUNT = 9;
  /** Pixels by formula; normalised pixel / 64 − 2. */
  const formulaTraining = (shape: readonly number[]): TrainingData => {
    const pixels = values("training", COUNT * shape.reduce((product, side) => product * side, 1));
    const channels = [1, shape[0]!, 1, 1];
    return {
      set: {
        images: tensor(
          Uint8Array.from(pixels, (v) => Math.floor((v + 1) * 128)),
          { shape: [COUNT, ...shape] },
        ),
        labels: tensor(BigInt64Array.from({ length: COUNT }, (_, i) => BigInt((5 * i + 1) % 3))),
        count: COUNT,
      },
      normalisation: {
        scale: tensor(new Float32Array(shape[0]!).fill(1 / 64), { shape: channels }),
        shift: tensor(new Float32Array(shape[0]!).fill(-2), { shape: channels }),
      },
      batch: 4,
      scratch: "",
    };
  };
  const grey = [1, 8, 8] as const;
  const colour = [2, 8, 8] as const;
  const peers = { weight: 0.03, momentum: 0.9 };
  const block = { mixing: "block" };
  const setups: Record<string, Setup & { steps: number }> = {
    "original, simultaneous": { shape: grey, steps: 4 },
    "original, sequential, two channels": { shape: colour, steps: 3, sequential: true },
    "class means subtracted, with peers": {
      shape: grey,
      steps: 3,
      sequential: true,
      options: { embedding: "average-subtraction", peerNormalisation: peers },
    },
    "class means subtracted before each block": {
      shape: grey,
      steps: 3,
      sequential: true,
      options: { embedding: "average-subtraction", ...block },
    },
    "examples mixed in before each block, cnn": {
      shape: colour,
      steps: 3,
      model: "cnn",
      options: {
        embedding: "fixed-example-mixture",
        ...block,
        peerNormalisation: { weight: 0.5, momentum: 0.5 },
      },
    },
    "class means beside the image, sums, cnn": {
      shape: colour,
      steps: 3,
      model: "cnn",
      sequential: true,
      options: { embedding: "average-2channel", goodness: "sum" },
    },
  };

  test("every recorded training is compared", () => {
    expect(Object.keys(setups)).toEqual(Object.keys(runs));
  });

  test.each(Object.entries(setups))("%s: losses, weights and scores agree to 2e-5", (name, setup) => {
    scope(() => {
      const expected = runs[name]!;
      const shape = setup.shape!;
      const rule = makeRule({ ...setup, modelOptions: { width: 6 }, training: formulaTraining(shape) });
      setState(rule.backbone.stateDict());
      const found = train(rule, setup.steps, (at) => batchOf(at, 5, shape));
      expect(found).toHaveLength(expected.losses.length);
      for (const [at, step] of found.entries()) expectClose(step, expected.losses[at]!, 2e-5);
      const state = rule.backbone.stateDict();
      expect([...state.keys()].sort()).toEqual(Object.keys(expected.state).sort());
      for (const [entry, want] of Object.entries(expected.state)) {
        const actual = state.get(entry)!;
        expect(summaryError(summaryOf(actual), want, actual.numel), entry).toBeLessThan(2e-5);
      }
      rule.backbone.eval();
      expectClose(rule.logits(imagesOf("test", [4, ...shape])).toNumbers(), expected.scores, 5e-5);
      rule.dispose();
    });
  });
});

describe("blocks", () => {
  const cases = [
    { model: "mlp", mixing: "input", embedding: "top-left" },
    { model: "cnn", mixing: "block", embedding: "average-mixture" },
  ] as const;

  test.each(cases)("$model, mixing $mixing: whatever later blocks hold, a block learns the same bits", (one) => {
    const { model, ...options } = one;
    const learn = (disturbed: number) => {
      const rule = makeRule({ model, options });
      noGrad(() =>
        scope(() => {
          for (const stage of rule.backbone.stages.slice(disturbed)) {
            for (const parameter of stage.parameters()) parameter.add_(randn(parameter.shape));
          }
        }),
      );
      train(rule, 2, (at) => batchOf(at));
      const state = rule.backbone.stages.map((stage) => snapshot(stage.stateDict()));
      rule.dispose();
      return state;
    };
    const count = makeBackbone({ model, inputShape: [1, 8, 8] }).stages.length;
    const plain = learn(count);
    for (let disturbed = 1; disturbed < count; disturbed++) {
      const changed = learn(disturbed);
      for (let at = 0; at < count; at++) {
        expect(differing(plain[at]!, changed[at]!).length === 0, `block ${at}`).toBe(at < disturbed);
      }
    }
  });

  test("a block's gradient is that of its own loss, for what the blocks below give, and nothing else's", () => {
    // SGD without momentum at rate 1: the parameters move by the gradient.
    const rule = makeRule({ options: { embedding: "average-subtraction" }, classes: 2, context: sgd(1) });
    scope(() => {
      const { images, labels } = batchOf(0, 4, [1, 8, 8], 2);
      const before = rule.backbone.stages.map((stage) => stage.parameters().map((parameter) => parameter.clone()));
      const means = meansOf(trainingData({ model: "mlp", inputShape: [1, 8, 8], classes: 2 }), 2);
      const stages = makeBackbone({ model: "mlp", inputShape: [1, 8, 8], classes: 2 }).stages;
      const wrong = labels.neg().add(1);
      let rows = images.repeat([2, 1, 1, 1]).sub(means.indexSelect(0, labels.to("int64").repeat([2])));
      rows.narrow(0, 4, 4).copy_(images.sub(means.indexSelect(0, wrong)));
      const expected = stages.map((stage) => {
        const hidden = relu(stage.forward(unit(rows)));
        const goodness = hidden.square().mean([1]);
        rows = hidden.detach();
        return grad(forwardForwardLoss(goodness, 2), stage.parameters()).map((one) => one!.toNumbers());
      });
      rule.step({ images, labels, indices: labels });
      for (const [at, stage] of rule.backbone.stages.entries()) {
        for (const [i, parameter] of stage.parameters().entries()) {
          expectClose(before[at]![i]!.sub(parameter).toNumbers(), expected[at]![i]!, 1e-6);
        }
      }
    });
    rule.dispose();
  });

  test("each has an optimizer of its own, and gradients stay within a step's phase", () => {
    const rule = makeRule({ sequential: true });
    rule.step(batchOf(0));
    const named = [...rule.stateDict().keys()].filter((name) => /^optimizer\..*exp_avg$/.test(name));
    expect(named).toEqual(["optimizer.fc1.state.0.exp_avg", "optimizer.fc1.state.1.exp_avg"]);
    const withGradients = () => rule.backbone.stages.filter((stage) => stage.parameters().some(({ grad }) => grad));
    expect(withGradients().map(({ name }) => name)).toEqual(["fc1"]);
    rule.enterPhase(2);
    expect(withGradients()).toEqual([]);
    const before = snapshot(rule.backbone.stateDict());
    expect(rule.step(batchOf(1)).losses.map(({ module }) => module)).toEqual(["fc3"]);
    expect(differing(before, snapshot(rule.backbone.stateDict()))).toEqual(["fc3.weight", "fc3.bias"]);
    rule.dispose();
  });

  test("frozen ones keep batch norm's statistics, unless they are to move", () => {
    for (const statistics of ["fixed", "moving"] as const) {
      const rule = makeRule({
        model: "resnet18",
        shape: [3, 16, 16],
        options: { embedding: "average-subtraction" },
        context: { schedule: { name: "sequential", statistics } },
      });
      rule.enterPhase(2);
      const before = snapshot(rule.backbone.stateDict());
      rule.step(batchOf(0, 4, [3, 16, 16]));
      const changed = differing(before, snapshot(rule.backbone.stateDict()));
      const below = changed.filter((name) => !name.startsWith("layer1.1."));
      expect(below.every((name) => /running|num_batches/.test(name))).toBe(true);
      expect(below.length > 0).toBe(statistics === "moving");
      expect(changed).toContain("layer1.1.conv1.weight");
      rule.dispose();
    }
  });

  test("those of another run stay as they are", () => {
    const rule = makeRule({ sequential: true, context: { frozenStages: 2 } });
    expect(rule.phases.map(({ name }) => name)).toEqual(["fc3", "fc4", "fc5"]);
    const before = snapshot(rule.backbone.stateDict());
    train(rule, 1, (at) => batchOf(at));
    const changed = differing(before, snapshot(rule.backbone.stateDict()));
    expect(changed.filter((name) => /^fc[12]/.test(name))).toEqual([]);
    expect(changed).toHaveLength(6);
    rule.dispose();
  });

  test.each(modelNames)("are the stages of %s, and its classifier", (model) => {
    scope(() => {
      const rule = makeRule({ model, shape: [3, 16, 16], classes: 10, options: { embedding: "average-mixture" } });
      const { stages, classifier } = rule.backbone;
      const names = [...stages, ...(classifier ? [classifier] : [])].map(({ name }) => name);
      expect(rule.moduleNames).toEqual(names);
      const result = rule.step(makeBatch(0, 4));
      expect(result.losses.map(({ module }) => module)).toEqual(names);
      for (const { loss } of result.losses) expect(Number.isFinite(loss)).toBe(true);
      expect(result.correct).toBeNull();
      expect(result.loss).toBeCloseTo(result.losses.reduce((sum, { loss }) => sum + loss, 0) / names.length, 12);
      rule.backbone.eval();
      expect(rule.logits(makeBatch(1, 3).images).shape).toEqual([3, 10]);
      rule.dispose();
    });
  });
});

const sgd = (learningRate: number): Partial<RuleContext> => ({
  optimizer: { entry: optimizers.sgd, settings: { learningRate, weightDecay: 0 } },
});

/** Mean normalised training image of each class. */
function meansOf({ set, normalisation }: TrainingData, classes: number): Tensor {
  return scope(() => {
    const { images, labels } = slice(set, 0, set.count, normalisation);
    const list = labels.toNumbers();
    const rows = Array.from({ length: classes }, (_, k) => {
      const mine = list.flatMap((label, i) => (label === k ? [i] : []));
      return images
        .indexSelect(0, tensor(BigInt64Array.from(mine, BigInt)))
        .mean([0])
        .toNumbers();
    });
    return tensor(Float32Array.from(rows.flat()), { shape: [classes, ...set.images.shape.slice(1)] });
  });
}

describe("prediction", () => {
  /** By hand, image by image and label by label: the blocks' goodness. */
  const goodnessOf = (backbone: Backbone, images: Tensor, means: Tensor, upTo: number): number[][][] =>
    Array.from({ length: images.size(0) }, (_, n) =>
      Array.from({ length: means.size(0) }, (_, k) => {
        let rows = images.narrow(0, n, 1).sub(means.narrow(0, k, 1));
        return backbone.stages.slice(0, upTo).map((stage) => {
          rows = relu(stage.forward(unit(rows)));
          return rows.square().mean().item();
        });
      }),
    );
  const options = { embedding: "average-subtraction" };
  const summed = (goodness: number[][][], first = 0) =>
    goodness.flatMap((labels) => labels.map((blocks) => blocks.slice(first).reduce((sum, g) => sum + g, 0)));

  test("is the goodness of each label, summed over blocks, with or without the first", () => {
    scope(() => {
      for (const skipFirst of [false, true]) {
        const rule = makeRule({ options: { ...options, skipFirst } });
        const { images } = batchOf(3, 6);
        const means = meansOf(trainingData({ model: "mlp", inputShape: [1, 8, 8], classes: 3 }), 3);
        const scores = rule.logits(images);
        expect(scores.shape).toEqual([6, 3]);
        expectClose(scores.toNumbers(), summed(goodnessOf(rule.backbone, images, means, 5), skipFirst ? 1 : 0), 1e-5);
        rule.dispose();
      }
    });
  });

  test("is made by the blocks that have begun to learn, by all when no phase has begun", () => {
    scope(() => {
      const rule = makeRule({ options: { ...options, skipFirst: true }, sequential: true });
      const { images } = batchOf(3, 4);
      const means = meansOf(trainingData({ model: "mlp", inputShape: [1, 8, 8], classes: 3 }), 3);
      const whole = rule.logits(images).toNumbers();
      for (const upTo of [1, 3, 5]) {
        rule.enterPhase(upTo - 1);
        const expected = summed(goodnessOf(rule.backbone, images, means, upTo), upTo > 1 ? 1 : 0);
        expectClose(rule.logits(images).toNumbers(), expected, 1e-5);
      }
      expect(rule.logits(images).toNumbers()).toEqual(whole);
      rule.dispose();
    });
  });

  test("of an image does not depend on what else is in its batch, for any embedding", () => {
    scope(() => {
      for (const embedding of labelEmbeddings) {
        const rule = makeRule({ options: { embedding }, model: "cnn" });
        rule.backbone.eval();
        const { images } = batchOf(3, 7);
        const apart = [images.narrow(0, 0, 3), images.narrow(0, 3, 4)].flatMap((part) => rule.logits(part).toNumbers());
        expectClose(rule.logits(images).toNumbers(), apart, 1e-5);
        rule.dispose();
      }
    });
  });

  test("takes no more images at a time than 128 MiB of a block's activations hold", () => {
    scope(() => {
      const rule = makeRule({ model: "cnn", modelOptions: { width: 2 }, shape: [1, 128, 128], classes: 10 });
      const sizes: number[] = [];
      const [first] = rule.backbone.stages;
      const forward = first!.forward.bind(first);
      first!.forward = (input) => {
        sizes.push(input.size(0));
        return forward(input);
      };
      expect(rule.logits(makeBatch(0, 70, [1, 128, 128]).images).shape).toEqual([70, 10]);
      const atOnce = Math.floor(2 ** 27 / (10 * 4 * 124 * 124 * 4)); // the second block is the largest
      expect(atOnce).toBe(54);
      expect(sizes.slice(0, -1).every((size) => size === 10 * atOnce)).toBe(true);
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(700);
      rule.dispose();
    });
  });

  test("leaves training alone: neither weights nor draws change", () => {
    const generator = new Generator(5);
    const rule = makeRule({ options: { embedding: "random-example-mixture" }, generator });
    rule.step(batchOf(0));
    const [state, draws] = [snapshot(rule.stateDict()), bytesOf(generator.getState())];
    rule.logits(batchOf(1).images);
    expect(differing(state, snapshot(rule.stateDict()))).toEqual([]);
    expect(Buffer.compare(draws, bytesOf(generator.getState()))).toBe(0);
    rule.dispose();
  });

  test("by a linear classifier has a last phase, in which nothing else learns", () => {
    scope(() => {
      const rule = makeRule({ options: { prediction: "linear", linear: { epochs: 2, learningRate: 0.01 } } });
      expect(rule.phases.map(({ name, epochs, learningRate }) => [name, epochs, learningRate])).toEqual([
        ["all", null, null],
        ["linear", 2, 0.01],
      ]);
      expect(rule.auxiliary!.stateDict().get("linear.weight")!.shape).toEqual([3, 6 + 6 + 6 + 3]);
      rule.enterPhase(1);
      const before = snapshot(rule.stateDict());
      const { images, labels, indices } = batchOf(0);
      const logits = rule.logits(images);
      const result = rule.step({ images, labels, indices });
      const expected = logits.argmax(1).eq(labels).sum().item();
      expect(result).toMatchObject({ correct: expected, losses: [{ module: "linear" }] });
      const changed = differing(before, snapshot(rule.stateDict()));
      expect(changed.every((name) => name.startsWith("heads.linear.") || name.startsWith("optimizer.linear."))).toBe(
        true,
      );
      // Scaled to a mean square of 1, with the mean of all prototypes subtracted.
      const means = meansOf(trainingData({ model: "mlp", inputShape: [1, 8, 8], classes: 3 }), 3);
      const other = makeRule({ options: { ...options, prediction: "linear" } });
      let rows = images.sub(means.mean([0], { keepDim: true }));
      const weight = other.auxiliary!.stateDict().get("linear.weight")!;
      let [sum, at] = [other.auxiliary!.stateDict().get("linear.bias")!.unsqueeze(0), 0];
      for (const [i, stage] of other.backbone.stages.entries()) {
        rows = relu(stage.forward(unit(rows)));
        if (i === 0) continue;
        const size = rows.size(1);
        sum = sum.add(
          unit(rows)
            .mul(Math.sqrt(size))
            .matmul(weight.narrow(1, at, size).t()),
        );
        at += size;
      }
      expectClose(other.logits(images).toNumbers(), sum.toNumbers(), 1e-5);
      other.dispose();
      rule.dispose();
    });
  });
});

describe("a saved rule", () => {
  const options = { embedding: "random-example-subtraction", peerNormalisation: {}, prediction: "linear" };
  const cloned = (state: Map<string, Tensor>) => new Map([...state].map(([name, entry]) => [name, entry.clone()]));

  test.each(["simultaneous", "sequential"] as const)("%s, goes on bit for bit", (name) => {
    scope(() => {
      const sequential = name === "sequential";
      const generator = new Generator(5);
      const rule = makeRule({ options, sequential, generator });
      const phases = rule.phases.length;
      for (let phase = 0; phase < phases; phase++) {
        rule.enterPhase(phase);
        rule.step(batchOf(2 * phase));
        const saved = cloned(rule.stateDict());
        const draws = generator.getState();
        const expected = rule.step(batchOf(2 * phase + 1));

        const otherGenerator = new Generator(6);
        const other = makeRule({ options, sequential, seed: 9, generator: otherGenerator });
        other.loadStateDict(saved);
        otherGenerator.setState(draws);
        other.enterPhase(phase);
        expect(other.step(batchOf(2 * phase + 1))).toEqual(expected);
        expect(differing(snapshot(rule.stateDict()), snapshot(other.stateDict()))).toEqual([]);
        const { images } = batchOf(50);
        expect(other.logits(images).toNumbers()).toEqual(rule.logits(images).toNumbers());
        other.dispose();
      }
      rule.dispose();
    });
  });

  test("that does not fit is refused, and nothing is changed", () => {
    scope(() => {
      const source = makeRule({ seed: 7 });
      source.step(batchOf(0));
      for (const [spoil, message] of [
        [(saved: Map<string, Tensor>) => saved.delete("backbone.fc3.bias"), /missing backbone\.fc3\.bias/],
        [(saved: Map<string, Tensor>) => saved.delete("optimizer.fc4.state.1.exp_avg_sq"), /exp_avg_sq/],
        [(saved: Map<string, Tensor>) => saved.delete("optimizer.fc5.param_groups.0.params"), /2 parameters/],
      ] as const) {
        const saved = cloned(source.stateDict());
        spoil(saved);
        const rule = makeRule({ seed: 8 });
        rule.step(batchOf(1));
        const before = snapshot(rule.stateDict());
        expect(() => rule.loadStateDict(saved)).toThrow(message);
        expect(differing(before, snapshot(rule.stateDict()))).toEqual([]);
        rule.dispose();
      }
      source.dispose();
    });
  });

  test("the learning rate is the one set last, of every block", () => {
    scope(() => {
      const rule = makeRule({ context: sgd(1) });
      rule.setLearningRate(0);
      const before = snapshot(rule.backbone.stateDict());
      rule.step(batchOf(0));
      expect(differing(before, snapshot(rule.backbone.stateDict()))).toEqual([]);
      rule.setLearningRate(0.5);
      rule.step(batchOf(0));
      expect(differing(before, snapshot(rule.backbone.stateDict()))).toHaveLength(10);
      rule.dispose();
    });
  });
});

describe("a step leaves nothing behind", () => {
  const cases: { options: Record<string, unknown>; sequential: boolean }[] = [
    { options: {}, sequential: true },
    { options: { embedding: "random-example-mixture", mixing: "block", peerNormalisation: {} }, sequential: false },
    { options: { embedding: "average-mixture", mixing: "block", prediction: "linear" }, sequential: true },
  ];
  test.each(cases)("$options", (setup) => {
    const start = memory();
    const rule = makeRule({ model: "cnn", ...setup });
    for (const phase of rule.phases.keys()) {
      rule.enterPhase(phase);
      const counts = Array.from({ length: 4 }, (_, at) => {
        scope(() => {
          rule.step(batchOf(at));
          rule.logits(batchOf(at).images);
        });
        const { liveTensors, liveBytes } = memory();
        return { liveTensors, liveBytes };
      });
      for (const count of counts.slice(2)) expect(count).toEqual(counts[1]);
    }
    rule.dispose();
    const { liveTensors, liveBytes } = memory();
    expect({ liveTensors, liveBytes }).toEqual({ liveTensors: start.liveTensors, liveBytes: start.liveBytes });
  });
});

describe("what makes no sense is refused in one sentence", () => {
  const parse = (options: Record<string, unknown>) => forwardForward.options.safeParse(options);

  test.each([
    [{ mixing: "block" }, "mixing", /top-left changes the image itself/],
    [{ mixing: "block", embedding: "average-2channel" }, "mixing", /average-2channel changes the image itself/],
    [{ prediction: "linear", skipFirst: true }, "skipFirst", /the linear classifier never sees the first block/],
    [{ linear: { epochs: 3 } }, "linear", /changes nothing: add prediction: linear, or leave it out/],
    [{ prediction: "goodness", linear: { learningRate: 0.1 } }, "linear", /changes nothing: add prediction: linear/],
  ] as const)("%o", (options, key, message) => {
    const issues = parse(options).error!.issues;
    expect(issues).toHaveLength(1);
    expect(issues[0]!.path).toEqual([key]);
    expect(issues[0]!.message).toMatch(message);
  });

  test("what is filled in, written out in full, is taken again", () => {
    const full = parse({}).data!;
    expect(full).toMatchObject({ prediction: "goodness", linear: { epochs: null, learningRate: 1e-3 } });
    expect(parse(full).data).toEqual(full);
  });

  test("outputs computed once; no wrong class", () => {
    scope(() => {
      const asynchronous = { schedule: { name: "asynchronous", statistics: "fixed" } } as const;
      expect(() => makeRule({ context: asynchronous })).toThrow(/draws new negatives for every batch.*use sequential/);
      expect(() => makeRule({ classes: 1 })).toThrow("needs two classes to have wrong labels, got 1");
    });
  });
});

test("in 16 bits goodness and losses stay float32, and a block learns as it does in 32", () => {
  scope(() => {
    const learnt = (precision: "float32" | "bfloat16") => {
      const rule = makeRule({ model: "cnn", options: { embedding: "average-subtraction" }, context: { precision } });
      const losses = Array.from({ length: 15 }, () => rule.step(batchOf(0)).loss);
      expect(rule.logits(batchOf(1).images).dtype).toBe("float32");
      rule.dispose();
      return losses;
    };
    const [half, full] = [learnt("bfloat16"), learnt("float32")];
    expect(half).not.toEqual(full);
    expect(half[0]! - half.at(-1)!).toBeGreaterThan(0.8 * (full[0]! - full.at(-1)!));
    expect(full[0]! - full.at(-1)!).toBeGreaterThan(0.1);
  });
});

describe("learning", () => {
  /** Epochs through a set in the order of a generator, each phase; then the accuracy on another set. */
  const accuracy = (setup: Setup, train: TensorSet, test: TensorSet, normalisation: Normalisation, epochs: number) =>
    scope(() => {
      const rule = makeRule({ ...setup, training: { set: train, normalisation, batch: 500, scratch: "" } });
      const generator = new Generator(11);
      for (const [at, { learningRate }] of rule.phases.entries()) {
        rule.enterPhase(at);
        if (learningRate !== null) rule.setLearningRate(learningRate);
        for (let epoch = 0; epoch < epochs; epoch++) {
          const order = new EpochOrder(train, 32, generator);
          for (let i = 0; i < order.batches; i++) {
            scope(() => rule.step(order.get(i, normalisation, { flip: false, crop: null }, generator)));
          }
          order.dispose();
        }
      }
      const found = evaluate(rule, test, normalisation, 500).accuracy;
      rule.dispose();
      return found;
    });

  /** Ten fixed random 8x8 pictures under noise: what is learnt is the pictures. */
  const pictures = (count: number, seed: number): TensorSet =>
    scope(() => {
      const generator = new Generator(seed);
      const clean = randint(60, 196, [10, 1, 8, 8], { generator: new Generator(1) });
      const labels = arange(0, count).remainder(10);
      const noise = randn([count, 1, 8, 8], { generator }).mul(40);
      const images = clean.indexSelect(0, labels).add(noise).clamp(0, 255).to("uint8");
      return { images, labels, count };
    });
  const plain = (): Normalisation => ({ scale: tensor([[[[1 / 64]]]]), shift: tensor([[[[-2]]]]) });

  /** A goodness of the size that convolutions of inputs of length 1 have: by means, at θ = 2, biases alone make it up. */
  const convolutions = (embedding: LabelEmbeddingName, mixing: "input" | "block"): Setup => ({
    model: "cnn",
    modelOptions: { width: 8 },
    options: { embedding, mixing, goodness: "sum", threshold: 10 },
    rate: 0.03,
  });

  test.each<[string, number, Setup]>([
    ["original", 5, {}],
    ["original, by sums", 5, { options: { goodness: "sum" } }],
    ["original, permuted negatives, block after block", 5, { options: { negatives: "permuted" }, sequential: true }],
    ["original with a linear classifier", 12, { options: { prediction: "linear", linear: { learningRate: 0.01 } } }],
    ["with peer normalisation", 8, { options: { peerNormalisation: {} } }],
    ["class means mixed in", 12, { options: { embedding: "average-mixture" } }],
    ["class means subtracted before each block", 5, { options: { embedding: "average-subtraction", mixing: "block" } }],
    ["random examples subtracted", 12, { options: { embedding: "random-example-subtraction" } }],
    ["class means subtracted before each convolution", 5, convolutions("average-subtraction", "block")],
    ["class means mixed in before each convolution", 12, convolutions("average-mixture", "block")],
    ["class means beside images, convolutions by sums", 5, convolutions("average-2channel", "input")],
  ])("%s: far above chance on noisy pictures in %d epochs", (_, epochs, setup) => {
    const common: Setup = { classes: 10, modelOptions: { width: 64 }, rate: 0.02, ...setup };
    const found = scope(() => accuracy(common, pictures(640, 2), pictures(300, 3), plain(), epochs));
    expect(found).toBeGreaterThan(0.4);
  });

  const folder = dataDirectories().find((dir) => mnist.files!.find([dir]) !== null && existsSync(dir));
  test.each<[string, Setup, epochs: number, least: number]>([
    ["original", {}, 8, 0.4],
    [
      "class means subtracted before each block",
      { options: { embedding: "average-subtraction", mixing: "block" } },
      8,
      0.5,
    ],
    ["class means subtracted before each convolution", convolutions("average-subtraction", "block"), 3, 0.45],
  ])("%s: far above chance on 1,500 digits, where STOPGRAD_DATA has them", async (_, setup, epochs, least) => {
    if (folder === undefined) return;
    const loaded = await mnist.load({}, { dataDirs: [folder] });
    scope(() => {
      const [train, test] = [tensorSet(loaded.train, 1500, loaded, 0), tensorSet(loaded.test, 1000, loaded, 0)];
      const common: Setup = { shape: [1, 28, 28], classes: 10, modelOptions: { width: 100 }, ...setup };
      const found = accuracy(common, train, test, normalisationOf(loaded), epochs);
      expect(found).toBeGreaterThan(least);
    });
  });
});

test("measures see the stages on plain images, or with a neutral prototype in further channels", () => {
  scope(() => {
    const { images } = batchOf(0, 4);
    const firstOf = (rule: LearningRule) => rule.readStages(images, (output) => output.flatten().clone())[0]!;
    const firstOn = (rule: LearningRule, input: Tensor) => rule.backbone.stages[0]!.forward(input).flatten();
    for (const embedding of ["top-left", "average-mixture"] as const) {
      const rule = makeRule({ options: { embedding } });
      expect(firstOf(rule).toNumbers()).toEqual(firstOn(rule, images).toNumbers());
      rule.dispose();
    }
    const rule = makeRule({ model: "cnn", options: { embedding: "average-2channel" } });
    const means = meansOf(trainingData({ model: "cnn", inputShape: [1, 8, 8], classes: 3 }), 3).mean([0]);
    const seen = cat([images, means.reshape([1, 1, 8, 8]).repeat([4, 1, 1, 1])], 1);
    expectClose(firstOf(rule).toNumbers(), firstOn(rule, seen).toNumbers(), 1e-5);
    rule.dispose();
  });
});
