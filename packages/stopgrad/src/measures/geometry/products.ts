// Inner products of many long rows in float64, without a float64 copy of the rows. Features of a convolution can be
// [10000, 65536]: 2.6 GB in float32, twice that in float64. What geometry needs of them are inner products, which add up
// over columns (and over rows for the covariance), so that a slice at a time is converted.
//
// Rows are taken less their mean, which keeps ‖u‖² + ‖v‖² − 2u·v from cancelling; lengths and angles of the rows as they
// are follow from z_i·z_j = c_i·c_j + c_i·μ + c_j·μ + ‖μ‖² for centred rows c and their mean μ.
import { all, diagonal, isfinite, linalgEigvalsh, matmul, scope, sub, type Tensor, zeros } from "@stopgrad/torch";
import { asRows } from "../kernels.js";
import { MeasureError } from "../measure.js";

/** Numbers in a slice that is converted to float64: 64 MB. */
const SLICE = 2 ** 23;
/** Numbers in a block of products that is looked at: 16 MB, of which a measure has several at a time. */
const BLOCK = 2 ** 21;
/** Rows of the strips in which a symmetric product is summed: what lies above the diagonal is nearly all saved. */
const STRIP = 512;
/** A mean square below this part of that of the rows is what rounding leaves of 0. */
const ROUNDING = 1e-26;
/** Up to so many rows all products are kept at once: 128 MB. */
const FEW_ROWS = 4096;

/** Rows `[N, D]` and their mean; products of pairs of rows by the block. Made and used inside one `scope`. */
export class CentredRows {
  /** N. */
  readonly count: number;
  /** D. */
  readonly features: number;
  readonly device: string;
  /** μ, float64 `[D]`. */
  readonly mean: Tensor;
  /** ‖z_i − μ‖², float64 `[N]`. */
  readonly squaredNorms: Tensor;
  /** ‖z_i‖², float64 `[N]`, exactly 0 for a row of zeros. */
  readonly squaredLengths: Tensor;
  /** (z_i − μ)·μ, float64 `[N]`. */
  readonly alongMean: Tensor;
  readonly #rows: Tensor;
  #gram: Tensor | null = null;

  /**
   * @param values - `[N, …]`, N ≥ 2, of any type
   * @throws MeasureError for fewer rows, NaN, infinity, or numbers too large to be squared
   */
  constructor(values: Tensor) {
    this.#rows = asRows(values, 2);
    this.count = this.#rows.size(0);
    this.features = this.#rows.size(1);
    this.device = values.device;
    this.mean = this.zeros([this.features]);
    this.squaredNorms = this.zeros([this.count]);
    this.squaredLengths = this.zeros([this.count]);
    this.alongMean = this.zeros([this.count]);
    const width = this.#columnsAtATime();
    for (let start = 0; start < this.features; start += width) {
      scope(() => {
        const length = Math.min(width, this.features - start);
        const slice = this.#rows.narrow(1, start, length).to("float64"); // [N, length]
        const mean = this.mean.narrow(0, start, length).copy_(slice.mean([0]));
        const centred = sub(slice, mean);
        this.alongMean.add_(matmul(centred, mean));
        this.squaredNorms.add_(centred.square().sum([1]));
        this.squaredLengths.add_(slice.square().sum([1]));
      });
    }
    this.#refuseWhatIsNotFinite();
  }

  /** Of mean squares of differences of rows, what is not above this is rounding: the rows are equal. */
  get negligible(): number {
    return scope(() => ROUNDING * this.squaredLengths.mean().item());
  }

  /** Float64 zeros beside the rows. */
  zeros(shape: readonly number[]): Tensor {
    return zeros(shape, { dtype: "float64", device: this.device });
  }

