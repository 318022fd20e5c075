// The Nyström approximation (Williams & Seeger 2001): a Gram matrix seen through a few of its samples, the landmarks,
// K ≈ K_NL K_LL⁺ K_LN, which is never larger than K. Any kernel; exact where the landmarks span what the samples do.
import {
  cat,
  cdist,
  clamp,
  type Generator,
  linalgEigh,
  randperm,
  rsqrt,
  scope,
  type Tensor,
  zeros,
} from "@stopgrad/torch";
import { ROWS, sumOverFeatures } from "./blocks.js";
import { type Kernel, type KernelSettings, kernelOf, requireFinite } from "./kernels.js";
import { medianDistance } from "./median.js";

/** Directions of the landmarks' Gram matrix with less than this share of its largest eigenvalue are rounding. */
const SMALLEST_EIGENVALUE = 1e-12;

/** Samples among which the median distance is looked for. */
const MEDIAN_SAMPLES = 1000;

/** `count` different places below `total`, int64, drawn on the CPU, on the device of the rows. */
export function drawPlaces(rows: Tensor, count: number, generator: Generator): Tensor {
  return scope(() => {
    const places = randperm(rows.size(0), { generator }).narrow(0, 0, count);
    return places.sort()[0].toDevice(rows.device);
  });
}

/**
 * Features Φ with K ≈ Φ Φᵀ, float64 `[N, r]`, r at most the landmarks.
 *
 * @param rows - `[N, D]`
 * @param landmarks - places in the rows, int64 `[L]`
 * @param median - the median distance, asked only when the width needs it
 * @throws MeasureError for NaN, infinity or numbers too large to be squared
 * Time O(N D L + N L² + L³), memory O(N L + 4096 (L + chunk)).
 */
export function nystromFeatures(
  rows: Tensor,
  settings: KernelSettings,
  { landmarks, chunk = ROWS, median }: { landmarks: Tensor; chunk?: number; median: () => number },
): Tensor {
  return scope(() => {
    const similarities =
      settings.kernel === "linear"
        ? products(rows, landmarks, chunk)
        : kernelOf(distancesTo(rows, landmarks, settings.kernel, chunk), rows.size(1), settings, median); // [N, L]
    const among = similarities.indexSelect(0, landmarks); // [L, L]
    const [values, vectors] = linalgEigh(among.add(among.t()).mul_(0.5));
    const largest = Math.max(values.select(0, -1).item(), 0);
    // Equal samples under a linear kernel: there is no direction.
    if (largest === 0) return zeros([rows.size(0), 1], { dtype: "float64", device: rows.device });
    const kept = values
      .gt(largest * SMALLEST_EIGENVALUE)
      .nonzero()
      .reshape([-1]);
    return similarities.matmul(vectors.indexSelect(1, kept).mul_(rsqrt(values.indexSelect(0, kept))));
  });
}

/** The median distance of at most 1,000 samples drawn from `generator`: of all, where there are no more. */
export function medianOfSample(rows: Tensor, kernel: Kernel, generator: Generator): number {
  return scope(() => {
    const count = Math.min(rows.size(0), MEDIAN_SAMPLES);
    const chosen = rows.indexSelect(0, drawPlaces(rows, count, generator));
    const all = drawPlaces(chosen, count, generator);
    return medianDistance(distancesTo(chosen, all, kernel, ROWS), kernel !== "laplacian");
  });
}

/** u · v with each landmark, of rows less their mean, float64 `[N, L]`. */
function products(rows: Tensor, landmarks: Tensor, chunk: number): Tensor {
  return scope(() => {
    const found = sumOverFeatures(
      rows,
      landmarks.numel,
      chunk,
      (columns, centred) => centred(columns.indexSelect(0, landmarks)).t(),
      (block, ofLandmarks) => block.matmul(ofLandmarks),
    );
    requireFinite(found.sum([1]), rows);
    return found;
  });
}

/** ‖u − v‖² (‖u − v‖₁ for `laplacian`) from each row to each landmark, float64 `[N, L]`. */
function distancesTo(rows: Tensor, landmarks: Tensor, kernel: Kernel, chunk: number): Tensor {
  const width = landmarks.numel;
  return scope(() => {
    if (kernel === "laplacian") {
      const found = sumOverFeatures(
        rows,
        width,
        chunk,
        (columns, centred) => centred(columns.indexSelect(0, landmarks)),
        (block, ofLandmarks) => cdist(block, ofLandmarks, { p: 1 }),
      );
      requireFinite(found.sum([1]), rows);
      return found;
    }
    // A last column holds the rows' own squared norms.
    const found = sumOverFeatures(
      rows,
      width + 1,
      chunk,
      (columns, centred) => centred(columns.indexSelect(0, landmarks)).t(),
      (block, ofLandmarks) => cat([block.matmul(ofLandmarks), block.square().sum([1], { keepDim: true })], 1),
    );
    const norms = found.narrow(1, width, 1); // [N, 1]
    requireFinite(norms, rows);
    const distances = found.narrow(1, 0, width).mul(-2).add_(norms).add_(norms.indexSelect(0, landmarks).t());
    return clamp(distances, 0);
  });
}
