// Gram matrices of a batch, and their centring, in float64 throughout. float32 would not do: when a class collapses to a
// point, distances within it are a millionth of those between classes, which is where float32 inner products end; and the
// ridge of nHSIC is 1e-5 per sample, which float32 eigenvalues would blur.
import {
  all,
  cdist,
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
  zeros,
} from "@stopgrad/torch";
import { z } from "zod";
import { MeasureError } from "./measure.js";
import { medianDistance } from "./median.js";

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
    const products = ownProducts(centred); // [N, N]
    const norms = diagonal(products); // [N]
    requireFinite(norms, rows);
    const distances = products.mul(-2).add_(norms.unsqueeze(0)).add_(norms.unsqueeze(1));
    return clamp(distances, 0);
  });
}

/** Numbers below which one product is quicker than two. */
const LARGE = 2 ** 18;

/**
 * Inner products of all pairs of rows, `[N, N]`. Those of the second half of the rows with the first are those of the first
 * with the second, which saves a quarter of a large product.
 */
function ownProducts(rows: Tensor): Tensor {
  const count = rows.size(0);
  // A multiple of the BLAS's tiles, so that sums are taken in the order of one product (but for an odd count's last rows).
  const half = 32 * Math.round(count / 64);
  if (rows.numel < LARGE || half === 0 || rows.device !== "cpu") return matmul(rows, rows.t());
  return scope(() => {
    const late = rows.narrow(0, half, count - half);
    const products = zeros([count, count], { dtype: rows.dtype });
    products.narrow(0, 0, half).copy_(matmul(rows.narrow(0, 0, half), rows.t()));
    const below = products.narrow(0, half, count - half); // [N − half, N]
    below.narrow(1, 0, half).copy_(
      products
        .narrow(0, 0, half)
        .narrow(1, half, count - half)
        .t(),
    );
    below.narrow(1, half, count - half).copy_(matmul(late, late.t()));
    return products;
  });
}

/**
 * A number that is not finite leaves no norm finite, so that only N numbers need a look.
 * @throws MeasureError saying whether the rows or their squares are not finite
 */
export function requireFinite(norms: Tensor, rows: Tensor): void {
  if (all(isfinite(norms)).item() !== 0) return;
  throw new MeasureError(
    all(isfinite(rows)).item() === 0
      ? `expected finite numbers, got NaN or infinity among [${rows.shape.join(", ")}]`
      : "the numbers are too large: the square of a sample's norm is infinite",
  );
}

/**
 * What two representations are compared by:
 *
 *   rbf        exp(−‖u − v‖² / (2 w²)), or with ‖u − v‖ where the distance is `plain`
 *   laplacian  exp(−‖u − v‖₁ / w), the 1-norm, as the kernel of that name in scikit-learn
 *   linear     u · v, of rows less their mean; it reads neither width nor distance
 */
export type Kernel = "rbf" | "laplacian" | "linear";

/**
 * How the width w comes from `sigma`, called s here, for D features:
 *
 *   scaled  s √D for rbf (arXiv 1908.01580, arXiv 2402.09050), s D for laplacian, whose distances grow with D
 *   median  s times the median distance between two of the samples (median.ts): no unit left, whatever the data's scale
 *   fixed   s itself
 */
export type KernelWidth = "scaled" | "median" | "fixed";

/**
 * The exponent's distance in an RBF kernel: `squared` is ‖u − v‖², the definition; `plain` is ‖u − v‖, what the released
 * code of arXiv 2402.09050 computes. Every value changes with it.
 */
export type KernelDistance = "squared" | "plain";

export interface KernelSettings {
  readonly kernel: Kernel;
  /** s above, no unit; of the data's unit where the width is `fixed`. */
  readonly sigma: number;
  readonly width: KernelWidth;
  readonly distance: KernelDistance;
}

/** The same four options in every measure that has a kernel. */
export const kernelOptions = {
  kernel: z.enum(["rbf", "laplacian", "linear"]).default("rbf"),
  sigma: z.number().positive().default(5),
  width: z.enum(["scaled", "median", "fixed"]).default("scaled"),
  distance: z.enum(["squared", "plain"]).default("squared"),
};

/**
 * Gram matrix of all pairs of rows, float64 `[N, N]`, symmetric.
 *
 * @param rows - `[N, D]` of any numeric type
 * @throws MeasureError for NaN, infinity, numbers too large to be squared, or a median distance of 0 between samples that
 *   are not all the same
 * Time O(N² D); memory O(N D + N²) and for `laplacian` O(N · 4096 + N²). The 1-norm is no matrix product: it is some ten
 * times slower.
 */
export function gramMatrix(rows: Tensor, settings: KernelSettings): Tensor {
  return scope(() => {
    if (settings.kernel === "linear") return linearGram(rows);
    const distances = settings.kernel === "rbf" ? squaredDistances(rows) : absoluteDistances(rows);
    return kernelOf(distances, rows.size(1), settings, () => medianDistance(distances, settings.kernel === "rbf"));
  });
}

