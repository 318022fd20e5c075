// nHSIC, HSIC and CKA of all samples at once instead of a mean over mini-batches, in bounded memory: the Gram matrix,
// `[N, N]`, is replaced by features Φ `[N, r]` with K ≈ Φ Φᵀ, and never made.
//
// With Φ less its columns' means (P K P ≈ Φ Φᵀ), and a = ε N:
//
//   tr(P K P L)       = ‖Φ_Xᵀ Φ_Z‖²                                        biased HSIC, divided as in hsic.ts
//   Σ_{i≠j} U_ij V_ij = ‖Φ_Xᵀ Φ_Z‖² − N/(N−2) Σ_i c_i d_i + Σ c Σ d / ((N−1)(N−2))   unbiased HSIC, c_i = ‖φ_i‖²
//   tr(R_X R_Z)       = ‖A_X⁻¹ Φ_Xᵀ Φ_Z A_Z⁻ᵀ‖²    A Aᵀ = Φᵀ Φ + a I     nHSIC, by the push-through identity
import {
  Generator,
  keep,
  linalgCholesky,
  linalgSolveTriangular,
  mean,
  oneHot,
  scope,
  type Tensor,
  unique,
} from "@stopgrad/torch";
import { z } from "zod";
import {
  batchTerms,
  floating,
  type Pair,
  type PairArrays,
  type PairResult,
  pairs,
  pooledMean,
  sameCount,
} from "./batches.js";
import { ROWS } from "./blocks.js";
import { alignment, cka } from "./cka.js";
import { type HsicEstimator, hsic, hsicDivisor } from "./hsic.js";
import {
  asRows,
  identityLike,
  type KernelSettings,
  largest,
  requireFinite,
  requireLabels,
  requireSquarable,
} from "./kernels.js";
import { MeasureError, type PairMeasure, parsedOptions, type RefusedOption } from "./measure.js";
import { nhsic, ridgeOf } from "./nhsic.js";
import { drawPlaces, medianOfSample, nystromFeatures } from "./nystrom.js";
import { randomFeatures } from "./random-features.js";
import { ofPartner } from "./refusal.js";

type Options = Readonly<Record<string, unknown>>;

export const fullSetMeasures = { nhsic, hsic, cka } satisfies Record<string, PairMeasure>;
export type FullSetMeasure = keyof typeof fullSetMeasures;

/** How the Gram matrix of all samples is had; they stand beside the measure's own options. */
export const fullSetOptions = z.strictObject({
  /** `exact` makes the Gram matrices, of at most 4,000 samples. */
  approximation: z.enum(["nystrom", "random-features", "exact"]).default("nystrom"),
  /** Landmarks, or random features; even. No more landmarks than samples are taken. */
  rank: z.int().min(2).max(5000).multipleOf(2).default(1000),
  /** Of the landmarks or frequencies, and of the samples that give a median width. */
  seed: z.int().min(0).default(0),
  /** Rows whose float64 copy is made at a time. */
  chunk: z.int().positive().default(ROWS),
});
export type FullSetOptions = z.output<typeof fullSetOptions>;

/** As of mini-batches; there is no standard error. */
export type FullSetResult = PairResult;

/**
 * What is wrong with the options of both kinds together, whatever the arrays are: of the measure, and one that `exact` does
 * not use and that is not as by default; null where there is nothing.
 * @param options - complete
 */
export function refusedOfFullSet(name: FullSetMeasure, options: Options): RefusedOption | null {
  const own = Object.entries(options).filter(([key]) => !Object.hasOwn(fullSetOptions.shape, key));
  const refused = fullSetMeasures[name].refused?.(Object.fromEntries(own), { images: null, dimensions: null });
  if (refused || options.approximation !== "exact") return refused ?? null;
  const option = UNUSED_BY_EXACT.find((key) => options[key] !== fullSetOptions.shape[key].parse(undefined));
  if (option === undefined) return null;
  const message = `approximation exact does not use it, got ${String(options[option])}; leave it out, or use nystrom or random-features`;
  return { option, message };
}

const UNUSED_BY_EXACT = ["rank", "seed", "chunk"] as const;

