// Mistakes become errors that say where, what was expected and what came; the process goes on.
import { describe, expect, it } from "vitest";
import * as torch from "../src/index.js";
import { scope, type Tensor, TorchError, tensor } from "../src/index.js";

/** Runs it with wrong types; the error's message. */
function messageOf(call: () => unknown): string {
  try {
    scope(() => {
      call();
    });
  } catch (error) {
    expect(error).toBeInstanceOf(TorchError);
    expect((error as Error).name).toBe("TorchError");
    return (error as Error).message;
  }
  throw new Error(`expected an error from ${call}`);
}

const wrong = (value: unknown) => value as never;
const image = () => torch.zeros([1, 2, 4, 4]);

describe("an operator's error", () => {
  it.each<[string, () => unknown, RegExp]>([
    ["shapes", () => torch.zeros([2, 3]).matmul(torch.zeros([2, 3])), /^aten::matmul: .*\(called with self float32\[2, 3\], other float32\[2, 3\]\)$/s],
    ["a device that is not there", () => torch.ones([2], { device: "cuda" }), /^aten::ones: [^\n]{1,160}\(called with size \[2\], dtype "float32", device "cuda"\)$/],
    ["broadcasting", () => torch.zeros([2]).add(torch.zeros([3])), /^aten::add\.Tensor: The size of tensor a \(2\)/],
    ["element types", () => torch.zeros([2, 2]).matmul(torch.zeros([2, 2], { dtype: "int64" })), /^aten::matmul: .*float32\[2, 2\], other int64\[2, 2\]/s],
    ["a missing kernel", () => tensor([1], { dtype: "int64" }).matmul(tensor([true])), /^aten::matmul/],
    ["negative sizes", () => torch.zeros([2, -3]), /^aten::zeros: .*negative dimension -3.*size \[2, -3\]/s],
    ["NaN sizes", () => torch.zeros([Number.NaN]), /^aten::zeros: expected 'size\[0\]' to be an integer, got NaN$/],
    ["fractional sizes", () => torch.zeros([2.5]), /expected 'size\[0\]' to be an integer, got 2\.5/],
    ["infinite sizes", () => torch.zeros([Number.POSITIVE_INFINITY]), /expected 'size\[0\]' to be an integer, got Infinity/],
    ["huge sizes", () => torch.zeros([2 ** 47, 4]), /^aten::zeros: out of memory: cannot allocate 2251799813685248 bytes/],
    ["sizes that overflow", () => torch.zeros([2 ** 50, 2 ** 50]), /^aten::zeros: .*overflow/],
    ["a tensor as a size", () => torch.zeros([wrong(torch.zeros([1]))]), /expected 'size\[0\]' to be an integer, got float32\[1\]/],
    ["a tensor as a number", () => torch.full([1], wrong(torch.zeros([1]))), /expected 'fill_value' to be a number, got float32\[1\]/],
    ["a string as a size", () => torch.zeros(wrong("23")), /expected 'size' to be a list of integers, got "23"/],
    ["a number as a tensor", () => torch.relu(wrong(3)), /^aten::relu: expected 'self' to be a tensor, got 3$/],
    ["a typed array as a tensor", () => torch.relu(wrong(new Float32Array(2))), /expected 'self' to be a tensor, got an array of bytes/],
    ["null as a tensor", () => torch.relu(wrong(null)), /expected 'self' to be a tensor, got null/],
    ["an object as a tensor", () => torch.relu(wrong({ handle: 1 })), /expected 'self' to be a tensor, got an object/],
    ["a generator as a tensor", () => torch.relu(wrong(new torch.Generator(1))), /expected 'self' to be a tensor, got a generator/],
    ["a tensor as a generator", () => torch.uniform_(image(), 0, 1, wrong(image())), /expected 'generator' to be a generator, got float32\[1, 2, 4, 4\]/],
    ["a bigint", () => torch.add(image(), wrong(3n)), /expected 'other' to be a tensor, got a bigint/],
    ["a symbol", () => torch.add(image(), wrong(Symbol("x"))), /got a symbol/],
    ["a function", () => torch.add(image(), wrong(() => 1)), /got a function/],
    ["a missing argument", () => torch.add(image(), wrong(undefined)), /^aten::add\.Tensor: missing argument 'other'$/],
    ["a string as a dimension", () => torch.softmax(image(), wrong("float32")), /expected 'dim' to be an integer, got "float32"/],
    ["a dimension out of range", () => torch.softmax(image(), 4), /^aten::softmax\.int: Dimension out of range/],
    ["an unknown element type", () => torch.zeros([1], { dtype: wrong("float") }), /expected 'dtype' to be an element type such as "float32", got "float"/],
    ["a number as an element type", () => torch.zeros([1], { dtype: wrong(99) }), /expected 'dtype' to be an element type such as "float32", got 99/],
    ["a memory format as an element type", () => torch.zeros([1], { dtype: wrong("channels_last") }), /expected 'dtype' to be an element type/],
    ["an unknown device", () => torch.zeros([1], { device: "abacus" }), /^aten::zeros: .*abacus/s],
    ["too few paddings", () => torch.reflectionPad2d(image(), wrong([1, 2])), /expected 'padding' to have 4 integers, got 2/],
    ["a label out of range", () => torch.crossEntropy(torch.zeros([1, 2]), tensor([2], { dtype: "int64" })), /^aten::cross_entropy_loss: Target 2 is out of bounds/],
    ["a class out of range", () => torch.oneHot(tensor([3], { dtype: "int64" }), 3), /^aten::one_hot: Class values must be smaller/],
    ["an unknown reduction", () => torch.crossEntropy(image(), image(), { reduction: wrong("max") }), /^crossEntropy: expected a reduction of none, mean or sum, got max$/],
    ["a name of Object's as a reduction", () => torch.crossEntropy(image(), image(), { reduction: wrong("toString") }), /got toString$/],
    ["an index out of range", () => torch.indexSelect(image(), 1, tensor([2], { dtype: "int64" })), /^aten::index_select/],
    ["a gather out of range", () => torch.gather(tensor([1]), 0, tensor([5], { dtype: "int64" })), /^aten::gather: index 5 is out of bounds/],
    ["no tensors to join", () => torch.cat([], 0), /^aten::cat: .*non-empty/],
    ["something else among tensors", () => torch.cat([image(), wrong(3)], 0), /expected 'tensors\[1\]' to be a tensor, got 3/],
    ["a matrix that is not definite", () => torch.linalgCholesky(tensor([[-1]])), /^aten::linalg_cholesky: .*not positive-definite/],
    ["a singular matrix", () => torch.linalgInverse(torch.zeros([2, 2])), /^aten::inverse: .*singular/],
    ["groups of 0", () => torch.conv2d(image(), torch.zeros([2, 2, 2, 2]), { groups: 0 }), /non-positive groups/],
    ["a stride of 0", () => torch.maxPool2d(image(), 2, { stride: 0 }), /expected 'stride' from 1 to 16777216, got 0/],
  ])("names %s", (_, call, expected) => {
    expect(messageOf(call)).toMatch(expected);
  }); // biome-ignore format: a table
});

