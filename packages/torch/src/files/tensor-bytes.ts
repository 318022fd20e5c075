// A tensor's bytes in and out of a file, in pieces: neither the file's length nor a second copy of the tensor has to
// fit into one JavaScript array.
import { noGrad } from "../autograd.js";
import { TorchError } from "../errors.js";
import { type DType, native } from "../native.js";
import { operator } from "../operator.js";
import { scope } from "../scope.js";
import { elementSize, Tensor } from "../tensor.js";
import type { Refuse } from "./open-file.js";

/** Bytes of one piece. */
export const PIECE = 1 << 24;

/** More dimensions than this is damage: NumPy stops at 64, and so do libtorch's kernels. */
export const MOST_DIMENSIONS = 64;

const empty = operator<[readonly number[], DType], Tensor>("aten::empty.memory_format", "size dtype");

/**
 * A new tensor on the CPU, filled piece by piece.
 * @param read - elements `start` to `start + count` in row-major order, as bytes of type `dtype`
 */
export function tensorFromPieces(
  dtype: DType,
  shape: readonly number[],
  read: (start: number, count: number) => NodeJS.TypedArray,
): Tensor {
  const elements = shape.reduce((product, size) => product * size, 1);
  const most = PIECE / elementSize(dtype);
  if (elements <= most) return Tensor.fromHandle(native().fromBytes(read(0, elements), dtype, shape));
  return noGrad(() =>
    scope(() => {
      const whole = empty(shape, dtype);
      const flat = whole.view([elements]);
      for (let start = 0; start < elements; start += most) {
        const count = Math.min(most, elements - start);
        scope(() => {
          const piece = Tensor.fromHandle(native().fromBytes(read(start, count), dtype, [count]));
          flat.narrow(0, start, count).copy_(piece);
        });
      }
      return whole;
    }),
  );
}

/** Calls `write` with the tensor's elements in row-major order, as bytes of type `dtype` (default its own). */
export function writePieces(tensor: Tensor, write: (bytes: Uint8Array) => void, dtype?: DType): void {
  const converted = (piece: Tensor): Uint8Array =>
    new Uint8Array(native().toBytes((dtype === undefined ? piece : piece.to(dtype)).handle));
  noGrad(() =>
    scope(() => {
      const { numel } = tensor;
      const most = PIECE / elementSize(tensor.dtype);
      if (numel <= most) return write(converted(tensor));
      const flat = tensor.contiguous().view([numel]);
      for (let start = 0; start < numel; start += most) {
        scope(() => write(converted(flat.narrow(0, start, Math.min(most, numel - start)))));
      }
    }),
  );
}

/** Runs `body`; what libtorch refuses (sizes beyond its own, no memory left) is the file's fault. */
export function blamingFile<R>(refuse: Refuse, body: () => R): R {
  try {
    return body();
  } catch (error) {
    if (error instanceof TorchError) throw refuse(error.message);
    throw error;
  }
}
