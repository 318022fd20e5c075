import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { documentFromText, documentFromTree } from "../../src/experiment/document.js";
import { settingsHash } from "../../src/experiment/identity.js";
import { mergeLayers } from "../../src/experiment/layers.js";
import { SettingsError } from "../../src/experiment/problems.js";
import { defineSettings } from "../../src/experiment/settings.js";
import { measures } from "../../src/measures/index.js";
import { hooks, registries, settings } from "./fake-registries.js";

const EXAMPLE = `name: lenet5-cifar10
data: { name: cifar10, train: 50000, test: 10000, batch: 128 }
model: { name: lenet5 }
optimizer: { name: adam, learningRate: 5e-4, schedule: { milestones: [200, 300, 350, 375], gamma: 0.2 } }
epochs: 20
seeds: [1, 2, 3]
observe:
  nhsic: { every: 1, batch: 128, batches: 8 }
  probe: { at: end }
variants:
  e2e:        { partition: 1 }
  layer-wise: { partition: stage, objective: { loss: cross-entropy, head: linear } }
  block-wise: { partition: 2, objective: { loss: cross-entropy, head: mlp } }
`;

const SHORT = "data: cifar10\nmodel: lenet5\nepochs: 2\n";

function expand(text: string, overrides: string[] = [], variant?: string) {
  return settings.expand(documentFromText(text, "x.yaml"), {
    overrides,
    ...(variant === undefined ? {} : { variant }),
  });
}

/** Every mistake of a file, formatted as a user sees it. */
function mistakes(text: string, overrides: string[] = [], variant?: string): string[] {
  try {
    expand(text, overrides, variant);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return error.problems.map(({ location, path, message }) => [location, path, message].filter(Boolean).join(": "));
  }
  return [];
}

/** The one mistake of the short file with lines added. */
function mistakeIn(lines: string, overrides: string[] = []): string {
  const found = mistakes(SHORT + lines, overrides);
  expect(found).toHaveLength(1);
  return found[0] as string;
}

describe("expand", () => {
  test("one run per variant and seed, in the file's order", () => {
    const { name, runs } = expand(EXAMPLE);
    expect(name).toBe("lenet5-cifar10");
    expect(runs.map((run) => `${run.variant} ${run.seed}`)).toEqual(
      ["e2e", "layer-wise", "block-wise"].flatMap((variant) => [1, 2, 3].map((seed) => `${variant} ${seed}`)),
    );
    expect(runs.map((run) => run.partition)).toEqual([1, 1, 1, "stage", "stage", "stage", 2, 2, 2]);
    expect(runs.map((run) => run.objective.head.name).filter((_, i) => i % 3 === 0)).toEqual([
      "linear",
      "linear",
      "mlp",
    ]);
  });

  test("every default is filled in", () => {
    expect(expand(SHORT).runs).toEqual([
      {
        name: "x",
        variant: "default",
        seed: 1,
        data: {
          name: "cifar10",
          train: 50_000,
          test: 10_000,
          batch: 128,
          evaluationBatch: 128,
          augment: { flip: false, crop: null, resizedCrop: null, jitter: null, grey: 0, views: null },
        },
        model: { name: "lenet5", batchNorm: false },
        rule: { name: "partitioned" },
        partition: 1,
        schedule: { name: "simultaneous" },
        classifier: "attached",
        objective: {
          loss: { name: "cross-entropy", smoothing: 0 },
          head: { name: "linear" },
          nhsic: null,
          reconstruction: null,
        },
        context: null,
        gradientCheckpointing: null,
        match: null,
        format: { epochs: null, learningRate: null },
        retrain: null,
        optimizer: { name: "adam", learningRate: 5e-4, weightDecay: 0, beta1: 0.9, schedule: null },
        epochs: 2,
        observe: {},
        precision: "float32",
        device: "cpu",
        threads: 1,
        checkpoint: { every: 1, everySteps: null, everySeconds: 60, keep: "last" },
      },
    ]);
  });

  test("short forms: names alone, true for a measure", () => {
    const [run] = expand(`${SHORT}rule: partitioned\noptimizer: sgd\nobserve: { nhsic: true, probe: false }\n`).runs;
    expect(run?.optimizer).toEqual({ name: "sgd", learningRate: 0.1, weightDecay: 0, momentum: 0.9, schedule: null });
    expect(run?.observe).toEqual({
      nhsic: { every: 1, batch: 128, batches: 8, split: "test", distance: "squared", epsilon: 1e-5, firstEpoch: false },
    });
  });

  test("a measure is taken every so often or at the end, whichever the file says, else its default", () => {
    const observe = expand(`${SHORT}observe: { nhsic: { at: end }, probe: { every: 5 } }\n`).runs[0]?.observe;
    expect(observe?.nhsic).toMatchObject({ at: "end" });
    expect(observe?.nhsic).not.toHaveProperty("every");
    expect(observe?.probe).toEqual({ every: 5, firstEpoch: false, split: "test", batch: 256, batches: 8 });
    const [run] = expand(`${SHORT}observe: { probe: true }\n`).runs;
    expect(run?.observe.probe).toEqual({ at: "end", firstEpoch: false, split: "test", batch: 256, batches: 8 });
  });

  test("the classifier trains alone in layer-wise training unless the file says otherwise", () => {
    const classifiers = (lines: string) => expand(SHORT + lines).runs.map((run) => run.classifier);
    expect(classifiers("partition: stage\n")).toEqual(["detached"]);
    expect(classifiers("partition: 5\n")).toEqual(["attached"]);
    expect(classifiers("partition: stage\nclassifier: attached\n")).toEqual(["attached"]);
  });

  test("--variant picks one", () => {
    expect(expand(EXAMPLE, [], "e2e").runs.map((run) => run.variant)).toEqual(["e2e", "e2e", "e2e"]);
    expect(mistakes(EXAMPLE, [], "layerwise")).toEqual([
      "x.yaml: unknown variant: layerwise (known: e2e, layer-wise, block-wise); did you mean layer-wise?",
    ]);
  });

  test("an added registry entry is validated with no other edit", () => {
    const vgg = { summary: "new", options: z.strictObject({ depth: z.literal([11, 13]).default(11) }) };
    const wider = defineSettings({ ...registries, models: { ...registries.models, vgg } }, hooks);
    const run = (model: unknown) => wider.expand(documentFromTree({ data: "mnist", epochs: 1, model })).runs[0]?.model;
    expect(run("vgg")).toEqual({ name: "vgg", depth: 11 });
    expect(() => run({ name: "vgg", depth: 12 })).toThrow("model.depth: expected one of 11, 13, got 12");
    expect(() => run({ name: "vgg", dept: 11 })).toThrow("model.dept: unknown key; did you mean depth?");
  });
});

