// Element-wise arithmetic and functions, and the basic matrix products. Shapes broadcast and element types promote as
// in PyTorch; a whole number counts as an integer, so `add(ints, 2)` stays int and `add(ints, 2.5)` is float32.
import { operator } from "../operator.js";
import type { Tensor } from "../tensor.js";

type Binary = (self: Tensor, other: Tensor) => Tensor;
type WithScalar = (self: Tensor, other: number) => Tensor;
type Unary = (self: Tensor) => Tensor;

/** One function for `tensor ∘ tensor` and `tensor ∘ number`. */
export function binary(withTensor: Binary, withScalar: WithScalar): (self: Tensor, other: Tensor | number) => Tensor {
  return (self, other) => (typeof other === "number" ? withScalar(self, other) : withTensor(self, other));
}

/** `self + other`, broadcast. */
export const add = binary(operator("aten::add.Tensor", "self other"), operator("aten::add.Scalar", "self other"));
/** `self − other`, broadcast. */
export const sub = binary(operator("aten::sub.Tensor", "self other"), operator("aten::sub.Scalar", "self other"));
/** `self · other`, element by element, broadcast. */
export const mul = binary(operator("aten::mul.Tensor", "self other"), operator("aten::mul.Scalar", "self other"));
/** `self / other`, true division, broadcast. */
export const div = binary(operator("aten::div.Tensor", "self other"), operator("aten::div.Scalar", "self other"));
/** `self ^ exponent`, broadcast. */
export const pow = binary(
  operator("aten::pow.Tensor_Tensor", "self exponent"),
  operator("aten::pow.Tensor_Scalar", "self exponent"),
);
/** `⌊self / other⌋`, broadcast. @throws TorchError for integers divided by 0 */
export const floorDivide = binary(
  operator("aten::floor_divide", "self other"),
  operator("aten::floor_divide.Scalar", "self other"),
);
/** `self − other · ⌊self / other⌋`: the sign of `other`, as Python's `%`. @throws TorchError for integers over 0 */
export const remainder = binary(
  operator("aten::remainder.Tensor", "self other"),
  operator("aten::remainder.Scalar", "self other"),
);

/** The larger of the two, element by element, broadcast. */
export const maximum: Binary = operator("aten::maximum", "self other");
/** The smaller of the two, element by element, broadcast. */
export const minimum: Binary = operator("aten::minimum", "self other");
/** The angle of the point (other, self) in (−π, π], broadcast. */
export const atan2: Binary = operator("aten::atan2", "self other");

/** `−self`. */
export const neg: Unary = operator("aten::neg", "self");
/** `|self|`. */
export const abs: Unary = operator("aten::abs", "self");
/** −1, 0 or 1. */
export const sign: Unary = operator("aten::sign", "self");
/** `e^self`. */
export const exp: Unary = operator("aten::exp", "self");
/** `e^self − 1`, exact near 0. */
export const expm1: Unary = operator("aten::expm1", "self");
/** Natural logarithm. */
export const log: Unary = operator("aten::log", "self");
/** `log(1 + self)`, exact near 0. */
export const log1p: Unary = operator("aten::log1p", "self");
/** Logarithm to base 2; NaN below 0. */
export const log2: Unary = operator("aten::log2", "self");
/** Logarithm to base 10; NaN below 0. */
export const log10: Unary = operator("aten::log10", "self");
/** `√self`; NaN below 0. */
export const sqrt: Unary = operator("aten::sqrt", "self");
/** `1 / √self`. */
export const rsqrt: Unary = operator("aten::rsqrt", "self");
/** `self²`. */
export const square: Unary = operator("aten::square", "self");
/** `1 / self`. */
export const reciprocal: Unary = operator("aten::reciprocal", "self");
/** Sine of an angle in radians. */
export const sin: Unary = operator("aten::sin", "self");
/** Cosine of an angle in radians. */
export const cos: Unary = operator("aten::cos", "self");
/** Tangent of an angle in radians. */
export const tan: Unary = operator("aten::tan", "self");
/** The angle in [−π/2, π/2] whose sine is `self`; NaN outside [−1, 1]. */
export const asin: Unary = operator("aten::asin", "self");
/** The angle in [0, π] whose cosine is `self`; NaN outside [−1, 1]. */
export const acos: Unary = operator("aten::acos", "self");
/** The angle in (−π/2, π/2) whose tangent is `self`. */
export const atan: Unary = operator("aten::atan", "self");
/** Hyperbolic sine, (e^x − e^−x) / 2. */
export const sinh: Unary = operator("aten::sinh", "self");
/** Hyperbolic cosine, (e^x + e^−x) / 2. */
export const cosh: Unary = operator("aten::cosh", "self");
/** The error function, 2 / √π ∫₀ˢᵉˡᶠ e^(−t²) dt. */
export const erf: Unary = operator("aten::erf", "self");
/** The largest whole number that is not larger. */
export const floor: Unary = operator("aten::floor", "self");
/** The smallest whole number that is not smaller. */
export const ceil: Unary = operator("aten::ceil", "self");
/** The nearest whole number, halves to the even one. */
export const round: Unary = operator("aten::round", "self");
/** The whole number towards 0. */
export const trunc: Unary = operator("aten::trunc", "self");

