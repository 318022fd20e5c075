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