test("the example in the documentation is valid", () => {
  const page = readFileSync(join(import.meta.dirname, "../../../../docs/experiment-files.md"), "utf8");
  const example = /```yaml\n([\s\S]*?)```/.exec(page)?.[1] ?? "";
  expect(expand(example).runs).toHaveLength(9);
});

describe("variants", () => {
  test("merge deeply: a head alone keeps the top level's loss", () => {
    const [run] = expand(`${SHORT}objective: { loss: { name: cross-entropy, smoothing: 0.1 } }
variants: { a: { partition: stage, objective: { head: mlp } } }\n`).runs;
    expect(run?.objective).toEqual({
      loss: { name: "cross-entropy", smoothing: 0.1 },
      head: { name: "mlp" },
      nhsic: null,
      reconstruction: null,
    });
  });

  test("another name drops the old thing's options and keeps the common ones", () => {
    const [same, other] = expand(`epochs: 1
data: { name: glyphs, colour: true, batch: 64, augment: { flip: true } }
model: { name: mlp, width: 10 }
optimizer: { name: sgd, momentum: 0.5, learningRate: 1, schedule: { milestones: [1] } }
variants:
  same: { model: { name: mlp, layers: 3 } }
  other: { data: mnist, model: resnet18, optimizer: { name: adam } }\n`).runs;
    expect(same?.model).toEqual({ name: "mlp", width: 10, layers: 3 });
    expect(other?.model).toEqual({ name: "resnet18", width: 64 });
    expect(other?.data).toMatchObject({ name: "mnist", batch: 64, augment: { flip: true } });
    expect(other?.data).not.toHaveProperty("colour");
    expect(other?.optimizer).toEqual({
      name: "adam",
      learningRate: 5e-4,
      weightDecay: 0,
      beta1: 0.9,
      schedule: { milestones: [1], gamma: 0.1 },
    });
  });

  test("null takes a setting away; lists and partitions are replaced whole", () => {
    const [a, b] = expand(`${SHORT}partition: { cuts: [1, 3] }
seeds: [1, 2]
observe: { nhsic: true, probe: true }
optimizer: { name: adam, schedule: { milestones: [5] } }
variants:
  a: { observe: { nhsic: null }, optimizer: { schedule: null }, seeds: [7], partition: 2 }
  b: { seeds: [8], partition: { cuts: [2] } }\n`).runs;
    expect(Object.keys(a?.observe ?? {})).toEqual(["probe"]);
    expect(a?.optimizer.schedule).toBeNull();
    expect([a?.seed, b?.seed]).toEqual([7, 8]);
    expect([a?.partition, b?.partition]).toEqual([2, { cuts: [2] }]);
  });

  test("null is the default at the top level too", () => {
    const text = "data: { name: mnist, batch: null }\nmodel: mlp\nepochs: 1\ncheckpoint: null\n";
    const [run] = expand(text, ["model.width=null", "seeds=null", "optimizer=null"]).runs;
    expect(run).toMatchObject({ data: { batch: 128 }, checkpoint: { every: 1 }, model: { width: 1000 }, seed: 1 });
    expect(mistakes(text, ["epochs=null"])).toHaveLength(1);
  });

  test("a partition replaces another one whole", () => {
    const merged = mergeLayers({ partition: { modules: 2 } }, { partition: { cuts: [1] } });
    expect(merged).toEqual({ partition: { cuts: [1] } });
  });

  test("a mistake is reported where it is written, once", () => {
    expect(
      mistakes(`data: mnist
model: { name: mlp, widht: 3 }
epochs: 3
variants:
  a: { partition: 1 }
  b: { partition: 9 }
  c: { epochs: -1, name: x }\n`),
    ).toEqual([
      "x.yaml:2:21: model.widht: unknown key; did you mean width?",
      "x.yaml:7:16: variants.c.epochs: expected a positive integer, got -1",
      "x.yaml:7:20: variants.c.name: can only be set at the top level, not in a variant",
    ]);
  });

  test("a top-level mistake counts even where every variant replaces it", () => {
    expect(mistakes(`${SHORT}partition: -3\nvariants: { a: { partition: 1 } }\n`)).toHaveLength(1);
    expect(mistakes("data: mnist\nepochs: 1\nvariants: { a: { model: mlp }, b: { model: lenet5 } }\n")).toEqual([]);
    expect(mistakes("data: mnist\nepochs: 1\nvariants: { a: { model: mlp }, b: {} }\n")).toEqual([
      "x.yaml:1:1: model: missing; expected the name of a model (known: lenet5, mlp, resnet18)",
    ]);
  });
});

