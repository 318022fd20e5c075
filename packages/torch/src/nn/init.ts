// Initial values of parameters, as `torch.nn.init`: the same generator state gives the same numbers.

import { noGrad } from "../autograd.js";
import { normal_, uniform_ } from "../ops/creation.js";
import type { Generator } from "../random.js";
import type { Tensor } from "../tensor.js";

/** Inputs and outputs that one unit of a weight `[out, in, …]` is connected to. */
export function fans(weight: Tensor): { fanIn: number; fanOut: number } {
  const [out = 1, inputs = 1, ...kernel] = weight.shape;
  const field = kernel.reduce((product, size) => product * size, 1);
  return { fanIn: inputs * field, fanOut: out * field };
}

/**
 * Uniform in ±gain · √(3 / fanIn) with gain = √(2 / (1 + slope²)), He et al. 2015. PyTorch's layers use slope √5,
 * which gives ±1/√fanIn.
 */
export function kaimingUniform_(weight: Tensor, slope = 0, generator?: Generator): Tensor {
  const gain = Math.sqrt(2 / (1 + slope * slope));
  const bound = Math.sqrt(3) * (gain / Math.sqrt(fans(weight).fanIn));
  return noGrad(() => uniform_(weight, -bound, bound, generator));
}

/** Normal with standard deviation √2 / √fan, He et al. 2015, for layers before a ReLU. */
export function kaimingNormal_(weight: Tensor, mode: "fanIn" | "fanOut" = "fanIn", generator?: Generator): Tensor {
  const deviation = Math.sqrt(2) / Math.sqrt(fans(weight)[mode]);
  return noGrad(() => normal_(weight, 0, deviation, generator));
}

/** The bias of PyTorch's layers: uniform in ±1/√fanIn of the layer's weight. */
export function biasUniform_(bias: Tensor, weight: Tensor, generator?: Generator): Tensor {
  const bound = 1 / Math.sqrt(fans(weight).fanIn);
  return noGrad(() => uniform_(bias, -bound, bound, generator));
}
