// Comparisons, logic and choice, element by element. Shapes broadcast as in PyTorch; results are bool.
import { operator } from "../operator.js";
import type { Tensor } from "../tensor.js";
import { binary } from "./arithmetic.js";

type Binary = (self: Tensor, other: Tensor) => Tensor;
type Unary = (self: Tensor) => Tensor;

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

/** bool: where the value is neither infinite nor NaN. */
export const isfinite: Unary = operator("aten::isfinite", "self");
/** bool: where the value is an infinity. */
export const isinf: Unary = operator("aten::isinf", "self");
/** bool: where the value is NaN. */
export const isnan: Unary = operator("aten::isnan", "self");

/** bool: where 0. */
export const logicalNot: Unary = operator("aten::logical_not", "self");
/** bool: where both are other than 0, broadcast. */
export const logicalAnd: Binary = operator("aten::logical_and", "self other");
/** bool: where one or both are other than 0, broadcast. */
export const logicalOr: Binary = operator("aten::logical_or", "self other");
/** bool: where exactly one is other than 0, broadcast. */
export const logicalXor: Binary = operator("aten::logical_xor", "self other");

/** Every bit the other way round; integers and bool. */
export const bitwiseNot: Unary = operator("aten::bitwise_not", "self");
/** The bits that both have, broadcast; integers and bool. */
export const bitwiseAnd = binary(
  operator("aten::bitwise_and.Tensor", "self other"),
  operator("aten::bitwise_and.Scalar", "self other"),
);
/** The bits that one or both have, broadcast; integers and bool. */
export const bitwiseOr = binary(
  operator("aten::bitwise_or.Tensor", "self other"),
  operator("aten::bitwise_or.Scalar", "self other"),
);
/** The bits that exactly one has, broadcast; integers and bool. */
export const bitwiseXor = binary(
  operator("aten::bitwise_xor.Tensor", "self other"),
  operator("aten::bitwise_xor.Scalar", "self other"),
);

const chooseTensors = operator<[Tensor, Tensor, Tensor], Tensor>("aten::where.self", "condition self other");
const chooseOrNumber = operator<[Tensor, Tensor, number], Tensor>("aten::where.ScalarOther", "condition self other");
const chooseNumberOr = operator<[Tensor, number, Tensor], Tensor>("aten::where.ScalarSelf", "condition self other");
const chooseNumbers = operator<[Tensor, number, number], Tensor>("aten::where.Scalar", "condition self other");
/** `condition ? self : other`, element by element, broadcast. @param condition - bool */
export function where(condition: Tensor, self: Tensor | number, other: Tensor | number): Tensor {
  if (typeof self === "number") {
    return typeof other === "number" ? chooseNumbers(condition, self, other) : chooseNumberOr(condition, self, other);
  }
  return typeof other === "number" ? chooseOrNumber(condition, self, other) : chooseTensors(condition, self, other);
}

/** How far apart two values may be and still count as equal. */
export interface ToleranceOptions {
  /** Allowed |self − other| / |other|; default 1e-5. */
  relative?: number;
  /** Allowed |self − other| beside that; default 1e-8. */
  absolute?: number;
  /** Whether NaN equals NaN; default false. */
  equalNan?: boolean;
}

const closeAll = operator<[Tensor, Tensor, number, number, boolean], boolean>(
  "aten::allclose",
  "self other rtol atol equal_nan",
);
/** Whether |self − other| ≤ absolute + relative · |other| everywhere, broadcast. */
export function allclose(self: Tensor, other: Tensor, options: ToleranceOptions = {}): boolean {
  return closeAll(self, other, options.relative ?? 1e-5, options.absolute ?? 1e-8, options.equalNan ?? false);
}

const closeEach = operator<[Tensor, Tensor, number, number, boolean], Tensor>(
  "aten::isclose",
  "self other rtol atol equal_nan",
);
/** bool: where |self − other| ≤ absolute + relative · |other|, broadcast. */
export function isclose(self: Tensor, other: Tensor, options: ToleranceOptions = {}): Tensor {
  return closeEach(self, other, options.relative ?? 1e-5, options.absolute ?? 1e-8, options.equalNan ?? false);
}

/** Whether shapes and values are the same; NaN equals nothing. @throws TorchError for different element types */
export const equal: (self: Tensor, other: Tensor) => boolean = operator("aten::equal", "self other");
