// Our own batch norm, mean pooling and dropout against libtorch's in float64: values, every gradient, running statistics,
// both layouts, float32 and bfloat16, each instruction set.
import { afterEach, describe, expect, it } from "vitest";
import * as torch from "../../src/index.js";
import {
  avgPool2d,
  batchNorm,
  dropout,
  Generator,
  grad,
  operator,
  scope,
  type Tensor,
  tensor,
} from "../../src/index.js";
import { runScript } from "../support/child.js";
import { allClose } from "../support/close.js";

const theirNorm = operator<
  [Tensor, Tensor | null, Tensor | null, Tensor | null, Tensor | null, boolean, number, number, boolean],
  Tensor
>("aten::batch_norm", "input weight bias running_mean running_var training momentum eps cudnn_enabled");
const theirMean = operator<[Tensor, readonly number[]], Tensor>("aten::avg_pool2d", "self kernel_size");
const inFormat = operator<[Tensor, string], Tensor>("aten::contiguous", "self memory_format");

type Layout = "row-major" | "channels-last";
type Kind = "float32" | "bfloat16";

/** Of values rounded to the type: float32 sums in another order; bfloat16 has 8 bits. */
const tolerance = {
  float32: { relative: 1e-5, absolute: 2e-5 },
  bfloat16: { relative: 1e-2, absolute: 4e-2 },
};

const largest = (values: readonly number[]) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

interface NormCase {
  shape: number[];
  training: boolean;
  rectify: boolean;
  residual: boolean;
  affine: boolean;
  mean: number;
}

/** Output, gradients of input, weight, bias, residual, then the running statistics. */
function normalised(given: NormCase, kind: Kind, layout: Layout, reference: boolean): number[][] {
  return scope(() => {
    const generator = new Generator(31);
    // Rounded to the type first, so that both sides see the same numbers.
    const draw = (shape: number[], dtype: Kind = "float32") =>
      torch
        .randn(shape, { generator })
        .to(dtype)
        .to(reference ? "float64" : dtype);
    const map = (shift: number) => {
      const drawn = torch
        .randn(given.shape, { generator })
        .add(shift)
        .to(kind)
        .to(reference ? "float64" : kind);
      return (given.shape.length === 4 ? inFormat(drawn, layout) : drawn).requiresGrad_();
    };
    const channels = given.shape[1]!;
    const input = map(given.mean);
    const weight = given.affine ? draw([channels]).requiresGrad_() : null;
    const bias = given.affine ? draw([channels]).requiresGrad_() : null;
    const runningMean = draw([channels]);
    const runningVar = torch.square(draw([channels])).add(0.5);
    const residual = given.residual ? map(0) : null;
    const { training, rectify } = given;
    let output: Tensor;
    if (reference) {
      output = theirNorm(input, weight, bias, runningMean, runningVar, training, 0.1, 1e-5, false);
      if (residual) output = torch.add(output, residual);
      if (rectify) output = torch.relu(output);
    } else {
      output = batchNorm(input, { runningMean, runningVar, weight, bias, training, residual, rectify });
      expect(output.dtype).toBe(kind);
    }
    const inputs = [input, weight, bias, residual].filter((leaf) => leaf !== null);
    const weighting = draw(given.shape, kind).to(reference ? "float64" : kind);
    const gradients = grad([output], inputs, { gradOutputs: [weighting] });
    return [output.detach(), ...gradients, runningMean, runningVar].map((result) => result!.to("float64").toNumbers());
  });
}

const plain: NormCase = {
  shape: [4, 5, 6, 7],
  training: true,
  rectify: false,
  residual: false,
  affine: true,
  mean: 0,
};
const normCases: Record<string, NormCase> = {
  plain,
  rectified: { ...plain, rectify: true },
  "with residual": { ...plain, residual: true },
  "with residual, rectified": { ...plain, residual: true, rectify: true, shape: [3, 33, 5, 5] },
  "without weights": { ...plain, affine: false, rectify: true },
  "in evaluation": { ...plain, training: false },
  "in evaluation, residual, rectified": { ...plain, training: false, residual: true, rectify: true },
  "of large means": { ...plain, mean: 300, shape: [8, 3, 9, 9] },
  "of one image": { ...plain, shape: [1, 70, 4, 4] },
  "of one pixel": { ...plain, shape: [9, 17, 1, 1] },
  "of vectors": { ...plain, shape: [40, 19], rectify: true },
  "of sequences": { ...plain, shape: [6, 3, 50] },
  "of many": { ...plain, shape: [70, 4, 32, 32], residual: true, rectify: true },
};

