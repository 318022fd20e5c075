// Operators that change their first argument and return it. What they write to must not be needed for a gradient, and
// a leaf that requires gradients is changed inside `noGrad` only; libtorch refuses both. On a view they change the
// tensor it looks at.
import { operator } from "../operator.js";
import type { Tensor } from "../tensor.js";

/** The operator answers with a second handle to `self`: give it back at once. */
function inPlace(self: Tensor, answer: Tensor): Tensor {
  answer.dispose();
  return self;
}

function unary(name: string): (self: Tensor) => Tensor {
  const call = operator<[Tensor], Tensor>(name, "self");
  return (self) => inPlace(self, call(self));
}

const addTensor = operator<[Tensor, Tensor, number?], Tensor>("aten::add_.Tensor", "self other alpha");
const addScalar = operator<[Tensor, number], Tensor>("aten::add_.Scalar", "self other");
/** `self += alpha · other`. */
export function add_(self: Tensor, other: Tensor | number, alpha = 1): Tensor {
  return inPlace(self, typeof other === "number" ? addScalar(self, alpha * other) : addTensor(self, other, alpha));
}

const subTensor = operator<[Tensor, Tensor, number?], Tensor>("aten::sub_.Tensor", "self other alpha");
const subScalar = operator<[Tensor, number], Tensor>("aten::sub_.Scalar", "self other");
/** `self −= alpha · other`. */
export function sub_(self: Tensor, other: Tensor | number, alpha = 1): Tensor {
  return inPlace(self, typeof other === "number" ? subScalar(self, alpha * other) : subTensor(self, other, alpha));
}

const mulTensor = operator<[Tensor, Tensor], Tensor>("aten::mul_.Tensor", "self other");
const mulScalar = operator<[Tensor, number], Tensor>("aten::mul_.Scalar", "self other");
/** `self ·= other`. */
export function mul_(self: Tensor, other: Tensor | number): Tensor {
  return inPlace(self, typeof other === "number" ? mulScalar(self, other) : mulTensor(self, other));
}

const divTensor = operator<[Tensor, Tensor], Tensor>("aten::div_.Tensor", "self other");
const divScalar = operator<[Tensor, number], Tensor>("aten::div_.Scalar", "self other");
/** `self /= other`. */
export function div_(self: Tensor, other: Tensor | number): Tensor {
  return inPlace(self, typeof other === "number" ? divScalar(self, other) : divTensor(self, other));
}

const powTensor = operator<[Tensor, Tensor], Tensor>("aten::pow_.Tensor", "self exponent");
const powScalar = operator<[Tensor, number], Tensor>("aten::pow_.Scalar", "self exponent");
/** `self ← self ^ exponent`. */
export function pow_(self: Tensor, exponent: Tensor | number): Tensor {
  return inPlace(self, typeof exponent === "number" ? powScalar(self, exponent) : powTensor(self, exponent));
}

const multiplyAdd = operator<[Tensor, Tensor, Tensor, number], Tensor>("aten::addcmul_", "self tensor1 tensor2 value");
/** `self += value · a · b`. */
export function addcmul_(self: Tensor, a: Tensor, b: Tensor, value = 1): Tensor {
  return inPlace(self, multiplyAdd(self, a, b, value));
}

const divideAdd = operator<[Tensor, Tensor, Tensor, number], Tensor>("aten::addcdiv_", "self tensor1 tensor2 value");
/** `self += value · a / b`. */
export function addcdiv_(self: Tensor, a: Tensor, b: Tensor, value = 1): Tensor {
  return inPlace(self, divideAdd(self, a, b, value));
}

const lerpTensor = operator<[Tensor, Tensor, Tensor], Tensor>("aten::lerp_.Tensor", "self end weight");
const lerpScalar = operator<[Tensor, Tensor, number], Tensor>("aten::lerp_.Scalar", "self end weight");
/** `self += weight · (end − self)`: a moving average, for one. */
export function lerp_(self: Tensor, end: Tensor, weight: Tensor | number): Tensor {
  return inPlace(self, typeof weight === "number" ? lerpScalar(self, end, weight) : lerpTensor(self, end, weight));
}

const clampBetween = operator<[Tensor, number | null, number | null], Tensor>("aten::clamp_", "self min max");
/** Values below `min` become `min`, above `max` become `max`; null leaves that side open. */
export function clamp_(self: Tensor, min: number | null, max: number | null = null): Tensor {
  return inPlace(self, clampBetween(self, min, max));
}

/** `self ← −self`. */
export const neg_ = unary("aten::neg_");
/** `self ← |self|`. */
export const abs_ = unary("aten::abs_");
/** `self ← e^self`. */
export const exp_ = unary("aten::exp_");
/** `self ← log(self)`. */
export const log_ = unary("aten::log_");
/** `self ← √self`. */
export const sqrt_ = unary("aten::sqrt_");
/** `self ← 1 / self`. */
export const reciprocal_ = unary("aten::reciprocal_");

const copyFrom = operator<[Tensor, Tensor], Tensor>("aten::copy_", "self src");
/** `self ← source`, converted to self's element type and device, and broadcast. */
export function copy_(self: Tensor, source: Tensor): Tensor {
  return inPlace(self, copyFrom(self, source));
}

const fillScalar = operator<[Tensor, number], Tensor>("aten::fill_.Scalar", "self value");
const fillTensor = operator<[Tensor, Tensor], Tensor>("aten::fill_.Tensor", "self value");
/**
 * Every element becomes `value`, a number or a tensor of no dimensions.
 * @throws TorchError for a number beyond the element type; in uint8 a negative one counts from 256, as in PyTorch
 */
export function fill_(self: Tensor, value: Tensor | number): Tensor {
  return inPlace(self, typeof value === "number" ? fillScalar(self, value) : fillTensor(self, value));
}

/** Every element becomes 0. */
export const zero_ = unary("aten::zero_");
