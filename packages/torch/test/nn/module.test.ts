import { expect, it } from "vitest";
import * as torch from "../../src/index.js";
import { Buffer, nn, Parameter, scope, type Tensor, tensor } from "../../src/index.js";

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
  expect(block.scale.isDisposed && block.bn1.runningMean.isDisposed).toBe(true);
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
    expect(to.bn1.numBatchesTracked.dtype).toBe("int64");
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
    expect(block.bn1.weight.item()).toBe(2);
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
    expect(tied.a.weight.isDisposed && tied.c.runningVar.isDisposed).toBe(true);
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
