// How entangled classes are: the soft nearest neighbour loss (Frosst, Papernot, Hinton, arXiv 1902.01889), and the bound
// that ties it to HSIC with the label (arXiv 2402.09050, theorem 1/4): a representation that depends little on the label
// must have entangled classes. What of the theorem holds rigorously is stated at `entanglement` below.
import { exp, expm1, logsumexp, noGrad, scope, type Tensor, tensor } from "@stopgrad/torch";
import { z } from "zod";
import { Sfc32 } from "../data/sfc32.js";
import { type Classes, classesOf } from "./geometry/classes.js";
import { CentredRows, ownEntries } from "./geometry/products.js";
import type { Finding, SampleMeasure } from "./measure.js";
import { medianDistance } from "./median.js";

const options = z.strictObject({
  /** The kernel's width σ is this times √D; `median`: the median distance of two samples (of at most 2,000). */
  sigma: z
    .union([z.number().positive(), z.literal("median")])
    .default(5)
    .meta({ expected: "a number above 0 or median" }),
  /** T of the soft nearest neighbour loss; `kernel`: 2 σ², with which it sees the same kernel as the theorem. */
  temperature: z
    .union([z.number().positive(), z.literal("kernel")])
    .default("kernel")
    .meta({ expected: "a number above 0 or kernel" }),
});

/** Samples whose pairs the median width is taken of: of 10,000, 50 million distances would be sorted. */
const MEDIAN_SAMPLES = 2000;
/** A difference of mean kernel values below this part of them is what rounding leaves of 0. */
const ROUNDING = 1e-14;

/**
 * Of features z `[N, …]`, flattened to `[N, D]`, with labels of C ≥ 2 classes; k(u, v) = exp(−‖u − v‖² / (2 σ²)).
 *
 * - `snn`: soft nearest neighbour loss, at least 0, in nats; high where classes are entangled.
 *
 *       L_SNN(T) = −(1/N) Σ_i log [ Σ_{j≠i, y_j = y_i} exp(−‖z_i − z_j‖²/T) / Σ_{j≠i} exp(−‖z_i − z_j‖²/T) ]
 *
 *   over samples that have another of their class. NaN where none has. `skipped`: how many have none.
 *
 * The theorem's quantities are those of the population that the sample makes when all classes weigh the same: w_i =
 * 1 / (C N_c). Pairs include i = j, as two independent draws from this population may be the same sample. Expectations over
 * it are finite sums, so that lemma and bound hold exactly, for any sizes of classes; they are no unbiased estimates of
 * another population (the pairs i = j raise P by about (1 − E k)/N_c). With P(z) = E[k(z, z′) | same class], A(z) = E k(z, z′):
 *
 * - `entropyLimit` = log C, that `L` has where classes cannot be told apart; it may exceed it
 * - `L` = log C − E log P + E log A, at least 0: the loss of infinitely many samples, T = 2 σ²
 * - `Lbar` = log C − log E P + log E A, at most log C
 * - `J` = log E A − E log A, at least 0
 * - `populationHsic` = (E P − E A) / C, in [0, (C − 1)/C²]: HSIC(Y, Z) with linear label kernel (lemma 1). For equal class sizes it
 *   is measure `hsic` with `estimator: v-statistic`
 * - `smallestKernel`: c, the smallest k of two samples, in [0, 1]
 * - `bound` = log C − (C / c) HSIC(Y, Z), at most log C; −∞ where c is below the smallest float64
 * - `slack` = L + J − bound, **at least 0 for every sample**: statement (c)
 * - `margin` = L − bound: the paper's form of the theorem says that it is at least 0
 *
 * Proof of (c): E log P ≤ log E P (Jensen), so that L + J = log C − E log P + log E A ≥ Lbar. As k is positive definite,
 * HSIC ≥ 0 and E P ≥ E A ≥ c, so that log E P − log E A ≤ (E P − E A)/c = (C/c) HSIC: Lbar ≥ bound. This bounds Lbar itself
 * (statement a), and L where P ≥ A everywhere (b). The paper's form drops J, which the concavity of log does not allow: E log A
 * is below log E A. It does fail, by little: with 2 σ² = 1 and the points 0, 0, 0.44 of one class and −0.18, 0.26, 0.26 of
 * the other, L is 4e-5 below the bound, J 6e-4. J is small for wide kernels (J ≤ (1 − c)²/(8 c²), c near 1), the regime in
 * which the bound says something: for narrow ones C/c makes it void. The paper has exp(−2 r²/σ²), r ≥ ‖z‖, in place of c,
 * and so less.
 *
 * `snn` and `L` come with terms. Where all samples are equal, the median width is 0 and all that needs a kernel is NaN; where
 * most pairs are, it is an error. Everything is float64 inside; features are converted a slice at a time: beside them there are `[N, N]` where D ≥ N,
 * `[N, C]`, slices and blocks of together less than 1 GB. Squared distances are off by about 1e-15 of the rows' squared norms, less the
 * mean: outliers at 1e6 kernel widths cost k three digits. Time O(N² (D + C)).
 */