/**
 * Kernel values of distances, ‖u − v‖² for `rbf` and ‖u − v‖₁ for `laplacian`.
 * @param median - asked for the median distance, 0 where all samples are the same, only when the width needs it
 */
export function kernelOf(distances: Tensor, features: number, settings: KernelSettings, median: () => number): Tensor {
  const rate = rateOf(features, settings, median);
  return scope(() => {
    const plain = settings.kernel === "rbf" && settings.distance === "plain";
    return exp(mul(plain ? sqrt(distances) : distances, -rate));
  });
}

/** What a kernel multiplies its distance by in the exponent: 1 / (2 w²), or 1 / w for `laplacian`. */
export function rateOf(features: number, { kernel, sigma, width }: KernelSettings, median: () => number): number {
  const unit = width === "median" ? median() : 1;
  // All samples are the same: every distance is 0, and any rate will do.
  if (unit === 0) return 0;
  if (kernel === "laplacian") return 1 / (width === "scaled" ? sigma * features : sigma * unit);
  return width === "scaled" ? 1 / (2 * sigma * sigma * features) : 1 / (2 * (sigma * unit) ** 2);
}

/** u · v of rows less their mean, float64 `[N, N]`; exactly 0 where all rows are the same. */
function linearGram(rows: Tensor): Tensor {
  return scope(() => {
    // Less the first row first, so that equal rows leave no rounding error of their mean.
    const wide = rows.to("float64");
    const moved = wide.sub(wide.narrow(0, 0, 1)); // [N, D]
    moved.sub_(mean(moved, [0], { keepDim: true }));
    const products = ownProducts(moved);
    requireFinite(diagonal(products), rows);
    return products;
  });
}

/** Features of a block that the 1-norm takes at a time, so that its float64 copy stays small. */
const BLOCK = 4096;

/** ‖u − v‖₁ of all pairs of rows, float64 `[N, N]`. @throws MeasureError for NaN or infinity */
function absoluteDistances(rows: Tensor): Tensor {
  return scope(() => {
    const [count, features] = [rows.size(0), rows.size(1)];
    const total = zeros([count, count], { dtype: "float64", device: rows.device });
    for (let from = 0; from < features; from += BLOCK) {
      scope(() => {
        const block = rows
          .narrow(1, from, Math.min(BLOCK, features - from))
          .to("float64")
          .contiguous();
        total.add_(cdist(block, block, { p: 1 }));
      });
    }
    requireFinite(diagonal(total), rows); // ∞ − ∞ is not finite
    return total;
  });
}

/**
 * Linear Gram matrix of one-hot labels, float64 `[N, N]`: 1 where the labels agree, whatever numbers name the classes.
 *
 * @param labels - whole numbers `[N]`, of an integer type
 * @throws MeasureError for another shape or type, or fewer than two labels
 */
export function labelGram(labels: Tensor): Tensor {
  requireLabels(labels);
  return scope(() => eq(labels.unsqueeze(0), labels.unsqueeze(1)).to("float64"));
}

/** @throws MeasureError for another shape or type than labels have, or fewer than two labels */
export function requireLabels({ dtype, shape }: Tensor): void {
  if (shape.length !== 1 || !INTEGERS.includes(dtype)) {
    throw new MeasureError(`expected labels [N] of whole numbers, got [${shape.join(", ")}] of ${dtype}`);
  }
  if (shape[0]! < 2) throw new MeasureError(`expected at least 2 labels, got ${shape[0]}`);
}

const INTEGERS: readonly DType[] = ["int64", "int32", "int16", "int8", "uint8"];

/** P G P with P = I − 11ᵀ/N, symmetric to the last bit. */
export function centre(gram: Tensor): Tensor {
  return scope(() => {
    const rowMeans = mean(gram, [1], { keepDim: true }); // [N, 1], also the column means: G is symmetric
    return gram.sub(rowMeans).sub_(rowMeans.t()).add_(mean(gram));
  });
}

/**
 * U-centring (Székely & Rizzo 2014): the matrix whose sum of products with another such one, over m (m − 3), is the
 * unbiased estimate of HSIC (Song et al. 2012). The diagonal is 0, and so is the sum of each row.
 *
 * From C = P G P, whose rows sum to 0: C_ij + (C_ii + C_jj) / (m − 2) − tr C / ((m − 1)(m − 2)) for i ≠ j.
 * @param gram - `[m, m]`, symmetric
 * @throws MeasureError for fewer than 4 samples
 */
export function uCentre(gram: Tensor): Tensor {
  const count = gram.size(0);
  if (count < 4) throw new MeasureError(`the unbiased estimate needs at least 4 samples, got ${count}`);
  return scope(() => {
    const centred = centre(gram);
    const own = diagonal(centred).div(count - 2); // [m]
    const rest = own.sum().div(count - 1);
    centred.add_(own.unsqueeze(0)).add_(own.unsqueeze(1)).sub_(rest);
    diagonal(centred).fill_(0);
    return centred;
  });
}

/** I of a square matrix's size, type and device. */
export function identityLike(matrix: Tensor): Tensor {
  return eye(matrix.size(0), { dtype: matrix.dtype, device: matrix.device });
}
