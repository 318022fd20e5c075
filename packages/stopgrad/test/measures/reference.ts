// The measures as the papers' code writes them, in plain TypeScript and float64: all pairs of differences, centring on
// one side (K H), an explicit inverse, the trace of a product. Slow and direct, to check the fast symmetric form.

export type Matrix = number[][];

const matrix = (n: number, entry: (i: number, j: number) => number): Matrix =>
  Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => entry(i, j)));

export function product(a: Matrix, b: Matrix): Matrix {
  return matrix(a.length, (i, j) => a[i]!.reduce((sum, value, k) => sum + value * b[k]![j]!, 0));
}

const trace = (a: Matrix) => a.reduce((sum, row, i) => sum + row[i]!, 0);

/** exp(−‖u − v‖² / (2 s² D)), or with ‖u − v‖ for `plain`. */
export function rbf(rows: Matrix, options: { sigma?: number; distance?: "squared" | "plain" } = {}): Matrix {
  const { sigma = 5, distance = "squared" } = options;
  return matrix(rows.length, (i, j) => {
    let squared = 0;
    for (const [d, value] of rows[i]!.entries()) squared += (value - rows[j]![d]!) ** 2;
    return Math.exp(-(distance === "squared" ? squared : Math.sqrt(squared)) / (2 * sigma ** 2 * rows[i]!.length));
  });
}

/** 1 where labels agree: the linear kernel of one-hot vectors. */
export const sameLabel = (labels: readonly number[]): Matrix =>
  matrix(labels.length, (i, j) => (labels[i] === labels[j] ? 1 : 0));

/** K H with H = I − 11ᵀ / m. */
export function centreOneSide(gram: Matrix): Matrix {
  const m = gram.length;
  return product(
    gram,
    matrix(m, (i, j) => (i === j ? 1 : 0) - 1 / m),
  );
}

/** Gauss-Jordan elimination with partial pivoting. */
export function inverse(a: Matrix): Matrix {
  const m = a.length;
  const rows = a.map((row, i) => [...row, ...Array.from({ length: m }, (_, j) => (i === j ? 1 : 0))]);
  for (let column = 0; column < m; column++) {
    let pivot = column;
    for (let i = column; i < m; i++) if (Math.abs(rows[i]![column]!) > Math.abs(rows[pivot]![column]!)) pivot = i;
    [rows[column], rows[pivot]] = [rows[pivot]!, rows[column]!];
    const lead = rows[column]!;
    const scale = 1 / lead[column]!;
    for (let j = 0; j < 2 * m; j++) lead[j]! *= scale;
    for (const [i, row] of rows.entries()) {
      const factor = row[column]!;
      if (i === column || factor === 0) continue;
      for (let j = 0; j < 2 * m; j++) row[j]! -= factor * lead[j]!;
    }
  }
  return rows.map((row) => row.slice(m));
}

/** tr(K H (K H + ε m I)⁻¹ L H (L H + ε m I)⁻¹). */
export function nhsicOf(k: Matrix, l: Matrix, epsilon = 1e-5): number {
  const normalised = (gram: Matrix) => {
    const centred = centreOneSide(gram);
    const ridged = centred.map((row, i) => row.map((value, j) => value + (i === j ? epsilon * gram.length : 0)));
    return product(centred, inverse(ridged));
  };
  return trace(product(normalised(k), normalised(l)));
}

/** tr(K H L H) / (m − 1)², or / m² for the V-statistic. */
export function hsicOf(k: Matrix, l: Matrix, estimator: "biased" | "v-statistic" = "biased"): number {
  const divisor = estimator === "biased" ? (k.length - 1) ** 2 : k.length ** 2;
  return trace(product(centreOneSide(k), centreOneSide(l))) / divisor;
}
