import { describe, expect, it } from "vitest";
import * as torch from "../src/index.js";
import { type DType, scope, TorchError, tensor } from "../src/index.js";

const dtypes: DType[] = [
  "float32",
  "float64",
  "float16",
  "bfloat16",
  "int64",
  "int32",
  "int16",
  "int8",
  "uint8",
  "bool",
];

describe("creation", () => {
  it("takes numbers, nested arrays and booleans", () => {
    scope(() => {
      expect(tensor(3).shape).toEqual([]);
      expect(tensor(3).item()).toBe(3);
      expect(tensor([[1, 2], [3, 4], [5, 6]]).toNested()).toEqual([[1, 2], [3, 4], [5, 6]]); // biome-ignore format: a matrix
      expect(tensor([[[]], [[]]]).shape).toEqual([2, 1, 0]);
      expect(tensor([]).dtype).toBe("float32");
      expect(tensor([true, false]).dtype).toBe("bool");
      expect(tensor([true, 2]).dtype).toBe("float32");
      expect(tensor([1, 2], { dtype: "int64" }).dtype).toBe("int64");
      expect(tensor([1, 2], { requiresGrad: true }).requiresGrad).toBe(true);
      expect(tensor([0.1], { dtype: "float64" }).item()).toBe(0.1);
      expect(tensor(2 ** 40, { dtype: "int64" }).item()).toBe(2 ** 40);
    });
  });

  it("keeps a typed array's element type", () => {
    scope(() => {
      const arrays = {
        float32: Float32Array.of(1, 2),
        float64: Float64Array.of(1, 2),
        int64: BigInt64Array.of(1n, 2n),
        int32: Int32Array.of(1, 2),
        int16: Int16Array.of(1, 2),
        int8: Int8Array.of(1, 2),
        uint8: Uint8Array.of(1, 2),
      };
      for (const [dtype, array] of Object.entries(arrays)) {
        const made = tensor(array);
        expect(made.dtype).toBe(dtype);
        expect(made.toTypedArray()).toEqual(array);
        expect(made.toTypedArray().constructor).toBe(array.constructor);
      }
      expect(tensor(Uint16Array.of(0x3c00, 0xc000), { dtype: "float16" }).toNumbers()).toEqual([1, -2]);
      expect(tensor(Uint16Array.of(0x3f80, 0xc000), { dtype: "bfloat16" }).toNumbers()).toEqual([1, -2]);
      expect(tensor(Float32Array.of(1.7), { dtype: "int32" }).toNumbers()).toEqual([1]);
      const part = new Float32Array([9, 1, 2, 3, 4, 9]).subarray(1, 5);
      expect(tensor(part, { shape: [2, 2] }).toNested()).toEqual([[1, 2], [3, 4]]); // biome-ignore format: a matrix
    });
  });

  it("takes an array that threads share", () => {
    scope(() => {
      const array = new Float32Array(new SharedArrayBuffer(16), 4, 3);
      array.set([1, 2, 3]);
      expect(tensor(array).toNumbers()).toEqual([1, 2, 3]);
      expect(tensor(array, { dtype: "int64" }).toNumbers()).toEqual([1, 2, 3]);
      const bytes = new Uint8Array(new SharedArrayBuffer(2));
      bytes[1] = 7;
      expect([...tensor(bytes, { dtype: "bool" }).toTypedArray()]).toEqual([0, 1]);
    });
  });

  it("refuses numbers that an integer type cannot hold, and cuts fractions off", () => {
    const limits = {
      int64: [-(2 ** 63), 2 ** 63 - 1024, "-2^63 to 2^63 - 1"],
      int32: [-(2 ** 31), 2 ** 31 - 1, "-2147483648 to 2147483647"],
      int16: [-(2 ** 15), 2 ** 15 - 1, "-32768 to 32767"],
      int8: [-128, 127, "-128 to 127"],
      uint8: [0, 255, "0 to 255"],
    } as const;
    scope(() => {
      for (const [name, [least, greatest, words]] of Object.entries(limits)) {
        const dtype = name as DType;
        const past = dtype === "int64" ? 2048 : 1;
        for (const value of [Number.NaN, Number.POSITIVE_INFINITY, least - past, greatest + past]) {
          const message = `tensor: expected numbers that ${dtype} can hold (${words}), got ${value} as number 1`;
          expect(() => tensor([[0], [value]], { dtype })).toThrow(new TorchError(message));
          expect(() => tensor(Float64Array.of(0, value), { dtype })).toThrow(message);
        }
        const ends = [least, greatest].map(BigInt);
        expect([...tensor([least, greatest], { dtype }).to("int64").toTypedArray()]).toEqual(ends);
      }
      expect(() => tensor(Int32Array.of(300), { dtype: "uint8" })).toThrow(/0 to 255\), got 300 as number 0/);
      expect(() => tensor(BigInt64Array.of(2n ** 31n), { dtype: "int32" })).toThrow(/got 2147483648 as number 0/);
      expect(tensor([255.9, -0.9], { dtype: "uint8" }).toNumbers()).toEqual([255, 0]);
      expect(tensor(BigInt64Array.of(-(2n ** 63n)), { dtype: "int64" }).toTypedArray()[0]).toBe(-(2n ** 63n));
      expect(tensor([Number.NaN], { dtype: "bool" }).item()).toBe(1);
      expect(tensor([Number.NaN], { dtype: "float16" }).item()).toBeNaN();
    });
  });

  it("copies: neither side sees the other's changes", () => {
    scope(() => {
      const array = Float32Array.of(1, 2);
      const made = tensor(array);
      array[0] = 9;
      expect(made.toNumbers()).toEqual([1, 2]);
      (made.toTypedArray() as Float32Array)[1] = 9;
      expect(made.toNumbers()).toEqual([1, 2]);
    });
  });

  it("makes any non-zero byte true", () => {
    scope(() => {
      const made = tensor(Uint8Array.of(0, 2, 255), { dtype: "bool" });
      expect([...made.toTypedArray()]).toEqual([0, 1, 1]);
      expect(made.to("int64").sum().item()).toBe(2);
    });
  });

  it("refuses what is not a tensor's data", () => {
    const cycle: unknown[] = [];
    cycle.push(cycle);
    const nested = (value: unknown) => () => tensor(value as number[]);
    expect(nested([[1, 2], [3]])).toThrow(/tensor: expected nested arrays of equal lengths \[2, 2\]/);
    expect(nested([[1, 2], 3])).toThrow(/equal lengths/);
    expect(nested([1, [2]])).toThrow(/equal lengths/);
    expect(nested([1, "2"])).toThrow(/got string/);
    expect(nested([1, undefined])).toThrow(/got undefined/);
    expect(nested(new Array(2))).toThrow(/got undefined/);
    expect(nested({})).toThrow(/got object/);
    expect(nested(cycle)).toThrow(/at most 64 deep/);
    expect(nested(new Array(70_000).fill(new Array(70_000)))).toThrow(/at most 2\^28 numbers/);
    expect(nested(new BigUint64Array(1))).toThrow(/got BigUint64Array/);
    expect(nested(Uint16Array.of(1))).toThrow(/got Uint16Array/);
    expect(nested(new DataView(new ArrayBuffer(4)))).toThrow(TorchError);
    expect(() => tensor(new Float32Array(3), { shape: [2, 2] })).toThrow(
      "fromBytes: expected 16 bytes for float32[2, 2], got 12",
    );
    expect(() => tensor(new Float32Array(3), { shape: [-3] })).toThrow(/sizes of at least 0/);
  });
});

