// Which tensors share memory, and where in it each begins: a checkpoint keeps shared memory once, as PyTorch's do.
//
// libtorch's operators say whether two tensors are the same view (`is_set_to`) but not which memory a tensor lies in.
// The view of a memory's first element answers the first question for any two tensors of a type. Where a tensor begins
// is asked only of those that do share, and read from what `as_strided` says when it is asked for too much.
import { noGrad } from "../autograd.js";
import { TorchError } from "../errors.js";
import { native } from "../native.js";
import { operator } from "../operator.js";
import { scope } from "../scope.js";
import type { Tensor } from "../tensor.js";

const asStrided = operator<[Tensor, readonly number[], readonly number[], number?], Tensor>(
  "aten::as_strided",
  "self size stride storage_offset",
);
const isSetTo = operator<[Tensor, Tensor], boolean>("aten::is_set_to", "self tensor");

/** More elements than any memory holds, and few enough to count their bytes. */
const TOO_MANY = 2 ** 42;

/** A stretch of memory that one or more tensors are views of. */
export interface Stretch {
  /** A tensor in it, at `first` elements from the beginning of its view. */
  tensor: Tensor;
  /** Elements from the memory's beginning to the stretch's; null when the tensor itself begins it. */
  first: number | null;
  /** Elements in it. */
  length: number;
}

export interface Placed {
  /** Number of the stretch. */
  stretch: number;
  /** Elements from the stretch's beginning to the tensor's. */
  offset: number;
  strides: readonly number[];
}

/**
 * Places every tensor in a stretch, the same one for tensors that share memory and have the same element type. A
 * tensor alone with holes between its elements is placed without them.
 *
 * Sharing across element types is not seen: each type gets a stretch of its own.
 */
export function placeTensors(tensors: readonly Tensor[]): { placed: Map<Tensor, Placed>; stretches: Stretch[] } {
  return noGrad(() =>
    scope(() => {
      const placed = new Map<Tensor, Placed>();
      const stretches: Stretch[] = [];
      for (const group of groups(tensors)) {
        if (group.length === 1 || !placeShared(group, placed, stretches)) {
          for (const tensor of group) {
            placed.set(tensor, { stretch: stretches.length, offset: 0, strides: ownStrides(tensor) });
            stretches.push({ tensor, first: null, length: isDense(tensor) ? extent(tensor) : tensor.numel });
          }
        }
      }
      return { placed, stretches };
    }),
  );
}

/** All elements of a stretch, `[length]`: a view, unless they lie apart in memory. */
export function stretchElements({ tensor, first, length }: Stretch): Tensor {
  if (first !== null) return asStrided(tensor, [length], [1], first);
  return isDense(tensor) ? asStrided(tensor, [length], [1]) : tensor.contiguous().view([length]);
}

/** Tensors that share memory and type, together; those without elements share nothing. */
function groups(tensors: readonly Tensor[]): Tensor[][] {
  // The first element's bytes keep the comparison of every tensor with every other to likely pairs.
  const buckets = new Map<string, { start: Tensor; group: Tensor[] }[]>();
  const all: Tensor[][] = [];
  for (const tensor of new Set(tensors)) {
    if (tensor.numel === 0) {
      all.push([tensor]);
      continue;
    }
    const start = asStrided(tensor.detach(), [1], [1], 0);
    const key = `${tensor.device} ${tensor.dtype} ${Buffer.from(native().toBytes(start.handle)).toString("hex")}`;
    const bucket = buckets.get(key) ?? [];
    buckets.set(key, bucket);
    const known = bucket.find((other) => isSetTo(other.start, start));
    if (known) known.group.push(tensor);
    else {
      const group = [tensor];
      bucket.push({ start, group });
      all.push(group);
    }
  }
  return all;
}

/**
 * Places tensors of one memory: those whose stretches overlap in one, the others each in its own.
 * @returns whether where each begins could be found out
 */
function placeShared(group: readonly Tensor[], placed: Map<Tensor, Placed>, stretches: Stretch[]): boolean {
  const known: { tensor: Tensor; begin: number; end: number }[] = [];
  for (const tensor of group) {
    const same = known.find((other) => isSetTo(other.tensor, tensor));
    const begin = same ? same.begin : storageOffset(tensor, known.at(-1)?.end ?? 0);
    if (begin === null) return false;
    known.push({ tensor, begin, end: begin + extent(tensor) });
  }
  known.sort((a, b) => a.begin - b.begin);
  let current: (Stretch & { first: number }) | undefined;
  for (const { tensor, begin, end } of known) {
    if (!current || begin >= current.first + current.length) {
      current = { tensor, first: begin, length: 0 };
      stretches.push(current);
    }
    current.length = Math.max(current.length, end - current.first);
    placed.set(tensor, { stretch: stretches.length - 1, offset: begin - current.first, strides: tensor.strides });
  }
  return true;
}

/**
 * Elements from the memory's beginning to the tensor's; null when libtorch does not say it in words known here.
 * @param guess - tried first, for slices that follow each other: an error of libtorch's takes milliseconds
 */
function storageOffset(tensor: Tensor, guess: number): number | null {
  const start = asStrided(tensor, [0], [1]); // empty, where the tensor begins
  for (const offset of [0, guess]) if (isSetTo(asStrided(tensor, [0], [1], offset), start)) return offset;
  try {
    asStrided(tensor, [TOO_MANY], [1]);
  } catch (error) {
    const digits = error instanceof TorchError ? /storage offset (\d+)/.exec(error.message)?.[1] : undefined;
    return digits === undefined ? null : Number(digits);
  }
  return null;
}

/** Elements from the tensor's first to behind its last, holes included. */
function extent(tensor: Tensor): number {
  if (tensor.numel === 0) return 0;
  const strides = tensor.strides;
  return tensor.shape.reduce((sum, size, at) => sum + (size - 1) * strides[at]!, 1);
}

/** Whether its memory holds nothing, or nothing more, than its elements: also transposed, channels-last, expanded. */
function isDense(tensor: Tensor): boolean {
  return extent(tensor) <= tensor.numel;
}

/** The tensor's strides where they are kept, else those of row-major order. */
function ownStrides(tensor: Tensor): readonly number[] {
  if (isDense(tensor) && tensor.numel > 0) return tensor.strides;
  const strides: number[] = [];
  let stride = 1;
  for (const size of tensor.shape.toReversed()) {
    strides.unshift(stride);
    stride *= Math.max(size, 1);
  }
  return strides;
}
