// Singular values of 2 × 2 matrices.
import { describe, expect, it } from "vitest";
import { singularValueRatio, singularValues, squaredNorm } from "../../src/toy/matrix.js";

const matrix = (...values: number[]) => Float64Array.from(values);

/** R(a) diag(large, small) R(b): singular values by construction. */
function built(large: number, small: number, a: number, b: number) {
  const [ca, sa, cb, sb] = [Math.cos(a), Math.sin(a), Math.cos(b), Math.sin(b)];
  return matrix(
    large * ca * cb - small * sa * sb,
    -large * ca * sb - small * sa * cb,
    large * sa * cb + small * ca * sb,
    -large * sa * sb + small * ca * cb,
  );
}

describe("singularValues", () => {
  it("are those a matrix is built from, also the second of nearly singular ones", () => {
    for (const small of [1.5, 0.3, 1e-6]) {
      const [s1, s2] = singularValues(built(2, small, 0.7, -1.9));
      expect(s1).toBeCloseTo(2, 13);
      expect(Math.abs(s2 / small - 1)).toBeLessThan(1e-9);
    }
    expect(singularValueRatio(matrix(1, 0, 0, 1e-18))).toBe(1e-18);
  });

  it("follow tr WᵀW and |det W|", () => {
    const w = matrix(0.3, -1.2, 2.5, 0.4);
    const [s1, s2] = singularValues(w);
    expect(s1 * s1 + s2 * s2).toBeCloseTo(squaredNorm(w), 12);
    expect(s1 * s2).toBeCloseTo(0.3 * 0.4 + 1.2 * 2.5, 12);
  });

  it("take rank one, zero and tiny matrices", () => {
    expect(singularValues(matrix(3, 0, 4, 0))).toEqual([5, 0]);
    expect(singularValues(matrix(0, 0, 0, 0))).toEqual([0, 0]);
    expect(singularValueRatio(matrix(0, 0, 0, 0))).toBeNaN();
    expect(singularValueRatio(matrix(2e-200, 0, 0, 1e-200))).toBeCloseTo(0.5, 12);
  });
});
