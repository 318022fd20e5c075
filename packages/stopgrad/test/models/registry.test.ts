// What every registered model promises, and the parts that the papers fix.
import "../support/one-thread.js";
import { Generator, memory, noGrad, resetPeakBytes, scope } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { type Model, models, stageShapes } from "../../src/models/index.js";
import { differing, snapshot } from "../support/compare.js";
import { imagesOf } from "../support/formula.js";
import { countParameters, type ImageShape, makeBackbone, modelNames, smallOptions } from "../support/networks.js";

const shapes: ImageShape[] = [
  [1, 28, 28],
  [3, 32, 32],
];

describe.each(modelNames)("%s", (name) => {
  const model: Model = models[name];

  test.each(shapes)("maps images of %i x %i x %i to logits", (...inputShape) => {
    scope(() => {
      const backbone = makeBackbone({ model: name, inputShape, classes: 7 });
      const images = imagesOf("images", [5, ...inputShape]);
      expect(model.stageCount(smallOptions(name), inputShape)).toBe(backbone.stages.length);
      expect(backbone.forward(images).shape).toEqual([5, 7]);

      const tapShapes: (readonly number[])[] = [];
      let features = images;
      for (const stage of backbone.stages) {
        features = stage.forward(features);
        expect(features.size(0)).toBe(5);
        tapShapes.push(features.shape.slice(1));
      }
      expect(stageShapes(backbone, inputShape)).toEqual(tapShapes);
      if (backbone.classifier) expect(backbone.classifier.forward(features).shape).toEqual([5, 7]);
      else expect(features.shape).toEqual([5, 7]);
    });
  });

  test("names its stages apart, and holds each tensor once under one name", () => {
    const backbone = makeBackbone({ model: name });
    const stageNames = backbone.stages.map((stage) => stage.name);
    expect(new Set(stageNames).size).toBe(stageNames.length);
    const entries = [...backbone.namedParameters(), ...backbone.namedBuffers()];
    expect(backbone.stateDict().size).toBe(entries.length);
    expect(new Set(entries.map(([, entry]) => entry)).size).toBe(entries.length);
    const byStage = [...backbone.stages, ...(backbone.classifier ? [backbone.classifier] : [])].flatMap((stage) => [
      ...stage.stateDict().keys(),
    ]);
    expect(byStage.sort()).toEqual([...backbone.stateDict().keys()].sort());
    expect(backbone.parameters().every((parameter) => parameter.requiresGrad)).toBe(true);
  });

  test("shapes are found without moving weights, running statistics or the mode", () => {
    const backbone = makeBackbone({ model: name });
    const before = snapshot(backbone.stateDict());
    stageShapes(backbone, [3, 16, 16]);
    expect(differing(before, snapshot(backbone.stateDict()))).toEqual([]);
    expect([...backbone.namedModules()].every(([, module]) => module.training)).toBe(true);
    backbone.eval();
    stageShapes(backbone, [3, 16, 16]);
    expect([...backbone.namedModules()].some(([, module]) => module.training)).toBe(false);
  });

  test("a seed gives the weights: the same the same, another every other", () => {
    const make = (seed: number) => makeBackbone({ model: name, seed });
    const [one, again, other] = [
      snapshot(make(1).stateDict()),
      snapshot(make(1).stateDict()),
      snapshot(make(2).stateDict()),
    ];
    expect(differing(one, again)).toEqual([]);
    const drawn = [...make(1).namedParameters()].filter(([, { dim }]) => dim >= 2).map(([path]) => path);
    expect(differing(one, other)).toEqual(expect.arrayContaining(drawn));
  });

  test("weights start as PyTorch's: uniform in ±1/√fanIn", () => {
    const backbone = makeBackbone({ model: name, inputShape: [3, 32, 32] });
    for (const [path, parameter] of backbone.namedParameters()) {
      if (parameter.dim < 2) continue;
      const bound = 1 / Math.sqrt(parameter.numel / parameter.shape[0]!);
      const entries = parameter.toNumbers();
      const largest = Math.max(...entries.map(Math.abs));
      expect(largest, path).toBeLessThanOrEqual(bound * (1 + 1e-6));
      if (entries.length < 500) continue;
      expect(largest, path).toBeGreaterThan(0.97 * bound);
      const deviation = Math.sqrt(entries.reduce((sum, v) => sum + v * v, 0) / entries.length);
      expect(deviation / (bound / Math.sqrt(3)), path).toBeCloseTo(1, 0.9);
    }
  });

  test("forward twice gives the same bits in evaluation, and moves nothing", () => {
    const backbone = makeBackbone({ model: name }).eval();
    const images = imagesOf("images", [4, 3, 16, 16]);
    const before = snapshot(backbone.stateDict());
    const [first, second] = [backbone.forward(images).toNumbers(), backbone.forward(images).toNumbers()];
    expect(second).toEqual(first);
    expect(differing(before, snapshot(backbone.stateDict()))).toEqual([]);
  });

  test("an image's logits do not depend on the rest of the batch in evaluation", () => {
    noGrad(() => {
      const backbone = makeBackbone({ model: name }).eval();
      const images = imagesOf("images", [4, 3, 16, 16]);
      const together = backbone.forward(images).toNumbers();
      const alone = backbone.forward(images.narrow(0, 2, 1)).toNumbers();
      for (const [k, logit] of alone.entries()) expect(logit).toBeCloseTo(together[20 + k]!, 5);
    });
  });

  test("images keep their values, and nothing but the logits stays alive after a forward", () => {
    const backbone = makeBackbone({ model: name });
    const images = imagesOf("images", [4, 3, 16, 16]);
    const before = images.toNumbers();
    const live = memory().liveTensors;
    const logits = backbone.forward(images);
    expect(memory().liveTensors).toBe(live + 1);
    logits.dispose();
    expect(images.isDisposed).toBe(false);
    expect(images.toNumbers()).toEqual(before);
  });

  test("evaluation needs no more than its hungriest stage with that stage's input", () => {
    const inputShape: ImageShape = [3, 32, 32];
    const backbone = makeBackbone({ model: name, inputShape }).eval();
    const images = imagesOf("images", [16, ...inputShape]);
    const peakOf = (body: () => void) => {
      resetPeakBytes();
      const before = memory().liveBytes;
      body();
      return memory().peakBytes - before;
    };
    noGrad(() => {
      backbone.forward(images).dispose();
      let features = images;
      const alone = backbone.stages.map((stage, at) => {
        let output = features;
        const needed = peakOf(() => {
          output = stage.forward(features);
        });
        const held = at === 0 ? 0 : 4 * features.numel;
        features = output;
        return held + needed;
      });
      expect(peakOf(() => backbone.forward(images).dispose())).toBeLessThanOrEqual(Math.max(...alone));
    });
  });

  test("dropout changes training, from its own generator alone", () => {
    if (!("dropout" in model.options.shape)) return; // nothing random in its forward
    const images = imagesOf("images", [4, 3, 16, 16]);
    const forward = (seed: number, training: boolean) =>
      makeBackbone({ model: name, dropoutGenerator: new Generator(seed) })
        .train(training)
        .forward(images)
        .toNumbers();
    expect(forward(1, true)).toEqual(forward(1, true));
    expect(forward(1, true)).not.toEqual(forward(2, true));
    expect(forward(1, false)).toEqual(forward(2, false));
  });

  test("has options with defaults, a summary and a source", () => {
    expect(() => model.options.parse({})).not.toThrow();
    expect(() => model.options.parse({ widht: 3 })).toThrow(/widht/);
    expect(model.summary.length).toBeGreaterThan(10);
    expect(model.source).toBeTruthy();
  });
});

