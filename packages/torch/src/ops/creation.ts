// New tensors: from JavaScript values, constant, in sequence and random.
import { TorchError } from "../errors.js";
import { type DType, native } from "../native.js";
import { operator } from "../operator.js";
import type { Generator } from "../random.js";
import { Tensor, type TensorArray } from "../tensor.js";

/** Element type and place of a new tensor. */
export interface CreationOptions {
  /** Default float32. */
  dtype?: DType;
  /** Default `cpu`. */
  device?: string;
  /** Default false. */
  requiresGrad?: boolean;
}

/** Numbers or booleans, in nested arrays. */
export type Nested = number | boolean | readonly Nested[];

/** As many as libtorch's kernels take. */
const MOST_DIMENSIONS = 64;

/** Nested arrays of more numbers than this, 2 GiB in float64, belong in a typed array. */
const LARGEST_NESTED = 2 ** 28;

/** Element type of a typed array; BigInt64Array is int64, Uint16Array is refused (float16 or bfloat16: say which). */
function dtypeOf(array: TensorArray): DType {
  if (array instanceof Float32Array) return "float32";
  if (array instanceof Float64Array) return "float64";
  if (array instanceof BigInt64Array) return "int64";
  if (array instanceof Int32Array) return "int32";
  if (array instanceof Int16Array) return "int16";
  if (array instanceof Int8Array) return "int8";
  if (array instanceof Uint8Array) return "uint8";
  throw new TorchError(`tensor: expected a typed array with an element type of its own, got ${array.constructor.name}`);
}

/**
 * A tensor with a copy of `values`, as `torch.tensor`.
 *
 * @param values - a number, nested arrays of numbers (or booleans) of equal lengths, or a typed array
 * @param options.shape - for a typed array; default `[length]`
 * @param options.dtype - default: of a typed array its own, `bool` for booleans, else float32 (JavaScript does not
 *   tell 2 from 2.0, so whole numbers are no integers here)
 * @throws TorchError for ragged arrays, a length that is not the shape's, or a number that an integer type cannot hold
 *   (fractions are cut off, as in PyTorch)
 */
export function tensor(
  values: Nested | TensorArray | Uint8ClampedArray,
  options: CreationOptions & { shape?: readonly number[] } = {},
): Tensor {
  const data =
    values instanceof Uint8ClampedArray ? new Uint8Array(values.buffer, values.byteOffset, values.length) : values;
  let made: Tensor;
  if (ArrayBuffer.isView(data)) {
    const own = options.dtype === "bool" && data instanceof Uint8Array ? "bool" : rawDType(data, options.dtype);
    if (options.dtype && options.dtype !== own) checkRange(data, options.dtype, own);
    made = Tensor.fromHandle(native().fromBytes(unshared(data), own, options.shape ?? [data.length]));
  } else {
    const shape: number[] = [];
    for (let level: Nested = data; Array.isArray(level); level = level[0] as Nested) {
      shape.push(level.length);
      if (level.length === 0) break;
      if (shape.length > MOST_DIMENSIONS) {
        throw new TorchError(`tensor: expected arrays nested at most ${MOST_DIMENSIONS} deep, got more (or a cycle)`);
      }
    }
    const elements = shape.reduce((product, size) => product * size, 1);
    if (elements > LARGEST_NESTED) {
      throw new TorchError(`tensor: expected at most 2^28 numbers in nested arrays, got [${shape.join(", ")}]`);
    }
    const flat = new Float64Array(elements);
    let at = 0;
    let booleans = true;
    const fill = (value: Nested, depth: number): void => {
      if (Array.isArray(value)) {
        if (depth >= shape.length || value.length !== shape[depth]) {
          throw new TorchError(`tensor: expected nested arrays of equal lengths [${shape.join(", ")}]`);
        }
        for (const item of value) fill(item, depth + 1);
      } else if (depth !== shape.length || (typeof value !== "number" && typeof value !== "boolean")) {
        throw new TorchError(
          `tensor: expected numbers in nested arrays of equal lengths [${shape.join(", ")}], got ${typeof value}`,
        );
      } else {
        if (typeof value === "number") booleans = false;
        flat[at++] = Number(value);
      }
    };
    fill(data, 0);
    if (options.dtype) checkRange(flat, options.dtype, "float64");
    const wide = Tensor.fromHandle(native().fromBytes(flat, "float64", shape));
    made = wide.to(options.dtype ?? (booleans && flat.length > 0 ? "bool" : "float32"));
    if (made.dtype !== "float64") wide.dispose();
  }
  if (options.dtype && made.dtype !== options.dtype) made = made.to(options.dtype);
  if (options.device && options.device !== "cpu") made = made.toDevice(options.device);
  return options.requiresGrad ? made.requiresGrad_() : made;
}