export const entanglement: SampleMeasure = {
  summary: "soft nearest neighbour loss, and how HSIC with the label bounds it from below",
  source: "Frosst et al., arXiv 1902.01889; arXiv 2402.09050, theorem 4",
  options,
  kind: "sample",
  sampled: false,
  needs: ["labels"],
  smallestSample: 2,
  keys: [
    { key: "snn", title: "soft nearest neighbour loss (nats)" },
    { key: "skipped", title: "samples alone in their class" },
    { key: "entropyLimit", title: "log of the number of classes (nats)" },
    { key: "L", title: "population soft nearest neighbour loss L (nats)" },
    { key: "Lbar", title: "L with logarithms of means, Lbar (nats)" },
    { key: "J", title: "Jensen gap J of the mean kernel (nats)" },
    { key: "populationHsic", title: "HSIC with the label, classes weighing the same" },
    { key: "smallestKernel", title: "smallest kernel value c" },
    { key: "bound", title: "lower bound log C − (C/c) HSIC (nats)" },
    { key: "slack", title: "L + J − bound, never below 0 (nats)" },
    { key: "margin", title: "L − bound, the paper's form (nats)" },
  ],

  measure(sample, given) {
    const { sigma, temperature } = options.parse(given);
    return noGrad(() =>
      scope(() => {
        const rows = new CentredRows(sample.z);
        const classes = classesOf(sample.labels, rows.count);
        const width = sigma === "median" ? medianWidth(sample.z) : sigma * Math.sqrt(rows.features);
        const rate = 2 * width * width;
        const neighbours = new SoftNeighbours(rows, classes, temperature === "kernel" ? rate : temperature);
        const kernel = new MeanKernel(rows, classes, rate);
        rows.eachBlock((products, start) => {
          const squared = rows.squaredDistances(products, start);
          neighbours.add(squared, start);
          kernel.add(squared, start);
        });
        return { ...neighbours.findings(), ...theorem(kernel, classes) };
      }),
    );
  },
};

/** Log ratios of same-class to all neighbours, found while blocks of distances pass. */
class SoftNeighbours {
  readonly #rows: CentredRows;
  readonly #classes: Classes;
  readonly #temperature: number;
  /** log Σ exp(−‖z_i − z_j‖²/T) over others of the class, and over other classes, float64 `[N]`. */
  readonly #same: Tensor;
  readonly #different: Tensor;

  constructor(rows: CentredRows, classes: Classes, temperature: number) {
    this.#rows = rows;
    this.#classes = classes;
    this.#temperature = temperature;
    this.#same = rows.zeros([rows.count]);
    this.#different = rows.zeros([rows.count]);
  }

