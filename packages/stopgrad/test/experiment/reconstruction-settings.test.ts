// `objective.reconstruction` in experiment files: published weights and given ones, what is refused and where; and the
// weights that modules of a rule then have.
import { describe, expect, test } from "vitest";
import { documentFromText } from "../../src/experiment/document.js";
import { settingsHash } from "../../src/experiment/identity.js";
import { SettingsError } from "../../src/experiment/problems.js";
import { chosenWeights, missingWeights, publishedFor } from "../../src/experiment/reconstruction.js";
import { settingsSchema } from "../../src/experiment/registries.js";

const SHORT = "data: cifar10\nmodel: resnet32\nepochs: 2\n";

const runs = (text: string, overrides: string[] = []) =>
  settingsSchema.expand(documentFromText(text, "x.yaml"), { overrides }).runs;
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
    for (const form of ["true", "published", "{}", "{ decoder: true }", "{ weights: published }"]) {
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

  test("an override of its weights, over a short form", () => {
    const weights = "{first: {reconstruction: 3, label: 1}}";
    for (const form of ["true", "published"]) {
      const text = `${SHORT}partition: 4\nobjective: { reconstruction: ${form} }\n`;
      const [run] = runs(text, [`objective.reconstruction.weights=${weights}`]);
      expect(run!.objective.reconstruction!.first).toEqual({ reconstruction: 3, label: 1 });
      expect(runs(text, ["objective.reconstruction=false"])[0]!.objective.reconstruction).toBeNull();
    }
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

describe("a decoder on what is no feature map is refused before anything is built", () => {
  const given = "reconstruction: { weights: { first: { reconstruction: 1, label: 1 } } }";
  const refusal = (model: string, lines: string, reconstruction = given, loss = "cross-entropy") =>
    mistakes(`data: cifar10\nmodel: ${model}\nepochs: 2\n${lines}\nobjective: { loss: ${loss}, ${reconstruction} }\n`);
  const at = "objective.reconstruction: ";
  const ends = (module: string, stage: number, model: string) =>
    `${at}module ${module} ends with stage ${stage} of ${model}, which gives no feature map that a decoder could look at; `;

  test.each([
    ["vit", "partition: 2", `${at}vit has no stage that gives feature maps, which decoders look at; leave it out`],
    ["mlp", "partition: { modules: 2, balance: memory }", `${at}mlp has no stage that gives feature maps`],
    [
      "lenet5",
      "partition: 2",
      `${ends("1 of 2", 3, "lenet5")}use cuts up to 2, such as partition: { cuts: [1] }, or leave it out`,
    ],
    [
      "vgg11",
      "partition: stage",
      `${ends("9 of 10", 9, "vgg11")}use cuts up to 8, such as partition: { cuts: [1, 2, 3, 4, 5, 6, 7, 8] } with classifier: attached, or leave it out`,
    ],
    [
      "vgg11",
      "partition: 2\nclassifier: detached",
      `${ends("2 of 2", 10, "vgg11")}use classifier: attached, or leave it out`,
    ],
    [
      "vgg11",
      "partition: { modules: 2, balance: memory }",
      `${at}balance: memory may cut after any stage, and vgg11 gives feature maps, which decoders look at, only up to stage 8 of 10; use cuts up to 8, such as partition: { cuts: [4] }, or leave it out`,
    ],
    [
      "vgg11",
      "partition: 2\nclassifier: detached\nretrain: { from: a.safetensors, frozen: 8 }",
      `${ends("1 of 2", 9, "vgg11")}leave it out`,
    ],
  ])("%s, %s", (model, lines, expected) => {
    expect(refusal(model, lines)).toEqual([expect.stringContaining(expected)]);
  });

  test("allowed where each decoder has its map, and where what has none has no decoder", () => {
    for (const lines of ["partition: 4", "partition: { cuts: [8] }", "classifier: attached"]) {
      expect(refusal("vgg11", lines), lines).toEqual([]);
    }
    expect(refusal("resnet32", "partition: stage")).toEqual([]);
    const fading =
      "reconstruction: { weights: { first: { reconstruction: 1, label: 1 }, last: { reconstruction: 0, label: 1 } } }";
    expect(refusal("vgg11", "partition: { cuts: [8] }\nclassifier: detached", fading)).toEqual([]);
  });

  test("a last stage that is the classifier has no decoder", () => {
    const [lines, loss] = ["partition: { cuts: [2] }", "hsic-bottleneck"];
    expect(refusal("lenet5", lines, given, loss)).toEqual([
      expect.stringContaining(ends("2 of 2", 4, "lenet5").slice(at.length)),
    ]);
    expect(refusal("lenet5", `${lines}\nclassifier: attached`, given, loss)).toEqual([]);
  });
});

describe("a module whose weights are both 0 would learn nothing", () => {
  const weights = (first: string, last: string) => `weights: { first: { ${first} }, last: { ${last} } }`;
  const [some, none] = ["reconstruction: 0, label: 1", "reconstruction: 0, label: 0"];
  const found = (lines: string, reconstruction: string) =>
    mistakes(`${SHORT}${lines}\nobjective: { reconstruction: { ${reconstruction} } }\n`);

  test.each([
    ["partition: 4", weights(none, some), /weights\.first: both weights are 0 for module 1 of 4, which would learn/],
    ["partition: 4", weights(some, none), /weights\.last: both weights are 0 for module 3 of 4, which would learn/],
    ["partition: 2\nclassifier: detached", weights(some, none), /weights\.last: both weights are 0 for module 2 of 2/],
    // Those of two modules are published for one with a local loss.
    [
      "partition: 2\nclassifier: detached",
      "weights: published",
      /objective\.reconstruction: both weights are 0 for module 2/,
    ],
  ])("%s, %s", (lines, reconstruction, expected) => {
    expect(found(lines, reconstruction)).toEqual([expect.stringMatching(expected)]);
  });

  test("not where no module has them", () => {
    expect(found("partition: 2", weights(some, none))).toEqual([]); // one module has a local loss
    expect(found("partition: 4", weights("reconstruction: 1, label: 0", some))).toEqual([]);
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
