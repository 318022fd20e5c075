// Every layer against PyTorch: initial values from a seed, results and gradients, state, evaluation.
import { describe, expect, it } from "vitest";
import * as torch from "../../src/index.js";
import { crossEntropy, manualSeed, mul, nn, scope, type Tensor, tensor } from "../../src/index.js";
import { allClose, exact, expectTensor, type Tolerance } from "../support/close.js";
import { decode, decodeTensor, type Encoded, readFixture } from "../support/fixtures.js";

type Named = Record<string, Encoded>;
interface Layer {
  kind: string;
  args: unknown[];
  seed: number;
  inputs: Encoded[];
  weights: Encoded;
  initial: Named;
  result: Encoded;
  /** Null for an input of integers. */
  inputGradients: (Encoded | null)[];
  gradients: Named;
  state: Named;
  evaluated: Encoded;
}

/** Running statistics after each batch, and the first batch evaluated with the last. */
interface Moving {
  batches: Encoded[];
  statistics: Named[];
  evaluated: Encoded;
}
interface Attention {
  name: string;
  seed: number;
  heads: number;
  query: Encoded;
  key: Encoded;
  masks: Record<string, Encoded | boolean>;
  output: Encoded;
  weights: Encoded;
}

const fixture = readFixture<{
  layers: Layer[];
  sequential: { seed: number; input: Encoded; labels: Encoded; loss: Encoded; names: string[]; gradients: Named };
  initial: { name: string; seed: number; value: Encoded }[];
  gains: [string, Parameters<typeof nn.gain>[0], number | null, number][];
  attention: Attention[];
  batchNorm: Moving;
  batchNormMean: Moving;
  instanceNorm: Moving;
}>("layers.json");

/** float32, sums of up to a hundred terms. */
const close: Tolerance = { relative: 1e-5, absolute: 2e-6 };

type LayerClass = new (...args: unknown[]) => nn.Module;
const classes = new Map(
  Object.entries(nn as Record<string, unknown>).filter(
    ([, value]) => typeof value === "function" && value.prototype instanceof nn.Module,
  ) as [string, LayerClass][],
);

function expectNamed(actual: Iterable<[string, Tensor | null]>, expected: Named, tolerance: Tolerance): void {
  const map = new Map(actual);
  expect([...map.keys()]).toEqual(Object.keys(expected));
  for (const [name, value] of map) expectTensor(value!, expected[name]!, tolerance, name);
}

it("has a case for every layer", () => {
  const cases = new Set(fixture.layers.map(({ kind }) => kind));
  const containers = new Set(["Sequential", "ModuleList", "ModuleDict"]);
  expect([...classes.keys()].filter((name) => !containers.has(name)).sort()).toEqual([...cases].sort());
});

describe("a layer as PyTorch's", () => {
  it.each(fixture.layers.map((layer) => [layer.kind, JSON.stringify(layer.args), layer] as const))(
    "%s %s",
    (_, __, layer) => {
      scope(() => {
        manualSeed(layer.seed);
        const module = new (classes.get(layer.kind)!)(...(decode(layer.args) as unknown[]));
        expectNamed(module.stateDict(), layer.initial, exact);

        const inputs = layer.inputs.map(decodeTensor);
        for (const [at, expected] of layer.inputGradients.entries()) if (expected) inputs[at]!.requiresGrad_();
        // A layer that writes over its input may not have a leaf.
        const inPlace = (layer.args[0] as { inPlace?: boolean } | undefined)?.inPlace;
        const given = () => (inPlace ? inputs.map((input) => mul(input, 1)) : inputs) as never[];
        const forward = module.forward.bind(module) as (...tensors: never[]) => Tensor;
        const result = forward(...given());
        expectTensor(result, layer.result, close, "result");
        mul(result, decodeTensor(layer.weights)).sum().backward();
        for (const [at, expected] of layer.inputGradients.entries()) {
          if (expected) expectTensor(inputs[at]!.grad!, expected, close, `gradient of input ${at}`);
        }
        expectNamed(
          Array.from(module.namedParameters(), ([name, { grad }]) => [name, grad]),
          layer.gradients,
          close,
        );
        expectNamed(module.stateDict(), layer.state, close);

        module.eval();
        expectTensor(forward(...given()), layer.evaluated, close, "evaluated");
        expectNamed(module.stateDict(), layer.state, close);
        module.zeroGrad();
        expect(module.parameters().every(({ grad }) => grad === null)).toBe(true);
        module.dispose();
      });
    },
  );
});

