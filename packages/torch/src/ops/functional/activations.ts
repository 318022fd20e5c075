// Activations: element by element unless said otherwise, and softmax. Any shape, floating point.
import { operator } from "../../operator.js";
import type { Tensor } from "../../tensor.js";

type Unary = (self: Tensor) => Tensor;

/** max(x, 0). */
export const relu: Unary = operator("aten::relu", "self");
const reluInPlace = operator<[Tensor], Tensor>("aten::relu_", "self");
/** max(x, 0) written over `self`, which must not be needed for another gradient. Returns it. */
export function relu_(self: Tensor): Tensor {
  reluInPlace(self).dispose();
  return self;
}
/** min(max(x, 0), 6). */
export const relu6: Unary = operator("aten::relu6", "self");
/** 1 / (1 + e^−x). */
export const sigmoid: Unary = operator("aten::sigmoid", "self");
/** (e^x − e^−x) / (e^x + e^−x). */
export const tanh: Unary = operator("aten::tanh", "self");
/** x where it is above 0, else `slope` · x. */
export function leakyRelu(self: Tensor, slope = 0.01): Tensor {
  return leaky(self, slope);
}
const leaky = operator<[Tensor, number], Tensor>("aten::leaky_relu", "self negative_slope");
const sloped = operator<[Tensor, Tensor], Tensor>("aten::prelu", "self weight");
/** Leaky ReLU with trained slopes: self `[N, C, …]`, weight `[1]` or `[C]`. */
export function prelu(self: Tensor, weight: Tensor): Tensor {
  return sloped(self, weight);
}
const eluOf = operator<[Tensor, number], Tensor>("aten::elu", "self alpha");
/** x where it is above 0, else α (e^x − 1). */
export function elu(self: Tensor, alpha = 1): Tensor {
  return eluOf(self, alpha);
}
/** ELU with the two constants that keep mean 0 and variance 1 (arXiv 1706.02515). */
export const selu: Unary = operator("aten::selu", "self");
const celuOf = operator<[Tensor, number], Tensor>("aten::celu", "self alpha");
/** x where it is above 0, else α (e^(x / α) − 1). */
export function celu(self: Tensor, alpha = 1): Tensor {
  return celuOf(self, alpha);
}
const geluOf = operator<[Tensor, string], Tensor>("aten::gelu", "self approximate");
/** x Φ(x), Φ the normal distribution. @param options.approximate - `tanh`: its approximation; default `none` */
export function gelu(self: Tensor, options: { approximate?: "none" | "tanh" } = {}): Tensor {
  return geluOf(self, options.approximate ?? "none");
}
/** x σ(x), also called swish. */
export const silu: Unary = operator("aten::silu", "self");
/** x tanh(softplus(x)). */
export const mish: Unary = operator("aten::mish", "self");
const softplusOf = operator<[Tensor, number, number], Tensor>("aten::softplus", "self beta threshold");
/** log(1 + e^(βx)) / β; x itself where βx is above `threshold`, default 20. */
export function softplus(self: Tensor, options: { beta?: number; threshold?: number } = {}): Tensor {
  return softplusOf(self, options.beta ?? 1, options.threshold ?? 20);
}
const hardtanhOf = operator<[Tensor, number, number], Tensor>("aten::hardtanh", "self min_val max_val");
/** x cut off at `min` and `max`. */
export function hardtanh(self: Tensor, min = -1, max = 1): Tensor {
  return hardtanhOf(self, min, max);
}
/** x · relu6(x + 3) / 6. */
export const hardswish: Unary = operator("aten::hardswish", "self");
/** relu6(x + 3) / 6. */
export const hardsigmoid: Unary = operator("aten::hardsigmoid", "self");
/** log(σ(x)), computed stably. */
export const logSigmoid: Unary = operator("aten::log_sigmoid", "self");
const gluOf = operator<[Tensor, number], Tensor>("aten::glu", "self dim");
/** a · σ(b), where a and b are the halves of `self` along `dimension`: `[…, 2D, …]` → `[…, D, …]`. */
export function glu(self: Tensor, dimension = -1): Tensor {
  return gluOf(self, dimension);
}
/** Exponentials along `dimension`, scaled to sum 1. */
export const softmax: (self: Tensor, dimension: number) => Tensor = operator("aten::softmax.int", "self dim");
/** log(softmax), computed stably. */
export const logSoftmax: (self: Tensor, dimension: number) => Tensor = operator("aten::log_softmax.int", "self dim");