describe("a disposed tensor", () => {
  it("is refused by name wherever it goes", () => {
    const gone = torch.zeros([2]);
    gone.dispose();
    gone.dispose();
    expect(gone.isDisposed).toBe(true);
    expect(String(gone)).toBe("Tensor(disposed)");
    for (const use of [
      () => gone.add(1),
      () => torch.add(torch.zeros([2]), gone),
      () => gone.item(),
      () => gone.dtype,
      () => gone.requiresGrad_(),
      () => gone.backward(),
      () => torch.stack([gone], 0),
      () => torch.grad([gone], [gone]),
    ]) {
      expect(messageOf(use)).toMatch(/to be a tensor, got a disposed tensor$/);
    }
  });

  it("stays refused when its slot is used again", () => {
    const gone = torch.zeros([2]);
    gone.dispose();
    const next = torch.ones([2]);
    expect(next.handle).not.toBe(gone.handle);
    expect(() => gone.numel + gone.item()).toThrow(/a disposed tensor/);
    next.dispose();
  });
});

describe("lists that are no lists", () => {
  const cycle: unknown[] = [];
  cycle.push(cycle);

  it.each<[string, unknown]>([
    ["a cycle", cycle],
    ["a sparse array", new Array(3)],
    [
      "a proxy that throws",
      new Proxy([1], { get: (target, key) => (key === "0" ? undefined : Reflect.get(target, key)) }),
    ],
    ["an array with a getter", Object.defineProperty([1], 0, { get: () => Number.NaN })],
    ["a nested array", [[1]]],
    ["an object", { length: 1, 0: 1 }],
  ])("%s", (_, sizes) => {
    expect(messageOf(() => torch.zeros(wrong(sizes)))).toMatch(/^aten::zeros: expected 'size(\[0\])?' to be/);
  });

  it("passes on what a getter throws", () => {
    const sizes = Object.defineProperty([1, 2], 1, {
      get: () => {
        throw new RangeError("from the getter");
      },
    });
    expect(() => torch.zeros(sizes)).toThrow(new RangeError("from the getter"));
  });

  it("survives a getter that disposes what was already read", () => {
    scope(() => {
      const first = torch.ones([2]);
      const second = torch.ones([2]);
      const tensors: Tensor[] = [first, second];
      const given = Object.defineProperty([...tensors], 1, {
        get: () => {
          first.dispose();
          return second;
        },
      });
      expect(() => torch.stack(given, 0)).toThrow(/'tensors\[0\]' to be a tensor, got a disposed tensor/);
    });
  });
});