describe("sizes", () => {
  const count = (model: Parameters<typeof makeBackbone>[0]) => countParameters(makeBackbone(model));

  test("ResNet-18 has 11 173 962 parameters for 10 classes and 3 channels", () => {
    expect(count({ model: "resnet18", options: {} })).toBe(11_173_962);
  });

  test("LeNet-5 has 62 006 for CIFAR and 61 706 for MNIST: both flatten to 400", () => {
    expect(count({ model: "lenet5", options: {}, inputShape: [3, 32, 32] })).toBe(62_006);
    expect(count({ model: "lenet5", options: {}, inputShape: [1, 28, 28] })).toBe(61_706);
  });

  test("the multilayer perceptron is a 784-1000-1000-1000-1000-10", () => {
    const expected = 785 * 1000 + 3 * 1001 * 1000 + 1001 * 10;
    expect(count({ model: "mlp", options: {}, inputShape: [1, 28, 28] })).toBe(expected);
  });
});

describe("stages", () => {
  const shapesOf = (model: Parameters<typeof makeBackbone>[0]) => {
    const backbone = makeBackbone(model);
    const found = stageShapes(backbone, model.inputShape ?? [3, 16, 16]);
    return backbone.stages.map((stage, at) => `${stage.name} ${found[at]!.join("x")}`);
  };

  test("ResNet-18 has the stem and 8 blocks, strides 1 2 2 2", () => {
    expect(shapesOf({ model: "resnet18", options: {}, inputShape: [3, 32, 32] })).toEqual([
      "stem 64x32x32",
      "layer1.0 64x32x32",
      "layer1.1 64x32x32",
      "layer2.0 128x16x16",
      "layer2.1 128x16x16",
      "layer3.0 256x8x8",
      "layer3.1 256x8x8",
      "layer4.0 512x4x4",
      "layer4.1 512x4x4",
    ]);
  });

  test.each([
    ["CIFAR", [3, 32, 32]],
    ["MNIST", [1, 28, 28]],
  ] as const)("LeNet-5 on %s", (_, inputShape) => {
    expect(shapesOf({ model: "lenet5", options: {}, inputShape })).toEqual([
      "conv1 6x14x14",
      "conv2 16x5x5",
      "fc1 120",
      "fc2 84",
      "fc3 10",
    ]);
  });

  test("images that LeNet-5 cannot hold are refused with the smallest that it can", () => {
    const refused = /at least 16x16, got 12x28/;
    expect(() => models.lenet5.stageCount({}, [1, 12, 28])).toThrow(refused);
    expect(() => makeBackbone({ model: "lenet5", inputShape: [1, 12, 28] })).toThrow(refused);
    expect(shapesOf({ model: "lenet5", inputShape: [1, 16, 16] })).toHaveLength(5);
  });
});

