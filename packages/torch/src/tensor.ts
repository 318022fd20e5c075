// The tensor: a handle to one of libtorch's, with PyTorch's methods. Every method is an operator of `ops/` with the
// tensor as its first argument; only those in everyday use have one.
import { type BackwardOptions, backward } from "./autograd.js";
import { TorchError } from "./errors.js";
import { type DType, type Handle, native } from "./native.js";
import * as arithmetic from "./ops/arithmetic.js";
import * as comparison from "./ops/comparison.js";
import * as functional from "./ops/functional.js";
import * as inPlace from "./ops/in-place.js";
import * as indexing from "./ops/indexing.js";
import * as reduction from "./ops/reduction.js";
import * as shaping from "./ops/shape.js";
import * as sorting from "./ops/sorting.js";
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
  /** Whether the collector frees it. Internal, see scope.ts. */
  isWatched = false;
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

  /** Whether the elements lie in row-major order without gaps. */
  get isContiguous(): boolean {
    return native().isContiguous(this.handle);
  }

  /** Whether the elements lie in this order without gaps. Sizes of 1 may make both orders true. */
  isContiguousAs(format: Exclude<shaping.MemoryFormat, "preserve">): boolean {
    return native().isContiguous(this.handle, format);
  }

  /** Elements between the start of the memory and the first element: other than 0 for some views. */
  get storageOffset(): number {
    return native().storageOffset(this.handle);
  }

  /** Whether the two look at the same memory, as a view and its base do. */
  sharesStorage(other: Tensor): boolean {
    return native().sharesStorage(this.handle, other.handle);
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
  sign(): Tensor {
    return arithmetic.sign(this);
  }
  expm1(): Tensor {
    return arithmetic.expm1(this);
  }
  log1p(): Tensor {
    return arithmetic.log1p(this);
  }
  rsqrt(): Tensor {
    return arithmetic.rsqrt(this);
  }
  square(): Tensor {
    return arithmetic.square(this);
  }
  reciprocal(): Tensor {
    return arithmetic.reciprocal(this);
  }
  sin(): Tensor {
    return arithmetic.sin(this);
  }
  cos(): Tensor {
    return arithmetic.cos(this);
  }
  erf(): Tensor {
    return arithmetic.erf(this);
  }
  floor(): Tensor {
    return arithmetic.floor(this);
  }
  ceil(): Tensor {
    return arithmetic.ceil(this);
  }
  round(): Tensor {
    return arithmetic.round(this);
  }
  remainder(other: Tensor | number): Tensor {
    return arithmetic.remainder(this, other);
  }
  floorDivide(other: Tensor | number): Tensor {
    return arithmetic.floorDivide(this, other);
  }
  lerp(end: Tensor, weight: Tensor | number): Tensor {
    return arithmetic.lerp(this, end, weight);
  }
  relu(): Tensor {
    return functional.relu(this);
  }

  eq(other: Tensor | number): Tensor {
    return comparison.eq(this, other);
  }
  ne(other: Tensor | number): Tensor {
    return comparison.ne(this, other);
  }
  lt(other: Tensor | number): Tensor {
    return comparison.lt(this, other);
  }
  le(other: Tensor | number): Tensor {
    return comparison.le(this, other);
  }
  gt(other: Tensor | number): Tensor {
    return comparison.gt(this, other);
  }
  ge(other: Tensor | number): Tensor {
    return comparison.ge(this, other);
  }
  isfinite(): Tensor {
    return comparison.isfinite(this);
  }
  isinf(): Tensor {
    return comparison.isinf(this);
  }
  isnan(): Tensor {
    return comparison.isnan(this);
  }
  logicalNot(): Tensor {
    return comparison.logicalNot(this);
  }
  logicalAnd(other: Tensor): Tensor {
    return comparison.logicalAnd(this, other);
  }
  logicalOr(other: Tensor): Tensor {
    return comparison.logicalOr(this, other);
  }
  allclose(other: Tensor, options?: comparison.ToleranceOptions): boolean {
    return comparison.allclose(this, other, options);
  }
  equal(other: Tensor): boolean {
    return comparison.equal(this, other);
  }

  add_(other: Tensor | number, alpha = 1): this {
    inPlace.add_(this, other, alpha);
    return this;
  }
  sub_(other: Tensor | number, alpha = 1): this {
    inPlace.sub_(this, other, alpha);
    return this;
  }
  mul_(other: Tensor | number): this {
    inPlace.mul_(this, other);
    return this;
  }
  div_(other: Tensor | number): this {
    inPlace.div_(this, other);
    return this;
  }
  pow_(exponent: Tensor | number): this {
    inPlace.pow_(this, exponent);
    return this;
  }
  addcmul_(a: Tensor, b: Tensor, value = 1): this {
    inPlace.addcmul_(this, a, b, value);
    return this;
  }
  addcdiv_(a: Tensor, b: Tensor, value = 1): this {
    inPlace.addcdiv_(this, a, b, value);
    return this;
  }
  lerp_(end: Tensor, weight: Tensor | number): this {
    inPlace.lerp_(this, end, weight);
    return this;
  }
  clamp_(min: number | null, max: number | null = null): this {
    inPlace.clamp_(this, min, max);
    return this;
  }
  neg_(): this {
    inPlace.neg_(this);
    return this;
  }
  abs_(): this {
    inPlace.abs_(this);
    return this;
  }
  exp_(): this {
    inPlace.exp_(this);
    return this;
  }
  log_(): this {
    inPlace.log_(this);
    return this;
  }
  sqrt_(): this {
    inPlace.sqrt_(this);
    return this;
  }
  reciprocal_(): this {
    inPlace.reciprocal_(this);
    return this;
  }
  copy_(source: Tensor): this {
    inPlace.copy_(this, source);
    return this;
  }
  fill_(value: Tensor | number): this {
    inPlace.fill_(this, value);
    return this;
  }
  zero_(): this {
    inPlace.zero_(this);
    return this;
  }
  maskedFill_(mask: Tensor, value: Tensor | number): this {
    indexing.maskedFill_(this, mask, value);
    return this;
  }
  indexPut_(indices: readonly (Tensor | null)[], values: Tensor, options?: { accumulate?: boolean }): this {
    indexing.indexPut_(this, indices, values, options);
    return this;
  }
  indexAdd_(dimension: number, index: Tensor, source: Tensor, alpha = 1): this {
    indexing.indexAdd_(this, dimension, index, source, alpha);
    return this;
  }
  scatter_(dimension: number, index: Tensor, source: Tensor | number): this {
    indexing.scatter_(this, dimension, index, source);
    return this;
  }
  scatterAdd_(dimension: number, index: Tensor, source: Tensor): this {
    indexing.scatterAdd_(this, dimension, index, source);
    return this;
  }

  sum(dims?: readonly number[], options?: reduction.ReductionOptions): Tensor {
    return reduction.sum(this, dims, options);
  }
  mean(dims?: readonly number[], options?: reduction.ReductionOptions): Tensor {
    return reduction.mean(this, dims, options);
  }
  amax(dims?: readonly number[], options?: reduction.ReductionOptions): Tensor {
    return reduction.amax(this, dims, options);
  }
  amin(dims?: readonly number[], options?: reduction.ReductionOptions): Tensor {
    return reduction.amin(this, dims, options);
  }
  logsumexp(dims?: readonly number[], options?: reduction.ReductionOptions): Tensor {
    return reduction.logsumexp(this, dims, options);
  }
  variance(dims?: readonly number[], options?: reduction.ReductionOptions & { unbiased?: boolean }): Tensor {
    return reduction.variance(this, dims, options);
  }
  std(dims?: readonly number[], options?: reduction.ReductionOptions & { unbiased?: boolean }): Tensor {
    return reduction.std(this, dims, options);
  }
  norm(dims?: readonly number[], options?: reduction.ReductionOptions & { p?: number }): Tensor {
    return reduction.norm(this, dims, options);
  }
  prod(dimension?: number | null, options?: reduction.ReductionOptions): Tensor {
    return reduction.prod(this, dimension, options);
  }
  all(dimension?: number | null, options?: reduction.ReductionOptions): Tensor {
    return reduction.all(this, dimension, options);
  }
  any(dimension?: number | null, options?: reduction.ReductionOptions): Tensor {
    return reduction.any(this, dimension, options);
  }
  argmax(dimension?: number | null, options?: reduction.ReductionOptions): Tensor {
    return reduction.argmax(this, dimension, options);
  }
  argmin(dimension?: number | null, options?: reduction.ReductionOptions): Tensor {
    return reduction.argmin(this, dimension, options);
  }
  cumsum(dimension: number): Tensor {
    return reduction.cumsum(this, dimension);
  }
  max(dimension: number, options?: reduction.ReductionOptions): sorting.WithIndices {
    return sorting.max(this, dimension, options);
  }
  min(dimension: number, options?: reduction.ReductionOptions): sorting.WithIndices {
    return sorting.min(this, dimension, options);
  }
  median(dimension: number, options?: reduction.ReductionOptions): sorting.WithIndices {
    return sorting.median(this, dimension, options);
  }
  sort(dimension?: number, options?: sorting.SortOptions): sorting.WithIndices {
    return sorting.sort(this, dimension, options);
  }
  argsort(dimension?: number, options?: sorting.SortOptions): Tensor {
    return sorting.argsort(this, dimension, options);
  }
  topk(k: number, dimension?: number, options?: { largest?: boolean }): sorting.WithIndices {
    return sorting.topk(this, k, dimension, options);
  }

  slice(dimension: number, start?: number | null, end?: number | null, step?: number): Tensor {
    return indexing.slice(this, dimension, start, end, step);
  }
  narrow(dimension: number, start: number, length: number): Tensor {
    return indexing.narrow(this, dimension, start, length);
  }
  select(dimension: number, index: number): Tensor {
    return indexing.select(this, dimension, index);
  }
  unfold(dimension: number, size: number, step: number): Tensor {
    return indexing.unfoldDimension(this, dimension, size, step);
  }
  diagonal(offset?: number, first?: number, second?: number): Tensor {
    return indexing.diagonal(this, offset, first, second);
  }
  split(size: number | readonly number[], dimension?: number): Tensor[] {
    return indexing.split(this, size, dimension);
  }
  chunk(chunks: number, dimension?: number): Tensor[] {
    return indexing.chunk(this, chunks, dimension);
  }
  unbind(dimension?: number): Tensor[] {
    return indexing.unbind(this, dimension);
  }
  index(indices: readonly (Tensor | null)[]): Tensor {
    return indexing.index(this, indices);
  }
  indexSelect(dimension: number, index: Tensor): Tensor {
    return indexing.indexSelect(this, dimension, index);
  }
  gather(dimension: number, index: Tensor): Tensor {
    return indexing.gather(this, dimension, index);
  }
  maskedFill(mask: Tensor, value: Tensor | number): Tensor {
    return indexing.maskedFill(this, mask, value);
  }
  maskedSelect(mask: Tensor): Tensor {
    return indexing.maskedSelect(this, mask);
  }
  nonzero(): Tensor {
    return indexing.nonzero(this);
  }
  tril(offset?: number): Tensor {
    return indexing.tril(this, offset);
  }
  triu(offset?: number): Tensor {
    return indexing.triu(this, offset);
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
  movedim(from: number, to: number): Tensor {
    return shaping.movedim(this, from, to);
  }
  repeat(repeats: readonly number[]): Tensor {
    return shaping.repeat(this, repeats);
  }
  unsqueeze(dimension: number): Tensor {
    return shaping.unsqueeze(this, dimension);
  }
  squeeze(dimension?: number): Tensor {
    return shaping.squeeze(this, dimension);
  }
  expand(shape: readonly number[]): Tensor {
    return shaping.expand(this, shape);
  }
  flip(dims: readonly number[]): Tensor {
    return shaping.flip(this, dims);
  }
  contiguous(format?: Exclude<shaping.MemoryFormat, "preserve">): Tensor {
    return shaping.contiguous(this, format);
  }
  clone(format?: shaping.MemoryFormat): Tensor {
    return shaping.clone(this, format);
  }
  /** The same values behind a stop-gradient: sg[·]. */
  detach(): Tensor {
    return shaping.detach(this);
  }
  /** Converted to another element type, device or order in memory; the same tensor's values when it already is. */
  to(target: DType | shaping.ConversionOptions): Tensor {
    return typeof target === "string" ? shaping.toDType(this, target) : shaping.convertTensor(this, target);
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
