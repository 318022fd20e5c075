// `objective.reconstruction` in experiment files: published weights and given ones, what is refused and where; and the
// weights that modules of a rule then have.
import { describe, expect, test } from "vitest";
import { documentFromText } from "../../src/experiment/document.js";
import { settingsHash } from "../../src/experiment/identity.js";
import { SettingsError } from "../../src/experiment/problems.js";
import { chosenWeights, missingWeights, publishedFor } from "../../src/experiment/reconstruction.js";
import { settingsSchema } from "../../src/experiment/registries.js";

const SHORT = "data: cifar10\nmodel: resnet32\nepochs: 2\n";

const runs = (text: string) => settingsSchema.expand(documentFromText(text, "x.yaml")).runs;
const written = (reconstruction: string, lines = "partition: 4\n") =>
  runs(`${SHORT}${lines}objective: { reconstruction: ${reconstruction} }\n`)[0]!.objective.reconstruction;

function mistakes(text: string): string[] {
  try {
    runs(text);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return error.problems.map(({ location, path, message }) => [location, path, message].filter(Boolean).join(": "));
  }
  return [];
}

describe("weights", () => {
  // papers.md 14.3: λ₁ and λ₂ of the first module, then of the last one with a local loss.
  test.each([
    ["partition: 2\n", [5, 1, 0, 0]],
    ["partition: 4\n", [6, 0, 1, 2]],
    ["partition: 8\n", [5, 0, 0, 2]],
    ["partition: 16\n", [5, 0.05, 0.2, 0.5]],
    ["partition: { modules: 4, balance: memory }\n", [5, 0, 0, 0.1]],
  ])("published for %s", (partition, [reconstruction, label, lastReconstruction, lastLabel]) => {
    for (const form of ["true", "{}", "{ decoder: true }", "{ weights: published }"]) {
      expect(written(form, partition)).toEqual({
        first: { reconstruction, label },
        last: { reconstruction: lastReconstruction, label: lastLabel },
      });
    }
  });

  test("of the other paper, where its code has another number", () => {
    const text = (source: string) => `data: svhn\nmodel: resnet110\nepochs: 2\npartition: 4
objective: { reconstruction: { source: ${source} } }\n`;
    const last = (source: string) => runs(text(source))[0]!.objective.reconstruction!.last;
    expect(last("infopro")).toEqual({ reconstruction: 0.5, label: 1 });
    expect(last("context-supply")).toEqual({ reconstruction: 0.5, label: 0 });
  });

  test("given: from the first to the last, or the same for all", () => {
    const first = { reconstruction: 2, label: 0.5 };
    const last = { reconstruction: 0, label: 1 };
    const [a, b] = [JSON.stringify(first), JSON.stringify(last)];
    expect(written(`{ weights: { first: ${a}, last: ${b} } }`, "partition: 5\n")).toEqual({ first, last });
    expect(written(`{ weights: { first: ${a} } }`, "partition: stage\n")).toEqual({ first, last: first });
  });

  test.each(["false", "null", "{ decoder: false }"])("%s is none", (form) => {
    expect(written(form)).toBeNull();
  });

  test("one module learns from the label alone", () => {
    expect(written("true", "partition: 1\n")).toBeNull();
    const [e2e, four] = runs(`${SHORT}objective: { reconstruction: true }
variants: { e2e: { partition: 1 }, four: { partition: 4 } }\n`);
    expect(e2e!.objective.reconstruction).toBeNull();
    expect(four!.objective.reconstruction).not.toBeNull();
    const [plain] = runs(`${SHORT}variants: { e2e: { partition: 1 }, four: { partition: 4 } }\n`);
    expect(settingsHash(e2e!)).toBe(settingsHash(plain!));
  });

  test("published ones written out are the same run", () => {
    const hash = (reconstruction: string) =>
      settingsHash(runs(`${SHORT}partition: 4\nobjective: { reconstruction: ${reconstruction} }\n`)[0]!);
    const spelt = "{ weights: { first: { reconstruction: 6, label: 0 }, last: { reconstruction: 1, label: 2 } } }";
    expect(hash(spelt)).toBe(hash("true"));
  });

  test("a variant takes it away or gives its own weights", () => {
    const found = runs(`${SHORT}partition: 4
objective: { reconstruction: true }
variants:
  without: { objective: { reconstruction: false } }
  own: { objective: { reconstruction: { weights: { first: { reconstruction: 1, label: 1 } } } } }
  more: { partition: 8 }\n`).map(({ objective }) => objective.reconstruction);
    expect(found).toEqual([
      null,
      { first: { reconstruction: 1, label: 1 }, last: { reconstruction: 1, label: 1 } },
      { first: { reconstruction: 5, label: 0 }, last: { reconstruction: 0, label: 2 } },
    ]);
  });
});

