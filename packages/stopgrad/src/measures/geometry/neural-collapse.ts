// Neural collapse: at the end of training, features of a class shrink to their mean (NC1), and the class means become a
// simplex: equally long, at equal and largest angles (NC2). Source: Papyan, Han, Donoho, PNAS 117, 2020.
import { linalgEigh, matmul, scope, type Tensor } from "@stopgrad/torch";
import type { Classes } from "./classes.js";
import type { CentredRows } from "./products.js";

/** Eigenvalues of the class means' products below this part of the largest count as 0. */
const RANK_TOLERANCE = 1e-12;

export interface NeuralCollapse {
  /** tr Σ_W, in squared units of the features. */
  withinVariance: number;
  /** A term of each sample, whose mean is `withinVariance`. */
  withinTerms: Float64Array;
  /** tr Σ_B, in squared units of the features. */
  betweenVariance: number;
  /** tr(Σ_W Σ_B⁺) / C, no unit. */
  nc1: number;
  /** Deviation over mean of the class means' distances from the global mean. */
  nc2Norms: number;
  /** Mean over pairs of classes of |cos + 1/(C − 1)|. */
  nc2Angles: number;
  /** Mean over pairs of classes of cos, in [−1/(C − 1), 1]. */
  meanCosine: number;
}

/**
 * With class means μ_c, their mean μ and all classes weighing the same (`classes.ts`):
 *
 *   Σ_W = Σ_i w_i (z_i − μ_c)(z_i − μ_c)ᵀ    Σ_B = (1/C) Σ_c (μ_c − μ)(μ_c − μ)ᵀ
 *
 * so that tr Σ_W + tr Σ_B is the total variance. No matrix of the features is made: with M = rows μ_c − μ `[C, D]` and
 * M Mᵀ = U diag(s²) Uᵀ, tr(Σ_W Σ_B⁺) / C = Σ_k Σ_i w_i ((z_i − μ_c)ᵀ Mᵀ u_k)² / s_k⁴, over the at most C − 1 directions in
 * which class means differ.
 *
 * Time O(N D C), memory O(N C + C²).
 */
export function neuralCollapse(rows: CentredRows, classes: Classes): NeuralCollapse {
  return scope(() => {
    const { count } = classes;
    const averaging = classes.members.div(classes.sizes).t(); // [C, N]
    const squares = rows.zeros([rows.count]); // ‖z_i − μ_c‖²
    const products = rows.zeros([count, count]); // M Mᵀ
    const along = rows.zeros([rows.count, count]); // (z_i − μ_c)·(μ_k − μ)
    rows.eachSlice((slice) => {
      const classMeans = matmul(averaging, slice); // [C, some]
      const residuals = slice.sub(classMeans.indexSelect(0, classes.labels));
      const means = classMeans.sub(classMeans.mean([0], { keepDim: true }));
      squares.add_(residuals.square().sum([1]));
      products.add_(matmul(means, means.t()));
      along.add_(matmul(residuals, means.t()));
    });
    const { negligible } = rows;
    const between = products.diagonal().mean().item();
    const withinTerms = Float64Array.from(squares.mul_(classes.weights).toNumbers());
    const within = withinTerms.reduce((sum, term) => sum + term, 0) / rows.count;
    const [hasWithin, hasBetween] = [within > negligible, between > negligible];
    return {
      withinVariance: hasWithin ? within : 0,
      withinTerms: hasWithin ? withinTerms : withinTerms.fill(0),
      betweenVariance: hasBetween ? between : 0,
      nc1: hasBetween ? ratioOfScatters(products, along, classes, hasWithin) : Number.NaN,
      ...simplex(products.toNumbers(), count, negligible),
    };
  });
}

/** tr(Σ_W Σ_B⁺) / C. */
function ratioOfScatters(products: Tensor, along: Tensor, classes: Classes, hasWithin: boolean): number {
  if (!hasWithin) return 0;
  const [squares, directions] = linalgEigh(products); // s² ascending, U
  const weighed = matmul(along, directions).square().mul_(classes.weights.unsqueeze(1)).mean([0]).toNumbers();
  const values = squares.toNumbers();
  const smallest = RANK_TOLERANCE * values[values.length - 1]!;
  let sum = 0;
  // The first is 0: the class means less their mean add up to 0.
  for (let k = 1; k < classes.count; k++) if (values[k]! > smallest) sum += weighed[k]! / values[k]! ** 2;
  return sum;
}

/** How far class means are from equal norms and angles, from the products `[C, C]` of centred class means. */
function simplex(products: readonly number[], count: number, negligible: number) {
  const norms = Array.from({ length: count }, (_, c) => Math.sqrt(products[c * count + c]!));
  const mean = norms.reduce((sum, norm) => sum + norm, 0) / count;
  const variance = norms.reduce((sum, norm) => sum + (norm - mean) ** 2, 0) / count;
  if (mean ** 2 <= negligible) return { nc2Norms: Number.NaN, nc2Angles: Number.NaN, meanCosine: Number.NaN };
  const nc2Norms = Math.sqrt(variance) / mean;
  if (norms.some((norm) => norm ** 2 <= negligible)) return { nc2Norms, nc2Angles: Number.NaN, meanCosine: Number.NaN };
  let [cosines, deviations] = [0, 0];
  for (let a = 0; a < count; a++) {
    for (let b = 0; b < a; b++) {
      const cosine = products[a * count + b]! / (norms[a]! * norms[b]!);
      cosines += cosine;
      deviations += Math.abs(cosine + 1 / (count - 1));
    }
  }
  const pairs = (count * (count - 1)) / 2;
  return { nc2Norms, nc2Angles: deviations / pairs, meanCosine: cosines / pairs };
}
