// Dropout with a generator of one's own: the mask is drawn in row-major order, as PyTorch 1.13 draws it, so that the
// default generator gives its masks too and that they do not depend on the memory format.
import { noGrad } from "../../autograd.js";
import { TorchError } from "../../errors.js";
import { operator } from "../../operator.js";
import type { Generator } from "../../random.js";
import { scope } from "../../scope.js";
import type { Tensor } from "../../tensor.js";
import { mul } from "../arithmetic.js";
import { bernoulli_, zeros } from "../creation.js";
import { shapeOf } from "./sizes.js";

/** Probability, mode and source of the mask. */
export interface DropoutOptions {
  /** Probability of a zero, in [0, 1); default 0.5. */
  p?: number;
  /** False: x itself; default true. */
  training?: boolean;
  /** Where the mask comes from; default: the process-wide generator. */
  generator?: Generator;
}

/** As `DropoutOptions`, and how the mask is remembered. */
export interface ElementDropoutOptions extends DropoutOptions {
  /**
   * Draw one number from the generator and every element's fate from it by counter (Philox), so that the mask need not
   * be kept for the backward pass but is made again: less time and no memory, but not PyTorch's masks. Default false.
   */
  recompute?: boolean;
}

const recomputed: (input: Tensor, p: number, generator: Generator | null) => Tensor = operator(
  "stopgrad::dropout",
  "input p generator",
);

/** @throws TorchError unless `p` lies in [0, 1) */
export function checkProbability(where: string, p: number): void {
  if (!(p >= 0 && p < 1)) throw new TorchError(`${where}: expected p in [0, 1), got ${p}`);
}

/** Zeroes each element with probability `p` and scales the others by 1 / (1 − p). */
export function dropout(input: Tensor, options: ElementDropoutOptions = {}): Tensor {
  const { p = 0.5, training = true, recompute = false, generator = null } = options;
  if (recompute) {
    checkProbability("dropout", p);
    return training && p > 0 ? recomputed(input, p, generator) : input;
  }
  return masked("dropout", input, options, input.shape);
}

/** Zeroes each channel of each example with probability `p`, scales the others: `[N, C, …]`. */
export function featureDropout(input: Tensor, options: DropoutOptions = {}): Tensor {
  if (input.dim < 2) throw new TorchError(`featureDropout: expected input [N, C, …], got ${shapeOf(input)}`);
  const shape = input.shape.map((size, at) => (at < 2 ? size : 1));
  return masked("featureDropout", input, options, shape);
}

function masked(where: string, input: Tensor, options: DropoutOptions, shape: readonly number[]): Tensor {
  const { p = 0.5, training = true } = options;
  checkProbability(where, p);
  if (!training || p === 0) return input;
  return scope(() => {
    const mask = zeros(shape, { dtype: input.dtype, device: input.device });
    return mul(
      input,
      noGrad(() => bernoulli_(mask, 1 - p, options.generator).div_(1 - p)),
    );
  });
}
