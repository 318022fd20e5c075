// Inner products of all pairs against sums written out in float64: sizes around every block of the loops, types, orders in
// memory, threads, instruction sets, gradients, and what is refused.
import { afterEach, describe, expect, it } from "vitest";
import * as torch from "../../src/index.js";
import { centredGram, Generator, grad, noGrad, scope, type Tensor, tensor } from "../../src/index.js";
import { runScript } from "../support/child.js";
import { allClose, exact } from "../support/close.js";

const close = { relative: 1e-11, absolute: 1e-10 };

/** Two passes of plain sums. */
function byHand(samples: Tensor): number[] {
  const count = samples.shape[0]!;
  const numbers = samples.to("float64").toNumbers();
  const features = numbers.length / count;
  const means = Array.from({ length: features }, (_, f) => {
    let sum = 0;
    for (let s = 0; s < count; s++) sum += numbers[s * features + f]!;
    return sum / count;
  });
  return Array.from({ length: count * count }, (_, at) => {
    const [i, j] = [Math.floor(at / count), at % count];
    let sum = 0;
    for (let f = 0; f < features; f++) {
      sum += (numbers[i * features + f]! - means[f]!) * (numbers[j * features + f]! - means[f]!);
    }
    return sum;
  });
}

const draw = (shape: readonly number[], seed = 1) => torch.randn(shape, { generator: new Generator(seed) }).add(2);

describe("the products", () => {
  const sides = [1, 2, 7, 8, 9, 15, 16, 17, 23, 24, 25, 31, 41];
  const features = [1, 3, 7, 8, 9, 127, 128, 129, 255, 1025];
  it.each(sides)("of %i samples are the sums written out, whatever the number of features", (count) => {
    for (const width of features) {
      scope(() => {
        const samples = draw([count, width], width);
        const found = centredGram(samples);
        expect([found.shape, found.dtype]).toEqual([[count, count], "float64"]);
        allClose(found.toNumbers(), byHand(samples), close, `${count} x ${width}`);
        expect(found.equal(found.t())).toBe(true);
      });
    }
  });

  it.each([128, 1000, 1024, 1025])("of %i samples are those of one matrix product in float64", (count) => {
    scope(() => {
      const samples = draw([count, 300]);
      const wide = samples.to("float64");
      const centred = wide.sub(wide.mean([0], { keepDim: true }));
      allClose(centredGram(samples).toNumbers(), torch.matmul(centred, centred.t()).toNumbers(), {
        relative: 1e-11,
        absolute: 1e-9,
      });
    });
  });

  it("of a hundred thousand features lose nothing", () => {
    scope(() => {
      const samples = draw([10, 100_003]);
      allClose(centredGram(samples).toNumbers(), byHand(samples), { relative: 1e-10, absolute: 1e-8 });
    });
  });

  it.each(["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"] as const)(
    "of %s are exact in its numbers",
    (dtype) => {
      scope(() => {
        const samples = draw([11, 4, 35]).mul(20).clamp(0, 100).to(dtype);
        allClose(centredGram(samples).toNumbers(), byHand(samples), close);
      });
    },
  );

  it("of whole numbers that float32 cannot hold are not rounded", () => {
    const samples = tensor([16777217, 16777216], { dtype: "int64" }).reshape([2, 1]);
    expect(centredGram(samples).toNumbers()).toEqual([0.25, -0.25, -0.25, 0.25]);
    expect(centredGram(samples.to("int32")).toNumbers()).toEqual([0.25, -0.25, -0.25, 0.25]);
  });

  it("of equal samples are 0 to the last bit", () => {
    for (const dtype of ["float32", "float64"] as const) {
      const one = draw([1, 333]).to(dtype).mul(0.1);
      expect(
        centredGram(one.expand([37, 333]))
          .ne(0)
          .any()
          .item(),
      ).toBeFalsy();
    }
  });

  it("give equal rows equal products, so that their distance is 0", () => {
    const some = draw([20, 130]);
    const twice = torch.cat([some, some], 0);
    const gram = centredGram(twice);
    expect(gram.narrow(0, 0, 20).equal(gram.narrow(0, 20, 20))).toBe(true);
  });
});