test("ResNet-18's state dict has torchvision's names and shapes", () => {
  const expected = new Map<string, number[]>();
  const batchNorm = (path: string, features: number) => {
    for (const leaf of ["weight", "bias", "running_mean", "running_var"]) expected.set(`${path}.${leaf}`, [features]);
    expected.set(`${path}.num_batches_tracked`, []);
  };
  expected.set("conv1.weight", [64, 3, 3, 3]); // 3x3 where torchvision's ImageNet form has 7x7
  batchNorm("bn1", 64);
  let inputs = 64;
  for (const group of [1, 2, 3, 4]) {
    const outputs = 64 * 2 ** (group - 1);
    for (const at of [0, 1]) {
      const path = `layer${group}.${at}`;
      expected.set(`${path}.conv1.weight`, [outputs, inputs, 3, 3]);
      batchNorm(`${path}.bn1`, outputs);
      expected.set(`${path}.conv2.weight`, [outputs, outputs, 3, 3]);
      batchNorm(`${path}.bn2`, outputs);
      if (inputs !== outputs) {
        expected.set(`${path}.downsample.0.weight`, [outputs, inputs, 1, 1]);
        batchNorm(`${path}.downsample.1`, outputs);
      }
      inputs = outputs;
    }
  }
  expected.set("fc.weight", [10, 512]);
  expected.set("fc.bias", [10]);
  const state = makeBackbone({ model: "resnet18", options: {} }).stateDict();
  const found = Object.fromEntries(Array.from(state, ([path, entry]) => [path, [...entry.shape]]));
  expect(found).toEqual(Object.fromEntries(expected));
});

test("LeNet-5 and the perceptron name their layers as PyTorch code does", () => {
  const layers = (...paths: string[]) => paths.flatMap((path) => [`${path}.weight`, `${path}.bias`]);
  const names = (model: "lenet5" | "mlp") => [...makeBackbone({ model }).stateDict().keys()];
  expect(names("lenet5")).toEqual(layers("conv1", "conv2", "fc1", "fc2", "fc3"));
  expect(names("mlp")).toEqual(layers("fc1", "fc2", "fc3", "fc4", "fc5"));
});