describe("mistakes", () => {
  test("all of them in one go, each with its line and column", () => {
    const text = `data: { name: cifar, batch: 0 }
modle: lenet
epochs: twenty
optimiser:
  name: adam
  learningrat: 1e-3
seeds: [1, 1]
precision: float16
`;
    expect(mistakes(text)).toEqual([
      "x.yaml:1:15: data.name: unknown dataset: cifar (known: mnist, cifar10, glyphs); did you mean cifar10?",
      "x.yaml:2:1: modle: unknown key; did you mean model?",
      "x.yaml:2:8: modle: unknown model: lenet (known: lenet5, mlp, resnet18); did you mean lenet5?",
      'x.yaml:3:9: epochs: expected a positive integer, got "twenty"',
      "x.yaml:4:1: optimiser: unknown key; did you mean optimizer?",
      "x.yaml:6:3: optimiser.learningrat: unknown key; did you mean learningRate?",
      "x.yaml:7:12: seeds[1]: seed 1 stands twice; each seed can stand only once",
      'x.yaml:8:12: precision: expected one of float32, bfloat16, got "float16"; did you mean bfloat16?',
    ]);
  });

  test("the error's message says how many and lists them", () => {
    expect(() => expand(`${SHORT}foo: 1\nthreads: 0\n`)).toThrow(
      /^x\.yaml: 2 mistakes\n {2}x\.yaml:4:1: foo: unknown key \(known: .*\)\n {2}x\.yaml:5:10: threads: expected a positive integer, got 0$/,
    );
  });

  test.each([
    ["epochs: .nan", "epochs: expected a positive integer, got NaN"],
    ["epochs: 1.5", "epochs: expected a positive integer, got 1.5"],
    ["seeds: 3", "seeds: expected a non-empty list, each item an integer, 0 or more, got 3; write [3]"],
    ["seeds: []", "seeds: expected a non-empty list, each item an integer, 0 or more, got []"],
    ["seeds: [1, -2]", "seeds[1]: expected an integer, 0 or more, got -2"],
    ["seeds: [4, 4]", "seeds[1]: seed 4 stands twice; each seed can stand only once"],
    ["batch: 64", "batch: unknown key; did you mean data.batch?"],
    ["lr: 0.1", "lr: unknown key; did you mean optimizer.learningRate?"],
    ["flip: true", "flip: unknown key; did you mean data.augment.flip?"],
    ["device: gpu", 'device: expected cpu, cuda or cuda:1, got "gpu"'],
    [
      "schedule: sequentiel",
      "schedule: unknown schedule: sequentiel (known: simultaneous, sequential); did you mean sequential?",
    ],
    [
      "schedule: { name: sequential, statistics: moved }",
      'schedule.statistics: expected one of fixed, moving, got "moved"',
    ],
    ["objective: { nhsic: 0.1 }", "objective.nhsic: expected a map such as { weight: 0.1, with: input }, got 0.1"],
    ["objective: { nhsic: { with: module-input } }", "objective.nhsic.weight: missing; expected a number"],
    [
      "format: { epochs: 5 }",
      "format: it concerns a classifier that learns when all else is done; add classifier: after",
    ],
    [
      "retrain: { frozen: 2 }",
      "retrain.from: missing; expected a variant of this file, a run's id or a checkpoint file",
    ],
    [
      "retrain: { from: a.safetensors, frozen: 5 }",
      "retrain.frozen: expected fewer than the 5 stages of lenet5, got 5: nothing would be trained",
    ],
    ["checkpoint: { evry: 1 }", "checkpoint.evry: unknown key; did you mean every?"],
    ["checkpoint: { everySteps: 0 }", "checkpoint.everySteps: expected a positive integer, got 0"],
    ["checkpoint: 3", "checkpoint: expected a map with the keys every, everySteps, everySeconds, keep, got 3"],
    [
      "optimizer: { name: adam, learningRate: .inf }",
      "optimizer.learningRate: expected a number above 0, got Infinity",
    ],
    ["optimizer: { name: adam, beta1: 1 }", "optimizer.beta1: expected a number 0 or more and below 1, got 1"],
    [
      "optimizer: { name: adam, momentum: 0.9 }",
      "optimizer.momentum: unknown key (known: beta1, learningRate, weightDecay, schedule, name)",
    ],
    ["optimizer: { nmae: sgd }", "optimizer.nmae: unknown key; did you mean name?"],
    [
      "optimizer: { schedule: { milestones: [3, 2] } , name: adam }",
      "optimizer.schedule.milestones: expected ascending epochs, each once",
    ],
    ["optimizer: { gamma: 0.5 }", "optimizer.gamma: unknown key; did you mean optimizer.schedule.gamma?"],
    ["optimizer: 3", "optimizer: expected the name of an optimizer (known: adam, sgd), got 3"],
    ["optimizer: constructor", "optimizer: unknown optimizer: constructor (known: adam, sgd)"],
    ["rule: forward-forward", "rule: unknown rule: forward-forward (known: partitioned)"],
    [
      "objective: { loss: ce }",
      "objective.loss: unknown loss: ce (known: cross-entropy, signal-propagation); did you mean cross-entropy?",
    ],
    ["objective: { heads: mlp }", "objective.heads: unknown key; did you mean head?"],
    [
      "objective: { loss: signal-propagation, target: hard }",
      'objective.target: options of a loss stand beside its name; write loss: { name: signal-propagation, target: "hard" }',
    ],
    ["objective: mlp", 'objective: expected a map with the keys loss, head, nhsic, reconstruction, got "mlp"'],
    [
      "objective: { loss: { name: signal-propagation, target: sofd } }",
      'objective.loss.target: expected one of hard, soft, got "sofd"; did you mean soft?',
    ],
    [
      "observe: { nhsics: true }",
      "observe.nhsics: unknown measure: nhsics (known: nhsic, probe, pairs); did you mean nhsic?",
    ],
    ["observe: { nhsic: 3 }", "observe.nhsic: expected true or a map of options, got 3"],
    ["observe: [nhsic]", 'observe: expected a map of measures, got ["nhsic"]'],
    ["observe: { nhsic: { batch: 1 } }", "observe.nhsic.batch: expected at least 2 images a batch, got 1"],
    ["observe: { pairs: { batch: 3 } }", "observe.pairs.batch: expected at least 4 images a batch, got 3"],
    ["observe: { nhsic: { batch: 0 } }", "observe.nhsic.batch: expected a positive integer, got 0"],
    ["observe: { nhsic: { every: 1, at: end } }", "observe.nhsic.at: expected either every or at, got both"],
    [
      "observe: { nhsic: { batches: 100 } }",
      "observe.nhsic.batches: 100 batches of 128 need 12800 images, data.test is 10000",
    ],
    ["partition: 6", "partition: 6 modules need as many stages; the model has 5 (lenet5)"],
    ["partition: stages", "; did you mean stage?"],
    [
      "partition: layerwise",
      "partition: expected 1 (end to end), a number of modules, stage (layer-wise), { cuts: [3, 6] } (after these stages) or { modules: 4, balance: memory }, got",
    ],
    ["partition: { cuts: [3, 2] }", "partition.cuts[1]: expected ascending stages, got 2 after 3"],
    ["partition: { cuts: [2, 2] }", "partition.cuts[1]: 2 stands twice; each cut can stand only once"],
    [
      "partition: { cuts: [5] }",
      "partition: no cut after stage 5: the model has 5 stages, so the last cut is 4 (lenet5)",
    ],
    ["partition: { cuts: [0] }", "partition.cuts[0]: expected a positive integer (cuts are counted from 1), got 0"],
    [
      "partition: { modules: 9, balance: memory }",
      "partition: 9 modules need as many stages; the model has 5 (lenet5)",
    ],
    [
      "partition: stage\nobjective: { head: none }",
      "objective.head: cross-entropy needs class scores from every module",
    ],
    ["variants: [a]", 'variants: expected a map of variants, such as { e2e: { partition: 1 } }, got ["a"]'],
    ["variants: { a: 3 }", "variants.a: expected a map of settings, got 3"],
  ])("%s", (line, expected) => {
    const text = line.startsWith("epochs") ? `data: mnist\nmodel: lenet5\n${line}\n` : `${SHORT}${line}\n`;
    const found = mistakes(text);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(expected);
  });

  test("a head is not asked for where none is used", () => {
    expect(mistakes(`${SHORT}objective: { head: none }\n`)).toEqual([]);
    expect(mistakes(`${SHORT}objective: { head: none, loss: signal-propagation }\npartition: stage\n`)).toEqual([]);
    expect(mistakes(`${SHORT}objective: { head: none }\npartition: 2\n`)).toHaveLength(1);
    expect(mistakes(`${SHORT}objective: { head: none }\nclassifier: detached\n`)).toHaveLength(1);
  });

  test("sizes beyond the data set, and measures beyond the subset", () => {
    const text = (data: string) =>
      `data: ${data}\nmodel: lenet5\nepochs: 1\nobserve: { nhsic: { batches: 4, batch: 100 } }\n`;
    expect(mistakes(text("{ name: cifar10, train: 50001 }"))).toEqual([
      "x.yaml:1:31: data.train: cifar10 has 50000 train images, got 50001",
    ]);
    expect(mistakes(text("{ name: cifar10, test: 399 }"))).toEqual([
      "x.yaml:4:30: observe.nhsic.batches: 4 batches of 100 need 400 images, data.test is 399",
    ]);
    expect(mistakes(text("{ name: cifar10, test: 400 }"))).toEqual([]);
  });

  describe("measures that cannot be taken of what the settings name", () => {
    const real = defineSettings({ ...registries, measures }, { ...hooks, imageShape: () => [3, 32, 32] });
    const problems = (observe: string, data = "cifar10") => {
      try {
        real.expand(documentFromText(`data: ${data}\nmodel: lenet5\nepochs: 2\nobserve: ${observe}\n`, "x.yaml"), {});
      } catch (error) {
        if (!(error instanceof SettingsError)) throw error;
        return error.problems.map(({ path, message }) => `${path}: ${message}`);
      }
      return [];
    };
    const few = "{ name: cifar10, train: 3000, test: 5 }";

    test.each([
      [
        "{ hsic: { batch: 3, batches: 1, estimator: unbiased } }",
        "observe.hsic.estimator: unbiased needs at least 4 images a batch, got 3",
      ],
      ["{ cka: { batch: 3 } }", "observe.cka.batch: expected at least 4 images a batch, got 3"],
      ["{ probe: { train: 1 } }", "observe.probe.train: expected at least 2 training images, of two classes, got 1"],
      ["{ knn: { train: 1 } }", "observe.knn.train: expected at least 2 training images, of two classes, got 1"],
      ["{ knn: { train: 20 } }", "observe.knn.k: expected fewer than the 20 training images it is fitted on, got 20"],
      [
        "{ knn: { k: 10000 } }",
        "observe.knn.k: expected fewer than the 10000 training images it is fitted on, got 10000",
      ],
      [
        "{ ksg: { pairs: both } }",
        "observe.ksg.pairs: an image has 3072 numbers, more than its largestDimension of 20, got both; use pairs: labels",
      ],
      [
        "{ binning: { pairs: input, largestDimension: 3071 } }",
        "observe.binning.pairs: an image has 3072 numbers, more than its largestDimension of 3071, got input; use pairs: labels",
      ],
      [
        "{ nhsic: { kernel: linear, sigma: 3 } }",
        "observe.nhsic.sigma: the linear kernel does not use it, got 3; leave it out, or use kernel rbf or laplacian",
      ],
      [
        "{ hsic: { kernel: linear, width: median } }",
        "observe.hsic.width: the linear kernel does not use it, got median; leave it out, or use kernel rbf or laplacian",
      ],
      [
        "{ nhsic: { kernel: laplacian, distance: plain } }",
        "observe.nhsic.distance: the laplacian kernel does not use it, got plain; leave it out, or use kernel rbf",
      ],
      [
        "{ cka: { sigma: 1 } }",
        "observe.cka.sigma: the linear kernel does not use it, got 1; leave it out, or use kernel rbf or laplacian",
      ],
      ["{ ksg: { pairs: labels, k: 1000 } }", "observe.ksg.k: expected fewer than the 1000 images, got 1000"],
      ["{ mine: { images: 7 } }", "observe.mine.images: expected at least 8 images, got 7"],
      ["{ label-bound: { images: 3 } }", "observe.label-bound.images: expected at least 4 images, got 3"],
      ["{ geometry: { images: 1 } }", "observe.geometry.images: expected at least 2 images, got 1"],
      ["{ geometry: { images: 10001 } }", "observe.geometry.images: 10001 images are asked for, data.test is 10000"],
    ])("%s", (observe, problem) => {
      expect(problems(observe)).toEqual([problem]);
    });

    test.each([
      ["{ mine: true }", few, "observe.mine.images: expected at least 8 images, got 5"],
      ["{ ksg: { pairs: labels, k: 5 } }", few, "observe.ksg.k: expected fewer than the 5 images, got 5"],
      [
        "{ knn: { k: 3000 } }",
        few,
        "observe.knn.k: expected fewer than the 3000 training images it is fitted on, got 3000",
      ],
    ])("%s of %s", (observe, data, problem) => {
      expect(problems(observe, data)).toEqual([problem]);
    });

    test.each([
      "{ hsic: { batch: 4, batches: 1, estimator: unbiased } }",
      "{ hsic: { batch: 3, batches: 1 } }",
      "{ cka: { batch: 4 } }",
      "{ knn: { train: 21 } }",
      "{ knn: { k: 9999 } }",
      "{ ksg: { pairs: labels } }",
      "{ ksg: true, binning: { bins: 5, pairs: null } }",
      "{ nhsic: { kernel: linear }, hsic: { kernel: laplacian, sigma: 2, width: median }, cka: true }",
      "{ nhsic: { kernel: linear, sigma: 5, width: scaled, distance: squared }, cka: { kernel: rbf, sigma: 1 } }",
      "{ ksg: { largestDimension: 3072 } }",
      "{ binning: { pairs: labels, images: 2 } }",
      "{ mine: { images: 8 }, info-nce: { pairs: input }, geometry: true, entanglement: true, information: true }",
    ])("%s is right", (observe) => {
      expect(problems(observe)).toEqual([]);
    });

    test("says where an option stands that the kernel does not use, in a variant or above it", () => {
      const text = `data: cifar10
model: lenet5
epochs: 2
observe:
  nhsic:
    sigma: 3
variants:
  rbf: {}
  linear: { observe: { nhsic: { kernel: linear } } }
  both: { observe: { nhsic: { kernel: linear, width: fixed, sigma: null } } }
  none: { observe: { nhsic: { kernel: linear, sigma: null } } }
`;
      const places = (overrides: string[] = []) => {
        try {
          real.expand(documentFromText(text, "x.yaml"), { overrides });
        } catch (error) {
          if (!(error instanceof SettingsError)) throw error;
          return error.problems.map(({ location, path }) => `${location} ${path}`);
        }
        return [];
      };
      expect(places()).toEqual(["x.yaml:6:12 observe.nhsic.sigma", "x.yaml:10:54 variants.both.observe.nhsic.width"]);
      expect(places(["observe.nhsic.sigma=null", "variants.both.observe.nhsic.width=null"])).toEqual([]);
    });

    test("takes labels alone of images of too many dimensions where pairs are not said, and writes that down", () => {
      const settled = (observe: string) =>
        real.expand(documentFromText(`data: cifar10\nmodel: lenet5\nepochs: 2\nobserve: ${observe}\n`, "x.yaml"), {})
          .runs[0]!;
      const pairs = (observe: string) => Object.values(settled(observe).observe).map((one) => one.pairs);
      expect(pairs("{ ksg: true, binning: { bins: 5 } }")).toEqual(["labels", "labels"]);
      expect(pairs("{ ksg: { largestDimension: 3072 }, binning: { largestDimension: 3071 } }")).toEqual([
        "both",
        "labels",
      ]);
      expect(pairs("{ ksg: { largestDimension: 3072, pairs: input } }")).toEqual(["input"]);
      expect(pairs("{ mine: true, info-nce: true }")).toEqual(["both", "both"]);
      expect(settingsHash(settled("{ ksg: true }"))).toBe(settingsHash(settled("{ ksg: { pairs: labels } }")));
    });
  });

  test("what is impossible together is named beside other mistakes", () => {
    expect(mistakes("data: { name: mnist, train: 70000 }\nmodel: lenet5\nepochs: 0\npartition: 6\nseeds: 1\n")).toEqual(
      [
        "x.yaml:1:29: data.train: mnist has 60000 train images, got 70000",
        "x.yaml:3:9: epochs: expected a positive integer, got 0",
        "x.yaml:4:12: partition: 6 modules need as many stages; the model has 5 (lenet5)",
        "x.yaml:5:8: seeds: expected a non-empty list, each item an integer, 0 or more, got 1; write [1]",
      ],
    );
  });

  test("what a hook throws is a mistake in the model", () => {
    const failing = defineSettings(registries, {
      stageCount: () => {
        throw new Error("expected 32x32 images, got 28x28");
      },
    });
    expect(() => failing.expand(documentFromText(SHORT, "x.yaml"))).toThrow(
      "x.yaml:2:8: model: expected 32x32 images, got 28x28",
    );
  });

  test("nothing at all", () => {
    expect(mistakes("name: x\n")).toEqual([
      "x.yaml:1:1: epochs: missing; expected a positive integer",
      "x.yaml:1:1: data: missing; expected the name of a dataset (known: mnist, cifar10, glyphs)",
      "x.yaml:1:1: model: missing; expected the name of a model (known: lenet5, mlp, resnet18)",
    ]);
  });

  test("options without a name belong to the default where there is one", () => {
    expect(expand(SHORT, ["optimizer.beta1=0.5"]).runs[0]?.optimizer).toMatchObject({ name: "adam", beta1: 0.5 });
    expect(expand(SHORT, ["objective.head.name=mlp"]).runs[0]?.objective.head).toEqual({ name: "mlp" });
    expect(mistakes("data: mnist\nmodel: { width: 3, nmae: mlp }\nepochs: 1\n")).toEqual([
      "x.yaml:2:8: model.name: missing; expected the name of a model (known: lenet5, mlp, resnet18)",
      "x.yaml:2:20: model.nmae: unknown key; did you mean name?",
    ]);
  });

  test("a key named __proto__ is only an unknown key", () => {
    expect(mistakeIn("__proto__: { epochs: 3 }\n")).toContain("__proto__: unknown key");
  });
});