  /** Visits all columns, float64 `[N, some]` less their means, a slice at a time. */
  eachSlice(visit: (centred: Tensor) => void): void {
    const width = this.#columnsAtATime();
    for (let start = 0; start < this.features; start += width) {
      const length = Math.min(width, this.features - start);
      scope(() => visit(sub(this.#rows.narrow(1, start, length).to("float64"), this.mean.narrow(0, start, length))));
    }
  }

  /**
   * Visits the products (z_i − μ)·(z_j − μ) of rows i = start, start + 1, … with all rows j, float64 `[some, N]`, which
   * are not to be written to. Where D ≥ N, or for few rows, each pair is multiplied once and all products are kept,
   * `[N, N]`; otherwise a block at a time is, twice the work in less memory. Time O(N² D).
   */
  eachBlock(visit: (products: Tensor, start: number) => void): void {
    const all = this.features >= this.count || this.count <= FEW_ROWS ? this.gram() : this.#gram;
    const height = Math.max(1, Math.floor(BLOCK / this.count));
    for (let start = 0; start < this.count; start += height) {
      const length = Math.min(height, this.count - start);
      scope(() => visit(all ? all.narrow(0, start, length) : this.#block(start, length), start));
    }
  }

  /** ‖z_i − z_j‖² of a block of products, `[some, N]`, at least 0 and exactly 0 for i = j. */
  squaredDistances(products: Tensor, start: number): Tensor {
    return scope(() => {
      const length = products.size(0);
      const distances = products
        .mul(-2)
        .add_(this.squaredNorms.unsqueeze(0))
        .add_(this.squaredNorms.narrow(0, start, length).unsqueeze(1))
        .clamp_(0);
      ownEntries(distances, start).zero_();
      return distances;
    });
  }

  /** All products (z_i − μ)·(z_j − μ), float64 `[N, N]`, made once, in the scope that first asks. */
  gram(): Tensor {
    if (this.#gram) return this.#gram;
    const sum = this.zeros([this.count, this.count]);
    this.eachSlice((centred) => addProducts(sum, centred));
    mirror(sum);
    this.#gram = sum;
    return sum;
  }

  /**
   * Squared singular values of the centred rows `[N, D]`, ascending, min(N, D) of them: eigenvalues of the products of
   * rows or of columns, whichever are fewer. What rounding puts below 0 is 0.
   * Time O(N D min(N, D)), memory O(min(N, D)²).
   */
  squaredSingularValues(): Float64Array {
    const products = this.features < this.count ? this.#scatter() : this.gram();
    const eigenvalues = scope(() => linalgEigvalsh(products).toNumbers());
    return Float64Array.from(eigenvalues, (value) => Math.max(0, value));
  }

  #columnsAtATime(): number {
    return Math.max(1, Math.floor(SLICE / this.count));
  }

  #block(start: number, length: number): Tensor {
    const sum = this.zeros([length, this.count]);
    this.eachSlice((centred) => sum.add_(matmul(centred.narrow(0, start, length), centred.t())));
    return sum;
  }

  /** Σ_i (z_i − μ)(z_i − μ)ᵀ, `[D, D]`, of which only the lower triangle counts. */
  #scatter(): Tensor {
    const sum = this.zeros([this.features, this.features]);
    const height = Math.max(1, Math.floor(SLICE / this.features));
    for (let start = 0; start < this.count; start += height) {
      const length = Math.min(height, this.count - start);
      scope(() => addProducts(sum, sub(this.#rows.narrow(0, start, length).to("float64"), this.mean).t()));
    }
    return sum;
  }

  #refuseWhatIsNotFinite(): void {
    // A number that is not finite leaves its row's length not finite, so that only N numbers need a look.
    if (scope(() => all(isfinite(this.squaredLengths)).item()) !== 0) return;
    const wrong = scope(() => all(isfinite(this.#rows)).item()) === 0;
    throw new MeasureError(
      wrong
        ? `expected finite numbers, got NaN or infinity among [${this.#rows.shape.join(", ")}]`
        : "the numbers are too large: the square of a sample's norm is infinite",
    );
  }
}

/** The entries (i, i) of a block `[some, N]` whose first row is `start`: a view. */
export function ownEntries(block: Tensor, start: number): Tensor {
  return diagonal(block.narrow(1, start, block.size(0)));
}

/** The lower triangle of `sum` `[n, n]` += that of a aᵀ for `a` `[n, k]`, strip by strip. */
function addProducts(sum: Tensor, a: Tensor): void {
  const count = a.size(0);
  for (let start = 0; start < count; start += STRIP) {
    const length = Math.min(STRIP, count - start);
    const end = start + length;
    scope(() => {
      const strip = matmul(a.narrow(0, start, length), a.narrow(0, 0, end).t());
      sum.narrow(0, start, length).narrow(1, 0, end).add_(strip);
    });
  }
}

/** Copies what lies below the diagonal strips to where it is missing above them. */
function mirror(sum: Tensor): void {
  const count = sum.size(0);
  for (let start = STRIP; start < count; start += STRIP) {
    const length = Math.min(STRIP, count - start);
    scope(() => {
      const below = sum.narrow(0, start, length).narrow(1, 0, start);
      sum.narrow(0, 0, start).narrow(1, start, length).copy_(below.t());
    });
  }
}
