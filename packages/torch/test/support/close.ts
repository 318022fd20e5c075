// Comparing tensors, with every tolerance said.
import type { Tensor } from "../../src/index.js";
import { type Encoded, valuesOf } from "./fixtures.js";

export interface Tolerance {
  /** Largest |actual − expected| / |expected|. */
  relative: number;
  /** Largest |actual − expected| beside that. */
  absolute: number;
}

/** The same bits. */
export const exact: Tolerance = { relative: 0, absolute: 0 };

/** What another order of summation may change in a short sum. */
export function rounding(dtype: string): Tolerance {
  if (dtype === "float64") return { relative: 1e-12, absolute: 1e-14 };
  return dtype === "float32" ? { relative: 2e-6, absolute: 5e-7 } : exact;
}

/**
 * Whether each pair is within `tolerance`; NaN equals NaN and an infinity itself, and with no tolerance −0 is not 0.
 * @throws Error naming the first pair that is not
 */
export function allClose(
  actual: readonly number[],
  expected: readonly number[],
  tolerance: Tolerance,
  what = "values",
): void {
  if (actual.length !== expected.length) {
    throw new Error(`${what}: expected ${expected.length} numbers, got ${actual.length}`);
  }
  for (const [i, want] of expected.entries()) {
    const got = actual[i]!;
    if (Object.is(got, want)) continue;
    const error = Math.abs(got - want);
    const both0 = tolerance !== exact && got === want;
    if (both0 || (Number.isFinite(want) && error <= tolerance.absolute + tolerance.relative * Math.abs(want))) {
      if (tolerance !== exact) continue;
    }
    throw new Error(`${what}: expected ${want} at ${i}, got ${got} (off by ${error})`);
  }
}

/** Type, shape and values of a tensor against recorded ones; integers and booleans always exactly. */
export function expectTensor(
  actual: Tensor,
  expected: Encoded,
  tolerance: Tolerance = rounding(expected.t),
  what = "tensor",
): void {
  const [gotForm, wantForm] = [
    `${actual.dtype}[${actual.shape.join(", ")}]`,
    `${expected.t}[${expected.s.join(", ")}]`,
  ];
  if (gotForm !== wantForm) throw new Error(`${what}: expected ${wantForm}, got ${gotForm}`);
  allClose(actual.toNumbers(), valuesOf(expected), expected.t.startsWith("float") ? tolerance : exact, what);
}

/** As `expectTensor`, of a list of tensors too; a number or boolean must be the same. */
export function expectResult(
  actual: unknown,
  expected: Encoded | readonly Encoded[] | number | boolean,
  tolerance?: Tolerance,
  what = "result",
): void {
  if (typeof expected !== "object") {
    if (actual !== expected) throw new Error(`${what}: expected ${expected}, got ${String(actual)}`);
  } else if ("t" in expected) {
    expectTensor(actual as Tensor, expected, tolerance, what);
  } else {
    const list = actual as readonly Tensor[];
    if (list.length !== expected.length) {
      throw new Error(`${what}: expected ${expected.length} tensors, got ${list.length}`);
    }
    for (const [i, item] of expected.entries()) expectTensor(list[i]!, item, tolerance, `${what}[${i}]`);
  }
}