describe("batch norm", () => {
  afterEach(() => torch.setThreads(1));

  const rows = Object.entries(normCases).flatMap(([name, given]) =>
    (["row-major", "channels-last"] as const)
      .filter((layout) => layout === "row-major" || given.shape.length === 4)
      .flatMap((layout) => (["float32", "bfloat16"] as const).map((kind) => ({ name, given, layout, kind }))),
  );
  it.each(rows)("$name, $kind, $layout", ({ given, kind, layout }) => {
    for (const threads of [1, 2]) {
      torch.setThreads(threads);
      const ours = normalised(given, kind, layout, false);
      const reference = normalised(given, kind, layout, true);
      expect(ours.length).toBe(reference.length);
      // A bfloat16 near zero may round to the other side of the rectifier: compare where that cannot happen.
      for (const [at, values] of ours.entries()) {
        const scale = Math.max(1, largest(reference[at]!));
        const wanted = tolerance[kind];
        allClose(values, reference[at]!, { ...wanted, absolute: wanted.absolute * scale }, `result ${at}`);
      }
    }
  });

  it("keeps nothing but input, output and two numbers a channel", () => {
    scope(() => {
      const input = torch.randn([16, 8, 32, 32], { generator: new Generator(1) }).requiresGrad_();
      const [runningMean, runningVar] = [torch.zeros([8]), torch.ones([8])];
      const before = torch.memory().liveBytes;
      const output = batchNorm(input, { runningMean, runningVar, training: true, rectify: true });
      expect(torch.memory().liveBytes - before).toBe(input.numel * 4 + 2 * 8 * 4);
      output.dispose();
    });
  });

  it("differentiates twice, as libtorch does", () => {
    scope(() => {
      const second = (reference: boolean) =>
        scope(() => {
          const generator = new Generator(12);
          const draw = (shape: number[]) =>
            torch
              .randn(shape, { generator })
              .to(reference ? "float64" : "float32")
              .requiresGrad_();
          const [x, w, b, r] = [draw([3, 2, 4, 4]), draw([2]), draw([2]), draw([3, 2, 4, 4])];
          const y = reference
            ? torch.relu(torch.add(theirNorm(x, w, b, null, null, true, 0.1, 1e-5, false), r))
            : batchNorm(x, {
                runningMean: null,
                runningVar: null,
                weight: w,
                bias: b,
                residual: r,
                training: true,
                rectify: true,
              });
          const first = grad([torch.square(y).mul(y).sum()], [x, w, b, r], { createGraph: true });
          const score = first.map((g) => torch.square(g!).sum()).reduce((sum, part) => sum.add(part));
          return grad([score], [x, w, b, r]).map((g) => g!.to("float64").toNumbers());
        });
      const [ours, reference] = [second(false), second(true)];
      for (const [at, values] of ours.entries()) {
        const scale = largest(reference[at]!);
        allClose(values, reference[at]!, { relative: 1e-3, absolute: 1e-4 * scale }, `gradient ${at}`);
      }
    });
  });

  it("passes a NaN on, and takes a constant channel for zero", () => {
    scope(() => {
      const of = (values: number[]) =>
        batchNorm(tensor(Float32Array.from(values), { shape: [2, 1, 1, 2] }), {
          runningMean: null,
          runningVar: null,
          training: true,
          rectify: true,
        }).toNumbers();
      expect(of([1, Number.NaN, 2, 3])).toEqual([Number.NaN, Number.NaN, Number.NaN, Number.NaN]);
      expect(of([7, 7, 7, 7])).toEqual([0, 0, 0, 0]);
    });
  });

  it("refuses a residual of another shape, and weights of another count", () => {
    scope(() => {
      const x = torch.zeros([2, 3, 4, 4]);
      const settings = { runningMean: null, runningVar: null, training: true };
      const residual = torch.zeros([2, 3, 4, 5]);
      expect(() => batchNorm(x, { ...settings, residual })).toThrow(/'residual' to have the input's shape/);
      expect(() => batchNorm(x, { ...settings, weight: torch.zeros([4]) })).toThrow(torch.TorchError);
    });
  });
});

describe("mean pooling", () => {
  const shapes: [number[], [number, number]][] = [
    [
      [3, 5, 8, 12],
      [2, 3],
    ],
    [
      [2, 64, 32, 32],
      [8, 4],
    ],
    [
      [2, 17, 4, 4],
      [4, 4],
    ],
    [
      [1, 1, 6, 6],
      [1, 2],
    ],
    [
      [2, 3, 5, 5],
      [5, 1],
    ],
  ];
  for (const layout of ["row-major", "channels-last"] as const) {
    for (const kind of ["float32", "bfloat16"] as const) {
      it.each(shapes)(`of %j by %j, ${kind}, ${layout}`, (shape, kernel) => {
        const pooled = (reference: boolean) =>
          scope(() => {
            const generator = new Generator(13);
            const draw = (size: readonly number[]) =>
              torch
                .randn(size, { generator })
                .to(kind)
                .to(reference ? "float64" : kind);
            const x = inFormat(draw(shape), layout).requiresGrad_();
            const y = reference ? theirMean(x, kernel) : avgPool2d(x, kernel);
            const [g] = grad([y], [x], { gradOutputs: [draw(y.shape)] });
            return [y.detach(), g!].map((result) => result.to("float64").toNumbers());
          });
        const [ours, reference] = [pooled(false), pooled(true)];
        for (const at of [0, 1]) allClose(ours[at]!, reference[at]!, tolerance[kind], `result ${at}`);
      });
    }
  }

  it("differentiates twice", () => {
    scope(() => {
      const x = torch.randn([1, 2, 4, 4], { generator: new Generator(14) }).requiresGrad_();
      const second = (pool: (input: Tensor) => Tensor) => {
        const [first] = grad([torch.square(pool(x)).mul(pool(x)).sum()], [x], { createGraph: true });
        return grad([torch.square(first!).sum()], [x])[0]!.toNumbers();
      };
      const reference = second((input) => theirMean(input, [2, 2]));
      allClose(
        second((input) => avgPool2d(input, 2)),
        reference,
        { relative: 1e-5, absolute: 1e-6 },
      );
    });
  });
});

describe("dropout made again from its seed", () => {
  const drop = (input: Tensor, seed: number, p = 0.3) =>
    dropout(input, { p, recompute: true, generator: new Generator(seed) });

  it("zeroes the right share and keeps the mean", () => {
    scope(() => {
      for (const p of [0.1, 0.5, 0.9]) {
        const values = drop(torch.ones([1000, 201]), 1, p).toNumbers();
        const kept = values.filter((value) => value !== 0);
        const scale = Math.fround(1 / (1 - p));
        expect(kept.every((value) => value === scale)).toBe(true);
        // Six standard deviations of a binomial count.
        const spread = 6 * Math.sqrt(values.length * p * (1 - p));
        expect(Math.abs(kept.length - values.length * (1 - p))).toBeLessThan(spread);
      }
    });
  });

  it("gives elements that do not hang together", () => {
    scope(() => {
      const values = drop(torch.ones([64 * 4096]), 2, 0.5).toNumbers();
      for (const lag of [1, 2, 4, 16, 17, 64, 4096]) {
        let together = 0;
        for (let i = lag; i < values.length; i++) if (values[i] !== 0 && values[i - lag] !== 0) together++;
        const count = values.length - lag;
        expect(Math.abs(together - count / 4)).toBeLessThan(6 * Math.sqrt((count * 3) / 16));
      }
    });
  });

  it("draws by Philox 4x32-10 from one number of the generator", () => {
    // Known answers of Random123 (Salmon et al. 2011, kat_vectors) for the transcription below.
    expect(philox([0, 0, 0, 0], [0, 0])).toEqual([0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
    const ones = 0xffffffff;
    expect(philox([ones, ones, ones, ones], [ones, ones])).toEqual([0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
    scope(() => {
      // random_() gives 63 of the 64 bits that are the seed.
      const random = operator<[Tensor, Generator], Tensor>("aten::random_", "self generator");
      const bits = operator<[Tensor, string], Tensor>("aten::view.dtype", "self dtype");
      const number = random(torch.zeros([1], { dtype: "int64" }), new Generator(5));
      const [low, high] = bits(number, "int32").toNumbers() as [number, number];
      const count = 200;
      const expected = [0, 0x80000000].map((top) => {
        const key: [number, number] = [low >>> 0, (high | top) >>> 0];
        return Array.from({ length: count }, (_, at) => {
          const inBlock = at % 64;
          const counter = 16 * Math.floor(at / 64) + (inBlock % 16);
          return philox([counter, 0, 0, 0], key)[Math.floor(inBlock / 16)]! < 0.3 * 2 ** 32 ? 0 : 1;
        });
      });
      const found = drop(torch.ones([count]), 5)
        .toNumbers()
        .map(Math.sign);
      expect(expected).toContainEqual(found);
    });
  });

  it("uses the same mask in the backward pass, in either layout and type", () => {
    scope(() => {
      for (const layout of ["row-major", "channels-last"] as const) {
        for (const kind of ["float32", "bfloat16"] as const) {
          const x = inFormat(torch.ones([3, 5, 7, 3]).to(kind), layout).requiresGrad_();
          const y = drop(x, 5);
          const ones = torch.ones([3, 5, 7, 3]).to(kind);
          const [g] = grad([y], [x], { gradOutputs: [ones] });
          expect(g!.to("float32").toNumbers()).toEqual(y.detach().to("float32").toNumbers());
        }
      }
    });
  });

  it("depends on the generator alone: not on threads, not on earlier masks", () => {
    scope(() => {
      const x = torch.ones([300, 300]);
      const first = drop(x, 7).toNumbers();
      torch.setThreads(2);
      expect(drop(x, 7).toNumbers()).toEqual(first);
      torch.setThreads(1);
      expect(drop(x, 8).toNumbers()).not.toEqual(first);
      const generator = new Generator(7);
      const again = () => dropout(x, { p: 0.3, recompute: true, generator }).toNumbers();
      expect(again()).toEqual(first);
      expect(again()).not.toEqual(first);
    });
  });

  it("keeps no memory for its mask", () => {
    scope(() => {
      const x = torch.ones([100, 100]).requiresGrad_();
      const before = torch.memory().liveBytes;
      const y = drop(x, 1);
      expect(torch.memory().liveBytes - before).toBe(40000);
      y.dispose();
    });
  });

  it("differentiates twice and refuses a probability of one", () => {
    scope(() => {
      const x = torch.ones([50]).requiresGrad_();
      const [g] = grad([torch.square(drop(x, 3)).sum()], [x], { createGraph: true });
      const [h] = grad([g!.sum()], [x]);
      const mask = drop(torch.ones([50]), 3).toNumbers();
      allClose(
        h!.toNumbers(),
        mask.map((value) => 2 * value * value),
        { relative: 1e-6, absolute: 0 },
      );
      expect(() => drop(x, 1, 1)).toThrow(/expected p in \[0, 1\), got 1/);
    });
  });
});

describe("the instruction sets", () => {
  const script = `
    const generator = new torch.Generator(22);
    const out = [];
    for (const kind of ["float32", "bfloat16"]) for (const layout of ["row-major", "channels-last"]) {
      const x = torch.operator("aten::contiguous", "self memory_format")(torch.randn([5, 21, 6, 10], { generator }).to(kind), layout);
      x.requiresGrad_();
      const y = torch.batchNorm(x, { runningMean: null, runningVar: null, training: true, rectify: true });
      const z = torch.avgPool2d(torch.dropout(y, { p: 0.25, recompute: true, generator: new torch.Generator(4) }), [3, 5]);
      const [g] = torch.grad([z], [x], { gradOutputs: [torch.randn(z.shape, { generator }).to(kind)] });
      out.push(y.detach().to("float64").toNumbers(), z.detach().to("float64").toNumbers(), g.to("float64").toNumbers());
    }
    console.log(JSON.stringify(out));`;

  it("agree, dropout's mask included", () => {
    const [wide, narrow] = ["", "avx2"].map((STOPGRAD_KERNELS) =>
      runScript<number[][]>(script, { env: { STOPGRAD_KERNELS } }),
    );
    for (const [at, values] of wide!.entries()) {
      const kind = at < 6 ? "float32" : "bfloat16";
      allClose(values, narrow![at]!, tolerance[kind], `result ${at}`);
    }
  });
});

/** Philox 4x32 with ten rounds, as its paper's section 3 describes it. */
function philox(counter: readonly number[], key: readonly [number, number]): number[] {
  const mask = 0xffffffffn;
  let [a, b, c, d] = counter.map(BigInt) as [bigint, bigint, bigint, bigint];
  let [k, l] = key.map(BigInt) as [bigint, bigint];
  for (let round = 0; round < 10; round++) {
    const [p, q] = [0xd2511f53n * a, 0xcd9e8d57n * c];
    [a, b, c, d] = [(q >> 32n) ^ b ^ k, q & mask, (p >> 32n) ^ d ^ l, p & mask];
    [k, l] = [(k + 0x9e3779b9n) & mask, (l + 0xbb67ae85n) & mask];
  }
  return [a, b, c, d].map(Number);
}
