import { expect, it } from "vitest";
import * as torch from "../../src/index.js";
import { Buffer, nn, Parameter, scope, type Tensor, tensor } from "../../src/index.js";
import { native } from "../../src/native.js";

class Block extends nn.Module {
  readonly bn1 = new nn.BatchNorm2d(1);
  readonly scale = new Parameter(torch.ones([1]));
  readonly runningScore = new Buffer(torch.zeros([2]));
  readonly layers = [new nn.Linear(1, 1, { bias: false }), new nn.ReLU()];
  readonly downSample = new nn.Sequential(new nn.Identity(), new nn.Linear(1, 2));
  readonly note = "not a module";
  override forward(input: Tensor): Tensor {
    return input;
  }
}

it("names parameters and buffers by their paths, in PyTorch's spelling", () => {
  const block = new Block();
  expect([...block.namedParameters()].map(([name]) => name)).toEqual([
    "scale",
    "bn1.weight",
    "bn1.bias",
    "layers.0.weight",
    "down_sample.1.weight",
    "down_sample.1.bias",
  ]);
  expect([...block.namedBuffers()].map(([name]) => name)).toEqual([
    "running_score",
    "bn1.running_mean",
    "bn1.running_var",
    "bn1.num_batches_tracked",
  ]);
  expect([...block.stateDict().keys()].length).toBe(10);
  expect(block.stateDict().get("bn1.running_var")).toBe(block.bn1.runningVar);
  expect([...block.namedModules()].map(([name]) => name)).toEqual([
    "",
    "bn1",
    "layers.0",
    "layers.1",
    "down_sample",
    "down_sample.0",
    "down_sample.1",
  ]);
  block.dispose();
  expect(block.scale.isDisposed && block.bn1.runningMean!.isDisposed).toBe(true);
});

it("switches training and evaluation for all below", () => {
  const block = new Block();
  const modes = () => Array.from(block.namedModules(), ([, module]) => module.training);
  expect(modes().every((mode) => mode)).toBe(true);
  expect(block.eval()).toBe(block);
  expect(modes().some((mode) => mode)).toBe(false);
  block.train();
  expect(modes().every((mode) => mode)).toBe(true);
  block.dispose();
});

it("loads a state, converting element types, into the same parameters", () => {
  scope(() => {
    const [from, to] = [new Block(), new Block()];
    const weight = to.downSample.layers[1]!.parameters()[0]!;
    to.loadStateDict(new Map(Array.from(from.stateDict(), ([name, value]) => [name, value.to("float64")])));
    for (const [name, value] of to.stateDict()) {
      expect(value.toNumbers()).toEqual(from.stateDict().get(name)!.toNumbers());
      expect(value.requiresGrad).toBe(value instanceof Parameter);
    }
    expect(to.downSample.layers[1]!.parameters()[0]).toBe(weight);
    expect(to.bn1.numBatchesTracked!.dtype).toBe("int64");
    for (const block of [from, to]) block.dispose();
  });
});

it("refuses a state that does not fit, and changes nothing then", () => {
  scope(() => {
    const block = new Block();
    const before = Array.from(block.stateDict(), ([, value]) => value.toNumbers());
    const changed = () =>
      new Map(Array.from(block.stateDict(), ([name, value]): [string, Tensor] => [name, value.detach().add(1)]));

    const missing = changed();
    missing.delete("scale");
    missing.delete("bn1.bias");
    missing.set("extra", tensor(1));
    expect(() => block.loadStateDict(missing)).toThrow(
      "loadStateDict: the saved state does not fit this module: missing scale, bn1.bias; unexpected extra",
    );
    const misshapen = changed().set("down_sample.1.bias", tensor([1, 2, 3]));
    expect(() => block.loadStateDict(misshapen)).toThrow("loadStateDict: expected down_sample.1.bias [2], got [3]");
    expect(() => block.loadStateDict(misshapen, { strict: false })).toThrow(/down_sample\.1\.bias/);
    const gone = changed();
    const last = gone.get("down_sample.1.bias")!;
    expect(last.shape).toEqual([2]);
    last.dispose();
    expect(() => block.loadStateDict(gone)).toThrow("loadStateDict: the saved down_sample.1.bias was disposed");
    expect(Array.from(block.stateDict(), ([, value]) => value.toNumbers())).toEqual(before);

    block.loadStateDict(missing, { strict: false });
    expect(block.scale.item()).toBe(1);
    expect(block.bn1.weight!.item()).toBe(2);
    block.dispose();
  });
});