/** Two float64 Gram matrices of this many samples are 256 MB. */
const MOST_EXACT = 4000;

/**
 * A measure between input and each representation, and label and each representation, over all N samples at once.
 *
 * Labels are exact, as are linear kernels of at most `rank` features. Nyström features of a kernel with a slowly falling
 * spectrum miss its tail, so that nHSIC, which counts directions, comes out too small: at N = 2,000 CIFAR-10 images and
 * rank 1000 by 8 % for images and a wide stage, by 0.6 % with `epsilon` 1e-3; HSIC and CKA are within 0.4 %; at
 * N = 10,000 it is no more (scripts/full-set-error.mjs). Random features are unbiased for HSIC and far noisier: 1 to 8 %.
 * nHSIC depends on N: never compare it with the mean over mini-batches.
 *
 * @param name - `nhsic`, `hsic` or `cka`
 * @param x - `[N, …]` or null
 * @param y - labels `[N]` of an integer type, or null
 * @param z - each `[N, …]`, same N
 * @param given - the measure's options and those of `fullSetOptions`; what is missing has its default
 * @returns in the order of `measurePairs`, deterministic for a seed
 * @throws MeasureError for what the measure refuses (`x: …` and `y: …` of the partners), lengths that differ, or too many
 * samples for `exact`
 * Time O(N D rank + N rank² + rank³) for each array; memory O(N rank + rank² + 4096 (rank + chunk)) whatever D is, some
 * 500 MB for N = 10,000 and rank 1000; of `exact` a Gram matrix of each partner and of one z, and what it is made by. Each
 * z is done with before the next begins, x once for all.
 * Source: Nyström: Williams & Seeger 2001; random features: Rahimi & Recht 2007.
 */
export function fullSet(name: FullSetMeasure, arrays: PairArrays, given: Options = {}): FullSetResult[] {
  const partners = fullSetPartners(name, { ...arrays, count: sameCount(arrays) }, given);
  try {
    const found = arrays.z.map((z) => partners.measure(z));
    return pairs.flatMap((pair) =>
      found.flatMap(({ [pair]: value }, index) =>
        value === undefined ? [] : [{ pair, index, value, standardError: null }],
      ),
    );
  } finally {
    partners.dispose();
  }
}

/** Input and labels that representations of the same samples are held against, one after the other. */
export interface FullSetPartners {
  /**
   * The value of each pair whose partner is given.
   * @param z - `[N, …]`
   * @throws MeasureError for what the measure refuses, and another N
   */
  measure(z: Tensor): Partial<Record<Pair, number>>;
  /** Frees what was made of input and labels. */
  dispose(): void;
}

/**
 * As `fullSet`, for representations that are not in memory together: what is made of input and labels is made now, once
 * for all of them, and kept until it is disposed of; the tensors given are not looked at again.
 * @param count - N
 * @throws MeasureError as `fullSet`
 */
export function fullSetPartners(
  name: FullSetMeasure,
  { x, y, count }: Omit<PairArrays, "z"> & { readonly count: number },
  given: Options = {},
): FullSetPartners {
  const [how, options] = split(name, given);
  const refused = refusedOfFullSet(name, { ...how, ...options });
  if (refused) throw new MeasureError(`${refused.option}: ${refused.message}`);
  const fewest = options.estimator === "unbiased" ? 4 : fullSetMeasures[name].smallestBatch;
  if (count < fewest) throw new MeasureError(`expected at least ${fewest} samples, got ${count}`);
  for (const partner of [x, y]) if (partner) requireCount(partner, count);
  if (how.approximation !== "exact") return partnersBy(approximately(name, options, how), { x, y, count });
  if (count > MOST_EXACT) {
    throw new MeasureError(
      `expected at most ${MOST_EXACT} samples for the exact value, got ${count}; choose nystrom or random-features`,
    );
  }
  return partnersBy(exactly(fullSetMeasures[name], { ...options }), { x, y, count });
}

/** How the measure of two arrays is had: something of each array, and a value of two of these. */
interface Way<S> {
  ofInput(x: Tensor): S;
  ofLabels(y: Tensor): S;
  ofRepresentation(z: Tensor): S;
  between(a: S, b: S): number;
  tensorsOf(side: S): readonly Tensor[];
}

