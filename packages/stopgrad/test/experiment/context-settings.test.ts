// `context`, `gradientCheckpointing` and `match` in experiment files: codes and maps, how variants merge them, what is
// refused and where; and that runs of before these settings are the same runs.
import { describe, expect, test } from "vitest";
import { documentFromText } from "../../src/experiment/document.js";
import { runId, settingsHash } from "../../src/experiment/identity.js";
import { SettingsError } from "../../src/experiment/problems.js";
import { settingsSchema } from "../../src/experiment/registries.js";
import type { RunSettings } from "../../src/experiment/run-settings.js";
import { settings as withoutWidth } from "./fake-registries.js";

const SHORT = "data: cifar10\nmodel: resnet32\nepochs: 2\n";

function expand(text: string, overrides: string[] = []): readonly RunSettings[] {
  return settingsSchema.expand(documentFromText(text, "x.yaml"), { overrides }).runs;
}

const run = (lines: string, overrides: string[] = []) => expand(SHORT + lines, overrides)[0]!;

/** Every mistake, as a user reads it. */
function mistakes(text: string, overrides: string[] = []): string[] {
  try {
    expand(text, overrides);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return error.problems.map(({ location, path, message }) => [location, path, message].filter(Boolean).join(": "));
  }
  return [];
}

const addition = { selection: null, recompute: true, fusion: { name: "add" } };

describe("context", () => {
  test.each([
    ["R1E", { fromInput: true, previousModules: 1, ...addition }],
    ["r4", { fromInput: false, previousModules: 4, ...addition }],
    ["E", { fromInput: true, previousModules: 0, ...addition }],
    ["ContSup[R2E]", { fromInput: true, previousModules: 2, ...addition }],
    ["{ fromInput: true }", { fromInput: true, previousModules: 0, ...addition }],
    [
      "{ previousModules: 3, recompute: false }",
      { fromInput: false, previousModules: 3, ...addition, recompute: false },
    ],
    [
      "{ fromInput: true, fusion: gated }",
      { fromInput: true, previousModules: 0, ...addition, fusion: { name: "gated", start: 0.5 } },
    ],
    [
      "{ previousModules: 1, fusion: { name: gated, start: 0.1 }, selection: {} }",
      {
        fromInput: false,
        previousModules: 1,
        fusion: { name: "gated", start: 0.1 },
        selection: { tolerance: 0.01, after: 1, images: 1024 },
        recompute: true,
      },
    ],
    ["none", null],
    ["R0", null],
    ["false", null],
    ["null", null],
    ["{ fromInput: false, previousModules: 0 }", null],
    ["{ fromInput: false }", null],
  ])("%s", (written, expected) => {
    expect(run(`partition: 4\ncontext: ${written}\n`).context).toEqual(expected);
  });

  test("a code is the map that it stands for: one run", () => {
    const [code, map] = ["R1E", "{ previousModules: 1, fromInput: true }"].map((context) =>
      runId(run(`partition: 4\ncontext: ${context}\n`)),
    );
    expect(code).toBe(map);
    const [none, nothing] = ["context: none\n", ""].map((line) => runId(run(`partition: 4\n${line}`)));
    expect(none).toBe(nothing);
  });

  test("variants take it away, exchange it, and change a part of it", () => {
    const runs = expand(`${SHORT}partition: 4
context: R1E
variants:
  same: {}
  none: { context: none }
  "off": { context: false }
  e2e: { context: R0, partition: 1 }
  other: { context: R2 }
  gated: { context: { fusion: gated } }
  pruned: { context: { selection: { after: 2 } } }
  blind: { context: { fromInput: false } }\n`);
    const found = Object.fromEntries(runs.map(({ variant, context }) => [variant, context]));
    const whole = { fromInput: true, previousModules: 1, ...addition };
    expect(found).toEqual({
      same: whole,
      none: null,
      off: null,
      e2e: null,
      other: { ...whole, fromInput: false, previousModules: 2 },
      gated: { ...whole, fusion: { name: "gated", start: 0.5 } },
      pruned: { ...whole, selection: { tolerance: 0.01, after: 2, images: 1024 } },
      blind: { ...whole, fromInput: false },
    });
  });

  test("what a variant does not name stays: selection under another code, not options of another fusion", () => {
    const [code, fusion] = expand(`${SHORT}partition: 4
context: { fromInput: true, fusion: { name: gated, start: 0.2 }, selection: { after: 2 } }
variants: { code: { context: R2 }, fusion: { context: { fusion: add } } }\n`).map(({ context }) => context);
    const selection = { tolerance: 0.01, after: 2, images: 1024 };
    expect(code).toEqual({
      fromInput: false,
      previousModules: 2,
      fusion: { name: "gated", start: 0.2 },
      selection,
      recompute: true,
    });
    expect(fusion).toEqual({
      fromInput: true,
      previousModules: 0,
      fusion: { name: "add" },
      selection,
      recompute: true,
    });
  });

  test("overrides take codes too", () => {
    expect(run("partition: 4\n", ["context=R2E"]).context).toMatchObject({ fromInput: true, previousModules: 2 });
    expect(run("partition: 4\ncontext: R1E\n", ["context=none"]).context).toBeNull();
    expect(run("partition: 4\ncontext: R1E\n", ["context.recompute=false"]).context).toMatchObject({
      fromInput: true,
      recompute: false,
    });
  });
});