it("Sequential runs its layers in order and names them as PyTorch", () => {
  scope(() => {
    const { seed, input, labels, loss, names, gradients } = fixture.sequential;
    manualSeed(seed);
    const network = new nn.Sequential(
      new nn.Conv2d(1, 4, 3, { padding: 1 }),
      new nn.BatchNorm2d(4),
      new nn.ReLU(),
      new nn.MaxPool2d(2),
      new nn.Flatten(),
      new nn.Linear(16, 3),
    );
    expect([...network.stateDict().keys()].sort()).toEqual([...names].sort());
    const result = crossEntropy(network.forward(decodeTensor(input)), decodeTensor(labels));
    expectTensor(result, loss, close);
    result.backward();
    expectNamed(
      Array.from(network.namedParameters(), ([name, { grad }]) => [name, grad]),
      gradients,
      close,
    );
    network.dispose();
  });
});

it.each([
  ["BatchNorm2d", fixture.batchNorm, () => new nn.BatchNorm2d(2)],
  ["BatchNorm2d with a plain mean", fixture.batchNormMean, () => new nn.BatchNorm2d(2, { momentum: null })],
  ["InstanceNorm2d", fixture.instanceNorm, () => new nn.InstanceNorm2d(2, { trackRunningStats: true })],
] as const)("%s moves its running statistics as PyTorch, batch after batch", (_, recorded, make) => {
  scope(() => {
    const module = make();
    for (const [at, batch] of recorded.batches.entries()) {
      module.forward(decodeTensor(batch));
      expectNamed(module.stateDict(), recorded.statistics[at]!, close);
    }
    expectTensor(module.eval().forward(decodeTensor(recorded.batches[0]!)), recorded.evaluated, close);
    module.dispose();
  });
});

describe("MultiheadAttention", () => {
  it.each(fixture.attention)("has PyTorch's output and weights: $name", (recorded) => {
    scope(() => {
      manualSeed(recorded.seed);
      const module = new nn.MultiheadAttention(4, recorded.heads, { batchFirst: true });
      const [query, key] = [decodeTensor(recorded.query), decodeTensor(recorded.key)];
      const { output, weights } = module.attend(query, key, key, decode(recorded.masks) as nn.AttendOptions);
      expectTensor(output, recorded.output, close, "output");
      expectTensor(weights, recorded.weights, close, "weights");
      module.dispose();
    });
  });

  it("has the gradients of finite differences, through masks, in float64", () => {
    scope(() => {
      const module = new nn.MultiheadAttention(4, 2, { generator: new torch.Generator(1) }).to("float64");
      const generator = new torch.Generator(2);
      const draw = (...shape: number[]) => torch.randn(shape, { dtype: "float64", generator });
      const [query, key, weights] = [draw(3, 2, 4), draw(5, 2, 4), draw(3, 2, 4)];
      const keyPaddingMask = tensor([[false, true, false, false, true], [false, false, true, false, false]]); // biome-ignore format: a matrix
      const loss = () => mul(module.forward(query, key, key, { keyPaddingMask }), weights).sum();
      checkGradients([query, key, ...module.parameters()], loss);
      module.dispose();
    });
  });

  it("ignores what is masked, and refuses shapes that do not fit", () => {
    scope(() => {
      const module = new nn.MultiheadAttention(4, 2, { batchFirst: true });
      const query = torch.randn([1, 2, 4]);
      const key = torch.randn([1, 3, 4]);
      const keyPaddingMask = tensor([[false, true, false]]);
      const { weights } = module.attend(query, key, key, { keyPaddingMask });
      expect(weights.select(2, 1).toNumbers()).toEqual([0, 0]);
      expect(weights.shape).toEqual([1, 2, 3]);

      expect(() => module.forward(torch.zeros([1, 2, 5]))).toThrow(
        "MultiheadAttention: expected query [N, L, 4], key and value [N, S, 4], got [1, 2, 5], [1, 2, 5], [1, 2, 5]",
      );
      expect(() => module.forward(query, key, query)).toThrow(/got \[1, 2, 4\], \[1, 3, 4\], \[1, 2, 4\]/);
      expect(() => module.forward(query, key, key, { keyPaddingMask: tensor([true]) })).toThrow(
        "MultiheadAttention: expected keyPaddingMask [1, 3], got [1]",
      );
      expect(() => module.forward(query, key, key, { attentionMask: torch.zeros([3, 2]) })).toThrow(
        "MultiheadAttention: expected attentionMask [2, 3] or [2, 2, 3], got [3, 2]",
      );
      expect(() => new nn.MultiheadAttention(6, 4)).toThrow("expected heads that divide embedDimension, got 4 and 6");
      module.dispose();
    });
  });
});

