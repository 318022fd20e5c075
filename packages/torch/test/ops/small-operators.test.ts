// Our own convolution and pooling for small networks against libtorch's in float64: values, every gradient, odd shapes,
// each instruction set, and the cases that must be left to libtorch.
import { afterEach, describe, expect, it } from "vitest";
import * as torch from "../../src/index.js";
import { conv2d, Generator, grad, maxPool2d, noGrad, operator, scope, type Tensor, tensor } from "../../src/index.js";
import { runScript } from "../support/child.js";
import { allClose, exact } from "../support/close.js";

const theirConvolution = operator<
  [Tensor, Tensor, Tensor | null, readonly number[], readonly number[], readonly number[], number],
  Tensor
>("aten::conv2d", "input weight bias stride padding dilation groups");
const theirPooling = operator<[Tensor, readonly number[]], Tensor>("aten::max_pool2d", "self kernel_size");

/** What summing a few thousand products of standard normals in another order may change in float32. */
const summed = { relative: 2e-5, absolute: 3e-4 };

interface Case {
  /** N, C, H, W of the input. */
  input: [number, number, number, number];
  outputs: number;
  kernel: [number, number];
  padding: [number, number];
  bias: boolean;
}

const cases: Case[] = [
  { input: [3, 3, 32, 32], outputs: 6, kernel: [5, 5], padding: [0, 0], bias: true },
  { input: [17, 6, 14, 14], outputs: 16, kernel: [5, 5], padding: [0, 0], bias: true },
  { input: [2, 1, 28, 28], outputs: 6, kernel: [5, 5], padding: [2, 2], bias: true },
  { input: [9, 16, 8, 8], outputs: 16, kernel: [3, 3], padding: [1, 1], bias: false },
  { input: [1, 1, 1, 1], outputs: 1, kernel: [1, 1], padding: [0, 0], bias: true },
  { input: [2, 2, 5, 3], outputs: 7, kernel: [5, 3], padding: [0, 0], bias: true },
  { input: [2, 5, 4, 19], outputs: 11, kernel: [1, 4], padding: [0, 3], bias: false },
  { input: [1, 13, 9, 70], outputs: 13, kernel: [2, 7], padding: [1, 0], bias: true },
  { input: [8, 4, 6, 6], outputs: 2, kernel: [6, 6], padding: [5, 5], bias: true },
  { input: [40, 3, 7, 7], outputs: 3, kernel: [3, 3], padding: [1, 1], bias: true },
];

const title = ({ input, outputs, kernel, padding, bias }: Case) =>
  `[${input}] to ${outputs} channels, kernel ${kernel.join("x")}, padding ${padding.join("x")}${bias ? ", bias" : ""}`;

/** Output and gradients of a convolution with a random weighting of its output. */
function convolved(given: Case, dtype: "float32" | "float64"): number[][] {
  return scope(() => {
    const generator = new Generator(11);
    const draw = (shape: readonly number[]) => torch.randn(shape, { generator }).to(dtype);
    const [n, c] = given.input;
    const input = draw(given.input).requiresGrad_();
    const weight = draw([given.outputs, c, ...given.kernel]).requiresGrad_();
    const bias = given.bias ? draw([given.outputs]).requiresGrad_() : null;
    const output =
      dtype === "float32"
        ? conv2d(input, weight, { bias, padding: given.padding })
        : theirConvolution(input, weight, bias, [1, 1], given.padding, [1, 1], 1);
    expect(output.shape[0]).toBe(n);
    const inputs = bias ? [input, weight, bias] : [input, weight];
    const gradients = grad([output], inputs, { gradOutputs: [draw(output.shape)] });
    return [output.detach(), ...gradients].map((result) => result!.toNumbers());
  });
}

