import { afterEach, beforeEach, describe, expect, it } from "vitest";
import * as torch from "../src/index.js";
import { keep, memory, nn, optim, scope, type Tensor, tensor } from "../src/index.js";
import { runScript } from "./support/child.js";

let before = memory();
beforeEach(() => {
  before = memory();
});
afterEach(() => {
  expect(memory().liveTensors).toBe(before.liveTensors);
  expect(memory().liveBytes).toBe(before.liveBytes);
});

const live = () => memory().liveTensors - before.liveTensors;

describe("scope", () => {
  it("frees what was made inside", () => {
    let inner: Tensor | undefined;
    scope(() => {
      inner = torch.zeros([10]);
      inner.add(1).mul(2);
      expect(live()).toBe(3);
    });
    expect(inner!.isDisposed).toBe(true);
  });

  it("hands out what is returned, to any depth", () => {
    const result = scope(() => {
      torch.zeros([1]);
      return {
        one: tensor(1),
        list: [tensor(2), { deep: tensor(3) }],
        map: new Map([["four", tensor(4)]]),
        other: "text",
      };
    });
    expect(live()).toBe(4);
    const [second, third] = result.list as [Tensor, { deep: Tensor }];
    const all = [result.one, second, third.deep, result.map.get("four")!];
    expect(all.map((item) => item.item())).toEqual([1, 2, 3, 4]);
    for (const item of all) item.dispose();
  });

  it("breaks cycles in what is returned", () => {
    const result = scope(() => {
      const loop: { self?: unknown; value: Tensor } = { value: tensor(1) };
      loop.self = loop;
      return loop;
    });
    expect(result.value.item()).toBe(1);
    result.value.dispose();
  });

  it("passes a result to the enclosing scope, which frees it", () => {
    scope(() => {
      const inner = scope(() => {
        torch.zeros([1]);
        return torch.ones([1]);
      });
      expect(live()).toBe(1);
      expect(inner.item()).toBe(1);
    });
  });

  it("frees everything on an exception, at every level", () => {
    expect(() =>
      scope(() => {
        torch.zeros([1]);
        scope(() => {
          torch.zeros([1]);
          throw new Error("thrown inside");
        });
      }),
    ).toThrow("thrown inside");
    expect(live()).toBe(0);
    expect(() => scope(() => torch.zeros([3]).add(torch.zeros([4])))).toThrow();
  });

  it("leaves tensors from outside alone, and those disposed by hand", () => {
    const outside = torch.ones([1]);
    const returned = scope(() => {
      torch.zeros([1]).dispose();
      return outside;
    });
    expect(returned).toBe(outside);
    expect(outside.isDisposed).toBe(false);
    outside.dispose();
  });

  it("lets keep take a tensor out of all scopes", () => {
    let kept: Tensor | undefined;
    scope(() => {
      scope(() => {
        kept = keep(torch.ones([1]).add(1));
      });
      expect(kept!.isDisposed).toBe(false);
    });
    expect(kept!.item()).toBe(2);
    expect(keep(kept!)).toBe(kept);
    kept!.dispose();
  });

  it("refuses a function that returns a promise", () => {
    expect(() => scope(async () => torch.zeros([1]))).toThrow(
      /scope: expected a function that returns when it is done/,
    );
    expect(live()).toBe(0);
  });

  it("sees no second handle from operators that change their argument", () => {
    scope(() => {
      const x = torch.ones([3]);
      const other = torch.ones([3]);
      const before = live();
      x.add_(1).add_(other).sub_(1).sub_(other).mul_(2).mul_(other).div_(2).div_(other).copy_(other).fill_(2).zero_();
      torch.relu_(x);
      torch.uniform_(x, 0, 1);
      torch.normal_(x, 0, 1);
      torch.bernoulli_(x, 0.5);
      x.requiresGrad_();
      expect(live()).toBe(before);
    });
  });

  it("disposes at the end of a block with `using`", () => {
    {
      using x = torch.ones([1]);
      using generator = new torch.Generator(1);
      torch.uniform_(x, 0, 1, generator);
      expect(live()).toBe(1);
    }
    expect(live()).toBe(0);
  });
});

describe("a training step", () => {
  class Net extends nn.Module {
    readonly features = new nn.Sequential(
      new nn.Conv2d(1, 4, 3, { padding: 1 }),
      new nn.BatchNorm2d(4),
      new nn.ReLU(),
      new nn.MaxPool2d(2),
      new nn.Conv2d(4, 8, 3, { bias: false }),
      new nn.BatchNorm2d(8),
      new nn.ReLU(),
      new nn.AvgPool2d(2),
    );
    readonly dropout = new nn.Dropout(0.3);
    readonly classifier = new nn.Linear(8 * 2 * 2, 5);
    override forward(input: Tensor): Tensor {
      return this.classifier.forward(this.dropout.forward(this.features.forward(input).flatten(1)));
    }
  }

  it.each([
    ["Adam", (parameters: torch.Parameter[]) => new optim.Adam(parameters)],
    ["SGD", (parameters: torch.Parameter[]) => new optim.SGD(parameters, { learningRate: 0.01, momentum: 0.9 })],
  ])("leaks no tensor and no byte (%s)", (_, makeOptimizer) => {
    const network = new Net();
    const optimizer = makeOptimizer(network.parameters());
    const step = () =>
      scope(() => {
        const images = torch.rand([6, 1, 12, 12]);
        const labels = torch.randint(0, 5, [6]);
        network.zeroGrad();
        const loss = torch.crossEntropy(network.forward(images), labels);
        loss.backward();
        optimizer.step();
        network.eval();
        torch.noGrad(() => network.forward(images).argmax(1).eq(labels).to("float32").mean().item());
        network.train();
        return loss.item();
      });
    step();
    step();
    const { liveTensors, liveBytes } = memory();
    for (let i = 0; i < 20; i++) {
      expect(Number.isFinite(step())).toBe(true);
      expect(memory()).toMatchObject({ liveTensors, liveBytes });
    }
    network.dispose();
    optimizer.dispose();
  });
});

it("tensors outside every scope are freed by the collector", () => {
  const counts = runScript<{ made: number; left: number; bytes: number }>(
    `
    const make = () => { for (let i = 0; i < 2000; i++) torch.zeros([100]); for (let i = 0; i < 50; i++) new torch.Generator(i); };
    make();
    const made = torch.memory().liveTensors;
    for (let i = 0; i < 200 && torch.memory().liveTensors > 0; i++) {
      gc();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const { liveTensors: left, liveBytes: bytes } = torch.memory();
    console.log(JSON.stringify({ made, left, bytes }));`,
    { nodeOptions: ["--expose-gc"] },
  );
  expect(counts).toMatchObject({ made: 2000, left: 0, bytes: 0 });
});
