// Element types: in and out, conversion, and what mixed arithmetic gives, against PyTorch's figures.
import { describe, expect, it } from "vitest";
import { add, type DType, div, full, grad, matmul, maximum, mul, ones, onesLike, scope, tensor, zeros } from "../src/index.js"; // biome-ignore format: one line
import { expectTensor } from "./support/close.js";
import { decodeTensor, type Encoded, readFixture } from "./support/fixtures.js";

const types = ["float32", "float64", "float16", "bfloat16", "int64", "int32", "uint8", "bool"] as const;
const { promotion, numbers, conversion } = readFixture<{
  promotion: { first: DType; second: DType; mul: Encoded; div: Encoded; maximum: Encoded; scalar: Encoded }[];
  numbers: { type: DType; whole: Encoded; fraction: Encoded; sum: Encoded }[];
  conversion: { from: Encoded; to: { type: DType; values: Encoded }[] };
}>("engine.json");

describe.each(types)("%s", (dtype) => {
  it("comes in from numbers, nested and typed arrays, and goes out again", () => {
    scope(() => {
      const made = tensor([[1, 0], [0, 1]], { dtype }); // biome-ignore format: a matrix
      expect([made.dtype, made.shape]).toEqual([dtype, [2, 2]]);
      expect(made.toNumbers()).toEqual([1, 0, 0, 1]);
      expect(made.toNested()).toEqual([[1, 0], [0, 1]]); // biome-ignore format: a matrix
      expect(made.select(0, 1).select(0, 1).item()).toBe(1);
      const again = tensor(made.toTypedArray(), { dtype, shape: [2, 2] });
      expect(again.equal(made)).toBe(true);
      expect(zeros([2], { dtype }).toNumbers()).toEqual([0, 0]);
      expect(ones([2], { dtype }).toNumbers()).toEqual([1, 1]);
      expect(full([2], 1, { dtype }).dtype).toBe(dtype);
    });
  });

  it("is converted as PyTorch does", () => {
    scope(() => {
      const { values } = conversion.to.find(({ type }) => type === dtype)!;
      const source =
        dtype === "uint8" ? tensor([0, 1, 1.75, 255], { dtype: "float64" }) : decodeTensor(conversion.from);
      expectTensor(source.to(dtype), values, { relative: 0, absolute: 0 }, dtype);
    });
  });

  it("meets numbers as PyTorch does: whole ones are integers", () => {
    scope(() => {
      const recorded = numbers.find(({ type }) => type === dtype)!;
      const self = tensor([1, 0], { dtype });
      expectTensor(mul(self, 2), recorded.whole);
      expectTensor(mul(self, 0.5), recorded.fraction);
      expectTensor(ones([2], { dtype }).sum(), recorded.sum);
    });
  });

  it("requires gradients only when it is a floating-point type", () => {
    scope(() => {
      const self = ones([2], { dtype });
      if (!dtype.includes("float")) return expect(() => self.requiresGrad_()).toThrow(/only floating-point tensors/);
      const [gradient] = grad([mul(self.requiresGrad_(), 2).sum()], [self]);
      expect([gradient!.dtype, ...gradient!.toNumbers()]).toEqual([dtype, 2, 2]);
    });
  });
});

it.each(promotion)("$first and $second meet as in PyTorch", ({ first, second, ...recorded }) => {
  scope(() => {
    const [x, y] = [tensor([1, 0, 1], { dtype: first }), tensor([1, 1, 0], { dtype: second })];
    expectTensor(mul(x, y), recorded.mul, undefined, "mul");
    expectTensor(div(x, onesLike(y)), recorded.div, undefined, "div");
    expectTensor(maximum(x, y), recorded.maximum, undefined, "maximum");
    expectTensor(mul(x, tensor(1, { dtype: second })), recorded.scalar, undefined, "with a scalar tensor");
  });
});

describe("numbers that a type cannot hold", () => {
  it("are refused when a tensor is made or filled, and named", () => {
    scope(() => {
      const uint8 = { dtype: "uint8" } as const;
      expect(() => full([2], 300, uint8)).toThrow(/value cannot be converted to type uint8_t without overflow/);
      expect(() => full([2], Number.NaN, { dtype: "int64" })).toThrow(/without overflow/);
      expect(() => full([2], Number.POSITIVE_INFINITY, { dtype: "int32" })).toThrow(/without overflow/);
      expect(() => full([2], 70000, { dtype: "float16" })).toThrow(/without overflow/);
      expect(() => zeros([2], uint8).fill_(256)).toThrow(/without overflow/);
      expect(() => tensor([256], uint8)).toThrow(/expected numbers that uint8 can hold \(0 to 255\), got 256/);
      expect(full([1], -1, uint8).item()).toBe(255); // as documented, and as in PyTorch
    });
  });

  it("wrap in integer arithmetic, as in PyTorch", () => {
    scope(() => {
      expect(add(tensor([200, 1], { dtype: "uint8" }), 100).toNumbers()).toEqual([44, 101]);
      expect(add(tensor([2 ** 31 - 1], { dtype: "int32" }), 1).item()).toBe(-(2 ** 31));
    });
  });
});

it("says what to do where libtorch has no kernel for a type", () => {
  scope(() => {
    const mask = tensor([[true, false]], { dtype: "bool" });
    expect(() => matmul(mask, mask.t())).toThrow(/not implemented for 'Bool'; convert to an element type it has/);
    const x = ones([2], { dtype: "int64" });
    expect(() => x.add_(0.5)).toThrow(/result type Float can't be cast to the desired output type Long/);
  });
});

it("takes an image's clamped bytes, and refuses 16 bits without a type", () => {
  scope(() => {
    const image = tensor(Uint8ClampedArray.of(9, 300, -4).subarray(1));
    expect([image.dtype, image.toNumbers()]).toEqual(["uint8", [255, 0]]);
    expect(() => tensor(Uint16Array.of(1))).toThrow(/expected a typed array with an element type of its own/);
  });
});
