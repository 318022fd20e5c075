// The tensor: a handle to one of libtorch's, with PyTorch's methods. Every method is an operator of `ops/` with the
// tensor as its first argument; only those in everyday use have one.
import { type BackwardOptions, backward } from "./autograd.js";
import { TorchError } from "./errors.js";
import { type DType, type Handle, native } from "./native.js";
import * as arithmetic from "./ops/arithmetic.js";
import * as functional from "./ops/functional.js";
import * as reduction from "./ops/reduction.js";
import * as shaping from "./ops/shape.js";
import { disown, keep, own } from "./scope.js";

/** A view of a tensor's bytes in JavaScript; float16 and bfloat16 come as their raw 16 bits. */
export type TensorArray =
  | Float32Array
  | Float64Array
  | Uint16Array
  | BigInt64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint8Array;

const arrayTypes = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
} as const satisfies Record<DType, unknown>;

/** Bytes of one element. */
export function elementSize(dtype: DType): number {
  return dtype === "bool" ? 1 : arrayTypes[dtype].BYTES_PER_ELEMENT;
}

export class Tensor {
  /** Names the native tensor; disposed or not, never a pointer. */
  readonly handle: Handle;
  #shape: readonly number[] | undefined;

  protected constructor(handle: Handle) {
    this.handle = handle;
    own(this);
  }

  /** Wraps a native handle. Internal: everybody else makes tensors with `tensor`, `zeros` and operators. */
  static fromHandle(handle: Handle): Tensor {
    return new Tensor(handle);
  }

  /** Sizes, for example `[N, C, H, W]`; `[]` for a scalar. */
  get shape(): readonly number[] {
    this.#shape ??= native().shape(this.handle);
    return this.#shape;
  }

  /** Number of dimensions. */
  get dim(): number {
    return this.shape.length;
  }

  /** Number of elements. */
  get numel(): number {
    return this.shape.reduce((product, size) => product * size, 1);
  }

  get dtype(): DType {
    return native().dtype(this.handle);
  }

  /** `cpu` or `cuda:0` and so on. */
  get device(): string {
    return native().device(this.handle);
  }

  /** Elements between neighbours along each dimension. */
  get strides(): readonly number[] {
    return native().strides(this.handle);
  }

  get isContiguous(): boolean {
    return native().isContiguous(this.handle);
  }

  /** Whether the tensor was freed, by `dispose()` or the end of its scope. */
  get isDisposed(): boolean {
    return !native().isLive(this.handle);
  }

  /** Size along `dimension`; negative counts from the end. @throws TorchError when there is no such dimension */
  size(dimension: number): number {
    const size = this.shape.at(dimension);
    if (size === undefined) {
      throw new TorchError(`size: expected a dimension of [${this.shape.join(", ")}], got ${dimension}`);
    }
    return size;
  }

  // --- reading -----------------------------------------------------------------------------------------------------

  /** The only element's value. @throws TorchError when there is not exactly one */
  item(): number {
    return Number(native().item(this.handle));
  }

  /** A copy of the elements in row-major order, in the array type of the element type. */
  toTypedArray(): TensorArray {
    const buffer = native().toBytes(this.handle);
    return new arrayTypes[this.dtype](buffer);
  }

  /** A copy of the elements in row-major order, as ordinary numbers. */
  toNumbers(): number[] {
    const dtype = this.dtype;
    if (dtype === "float16" || dtype === "bfloat16") {
      const wide = this.to("float32");
      const numbers = wide.toNumbers();
      wide.dispose();
      return numbers;
    }
    return Array.from(this.toTypedArray() as ArrayLike<number | bigint>, Number);
  }

  /** Nested arrays of numbers, as `tolist()`; a number for a scalar. */
  toNested(): unknown {
    const numbers = this.toNumbers();
    const nest = (shape: readonly number[], offset: number): unknown => {
      if (shape.length === 0) return numbers[offset];
      const inner = shape.slice(1);
      const step = inner.reduce((product, size) => product * size, 1);
      return Array.from({ length: shape[0]! }, (_, i) => nest(inner, offset + i * step));
    };
    return nest(this.shape, 0);
  }

  toString(): string {
    if (this.isDisposed) return "Tensor(disposed)";
    return `Tensor(${this.dtype}[${this.shape.join(", ")}]${this.requiresGrad ? ", requiresGrad" : ""})`;
  }

  // --- life --------------------------------------------------------------------------------------------------------