/** One layer under two names, its weight under a third; another layer alone and twice in a list. */
class Tied extends nn.Module {
  readonly a = new nn.Linear(2, 2);
  readonly b = this.a;
  readonly c = new nn.BatchNorm2d(2);
  readonly layers = [this.c, this.c];
  readonly scale = this.a.weight;
  override forward(input: Tensor): Tensor {
    return input;
  }
}

it("lists what is shared once, under its first name, and keeps every name in the state, as PyTorch", () => {
  scope(() => {
    const tied = new Tied();
    const names = (entries: Iterable<[string, unknown]>) => Array.from(entries, ([name]) => name);
    expect(names(tied.namedModules())).toEqual(["", "a", "c"]);
    expect(names(tied.namedParameters())).toEqual(["scale", "a.bias", "c.weight", "c.bias"]);
    expect(names(tied.namedBuffers())).toEqual(["c.running_mean", "c.running_var", "c.num_batches_tracked"]);
    expect(tied.parameters()).toEqual([tied.a.weight, tied.a.bias, tied.c.weight, tied.c.bias]);
    expect(new Set(names(tied.stateDict()))).toEqual(
      new Set([
        ...["scale", "a.weight", "a.bias", "b.weight", "b.bias"],
        ...["c", "layers.0", "layers.1"].flatMap((path) =>
          ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"].map((name) => `${path}.${name}`),
        ),
      ]),
    );
    expect(tied.stateDict().get("b.weight")).toBe(tied.a.weight);

    tied.loadStateDict(new Map(Array.from(tied.stateDict(), ([name, value]) => [name, torch.full(value.shape, 3)])));
    expect(tied.a.weight.toNumbers()).toEqual([3, 3, 3, 3]);

    // Listed twice, it would move twice.
    tied.loadStateDict(new Map(Array.from(tied.stateDict(), ([name, value]) => [name, torch.zeros(value.shape)])));
    const optimizer = new torch.optim.SGD(tied.parameters(), { learningRate: 1 });
    tied.a.weight.sum().backward();
    optimizer.step();
    expect(tied.a.weight.toNumbers()).toEqual([-1, -1, -1, -1]);
    tied.dispose();
    expect(tied.a.weight.isDisposed && tied.c.runningVar!.isDisposed).toBe(true);
  });
});

it("finds an end among modules that hold each other", () => {
  class Child extends nn.Identity {
    parent: nn.Module | null = null;
  }
  const child = new Child();
  const parent = new nn.Sequential(child);
  child.parent = parent;
  expect(Array.from(parent.namedModules(), ([name]) => name)).toEqual(["", "0"]);
});

it("converts its parameters in place: type, gradient, memory format; counts stay integers", () => {
  scope(() => {
    const network = new nn.Sequential(new nn.Conv2d(2, 3, 3), new nn.BatchNorm2d(3));
    const [convolution, norm] = network.layers as [nn.Conv2d, nn.BatchNorm2d];
    const before = network.stateDict();
    const values = Array.from(before, ([, value]) => value.toNumbers());
    network
      .forward(torch.randn([2, 2, 4, 4]))
      .sum()
      .backward();
    const gradient = convolution.weight.grad!.toNumbers();
    expect(network.to("float64")).toBe(network);
    expect([...network.stateDict().values()]).toEqual([...before.values()]);
    expect(convolution.weight.dtype).toBe("float64");
    expect(norm.runningVar!.dtype).toBe("float64");
    expect(norm.numBatchesTracked!.dtype).toBe("int64");
    expect(convolution.weight.toNumbers()).toEqual(values[0]);
    expect(convolution.weight.grad!.dtype).toBe("float64");
    expect(convolution.weight.grad!.toNumbers()).toEqual(gradient);
    expect(convolution.weight.requiresGrad && convolution.weight.isLeaf).toBe(true);

    network.to({ memoryFormat: "channels-last" });
    expect(convolution.weight.strides).toEqual([18, 1, 6, 2]);
    expect(convolution.weight.toNumbers()).toEqual(values[0]);
    const input = torch.randn([2, 2, 4, 4], { dtype: "float64" });
    const spread = network.eval().forward(input).toNumbers();
    network.to({ memoryFormat: "row-major", device: "cpu" });
    expect(convolution.weight.strides).toEqual([18, 9, 3, 1]);
    for (const [i, value] of network.forward(input).toNumbers().entries()) expect(value).toBeCloseTo(spread[i]!, 12);
    expect(network.to("bfloat16").layers[0]!.parameters()[0]!.dtype).toBe("bfloat16");

    expect(() => network.to("int64" as never)).toThrow(
      "Module.to: expected an element type of float32, float64, float16, bfloat16, got int64",
    );
    expect(() => network.to({ dtype: "float32", device: "cuda:99" })).toThrow(torch.TorchError);
    expect(network.parameters().every(({ dtype }) => dtype === "bfloat16")).toBe(true);
    network.dispose();
  });
});