/** 16-bit floats arrive as raw bits, so their type must be said. */
function rawDType(data: TensorArray, wanted: DType | undefined): DType {
  if (data instanceof Uint16Array && (wanted === "float16" || wanted === "bfloat16")) return wanted;
  return dtypeOf(data);
}

/** Least and greatest number of each integer type; of int64, the greatest that is a number of JavaScript's. */
const ranges: Partial<Record<DType, readonly [number, number]>> = {
  int64: [-(2 ** 63), 2 ** 63 - 1024],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  int16: [-(2 ** 15), 2 ** 15 - 1],
  int8: [-128, 127],
  uint8: [0, 255],
};

/** @throws TorchError for a number in `data`, of type `from`, that the integer type `to` cannot hold */
function checkRange(data: TensorArray, to: DType, from: DType): void {
  const range = ranges[to];
  if (!range) return;
  const [least, greatest] = range;
  const source = ranges[from];
  if (source && source[0] >= least && source[1] <= greatest) return;
  for (let at = 0; at < data.length; at++) {
    const value = data[at]!;
    const whole = typeof value === "bigint" ? value : Math.trunc(value);
    if (whole >= least && whole <= greatest) continue;
    const limits = to === "int64" ? "-2^63 to 2^63 - 1" : `${least} to ${greatest}`;
    throw new TorchError(`tensor: expected numbers that ${to} can hold (${limits}), got ${value} as number ${at}`);
  }
}

