// Generators against PyTorch's, bit for bit.
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import * as torch from "../src/index.js";
import { Generator, scope, type Tensor, tensor } from "../src/index.js";
import { exact, expectTensor } from "./support/close.js";
import { type Encoded, readFixture } from "./support/fixtures.js";

const fixture = readFixture<{
  streams: { seed: number; fresh: string; after: string; stream: { call: string; args: never[]; result: Encoded }[] }[];
  saved: { state: string; next: Encoded };
  default: { seed: number; rand: Encoded };
}>("random.json");

const hash = (state: Tensor) => createHash("sha256").update(state.toTypedArray()).digest("hex");

const calls: Record<string, (generator: Generator, ...args: never[]) => Tensor> = {
  rand: (generator, shape) => torch.rand(shape, { generator }),
  randn: (generator, shape) => torch.randn(shape, { generator }),
  randperm: (generator, n) => torch.randperm(n, { generator }),
  randint: (generator, low, high, shape) => torch.randint(low, high, shape, { generator }),
  bernoulli: (generator, shape, p) => torch.bernoulli_(torch.zeros(shape), p, generator),
};

describe("a generator", () => {
  it.each(fixture.streams)("gives PyTorch's numbers and state from seed $seed", ({ seed, fresh, stream, after }) => {
    scope(() => {
      const generator = new Generator(seed);
      expect(hash(generator.getState())).toBe(fresh);
      for (const { call, args, result } of stream) expectTensor(calls[call]!(generator, ...args), result, exact, call);
      expect(hash(generator.getState())).toBe(after);
      generator.manualSeed(seed);
      expect(hash(generator.getState())).toBe(fresh);
    });
  });

  it("gives PyTorch's numbers to every operator that takes one, and the state between saves and restores", () => {
    const { streams } = readFixture<{ streams: { seed: number; draws: Encoded[]; state: Encoded; after: Encoded } }>(
      "engine.json",
    );
    scope(() => {
      const generator = new Generator(streams.seed);
      const draws = [
        torch.randn([17], { generator }),
        torch.rand([5], { generator }),
        torch.randint(-3, 12, [7], { generator }),
        torch.randperm(9, { generator }),
        torch.bernoulli(torch.full([8], 0.3), generator),
        torch.multinomial(tensor([1, 2, 3]), 6, { replacement: true, generator }),
        torch.randn([3], { generator, dtype: "float64" }),
      ];
      for (const [i, draw] of draws.entries()) expectTensor(draw, streams.draws[i]!, exact, `draw ${i}`);
      const state = generator.getState();
      expectTensor(state, streams.state, exact);
      const bytes = Uint8Array.from(state.toTypedArray() as Uint8Array);
      expectTensor(torch.randn([20], { generator }), streams.after, exact);
      const other = new Generator(0);
      other.setState(tensor(bytes));
      expectTensor(torch.randn([20], { generator: other }), streams.after, exact);
      expect(() => other.setState(tensor(bytes.subarray(8)))).toThrow(torch.TorchError);
      expect(() => other.setState(torch.ones([bytes.length]))).toThrow(torch.TorchError);
    });
  });

  it("goes on from a state that PyTorch saved", () => {
    scope(() => {
      const generator = new Generator(0);
      generator.setState(tensor(Buffer.from(fixture.saved.state, "base64")));
      expectTensor(torch.randn([4], { generator }), fixture.saved.next, exact);
    });
  });

  it("goes on from its own saved state, which later draws do not change", () => {
    scope(() => {
      const generator = new Generator(3);
      torch.randn([5], { generator });
      const state = generator.getState();
      const draw = () => [torch.randn([5], { generator }).toNumbers(), torch.randperm(9, { generator }).toNumbers()];
      const first = draw();
      expect(draw()).not.toEqual(first);
      generator.setState(state);
      expect(draw()).toEqual(first);
    });
  });

  it("does not disturb another", () => {
    scope(() => {
      const [a, b] = [new Generator(1), new Generator(1)];
      const alone = torch.rand([3], { generator: new Generator(1) }).toNumbers();
      torch.rand([100], { generator: a });
      torch.rand([100]);
      expect(torch.rand([3], { generator: b }).toNumbers()).toEqual(alone);
    });
  });

  it("refuses wrong seeds and states", () => {
    scope(() => {
      const generator = new Generator(2 ** 52 + 5);
      expect(() => new Generator(-1)).toThrow("generator: expected a seed of at least 0, got -1");
      expect(() => new Generator(1.5)).toThrow(/expected 'seed' to be an integer, got 1\.5/);
      expect(() => new Generator(Number.NaN)).toThrow(/to be an integer, got NaN/);
      expect(() => generator.manualSeed(-3)).toThrow(/a seed of at least 0, got -3/);
      const before = hash(generator.getState());
      expect(() => generator.setState(torch.zeros([4], { dtype: "uint8" }))).toThrow(/^setGeneratorState: /);
      expect(() => generator.setState(torch.zeros([5056]))).toThrow(/^setGeneratorState: /);
      expect(() => generator.setState(torch.zeros([0], { dtype: "uint8" }))).toThrow(torch.TorchError);
      expect(() => generator.setState(torch.zeros([5056], { dtype: "uint8" }))).toThrow(torch.TorchError);
      expect(hash(generator.getState())).toBe(before);
      generator.dispose();
      generator.dispose();
      expect(() => generator.getState()).toThrow(/expected 'generator' to be a generator, got a disposed generator/);
      expect(() => torch.rand([1], { generator })).toThrow(/got a disposed generator/);
    });
  });
});

describe("the default generator", () => {
  it("is seeded by manualSeed as torch.manual_seed", () => {
    scope(() => {
      expect(torch.manualSeed(fixture.default.seed)).toBe(torch.defaultGenerator());
      expectTensor(torch.rand([3]), fixture.default.rand, exact);
    });
  });
});
