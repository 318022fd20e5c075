// Stage outputs, logits, loss, gradients and running statistics beside the same networks in plain PyTorch and torchvision
// (fixtures/record.py, fixtures/record-backbones.py), with the same weights and images, in training and in evaluation.
// Names and shapes of full-size networks beside torchvision's.
import "../support/one-thread.js";
import { readFileSync } from "node:fs";
import { crossEntropy, scope } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import type { ModelName } from "../../src/models/index.js";
import { expectClose } from "../support/compare.js";
import {
  type Figures,
  figures,
  imagesOf,
  labelsOf,
  type Summary,
  setState,
  summaryError,
  summaryOf,
} from "../support/formula.js";
import { type ImageShape, makeBackbone } from "../support/networks.js";

const cases: Record<string, { model: ModelName; options: Record<string, unknown>; inputShape: ImageShape }> = {
  resnet18: { model: "resnet18", options: { width: 8 }, inputShape: [3, 32, 32] },
  "lenet5-32": { model: "lenet5", options: {}, inputShape: [3, 32, 32] },
  "lenet5-28": { model: "lenet5", options: {}, inputShape: [1, 28, 28] },
  mlp: { model: "mlp", options: { width: 32 }, inputShape: [1, 28, 28] },
  resnet50: { model: "resnet50", options: { width: 4 }, inputShape: [3, 32, 32] },
  resnet20: { model: "resnet20", options: { width: 4 }, inputShape: [3, 16, 16] },
  // Dropout draws each library's own masks.
  vgg11: { model: "vgg11", options: { width: 8, dropout: 0 }, inputShape: [3, 32, 32] },
  "vgg11 without batch norm": {
    model: "vgg11",
    options: { width: 8, dropout: 0, batchNorm: false },
    inputShape: [3, 32, 32],
  },
  "vgg11 layer-wise": {
    model: "vgg11",
    options: { width: 8, dropout: 0, form: "layer-wise" },
    inputShape: [3, 32, 32],
  },
  "vgg11 on 28x28": { model: "vgg11", options: { width: 8, dropout: 0 }, inputShape: [1, 28, 28] },
  vgg8b: { model: "vgg8b", options: { width: 8, dropout: 0 }, inputShape: [3, 32, 32] },
  vit: { model: "vit", options: { width: 12 }, inputShape: [3, 16, 16] },
  "vit of 3 blocks": { model: "vit", options: { width: 8, heads: 2, patch: 7, blocks: 3 }, inputShape: [3, 28, 28] },
  cnn: { model: "cnn", options: { width: 4 }, inputShape: [1, 28, 28] },
};

/** What record-backbones.py wrote. */
const backbones = JSON.parse(readFileSync(new URL("../fixtures/backbones.json", import.meta.url), "utf8")) as {
  networks: Figures["networks"];
  states: Record<string, Record<string, number[]>>;
};
const networks = { ...figures.networks, ...backbones.networks };

/** float32 sums in another order: fifty layers of batch norm are as far from float64 in PyTorch itself. */
const toleranceOf = (name: string) => (name === "resnet50" ? 1e-4 : 2e-5);

/**
 * A bias before batch norm has no gradient: what is recorded is rounding. Part of the network's largest gradient below
 * which both sides count as 0.
 */
const NOTHING = 1e-6;

test("every recorded network is compared", () => {
  expect(Object.keys(cases).sort()).toEqual(Object.keys(networks).sort());
});

describe.each(Object.entries(cases))("%s", (name, setup) => {
  test.each(["train", "eval"] as const)("%s mode", (mode) => {
    scope(() => {
      const expected = networks[name]![mode];
      const tolerance = toleranceOf(name);
      const backbone = makeBackbone(setup).train(mode === "train");
      setState(backbone.stateDict());
      const close = (actual: Parameters<typeof summaryOf>[0], want: Summary | undefined, what: string) => {
        expect(want, `recorded ${what}`).toBeDefined();
        expect(summaryError(summaryOf(actual), want!, actual.numel), what).toBeLessThan(tolerance);
      };

      let features = imagesOf("images", [4, ...setup.inputShape]);
      for (const stage of backbone.stages) {
        features = stage.forward(features);
        close(features, expected.stages[stage.name], `output of ${stage.name}`);
      }
      const logits = backbone.classifier ? backbone.classifier.forward(features) : features;
      expectClose(logits.toNumbers(), expected.logits, tolerance);
      const loss = crossEntropy(logits, labelsOf(4));
      expectClose([loss.item()], [expected.loss], tolerance);

      loss.backward();
      const parameters = [...backbone.namedParameters()];
      expect(parameters.map(([path]) => path).sort()).toEqual(Object.keys(expected.gradients).sort());
      const nothing = NOTHING * Math.max(...Object.values(expected.gradients).map(([norm]) => norm));
      for (const [path, parameter] of parameters) {
        if (expected.gradients[path]![0] < nothing) expect(summaryOf(parameter.grad!)[0], path).toBeLessThan(nothing);
        else close(parameter.grad!, expected.gradients[path], `gradient of ${path}`);
      }
      const buffers = [...backbone.namedBuffers()];
      expect(buffers).toHaveLength(Object.keys(expected.buffers).length);
      for (const [path, buffer] of buffers) close(buffer, expected.buffers[path], path);
    });
  });
});

const fullSize: Record<string, { model: ModelName; options: Record<string, unknown> }> = {
  resnet18: { model: "resnet18", options: {} },
  resnet34: { model: "resnet34", options: {} },
  resnet50: { model: "resnet50", options: {} },
  vgg11: { model: "vgg11", options: {} },
  "vgg11 without batch norm": { model: "vgg11", options: { batchNorm: false } },
  vgg13: { model: "vgg13", options: {} },
  vgg16: { model: "vgg16", options: {} },
  vit: { model: "vit", options: {} },
};

test("every recorded state is compared", () => {
  expect(Object.keys(fullSize).sort()).toEqual(Object.keys(backbones.states).sort());
});

test.each(Object.entries(fullSize))("%s has torchvision's names and shapes", (name, setup) => {
  const backbone = makeBackbone({ ...setup, inputShape: [3, 32, 32] });
  const found = Object.fromEntries(Array.from(backbone.stateDict(), ([path, { shape }]) => [path, shape]));
  expect(found).toEqual(backbones.states[name]);
  backbone.dispose();
});
