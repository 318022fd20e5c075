// How many coordinates a set of points has near each of them, from the distances to the two nearest neighbours alone.
// Source: Facco, d'Errico, Rodriguez, Laio, Scientific Reports 7, 2017.
import { scope, type Tensor } from "@stopgrad/torch";
import { type CentredRows, ownEntries } from "./products.js";

/** Samples whose squared distance is below this part of their squared norms' sum coincide: 1e-6 of the norm. */
const COINCIDE = 1e-12;

/**
 * The dimension d of which the ratios μ = r₂ / r₁ of the distances to second and first neighbour speak. Where the density
 * is constant over these distances, P(μ ≤ m) = 1 − m^(−d): a line −log(1 − F) = d log μ through the origin, fitted by
 * least squares to the empirical F_i = i / n of the sorted ratios.
 *
 * @param ratios - log(r₂ / r₁) of each sample, at least 0
 * @param discard - the part with the largest ratios left out, in [0, 1): they are the noisiest; 0.1 in the paper
 * @returns above 0; NaN where no ratio is left, or all are 1 (points on a grid)
 */
export function twoNearestNeighbours(ratios: ArrayLike<number>, discard: number): number {
  const sorted = Float64Array.from(ratios).sort();
  const count = sorted.length;
  const kept = Math.min(count - 1, Math.floor(count * (1 - discard) + 1e-9)); // of the last, F = 1
  let [products, squares] = [0, 0];
  for (let i = 0; i < kept; i++) {
    products -= sorted[i]! * Math.log1p(-(i + 1) / count);
    squares += sorted[i]! ** 2;
  }
  return squares > 0 ? products / squares : Number.NaN;
}

/**
 * log(r₂ / r₁) of every sample, found while blocks of distances pass. Samples that coincide (nearer than 1e-6 of their
 * distance from the mean, which float32 features do not tell apart) count as one, the first of them.
 */
export class NeighbourRatios {
  readonly #rows: CentredRows;
  /** Squared distances to both neighbours, float64 `[N, 2]`. */
  readonly #nearest: Tensor;
  /** 1 where an earlier sample coincides, float64 `[N]`. */
  readonly #repeated: Tensor;

  constructor(rows: CentredRows) {
    this.#rows = rows;
    this.#nearest = rows.zeros([rows.count, 2]);
    this.#repeated = rows.zeros([rows.count]);
  }

  /** @param squared - squared distances of rows start, start + 1, … to all, float64 `[some, N]` */
  add(squared: Tensor, start: number): void {
    if (this.#rows.count < 3) return;
    const length = squared.size(0);
    const norms = this.#rows.squaredNorms;
    const near = norms
      .unsqueeze(0)
      .add(norms.narrow(0, start, length).unsqueeze(1))
      .mul_(COINCIDE);
    const coincide = squared
      .le(near)
      .to("float64")
      .tril(start - 1); // with earlier ones only
    this.#repeated.narrow(0, start, length).copy_(coincide.amax([1]));
    this.#keepNearest(squared.clone(), start);
  }

  /** One for each sample that coincides with no earlier one; none where fewer than three are left. */
  logarithms(): Float64Array {
    const repeated = this.#repeated.toNumbers();
    const distinct = repeated.filter((value) => value === 0).length;
    if (this.#rows.count < 3 || distinct < 3) return new Float64Array(0);
    if (distinct < repeated.length) this.#lookAgain();
    const nearest = this.#nearest.toNumbers();
    const logarithms = repeated.map((_, i) => Math.log(nearest[2 * i + 1]! / nearest[2 * i]!) / 2);
    return Float64Array.from(logarithms.filter((_, i) => repeated[i] === 0));
  }

  /** Neighbours among the distinct samples. */
  #lookAgain(): void {
    this.#rows.eachBlock((products, start) => {
      const squared = this.#rows.squaredDistances(products, start);
      squared.maskedFill_(this.#repeated.gt(0).unsqueeze(0), Number.POSITIVE_INFINITY);
      this.#keepNearest(squared, start);
    });
  }

  /** Writes over `squared`. */
  #keepNearest(squared: Tensor, start: number): void {
    scope(() => {
      ownEntries(squared, start).fill_(Number.POSITIVE_INFINITY);
      const [values] = squared.topk(2, 1, { largest: false });
      this.#nearest.narrow(0, start, squared.size(0)).copy_(values);
    });
  }
}
