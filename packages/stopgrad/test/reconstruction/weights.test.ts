// Weights of each module by the linear rule of arXiv 2101.10832, and the published ones.
import { describe, expect, test } from "vitest";
import { nothingPublished, type PublishedSetting, publishedWeights } from "../../src/reconstruction/published.js";
import { weightsOfModule } from "../../src/reconstruction/weights.js";
import { expectClose } from "../support/compare.js";

const setting = (model: string, data: string, modules: number, balanced = false): PublishedSetting => ({
  model,
  data,
  modules,
  balanced,
});
const row = (found: ReturnType<typeof publishedWeights>) =>
  found && [found.first.reconstruction, found.first.label, found.last.reconstruction, found.last.label];

describe("the linear rule", () => {
  test("ResNet-32 on CIFAR-10 with 16 modules", () => {
    const { first, last } = publishedWeights(setting("resnet32", "cifar10", 16))!;
    const weights = Array.from({ length: 15 }, (_, at) => weightsOfModule(first, last, at, 16));
    const reconstruction = weights.map((each) => each.reconstruction);
    const label = weights.map((each) => each.label);
    expectClose(reconstruction.slice(0, 3), [5, 4.657, 4.314], 1e-4);
    expectClose(reconstruction.slice(-2), [0.543, 0.2], 1e-3);
    expectClose(label.slice(0, 2), [0.05, 0.082], 1e-3);
    expect(label.at(-1)).toBeCloseTo(0.5, 12);
    for (let at = 1; at < 15; at++) {
      expect(reconstruction[at]! - reconstruction[at - 1]!).toBeCloseTo(-4.8 / 14, 12);
      expect(label[at]! - label[at - 1]!).toBeCloseTo(0.45 / 14, 12);
    }
  });

  const [first, last] = [
    { reconstruction: 6, label: 0 },
    { reconstruction: 1, label: 2 },
  ];
  test("ends are the ends, exactly, and two modules have the first's", () => {
    expect(weightsOfModule(first, last, 0, 4)).toEqual(first);
    expect(weightsOfModule(first, last, 1, 4)).toEqual({ reconstruction: 3.5, label: 1 });
    expect(weightsOfModule(first, last, 2, 4)).toEqual(last);
    expect(weightsOfModule(first, last, 0, 2)).toEqual(first);
  });

  test.each([
    [0, 1, "expected at least 2 modules, got 1"],
    [0, 2.5, "expected at least 2 modules, got 2.5"],
    [3, 4, "expected a module from 0 to 2 of 4, got 3"],
    [-1, 4, "expected a module from 0 to 2 of 4, got -1"],
    [0.5, 4, "expected a module from 0 to 2 of 4, got 0.5"],
  ])("module %d of %d is refused", (at, modules, message) => {
    expect(() => weightsOfModule(first, last, at, modules)).toThrow(`loss weights: ${message}`);
  });
});

describe("published weights", () => {
  // Of the papers' commands, in their order: --ixx_1 --ixy_1 --ixx_2 --ixy_2.
  test.each([
    ["resnet32", "cifar10", 2, false, [5, 1, 0, 0]],
    ["resnet32", "cifar10", 4, false, [6, 0, 1, 2]],
    ["resnet32", "cifar10", 8, false, [5, 0, 0, 2]],
    ["resnet32", "cifar10", 16, false, [5, 0.05, 0.2, 0.5]],
    ["resnet110", "cifar10", 2, false, [5, 0.5, 0, 0]],
    ["resnet110", "cifar10", 4, false, [1, 0, 0, 1]],
    ["resnet110", "cifar10", 8, false, [5, 0, 0, 1]],
    ["resnet110", "cifar10", 16, false, [5, 0, 0.5, 1]],
    ["resnet110", "stl10", 2, false, [10, 1, 0, 0]],
    ["resnet110", "stl10", 4, false, [20, 0.2, 5, 2]],
    ["resnet110", "stl10", 8, false, [20, 0.2, 5, 1]],
    ["resnet110", "stl10", 16, false, [20, 0.5, 10, 0.1]],
    ["resnet110", "svhn", 2, false, [1, 0.1, 0, 0]],
    ["resnet110", "svhn", 4, false, [5, 0, 0.5, 1]],
    ["resnet110", "svhn", 8, false, [5, 0, 0.5, 2]],
    ["resnet110", "svhn", 16, false, [5, 0.2, 0.5, 1]],
    ["resnet110", "cifar10", 2, true, [5, 0.1, 0, 0]],
    ["resnet110", "cifar10", 3, true, [5, 0, 5, 0.1]],
    ["resnet110", "cifar10", 4, true, [5, 0, 5, 0.1]],
    ["resnet110", "stl10", 2, true, [20, 1, 0, 0]],
    ["resnet110", "stl10", 3, true, [20, 0.5, 5, 2]],
    ["resnet110", "stl10", 4, true, [20, 0.5, 10, 1]],
    ["resnet32", "cifar10", 2, true, [5, 0.1, 0, 0]],
    ["resnet32", "cifar10", 3, true, [5, 0, 5, 0.1]],
    ["resnet32", "cifar10", 4, true, [5, 0, 0, 0.1]],
    ["resnet32", "cifar10", 8, true, [5, 0, 0, 2]],
  ] as const)("%s on %s, %i modules, balanced %s", (model, data, modules, balanced, expected) => {
    const asked = setting(model, data, modules, balanced);
    expect(row(publishedWeights(asked))).toEqual(expected);
    expect(row(publishedWeights(asked, "infopro"))).toEqual(expected);
    // Context Supply's code differs in one number at two places.
    const differs = modules === 4 && (data === "svhn" || (model === "resnet110" && data === "cifar10" && balanced));
    const [a, b, c, d] = expected;
    const other = data === "svhn" ? [a, b, c, 0] : [a, b, 0, d];
    expect(row(publishedWeights(asked, "context-supply"))).toEqual(differs ? other : expected);
  });

  test.each([
    setting("resnet32", "cifar10", 3),
    setting("resnet32", "cifar10", 16, true),
    setting("resnet32", "svhn", 2),
    setting("resnet110", "svhn", 2, true),
    setting("vgg11", "cifar10", 2),
  ])("none for $model on $data, $modules modules, balanced $balanced", (asked) => {
    expect(publishedWeights(asked)).toBeNull();
    expect(publishedWeights(asked, "context-supply")).toBeNull();
  });

  const cure = "give weights: { first: { reconstruction, label }, last: { reconstruction, label } }";
  test("what is published instead is said", () => {
    expect(nothingPublished(setting("resnet32", "cifar10", 3))).toBe(
      `no published weights for resnet32 on cifar10 cut into 3 modules; published for it are 2, 4, 8 and 16 modules, and with balance: memory 2, 3, 4 and 8; ${cure}`,
    );
    expect(nothingPublished(setting("resnet110", "svhn", 2, true))).toBe(
      `no published weights for resnet110 on svhn cut into 2 modules with balance: memory; published for it are 2, 4, 8 and 16 modules; ${cure}`,
    );
    expect(nothingPublished(setting("vgg11", "cifar10", 2))).toBe(
      `no published weights for vgg11 on cifar10 cut into 2 modules; published are those of resnet32 on cifar10, resnet110 on cifar10, resnet110 on stl10 and resnet110 on svhn; ${cure}`,
    );
  });
});
