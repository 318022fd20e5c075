// Stage outputs, logits, loss, gradients and running statistics beside the same networks in plain PyTorch
// (fixtures/record.py), with the same weights and images, in training and in evaluation.
import "../support/one-thread.js";
import { crossEntropy, scope } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import type { ModelName } from "../../src/models/index.js";
import { expectClose } from "../support/compare.js";
import { figures, imagesOf, labelsOf, type Summary, setState, summaryError, summaryOf } from "../support/formula.js";
import { type ImageShape, makeBackbone } from "../support/networks.js";

const cases: Record<string, { model: ModelName; options: Record<string, unknown>; inputShape: ImageShape }> = {
  resnet18: { model: "resnet18", options: { width: 8 }, inputShape: [3, 32, 32] },
  "lenet5-32": { model: "lenet5", options: {}, inputShape: [3, 32, 32] },
  "lenet5-28": { model: "lenet5", options: {}, inputShape: [1, 28, 28] },
  mlp: { model: "mlp", options: { width: 32 }, inputShape: [1, 28, 28] },
};

/** float32 sums in another order. */
const TOLERANCE = 2e-5;

test("every recorded network is compared", () => {
  expect(Object.keys(cases).sort()).toEqual(Object.keys(figures.networks).sort());
});

describe.each(Object.entries(cases))("%s", (name, setup) => {
  test.each(["train", "eval"] as const)("%s mode", (mode) => {
    scope(() => {
      const expected = figures.networks[name]![mode];
      const backbone = makeBackbone(setup).train(mode === "train");
      setState(backbone.stateDict());
      const close = (actual: Parameters<typeof summaryOf>[0], want: Summary | undefined, what: string) => {
        expect(want, `recorded ${what}`).toBeDefined();
        expect(summaryError(summaryOf(actual), want!, actual.numel), what).toBeLessThan(TOLERANCE);
      };

      let features = imagesOf("images", [4, ...setup.inputShape]);
      for (const stage of backbone.stages) {
        features = stage.forward(features);
        close(features, expected.stages[stage.name], `output of ${stage.name}`);
      }
      const logits = backbone.classifier ? backbone.classifier.forward(features) : features;
      expectClose(logits.toNumbers(), expected.logits, TOLERANCE);
      const loss = crossEntropy(logits, labelsOf(4));
      expectClose([loss.item()], [expected.loss], TOLERANCE);

      loss.backward();
      const parameters = [...backbone.namedParameters()];
      expect(parameters.map(([path]) => path).sort()).toEqual(Object.keys(expected.gradients).sort());
      for (const [path, parameter] of parameters)
        close(parameter.grad!, expected.gradients[path], `gradient of ${path}`);
      const buffers = [...backbone.namedBuffers()];
      expect(buffers).toHaveLength(Object.keys(expected.buffers).length);
      for (const [path, buffer] of buffers) close(buffer, expected.buffers[path], path);
    });
  });
});