it("TransformerEncoderLayer has the gradients of finite differences, in float64", () => {
  scope(() => {
    const module = new nn.TransformerEncoderLayer(4, 2, { feedForward: 6, activation: "gelu" }).eval().to("float64");
    const input = torch.randn([3, 2, 4], { dtype: "float64", generator: new torch.Generator(2) });
    const weights = torch.randn([3, 2, 4], { dtype: "float64", generator: new torch.Generator(3) });
    checkGradients([input, module.selfAttn.inProjWeight, module.norm1.weight!], () =>
      mul(module.forward(input), weights).sum(),
    );
    module.dispose();
  });
});

/** Gradients of the scalar `loss()` with respect to float64 tensors, against central differences. */
function checkGradients(inputs: Tensor[], loss: () => Tensor): void {
  const step = 1e-5;
  for (const input of inputs) input.requiresGrad_();
  const gradients = torch.grad([loss()], inputs);
  for (const [at, input] of inputs.entries()) {
    const flat = input.detach().view([-1]);
    const differences = Array.from({ length: input.numel }, (_, i) =>
      scope(() => {
        const element = flat.narrow(0, i, 1);
        const value = element.item();
        element.fill_(value + step);
        const above = loss().item();
        element.fill_(value - step);
        const below = loss().item();
        element.fill_(value);
        return (above - below) / (2 * step);
      }),
    );
    allClose(gradients[at]!.toNumbers(), differences, { relative: 1e-7, absolute: 1e-8 }, `gradient of input ${at}`);
  }
}

describe("a layer that is given another shape says which it takes", () => {
  const zeros = (...shape: number[]) => torch.zeros(shape);
  it.each<[string, () => unknown]>([
    ["BatchNorm2d: expected input [N, 3, H, W], got [2, 4, 2, 2]", () => new nn.BatchNorm2d(3).forward(zeros(2, 4, 2, 2))],
    ["BatchNorm1d: expected input [N, 3] or [N, 3, L], got [2, 3, 2, 2]", () => new nn.BatchNorm1d(3).forward(zeros(2, 3, 2, 2))],
    ["InstanceNorm2d: expected input [N, 3, H, W], got [3, 2, 2]", () => new nn.InstanceNorm2d(3).forward(zeros(3, 2, 2))],
    ["instanceNorm: expected more than one value per channel, got input [2, 3, 1, 1]", () => new nn.InstanceNorm2d(3).forward(zeros(2, 3, 1, 1))],
    ["LayerNorm: expected input […, 2, 3], got [2, 3, 2]", () => new nn.LayerNorm([2, 3]).forward(zeros(2, 3, 2))],
    ["GroupNorm: expected input [N, 4, …], got [2, 3]", () => new nn.GroupNorm(2, 4).forward(zeros(2, 3))],
    ["GroupNorm: expected groups that divide the channels, got 3 and 4", () => new nn.GroupNorm(3, 4)],
    ["conv2d: expected stride as a number or 2 numbers, got [1, 2, 3]", () => torch.conv2d(zeros(1, 1, 3, 3), zeros(1, 1, 2, 2), { stride: [1, 2, 3] as never })],
    ["Conv1d: expected kernel as a number, got [3, 3]", () => new nn.Conv1d(1, 1, [3, 3] as never)],
    ['conv2d: padding "same" needs a stride of 1, got [2, 2]', () => torch.conv2d(zeros(1, 1, 3, 3), zeros(1, 1, 2, 2), { stride: 2, padding: "same" })],
    ['conv2d: expected a padding of numbers, "same" or "valid", got "full"', () => torch.conv2d(zeros(1, 1, 3, 3), zeros(1, 1, 2, 2), { padding: "full" as never })],
    ["mseLoss: expected input and target of one shape, got [2] and [2, 1]", () => torch.mseLoss(zeros(2), zeros(2, 1))],
    ["huberLoss: expected delta above 0, got 0", () => torch.huberLoss(zeros(2), zeros(2), { delta: 0 })],
    ["crossEntropy: expected labelSmoothing in [0, 1], got 2", () => torch.crossEntropy(zeros(1, 2), zeros(1, 2), { labelSmoothing: 2 })],
    ["pad: unknown mode mirror (known: constant, reflect, replicate, circular)", () => torch.pad(zeros(1, 1, 3), [1, 1], { mode: "mirror" as never })],
    ["pad: expected 2 amounts for reflect, got [1] and input [1, 1, 3]", () => torch.pad(zeros(1, 1, 3), [1], { mode: "reflect" })],
    ["pad: expected 3 to 5 dimensions for reflect, got [1, 1] and input [3]", () => torch.pad(zeros(3), [1, 1], { mode: "reflect" })],
    ["interpolate: expected either size or scaleFactor", () => torch.interpolate(zeros(1, 1, 2, 2), {})],
    ["interpolate: mode bilinear takes 4 dimensions, got input [1, 1, 2]", () => torch.interpolate(zeros(1, 1, 2), { size: 3, mode: "bilinear" })],
    ["interpolate: unknown mode area (known: nearest, linear, bilinear, bicubic)", () => torch.interpolate(zeros(1, 1, 2), { size: 3, mode: "area" as never })],
    ["adaptiveAvgPool2d: expected a size of at least 0, got [-1, -1]", () => torch.adaptiveAvgPool2d(zeros(1, 1, 2, 2), -1)],
    ["attention: expected either a mask or isCausal, got both", () => torch.scaledDotProductAttention(zeros(2, 2), zeros(2, 2), zeros(2, 2), { isCausal: true, mask: zeros(2, 2) })],
    ["attention: expected query and key of one last size, key and value of one length, got [2, 3], [2, 2] and [2, 2]", () => torch.scaledDotProductAttention(zeros(2, 3), zeros(2, 2), zeros(2, 2))],
    ["featureDropout: expected input [N, C, …], got [3]", () => torch.featureDropout(zeros(3))],
    ["TransformerEncoderLayer: expected the activation relu or gelu, got tanh", () => new nn.TransformerEncoderLayer(2, 1, { activation: "tanh" as never })],
    ["ModuleList: has no forward; call its modules", () => new nn.ModuleList().forward()],
    ['ModuleDict: expected names without dots, got "a.b"', () => new nn.ModuleDict({ "a.b": new nn.Identity() })],
    ["ModuleDict: unknown c (known: a)", () => new nn.ModuleDict({ a: new nn.Identity() }).get("c")],
    ["xavierUniform_: expected a weight of at least 2 dimensions, got [3]", () => nn.xavierUniform_(zeros(3))],
    ["gain: unknown activation gelu (known: linear, sigmoid, tanh, relu, leakyRelu, selu)", () => nn.gain("gelu" as never)],
    ["truncNormal_: expected low below high and a deviation above 0, got 1, 0, 1", () => nn.truncNormal_(zeros(3), { low: 1, high: 0 })],
  ])("%s", (message, call) => {
    scope(() => expect(call).toThrow(new torch.TorchError(message)));
  }); // biome-ignore format: a table
});

