// Memory that several processes see: tensors are copied into a slot of it by one and read in place by the next, which is
// told where they lie. What makes sure that nobody reads a slot while it is written is a matter of those who use it.
import { type DType, elementSize, noGrad, operator, scope, type Tensor } from "@stopgrad/torch";

/** Bytes `start` to `start + bytes` of the shared memory. */
export interface SlotRegion {
  readonly start: number;
  readonly bytes: number;
}

/** Where a tensor lies. */
export interface PackedTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** As the sender had them: kernels may round differently in another layout. */
  readonly strides: readonly number[];
  /** Byte in the shared memory. */
  readonly start: number;
}

/** Cache lines, and the widest registers there are. */
const ALIGNMENT = 64;

const fromFile = operator<[string, boolean, number, DType], Tensor>("aten::from_file", "filename shared size dtype");
const viewAs = operator<[Tensor, DType], Tensor>("aten::view.dtype", "self dtype");
const asStrided = operator<[Tensor, readonly number[], readonly number[]], Tensor>(
  "aten::as_strided",
  "self size stride",
);

/**
 * All of a file as shared memory, uint8 `[size]`. The file needs no name any more: it is opened through its descriptor.
 * @throws TorchError when the system refuses to map it
 */
export function mapSlots(descriptor: number, size: number): Tensor {
  const folder = process.platform === "linux" ? "/proc/self/fd" : "/dev/fd";
  return fromFile(`${folder}/${descriptor}`, true, size, "uint8");
}

/** Bytes that tensors of so many bytes each take in a slot. */
export function slotBytes(tensors: readonly number[]): number {
  return tensors.reduce((sum, bytes) => sum + aligned(bytes), 0);
}

/**
 * Copies tensors into a slot.
 * @param tensors - detached, none empty
 * @throws Error when they do not fit
 */
export function pack(memory: Tensor, slot: SlotRegion, tensors: ReadonlyMap<string, Tensor>): PackedTensor[] {
  let start = slot.start;
  return Array.from(tensors, ([name, tensor]) => {
    const strides = isDense(tensor) ? [...tensor.strides] : rowMajor(tensor.shape);
    const packed = { name, dtype: tensor.dtype, shape: [...tensor.shape], strides, start };
    start += aligned(tensor.numel * elementSize(tensor.dtype));
    if (start > slot.start + slot.bytes) {
      throw new Error(`shared memory: expected tensors of at most ${slot.bytes} bytes, got more with ${name}`);
    }
    noGrad(() => scope(() => unpackOne(memory, packed).copy_(tensor)));
    return packed;
  });
}

/** The tensors of a slot, by name, in the shared memory itself. */
export function unpack(memory: Tensor, packed: readonly PackedTensor[]): Map<string, Tensor> {
  return new Map(packed.map((one) => [one.name, unpackOne(memory, one)]));
}

function unpackOne(memory: Tensor, { dtype, shape, strides, start }: PackedTensor): Tensor {
  return scope(() => {
    const numel = shape.reduce((product, size) => product * size, 1);
    const bytes = memory.narrow(0, start, numel * elementSize(dtype));
    return asStrided(dtype === "uint8" ? bytes : viewAs(bytes, dtype), shape, strides);
  });
}

/** Whether its elements fill a piece of memory, in whatever order. */
function isDense({ shape, strides, numel }: Tensor): boolean {
  const last = shape.reduce((offset, size, at) => offset + (size - 1) * strides[at]!, 0);
  const distinct = new Set(strides.filter((_, at) => shape[at]! > 1));
  return last + 1 === numel && distinct.size === shape.filter((size) => size > 1).length;
}

function rowMajor(shape: readonly number[]): number[] {
  return shape.map((_, at) => shape.slice(at + 1).reduce((product, size) => product * size, 1));
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