describe("overrides", () => {
  test("set what the file sets or leaves out", () => {
    const { runs } = expand(EXAMPLE, [
      "epochs=5",
      "model.batchNorm=true",
      "seeds=[4]",
      "data.augment.flip=true",
      "data.augment.crop.padding=4",
      "+observe.nhsic.epsilon=1e-3",
      "~observe.probe",
      "name=again",
    ]);
    expect(runs).toHaveLength(3);
    for (const run of runs) {
      expect(run).toMatchObject({ epochs: 5, seed: 4, name: "again", model: { batchNorm: true } });
      expect(run.data.augment).toMatchObject({ flip: true, crop: { padding: 4, mode: "black" } });
      expect(run.observe.nhsic).toMatchObject({ epsilon: 1e-3, batch: 128 });
      expect(run.observe).not.toHaveProperty("probe");
    }
  });

  test("another name drops options, as in a variant; the last of two wins", () => {
    const [run] = expand(`${SHORT}objective: { head: { name: mlp, hidden: 3 } }\n`, [
      "model={name: mlp, width: 3}",
      "model.layers=2",
      "model.width=9",
      "objective.head=linear",
      "epochs=3",
      "epochs=4",
    ]).runs;
    expect(run).toMatchObject({ model: { name: "mlp", width: 9, layers: 2 }, epochs: 4 });
    expect(run?.objective.head).toEqual({ name: "linear" });
  });

  test("variants: set in one, take one away, add one", () => {
    const { runs } = expand(EXAMPLE, [
      "seeds=[1]",
      "variants.e2e.partition=3",
      "~variants.layer-wise",
      "variants.block-wise.objective.head.hidden=7",
    ]);
    expect(runs.map((run) => [run.variant, run.partition])).toEqual([
      ["e2e", 3],
      ["block-wise", 2],
    ]);
    expect(runs[1]?.objective.head).toEqual({ name: "mlp", hidden: 7 });
    expect(expand(SHORT, ["+variants.a.partition=2"]).runs.map((run) => [run.variant, run.partition])).toEqual([
      ["a", 2],
    ]);
    const dotted = expand(`${SHORT}variants: { lambda-0.1: { partition: 1 } }\n`, ["variants.lambda-0.1.partition=2"]);
    expect(dotted.runs[0]?.partition).toBe(2);
  });

  test("a variant's own setting stays; an override that acts nowhere is refused", () => {
    const text = `${SHORT}variants: { a: { partition: 1 }, b: {}, c: { model: mlp } }\n`;
    expect(expand(text, ["partition=2"]).runs.map((run) => run.partition)).toEqual([1, 2, 2]);
    expect(mistakes(EXAMPLE, ["partition=3"])).toEqual([
      "override partition=3: partition: has no effect, because every variant sets its own; write variants.e2e.partition=...",
    ]);
    expect(mistakes(text, ["partition=3"], "a")).toHaveLength(1);
    expect(mistakes(text, ["partition=1"], "a")).toEqual([]);
    expect(mistakes(text, ["model.batchNorm=true"], "c")).toEqual([
      "override model.batchNorm=true: model.batchNorm: has no effect, because variant c sets its own; write variants.c.model.batchNorm=...",
    ]);
    expect(mistakes(EXAMPLE, ["partition=3", "~variants.e2e.partition"])).toEqual([]);
    expect(mistakes(EXAMPLE, ["epochs=3", "epochs=4"])).toEqual([]);
    // Half of it acts, which is an effect.
    const half = ["objective={head: linear, loss: {smoothing: 0.1}}"];
    const [run] = expand(`${SHORT}variants: { a: { objective: { head: mlp } } }\n`, half).runs;
    expect(run?.objective).toMatchObject({ head: { name: "mlp" }, loss: { smoothing: 0.1 } });
  });

  test.each([
    ["epochs=", "override epochs=: epochs: no value after =; write epochs=null to unset it"],
    ["epochs", "override epochs: epochs: expected key=value"],
    ["=5", "expected key=value"],
    ["model..width=5", "with a name on each side of every dot"],
    ["epochs=twenty", 'override epochs=twenty: epochs: expected a positive integer, got "twenty"'],
    ["epochs=[1", "override epochs=[1: epochs: the value is not YAML"],
    [
      "optimiser.learningrat=1e-3",
      "override optimiser.learningrat=1e-3: optimiser.learningrat: unknown key; did you mean learningRate?",
    ],
    ["epoch=3", "override epoch=3: epoch: unknown key; did you mean epochs?"],
    ["epochs.last=3", "override epochs.last=3: epochs.last: epochs is 20, not a map of settings"],
    [
      "~observe.prob",
      "override ~observe.prob: observe.prob: cannot be taken away: it is not set; did you mean observe.probe?",
    ],
    ["~epochs=3", "override ~epochs=3: epochs: not taken away: it is 20, not 3"],
    ["variants.e2.partition=2", "unknown variant: e2 (known: e2e, layer-wise, block-wise); did you mean e2e?"],
    ["variants.e2e=3", "expected a map of settings, got 3; ~variants.e2e takes a variant away"],
    ["model.witdh=3", "override model.witdh=3: model.witdh: unknown key"],
    ["model=vgg", "override model=vgg: model.name: unknown model: vgg (known: lenet5, mlp, resnet18)"],
  ])("%s is refused", (text, expected) => {
    expect(mistakes(EXAMPLE, [text]).join("\n")).toContain(expected);
  });

  test("mistakes of the file and of the overrides come together", () => {
    expect(mistakes(`${SHORT}threads: 0\n`, ["epochs=", "seed=[1]"])).toEqual([
      "override epochs=: epochs: no value after =; write epochs=null to unset it, or epochs='' for an empty text",
      "override seed=[1]: seed: unknown key; did you mean seeds?",
      "x.yaml:4:10: threads: expected a positive integer, got 0",
    ]);
  });
});

describe("an override that some variants cannot take", () => {
  const two = `${SHORT}variants:\n  a: { partition: 1 }\n  b: { model: { name: mlp, layers: 3 }, partition: stage }\n`;
  const mistakesOf = (variant?: string) => {
    try {
      settings.expand(documentFromText(two, "x.yaml"), {
        overrides: ["retrain={from: c.safetensors, frozen: 3}"],
        ...(variant ? { variant } : {}),
      });
      return "";
    } catch (error) {
      return (error as Error).message;
    }
  };

  test("is refused with their names", () => {
    expect(mistakesOf()).toContain(
      "expected fewer than the 3 stages of mlp, got 3: nothing would be trained (variant b)",
    );
  });

  test("is taken where another variant is asked for", () => {
    expect(mistakesOf("a")).toBe("");
    expect(mistakesOf("b")).toContain("expected fewer than the 3 stages");
  });
});
