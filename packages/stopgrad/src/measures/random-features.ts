// Random Fourier features (Rahimi & Recht 2007): a shift-invariant kernel is the mean of cos(ω · (u − v)) over frequencies
// ω of its own distribution, so that a few drawn frequencies make features whose inner products estimate it without bias.
//
//   rbf, squared distances   exp(−r ‖u − v‖²)    ω normal, deviation √(2 r) in each feature
//   rbf, plain distances     exp(−r ‖u − v‖)     ω multivariate Cauchy: r times normal over one |normal| for each ω
//   laplacian                exp(−r ‖u − v‖₁)    ω Cauchy of scale r in each feature, independent
//   linear                   u · v               no frequencies: a random projection, normal of variance 1
import { cat, clamp, cos, type Generator, mul, rand, randn, scope, sin, type Tensor, tan } from "@stopgrad/torch";
import { sumOverFeatures } from "./blocks.js";
import { type KernelSettings, rateOf, requireFinite } from "./kernels.js";
import { MeasureError } from "./measure.js";

/**
 * Features Φ whose inner products Φ Φᵀ estimate the Gram matrix, for a linear kernel that of rows less their mean: float64
 * `[N, rank]`. The error of an entry falls as 1/√rank, which HSIC's mean over all pairs hides and nHSIC's inverse does not.
 *
 * Frequencies are drawn for 4,096 features at a time on the CPU: the same seed gives the same on every device.
 *
 * @param rows - `[N, D]`
 * @param rank - features, even: a cosine and a sine for each frequency
 * @param median - the median distance, asked only when the width needs it
 * @throws MeasureError for NaN or infinity
 * Time O(N D rank), memory O(N rank + 4096 (rank + chunk)).
 */
export function randomFeatures(
  rows: Tensor,
  settings: KernelSettings,
  { rank, chunk, generator, median }: { rank: number; chunk: number; generator: Generator; median: () => number },
): Tensor {
  return scope(() => {
    const { kernel, distance } = settings;
    const draws = kernel === "linear" ? rank : rank / 2;
    const rate = kernel === "linear" ? 1 : rateOf(rows.size(1), settings, median);
    const projected = sumOverFeatures(
      rows,
      draws,
      chunk,
      (columns) =>
        (kernel === "laplacian" ? cauchy : normal)([columns.size(1), draws], generator).toDevice(rows.device),
      (block, weights) => block.matmul(weights),
    ); // [N, draws]
    requireFinite(projected.sum([1]), rows);
    if (kernel === "linear") return projected.mul_(1 / Math.sqrt(rank));
    if (kernel === "laplacian") projected.mul_(rate);
    else if (distance === "squared") projected.mul_(Math.sqrt(2 * rate));
    else projected.mul_(rate).div_(normal([draws], generator).abs().toDevice(rows.device));
    requireAngles(projected, settings.sigma);
    return mul(cat([cos(projected), sin(projected)], 1), 1 / Math.sqrt(draws));
  });
}

/** @throws MeasureError for angles that have no cosine: samples are infinitely many widths apart */
function requireAngles(angles: Tensor, sigma: number): void {
  if (angles.sum().isfinite().item() !== 0) return;
  throw new MeasureError(`sigma: expected a width that samples are finitely many of apart, got ${sigma}`);
}

const normal = (shape: readonly number[], generator: Generator) => randn(shape, { dtype: "float64", generator });

/** Standard Cauchy numbers, by their quantiles. */
function cauchy(shape: readonly number[], generator: Generator): Tensor {
  return scope(() => {
    const uniform = clamp(rand(shape, { dtype: "float64", generator }), 1e-12, 1 - 1e-12);
    return tan(uniform.sub(0.5).mul_(Math.PI));
  });
}
