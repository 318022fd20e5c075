// Reverse-mode differentiation: libtorch's autograd, with PyTorch's words.
import { refusePromise, TorchError } from "./errors.js";
import { type Handle, native } from "./native.js";
import { Tensor } from "./tensor.js";

/**
 * Runs `body` without recording operations for differentiation, as `torch.no_grad()`.
 * @throws TorchError when `body` returns a promise: the mode ends when its function returns
 */
export function noGrad<R>(body: () => R): R {
  return withGradMode("noGrad", false, body);
}

/**
 * Runs `body` with recording on, also inside `noGrad`, as `torch.enable_grad()`.
 * @throws TorchError when `body` returns a promise, as `noGrad`
 */
export function enableGrad<R>(body: () => R): R {
  return withGradMode("enableGrad", true, body);
}

/**
 * Runs `body` so that a NaN in a backward pass is an error that names the operator, as
 * `torch.autograd.detect_anomaly`: "Function 'LogBackward0' returned nan values in its 0th output". Both the operations
 * and the `backward` belong inside. Slow, for looking for a fault; on while any thread of the process is inside.
 * @throws TorchError when `body` returns a promise, as `noGrad`
 */
export function detectAnomaly<R>(body: () => R): R {
  if (typeof body !== "function") {
    throw new TorchError(`detectAnomaly: expected a function to run, got ${typeof body}`);
  }
  return native().detectAnomaly(() => {
    const result = body();
    refusePromise("detectAnomaly", result);
    return result;
  });
}

/** Whether operations are being recorded. */
export function isGradEnabled(): boolean {
  return native().gradEnabled();
}

function withGradMode<R>(where: string, enabled: boolean, body: () => R): R {
  const before = native().gradEnabled();
  if (before !== enabled) native().setGradEnabled(enabled);
  try {
    const result = body();
    refusePromise(where, result);
    return result;
  } finally {
    if (before !== enabled) native().setGradEnabled(before);
  }
}

/** Where a backward pass starts and ends, and what it leaves behind. */
export interface BackwardOptions {
  /** Gradient of something with respect to the tensor, of its shape; needed unless it has one element. */
  gradient?: Tensor;
  /** Keep the graph for a second pass; default: `createGraph`. */
  retainGraph?: boolean;
  /**
   * Record the pass itself, for derivatives of the gradient; default false. A leaf and its recorded gradient then hold
   * each other: set `grad` to null afterwards, or use the function `grad`, which leaves nothing behind.
   */
  createGraph?: boolean;
  /** Accumulate into these leaves only; default: every leaf that was used. */
  inputs?: readonly Tensor[];
}

/** Adds d `tensor` / d leaf to each leaf's `grad`. @throws TorchError when the tensor was not recorded */
export function backward(tensor: Tensor, options: BackwardOptions = {}): void {
  const createGraph = options.createGraph ?? false;
  native().backward(
    tensor.handle,
    options.gradient ? [options.gradient.handle] : null,
    options.retainGraph ?? createGraph,
    createGraph,
    options.inputs ? options.inputs.map((input) => input.handle) : null,
  );
}

/** As `BackwardOptions`, for `grad`. */
export interface GradOptions {
  /** One for each output, of its shape; needed for outputs of more than one element. */
  gradOutputs?: readonly Tensor[];
  /** Keep the graph for a second pass; default: `createGraph`. */
  retainGraph?: boolean;
  /** Record the pass itself, so that the gradients can be differentiated; default false. */
  createGraph?: boolean;
  /** Give null for an input that was not used instead of an error; default false. */
  allowUnused?: boolean;
}

/** Handles of one tensor or several. */
function handlesOf(what: string, tensors: Tensor | readonly Tensor[]): Handle[] {
  const list = tensors instanceof Tensor ? [tensors] : tensors;
  if (Array.isArray(list) && list.every((item) => item instanceof Tensor)) return list.map(({ handle }) => handle);
  throw new TorchError(`grad: expected '${what}' to be a tensor or an array of them, got ${String(tensors)}`);
}

/**
 * d sum(outputs) / d inputs without touching any `grad`, as `torch.autograd.grad`.
 * @returns one tensor of each input's shape; null only with `allowUnused`
 */
export function grad(
  outputs: Tensor | readonly Tensor[],
  inputs: Tensor | readonly Tensor[],
  options: GradOptions = {},
): (Tensor | null)[] {
  const createGraph = options.createGraph ?? false;
  return native()
    .gradients(
      handlesOf("outputs", outputs),
      handlesOf("inputs", inputs),
      options.gradOutputs ? handlesOf("gradOutputs", options.gradOutputs) : null,
      options.retainGraph ?? createGraph,
      createGraph,
      options.allowUnused ?? false,
    )
    .map((handle) => (handle === null ? null : Tensor.fromHandle(handle)));
}