const clampBetween = operator<[Tensor, number | null, number | null], Tensor>("aten::clamp", "self min max");
/** Values below `min` become `min`, above `max` become `max`; null leaves that side open. */
export function clamp(self: Tensor, min: number | null, max: number | null = null): Tensor {
  return clampBetween(self, min, max);
}

const lerpScalar = operator<[Tensor, Tensor, number], Tensor>("aten::lerp.Scalar", "self end weight");
const lerpTensor = operator<[Tensor, Tensor, Tensor], Tensor>("aten::lerp.Tensor", "self end weight");
/** `self + weight · (end − self)`, broadcast. */
export function lerp(self: Tensor, end: Tensor, weight: Tensor | number): Tensor {
  return typeof weight === "number" ? lerpScalar(self, end, weight) : lerpTensor(self, end, weight);
}

const multiplyAdd = operator<[Tensor, Tensor, Tensor, number], Tensor>("aten::addcmul", "self tensor1 tensor2 value");
/** `self + value · a · b`, element by element, broadcast. */
export function addcmul(self: Tensor, a: Tensor, b: Tensor, value = 1): Tensor {
  return multiplyAdd(self, a, b, value);
}

const divideAdd = operator<[Tensor, Tensor, Tensor, number], Tensor>("aten::addcdiv", "self tensor1 tensor2 value");
/** `self + value · a / b`, element by element, broadcast. */
export function addcdiv(self: Tensor, a: Tensor, b: Tensor, value = 1): Tensor {
  return divideAdd(self, a, b, value);
}

const replaceNan = operator<[Tensor, number, number | null, number | null], Tensor>(
  "aten::nan_to_num",
  "self nan posinf neginf",
);
/** NaN and the infinities replaced; default 0 and the type's largest and smallest finite numbers. */
export function nanToNum(
  self: Tensor,
  options: { nan?: number; positiveInfinity?: number; negativeInfinity?: number } = {},
): Tensor {
  return replaceNan(self, options.nan ?? 0, options.positiveInfinity ?? null, options.negativeInfinity ?? null);
}

/** Matrix product: `[…, n, k]` and `[…, k, m]` → `[…, n, m]`, as `torch.matmul`. */
export const matmul: Binary = operator("aten::matmul", "self other");

const addmmScaled = operator<[Tensor, Tensor, Tensor, number, number], Tensor>(
  "aten::addmm",
  "self mat1 mat2 beta alpha",
);
/** `beta · self + alpha · a b`: `self` broadcast to `[n, m]`, `a` `[n, k]`, `b` `[k, m]`. */
export function addmm(self: Tensor, a: Tensor, b: Tensor, options: { beta?: number; alpha?: number } = {}): Tensor {
  return addmmScaled(self, a, b, options.beta ?? 1, options.alpha ?? 1);
}
