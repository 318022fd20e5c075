// Clipping of gradients before a step, as `torch.nn.utils`: one native call.
import { TorchError } from "../errors.js";
import { native } from "../native.js";
import type { Tensor } from "../tensor.js";
import { checkNonNegative } from "./optimizer.js";

const handlesOf = (parameters: Iterable<Tensor>) => Array.from(parameters, ({ handle }) => handle);

/**
 * Scales all gradients in place so that their norm, as one long vector, is at most `maxNorm`.
 * @param options.order - of the norm; default 2, `Infinity`: the largest element
 * @param options.errorIfNotFinite - default false: NaN or infinite gradients then become NaN
 * @returns the norm before, 0 when there are no gradients
 * @throws TorchError for a negative `maxNorm`, or a norm that is not finite where that was asked; nothing is changed then
 */
export function clipGradNorm_(
  parameters: Iterable<Tensor>,
  maxNorm: number,
  options: { order?: number; errorIfNotFinite?: boolean } = {},
): number {
  const { order = 2, errorIfNotFinite = false } = options;
  if (!(maxNorm >= 0)) throw new TorchError(`clipGradNorm_: expected a maxNorm of at least 0, got ${maxNorm}`);
  if (!(order > 0)) throw new TorchError(`clipGradNorm_: expected an order above 0, got ${order}`);
  return native().clipGradNorm(handlesOf(parameters), maxNorm, order, errorIfNotFinite);
}

/** Cuts every element of all gradients off at ±`value`, in place. @throws TorchError for a negative value */
export function clipGradValue_(parameters: Iterable<Tensor>, value: number): void {
  checkNonNegative("value", value);
  native().clipGradValue(handlesOf(parameters), value);
}