describe("head codes", () => {
  const auxiliary = { name: "auxiliary", convLayers: 1, linearLayers: 2, widen: 1, features: 128 };
  const headOf = (head: string) => run(`partition: 4\nobjective: { head: ${head} }\n`).objective.head;

  test.each([
    ["1c2f", auxiliary],
    ["2C3F", { ...auxiliary, convLayers: 2, linearLayers: 3 }],
    ["{ name: 0c1f, widen: 2 }", { ...auxiliary, convLayers: 0, linearLayers: 1, widen: 2 }],
    ["{ name: 1c2f, convLayers: 3 }", { ...auxiliary, convLayers: 3 }],
    ["{ linearLayers: 1, name: 1c2f }", { ...auxiliary, linearLayers: 1 }],
    ["{ convLayers: 2 }", { ...auxiliary, convLayers: 2 }],
    ["{ widen: 0.5 }", { ...auxiliary, widen: 0.5 }],
    ["auxiliary", auxiliary],
  ])("%s", (written, expected) => {
    expect(headOf(written)).toEqual(expected);
  });

  test("merge in variants as what they stand for", () => {
    const runs = expand(`${SHORT}partition: 4
objective: { head: 1c2f }
variants:
  wide: { objective: { head: { widen: 2 } } }
  deep: { objective: { head: { convLayers: 2, features: 64 } } }
  code: { objective: { head: 2c3f } }
  other: { objective: { head: mlp } }\n`);
    expect(runs.map(({ objective }) => objective.head)).toEqual([
      { ...auxiliary, widen: 2 },
      { ...auxiliary, convLayers: 2, features: 64 },
      { ...auxiliary, convLayers: 2, linearLayers: 3 },
      expect.objectContaining({ name: "mlp" }),
    ]);
  });

  test("what is no code is the name of no head", () => {
    const text = `${SHORT}partition: 4\nobjective: { head: 9c1f }\n`;
    expect(mistakes(text)).toEqual([
      expect.stringMatching(/^x\.yaml:5:20: objective\.head: unknown head: 9c1f \(known: .*auxiliary.*\)/),
    ]);
  });
});

describe("gradientCheckpointing and match", () => {
  test.each([
    ["true", "square-root"],
    ["false", null],
    ["null", null],
    ["3", 3],
  ])("gradientCheckpointing: %s", (written, expected) => {
    expect(run(`gradientCheckpointing: ${written}\n`).gradientCheckpointing).toBe(expected);
  });

  test("match keeps its context, which is what it is to cost", () => {
    const { match, context } = run("partition: 4\ncontext: E\nmatch: inference\n");
    expect(match).toBe("inference");
    expect(context).toMatchObject({ fromInput: true });
  });
});

