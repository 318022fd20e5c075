// 2 × 2 matrices, row by row in four numbers, and their singular values in closed form.

/** Row by row: [w₁₁, w₁₂, w₂₁, w₂₂]. */
export type Matrix2 = Float64Array;

/** ‖W‖²_F. */
export function squaredNorm(matrix: Matrix2): number {
  return matrix.reduce((sum, value) => sum + value * value, 0);
}

/**
 * Singular values of W, the larger first.
 *
 *   σ₁ = (√((w₁₁ + w₂₂)² + (w₂₁ − w₁₂)²) + √((w₁₁ − w₂₂)² + (w₁₂ + w₂₁)²)) / 2    σ₂ = |det W| / σ₁
 *
 * Both roots are sums of squares, and σ₂ comes from the determinant, not from a difference of roots: σ₂/σ₁ is right to
 * about 1e-16, where the usual formulas end at 1e-8. Both are 0 for W = 0.
 */
export function singularValues(matrix: Matrix2): [number, number] {
  const [a, b, c, d] = matrix as unknown as [number, number, number, number];
  const larger = (Math.hypot(a + d, c - b) + Math.hypot(a - d, b + c)) / 2;
  return larger === 0 ? [0, 0] : [larger, Math.abs((a / larger) * d - (b / larger) * c)];
}

/** σ₂/σ₁ in [0, 1]; NaN for W = 0. */
export function singularValueRatio(matrix: Matrix2): number {
  const [larger, smaller] = singularValues(matrix);
  return smaller / larger;
}