it("BatchNorm2d refuses to train on one value per channel, and changes nothing then", () => {
  scope(() => {
    const module = new nn.BatchNorm2d(3);
    const one = torch.ones([1, 3, 1, 1]);
    const { runningMean, runningVar } = module;
    const message = "batchNorm: expected more than one value per channel when training, got input [1, 3, 1, 1]";
    expect(() => module.forward(one)).toThrow(new torch.TorchError(message));
    expect(() => torch.batchNorm(one, { runningMean, runningVar, training: true })).toThrow(message);
    expect(() => module.forward(torch.ones([2, 4, 2, 2]))).toThrow(torch.TorchError);
    expect(runningMean!.toNumbers()).toEqual([0, 0, 0]);
    expect(runningVar!.toNumbers()).toEqual([1, 1, 1]);
    expect(module.numBatchesTracked!.item()).toBe(0);

    expect(module.forward(torch.ones([1, 3, 1, 2])).toNumbers()).toEqual([0, 0, 0, 0, 0, 0]);
    expect(module.numBatchesTracked!.item()).toBe(1);
    expect(module.eval().forward(one).shape).toEqual([1, 3, 1, 1]);
    module.dispose();
  });
});

it("Conv2d refuses groups that do not divide the channels", () => {
  const message = (inputs: number, outputs: number, groups: number) =>
    `Conv2d: inChannels and outChannels must be divisible by groups, got ${inputs} and ${outputs} with ${groups} groups`;
  for (const [inputs, outputs, groups] of [[3, 4, 2], [4, 3, 2], [4, 4, 0], [4, 4, -1], [4, 4, 0.5]] as const) {
    expect(() => new nn.Conv2d(inputs, outputs, 3, { groups })).toThrow(
      new torch.TorchError(message(inputs, outputs, groups)),
    );
  } // biome-ignore format: a table
  const module = new nn.Conv2d(4, 6, 3, { groups: 2 });
  expect(module.weight.shape).toEqual([6, 2, 3, 3]);
  module.dispose();
});

