// CUDA: what is said where there is none, and, on a GPU, the same results as the CPU's, memory, generators, pinned memory,
// streams, graphs and the optimizers' lists. STOPGRAD_OPTIMIZER=lists takes the lists on the CPU too, so that they are
// tested everywhere.
import { describe, expect, it } from "vitest";
import * as torch from "../src/index.js";
import { keep, noGrad, scope, type Tensor } from "../src/index.js";
import { runScript } from "./support/child.js";
import { allClose, type Tolerance } from "./support/close.js";

const { cuda, nn, optim } = torch;
const here = cuda.isAvailable();
const device = "cuda";
const onGpu = describe.skipIf(!here);

/** What kernels may differ in on another device; TF32 is off for products and on for convolutions, as in PyTorch. */
const products: Tolerance = { relative: 1e-4, absolute: 1e-4 };
const convolutions: Tolerance = { relative: 2e-2, absolute: 5e-3 };

/** Seeded numbers, the same on every device. */
function numbers(shape: readonly number[], seed = 1): Tensor {
  return torch.randn(shape, { generator: new torch.Generator(seed) });
}

/** A small convolutional network, its weights the same on every device. */
function network(): InstanceType<typeof nn.Sequential> {
  const generator = new torch.Generator(5);
  return new nn.Sequential(
    new nn.Conv2d(3, 8, 3, { padding: 1, generator }),
    new nn.BatchNorm2d(8),
    new nn.ReLU(),
    new nn.AvgPool2d(4),
    new nn.Flatten(),
    new nn.Linear(8 * 4, 5, { generator }),
  );
}

const images = () => numbers([6, 3, 8, 8], 2);
const labels = () => torch.tensor([0, 1, 2, 3, 4, 0], { dtype: "int64" });

describe.skipIf(here)("without a GPU", () => {
  it("says so, and why", () => {
    expect([cuda.isAvailable(), cuda.deviceCount(), torch.cudaDevices()]).toEqual([false, 0, 0]);
    expect(cuda.whyUnavailable()).toMatch(
      /^libtorch [\d.]+ (is built without CUDA|has CUDA, but (there is no device|the addon was built without))/,
    );
    expect(torch.ones([1]).isPinned).toBe(false);
  });

  it.each([
    ["deviceName", () => cuda.deviceName()],
    ["deviceProperties", () => cuda.deviceProperties("cuda:1")],
    ["synchronize", () => cuda.synchronize()],
    ["setDeterministic", () => cuda.setDeterministic(true)],
    ["memory", () => cuda.memory()],
    ["resetPeakBytes", () => cuda.resetPeakBytes()],
    ["emptyCache", () => cuda.emptyCache()],
    ["emptyPinned", () => cuda.emptyPinned([1], "uint8")],
    ["defaultGenerator", () => cuda.defaultGenerator()],
    ["manualSeed", () => cuda.manualSeed(1)],
    ["Stream", () => new cuda.Stream()],
    ["graph", () => cuda.graph(() => torch.ones([1]))],
  ])("%s names what is missing", (name, call) => {
    expect(call).toThrow(torch.TorchError);
    expect(call).toThrow(new RegExp(`^cuda\\.${name}: cuda(:1)? cannot be used, because libtorch [\\d.]+ (is|has)`));
  });

  it("no tensor can be put there, which is said in one line", () => {
    for (const call of [() => torch.ones([1]).toDevice("cuda"), () => torch.ones([1], { device: "cuda:1" })]) {
      expect(call).toThrow(torch.TorchError);
      expect(call).toThrow(/^[^\n]*cuda[^\n]*$/i);
    }
  });

  it.each([
    ["pinMemory", () => torch.ones([1]).pinMemory()],
    ["generator", () => new torch.Generator(1, "cuda")],
  ])("%s is refused", (name, call) => {
    expect(call).toThrow(torch.TorchError);
    expect(call).toThrow(new RegExp(`^${name}: expected a (CUDA device|generator of the CPU)`));
  });
});

describe("names of devices", () => {
  it.each(["meta", "gpu", "cuda:", "cuda:-1", "cuda:1e3", "cpu", "", "CUDA"])("%j is none of a GPU", (name) => {
    expect(cuda.whyUnavailable(name)).toBe("its name is none of a CUDA device, which is cuda, or cuda:0 and so on");
  });

  it("a number that is too high is refused, saying which there are", () => {
    const reason = cuda.whyUnavailable("cuda:99");
    if (here) expect(reason).toMatch(/^there (is one device, cuda:0|are \d+ devices, cuda:0 to cuda:\d+)$/);
    else expect(reason).toBe(cuda.whyUnavailable("cuda"));
  });

  it("a generator says whose it is, and takes no other name", () => {
    expect(new torch.Generator(1).device).toBe("cpu");
    expect(() => new torch.Generator(1, "meta")).toThrow(/^Generator: expected a device of cpu or cuda, got meta$/);
  });
});