  /** Frees it now. Using it afterwards is an error; disposing it again is not. */
  dispose(): void {
    disown(this);
    native().release(this.handle);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  // --- differentiation ---------------------------------------------------------------------------------------------

  get requiresGrad(): boolean {
    return native().requiresGrad(this.handle);
  }

  /** Starts or stops recording operations on a leaf. Returns itself. */
  requiresGrad_(requiresGrad = true): this {
    native().setRequiresGrad(this.handle, requiresGrad);
    return this;
  }

  get isLeaf(): boolean {
    return native().isLeaf(this.handle);
  }

  /** The gradient accumulated by `backward`, of this tensor's shape, or null. */
  get grad(): Tensor | null {
    const handle = native().grad(this.handle);
    return handle === null ? null : Tensor.fromHandle(handle);
  }

  set grad(gradient: Tensor | null) {
    native().setGrad(this.handle, gradient === null ? null : gradient.handle);
  }

  /** Keep the gradient of a tensor that is not a leaf in its `grad`. */
  retainGrad(): this {
    native().retainGrad(this.handle);
    return this;
  }

  /** See `autograd.backward`. */
  backward(options?: BackwardOptions): void {
    backward(this, options);
  }

  // --- operators ---------------------------------------------------------------------------------------------------

  add(other: Tensor | number): Tensor {
    return arithmetic.add(this, other);
  }
  sub(other: Tensor | number): Tensor {
    return arithmetic.sub(this, other);
  }
  mul(other: Tensor | number): Tensor {
    return arithmetic.mul(this, other);
  }
  div(other: Tensor | number): Tensor {
    return arithmetic.div(this, other);
  }
  pow(exponent: Tensor | number): Tensor {
    return arithmetic.pow(this, exponent);
  }
  matmul(other: Tensor): Tensor {
    return arithmetic.matmul(this, other);
  }
  neg(): Tensor {
    return arithmetic.neg(this);
  }
  abs(): Tensor {
    return arithmetic.abs(this);
  }
  exp(): Tensor {
    return arithmetic.exp(this);
  }
  log(): Tensor {
    return arithmetic.log(this);
  }
  sqrt(): Tensor {
    return arithmetic.sqrt(this);
  }
  clamp(min: number | null, max: number | null = null): Tensor {
    return arithmetic.clamp(this, min, max);
  }
  eq(other: Tensor | number): Tensor {
    return arithmetic.eq(this, other);
  }
  relu(): Tensor {
    return functional.relu(this);
  }

  add_(other: Tensor | number, alpha = 1): this {
    arithmetic.add_(this, other, alpha);
    return this;
  }
  sub_(other: Tensor | number): this {
    arithmetic.sub_(this, other);
    return this;
  }
  mul_(other: Tensor | number): this {
    arithmetic.mul_(this, other);
    return this;
  }
  div_(other: Tensor | number): this {
    arithmetic.div_(this, other);
    return this;
  }
  copy_(source: Tensor): this {
    arithmetic.copy_(this, source);
    return this;
  }
  fill_(value: number): this {
    arithmetic.fill_(this, value);
    return this;
  }
  zero_(): this {
    arithmetic.zero_(this);
    return this;
  }

  sum(dims?: readonly number[], options?: reduction.ReductionOptions): Tensor {
    return reduction.sum(this, dims, options);
  }
  mean(dims?: readonly number[], options?: reduction.ReductionOptions): Tensor {
    return reduction.mean(this, dims, options);
  }
  argmax(dimension: number, options?: reduction.ReductionOptions): Tensor {
    return reduction.argmax(this, dimension, options);
  }

  reshape(shape: readonly number[]): Tensor {
    return shaping.reshape(this, shape);
  }
  view(shape: readonly number[]): Tensor {
    return shaping.view(this, shape);
  }
  flatten(start = 0, end = -1): Tensor {
    return shaping.flatten(this, start, end);
  }
  t(): Tensor {
    return shaping.transpose(this, 0, 1);
  }
  transpose(first: number, second: number): Tensor {
    return shaping.transpose(this, first, second);
  }
  permute(dims: readonly number[]): Tensor {
    return shaping.permute(this, dims);
  }
  unsqueeze(dimension: number): Tensor {
    return shaping.unsqueeze(this, dimension);
  }
  squeeze(dimension: number): Tensor {
    return shaping.squeeze(this, dimension);
  }
  expand(shape: readonly number[]): Tensor {
    return shaping.expand(this, shape);
  }
  narrow(dimension: number, start: number, length: number): Tensor {
    return shaping.narrow(this, dimension, start, length);
  }
  select(dimension: number, index: number): Tensor {
    return shaping.select(this, dimension, index);
  }
  indexSelect(dimension: number, index: Tensor): Tensor {
    return shaping.indexSelect(this, dimension, index);
  }
  flip(dims: readonly number[]): Tensor {
    return shaping.flip(this, dims);
  }
  contiguous(): Tensor {
    return shaping.contiguous(this);
  }
  clone(): Tensor {
    return shaping.clone(this);
  }
  /** The same values behind a stop-gradient: sg[·]. */
  detach(): Tensor {
    return shaping.detach(this);
  }
  /** Converted to another element type; the same tensor's values when it already has it. */
  to(dtype: DType): Tensor {
    return shaping.toDType(this, dtype);
  }
  /** Moved to another device. */
  toDevice(device: string): Tensor {
    return shaping.toDevice(this, device);
  }
}

/** A tensor that an optimizer trains: it requires gradients, and no scope frees it. */
export class Parameter extends Tensor {
  /** @param data - the initial values, shared, not copied */
  constructor(data: Tensor, options: { requiresGrad?: boolean } = {}) {
    super(detachedHandle(data));
    keep(this);
    this.requiresGrad_(options.requiresGrad ?? true);
  }
}

/** A tensor that belongs to a module's state but is not trained, such as running statistics; no scope frees it. */
export class Buffer extends Tensor {
  /** @param data - the initial values, shared, not copied */
  constructor(data: Tensor) {
    super(detachedHandle(data));
    keep(this);
  }
}

/** A second handle to the same values, owned by nobody yet. */
function detachedHandle(data: Tensor): Handle {
  return shaping.detachHandle(data);
}
