// What every registered model promises, and the parts that the papers fix.
import "../support/one-thread.js";
import { crossEntropy, Generator, memory, noGrad, resetPeakBytes, scope, type Tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { type Model, type ModelName, models, type Precision, stageShapes } from "../../src/models/index.js";
import { differing, snapshot } from "../support/compare.js";
import { imagesOf, labelsOf, setState } from "../support/formula.js";
import {
  countParameters,
  type ImageShape,
  makeBackbone,
  modelNames,
  sameCode,
  smallOptions,
} from "../support/networks.js";

const shapes: ImageShape[] = [
  [1, 28, 28],
  [3, 32, 32],
];

/** For every stage, whether it gives a feature map. */
function mapsOf(model: ModelName, inputShape: ImageShape): boolean[] {
  const backbone = makeBackbone({ model, inputShape });
  const found = stageShapes(backbone, inputShape).map(({ length }) => length === 3);
  backbone.dispose();
  return found;
}

/** The same, as the model says without being built. */
function saidMaps(name: ModelName, inputShape: ImageShape): boolean[] {
  const model: Model = models[name];
  const stages = model.stageCount(smallOptions(name), inputShape);
  return Array.from({ length: stages }, (_, at) => at < (model.mapStages ?? stages));
}

// Its blocks are no other model's.
describe.each<ModelName>([...modelNames, "resnet50"])("%s", (name) => {
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

  test("says up to which stage it gives feature maps", () => {
    for (const inputShape of shapes) expect(mapsOf(name, inputShape)).toEqual(saidMaps(name, inputShape));
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
    const drawn = [...make(1).namedParameters()]
      .filter(([path, { dim }]) => dim >= 2 && path !== "class_token")
      .map(([path]) => path);
    expect(differing(one, other)).toEqual(expect.arrayContaining(drawn));
  });

  test("weights start as PyTorch's: uniform in ±1/√fanIn", () => {
    if (["vgg11", "vit"].includes(name)) return; // their own initial values are tested below
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

  // arXiv 2402.09050 and 2312.07636, sections on backbones; the transformer's by hand: patches 9 408, class token 192,
  // positions 65 · 192, blocks 6 · 444 864, norm 384, classifier 1 930.
  test.each([
    ["resnet50", {}, 23_520_842],
    ["resnet32", {}, 466_906],
    ["resnet110", {}, 1_730_714],
    ["vgg11", { batchNorm: false }, 9_750_922],
    ["vgg11", {}, 9_756_426],
    ["vgg11", { form: "layer-wise" }, 9_756_426 + 4 * 512],
    ["vit", {}, 2_693_578],
  ] as const)("%s with %o has %i", (model, options, parameters) => {
    expect(count({ model, options, inputShape: [3, 32, 32] })).toBe(parameters);
  });

  test.each([...sameCode])("%s builds, and has as many stages as it says, each of its own name", (model) => {
    const backbone = makeBackbone({ model });
    expect(models[model].stageCount({}, [3, 16, 16])).toBe(backbone.stages.length);
    expect(new Set(backbone.stages.map((stage) => stage.name)).size).toBe(backbone.stages.length);
    expect(stageShapes(backbone, [3, 16, 16])).toHaveLength(backbone.stages.length);
    expect(mapsOf(model, [3, 16, 16])).toEqual(saidMaps(model, [3, 16, 16]));
    backbone.dispose();
  });

  test("the small convolutional network has 1 199 882 for MNIST: it flattens to 9216; for CIFAR to 12 544", () => {
    expect(count({ model: "cnn", options: {}, inputShape: [1, 28, 28] })).toBe(1_199_882);
    const shapes = Array.from(
      makeBackbone({ model: "cnn", options: {}, inputShape: [3, 32, 32] }).namedParameters(),
      ([path, { shape }]) => `${path} ${shape.join("x")}`,
    );
    expect(shapes).toContain("fc1.weight 128x12544");
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

  test("ResNet-50 has the stem and 16 blocks of four times the channels", () => {
    const found = shapesOf({ model: "resnet50", options: { width: 8 }, inputShape: [3, 32, 32] });
    expect(found).toHaveLength(17);
    expect(found.filter((_, at) => [0, 1, 3, 4, 8, 14, 16].includes(at))).toEqual([
      "stem 8x32x32",
      "layer1.0 32x32x32",
      "layer1.2 32x32x32",
      "layer2.0 64x16x16",
      "layer3.0 128x8x8",
      "layer4.0 256x4x4",
      "layer4.2 256x4x4",
    ]);
  });

  test("VGG-11 is tapped before each pool", () => {
    expect(shapesOf({ model: "vgg11", options: {}, inputShape: [3, 32, 32] })).toEqual([
      "conv1 64x32x32",
      "conv2 128x16x16",
      "conv3 256x8x8",
      "conv4 256x8x8",
      "conv5 512x4x4",
      "conv6 512x4x4",
      "conv7 512x2x2",
      "conv8 512x2x2",
      "fc1 512",
      "fc2 512",
    ]);
  });

  test("VGG takes images of any size: a pool leaves a side of one pixel alone", () => {
    const [side28, side1, flat] = (
      [
        [1, 28, 28],
        [3, 1, 1],
        [3, 4, 64],
      ] as const
    ).map((inputShape) => shapesOf({ model: "vgg11", options: { width: 2 }, inputShape }));
    expect(side28!.slice(-4)).toEqual(["conv7 16x1x1", "conv8 16x1x1", "fc1 16", "fc2 16"]);
    expect(side1!.slice(-4)).toEqual(["conv7 16x1x1", "conv8 16x1x1", "fc1 16", "fc2 16"]);
    expect(flat!.slice(-4)).toEqual(["conv7 16x1x4", "conv8 16x1x4", "fc1 16", "fc2 16"]);
  });

  test("the transformer's stages are its blocks, each a token more than patches", () => {
    const options = { blocks: 3, width: 12 };
    expect(shapesOf({ model: "vit", options, inputShape: [1, 28, 28] })).toEqual(
      [1, 2, 3].map((at) => `block${at} 50x12`),
    );
    expect(shapesOf({ model: "vit", options: { ...options, patch: 8 }, inputShape: [3, 16, 32] })[0]).toBe(
      "block1 9x12",
    );
    expect(shapesOf({ model: "vit", options: {}, inputShape: [3, 32, 32] })).toHaveLength(6);
  });

  test("images and widths that the transformer cannot cut are refused", () => {
    const sides = /vit needs images whose sides are multiples of patch, 4, got 30x32/;
    expect(() => models.vit.stageCount({}, [3, 30, 32])).toThrow(sides);
    expect(() => makeBackbone({ model: "vit", inputShape: [3, 30, 32] })).toThrow(sides);
    expect(() => models.vit.stageCount({ width: 100 }, [3, 32, 32])).toThrow(
      /a width that is a multiple of heads, 3, got 100/,
    );
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

  test("the small convolutional network is tapped before its pool, and refuses images without a window", () => {
    expect(shapesOf({ model: "cnn", options: {}, inputShape: [1, 28, 28] })).toEqual([
      "conv1 32x26x26",
      "conv2 64x24x24",
      "fc1 128",
      "fc2 10",
    ]);
    expect(shapesOf({ model: "cnn", inputShape: [1, 6, 6] })).toHaveLength(4);
    expect(() => models.cnn.stageCount({}, [1, 28, 5])).toThrow(/at least 6x6, got 28x5/);
  });

  test("images that LeNet-5 cannot hold are refused with the smallest that it can", () => {
    const refused = /at least 16x16, got 12x28/;
    expect(() => models.lenet5.stageCount({}, [1, 12, 28])).toThrow(refused);
    expect(() => makeBackbone({ model: "lenet5", inputShape: [1, 12, 28] })).toThrow(refused);
    expect(shapesOf({ model: "lenet5", inputShape: [1, 16, 16] })).toHaveLength(5);
  });
});

test.each<[ModelName, Record<string, unknown>]>([
  ["resnet50", { width: 4 }],
  ["resnet20", { width: 4 }],
  ["vgg8b", { width: 8 }],
  ["vgg11", { width: 4, batchNorm: false }],
  ["vgg11", { width: 4, form: "layer-wise" }],
  ["vit", { width: 12 }],
  ["cnn", { width: 4 }],
])("%s with %o in bfloat16: stages give 16 bits, gradients 32, near float32's", (model, options) => {
  const inputShape = [3, 16, 16] as const;
  const run = (precision: Precision) => {
    const backbone = makeBackbone({ model, options, inputShape }).usePrecision(precision).eval();
    setState(backbone.stateDict());
    return scope(() => {
      let features: Tensor = imagesOf("images", [4, ...inputShape]);
      for (const stage of backbone.stages) {
        features = stage.forward(features);
        expect(features.dtype, stage.name).toBe(precision);
      }
      const logits = (backbone.classifier?.forward(features) ?? features).to("float32");
      crossEntropy(logits, labelsOf(4)).backward();
      for (const [path, { grad }] of backbone.namedParameters()) {
        expect(grad?.dtype, path).toBe("float32");
        expect(grad!.toNumbers().every(Number.isFinite), path).toBe(true);
      }
      return logits.toNumbers();
    });
  };
  const [half, full] = [run("bfloat16"), run("float32")];
  const norm = (values: number[]) => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));
  const error = norm(half.map((v, at) => v - full[at]!)) / norm(full);
  expect(error).toBeLessThan(0.1);
  expect(error).toBeGreaterThan(1e-4);
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