describe("what is refused, in one sentence at its place", () => {
  test.each([
    [
      "partition: 4\ncontext: R1EE",
      'x.yaml:5:10: context: expected none, a code such as R1E, or a map such as { fromInput: true, previousModules: 1 }, got "R1EE"',
    ],
    [
      "partition: 4\ncontext: true",
      "x.yaml:5:10: context: expected none, a code such as R1E, or a map such as { fromInput: true, previousModules: 1 }, got true",
    ],
    [
      "partition: 4\ncontext: { previousModules: -1 }",
      "x.yaml:5:29: context.previousModules: expected an integer, 0 or more, got -1",
    ],
    [
      "partition: 4\ncontext: { fromImage: true }",
      "x.yaml:5:12: context.fromImage: unknown key (known: fromInput, previousModules, selection, recompute, fusion)",
    ],
    [
      "partition: 4\ncontext: { fromInput: true, fusion: sum }",
      "x.yaml:5:37: context.fusion: unknown fusion: sum (known: add, concatenate, gated)",
    ],
    [
      "partition: 4\ncontext: { fromInput: true, fusion: { name: gated, start: 1 } }",
      "x.yaml:5:59: context.fusion.start: expected a number above 0 and below 1, got 1",
    ],
    [
      "partition: 4\ncontext: { fromInput: true, selection: { after: 0 } }",
      "x.yaml:5:49: context.selection.after: expected a positive integer, got 0",
    ],
    [
      "partition: 4\ncontext: { fromInput: true, selection: { after: 3 } }",
      "x.yaml:5:49: context.selection.after: expected at most the 2 epochs of training, got 3",
    ],
    [
      "context: E",
      "x.yaml:4:10: context: there is one module, which has none before it; cut the network, or use context: none",
    ],
    [
      "partition: 4\ncontext: E\nschedule: asynchronous",
      "x.yaml:6:11: schedule: asynchronous keeps what the module before gives, and not what else a context needs; use sequential",
    ],
    [
      "partition: 4\ncontext: E\nobjective: { loss: signal-propagation }",
      "x.yaml:5:10: context: signal-propagation sends labels through the modules, for which there is no context",
    ],
    [
      "partition: 4\ncontext: E\nretrain: { from: a.safetensors, frozen: 2 }",
      "x.yaml:5:10: context: weights of stages alone are taken over, not of contexts; leave out retrain",
    ],
    [
      "rule: forward-gradient\ncontext: R1E",
      "x.yaml:5:1: context: forward-gradient does not use it; leave it out, or set it to null",
    ],
    [
      "rule: forward-gradient\nmatch: inference",
      "x.yaml:5:1: match: forward-gradient does not use it; leave it out, or set it to null",
    ],
    ...["{}", "{ fusion: gated }", "{ selection: { after: 1 } }", "{ fromInput: false, recompute: false }"].map(
      (context): [string, string] => [
        `partition: 4\ncontext: ${context}`,
        "x.yaml:5:10: context: missing; expected a source: say fromInput: true or previousModules: 1, or context: none",
      ],
    ),
    ["partition: 4\ncontext: { name: R1E }", "x.yaml:5:12: context.name: unknown key; write context: R1E"],
    [
      "partition: 4\ncontext: { name: R2, fusion: gated }",
      "x.yaml:5:12: context.name: unknown key; write fromInput: false, previousModules: 2 instead",
    ],
    ["partition: 4\ncontext: { name: none }", "x.yaml:5:12: context.name: unknown key; write context: none"],
    [
      "partition: 4\ncontext: { fromInput: true, after: 2 }",
      "x.yaml:5:29: context.after: unknown key; did you mean context.selection.after?",
    ],
    [
      "partition: 4\ncontext: R999E",
      "x.yaml:5:10: context.previousModules: expected at most the 4 modules there are, got 999",
    ],
    [
      "partition: stage\ncontext: { previousModules: 17 }",
      "x.yaml:5:29: context.previousModules: expected at most the 16 modules there are, got 17",
    ],
    [
      "partition: 4\ncontext: { fromInput: true, selection: { images: 50001 } }",
      "x.yaml:5:50: context.selection.images: expected at most the 50000 training images there are, got 50001",
    ],
    [
      "partition: 4\ncontext: { fromInput: true, selection: {} }\nmatch: inference",
      "x.yaml:6:8: match: it widens the network to the cost of the whole context, and a selection takes parts of it away; leave out context.selection",
    ],
    [
      "partition: 4\ngradientCheckpointing: 1000",
      "x.yaml:5:24: gradientCheckpointing: expected at most the 16 stages of resnet32, got 1000",
    ],
    [
      "retrain: { from: a.safetensors, frozen: 6 }\ngradientCheckpointing: 11",
      "x.yaml:5:24: gradientCheckpointing: expected at most the 10 stages of resnet32 that are trained, got 11",
    ],
    [
      "partition: 4\ngradientCheckpointing: true\nobjective: { loss: signal-propagation }",
      "x.yaml:5:24: gradientCheckpointing: signal-propagation sends labels through the modules beside the images, which are not computed again; leave it out",
    ],
    [
      "rule: forward-gradient\ngradientCheckpointing: 2",
      "x.yaml:5:1: gradientCheckpointing: forward-gradient does not use it; leave it out, or set it to null",
    ],
    ["match: inference", "x.yaml:4:8: match: it widens the network to the cost of its context; say which context"],
    [
      "partition: 4\ncontext: none\nmatch: inference",
      "x.yaml:6:8: match: it widens the network to the cost of its context; say which context",
    ],
    ["match: training", 'x.yaml:4:8: match: expected inference, got "training"'],
    ["selection: {}", "x.yaml:4:1: selection: unknown key; did you mean context.selection?"],
    ["fromInput: true", "x.yaml:4:1: fromInput: unknown key; did you mean context.fromInput?"],
    ["fusion: gated", "x.yaml:4:1: fusion: unknown key; did you mean context.fusion?"],
    [
      "optimizer: { schedule: { name: cosine, warmup: 3 } }",
      "x.yaml:4:24: optimizer.schedule: expected a warm-up within the 2 epochs of training, got 3 epochs; use warmup: 0, or train longer",
    ],
    ["optimizer: { warmup: 3 }", "x.yaml:4:14: optimizer.warmup: unknown key; did you mean optimizer.schedule.warmup?"],
  ])("%s", (lines, expected) => {
    expect(mistakes(`${SHORT}${lines}\n`)).toEqual([expected]);
  });

  test("a selection that would look at augmented views", () => {
    const text = `data: { name: cifar10, augment: { flip: true } }
model: resnet32
epochs: 2
partition: 4
context: { fromInput: true, selection: {} }
objective: { loss: supervised-contrastive }\n`;
    expect(mistakes(text)).toEqual([
      "x.yaml:5:40: context.selection: it asks for the loss of plain images, and supervised-contrastive compares 2 augmented views",
    ]);
    expect(mistakes(text.replace("supervised-contrastive", "{ name: supervised-contrastive, views: 1 }"))).toEqual([]);
  });

  test("the numbers that there are are taken", () => {
    for (const lines of ["partition: 4\ncontext: R4E", "gradientCheckpointing: 16", "partition: stage\ncontext: R16"]) {
      expect(mistakes(`${SHORT}${lines}\n`), lines).toEqual([]);
    }
    const text = "data: { name: cifar10, train: 500 }\nmodel: resnet32\nepochs: 2\npartition: 4\n";
    const selection = (images: string) => `${text}context: { fromInput: true, selection: { ${images} } }\n`;
    expect(mistakes(selection("images: 500"))).toEqual([]);
    expect(mistakes(selection("images: 501"))).toHaveLength(1);
    expect(mistakes(selection(""))).toEqual([]); // of 1024, all that there are
  });

  test("a part of a context at the top level that variants complete", () => {
    const text = `${SHORT}partition: 4
context: { fusion: gated, selection: {} }
variants:
  input: { context: { fromInput: true } }
  code: { context: R2 }
  none: { context: none }\n`;
    expect(mistakes(text)).toEqual([]);
    expect(expand(text).map(({ context }) => context?.fusion.name ?? null)).toEqual(["gated", "gated", null]);
    expect(mistakes(`${text}  nothing: { partition: 2 }\n`)).toEqual([
      "x.yaml:5:10: context: missing; expected a source: say fromInput: true or previousModules: 1, or context: none",
    ]);
  });

  test("both mistakes of a context without a source are named at once", () => {
    expect(mistakes(`${SHORT}partition: 4\ncontext: { fusion: sum }\n`)).toEqual([
      expect.stringContaining("context: missing; expected a source"),
      expect.stringContaining("context.fusion: unknown fusion: sum"),
    ]);
  });

  test("a match of a model without a width", () => {
    const text = "data: cifar10\nmodel: lenet5\nepochs: 2\npartition: 2\ncontext: E\nmatch: inference\n";
    const fake = () => withoutWidth.expand(documentFromText(text, "x.yaml"));
    expect(fake).toThrow("x.yaml:6:8: match: lenet5 has no width that could be changed");
  });

  test("in a variant, where it is written", () => {
    const text = `${SHORT}partition: 4
context: R1E
variants:
  e2e: { partition: 1 }
  late: { context: { selection: { after: 5 } } }
  fine: { context: none, partition: 1 }\n`;
    expect(mistakes(text)).toEqual([
      "x.yaml:5:10: context: there is one module, which has none before it; cut the network, or use context: none",
      "x.yaml:8:42: variants.late.context.selection.after: expected at most the 2 epochs of training, got 5",
    ]);
  });

  test("a context at the top level is nothing to a variant with another rule that is without it", () => {
    const text = `${SHORT}partition: 4\ncontext: E\nvariants: { a: { rule: forward-gradient, partition: 1, context: null }, b: {} }\n`;
    expect(mistakes(text)).toEqual([]);
  });
});

