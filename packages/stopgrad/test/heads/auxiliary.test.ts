// Auxiliary classifiers: published parameter counts, PyTorch's values and gradients (fixtures/record-infopro.py), the
// shapes they take on at every place where a network can be cut, and the codes that papers call them by.
import "../support/one-thread.js";
import { readFileSync } from "node:fs";
import { Generator, memory, type nn, noGrad, scope, type Tensor, tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { parseHeadCode as parseWithoutTensors } from "../../src/heads/auxiliary-code.js";
import { type HeadContext, heads, lastMapOf, parseHeadCode } from "../../src/heads/index.js";
import { type ModelName, stageShapes } from "../../src/models/index.js";
import { inPrecision, layOutFor } from "../../src/models/precision.js";
import { expectClose } from "../support/compare.js";
import { imagesOf, type Summary, setState, summaryError, summaryOf, values } from "../support/formula.js";
import { countParameters, type ImageShape, makeBackbone, makeBatch, makeRule } from "../support/networks.js";

const { auxiliary } = heads;

/** Where ResNet-20 to 110 come to on images of 32 x 32. */
const LAST = [64, 8, 8];

function create(code: string, context: Partial<HeadContext> = {}, options: Record<string, unknown> = {}): nn.Module {
  const { name: _, ...layers } = parseHeadCode(code)!;
  return auxiliary.create(
    { ...layers, ...options },
    { shape: [16, 32, 32], final: LAST, classes: 10, outputs: "classes", generator: new Generator(1), ...context },
  )!;
}

/** What the first convolution gives, `[C, H, W]`; null where there is none. */
function convolved(head: nn.Module, input: Tensor): number[] | null {
  const first = [...head.namedModules()].find(([path]) => path === "convolutions.0")?.[1];
  return first ? first.forward(input).shape.slice(1) : null;
}

describe("parameters", () => {
  // arXiv 2101.10832: 1c2f; the others by hand. With c channels, m behind the convolutions, f = 128 and q that come out:
  // convolution 9 c m + 2 m, second one 9 m m + 2 m, linear layers (inputs + 1) outputs.
  const classes = {
    "0c1f": [170, 330, 650], // 17·10, 33·10, 65·10
    "0c2f": [3466, 5514, 9610], // 17·128 + 129·10, …
    "1c1f": [5002, 19210, 37642], // 4608 + 64 + 33·10, 18432 + 128 + 65·10, 36864 + 128 + 65·10
    "1c2f": [10186, 28170, 46602],
    "1c3f": [26698, 44682, 63114], // 1c2f + 129·128
    "2c2f": [19466, 65162, 83594], // 1c2f + 9216 + 64, + 36864 + 128, + 36864 + 128
  };
  const features = {
    "0c1f": [2176, 4224, 8320],
    "0c2f": [18688, 20736, 24832],
    "1c1f": [8896, 26880, 45312],
    "1c2f": [25408, 43392, 61824],
    "1c3f": [41920, 59904, 78336],
    "2c2f": [34688, 80384, 98816],
  };
  const cases = Object.entries({ classes, features }).flatMap(([outputs, table]) =>
    Object.entries(table).flatMap(([code, counts]) =>
      counts.map((count, group) => ({ outputs: outputs as "classes" | "features", code, group, count })),
    ),
  );
  test.each(cases)("$code on group $group, $outputs: $count", ({ outputs, code, group, count }) => {
    scope(() => {
      const shape = [16 * 2 ** group, 32 / 2 ** group, 32 / 2 ** group];
      expect(countParameters(create(code, { shape, outputs }))).toBe(count);
    });
  });

  test("widen counts for channels and hidden features, not for what comes out", () => {
    scope(() => {
      const wide = create("1c2f", { outputs: "features" }, { widen: 2 });
      expect(countParameters(wide)).toBe(9 * 16 * 64 + 2 * 64 + 65 * 256 + 257 * 128);
      expect(wide.forward(imagesOf("x", [2, 16, 6, 6])).shape).toEqual([2, 128]);
      // ⌊0.99 · 32⌋ = 31 and ⌊0.99 · 128⌋ = 126; never nothing
      expect(countParameters(create("1c2f", {}, { widen: 0.99 }))).toBe(9 * 16 * 31 + 62 + 32 * 126 + 127 * 10);
      expect(countParameters(create("1c2f", {}, { widen: 1e-6 }))).toBe(9 * 16 + 2 + 2 + 20);
    });
  });
});

type Recorded = number[] | { summary: Summary };
/** What fixtures/record-infopro.py wrote of heads. */
const { heads: recordedHeads } = JSON.parse(
  readFileSync(new URL("../fixtures/infopro.json", import.meta.url), "utf8"),
) as {
  heads: {
    code: string;
    options: Record<string, unknown>;
    outputs: "classes" | "features";
    shape: number[];
    final: number[] | null;
    state: Record<string, number[]>;
    output: Recorded;
    gradient: Recorded;
    gradients: Record<string, Recorded>;
    buffers: Record<string, Recorded>;
    evaluated: Recorded;
  }[];
};

function expectRecorded(actual: Tensor, expected: Recorded): void {
  if (Array.isArray(expected)) expectClose(actual.toNumbers(), expected, 1e-11);
  else expect(summaryError(summaryOf(actual), expected.summary, actual.numel)).toBeLessThan(1e-11);
}

describe.each(recordedHeads)("PyTorch's figures: $code $options on $shape, $outputs", (recorded) => {
  test("state names, output, gradients, running statistics, evaluation", () => {
    scope(() => {
      const { shape, final, outputs } = recorded;
      const context = { shape, final: final ?? undefined, outputs, classes: 7 };
      const made = create(recorded.code, context, recorded.options);
      const state = made.stateDict();
      expect(Object.fromEntries(Array.from(state, ([name, entry]) => [name, entry.shape]))).toEqual(recorded.state);
      setState(state);
      made.to("float64");
      const features = imagesOf("features", [3, ...shape])
        .to("float64")
        .requiresGrad_();
      const output = made.forward(features);
      const probe = tensor(values("probe", output.numel), { shape: output.shape });
      output.mul(probe).sum().backward();
      expectRecorded(output, recorded.output);
      expectRecorded(features.grad!, recorded.gradient);
      expect([...made.namedParameters()].map(([name]) => name)).toEqual(Object.keys(recorded.gradients));
      for (const [name, parameter] of made.namedParameters()) {
        expectRecorded(parameter.grad!, recorded.gradients[name]!);
      }
      for (const [name, expected] of Object.entries(recorded.buffers)) {
        expectRecorded(made.stateDict().get(name)!, expected);
      }
      expectRecorded(made.eval().forward(features), recorded.evaluated);
    });
  });
});

describe("at every cut", () => {
  /** What the first convolution gives, a line a stage: channels and side; null: none, as behind vectors. */
  const times = (count: number, ...what: (readonly [number, number] | null)[]) => Array(count).fill(what).flat(1);
  const networks: {
    model: ModelName;
    options?: Record<string, unknown>;
    inputShape?: ImageShape;
    expected: (readonly [number, number] | null)[];
  }[] = [
    // Stem and first group, second, third: as published.
    {
      model: "resnet32",
      options: {},
      inputShape: [3, 32, 32],
      expected: [...times(6, [32, 16]), ...times(5, [64, 8]), ...times(5, [64, 8])],
    },
    {
      model: "resnet110",
      options: { width: 8 },
      expected: [...times(19, [16, 8]), ...times(18, [32, 4]), ...times(18, [32, 4])],
    },
    {
      model: "resnet18",
      options: { width: 4 },
      inputShape: [3, 16, 16],
      expected: [...times(3, [8, 8]), ...times(2, [16, 4]), ...times(2, [32, 2]), ...times(2, [32, 2])],
    },
    {
      // Taps lie before the pools between them. The last pool leads to vectors.
      model: "vgg11",
      options: { width: 4 },
      inputShape: [3, 32, 32],
      expected: [[8, 16], [16, 8], [32, 4], [32, 4], [32, 2], [32, 2], [32, 2], [32, 2], null, null],
    },
    {
      // The last two convolutions see one pixel.
      model: "vgg11",
      options: { width: 4, batchNorm: false },
      inputShape: [3, 16, 16],
      expected: [[8, 8], [16, 4], [32, 2], [32, 2], [32, 2], [32, 2], null, null, null, null],
    },
    { model: "vit", options: { width: 12, blocks: 2, patch: 8 }, expected: [null, null] },
    { model: "mlp", expected: times(5, null) },
    { model: "lenet5", inputShape: [3, 32, 32], expected: [[12, 7], [16, 5], null, null, null] },
  ];

  test.each(networks)("$model $options", ({ expected, ...setup }) => {
    scope(() => {
      const inputShape = setup.inputShape ?? [3, 16, 16];
      const shapes = stageShapes(makeBackbone(setup), inputShape);
      const final = lastMapOf(shapes);
      expect(shapes).toHaveLength(expected.length);
      for (const [at, shape] of shapes.entries()) {
        for (const outputs of ["classes", "features"] as const) {
          const head = create("1c2f", { shape, final, outputs });
          const input = imagesOf("features", [2, ...shape]);
          const conv = convolved(head, input);
          const [channels, side] = expected[at] ?? [];
          expect(conv, `stage ${at}, ${shape.join("x")}`).toEqual(channels ? [channels, side, side] : null);
          expect(head.forward(input).shape).toEqual([2, outputs === "classes" ? 10 : 128]);
          // What is left of an epoch may be one image, of which batch norm needs more than one value.
          expect(head.forward(input.narrow(0, 0, 1)).shape[0]).toBe(1);
        }
      }
    });
  });

  test("without the last map: no more channels, no stride", () => {
    scope(() => {
      const input = imagesOf("features", [2, 16, 8, 8]);
      expect(convolved(create("1c2f", { final: undefined }), input)).toEqual([16, 8, 8]);
      expect(convolved(create("1c2f", { final: undefined }, { widen: 1.5 }), input)).toEqual([24, 8, 8]);
    });
  });

  test("a map that only shrinks along one side, and one that has more channels than the last", () => {
    scope(() => {
      const shape = [6, 4, 9];
      const input = imagesOf("features", [2, ...shape]);
      expect(convolved(create("1c2f", { shape, final: [8, 4, 3] }), input)).toEqual([8, 2, 5]);
      expect(convolved(create("1c2f", { shape, final: [5, 4, 9] }), input)).toEqual([6, 4, 9]);
    });
  });

  test("of stages that end in vectors the last map counts", () => {
    expect(lastMapOf([[4, 8, 8], [8, 2, 3], [20], [10]])).toEqual([8, 2, 3]);
    expect(lastMapOf([[5, 8], [10]])).toBeUndefined();
  });
});

test("tokens: the class token behind a layer norm, then linear layers only", () => {
  scope(() => {
    const head = create("2c2f", { shape: [5, 12] });
    expect([...head.stateDict().keys()]).toEqual([
      "pooling.1.weight",
      "pooling.1.bias",
      "linear.0.weight",
      "linear.0.bias",
      "linear.1.weight",
      "linear.1.bias",
    ]);
    expect(countParameters(head)).toBe(2 * 12 + 13 * 128 + 129 * 10);
    const tokens = imagesOf("tokens", [3, 5, 12]);
    const before = head.forward(tokens).toNumbers();
    tokens.narrow(1, 1, 4).fill_(9);
    expect(head.forward(tokens).toNumbers()).toEqual(before);
  });
});

test("convolutions start normal by fan-out, linear layers uniform as PyTorch's", () => {
  scope(() => {
    const state = create("2c2f", { shape: [32, 16, 16] }).stateDict();
    for (const name of ["convolutions.0.conv.weight", "convolutions.1.conv.weight"]) {
      const entries = state.get(name)!.toNumbers();
      const deviation = Math.sqrt(entries.reduce((sum, v) => sum + v * v, 0) / entries.length);
      expect(Math.abs(deviation / Math.sqrt(2 / (9 * 64)) - 1)).toBeLessThan(5 / Math.sqrt(2 * entries.length));
      expect(Math.max(...entries)).toBeGreaterThan(3 * deviation); // no uniform numbers
    }
    const linear = state.get("linear.0.weight")!.toNumbers();
    expect(Math.max(...linear.map(Math.abs))).toBeLessThanOrEqual(1 / 8);
    expect(Math.max(...linear)).toBeGreaterThan(0.99 / 8);
  });
});

test("the same generator state gives the same head", () => {
  scope(() => {
    const weights = (seed: number) =>
      create("1c2f", { generator: new Generator(seed) })
        .parameters()
        .flatMap((parameter) => parameter.toNumbers());
    expect(weights(3)).toEqual(weights(3));
    expect(weights(3)).not.toEqual(weights(4));
  });
});

test("leaves nothing behind but what it gives, and its input alone", () => {
  scope(() => {
    const head = create("2c3f");
    const input = imagesOf("features", [2, 16, 8, 8]);
    const values = input.toNumbers();
    noGrad(() => {
      const before = memory();
      const output = head.forward(input);
      expect(memory().liveTensors - before.liveTensors).toBe(1);
      expect(output.shape).toEqual([2, 10]);
    });
    expect(input.toNumbers()).toEqual(values);
  });
});

describe("in 16 bits", () => {
  test("is near what 32 give, with gradients of 32", () => {
    scope(() => {
      const [half, full] = [create("2c2f"), create("2c2f")];
      layOutFor("bfloat16", half);
      const features = imagesOf("features", [4, 16, 8, 8]).to("bfloat16");
      const output = inPrecision("bfloat16", () => half.forward(features));
      expect(output.dtype).toBe("bfloat16");
      expectClose(output.toNumbers(), full.forward(features.to("float32")).toNumbers(), 0.05);
      output.to("float32").sum().backward();
      for (const parameter of half.parameters()) expect(parameter.grad?.dtype).toBe("float32");
    });
  });

  test.each(["resnet18", "vit"] as const)("%s learns through it", (model) => {
    const rule = makeRule({
      model,
      partition: "stage",
      head: "auxiliary",
      precision: "bfloat16",
      settings: { learningRate: 5e-3 },
    });
    const losses = Array.from({ length: 12 }, () => rule.step(makeBatch(0)).losses.map(({ loss }) => loss));
    for (const [at, first] of losses[0]!.entries()) expect(losses.at(-1)![at]).toBeLessThan(first);
  });
});

test("options out of range are refused", () => {
  const parse = (given: Record<string, unknown>) => () => auxiliary.options.parse(given);
  expect(auxiliary.options.parse({})).toEqual({ convLayers: 1, linearLayers: 2, widen: 1, features: 128 });
  for (const mistake of [
    { convLayers: -1 },
    { convLayers: 9 },
    { convLayers: 1.5 },
    { linearLayers: 0 },
    { linearLayers: 9 },
    { widen: 0 },
    { features: 0 },
    { layers: 2 },
  ]) {
    expect(parse(mistake), JSON.stringify(mistake)).toThrow();
  }
});

describe("codes", () => {
  test.each([
    ["1c2f", 1, 2],
    ["0c1f", 0, 1],
    ["8c8f", 8, 8],
    ["1C2F", 1, 2],
    ["  2c2f ", 2, 2],
  ])("%s", (code, convLayers, linearLayers) => {
    expect(parseHeadCode(code)).toEqual({ name: "auxiliary", convLayers, linearLayers });
    expect(() => auxiliary.options.parse({ convLayers, linearLayers })).not.toThrow();
  });

  test.each(["0c0f", "1c0f", "9c1f", "1c9f", "10c2f", "1c2", "c2f", "1c2f3", "-1c2f", "1 c2f", "", "mlp", "R1E"])(
    "%j is none",
    (code) => expect(parseHeadCode(code)).toBeNull(),
  );

  test("are read without tensors", () => expect(parseWithoutTensors).toBe(parseHeadCode));
});
