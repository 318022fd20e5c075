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
import { isPinned, pinMemory } from "./pinned.js";
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

/**
 * A tensor of libtorch's: shape, element type, device, perhaps a place in autograd's graph. Made by functions such as
 * `tensor`, `zeros` and `randn`, and by operators; freed by the end of its scope, by `dispose()`, or in time by the
 * collector. Methods do what the function of the same name does with the tensor as first argument.
 */
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

  /** Element type. */
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

  /** Element type and shape, `Tensor(float32[2, 3])`; not the values. */
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

  /** As `dispose`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  // --- differentiation ---------------------------------------------------------------------------------------------

  /** Whether operations on it are recorded for gradients. */
  get requiresGrad(): boolean {
    return native().requiresGrad(this.handle);
  }

  /** Starts or stops recording operations on a leaf. Returns itself. */
  requiresGrad_(requiresGrad = true): this {
    native().setRequiresGrad(this.handle, requiresGrad);
    return this;
  }

  /** Whether it is no result of a recorded operation: only leaves are given a `grad` by `backward`. */
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

  /** Adds d `this` / d leaf to the `grad` of each leaf, as the function of that name. */
  backward(options?: BackwardOptions): void {
    backward(this, options);
  }

  // --- operators ---------------------------------------------------------------------------------------------------

  /** `this + other`, broadcast. */
  add(other: Tensor | number): Tensor {
    return arithmetic.add(this, other);
  }
  /** `this − other`, broadcast. */
  sub(other: Tensor | number): Tensor {
    return arithmetic.sub(this, other);
  }
  /** `this · other`, element by element, broadcast. */
  mul(other: Tensor | number): Tensor {
    return arithmetic.mul(this, other);
  }
  /** `this / other`, true division, broadcast. */
  div(other: Tensor | number): Tensor {
    return arithmetic.div(this, other);
  }
  /** `this ^ exponent`, broadcast. */
  pow(exponent: Tensor | number): Tensor {
    return arithmetic.pow(this, exponent);
  }
  /** Matrix product: `[…, n, k]` and `[…, k, m]` → `[…, n, m]`, as `torch.matmul`. */
  matmul(other: Tensor): Tensor {
    return arithmetic.matmul(this, other);
  }
  /** `−this`. */
  neg(): Tensor {
    return arithmetic.neg(this);
  }
  /** `|this|`. */
  abs(): Tensor {
    return arithmetic.abs(this);
  }
  /** `e^this`. */
  exp(): Tensor {
    return arithmetic.exp(this);
  }
  /** Natural logarithm. */
  log(): Tensor {
    return arithmetic.log(this);
  }
  /** `√this`; NaN below 0. */
  sqrt(): Tensor {
    return arithmetic.sqrt(this);
  }
  /** Values below `min` become `min`, above `max` become `max`; null leaves that side open. */
  clamp(min: number | null, max: number | null = null): Tensor {
    return arithmetic.clamp(this, min, max);
  }
  /** −1, 0 or 1. */
  sign(): Tensor {
    return arithmetic.sign(this);
  }
  /** `e^this − 1`, exact near 0. */
  expm1(): Tensor {
    return arithmetic.expm1(this);
  }
  /** `log(1 + this)`, exact near 0. */
  log1p(): Tensor {
    return arithmetic.log1p(this);
  }
  /** `1 / √this`. */
  rsqrt(): Tensor {
    return arithmetic.rsqrt(this);
  }
  /** `this²`. */
  square(): Tensor {
    return arithmetic.square(this);
  }
  /** `1 / this`. */
  reciprocal(): Tensor {
    return arithmetic.reciprocal(this);
  }
  /** Sine of an angle in radians. */
  sin(): Tensor {
    return arithmetic.sin(this);
  }
  /** Cosine of an angle in radians. */
  cos(): Tensor {
    return arithmetic.cos(this);
  }
  /** The error function, element by element; see `erf`. */
  erf(): Tensor {
    return arithmetic.erf(this);
  }
  /** The largest whole number that is not larger. */
  floor(): Tensor {
    return arithmetic.floor(this);
  }
  /** The smallest whole number that is not smaller. */
  ceil(): Tensor {
    return arithmetic.ceil(this);
  }
  /** The nearest whole number, halves to the even one. */
  round(): Tensor {
    return arithmetic.round(this);
  }
  /** `this − other · ⌊this / other⌋`: the sign of `other`, as Python's `%`. @throws TorchError for integers over 0 */
  remainder(other: Tensor | number): Tensor {
    return arithmetic.remainder(this, other);
  }
  /** `⌊this / other⌋`, broadcast. @throws TorchError for integers divided by 0 */
  floorDivide(other: Tensor | number): Tensor {
    return arithmetic.floorDivide(this, other);
  }
  /** `this + weight · (end − this)`, broadcast. */
  lerp(end: Tensor, weight: Tensor | number): Tensor {
    return arithmetic.lerp(this, end, weight);
  }
  /** max(x, 0). */
  relu(): Tensor {
    return functional.relu(this);
  }

  /** bool: where equal, broadcast. */
  eq(other: Tensor | number): Tensor {
    return comparison.eq(this, other);
  }
  /** bool: where different, broadcast. */
  ne(other: Tensor | number): Tensor {
    return comparison.ne(this, other);
  }
  /** bool: where `this < other`, broadcast. */
  lt(other: Tensor | number): Tensor {
    return comparison.lt(this, other);
  }
  /** bool: where `this ≤ other`, broadcast. */
  le(other: Tensor | number): Tensor {
    return comparison.le(this, other);
  }
  /** bool: where `this > other`, broadcast. */
  gt(other: Tensor | number): Tensor {
    return comparison.gt(this, other);
  }
  /** bool: where `this ≥ other`, broadcast. */
  ge(other: Tensor | number): Tensor {
    return comparison.ge(this, other);
  }
  /** bool: where the value is neither infinite nor NaN. */
  isfinite(): Tensor {
    return comparison.isfinite(this);
  }
  /** bool: where the value is an infinity. */
  isinf(): Tensor {
    return comparison.isinf(this);
  }
  /** bool: where the value is NaN. */
  isnan(): Tensor {
    return comparison.isnan(this);
  }
  /** bool: where 0. */
  logicalNot(): Tensor {
    return comparison.logicalNot(this);
  }
  /** bool: where both are other than 0, broadcast. */
  logicalAnd(other: Tensor): Tensor {
    return comparison.logicalAnd(this, other);
  }
  /** bool: where one or both are other than 0, broadcast. */
  logicalOr(other: Tensor): Tensor {
    return comparison.logicalOr(this, other);
  }
  /** Whether |this − other| ≤ absolute + relative · |other| everywhere, broadcast. */
  allclose(other: Tensor, options?: comparison.ToleranceOptions): boolean {
    return comparison.allclose(this, other, options);
  }
  /** Whether shapes and values are the same; NaN equals nothing. @throws TorchError for different element types */
  equal(other: Tensor): boolean {
    return comparison.equal(this, other);
  }

  /** `this += alpha · other`. */
  add_(other: Tensor | number, alpha = 1): this {
    inPlace.add_(this, other, alpha);
    return this;
  }
  /** `this −= alpha · other`. */
  sub_(other: Tensor | number, alpha = 1): this {
    inPlace.sub_(this, other, alpha);
    return this;
  }
  /** `this ·= other`. */
  mul_(other: Tensor | number): this {
    inPlace.mul_(this, other);
    return this;
  }
  /** `this /= other`. */
  div_(other: Tensor | number): this {
    inPlace.div_(this, other);
    return this;
  }
  /** `this ← this ^ exponent`. */
  pow_(exponent: Tensor | number): this {
    inPlace.pow_(this, exponent);
    return this;
  }
  /** `this += value · a · b`. */
  addcmul_(a: Tensor, b: Tensor, value = 1): this {
    inPlace.addcmul_(this, a, b, value);
    return this;
  }
  /** `this += value · a / b`. */
  addcdiv_(a: Tensor, b: Tensor, value = 1): this {
    inPlace.addcdiv_(this, a, b, value);
    return this;
  }
  /** `this += weight · (end − this)`: a moving average, for one. */
  lerp_(end: Tensor, weight: Tensor | number): this {
    inPlace.lerp_(this, end, weight);
    return this;
  }
  /** Values below `min` become `min`, above `max` become `max`; null leaves that side open. */
  clamp_(min: number | null, max: number | null = null): this {
    inPlace.clamp_(this, min, max);
    return this;
  }
  /** `this ← −this`. */
  neg_(): this {
    inPlace.neg_(this);
    return this;
  }
  /** `this ← |this|`. */
  abs_(): this {
    inPlace.abs_(this);
    return this;
  }
  /** `this ← e^this`. */
  exp_(): this {
    inPlace.exp_(this);
    return this;
  }
  /** `this ← log(this)`. */
  log_(): this {
    inPlace.log_(this);
    return this;
  }
  /** `this ← √this`. */
  sqrt_(): this {
    inPlace.sqrt_(this);
    return this;
  }
  /** `this ← 1 / this`. */
  reciprocal_(): this {
    inPlace.reciprocal_(this);
    return this;
  }
  /** `this ← source`, converted to this element type and device, and broadcast. */
  copy_(source: Tensor): this {
    inPlace.copy_(this, source);
    return this;
  }
  /**
   * Every element becomes `value`, a number or a tensor of no dimensions.
   * @throws TorchError for a number beyond the element type; in uint8 a negative one counts from 256, as in PyTorch
   */
  fill_(value: Tensor | number): this {
    inPlace.fill_(this, value);
    return this;
  }
  /** Every element becomes 0. */
  zero_(): this {
    inPlace.zero_(this);
    return this;
  }
  /** Where `mask` (bool, broadcast) is true, `this` becomes `value`. */
  maskedFill_(mask: Tensor, value: Tensor | number): this {
    indexing.maskedFill_(this, mask, value);
    return this;
  }
  /**
   * `this[i0, i1, …] ← values`, broadcast.
   * @param options.accumulate - add instead, also where a position is named twice; default false
   */
  indexPut_(indices: readonly (Tensor | null)[], values: Tensor, options?: { accumulate?: boolean }): this {
    indexing.indexPut_(this, indices, values, options);
    return this;
  }
  /** Adds `alpha · source` to entries `index` (int64 `[K]`) along `dimension`. */
  indexAdd_(dimension: number, index: Tensor, source: Tensor, alpha = 1): this {
    indexing.indexAdd_(this, dimension, index, source, alpha);
    return this;
  }
  /** `this[index[i][j]][j] ← source[i][j]` for dimension 0, and so on; `index` int64. */
  scatter_(dimension: number, index: Tensor, source: Tensor | number): this {
    indexing.scatter_(this, dimension, index, source);
    return this;
  }
  /** As `scatter_`, but adds; positions may be named twice. */
  scatterAdd_(dimension: number, index: Tensor, source: Tensor): this {
    indexing.scatterAdd_(this, dimension, index, source);
    return this;
  }

  /** Sum over `dims`, over everything when left out. */
  sum(dims?: readonly number[], options?: reduction.ReductionOptions): Tensor {
    return reduction.sum(this, dims, options);
  }
  /** Mean over `dims`, over everything when left out. */
  mean(dims?: readonly number[], options?: reduction.ReductionOptions): Tensor {
    return reduction.mean(this, dims, options);
  }
  /** Largest value over `dims`, over everything when left out. */
  amax(dims?: readonly number[], options?: reduction.ReductionOptions): Tensor {
    return reduction.amax(this, dims, options);
  }
  /** Smallest value over `dims`, over everything when left out. */
  amin(dims?: readonly number[], options?: reduction.ReductionOptions): Tensor {
    return reduction.amin(this, dims, options);
  }
  /** log Σ e^x over `dims`, over everything when left out; computed stably. */
  logsumexp(dims?: readonly number[], options?: reduction.ReductionOptions): Tensor {
    return reduction.logsumexp(this, dims, options);
  }
  /** Variance over `dims`, over everything when left out. @param options.unbiased - divide by n − 1; default true */
  variance(dims?: readonly number[], options?: reduction.ReductionOptions & { unbiased?: boolean }): Tensor {
    return reduction.variance(this, dims, options);
  }
  /** Standard deviation over `dims`, as `variance`. */
  std(dims?: readonly number[], options?: reduction.ReductionOptions & { unbiased?: boolean }): Tensor {
    return reduction.std(this, dims, options);
  }
  /** (Σ |x|ᵖ)^(1/p) over `dims`, over everything when left out. @param options.p - default 2; may be infinite or 0 */
  norm(dims?: readonly number[], options?: reduction.ReductionOptions & { p?: number }): Tensor {
    return reduction.norm(this, dims, options);
  }
  /** Product along `dimension`, of everything when left out. */
  prod(dimension?: number | null, options?: reduction.ReductionOptions): Tensor {
    return reduction.prod(this, dimension, options);
  }
  /** bool: whether every element along `dimension` is true, of everything when left out. */
  all(dimension?: number | null, options?: reduction.ReductionOptions): Tensor {
    return reduction.all(this, dimension, options);
  }
  /** bool: whether some element along `dimension` is true, of everything when left out. */
  any(dimension?: number | null, options?: reduction.ReductionOptions): Tensor {
    return reduction.any(this, dimension, options);
  }
  /** int64: position of the largest value along `dimension`; in row-major order when null or left out. */
  argmax(dimension?: number | null, options?: reduction.ReductionOptions): Tensor {
    return reduction.argmax(this, dimension, options);
  }
  /** int64: position of the smallest value along `dimension`; in row-major order when null or left out. */
  argmin(dimension?: number | null, options?: reduction.ReductionOptions): Tensor {
    return reduction.argmin(this, dimension, options);
  }
  /** Running sums along `dimension`. */
  cumsum(dimension: number): Tensor {
    return reduction.cumsum(this, dimension);
  }
  /** The largest element along `dimension` and its position; its gradient goes to that position only. */
  max(dimension: number, options?: reduction.ReductionOptions): sorting.WithIndices {
    return sorting.max(this, dimension, options);
  }
  /** The smallest element along `dimension` and its position; its gradient goes to that position only. */
  min(dimension: number, options?: reduction.ReductionOptions): sorting.WithIndices {
    return sorting.min(this, dimension, options);
  }
  /** The middle element along `dimension`, the lower of two, and its position. */
  median(dimension: number, options?: reduction.ReductionOptions): sorting.WithIndices {
    return sorting.median(this, dimension, options);
  }
  /** In ascending order along `dimension` (default: the last); equal elements keep their order, NaN is the largest. */
  sort(dimension?: number, options?: sorting.SortOptions): sorting.WithIndices {
    return sorting.sort(this, dimension, options);
  }
  /** The positions that sort, int64: the second result of `sort`. */
  argsort(dimension?: number, options?: sorting.SortOptions): Tensor {
    return sorting.argsort(this, dimension, options);
  }
  /**
   * The `k` largest elements along `dimension` (default: the last), in descending order.
   * @param options.largest - false: the smallest, in ascending order
   */
  topk(k: number, dimension?: number, options?: { largest?: boolean }): sorting.WithIndices {
    return sorting.topk(this, k, dimension, options);
  }

  /**
   * Entries `start`, `start + step`, … below `end` along `dimension`, as `this[start:end:step]`; a view.
   * @param start - default 0
   * @param end - default: to the end; beyond it counts as the end
   * @param step - at least 1, default 1
   */
  slice(dimension: number, start?: number | null, end?: number | null, step?: number): Tensor {
    return indexing.slice(this, dimension, start, end, step);
  }
  /** `length` entries along `dimension` from `start`; a view. @throws TorchError when there are not as many */
  narrow(dimension: number, start: number, length: number): Tensor {
    return indexing.narrow(this, dimension, start, length);
  }
  /** One entry along `dimension`, which disappears; a view. */
  select(dimension: number, index: number): Tensor {
    return indexing.select(this, dimension, index);
  }
  /** Windows of `size` entries every `step` along `dimension`, their elements in a new last dimension; a view. */
  unfold(dimension: number, size: number, step: number): Tensor {
    return indexing.unfoldDimension(this, dimension, size, step);
  }
  /** The main diagonal, or the one `offset` above it, of dimensions `first` and `second` (default 0, 1); a view. */
  diagonal(offset?: number, first?: number, second?: number): Tensor {
    return indexing.diagonal(this, offset, first, second);
  }
  /** Parts of `size` entries along `dimension` (the last may be smaller), or of the sizes in a list; views. */
  split(size: number | readonly number[], dimension?: number): Tensor[] {
    return indexing.split(this, size, dimension);
  }
  /** At most `chunks` parts of equal size along `dimension`, the last smaller when it does not divide; views. */
  chunk(chunks: number, dimension?: number): Tensor[] {
    return indexing.chunk(this, chunks, dimension);
  }
  /** Every entry along `dimension` (default 0), which disappears; views. */
  unbind(dimension?: number): Tensor[] {
    return indexing.unbind(this, dimension);
  }
  /** Advanced indexing, `this[i0, i1, …]`: int64 or bool tensors that broadcast; null takes a whole dimension. */
  index(indices: readonly (Tensor | null)[]): Tensor {
    return indexing.index(this, indices);
  }
  /** Entries `index` (int64 `[K]`) along `dimension`; a copy. */
  indexSelect(dimension: number, index: Tensor): Tensor {
    return indexing.indexSelect(this, dimension, index);
  }
  /** `out[i][j] = this[index[i][j]][j]` for dimension 0, and so on; `index` int64. */
  gather(dimension: number, index: Tensor): Tensor {
    return indexing.gather(this, dimension, index);
  }
  /** `mask ? value : this`, broadcast. @param mask - bool @param value - a number or a tensor of no dimensions */
  maskedFill(mask: Tensor, value: Tensor | number): Tensor {
    return indexing.maskedFill(this, mask, value);
  }
  /** The elements where `mask` (bool, broadcast) is true, `[K]` in row-major order; a copy. */
  maskedSelect(mask: Tensor): Tensor {
    return indexing.maskedSelect(this, mask);
  }
  /** Positions of the elements other than 0: int64 `[K, dimensions]` in row-major order. */
  nonzero(): Tensor {
    return indexing.nonzero(this);
  }
  /** The part on and below the diagonal (`offset` above the main one) of the last two dimensions; the rest 0. */
  tril(offset?: number): Tensor {
    return indexing.tril(this, offset);
  }
  /** The part on and above the diagonal (`offset` above the main one) of the last two dimensions; the rest 0. */
  triu(offset?: number): Tensor {
    return indexing.triu(this, offset);
  }

  /** The same elements in another shape; one size may be −1. A view where possible. */
  reshape(shape: readonly number[]): Tensor {
    return shaping.reshape(this, shape);
  }
  /** As `reshape`, but never a copy. @throws TorchError when the strides do not allow it */
  view(shape: readonly number[]): Tensor {
    return shaping.view(this, shape);
  }
  /** Dimensions `start` to `end` become one. */
  flatten(start = 0, end = -1): Tensor {
    return shaping.flatten(this, start, end);
  }
  /** Rows and columns change places, `[n, m, …]` → `[m, n, …]`; a view. */
  t(): Tensor {
    return shaping.transpose(this, 0, 1);
  }
  /** Two dimensions change places; a view. */
  transpose(first: number, second: number): Tensor {
    return shaping.transpose(this, first, second);
  }
  /** Dimensions in another order; a view. */
  permute(dims: readonly number[]): Tensor {
    return shaping.permute(this, dims);
  }
  /** One dimension moved to another place, the others in order; a view. */
  movedim(from: number, to: number): Tensor {
    return shaping.movedim(this, from, to);
  }
  /** The tensor laid beside itself `repeats` times along each dimension; a copy. */
  repeat(repeats: readonly number[]): Tensor {
    return shaping.repeat(this, repeats);
  }
  /** A new dimension of size 1. */
  unsqueeze(dimension: number): Tensor {
    return shaping.unsqueeze(this, dimension);
  }
  /** Drops a dimension of size 1, all of them when left out; does nothing when its size is another. */
  squeeze(dimension?: number): Tensor {
    return shaping.squeeze(this, dimension);
  }
  /** Dimensions of size 1 repeated without a copy; −1 keeps a size. */
  expand(shape: readonly number[]): Tensor {
    return shaping.expand(this, shape);
  }
  /** The order along `dims` reversed; a copy. */
  flip(dims: readonly number[]): Tensor {
    return shaping.flip(this, dims);
  }
  /** In row-major or another order; the same memory when it already is. Shape and values do not change. */
  contiguous(format?: Exclude<shaping.MemoryFormat, "preserve">): Tensor {
    return shaping.contiguous(this, format);
  }
  /** A copy; its order in memory is the argument's where that is dense. */
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
  /**
   * In page-locked memory, from which a copy to a GPU (`to` with `nonBlocking`) runs beside other work: the same tensor's
   * values when it already is. @throws TorchError without CUDA
   */
  pinMemory(): Tensor {
    return pinMemory(this);
  }
  /** Whether it lies in page-locked memory. */
  get isPinned(): boolean {
    return isPinned(this);
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