describe("a context where a cut has no feature map is refused before anything is built", () => {
  const refusal = (model: string, lines: string) => mistakes(`data: cifar10\nmodel: ${model}\nepochs: 2\n${lines}\n`);
  const noMaps = (model: string) =>
    `context: ${model} has no stage that gives feature maps, which contexts are added to; use context: none`;
  const fits = (upTo: number, cuts: string) =>
    `use cuts up to ${upTo}, such as partition: { cuts: [${cuts}] }, or context: none`;
  const cutAfter = (stage: number, model: string) =>
    `context: the cut after stage ${stage} of ${model} has no feature map that contexts could be added to; `;
  const measured = (model: string, upTo: string) =>
    `context: balance: memory may cut after any stage, and ${model} gives feature maps, which contexts are added to, only up to stage ${upTo}; `;

  test.each([
    ["vit", "partition: 2", noMaps("vit")],
    ["mlp", "partition: { cuts: [1] }", noMaps("mlp")],
    ["mlp", "partition: { modules: 2, balance: memory }", noMaps("mlp")],
    ["lenet5", "partition: 2", cutAfter(3, "lenet5") + fits(2, "1")],
    ["lenet5", "partition: stage", cutAfter(3, "lenet5") + fits(2, "1, 2")],
    ["cnn", "partition: { cuts: [1, 3] }", cutAfter(3, "cnn") + fits(2, "1, 2")],
    ["vgg11", "partition: stage", cutAfter(9, "vgg11") + fits(8, "1, 2, 3, 4, 5, 6, 7, 8")],
    ["vgg16", "partition: { cuts: [5, 14] }", cutAfter(14, "vgg16") + fits(13, "5, 9")],
    ["vgg11", "partition: { modules: 3, balance: memory }", measured("vgg11", "8 of 10") + fits(8, "3, 6")],
    // The last stage of lenet5 is then the classifier.
    ["lenet5", "partition: stage\nobjective: { loss: hsic-bottleneck }", cutAfter(3, "lenet5") + fits(2, "1, 2")],
  ])("%s, %s", (model, lines, expected) => {
    expect(refusal(model, `${lines}\ncontext: E`)).toEqual([expect.stringContaining(expected)]);
  });

  test.each([
    ["lenet5", "partition: { cuts: [1, 2] }"],
    ["lenet5", "partition: { cuts: [2, 4] }\nobjective: { loss: hsic-bottleneck }"],
    ["cnn", "partition: 2"],
    ["vgg11", "partition: 4"],
    ["vgg11", "partition: { cuts: [8] }"],
    ["resnet20", "partition: stage"],
    ["resnet20", "partition: { modules: 3, balance: memory }"],
  ])("%s, %s can have one", (model, lines) => {
    expect(refusal(model, `${lines}\ncontext: E`)).toEqual([]);
  });

  test("one module is left where the last stage is the classifier", () => {
    const lines = "partition: { cuts: [4] }\nobjective: { loss: hsic-bottleneck }\ncontext: E";
    expect(refusal("lenet5", lines)).toEqual([expect.stringContaining("context: there is one module")]);
  });

  test("in a variant, at the context that it is given", () => {
    const text = `data: cifar10\nmodel: vgg11\nepochs: 2\npartition: stage
variants: { plain: {}, supplied: { context: E }, cut: { context: E, partition: 4 } }\n`;
    expect(mistakes(text)).toEqual([
      expect.stringMatching(/^x\.yaml:5:45: variants\.supplied\.context: the cut after/),
    ]);
  });
});