describe("convolution of few channels", () => {
  afterEach(() => torch.setThreads(1));

  for (const threads of [1, 2]) {
    it.each(cases.map((given) => ({ given, name: title(given) })))(`$name, ${threads} threads`, ({ given }) => {
      torch.setThreads(threads);
      const [ours, reference] = [convolved(given, "float32"), convolved(given, "float64")];
      for (const [at, name] of ["output", "input", "weight", "bias"].slice(0, ours.length).entries()) {
        allClose(ours[at]!, reference[at]!, summed, name);
      }
    });
  }

  it("gives the same bits each time", () => {
    for (const threads of [1, 2]) {
      torch.setThreads(threads);
      expect(convolved(cases[1]!, "float32")).toEqual(convolved(cases[1]!, "float32"));
    }
  });

  it("does not need a gradient for everything", () => {
    scope(() => {
      const generator = new Generator(3);
      const [x, w] = [torch.randn([4, 3, 12, 12], { generator }), torch.randn([6, 3, 5, 5], { generator })];
      w.requiresGrad_();
      const y = conv2d(x, w);
      y.sum().backward();
      // Each tap of a filter sees the same pixels whatever the filter.
      const first = w.grad!.select(0, 0).toNumbers();
      expect(w.grad!.select(0, 5).toNumbers()).toEqual(first);
      allClose([first[0]!], [x.select(1, 0).narrow(1, 0, 8).narrow(2, 0, 8).to("float64").sum().item()], summed);
      expect(x.grad).toBeNull();
    });
  });

  it("takes a gradient that is spread out or not contiguous", () => {
    scope(() => {
      const generator = new Generator(4);
      const draw = (shape: number[]) => torch.randn(shape, { generator });
      const [x, w, g] = [draw([2, 3, 8, 8]).requiresGrad_(), draw([4, 3, 3, 3]), draw([2, 4, 6, 6])];
      const plain = grad([conv2d(x, w)], [x], { gradOutputs: [g] })[0]!;
      const turned = g.transpose(2, 3).contiguous().transpose(2, 3);
      expect(grad([conv2d(x, w)], [x], { gradOutputs: [turned] })[0]!.toNumbers()).toEqual(plain.toNumbers());
      const ones = grad([conv2d(x, w).sum()], [x])[0]!;
      const full = grad([conv2d(x, w)], [x], { gradOutputs: [torch.ones([2, 4, 6, 6])] })[0]!;
      expect(ones.toNumbers()).toEqual(full.toNumbers());
    });
  });

  it("differentiates twice, as libtorch does", () => {
    scope(() => {
      const second = (convolve: (x: Tensor, w: Tensor) => Tensor) =>
        scope(() => {
          const generator = new Generator(5);
          const x = torch.randn([2, 2, 6, 6], { generator }).requiresGrad_();
          const w = torch.randn([3, 2, 3, 3], { generator }).requiresGrad_();
          const [gx, gw] = grad([torch.square(convolve(x, w)).sum()], [x, w], { createGraph: true });
          const score = torch.square(gx!).sum().add(torch.square(gw!).sum());
          return grad([score], [x, w]).map((result) => result!.toNumbers());
        });
      const ours = second((x, w) => conv2d(x, w));
      const reference = second((x, w) => theirConvolution(x, w, null, [1, 1], [0, 0], [1, 1], 1));
      for (const at of [0, 1]) allClose(ours[at]!, reference[at]!, { relative: 1e-4, absolute: 0.5 });
    });
  });

  it("gives libtorch's own answer, to the bit, where it is not at home", () => {
    scope(() => {
      const generator = new Generator(6);
      const draw = (shape: number[]) => torch.randn(shape, { generator });
      const same = (x: Tensor, w: Tensor, options: { stride?: number; dilation?: number; groups?: number }) => {
        const { stride = 1, dilation = 1, groups = 1 } = options;
        const theirs = theirConvolution(x, w, null, [stride, stride], [0, 0], [dilation, dilation], groups);
        expect(conv2d(x, w, options).toNumbers()).toEqual(theirs.toNumbers());
      };
      same(draw([2, 3, 9, 9]), draw([4, 3, 3, 3]), { stride: 2 });
      same(draw([2, 3, 9, 9]), draw([4, 3, 3, 3]), { dilation: 2 });
      same(draw([2, 4, 9, 9]), draw([4, 2, 3, 3]), { groups: 2 });
      same(draw([2, 32, 9, 9]), draw([32, 32, 3, 3]), {});
      same(draw([2, 3, 9, 9]).to("float64"), draw([4, 3, 3, 3]).to("float64"), {});
    });
  });

  it("refuses what libtorch refuses", () => {
    scope(() => {
      const x = torch.zeros([2, 3, 4, 4]);
      expect(() => conv2d(x, torch.zeros([6, 2, 3, 3]))).toThrow(/to have 2 channels, but got 3 channels/);
      expect(() => conv2d(x, torch.zeros([6, 3, 5, 5]))).toThrow(/Kernel size can't be greater than actual input size/);
      expect(() => conv2d(x, torch.zeros([6, 3, 3, 3]), { bias: torch.zeros([5]) })).toThrow(torch.TorchError);
      expect(conv2d(torch.zeros([0, 3, 8, 8]), torch.zeros([6, 3, 5, 5])).shape).toEqual([0, 6, 4, 4]);
    });
  });

  it("leaves no tensor behind", () => {
    const before = torch.memory();
    for (let i = 0; i < 3; i++) {
      convolved(cases[0]!, "float32");
      pooled([2, 3, 9, 9], maxPool2d);
    }
    const after = torch.memory();
    expect([after.liveTensors, after.liveBytes]).toEqual([before.liveTensors, before.liveBytes]);
  });
});

/** Output and gradient of a pooling. */
function pooled(
  shape: readonly number[],
  pool: (x: Tensor, kernel: 2) => Tensor,
  values?: readonly number[],
): number[][] {
  return scope(() => {
    const generator = new Generator(8);
    const x = (
      values ? tensor(Float32Array.from(values), { shape }) : torch.randn(shape, { generator })
    ).requiresGrad_();
    const y = pool(x, 2);
    const [gradient] = grad([y], [x], { gradOutputs: [torch.randn(y.shape, { generator })] });
    return [y.detach().toNumbers(), gradient!.toNumbers()];
  });
}

const libtorchPool = (x: Tensor) => theirPooling(x, [2, 2]);

describe("pooling of pairs", () => {
  it.each([[[2, 3, 28, 28]], [[1, 1, 2, 2]], [[2, 5, 7, 9]], [[1, 2, 3, 33]], [[3, 1, 64, 66]], [[70, 2, 10, 10]]])(
    "is libtorch's for %j, to the bit",
    (shape) => {
      const [ours, theirs] = [pooled(shape, maxPool2d), pooled(shape, libtorchPool)];
      allClose(ours[0]!, theirs[0]!, exact);
      allClose(ours[1]!, theirs[1]!, { relative: 0, absolute: 0 });
    },
  );

  it("chooses as libtorch does among equals, NaN and infinities", () => {
    const values = [0, -0, 1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    const generator = new Generator(9);
    const picks = torch.randint(0, values.length, [4 * 40 * 36], { generator }).toNumbers();
    const given = picks.map((pick) => values[pick]!);
    const [ours, theirs] = [pooled([1, 4, 40, 36], maxPool2d, given), pooled([1, 4, 40, 36], libtorchPool, given)];
    expect(ours[0]).toEqual(theirs[0]);
    expect(ours[1]!.map(Math.abs)).toEqual(theirs[1]!.map(Math.abs));
  });

  it("differentiates twice", () => {
    scope(() => {
      const x = torch.randn([1, 2, 6, 6], { generator: new Generator(2) }).requiresGrad_();
      const cubes = (y: Tensor) => torch.square(y).mul(y).sum();
      const second = (pool: (x: Tensor) => Tensor) => {
        const [first] = grad([cubes(pool(x))], [x], { createGraph: true });
        return grad([torch.square(first!).sum()], [x])[0]!.toNumbers();
      };
      allClose(
        second((input) => maxPool2d(input, 2)),
        second(libtorchPool),
        { relative: 1e-6, absolute: 1e-6 },
      );
    });
  });

  it("works without gradients and on channels of no pixels as libtorch does", () => {
    scope(() => {
      noGrad(() => expect(maxPool2d(torch.ones([1, 1, 2, 2]), 2).toNumbers()).toEqual([1]));
      expect(() => maxPool2d(torch.ones([1, 1, 1, 1]), 2)).toThrow(/Output size is too small/);
    });
  });
});

describe("the instruction sets", () => {
  const script = `
    const generator = new torch.Generator(21);
    const draw = (shape) => torch.randn(shape, { generator });
    const [x, w, b] = [draw([9, 3, 15, 21]), draw([10, 3, 4, 5]), draw([10])];
    for (const t of [x, w, b]) t.requiresGrad_();
    const y = torch.maxPool2d(torch.conv2d(x, w, { bias: b, padding: [1, 2] }), 2);
    const all = [y.detach(), ...torch.grad([y], [x, w, b], { gradOutputs: [draw(y.shape)] })];
    console.log(JSON.stringify(all.map((t) => t.toNumbers())));`;
  const reference = runScript<number[][]>(script, { env: { STOPGRAD_KERNELS: "none" } });

  it.each(["avx2", ""])("agree: %s", (STOPGRAD_KERNELS) => {
    const found = runScript<number[][]>(script, { env: { STOPGRAD_KERNELS } });
    for (const [at, values] of found.entries()) allClose(values, reference[at]!, summed, `result ${at}`);
  });
});
