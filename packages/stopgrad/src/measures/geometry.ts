// How a representation is laid out: spread within and between classes, the class means' simplex, the directions it fills,
// its dimension near each sample, and how samples lie on the sphere.
import { noGrad, scope } from "@stopgrad/torch";
import { z } from "zod";
import { SpherePairs } from "./geometry/alignment.js";
import { classesOf } from "./geometry/classes.js";
import { effectiveRank } from "./geometry/effective-rank.js";
import { NeighbourRatios, twoNearestNeighbours } from "./geometry/intrinsic-dimension.js";
import { neuralCollapse } from "./geometry/neural-collapse.js";
import { CentredRows } from "./geometry/products.js";
import type { SampleMeasure } from "./measure.js";

const options = z.strictObject({
  /** Intrinsic dimension: the part of the samples, those with the largest ratios, that the fit leaves out. */
  discard: z.number().min(0).lt(1).default(0.1),
  /** Uniformity: t. */
  uniformityRate: z.number().positive().default(2),
});

/**
 * Of features z `[N, …]`, flattened to `[N, D]`, with labels of C ≥ 2 classes. In the first three lines all classes weigh
 * the same, whatever their sizes (`geometry/classes.ts`); μ is the mean of the class means μ_c.
 *
 * - `withinVariance`, `betweenVariance`: tr Σ_W and tr Σ_B, at least 0, in squared units of the features; their sum is the
 *   total variance. Σ_W divides by N_c: of few samples it is low by (N_c − 1)/N_c, of a class of one sample it is 0.
 * - `nc1` = tr(Σ_W Σ_B⁺) / C, at least 0, no unit; 0 when every class is a point. NaN when all class means are equal.
 * - `nc2Norms`: deviation (over C) by mean of ‖μ_c − μ‖. `nc2Angles`: mean of |cos + 1/(C − 1)| over pairs of classes;
 *   `meanCosine`: mean of cos. A simplex has 0, 0 and −1/(C − 1); two classes always have. NaN when all class means are
 *   equal, the angles also when one class mean is μ.
 * - `effectiveRank`, `participationRatio`: of the centred features, in [1, min(N − 1, D)]; NaN when they do not vary.
 * - `intrinsicDimension`: of the two nearest neighbours, above 0. It is low in many dimensions: about 9.5 for a cube of 10
 *   and 2,000 samples, 16 for one of 20. Samples that coincide count once; NaN for fewer than three distinct ones, or when
 *   both neighbours are always equally far. At a scale below that of noise it is the noise's dimension.
 * - `alignment` in [0, 4] and `uniformity` in [−4 t, 0], both lower when better: of z / ‖z‖, with positive pairs of the
 *   same class. Every sample weighs the same. NaN when no class has two samples, or no two samples a length.
 *
 * Everything is float64 inside. Features are converted a slice at a time: beside them there are `[N, N]` where D ≥ N, `[D, D]`
 * where D < N, `[N, C]`, slices and blocks of together less than 1 GB. Time O(N² D + min(N, D)³); the last term, of the
 * singular values, is minutes for 10,000 samples of more features.
 *
 * Source: Papyan et al. 2020; Roy & Vetterli 2007; Facco et al. 2017; Wang & Isola 2020.
 */
export const geometry: SampleMeasure = {
  summary:
    "within- and between-class variance, neural collapse, effective rank, intrinsic dimension, alignment, uniformity",
  source: "Papyan et al. 2020; Roy & Vetterli 2007; Facco et al. 2017; Wang & Isola 2020",
  options,
  kind: "sample",
  sampled: false,
  needs: ["labels"],
  smallestSample: 2,
  keys: [
    { key: "withinVariance", title: "variance within classes" },
    { key: "betweenVariance", title: "variance between class means" },
    { key: "nc1", title: "NC1: within-class over between-class scatter" },
    { key: "nc2Norms", title: "NC2: variation of the class means' norms" },
    { key: "nc2Angles", title: "NC2: deviation of the class means' cosines from a simplex" },
    { key: "meanCosine", title: "mean cosine of two class means" },
    { key: "effectiveRank", title: "effective rank of the features" },
    { key: "participationRatio", title: "participation ratio of the features' variances" },
    { key: "intrinsicDimension", title: "intrinsic dimension by two nearest neighbours" },
    { key: "alignment", title: "alignment: squared distance on the sphere within a class" },
    { key: "uniformity", title: "uniformity: log mean Gaussian potential on the sphere" },
  ],

  measure(sample, given) {
    const { discard, uniformityRate } = options.parse(given);
    return noGrad(() =>
      scope(() => {
        const rows = new CentredRows(sample.z);
        const classes = classesOf(sample.labels, rows.count);
        const collapse = neuralCollapse(rows, classes);
        const neighbours = new NeighbourRatios(rows);
        const sphere = new SpherePairs(rows, classes, uniformityRate);
        rows.eachBlock((products, start) => {
          neighbours.add(rows.squaredDistances(products, start), start);
          sphere.add(products, start);
        });
        const rank = effectiveRank(rows);
        const { alignment, alignmentTerms, uniformity } = sphere.result();
        return {
          withinVariance: { value: collapse.withinVariance, terms: collapse.withinTerms },
          betweenVariance: { value: collapse.betweenVariance },
          nc1: { value: collapse.nc1 },
          nc2Norms: { value: collapse.nc2Norms },
          nc2Angles: { value: collapse.nc2Angles },
          meanCosine: { value: collapse.meanCosine },
          effectiveRank: { value: rank.effectiveRank },
          participationRatio: { value: rank.participationRatio },
          intrinsicDimension: { value: twoNearestNeighbours(neighbours.logarithms(), discard) },
          alignment: { value: alignment, ...(alignmentTerms ? { terms: alignmentTerms } : {}) },
          uniformity: { value: uniformity },
        };
      }),
    );
  },
};
