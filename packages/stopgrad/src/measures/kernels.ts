// Gram matrices of a batch, and their centring, in float64 throughout. float32 would not do: when a class collapses to a
// point, distances within it are a millionth of those between classes, which is where float32 inner products end; and the
// ridge of nHSIC is 1e-5 per sample, which float32 eigenvalues would blur.
import {
  all,
  clamp,
  type DType,
  diagonal,
  eq,
  exp,
  eye,
  isfinite,
  matmul,
  mean,
  mul,
  scope,
  sqrt,
  sub,
  type Tensor,
} from "@stopgrad/torch";
import { MeasureError } from "./measure.js";

/** `[N, …]` as rows `[N, D]`. @throws MeasureError for fewer than `smallest` rows */
export function asRows(values: Tensor, smallest: number): Tensor {
  const [count = 0] = values.shape;
  if (values.dim === 0 || count < smallest || values.numel === 0) {
    throw new MeasureError(
      `expected at least ${smallest} samples along the first dimension, got [${values.shape.join(", ")}]`,
    );
  }
  return values.reshape([count, -1]);
}

/**
 * Squared Euclidean distances of all pairs of rows, float64 `[N, N]`, exactly 0 on the diagonal.
 *
 * From inner products of rows less their mean, which keeps the subtraction ‖u‖² + ‖v‖² − 2u·v stable; what rounding
 * leaves below 0 is set to 0. No array is larger than `[N, D]` or `[N, N]`.
 * @throws MeasureError for NaN, infinity, or numbers too large to be squared
 */
export function squaredDistances(rows: Tensor): Tensor {
  return scope(() => {
    const wide = rows.to("float64");
    const means = mean(wide, [0], { keepDim: true }); // [1, D]
    // A conversion is ours to write over; float64 rows are the caller's own.
    const centred = rows.dtype === "float64" ? sub(rows, means) : wide.sub_(means); // [N, D]
    const products = matmul(centred, centred.t()); // [N, N]
    const norms = diagonal(products); // [N]
    // A number that is not finite leaves no norm finite, so that only N numbers need a look.
    if (all(isfinite(norms)).item() === 0) {
      throw new MeasureError(
        all(isfinite(rows)).item() === 0
          ? `expected finite numbers, got NaN or infinity among [${rows.shape.join(", ")}]`
          : "the numbers are too large: the square of a sample's norm is infinite",
      );
    }
    const distances = products.mul(-2).add_(norms.unsqueeze(0)).add_(norms.unsqueeze(1));
    return clamp(distances, 0);
  });
}

/**
 * The exponent's distance: `squared` is ‖u − v‖², the definition; `plain` is ‖u − v‖, what the released code of
 * arXiv 2402.09050 computes. Every value changes with it.
 */
export type KernelDistance = "squared" | "plain";

/**
 * RBF Gram matrix exp(−‖u − v‖² / (2 s² D)), float64 `[N, N]`: width σ = s √D for D features (arXiv 1908.01580,
 * arXiv 2402.09050).
 */
export function rbfGram(rows: Tensor, sigma: number, distance: KernelDistance): Tensor {
  return scope(() => {
    const squared = squaredDistances(rows);
    const exponent = distance === "squared" ? squared : sqrt(squared);
    return exp(mul(exponent, -1 / (2 * sigma * sigma * rows.size(1))));
  });
}

/**
 * Linear Gram matrix of one-hot labels, float64 `[N, N]`: 1 where the labels agree, whatever numbers name the classes.
 *
 * @param labels - whole numbers `[N]`, of an integer type
 * @throws MeasureError for another shape or type, or fewer than two labels
 */
export function labelGram(labels: Tensor): Tensor {
  const { dtype, shape } = labels;
  if (shape.length !== 1 || !INTEGERS.includes(dtype)) {
    throw new MeasureError(`expected labels [N] of whole numbers, got [${shape.join(", ")}] of ${dtype}`);
  }
  if (shape[0]! < 2) throw new MeasureError(`expected at least 2 labels, got ${shape[0]}`);
  return scope(() => eq(labels.unsqueeze(0), labels.unsqueeze(1)).to("float64"));
}

const INTEGERS: readonly DType[] = ["int64", "int32", "int16", "int8", "uint8"];

/** P G P with P = I − 11ᵀ/N, symmetric to the last bit. */
export function centre(gram: Tensor): Tensor {
  return scope(() => {
    const rowMeans = mean(gram, [1], { keepDim: true }); // [N, 1], also the column means: G is symmetric
    return gram.sub(rowMeans).sub_(rowMeans.t()).add_(mean(gram));
  });
}

/** I of a square matrix's size, type and device. */
export function identityLike(matrix: Tensor): Tensor {
  return eye(matrix.size(0), { dtype: matrix.dtype, device: matrix.device });
}
