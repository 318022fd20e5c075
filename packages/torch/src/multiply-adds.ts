// Multiply-adds: how much arithmetic a computation is, on whatever machine it runs.
//
// Counted as in the field's tables of networks: a multiplication and the addition of its product are one, and only
// convolutions and matrix products count. Additions, activations, normalisations, poolings, losses, lookups and
// decompositions count nothing. Zeros of a padding count like any other input. Counts follow from the shapes of what
// operators are called with, so that they are exact and cost no arithmetic of their own.
import { refusePromise, TorchError } from "./errors.js";
import { native } from "./native.js";
import type { Tensor } from "./tensor.js";

/** What `countMultiplyAdds` found. */
export interface MultiplyAdds<R> {
  /** What the function returned. */
  result: R;
  /** Of the operators that were called. */
  forward: number;
  /** Of their derivatives: gradients to come, and tangents. */
  backward: number;
}

interface Counter {
  forward: number;
  backward: number;
  readonly outer: Counter | undefined;
}

/** A product of several factors, each of which is made of these tensors. */
interface Product {
  readonly multiplyAdds: number;
  readonly factors: readonly (readonly Tensor[])[];
}

type Count = (args: readonly unknown[], result: Tensor) => Product | readonly Product[];

let counter: Counter | undefined;

/**
 * Runs `body` and counts the multiply-adds of the operators that it calls:
 *
 * - a convolution: output elements · input channels / groups · kernel taps
 * - a transposed convolution: input elements · output channels / groups · kernel taps
 * - a matrix product (`linear`, `matmul`, `mm`, `bmm`, `mv`, `dot`, `addmm`, `baddbmm`): output elements · length of the
 *   sums; attention by its two products, `einsum` by its products from left to right, `bilinear` by both of its sums
 *
 * Everything else counts nothing, a replayed CUDA graph included. A backward pass is foreseen, not watched: a factor of
 * a product (weight or input) that requires gradients, in recording mode, costs the product's multiply-adds once more,
 * whether the pass is made or not; a factor with a tangent (`forwardGradient`) does so in any mode. One with neither,
 * such as a batch of images, costs nothing. Counters nest: what is counted inside is counted outside too.
 *
 * @param body - called once; its tensors are the caller's
 * @returns what `body` returned, and both counts, exact up to 2^53
 * @throws TorchError when `body` is no function or returns a promise; what `body` throws
 */
export function countMultiplyAdds<R>(body: () => R): MultiplyAdds<R> {
  if (typeof body !== "function") {
    throw new TorchError(`countMultiplyAdds: expected a function to run, got ${typeof body}`);
  }
  const mine: Counter = { forward: 0, backward: 0, outer: counter };
  counter = mine;
  try {
    const result = body();
    refusePromise("countMultiplyAdds", result);
    return { result, forward: mine.forward, backward: mine.backward };
  } finally {
    counter = mine.outer;
  }
}

/**
 * `call` of the operator `name`, counted while somebody counts. Only operators that count are wrapped, and a call of
 * theirs looks at one variable. Internal, for operator.ts.
 */
export function counted<A extends readonly unknown[], R>(name: string, call: (...args: A) => R): (...args: A) => R {
  const count = counts.get(name);
  if (count === undefined) return call;
  return (...args) => {
    const result = call(...args);
    if (counter !== undefined) addTo(counter, count(args, result as Tensor));
    return result;
  };
}

function addTo(innermost: Counter, products: Product | readonly Product[]): void {
  for (const { multiplyAdds, factors } of [products].flat()) {
    const derivatives = factors.reduce((sum, tensors) => sum + derivativesOf(tensors), 0);
    for (let one: Counter | undefined = innermost; one !== undefined; one = one.outer) {
      one.forward += multiplyAdds;
      one.backward += derivatives * multiplyAdds;
    }
  }
}

/** 1 for a gradient, 1 for a tangent of a factor that is made of these tensors. */
function derivativesOf(tensors: readonly Tensor[]): number {
  const isRecorded = native().gradEnabled() && tensors.some(({ handle }) => native().requiresGrad(handle));
  return Number(isRecorded) + Number(tensors.some(hasTangent));
}

function hasTangent({ handle }: Tensor): boolean {
  let parts: ReturnType<ReturnType<typeof native>["unpackDual"]>;
  try {
    parts = native().unpackDual(handle);
  } catch {
    return false; // outside of forwardGradient nothing has a tangent, and asking is refused
  }
  const [primal, tangent] = parts;
  native().release(tangent === null ? [primal] : [primal, tangent]);
  return tangent !== null;
}

// --- what counts -----------------------------------------------------------------------------------------------------

