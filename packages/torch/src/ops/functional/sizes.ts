// Sizes along the spatial dimensions, given as one number for all of them or one for each.
import { TorchError } from "../../errors.js";
import type { Tensor } from "../../tensor.js";

/** One number for the only spatial dimension. */
export type Single = number | readonly [number];
/** One number for height and width, or one for each. */
export type Pair = number | readonly [number, number];
/** One number for depth, height and width, or one for each. */
export type Triple = number | readonly [number, number, number];
/** Any of them. */
export type Sizes = number | readonly number[];

/** One entry for each of `dimensions`. @throws TorchError when a list has another length */
export function spread(where: string, what: string, value: Sizes, dimensions: number): readonly number[] {
  if (typeof value === "number") return new Array<number>(dimensions).fill(value);
  if (Array.isArray(value) && value.length !== dimensions) {
    const one = dimensions === 1 ? "a number" : `a number or ${dimensions} numbers`;
    throw new TorchError(`${where}: expected ${what} as ${one}, got [${value.join(", ")}]`);
  }
  return value;
}

/** `[2, 3]` of a tensor, for messages. */
export function shapeOf(tensor: Tensor): string {
  return `[${tensor.shape.join(", ")}]`;
}

/** How a loss is put together: each element's, their mean, or their sum. */
export type Reduction = "none" | "mean" | "sum";

const reductions = { none: 0, mean: 1, sum: 2 } as const satisfies Record<Reduction, number>;

/** libtorch's number of a reduction. @throws TorchError for an unknown one */
export function reductionCode(where: string, reduction: Reduction): number {
  if (!Object.hasOwn(reductions, reduction)) {
    throw new TorchError(`${where}: expected a reduction of none, mean or sum, got ${String(reduction)}`);
  }
  return reductions[reduction];
}

/** @throws TorchError unless the two have one shape: broadcasting here hides mistakes */
export function sameShape(where: string, first: Tensor, second: Tensor, names: readonly [string, string]): void {
  const [a, b] = [shapeOf(first), shapeOf(second)];
  if (a !== b) throw new TorchError(`${where}: expected ${names[0]} and ${names[1]} of one shape, got ${a} and ${b}`);
}