function partnersBy<S>(
  way: Way<S>,
  { x, y, count }: Omit<PairArrays, "z"> & { readonly count: number },
): FullSetPartners {
  const sides = scope(() => ({
    "x,z": x && ofPartner("x", () => way.ofInput(x)),
    "y,z": y && ofPartner("y", () => way.ofLabels(y)),
  }));
  const given = pairs.filter((pair) => sides[pair] !== null);
  const kept = given.flatMap((pair) => way.tensorsOf(sides[pair]!).map((made) => keep(made)));
  return {
    measure(z) {
      requireCount(z, count);
      return scope(() => {
        const mine = way.ofRepresentation(z);
        return Object.fromEntries(given.map((pair) => [pair, way.between(sides[pair]!, mine)]));
      });
    },
    dispose() {
      for (const made of kept) made.dispose();
    },
  };
}

function requireCount({ shape }: Tensor, count: number): void {
  if (shape[0] === count) return;
  throw new MeasureError(`expected the same samples in every array, got ${count} samples and [${shape.join(", ")}]`);
}

/** By Gram matrices, `[N, N]`: the value of one batch of all samples. */
function exactly(measure: PairMeasure, options: Options): Way<Tensor> {
  return {
    ofInput: (x) => measure.factor(floating(x), options),
    ofLabels: (y) => measure.labelFactor(y, options),
    ofRepresentation: (z) => measure.factor(floating(z), options),
    between: (a, b) => pooledMean(measure, [batchTerms(measure, a, b, options)]).value,
    tensorsOf: (factor) => [factor],
  };
}

/** By features, `[N, r]`. */
function approximately(name: FullSetMeasure, options: MeasureOptions, how: FullSetOptions): Way<Side> {
  return {
    ofInput: (x) => sideOf(floating(x), name, options, how, 0),
    ofLabels: (y) => labelSide(y, name, options, how),
    ofRepresentation: (z) => sideOf(floating(z), name, options, how, 1),
    between: (a, b) => between(name, a, b, options),
    tensorsOf: ({ features, factor }) => (factor ? [features, factor] : [features]),
  };
}

/** The options of both kinds, with their defaults. */
function split(name: FullSetMeasure, given: Options): [FullSetOptions, MeasureOptions] {
  const own = Object.entries(given).filter(([key]) => Object.hasOwn(fullSetOptions.shape, key));
  const rest = Object.entries(given).filter(([key]) => !Object.hasOwn(fullSetOptions.shape, key));
  return [
    parsedOptions(fullSetOptions, Object.fromEntries(own)),
    parsedOptions(fullSetMeasures[name].options, Object.fromEntries(rest)) as unknown as MeasureOptions,
  ];
}

type MeasureOptions = KernelSettings & { readonly epsilon?: number; readonly estimator?: HsicEstimator };

/** One array's part: features less their means, and of nHSIC their Cholesky factor A. */
interface Side {
  /** Float64 `[N, r]`. */
  readonly features: Tensor;
  /** Float64 `[r, r]`, lower triangular; null but for nHSIC. */
  readonly factor: Tensor | null;
}

function sideOf(
  values: Tensor,
  name: FullSetMeasure,
  options: MeasureOptions,
  how: FullSetOptions,
  stream: number,
): Side {
  return scope(() => {
    const rows = asRows(values, 2);
    return prepared(featuresOf(rows, options, how, stream), name, options);
  });
}

/**
 * Φ with K ≈ Φ Φᵀ. Arrays of the same N share their landmarks; frequencies of the input and of representations are drawn
 * apart, for the product of two estimates is unbiased only where they are independent.
 */
function featuresOf(
  rows: Tensor,
  options: MeasureOptions,
  { approximation, rank, seed, chunk }: FullSetOptions,
  stream: number,
): Tensor {
  const random = approximation === "random-features";
  const generator = new Generator(random ? 2 * seed + stream : seed);
  try {
    const median = () => medianOfSample(rows, options.kernel, generator);
    if (options.kernel === "linear" && rows.size(1) <= rank) return rowsAsFeatures(rows);
    if (random) return randomFeatures(rows, options, { rank, chunk, generator, median });
    const landmarks = drawPlaces(rows, Math.min(rank, rows.size(0)), generator);
    return nystromFeatures(rows, options, { landmarks, chunk, median });
  } finally {
    generator.dispose();
  }
}