/** `[N, C, …]` with weight `[K, C / groups, …]`, or without N. */
const convolution: Count = ([input, weight], result) => ({
  multiplyAdds: (result.numel * (weight as Tensor).numel) / sizeAt(weight, 0),
  factors: [[input as Tensor], [weight as Tensor]],
});

/** `[N, C, …]` with weight `[C, K / groups, …]`, or without N. */
const transposedConvolution: Count = ([input, weight]) => ({
  multiplyAdds: ((input as Tensor).numel * (weight as Tensor).numel) / sizeAt(weight, 0),
  factors: [[input as Tensor], [weight as Tensor]],
});

/** A product of the arguments `at` and `at + 1`, in which the first one's last dimension is summed over. */
function matrixProduct(at: number): Count {
  return (args, result) => {
    const [first, second] = [args[at] as Tensor, args[at + 1] as Tensor];
    return { multiplyAdds: result.numel * sizeAt(first, -1), factors: [[first], [second]] };
  };
}

/** `[…, A]`, `[…, B]` and `[out, A, B]` → `[…, out]`. */
const bilinear: Count = ([first, second, weight], result) => ({
  multiplyAdds: result.numel * sizeAt(first, -1) * sizeAt(second, -1),
  factors: [[first as Tensor], [second as Tensor], [weight as Tensor]],
});

/**
 * The matrix products that an einsum becomes: its operands are multiplied from left to right, and a letter is summed
 * over as soon as no later operand has it. Where nothing is summed over, a product is element by element.
 */
const einsum: Count = (args) => {
  const [equation, operands] = args as [string, readonly Tensor[]];
  const [inputs, output] = equation.replaceAll(/\s/g, "").split("->") as [string, string | undefined];
  const sizes = new Map<string, number>();
  const terms = inputs.split(",").map((term, at) => {
    const { shape } = operands[at]!;
    const labels = labelsOf(term, shape.length);
    labels.forEach((label, dimension) => {
      sizes.set(label, Math.max(sizes.get(label) ?? 1, shape[dimension]!)); // a size of 1 is broadcast
    });
    return new Set(labels);
  });
  const isLast = (label: string, at: number) => {
    const isKept = output === undefined ? isImplied(label, inputs) : output.includes(label[0]!);
    return !isKept && terms.every((term, later) => later <= at || !term.has(label));
  };
  const products: Product[] = [];
  let done = terms[0]!;
  for (const [at, term] of terms.entries()) {
    if (at === 0) continue;
    const both = [...new Set([...done, ...term])];
    const isShared = (label: string) => done.has(label) && term.has(label);
    if (both.some((label) => isShared(label) && isLast(label, at))) {
      const involved = both.filter((label) => isShared(label) || !isLast(label, at)); // others are summed over before
      const multiplyAdds = involved.reduce((product, label) => product * sizes.get(label)!, 1);
      products.push({ multiplyAdds, factors: [operands.slice(0, at), [operands[at]!]] });
    }
    done = new Set(both.filter((label) => !isLast(label, at)));
  }
  return products;
};

/** A name for each dimension of an operand: its letter, or for those of an ellipsis `.1`, `.2`, … from the last. */
function labelsOf(term: string, dimensions: number): string[] {
  const [before, after] = term.split("...") as [string, string | undefined];
  if (after === undefined) return [...before];
  const hidden = dimensions - before.length - after.length;
  return [...before, ...Array.from({ length: hidden }, (_, at) => `.${hidden - at}`), ...after];
}

/** Without an arrow, an ellipsis and the letters that stand in the equation once are kept. */
function isImplied(label: string, inputs: string): boolean {
  return label.startsWith(".") || inputs.split(label).length === 2;
}

function sizeAt(tensor: unknown, dimension: number): number {
  return (tensor as Tensor).shape.at(dimension) ?? 1;
}

const counts: ReadonlyMap<string, Count> = new Map<string, Count>([
  ...["conv1d", "conv2d", "conv3d"].flatMap((name): [string, Count][] => [
    [`aten::${name}`, convolution],
    [`aten::${name}.padding`, convolution],
  ]),
  ["stopgrad::conv2d", convolution],
  ["aten::conv_transpose1d", transposedConvolution],
  ["aten::conv_transpose2d.input", transposedConvolution],
  ["aten::conv_transpose3d.input", transposedConvolution],
  ["aten::convolution", (args, result) => (args[6] === true ? transposedConvolution : convolution)(args, result)],
  ...["linear", "matmul", "linalg_matmul", "mm", "bmm", "mv", "dot", "vdot", "inner"].map((name): [string, Count] => [
    `aten::${name}`,
    matrixProduct(0),
  ]),
  ...["addmm", "addmv", "baddbmm"].map((name): [string, Count] => [`aten::${name}`, matrixProduct(1)]),
  ["aten::bilinear", bilinear],
  ["aten::einsum", einsum],
]);
