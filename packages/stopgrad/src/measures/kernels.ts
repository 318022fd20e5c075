// Gram matrices of a batch, and their centring, in float64 throughout. float32 would not do: when a class collapses to a
// point, distances within it are a millionth of those between classes, which is where float32 inner products end; and the
// ridge of nHSIC is 1e-5 per sample, which float32 eigenvalues would blur.
import {
  all,
  cdist,
  centredGram,
  clamp,
  type DType,
  diagonal,
  eq,
  exp,
  eye,
  isfinite,
  mean,
  mul,
  scope,
  sqrt,
  type Tensor,
  zeros,
} from "@stopgrad/torch";
import { z } from "zod";
import { MeasureError, type RefusedOption } from "./measure.js";
import { medianDistance } from "./median.js";

/** The values themselves. @throws MeasureError for fewer than `smallest` samples `[N, …]`, or none of a sample's numbers */
export function asSamples(values: Tensor, smallest: number): Tensor {
  const [count = 0] = values.shape;
  if (values.dim === 0 || count < smallest || values.numel === 0) {
    throw new MeasureError(
      `expected at least ${smallest} samples along the first dimension, got [${values.shape.join(", ")}]`,
    );
  }
  return values;
}

/** `[N, …]` as rows `[N, D]`. @throws MeasureError for fewer than `smallest` rows */
export function asRows(values: Tensor, smallest: number): Tensor {
  return asSamples(values, smallest).reshape([values.size(0), -1]);
}

/**
 * Squared Euclidean distances of all pairs of samples `[N, …]`, float64 `[N, N]`, exactly 0 on the diagonal.
 *
 * From inner products of samples less their mean, which keeps the subtraction ‖u‖² + ‖v‖² − 2u·v stable; what rounding
 * leaves below 0 is set to 0. No array is larger than `[N, D]` or `[N, N]`.
 * @throws MeasureError for NaN, infinity, or numbers too large to be squared
 */
export function squaredDistances(samples: Tensor): Tensor {
  return scope(() => {
    const products = centredGram(samples); // [N, N]
    const norms = diagonal(products); // [N]
    requireFinite(norms, samples);
    const distances = products.mul(-2).add_(norms.unsqueeze(0)).add_(norms.unsqueeze(1));
    return clamp(distances, 0);
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

/** The same four options in every measure that has a kernel. What a kernel does not read is refused, but for its default. */
export const kernelOptions = {
  kernel: z.enum(["rbf", "laplacian", "linear"]).default("rbf"),
  sigma: z.number().positive().default(5),
  width: z.enum(["scaled", "median", "fixed"]).default("scaled"),
  distance: z.enum(["squared", "plain"]).default("squared"),
};

/** What each kernel does not read. */
const UNUSED = {
  rbf: [],
  laplacian: ["distance"],
  linear: ["sigma", "width", "distance"],
} as const satisfies Record<Kernel, readonly (keyof KernelSettings)[]>;

/** An option that the kernel does not read and that is not as by default; null where there is none. */
export function unusedKernelOption(settings: KernelSettings): RefusedOption | null {
  const { kernel } = settings;
  const option = UNUSED[kernel].find((name) => settings[name] !== kernelOptions[name].parse(undefined));
  if (option === undefined) return null;
  const others = (Object.keys(UNUSED) as Kernel[]).filter((one) => !UNUSED[one].some((name) => name === option));
  const message = `the ${kernel} kernel does not use it, got ${settings[option]}; leave it out, or use kernel ${others.join(" or ")}`;
  return { option, message };
}

/**
 * Gram matrix of all pairs of samples, float64 `[N, N]`, symmetric.
 *
 * @param samples - `[N, …]` of any numeric type
 * @throws MeasureError for NaN, infinity, numbers too large to be squared, or a median distance of 0 between samples that
 *   are not all the same
 * Time O(N² D); memory O(N D + N²) and for `laplacian` O(N · 4096 + N²). The 1-norm is no matrix product: it is some ten
 * times slower.
 */
export function gramMatrix(samples: Tensor, settings: KernelSettings): Tensor {
  return scope(() => {
    if (settings.kernel === "linear") return linearGram(samples);
    const squared = settings.kernel === "rbf";
    const distances = squared ? squaredDistances(samples) : absoluteDistances(asRows(samples, 1));
    return kernelOf(distances, samples.numel / samples.size(0), settings, () => medianDistance(distances, squared));
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

/**
 * What a kernel multiplies its distance by in the exponent: 1 / (2 w²), or 1 / w for `laplacian`. 0 for a width whose square
 * is infinite: every kernel value is then 1.
 * @throws MeasureError where it is infinite, for so small a width
 */
export function rateOf(features: number, settings: KernelSettings, median: () => number): number {
  const { kernel, sigma, width } = settings;
  const unit = width === "median" ? median() : 1;
  // All samples are the same: every distance is 0, and any rate will do.
  if (unit === 0) return 0;
  const rate = rateAt(features, settings, unit);
  if (Number.isFinite(rate)) return rate;
  const what = kernel === "laplacian" ? "its inverse" : "the inverse of its square";
  const of = width === "median" ? ` times a median distance of ${unit}` : "";
  throw new MeasureError(`sigma: expected a width that is not so small that ${what} is infinite, got ${sigma}${of}`);
}

function rateAt(features: number, { kernel, sigma, width }: KernelSettings, unit: number): number {
  if (kernel === "laplacian") return 1 / (width === "scaled" ? sigma * features : sigma * unit);
  return width === "scaled" ? 1 / (2 * sigma * sigma * features) : 1 / (2 * (sigma * unit) ** 2);
}

/** u · v of samples less their mean, float64 `[N, N]`; exactly 0 where all are the same. */
function linearGram(samples: Tensor): Tensor {
  return scope(() => {
    const products = centredGram(samples);
    requireFinite(diagonal(products), samples);
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
 * @returns 0 where nothing but rounding is left: of samples that are all the same, or all the same but one
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
    return largest(centred) <= ROUNDING * largest(gram) ? centred.zero_() : centred;
  });
}

/** A U-centred matrix without an entry above this share of its Gram matrix's largest is rounding. */
const ROUNDING = 1e-14;

/** The largest absolute value. */
export const largest = (values: Tensor): number => scope(() => values.abs().amax().item());

/** Float64 holds the square of a number of this size, and of its inverse, with some room for a sum. */
const SQUARABLE = 1e150;

/**
 * A Gram matrix's entries are about to be multiplied with each other.
 * @param size - the largest of them
 * @throws MeasureError where float64 does not hold the square, as only inner products of absurd numbers have it
 */
export function requireSquarable(size: number): void {
  if (size === 0 || (size <= SQUARABLE && size >= 1 / SQUARABLE)) return;
  const what = size > 1 ? "large" : "small";
  throw new MeasureError(
    `the numbers are too ${what}: the square of an inner product of ${size.toPrecision(1)} is beyond float64; rescale them`,
  );
}

/** I of a square matrix's size, type and device. */
export function identityLike(matrix: Tensor): Tensor {
  return eye(matrix.size(0), { dtype: matrix.dtype, device: matrix.device });
}