describe("identity", () => {
  test("runs of before these settings are the same runs", () => {
    const old = `name: old
data: { name: cifar10, train: 2000, test: 1000, batch: 100, augment: { flip: true, crop: { padding: 4 } } }
model: { name: resnet18, width: 8 }
optimizer: { name: sgd, momentum: 0.9, learningRate: 0.05, schedule: { milestones: [3], gamma: 0.2 } }
epochs: 5
observe: { nhsic: { every: 1 }, probe: { at: end } }
variants:
  e2e: { partition: 1 }
  layer-wise: { partition: stage, objective: { head: mlp } }
  two: { partition: 2, objective: { nhsic: { weight: 0.1 } }, schedule: sequential }
  cut: { partition: { cuts: [3, 6] }, classifier: detached }
  contrast: { partition: 2, objective: { loss: supervised-contrastive } }
  one-view: { partition: 2, objective: { loss: { name: supervised-contrastive, views: 1, temperature: 0.07 } }, classifier: after }
  forward: { model: lenet5, rule: forward-forward, optimizer: adam, data: { augment: null } }
  gradient: { model: mlp, rule: forward-gradient, optimizer: adam }
  vgg: { model: { name: vgg11, form: layer-wise }, precision: bfloat16 }
  vit: { model: vit, optimizer: { name: adamw, weightDecay: 0.05 } }\n`;
    // As the version before contexts called them.
    expect(expand(old).map(runId)).toEqual([
      "old-e2e-s1-44b41429",
      "old-layer-wise-s1-50fdceea",
      "old-two-s1-46ad781f",
      "old-cut-s1-7bc6c675",
      "old-contrast-s1-332855d3",
      "old-one-view-s1-f208077b",
      "old-forward-s1-f1806a06",
      "old-gradient-s1-44e1b792",
      "old-vgg-s1-35188401",
      "old-vit-s1-4f4e18fd",
    ]);
  });

  test.each([
    "context=R1E",
    "context={fromInput: true, recompute: false}",
    "context={fromInput: true, fusion: gated}",
    "context={fromInput: true, selection: {after: 2}}",
    "objective.reconstruction=true",
    "gradientCheckpointing=true",
    "gradientCheckpointing=3",
    "optimizer.schedule={name: cosine, warmup: 0}",
    "partition={modules: 4, balance: memory}",
    "objective.head=1c2f",
  ])("%s decides", (override) => {
    expect(settingsHash(run("partition: 4\n", [override]))).not.toBe(settingsHash(run("partition: 4\n")));
  });

  test("match decides, and each setting of a context does", () => {
    const hashes = [
      "context: E",
      "context: E\nmatch: inference",
      "context: R1E",
      "context: { fromInput: true, recompute: false }",
      "context: { fromInput: true, selection: {} }",
    ].map((lines) => settingsHash(run(`partition: 4\n${lines}\n`)));
    expect(new Set(hashes).size).toBe(hashes.length);
  });
});