/** The data, or a copy's bytes when other threads share them: the addon takes no shared memory. */
function unshared(data: TensorArray): NodeJS.TypedArray {
  if (!(data.buffer instanceof SharedArrayBuffer)) return data;
  return Uint8Array.from(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

type Size = readonly number[];

const zerosOf = operator<[Size, DType, undefined, string?], Tensor>("aten::zeros", "size dtype layout device");
const onesOf = operator<[Size, DType, undefined, string?], Tensor>("aten::ones", "size dtype layout device");
const fullOf = operator<[Size, number, DType, undefined, string?], Tensor>(
  "aten::full",
  "size fill_value dtype layout device",
);
const arangeOf = operator<[number, number, number, DType, undefined, string?], Tensor>(
  "aten::arange.start_step",
  "start end step dtype layout device",
);
const eyeOf = operator<[number, DType, undefined, string?], Tensor>("aten::eye", "n dtype layout device");

function finish(made: Tensor, options: CreationOptions): Tensor {
  return options.requiresGrad ? made.requiresGrad_() : made;
}

/** All 0. */
export function zeros(shape: Size, options: CreationOptions = {}): Tensor {
  return finish(zerosOf(shape, options.dtype ?? "float32", undefined, options.device), options);
}

/** All 1. */
export function ones(shape: Size, options: CreationOptions = {}): Tensor {
  return finish(onesOf(shape, options.dtype ?? "float32", undefined, options.device), options);
}

/**
 * All `value`.
 * @throws TorchError for a number beyond the element type; in uint8 a negative one counts from 256, as in PyTorch
 */
export function full(shape: Size, value: number, options: CreationOptions = {}): Tensor {
  return finish(fullOf(shape, value, options.dtype ?? "float32", undefined, options.device), options);
}

/** `start`, `start + step`, … below `end`; int64 by default. */
export function arange(start: number, end: number, options: CreationOptions & { step?: number } = {}): Tensor {
  return finish(arangeOf(start, end, options.step ?? 1, options.dtype ?? "int64", undefined, options.device), options);
}

const linspaceOf = operator<[number, number, number, DType, undefined, string?], Tensor>(
  "aten::linspace",
  "start end steps dtype layout device",
);
/** `steps` numbers at equal distances from `start` to `end`, both included. */
export function linspace(start: number, end: number, steps: number, options: CreationOptions = {}): Tensor {
  return finish(linspaceOf(start, end, steps, options.dtype ?? "float32", undefined, options.device), options);
}

/** The identity matrix `[n, n]`. */
export function eye(n: number, options: CreationOptions = {}): Tensor {
  return finish(eyeOf(n, options.dtype ?? "float32", undefined, options.device), options);
}

/** All 0, of another tensor's shape, type and device. */
export const zerosLike: (self: Tensor) => Tensor = operator("aten::zeros_like", "self");
/** All 1, of another tensor's shape, type and device. */
export const onesLike: (self: Tensor) => Tensor = operator("aten::ones_like", "self");

/** All `value`, of another tensor's shape, type and device. */
export const fullLike: (self: Tensor, value: number) => Tensor = operator("aten::full_like", "self fill_value");

/** As other new tensors, and the source of the numbers. */
export interface RandomOptions extends CreationOptions {
  /** Where the numbers come from; default: the process-wide generator. */
  generator?: Generator;
}

const uniformInPlace = operator<[Tensor, number, number, Generator | null], Tensor>(
  "aten::uniform_",
  "self from to generator",
);
const normalInPlace = operator<[Tensor, number, number, Generator | null], Tensor>(
  "aten::normal_",
  "self mean std generator",
);
const bernoulliInPlace = operator<[Tensor, number, Generator | null], Tensor>(
  "aten::bernoulli_.float",
  "self p generator",
);
const randintOf = operator<[number, number, Size, Generator | null, DType], Tensor>(
  "aten::randint.low_generator",
  "low high size generator dtype",
);
const randpermOf = operator<[number, Generator | null, DType], Tensor>("aten::randperm.generator", "n generator dtype");

/** Fills `self` with uniform numbers in [from, to). Returns it. */
export function uniform_(self: Tensor, from: number, to: number, generator: Generator | null = null): Tensor {
  uniformInPlace(self, from, to, generator).dispose();
  return self;
}

/** Fills `self` with normal numbers. Returns it. */
export function normal_(self: Tensor, mean: number, std: number, generator: Generator | null = null): Tensor {
  normalInPlace(self, mean, std, generator).dispose();
  return self;
}

/** Fills `self` with 1 at probability `p`, else 0. Returns it. */
export function bernoulli_(self: Tensor, p: number, generator: Generator | null = null): Tensor {
  bernoulliInPlace(self, p, generator).dispose();
  return self;
}

/** Uniform in [0, 1). */
export function rand(shape: Size, options: RandomOptions = {}): Tensor {
  const { requiresGrad, ...plain } = options;
  return finish(uniform_(zeros(shape, plain), 0, 1, options.generator), { requiresGrad: requiresGrad ?? false });
}

/** Standard normal. */
export function randn(shape: Size, options: RandomOptions = {}): Tensor {
  const { requiresGrad, ...plain } = options;
  return finish(normal_(zeros(shape, plain), 0, 1, options.generator), { requiresGrad: requiresGrad ?? false });
}

/** Whole numbers in [low, high); int64 by default. */
export function randint(low: number, high: number, shape: Size, options: RandomOptions = {}): Tensor {
  return randintOf(low, high, shape, options.generator ?? null, options.dtype ?? "int64");
}

/** 0 to n − 1 in random order, int64 `[n]`. */
export function randperm(n: number, options: RandomOptions = {}): Tensor {
  return randpermOf(n, options.generator ?? null, options.dtype ?? "int64");
}

const drawRows = operator<[Tensor, number, boolean, Generator | null], Tensor>(
  "aten::multinomial",
  "self num_samples replacement generator",
);
/**
 * Positions drawn with probabilities proportional to each row: `[K]` or `[N, K]`, at least 0 → int64 `[samples]` or
 * `[N, samples]`.
 * @param options.replacement - whether a position may be drawn again; default false
 */
export function multinomial(
  self: Tensor,
  samples: number,
  options: { replacement?: boolean; generator?: Generator } = {},
): Tensor {
  return drawRows(self, samples, options.replacement ?? false, options.generator ?? null);
}

const drawEach = operator<[Tensor, Generator | null], Tensor>("aten::bernoulli", "self generator");
/** 1 at the probability that each element of `self` gives, else 0. */
export function bernoulli(self: Tensor, generator: Generator | null = null): Tensor {
  return drawEach(self, generator);
}