describe("initial values", () => {
  type Initialiser = (weight: Tensor, generator: torch.Generator) => Tensor;
  const initialisers: Record<string, Initialiser> = {
    kaimingUniform: (weight, generator) => nn.kaimingUniform_(weight, 0, generator),
    kaimingUniformSqrt5: (weight, generator) => nn.kaimingUniform_(weight, Math.sqrt(5), generator),
    kaimingUniformFanOut: (weight, generator) => nn.kaimingUniform_(weight, 0, generator, "fanOut"),
    kaimingNormal: (weight, generator) => nn.kaimingNormal_(weight, "fanIn", generator),
    kaimingNormalFanOut: (weight, generator) => nn.kaimingNormal_(weight, "fanOut", generator),
    kaimingNormalSlope: (weight, generator) => nn.kaimingNormal_(weight, "fanIn", generator, 0.2),
    xavierUniform: (weight, generator) => nn.xavierUniform_(weight, 1, generator),
    xavierUniformTanh: (weight, generator) => nn.xavierUniform_(weight, nn.gain("tanh"), generator),
    xavierNormal: (weight, generator) => nn.xavierNormal_(weight, 2, generator),
    truncNormal: (weight, generator) => nn.truncNormal_(weight, { generator }),
    truncNormalNarrow: (weight, generator) =>
      nn.truncNormal_(weight, { mean: 0.5, deviation: 0.3, low: 0.1, high: 0.7, generator }),
    orthogonal: (weight, generator) => nn.orthogonal_(weight, 1, generator),
    orthogonalTall: (weight, generator) => nn.orthogonal_(weight, 2, generator),
    constant: (weight) => nn.constant_(weight, 0.3),
    zeros: (weight) => nn.zeros_(weight),
    ones: (weight) => nn.ones_(weight),
  };
  /** These go through a decomposition or an inverse function, which may round otherwise elsewhere. */
  const rounded = new Set(["orthogonal", "orthogonalTall", "truncNormal", "truncNormalNarrow"]);

  it("have a gain for each activation", () => {
    for (const [, activation, slope, expected] of fixture.gains) {
      expect(nn.gain(activation, slope ?? undefined)).toBeCloseTo(expected, 14);
    }
  });

  it.each(fixture.initial)("$name has PyTorch's numbers", ({ name, seed, value }) => {
    scope(() => {
      const weight = torch.zeros(value.s, { requiresGrad: true });
      expect(initialisers[name]!(weight, new torch.Generator(seed))).toBe(weight);
      expectTensor(weight, value, rounded.has(name) ? close : exact);
    });
  });

  it("come from a layer's own generator when it is given one", () => {
    scope(() => {
      const make = (seed: number) => {
        const generator = new torch.Generator(seed);
        const layers = [new nn.Linear(3, 2, { generator }), new nn.Conv2d(1, 2, 3, { generator })];
        return layers.map((layer) => layer.parameters().map((parameter) => parameter.toNumbers()));
      };
      expect(make(4)).toEqual(make(4));
      expect(make(4)).not.toEqual(make(5));
    });
  });
});

describe("Dropout", () => {
  it("zeroes a share p of the elements, scales the others, and passes gradients the same way", () => {
    scope(() => {
      const module = new nn.Dropout(0.25, { generator: new torch.Generator(9) });
      const input = torch.ones([40_000], { requiresGrad: true });
      const result = module.forward(input);
      const numbers = result.toNumbers();
      const scale = Math.fround(1 / Math.fround(0.75));
      const zeros = numbers.filter((value) => value === 0).length;
      expect(numbers.every((value) => value === 0 || Math.abs(value - scale) < 1e-6)).toBe(true);
      // Four standard deviations of a binomial count: √(40 000 · 0.25 · 0.75) = 87.
      expect(Math.abs(zeros - 10_000)).toBeLessThan(350);
      result.sum().backward();
      expect(input.grad!.toNumbers()).toEqual(numbers);
      expect(module.forward(input).toNumbers()).not.toEqual(numbers);
    });
  });

  it("does nothing in evaluation or with p = 0, and repeats its masks from a seed", () => {
    scope(() => {
      const input = torch.ones([50]);
      expect(new nn.Dropout(0.5).eval().forward(input)).toBe(input);
      expect(new nn.Dropout(0).forward(input)).toBe(input);
      const mask = () => new nn.Dropout(0.5, { generator: new torch.Generator(2) }).forward(input).toNumbers();
      expect(mask()).toEqual(mask());
      for (const p of [-0.1, 1, Number.NaN]) expect(() => new nn.Dropout(p)).toThrow(/expected p in \[0, 1\)/);
    });
  });
});