describe("an optimizer's step over lists", () => {
  // Both ways in processes of their own: which one is taken is decided once.
  const script = `
    const { Generator, Parameter, optim, randn } = torch;
    const results = {};
    const make = {
      sgd: (p) => new optim.SGD(p, { learningRate: 0.1 }),
      momentum: (p) => new optim.SGD(p, { learningRate: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.01 }),
      dampened: (p) => new optim.SGD(p, { learningRate: 0.1, momentum: 0.9, dampening: 0.3, maximize: true }),
      adam: (p) => new optim.Adam(p, { learningRate: 0.02, weightDecay: 0.1 }),
      adamw: (p) => new optim.AdamW(p, { learningRate: 0.02, amsgrad: true }),
    };
    for (const [name, create] of Object.entries(make)) {
      const generator = new Generator(1);
      const parameters = [[4, 3, 2, 2], [7], [], [0, 3]].map((shape) => new Parameter(randn(shape, { generator })));
      const optimizer = create(parameters);
      for (let step = 0; step < 5; step++) {
        for (const [at, parameter] of parameters.entries()) {
          if (at === 1 && step === 2) parameter.grad = null; // passed over: its count falls behind
          else {
            const gradient = randn(parameter.shape, { generator });
            parameter.grad = at === 0 && step > 2 ? gradient.contiguous("channels-last") : gradient;
          }
        }
        optimizer.step();
      }
      results[name] = [...parameters, ...optimizer.stateDict().values()].map((tensor) => tensor.toNumbers());
    }
    console.log(JSON.stringify(results));`;

  it("is that of each parameter, also where one lies otherwise, was passed over or is empty", () => {
    const usual = runScript<Record<string, number[][]>>(script);
    const lists = runScript<typeof usual>(script, { env: { STOPGRAD_OPTIMIZER: "lists" } });
    expect(Object.keys(lists)).toHaveLength(5);
    for (const [name, tensors] of Object.entries(usual)) {
      for (const [at, expected] of tensors.entries()) {
        allClose(lists[name]![at]!, expected, { relative: 2e-6, absolute: 1e-6 }, `${name} ${at}`);
      }
    }
  });
});

