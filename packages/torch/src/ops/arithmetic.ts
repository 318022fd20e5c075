// Element-wise arithmetic, comparison and matrix products. Shapes broadcast as in PyTorch.
import { operator } from "../operator.js";
import type { Tensor } from "../tensor.js";

type Binary = (self: Tensor, other: Tensor) => Tensor;
type WithScalar = (self: Tensor, other: number) => Tensor;
type Unary = (self: Tensor) => Tensor;

/** One function for `tensor ∘ tensor` and `tensor ∘ number`. */
function binary(withTensor: Binary, withScalar: WithScalar): (self: Tensor, other: Tensor | number) => Tensor {
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

/** bool: where equal, broadcast. */
export const eq = binary(operator("aten::eq.Tensor", "self other"), operator("aten::eq.Scalar", "self other"));
/** bool: where different, broadcast. */
export const ne = binary(operator("aten::ne.Tensor", "self other"), operator("aten::ne.Scalar", "self other"));
/** bool: where `self < other`, broadcast. */
export const lt = binary(operator("aten::lt.Tensor", "self other"), operator("aten::lt.Scalar", "self other"));
/** bool: where `self ≤ other`, broadcast. */
export const le = binary(operator("aten::le.Tensor", "self other"), operator("aten::le.Scalar", "self other"));
/** bool: where `self > other`, broadcast. */
export const gt = binary(operator("aten::gt.Tensor", "self other"), operator("aten::gt.Scalar", "self other"));
/** bool: where `self ≥ other`, broadcast. */
export const ge = binary(operator("aten::ge.Tensor", "self other"), operator("aten::ge.Scalar", "self other"));

/** The larger of the two, element by element, broadcast. */
export const maximum: Binary = operator("aten::maximum", "self other");
/** The smaller of the two, element by element, broadcast. */
export const minimum: Binary = operator("aten::minimum", "self other");

/** `condition ? self : other`, element by element, broadcast. @param condition - bool */
export const where: (condition: Tensor, self: Tensor, other: Tensor) => Tensor = operator(
  "aten::where.self",
  "condition self other",
);

export const neg: Unary = operator("aten::neg", "self");
export const abs: Unary = operator("aten::abs", "self");
export const exp: Unary = operator("aten::exp", "self");
/** Natural logarithm. */
export const log: Unary = operator("aten::log", "self");
export const sqrt: Unary = operator("aten::sqrt", "self");
/** `self²`. */
export const square: Unary = operator("aten::square", "self");
/** bool: where the value is neither infinite nor NaN. */
export const isfinite: Unary = operator("aten::isfinite", "self");
export const logicalNot: Unary = operator("aten::logical_not", "self");

const clampBetween = operator<[Tensor, number | null, number | null], Tensor>("aten::clamp", "self min max");
/** Values below `min` become `min`, above `max` become `max`; null leaves that side open. */
export function clamp(self: Tensor, min: number | null, max: number | null = null): Tensor {
  return clampBetween(self, min, max);
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

// In place: the first argument is changed and returned.

const addTensor_ = operator<[Tensor, Tensor, number?], Tensor>("aten::add_.Tensor", "self other alpha");
const addScalar_ = operator<[Tensor, number], Tensor>("aten::add_.Scalar", "self other");
const subTensor_ = operator<[Tensor, Tensor], Tensor>("aten::sub_.Tensor", "self other");
const subScalar_ = operator<[Tensor, number], Tensor>("aten::sub_.Scalar", "self other");
const mulTensor_ = operator<[Tensor, Tensor], Tensor>("aten::mul_.Tensor", "self other");
const mulScalar_ = operator<[Tensor, number], Tensor>("aten::mul_.Scalar", "self other");
const divTensor_ = operator<[Tensor, Tensor], Tensor>("aten::div_.Tensor", "self other");
const divScalar_ = operator<[Tensor, number], Tensor>("aten::div_.Scalar", "self other");
const copyFrom_ = operator<[Tensor, Tensor], Tensor>("aten::copy_", "self src");
const fillScalar_ = operator<[Tensor, number], Tensor>("aten::fill_.Scalar", "self value");
const setZero_ = operator<[Tensor], Tensor>("aten::zero_", "self");

/** The operator answers with a second handle to `self`: give it back at once. */
function inPlace(self: Tensor, answer: Tensor): Tensor {
  answer.dispose();
  return self;
}

/** `self += alpha · other`. */
export function add_(self: Tensor, other: Tensor | number, alpha = 1): Tensor {
  return inPlace(self, typeof other === "number" ? addScalar_(self, alpha * other) : addTensor_(self, other, alpha));
}
/** `self −= other`. */
export function sub_(self: Tensor, other: Tensor | number): Tensor {
  return inPlace(self, typeof other === "number" ? subScalar_(self, other) : subTensor_(self, other));
}
/** `self ·= other`. */
export function mul_(self: Tensor, other: Tensor | number): Tensor {
  return inPlace(self, typeof other === "number" ? mulScalar_(self, other) : mulTensor_(self, other));
}
/** `self /= other`. */
export function div_(self: Tensor, other: Tensor | number): Tensor {
  return inPlace(self, typeof other === "number" ? divScalar_(self, other) : divTensor_(self, other));
}
/** `self ← source`, converted to self's element type and broadcast. */
export function copy_(self: Tensor, source: Tensor): Tensor {
  return inPlace(self, copyFrom_(self, source));
}
/** Every element becomes `value`. */
export function fill_(self: Tensor, value: number): Tensor {
  return inPlace(self, fillScalar_(self, value));
}
/** Every element becomes 0. */
export function zero_(self: Tensor): Tensor {
  return inPlace(self, setZero_(self));
}