/** The linear kernel's own features: float64 rows, less the first, so that equal rows are exactly 0. */
function rowsAsFeatures(rows: Tensor): Tensor {
  return scope(() => {
    const wide = rows.to("float64");
    const moved = wide.sub(wide.narrow(0, 0, 1));
    requireFinite(moved.square().sum([1]), rows);
    return moved;
  });
}

/** Labels as one-hot rows, float64 `[N, classes]`. @throws MeasureError for another shape or type, or too many classes */
function labelSide(labels: Tensor, name: FullSetMeasure, options: MeasureOptions, { rank }: FullSetOptions): Side {
  requireLabels(labels);
  return scope(() => {
    const [values, places] = unique(labels.to("int64"));
    const classes = values.numel;
    if (classes > rank) {
      throw new MeasureError(`expected at most rank = ${rank} different labels, got ${classes}; choose a larger rank`);
    }
    return prepared(oneHot(places, classes).to("float64"), name, options);
  });
}

/** Features that differ by less than this share of their size, and sums that leave less of theirs, are rounding. */
const ROUNDING = 1e-12;

function prepared(features: Tensor, name: FullSetMeasure, options: MeasureOptions): Side {
  return scope(() => {
    const moved = features.sub(features.narrow(0, 0, 1));
    if (largest(moved) <= ROUNDING * largest(features)) moved.zero_();
    moved.sub_(mean(moved, [0], { keepDim: true }));
    if (name !== "nhsic") requireSquarable(largest(moved) ** 2);
    return { features: moved, factor: name === "nhsic" ? ridgedFactor(moved, options.epsilon!) : null };
  });
}

/** A with A Aᵀ = Φᵀ Φ + ε N I. */
function ridgedFactor(features: Tensor, epsilon: number): Tensor {
  return scope(() => {
    const ridge = ridgeOf(epsilon, features.square().sum([1]));
    const products = features.t().matmul(features); // [r, r]
    try {
      return linalgCholesky(products.add_(identityLike(products).mul_(ridge)));
    } catch {
      throw new MeasureError(`the Gram matrix is not positive definite at epsilon ${epsilon}; use a larger epsilon`);
    }
  });
}

/** The measure of two sides. */
function between(name: FullSetMeasure, a: Side, b: Side, options: MeasureOptions): number {
  if (name === "nhsic") return normalisedProduct(a, b);
  const estimator = options.estimator!;
  if (name === "hsic") return hsicBetween(a, b, estimator);
  return alignment([hsicBetween(a, b, estimator), hsicBetween(a, a, estimator), hsicBetween(b, b, estimator)]);
}

/** ‖A_X⁻¹ Φ_Xᵀ Φ_Z A_Z⁻ᵀ‖². */
function normalisedProduct(a: Side, b: Side): number {
  return scope(() => {
    const left = linalgSolveTriangular(a.factor!, a.features.t().matmul(b.features), { upper: false });
    return linalgSolveTriangular(b.factor!, left.t(), { upper: false }).square().sum().item();
  });
}

function hsicBetween(a: Side, b: Side, estimator: HsicEstimator): number {
  return scope(() => {
    const count = a.features.size(0);
    const product = a.features.t().matmul(b.features).square().sum().item();
    if (estimator !== "unbiased") return product / hsicDivisor(estimator, count);
    const [c, d] = [a, b].map(({ features }) => features.square().sum([1])) as [Tensor, Tensor]; // diagonals
    const paired = c.mul(d).sum().item() * (count / (count - 2));
    const apart = (c.sum().item() * d.sum().item()) / ((count - 1) * (count - 2));
    const left = product - paired + apart;
    return Math.abs(left) <= ROUNDING * (product + paired + apart) ? 0 : left / hsicDivisor(estimator, count);
  });
}