describe("the order in memory", () => {
  const maps = draw([19, 5, 6, 7]);
  const expected = byHand(maps);
  const cases: [string, () => Tensor][] = [
    ["channels last", () => maps.contiguous("channels-last")],
    ["every second sample", () => torch.stack([maps, maps.mul(9)], 1).select(1, 0)],
    ["a part of the samples", () => torch.cat([maps, maps], 0).narrow(0, 19, 19)],
    ["a part of the features", () => torch.cat([maps, maps], 3).narrow(3, 7, 7)],
    ["features before samples", () => maps.reshape([19, -1]).t().contiguous().t()],
    ["permuted features", () => maps.permute([0, 2, 3, 1])],
  ];
  it.each(cases)("does not matter: %s", (_, arranged) => {
    scope(() => allClose(centredGram(arranged()).toNumbers(), expected, close));
  });

  it("does not matter to a vector, and an expanded one", () => {
    expect(centredGram(tensor([1, 2, 6])).toNumbers()).toEqual([4, 2, -6, 2, 1, -3, -6, -3, 9]);
    expect(centredGram(tensor([1]).expand([3])).toNumbers()).toEqual(new Array(9).fill(0));
  });

  it("leaves the samples as they are", () => {
    const before = maps.toNumbers();
    for (const given of [maps, maps.to("float64"), maps.contiguous("channels-last")]) {
      centredGram(given);
      allClose(given.toNumbers(), before, exact);
    }
  });
});

describe("the bits", () => {
  const threads = torch.getThreads();
  afterEach(() => torch.setThreads(threads));

  it("are the same for any number of threads", () => {
    const samples = draw([50, 5000]);
    const results = [1, 2, 3, 8].map((count) => {
      torch.setThreads(count);
      return centredGram(samples);
    });
    for (const other of results.slice(1)) expect(other.equal(results[0]!)).toBe(true);
  });

  it("are the same for both instruction sets, and those of libtorch's operators but for rounding", () => {
    const script = `
      const all = [[3, 10], [27, 133], [128, 1000]].flatMap((shape) => ["float32", "float64"].map((dtype) =>
        torch.centredGram(torch.randn(shape, { generator: new torch.Generator(3) }).to(dtype)).toNumbers()));
      console.log(JSON.stringify(all));`;
    const [best, lowered, none] = ["", "avx2", "none"].map((STOPGRAD_KERNELS) =>
      runScript<number[][]>(script, { env: { STOPGRAD_KERNELS } }),
    );
    for (const [at, values] of best!.entries()) {
      allClose(values, lowered![at]!, exact);
      allClose(values, none![at]!, close);
    }
  });
});

describe("derivatives", () => {
  it("are those of finite differences where one is wanted, also a second time", () => {
    scope(() => {
      const samples = draw([5, 4]).to("float64").requiresGrad_();
      const weights = draw([5, 5], 7).to("float64");
      const value = (x: Tensor) => centredGram(x).mul(weights).sum();
      const [gradient] = grad([value(samples)], [samples], { createGraph: true });
      const step = 1e-5;
      const expected = Array.from({ length: 20 }, (_, at) =>
        noGrad(() => {
          const moved = (by: number) => {
            const copy = samples.detach().clone();
            copy.reshape([-1]).select(0, at).add_(by);
            return value(copy).item() as number;
          };
          return (moved(step) - moved(-step)) / (2 * step);
        }),
      );
      allClose(gradient!.detach().toNumbers(), expected, { relative: 1e-6, absolute: 1e-6 });
      const [second] = grad([gradient!.sum()], [samples]);
      expect(second!.shape).toEqual([5, 4]);
    });
  });

  it("are not recorded without need, nor in noGrad", () => {
    expect(centredGram(draw([3, 4])).requiresGrad).toBe(false);
    expect(noGrad(() => centredGram(draw([3, 4]).requiresGrad_())).requiresGrad).toBe(false);
  });
});

describe("what is no number, or no sample", () => {
  it.each([Number.NaN, Number.POSITIVE_INFINITY])("%d leaves no number of the diagonal finite", (wrong) => {
    for (const dtype of ["float32", "float64"] as const) {
      const samples = draw([20, 140]).to(dtype);
      samples.select(0, 13).select(0, 77).fill_(wrong);
      expect(torch.diagonal(centredGram(samples)).isfinite().any().item()).toBeFalsy();
    }
  });

  it("is refused: nothing, a scalar", () => {
    for (const shape of [[0, 3], [3, 0], []]) {
      expect(() => centredGram(torch.zeros(shape))).toThrow(
        shape.length === 0 ? /expected samples \[N, \.\.\.\]/ : /with at least one feature, got \[/,
      );
    }
  });

  it("leaves no tensor behind", () => {
    const before = torch.memory().liveBytes;
    for (let time = 0; time < 20; time++) {
      scope(() => {
        centredGram(draw([64, 1000]));
      });
    }
    expect(torch.memory().liveBytes).toBe(before);
  });
});