describe("what is refused, in one sentence at its place", () => {
  test.each([
    [
      "partition: 3\nobjective: { reconstruction: true }",
      "x.yaml:5:30: objective.reconstruction: no published weights for resnet32 on cifar10 cut into 3 modules; published for it are 2, 4, 8 and 16 modules, and with balance: memory 2, 3, 4 and 8; give weights: { first: { reconstruction, label }, last: { reconstruction, label } }",
    ],
    [
      "partition: stage\nobjective: { reconstruction: true }",
      "x.yaml:5:30: objective.reconstruction: weights are published for a number of modules, not for a module each stage or cuts; give weights: { first: { reconstruction: 5, label: 0.5 }, last: { reconstruction: 0.5, label: 1 } }",
    ],
    [
      "partition: 4\nobjective: { reconstruction: yes please }",
      'x.yaml:5:30: objective.reconstruction: expected a map such as { decoder: true, weights: published }, got "yes please"',
    ],
    [
      "partition: 4\nobjective: { reconstruction: { wieghts: published } }",
      "x.yaml:5:32: objective.reconstruction.wieghts: unknown key; did you mean weights?",
    ],
    [
      "partition: 4\nobjective: { reconstruction: { weights: 5 } }",
      "x.yaml:5:41: objective.reconstruction.weights: expected published, or { first: { reconstruction, label }, last: { reconstruction, label } }, got 5",
    ],
    [
      "partition: 4\nobjective: { reconstruction: { weights: { first: { reconstruction: -1, label: 0 } } } }",
      "x.yaml:5:68: objective.reconstruction.weights.first.reconstruction: expected a number, 0 or more, got -1",
    ],
    [
      "partition: 4\nobjective: { reconstruction: { source: infopo } }",
      'x.yaml:5:40: objective.reconstruction.source: expected one of infopro, context-supply, got "infopo"; did you mean infopro?',
    ],
    [
      "rule: forward-gradient\nobjective: { reconstruction: true }",
      "x.yaml:5:14: objective.reconstruction: forward-gradient does not use it; leave it out, or set it to null",
    ],
    ["reconstruction: true", "x.yaml:4:1: reconstruction: unknown key; did you mean objective.reconstruction?"],
  ])("%s", (lines, expected) => {
    expect(mistakes(`${SHORT}${lines}\n`)).toEqual([expected]);
  });
});

test("what weights are published for: modules by their number, however they are cut", () => {
  const [model, data] = [{ name: "resnet32" }, { name: "cifar10" } as Parameters<typeof publishedFor>[1]];
  const common = { model: "resnet32", data: "cifar10" };
  expect(publishedFor(model, data, 4)).toEqual({ ...common, modules: 4, balanced: false });
  expect(publishedFor(model, data, { modules: 4, balance: "memory" })).toEqual({
    ...common,
    modules: 4,
    balanced: true,
  });
  expect(publishedFor(model, data, "stage")).toBeNull();
  expect(publishedFor(model, data, { cuts: [3] })).toBeNull();
  const published = { decoder: true, weights: "published", source: "infopro" } as const;
  expect(chosenWeights(published, null)).toBeNull();
  expect(missingWeights(published, { ...common, modules: 1, balanced: false })).toBeNull();
});