it("trains after a conversion, with an optimizer made after it", () => {
  scope(() => {
    const layer = new nn.Linear(2, 1, { generator: new torch.Generator(1) }).to("float64");
    const optimizer = new torch.optim.Adam(layer.parameters(), { learningRate: 0.1 });
    const before = layer.weight.toNumbers();
    layer
      .forward(torch.ones([3, 2], { dtype: "float64" }))
      .sum()
      .backward();
    optimizer.step();
    for (const [i, value] of layer.weight.toNumbers().entries()) expect(value).toBeCloseTo(before[i]! - 0.1, 6);
    optimizer.dispose();
    layer.dispose();
  });
});

it("visits every module once, children first, and switches training of parameters", () => {
  const block = new Block();
  const visited: string[] = [];
  expect(block.apply((module) => visited.push(module.constructor.name))).toBe(block);
  expect(visited).toEqual(["BatchNorm2d", "Linear", "ReLU", "Identity", "Linear", "Sequential", "Block"]);
  expect(block.modules().length).toBe(visited.length);
  expect(block.buffers().length).toBe(4);
  expect(block.requiresGrad_(false)).toBe(block);
  expect(block.parameters().some(({ requiresGrad }) => requiresGrad)).toBe(false);
  expect(
    block
      .requiresGrad_()
      .parameters()
      .every(({ requiresGrad }) => requiresGrad),
  ).toBe(true);
  block.dispose();
});

it("says what a state that is not strict lacks, and every shape that differs", () => {
  scope(() => {
    const layer = new nn.Linear(2, 1);
    const saved = new Map<string, Tensor>([["weight", torch.ones([1, 2])], ["scale", tensor(1)]]); // biome-ignore format: a map
    expect(layer.loadStateDict(saved, { strict: false })).toEqual({ missing: ["bias"], unexpected: ["scale"] });
    expect(layer.weight.toNumbers()).toEqual([1, 1]);
    const misshapen = new Map<string, Tensor>([["weight", torch.zeros([2, 1])], ["bias", torch.zeros([2])]]); // biome-ignore format: a map
    expect(() => layer.loadStateDict(misshapen)).toThrow(
      new torch.TorchError("loadStateDict: expected weight [1, 2], got [2, 1]; bias [1], got [2]"),
    );
    expect(layer.weight.toNumbers()).toEqual([1, 1]);
    layer.dispose();
  });
});

it("names the modules of lists and dictionaries as PyTorch", () => {
  class Towers extends nn.Module {
    readonly stages = new nn.ModuleList([new nn.Linear(1, 1), new nn.ReLU(), new nn.Linear(1, 2, { bias: false })]);
    readonly headBy = new nn.ModuleDict({ first: new nn.Linear(2, 1), leakyOne: new nn.PReLU() });
    override forward(input: Tensor): Tensor {
      return [...this.stages].reduce((value, stage) => stage.forward(value), input);
    }
  }
  scope(() => {
    const towers = new Towers();
    expect([...towers.stateDict().keys()]).toEqual([
      ...["stages.0.weight", "stages.0.bias", "stages.2.weight"],
      ...["head_by.first.weight", "head_by.first.bias", "head_by.leakyOne.weight"],
    ]);
    expect(towers.forward(torch.ones([3, 1])).shape).toEqual([3, 2]);
    expect(towers.stages.length).toBe(3);
    expect(towers.stages.at(-1)).toBe(towers.stages.items[2]);
    expect(() => towers.stages.at(3)).toThrow("ModuleList: expected a number below 3, got 3");
    expect(Array.from(towers.headBy, ([name]) => name)).toEqual(["first", "leakyOne"]);
    expect(towers.headBy.get("leakyOne")).toBeInstanceOf(nn.PReLU);
    expect(towers.headBy.size).toBe(2);
    towers.dispose();
  });
});

it("leaves no tensors behind: layers, attention and optimizers in a training step", () => {
  const layer = new nn.TransformerEncoderLayer(4, 2, { feedForward: 8 });
  const optimizer = new torch.optim.RMSprop(layer.parameters(), { momentum: 0.9, centered: true });
  const step = () =>
    scope(() => {
      optimizer.zeroGrad({ setToNone: false });
      layer
        .forward(torch.randn([3, 2, 4]))
        .sum()
        .backward();
      torch.optim.clipGradNorm_(layer.parameters(), 1);
      optimizer.step();
    });
  step();
  const live = () => native().liveTensors();
  const before = live();
  for (let i = 0; i < 3; i++) step();
  expect(live()).toBe(before);
  optimizer.dispose();
  layer.dispose();
});
