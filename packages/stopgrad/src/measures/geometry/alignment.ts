// Alignment and uniformity on the unit sphere: do samples of a class lie together, and do all spread evenly?
// Source: Wang & Isola, ICML 2020. Positive pairs there are two views of an image; here, two samples of a class.
import { logsumexp, scope, sqrt, type Tensor } from "@stopgrad/torch";
import type { Classes } from "./classes.js";
import { type CentredRows, ownEntries } from "./products.js";

export interface AlignmentAndUniformity {
  /** Mean over samples of the mean over partners of ‖u − u′‖², in [0, 4]. */
  alignment: number;
  /** A term of each sample that has a partner; null where a sample has no direction. */
  alignmentTerms: Float64Array | null;
  /** log of the mean over pairs of exp(−t ‖u − u′‖²), in [−4 t, 0]. */
  uniformity: number;
}

/**
 * For u = z / ‖z‖, found while blocks of products pass:
 *
 *   alignment = E_i E_j∈class(i), j≠i ‖u_i − u_j‖²    uniformity = log E_i≠j exp(−t ‖u_i − u_j‖²)
 *
 * A sample that is alone in its class is no term of the first; one of length 0 has no direction and is left out of both.
 * NaN where nothing is left.
 */
export class SpherePairs {
  readonly #rows: CentredRows;
  readonly #classes: Classes;
  readonly #rate: number;
  readonly #lengths: Tensor;
  readonly #directionless: Tensor;
  /** Σ_j ‖u_i − u_j‖² within the class, and how many, float64 `[N]`. */
  readonly #within: Tensor;
  readonly #partners: Tensor;
  /** log Σ_j exp(−t ‖u_i − u_j‖²), float64 `[N]`. */
  readonly #logSums: Tensor;

  /** @param rate - t, above 0 */
  constructor(rows: CentredRows, classes: Classes, rate: number) {
    this.#rows = rows;
    this.#classes = classes;
    this.#rate = rate;
    this.#directionless = rows.squaredLengths.eq(0);
    this.#lengths = sqrt(rows.squaredLengths).maskedFill_(this.#directionless, 1);
    this.#within = rows.zeros([rows.count]);
    this.#partners = rows.zeros([rows.count]);
    this.#logSums = rows.zeros([rows.count]);
  }

  /** @param products - (z_i − μ)·(z_j − μ) of rows i = start, start + 1, … with all, float64 `[some, N]` */
  add(products: Tensor, start: number): void {
    scope(() => {
      const length = products.size(0);
      const mine = (all: Tensor) => all.narrow(0, start, length);
      const squared = this.#squaredDistances(products, mine);
      const { labels } = this.#classes;
      const excluded = this.#directionless.unsqueeze(0).logicalOr(mine(this.#directionless).unsqueeze(1));
      ownEntries(excluded, start).fill_(1);
      const partners = labels
        .unsqueeze(0)
        .eq(mine(labels).unsqueeze(1))
        .logicalAnd(excluded.logicalNot())
        .to("float64");
      mine(this.#partners).copy_(partners.sum([1]));
      mine(this.#within).copy_(partners.mul_(squared).sum([1]));
      const exponents = squared.mul_(-this.#rate).maskedFill_(excluded, Number.NEGATIVE_INFINITY);
      mine(this.#logSums).copy_(logsumexp(exponents, [1]));
    });
  }

  result(): AlignmentAndUniformity {
    const [within, partners] = [this.#within.toNumbers(), this.#partners.toNumbers()];
    const terms = Float64Array.from(within, (sum, i) => sum / partners[i]!).filter((_, i) => partners[i]! > 0);
    const directed = this.#directionless.logicalNot().sum().item();
    const pairs = directed * (directed - 1);
    return {
      alignment: terms.reduce((sum, term) => sum + term, 0) / terms.length,
      alignmentTerms: directed === this.#rows.count && terms.length > 0 ? terms : null,
      uniformity: pairs > 0 ? scope(() => logsumexp(this.#logSums, [0]).item()) - Math.log(pairs) : Number.NaN,
    };
  }

  /** 2 − 2 z_i·z_j / (‖z_i‖ ‖z_j‖), at least 0. */
  #squaredDistances(products: Tensor, mine: (all: Tensor) => Tensor): Tensor {
    const { alongMean, mean } = this.#rows;
    const cosines = products
      .add(alongMean.unsqueeze(0))
      .add_(mine(alongMean).unsqueeze(1))
      .add_(mean.square().sum())
      .div_(this.#lengths.unsqueeze(0))
      .div_(mine(this.#lengths).unsqueeze(1));
    return cosines.mul_(-2).add_(2).clamp_(0, 4);
  }
}