describe("operator", () => {
  it("calls any operator by name, with defaults, several results and lists of tensors", () => {
    scope(() => {
      const top = torch.operator<[Tensor, number], [Tensor, Tensor]>("aten::topk", "self k");
      const [values, places] = top(tensor([3, 9, 5]), 2);
      expect([values.toNumbers(), places.toNumbers()]).toEqual([[9, 5], [1, 2]]); // biome-ignore format: a matrix
      const split = torch.operator<[Tensor, number], Tensor[]>("aten::split.Tensor", "self split_size");
      expect(split(torch.arange(0, 5), 2).map((part) => part.toNumbers())).toEqual([[0, 1], [2, 3], [4]]);
      const size = torch.operator<[Tensor, number], number>("aten::size.int", "self dim");
      expect(size(torch.zeros([2, 7]), 1)).toBe(7);
      const format = torch.operator<[Tensor, string], Tensor>("aten::contiguous", "self memory_format");
      expect(format(torch.zeros([1, 2, 3, 4]), "channels_last").strides).toEqual([24, 1, 8, 2]);
      expect(messageOf(() => format(torch.zeros([1]), "float32"))).toMatch(
        /expected 'memory_format' to be a memory format/,
      );
    });
  });

  it("refuses unknown operators, another order of arguments, and too many", () => {
    expect(messageOf(() => torch.operator("aten::nothing", "")())).toBe("findOperator: unknown operator aten::nothing");
    expect(messageOf(() => torch.operator("aten::add.Wrong", "")())).toMatch(/unknown operator aten::add\.Wrong/);
    expect(messageOf(() => torch.operator("aten::relu", "input")(image()))).toBe(
      "aten::relu: expected arguments (input), this libtorch has (self)",
    );
    expect(messageOf(() => torch.operator("aten::relu", "self")(image(), 1))).toBe(
      "aten::relu: expected at most 1 arguments, got 2",
    );
  });
});