onGpu("on a GPU", () => {
  it("tells what it is", () => {
    const { name, totalBytes, capability, multiprocessors } = cuda.deviceProperties();
    expect(cuda.deviceName()).toBe(name);
    expect(name).not.toBe("");
    expect(totalBytes).toBeGreaterThan(2 ** 28);
    expect(capability[0]).toBeGreaterThan(2);
    expect(multiprocessors).toBeGreaterThan(0);
    expect(cuda.whyUnavailable("cuda:0")).toBeNull();
    expect(torch.devices()).toHaveLength(1 + cuda.deviceCount());
    expect(torch.ones([1], { device }).device).toBe("cuda:0");
  });

  it.each(["float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"] as const)(
    "takes %s there and back unchanged",
    (dtype) => {
      scope(() => {
        const values = torch.tensor([0, 1, 1, 0, 1], { dtype });
        const there = values.toDevice(device);
        expect([there.dtype, there.device]).toEqual([dtype, "cuda:0"]);
        expect(there.toDevice("cpu").toTypedArray()).toEqual(values.toTypedArray());
        expect(there.toTypedArray()).toEqual(values.toTypedArray()); // straight from there too
      });
    },
  );

  it("multiplies, reduces and solves as the CPU does", () => {
    scope(() => {
      const [a, b] = [numbers([40, 30]), numbers([30, 20], 3)];
      allClose(a.toDevice(device).matmul(b.toDevice(device)).toNumbers(), a.matmul(b).toNumbers(), products);
      allClose(a.toDevice(device).sum([0]).toNumbers(), a.sum([0]).toNumbers(), products);
      const square = a
        .matmul(a.t())
        .to("float64")
        .add(torch.eye(40, { dtype: "float64" }));
      const factor = (given: Tensor) => torch.linalgCholesky(given).toNumbers();
      allClose(factor(square.toDevice(device)), factor(square), { relative: 1e-9, absolute: 1e-10 });
    });
  });

  it.each(["row-major", "channels-last"] as const)("passes forward and backward as the CPU does, %s", (format) => {
    scope(() => {
      const passes = (where: string) => {
        const net = network().to({ device: where, memoryFormat: format });
        const logits = net.forward(images().to({ device: where, memoryFormat: format }));
        const loss = torch.crossEntropy(logits, labels().toDevice(where));
        loss.backward();
        const gradients = net.parameters().map((parameter) => parameter.grad!.toNumbers());
        return { logits: logits.toNumbers(), gradients, running: net.buffers().map((buffer) => buffer.toNumbers()) };
      };
      const [expected, got] = [passes("cpu"), passes(device)];
      allClose(got.logits, expected.logits, convolutions);
      for (const kind of ["gradients", "running"] as const) {
        for (const [at, values] of expected[kind].entries()) {
          allClose(got[kind][at]!, values, convolutions, `${kind} ${at}`);
        }
      }
    });
  });

  it("gives the same bits again where it is asked to", () => {
    scope(() => {
      cuda.setDeterministic(true);
      const [x, y] = [images().toDevice(device), labels().toDevice(device)];
      const gradients = [0, 1, 2].map(() => {
        const net = network().to({ device });
        torch.crossEntropy(net.forward(x), y).backward();
        return net.parameters().map((parameter) => parameter.grad!.toNumbers());
      });
      cuda.setDeterministic(false);
      expect(gradients[1]).toEqual(gradients[0]);
      expect(gradients[2]).toEqual(gradients[0]);
    });
  });

  it.each(["bfloat16", "float16"] as const)("computes in %s under autocast", (dtype) => {
    scope(() => {
      const net = network().to({ device });
      const exact = net.forward(images().toDevice(device));
      const logits = torch.autocast(
        dtype,
        () => {
          expect(torch.autocastDType("cuda")).toBe(dtype);
          return net.forward(images().toDevice(device));
        },
        { device: "cuda" },
      );
      expect(logits.dtype).toBe(dtype);
      allClose(logits.toNumbers(), exact.toNumbers(), { relative: 0.1, absolute: 0.1 });
      torch.crossEntropy(logits.to("float32"), labels().toDevice(device)).backward();
      expect(net.parameters().every(({ grad }) => grad?.dtype === "float32")).toBe(true);
    });
  });

  it.each([
    [
      "SGD",
      (net: InstanceType<typeof nn.Module>) => new optim.SGD(net.parameters(), { learningRate: 0.05, momentum: 0.9 }),
    ],
    ["Adam", (net: InstanceType<typeof nn.Module>) => new optim.Adam(net.parameters(), { learningRate: 0.01 })],
    ["AdamW", (net: InstanceType<typeof nn.Module>) => new optim.AdamW(net.parameters(), { learningRate: 0.01 })],
    ["RMSprop", (net: InstanceType<typeof nn.Module>) => new optim.RMSprop(net.parameters(), { learningRate: 0.01 })],
    ["Adagrad", (net: InstanceType<typeof nn.Module>) => new optim.Adagrad(net.parameters(), { learningRate: 0.01 })],
  ])("%s moves as on the CPU, and goes on from a state saved there", (_, create) => {
    scope(() => {
      // Gradients are given, so that only the optimizer is compared.
      const train = (where: string, from?: Map<string, Tensor>) => {
        const net = new nn.Linear(6, 4, { generator: new torch.Generator(7) }).to({ device: where });
        const optimizer = create(net);
        if (from) optimizer.loadStateDict(from);
        for (let step = 0; step < 5; step++) {
          for (const [at, parameter] of net.parameters().entries()) {
            parameter.grad = numbers(parameter.shape, 10 * step + at).toDevice(where);
          }
          optimizer.step();
        }
        return { state: optimizer.stateDict(), values: net.parameters().map((one) => one.toNumbers()) };
      };
      const [first, there] = [train("cpu"), train(device)];
      for (const [at, values] of first.values.entries()) {
        allClose(there.values[at]!, values, { relative: 1e-5, absolute: 1e-6 });
      }
      const [on, back] = [train("cpu", first.state), train("cpu", there.state)];
      for (const [at, values] of on.values.entries())
        allClose(back.values[at]!, values, { relative: 1e-5, absolute: 1e-6 });
      const forth = train(device, first.state);
      for (const [at, values] of on.values.entries())
        allClose(forth.values[at]!, values, { relative: 1e-5, absolute: 1e-6 });
    });
  });

  it("counts its memory", () => {
    scope(() => {
      cuda.emptyCache();
      cuda.resetPeakBytes();
      const before = cuda.memory();
      expect(before.allocatedBytes).toBe(before.peakAllocatedBytes);
      const large = torch.zeros([2 ** 20], { device }); // 4 MiB
      const during = cuda.memory();
      expect(during.allocatedBytes - before.allocatedBytes).toBe(2 ** 22);
      expect(during.reservedBytes).toBeGreaterThanOrEqual(during.allocatedBytes);
      expect(during.totalBytes).toBeGreaterThan(during.freeBytes);
      large.dispose();
      const after = cuda.memory();
      expect(after.allocatedBytes).toBe(before.allocatedBytes);
      expect(after.peakAllocatedBytes).toBe(during.allocatedBytes);
      expect(after.reservedBytes).toBe(during.reservedBytes); // kept for reuse
      cuda.emptyCache();
      expect(cuda.memory().reservedBytes).toBeLessThanOrEqual(during.reservedBytes);
      cuda.resetPeakBytes();
      expect(cuda.memory().peakAllocatedBytes).toBe(before.allocatedBytes);
      const { liveBytes } = torch.memory();
      torch.zeros([2 ** 20], { device });
      expect(torch.memory().liveBytes).toBe(liveBytes); // the CPU's count is of the CPU
    });
  });

  it("draws from generators that are seeded, saved and set back", () => {
    scope(() => {
      const generator = new torch.Generator(3, device);
      expect(generator.device).toBe("cuda:0");
      const draw = (from: torch.Generator) => torch.rand([8], { device, generator: from }).toNumbers();
      const state = generator.getState();
      expect([state.dtype, state.device]).toEqual(["uint8", "cpu"]);
      const first = draw(generator);
      const second = draw(generator);
      expect(second).not.toEqual(first);
      generator.setState(state);
      expect(draw(generator)).toEqual(first);
      expect(draw(new torch.Generator(3, "cuda:0"))).toEqual(first);
      expect(draw(generator.manualSeed(3))).toEqual(first);
      cuda.manualSeed(3);
      expect(torch.rand([8], { device }).toNumbers()).toEqual(first);
      expect(cuda.defaultGenerator()).toBe(cuda.defaultGenerator("cuda:0"));
      expect(() => torch.rand([8], { device, generator: new torch.Generator(1) })).toThrow(torch.TorchError);
      expect(() => generator.setState(new torch.Generator(1).getState())).toThrow(torch.TorchError);
    });
  });

  it("is given pinned memory while the processor goes on", () => {
    scope(() => {
      const plain = numbers([1000]);
      const pinned = plain.pinMemory();
      expect([plain.isPinned, pinned.isPinned, pinned.device]).toEqual([false, true, "cpu"]);
      expect(pinned.toNumbers()).toEqual(plain.toNumbers());
      const there = pinned.to({ device, nonBlocking: true });
      expect(there.isPinned).toBe(false);
      cuda.synchronize();
      expect(there.toNumbers()).toEqual(plain.toNumbers());
      const empty = cuda.emptyPinned([4, 2], "uint8");
      expect([empty.isPinned, empty.dtype, empty.shape]).toEqual([true, "uint8", [4, 2]]);
    });
  });

  it("computes on streams side by side, and in order where one waits for the other", () => {
    scope(() => {
      const stream = new cuda.Stream();
      const urgent = new cuda.Stream("cuda:0", { priority: true });
      expect([stream.device, urgent.device]).toEqual(["cuda:0", "cuda:0"]);
      for (let round = 0; round < 20; round++) {
        const base = torch.full([2 ** 18], round, { device });
        stream.waitForCurrent();
        const twice = stream.run(() => base.mul(2));
        stream.joinCurrent([twice]);
        expect(twice.add(1).mean().item()).toBe(2 * round + 1);
      }
      urgent.run(() => torch.ones([4], { device }));
      urgent.synchronize();
      expect(() => stream.run(() => Promise.resolve())).toThrow(/^Stream\.run: expected a function that returns/);
      expect(() =>
        stream.run(() => {
          throw new RangeError("mine");
        }),
      ).toThrow(RangeError);
      expect(() => stream.joinCurrent([torch.ones([1])])).toThrow(/expected a tensor on a CUDA device/);
    });
  });

  it("replays a graph on new inputs", () => {
    scope(() => {
      const input = keep(torch.ones([64], { device }));
      using graph = cuda.graph(() => ({ doubled: input.mul(2), sum: input.sum() }));
      for (const value of [3, 5, 7]) {
        input.fill_(value);
        graph.replay();
        expect(graph.result.sum.item()).toBe(64 * value);
        expect(graph.result.doubled.toNumbers()).toEqual(Array(64).fill(2 * value));
      }
      graph.dispose();
      expect(graph.result.sum.isDisposed).toBe(true);
      expect(() => graph.replay()).toThrow(/^Graph\.replay: expected a graph, got a disposed one/);
    });
  });

  it("replays forward and backward passes: the gradients of each batch", () => {
    scope(() => {
      const [net, plain] = [network().to({ device }), network().to({ device })];
      const [x, y] = [keep(images().toDevice(device)), keep(labels().toDevice(device))];
      const passes = (one: typeof net) => {
        one.zeroGrad();
        const loss = torch.crossEntropy(one.forward(x), y);
        loss.backward();
        return loss.detach();
      };
      using graph = cuda.graph(() => passes(net));
      // Running statistics moved in the warm-ups: start both from the same.
      plain.loadStateDict(net.stateDict());
      for (const seed of [11, 12]) {
        x.copy_(numbers([6, 3, 8, 8], seed));
        graph.replay();
        const expected = passes(plain);
        allClose(graph.result.toNumbers(), expected.toNumbers(), convolutions);
        for (const [at, parameter] of plain.parameters().entries()) {
          allClose(net.parameters()[at]!.grad!.toNumbers(), parameter.grad!.toNumbers(), convolutions);
        }
        for (const [at, buffer] of plain.buffers().entries()) {
          allClose(net.buffers()[at]!.toNumbers(), buffer.toNumbers(), convolutions);
        }
      }
    });
  });

  it("draws anew at each replay of a graph, as without one", () => {
    scope(() => {
      const draw = () => torch.rand([16], { device });
      cuda.manualSeed(4);
      using graph = cuda.graph(draw, { warmUps: 1 });
      cuda.manualSeed(9);
      graph.replay();
      const first = graph.result.toNumbers();
      graph.replay();
      const second = graph.result.toNumbers();
      expect(second).not.toEqual(first);
      cuda.manualSeed(9);
      expect([draw().toNumbers(), draw().toNumbers()]).toEqual([first, second]);
    });
  });

  it("refuses to capture what cannot be replayed, and goes on after it", () => {
    scope(() => {
      const x = keep(torch.ones([4], { device }));
      expect(() => cuda.graph(() => x.sum().item(), { warmUps: 0 })).toThrow(torch.TorchError);
      const net = new nn.Linear(4, 2).to({ device });
      const optimizer = new optim.Adam(net.parameters());
      net.forward(x).sum().backward();
      optimizer.step();
      expect(() => cuda.graph(() => optimizer.step(), { warmUps: 0 })).toThrow(
        /^adamStep: expected to be called outside of a captured graph/,
      );
      expect(() =>
        cuda.graph(() => {
          throw new RangeError("mine");
        }),
      ).toThrow(RangeError);
      expect(() => cuda.graph(() => x, { warmUps: -1 })).toThrow(
        /^cuda\.graph: expected warmUps of at least 0, got -1/,
      );
      expect(x.add(1).toNumbers()).toEqual([2, 2, 2, 2]);
      using graph = cuda.graph(() => x.mul(3));
      graph.replay();
      expect(graph.result.toNumbers()).toEqual([3, 3, 3, 3]);
    });
  });

  it("saves what lies there, to be read on the CPU", () => {
    scope(() => {
      const net = network().to({ device });
      const state = new Map(Array.from(net.stateDict(), ([name, value]) => [name, value.toDevice("cpu")]));
      const back = network();
      noGrad(() => back.loadStateDict(state));
      for (const [name, value] of back.stateDict()) {
        expect(value.toNumbers()).toEqual(net.stateDict().get(name)!.toNumbers());
        expect(value.device).toBe("cpu");
      }
    });
  });

  it("leaves nothing behind after a step", () => {
    scope(() => {
      const net = network().to({ device });
      const optimizer = new optim.Adam(net.parameters());
      const [x, y] = [images().toDevice(device), labels().toDevice(device)];
      const step = () =>
        scope(() => {
          optimizer.zeroGrad();
          torch.crossEntropy(net.forward(x), y).backward();
          optimizer.step();
        });
      for (let at = 0; at < 3; at++) step();
      const before = [cuda.memory().allocatedBytes, torch.memory().liveTensors];
      for (let at = 0; at < 5; at++) step();
      expect([cuda.memory().allocatedBytes, torch.memory().liveTensors]).toEqual(before);
    });
  });
});
