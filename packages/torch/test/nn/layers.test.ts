// Every layer against PyTorch: initial values from a seed, results and gradients, state, evaluation.
import { describe, expect, it } from "vitest";
import * as torch from "../../src/index.js";
import { crossEntropy, manualSeed, mul, nn, scope, type Tensor } from "../../src/index.js";
import { exact, expectTensor, type Tolerance } from "../support/close.js";
import { decode, decodeTensor, type Encoded, readFixture } from "../support/fixtures.js";

type Named = Record<string, Encoded>;
interface Layer {
  kind: string;
  args: unknown[];
  seed: number;
  input: Encoded;
  weights: Encoded;
  initial: Named;
  result: Encoded;
  inputGradient: Encoded;
  gradients: Named;
  state: Named;
  evaluated: Encoded;
}

const fixture = readFixture<{
  layers: Layer[];
  sequential: { seed: number; input: Encoded; labels: Encoded; loss: Encoded; names: string[]; gradients: Named };
  initial: { name: string; seed: number; value: Encoded }[];
  batchNorm: { batches: Encoded[]; statistics: Named[]; evaluated: Encoded };
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
  expect([...classes.keys()].filter((name) => name !== "Sequential").sort()).toEqual([...cases].sort());
});

describe("a layer as PyTorch's", () => {
  it.each(fixture.layers.map((layer) => [layer.kind, JSON.stringify(layer.args), layer] as const))(
    "%s %s",
    (_, __, layer) => {
      scope(() => {
        manualSeed(layer.seed);
        const module = new (classes.get(layer.kind)!)(...(decode(layer.args) as unknown[]));
        expectNamed(module.stateDict(), layer.initial, exact);

        const input = decodeTensor(layer.input).requiresGrad_();
        const result = module.forward(input);
        expectTensor(result, layer.result, close, "result");
        mul(result, decodeTensor(layer.weights)).sum().backward();
        expectTensor(input.grad!, layer.inputGradient, close, "gradient of the input");
        expectNamed(
          Array.from(module.namedParameters(), ([name, { grad }]) => [name, grad]),
          layer.gradients,
          close,
        );
        expectNamed(module.stateDict(), layer.state, close);

        expectTensor(module.eval().forward(input), layer.evaluated, close, "evaluated");
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

it("BatchNorm2d moves its running statistics as PyTorch, batch after batch", () => {
  scope(() => {
    const { batches, statistics, evaluated } = fixture.batchNorm;
    const module = new nn.BatchNorm2d(2);
    for (const [at, batch] of batches.entries()) {
      module.forward(decodeTensor(batch));
      expectNamed(module.stateDict(), statistics[at]!, close);
    }
    expectTensor(module.eval().forward(decodeTensor(batches[0]!)), evaluated, close);
    expect(module.numBatchesTracked.item()).toBe(batches.length);
    module.dispose();
  });
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
    expect(runningMean.toNumbers()).toEqual([0, 0, 0]);
    expect(runningVar.toNumbers()).toEqual([1, 1, 1]);
    expect(module.numBatchesTracked.item()).toBe(0);

    expect(module.forward(torch.ones([1, 3, 1, 2])).toNumbers()).toEqual([0, 0, 0, 0, 0, 0]);
    expect(module.numBatchesTracked.item()).toBe(1);
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
  const initialisers: Record<string, (weight: Tensor, generator: torch.Generator) => Tensor> = {
    kaimingUniform: (weight, generator) => nn.kaimingUniform_(weight, 0, generator),
    kaimingUniformSqrt5: (weight, generator) => nn.kaimingUniform_(weight, Math.sqrt(5), generator),
    kaimingNormal: (weight, generator) => nn.kaimingNormal_(weight, "fanIn", generator),
    kaimingNormalFanOut: (weight, generator) => nn.kaimingNormal_(weight, "fanOut", generator),
  };

  it.each(fixture.initial)("$name has PyTorch's numbers", ({ name, seed, value }) => {
    scope(() => {
      const weight = torch.zeros(value.s, { requiresGrad: true });
      expect(initialisers[name]!(weight, new torch.Generator(seed))).toBe(weight);
      expectTensor(weight, value, exact);
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