  /** @param squared - of rows start, start + 1, … to all, float64 `[some, N]` */
  add(squared: Tensor, start: number): void {
    scope(() => {
      const mine = (all: Tensor) => all.narrow(0, start, squared.size(0));
      const { labels } = this.#classes;
      const exponents = squared.mul(-1 / this.#temperature);
      const same = labels.unsqueeze(0).eq(mine(labels).unsqueeze(1));
      mine(this.#different).copy_(logsumexp(exponents.maskedFill(same, Number.NEGATIVE_INFINITY), [1]));
      exponents.maskedFill_(same.logicalNot(), Number.NEGATIVE_INFINITY);
      ownEntries(exponents, start).fill_(Number.NEGATIVE_INFINITY);
      mine(this.#same).copy_(logsumexp(exponents, [1]));
    });
  }

  findings(): { snn: Finding; skipped: Finding } {
    const [same, different] = [this.#same.toNumbers(), this.#different.toNumbers()];
    // −log(s / (s + d)) = log(1 + d/s), without the difference of near numbers that it would be for separated classes.
    const terms = Float64Array.from(same, (value, i) => softplus(different[i]! - value)).filter(
      (_, i) => this.#classes.companions[i]! > 1,
    );
    return {
      snn: { value: meanOf(terms), ...(terms.length > 0 ? { terms } : {}) },
      skipped: { value: this.#rows.count - terms.length },
    };
  }
}

/** P − 1 and A − 1 of every sample: for wide kernels all values are near 1, and what matters is how near. */
class MeanKernel {
  readonly #classes: Classes;
  readonly #rate: number;
  readonly #same: Tensor;
  readonly #all: Tensor;
  /** c. */
  smallest = 1;

  /** @param rate - 2 σ² */
  constructor(rows: CentredRows, classes: Classes, rate: number) {
    this.#classes = classes;
    this.#rate = rate;
    this.#same = rows.zeros([rows.count]);
    this.#all = rows.zeros([rows.count]);
  }

  /** @param squared - of rows start, start + 1, … to all, float64 `[some, N]` */
  add(squared: Tensor, start: number): void {
    scope(() => {
      const mine = (all: Tensor) => all.narrow(0, start, squared.size(0));
      const { labels, members, sizes } = this.#classes;
      const exponents = squared.mul(-1 / this.#rate);
      this.smallest = Math.min(this.smallest, exp(exponents.amin()).item());
      const means = expm1(exponents).matmul(members).div_(sizes); // E[k(z_i, z′) | class] − 1, [some, C]
      mine(this.#all).copy_(means.mean([1]));
      mine(this.#same).copy_(means.gather(1, mine(labels).unsqueeze(1)).squeeze(1));
    });
  }

  get same(): number[] {
    return this.#same.toNumbers();
  }

  get all(): number[] {
    return this.#all.toNumbers();
  }
}

/** The theorem's quantities; see `entanglement`. */
function theorem(kernel: MeanKernel, classes: Classes) {
  const weights = classes.weights.toNumbers(); // N w_i
  const weighted = (term: (i: number) => number) => meanOf(weights.map((weight, i) => weight * term(i)));
  const [same, all] = [kernel.same, kernel.all];
  const entropyLimit = Math.log(classes.count);
  const [meanSame, meanAll] = [weighted((i) => same[i]!), weighted((i) => all[i]!)]; // E P − 1, E A − 1
  const difference = meanSame - meanAll;
  const gain = difference > ROUNDING * Math.abs(meanAll) || Number.isNaN(difference) ? difference : 0; // E P − E A
  const terms = Float64Array.from(weights, (w, i) => w * (entropyLimit + Math.log1p(all[i]!) - Math.log1p(same[i]!)));
  const L = Math.max(0, meanOf(terms));
  // log E f − E log f as the mean of x − log(1 + x) with x = f / E f − 1, each at least 0: no rounding below 0.
  const jensenGap = (values: readonly number[], mean: number) =>
    weighted((i) => excess((values[i]! - mean) / (1 + mean)));
  const J = jensenGap(all, meanAll);
  const fall = gain === 0 ? 0 : gain / kernel.smallest; // (C / c) HSIC
  const logRatio = Math.log1p(gain / (1 + meanAll)); // log E P − log E A
  const bound = entropyLimit - fall;
  const findings = {
    entropyLimit: { value: entropyLimit },
    L: { value: L, terms },
    Lbar: { value: entropyLimit - logRatio },
    J: { value: J },
    populationHsic: { value: gain / classes.count },
    smallestKernel: { value: kernel.smallest },
    bound: { value: bound },
    slack: { value: jensenGap(same, meanSame) + Math.max(0, fall - logRatio) },
    margin: { value: L - bound },
  } satisfies Record<string, Finding>;
  return findings;
}

/** Median of ‖z_i − z_j‖ over pairs of at most 2,000 samples. */
function medianWidth(values: Tensor): number {
  return scope(() => {
    const rows = new CentredRows(someSamples(values));
    return medianDistance(rows.squaredDistances(rows.gram(), 0), true);
  });
}

/** The samples, or always the same 2,000 of them. */
function someSamples(values: Tensor): Tensor {
  const count = values.size(0);
  if (count <= MEDIAN_SAMPLES) return values;
  const drawn = new Sfc32(0).permutation(count).slice(0, MEDIAN_SAMPLES);
  return values.indexSelect(0, tensor(BigInt64Array.from(drawn, BigInt), { device: values.device }));
}

function meanOf(values: ArrayLike<number>): number {
  return Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
}

/** log(1 + e^x). */
function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

/** x − log(1 + x) for x > −1, at least 0; by its series near 0, where the difference would be rounding alone. */
function excess(x: number): number {
  if (Math.abs(x) < 1e-4) return x * x * (1 / 2 - x * (1 / 3 - x * (1 / 4 - x / 5)));
  return x - Math.log1p(x);
}