describe("reading", () => {
  it.each(dtypes)("gives %s values back through every way out", (dtype) => {
    scope(() => {
      const values = dtype === "bool" ? [0, 1, 1, 0] : dtype === "uint8" ? [0, 1, 255, 7] : [0, 1, -3, 7];
      const made = tensor(values, { dtype }).view([2, 2]);
      expect(made.toNumbers()).toEqual(values);
      expect(made.toNested()).toEqual([values.slice(0, 2), values.slice(2)]);
      expect(made.t().toNumbers()).toEqual([values[0], values[2], values[1], values[3]]);
      expect(made.to("float64").to(dtype).toNumbers()).toEqual(values);
      expect(made.toTypedArray().length).toBe(4);
      expect(made.toTypedArray().byteLength).toBe(4 * torch.elementSize(dtype));
      expect(made.select(0, 0).select(0, 1).item()).toBe(1);
      expect(made.dtype).toBe(dtype);
    });
  });

  it("describes shape, strides, views and device", () => {
    scope(() => {
      const base = torch.arange(0, 24).view([2, 3, 4]);
      expect([base.dim, base.numel, base.size(-1), base.size(0)]).toEqual([3, 24, 4, 2]);
      expect(base.strides).toEqual([12, 4, 1]);
      expect(base.isContiguous).toBe(true);
      const turned = base.permute([2, 0, 1]);
      expect(turned.strides).toEqual([1, 12, 4]);
      expect(turned.isContiguous).toBe(false);
      expect(turned.contiguous().strides).toEqual([6, 3, 1]);
      expect(base.narrow(1, 1, 1).toNested()).toEqual([[[4, 5, 6, 7]], [[16, 17, 18, 19]]]);
      expect(base.narrow(2, 3, 1).expand([2, 3, 5]).strides).toEqual([12, 4, 0]);
      expect(base.device).toBe("cpu");
      expect(String(base)).toBe("Tensor(int64[2, 3, 4])");
      expect(() => base.size(3)).toThrow("size: expected a dimension of [2, 3, 4], got 3");
    });
  });

  it("shares memory between views", () => {
    scope(() => {
      const base = torch.zeros([2, 2]);
      base.t().select(0, 1).fill_(5);
      expect(base.toNested()).toEqual([[0, 5], [0, 5]]); // biome-ignore format: a matrix
      const other = base.detach();
      other.add_(1);
      expect(base.toNumbers()).toEqual([1, 6, 1, 6]);
      expect(() => base.t().view([4])).toThrow(/aten::view/);
    });
  });

  it("gives one element as a number, and refuses more, or an integer that is too large", () => {
    scope(() => {
      expect(tensor([[true]]).item()).toBe(1);
      expect(tensor(-0.5).item()).toBe(-0.5);
      expect(() => torch.zeros([2, 3]).item()).toThrow("item: expected a tensor of one element, got float32[2, 3]");
      expect(() => tensor(BigInt64Array.of(2n ** 60n)).item()).toThrow(/1152921504606846976 is too large/);
    });
  });
});

describe("parameters and buffers", () => {
  it("share the values they are made of, and outlive the scope", () => {
    const [parameter, buffer] = scope(() => {
      const data = torch.zeros([2]);
      const made = [new torch.Parameter(data), new torch.Buffer(data)] as const;
      data.add_(1);
      expect(made[0].requiresGrad).toBe(true);
      expect(made[1].requiresGrad).toBe(false);
      expect(new torch.Parameter(data, { requiresGrad: false }).requiresGrad).toBe(false);
      return made;
    });
    expect(parameter.toNumbers()).toEqual([1, 1]);
    expect(buffer.toNumbers()).toEqual([1, 1]);
    expect(String(parameter)).toBe("Tensor(float32[2], requiresGrad)");
    parameter.dispose();
    buffer.dispose();
  });
});
