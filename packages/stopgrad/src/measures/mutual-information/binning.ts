// Mutual information by counting: values are rounded to bins, and what is left is discrete.
import { amax, amin, bincount, scope, type Tensor, unique } from "@stopgrad/torch";
import { z } from "zod";
import type { Finding, SampleMeasure } from "../measure.js";
import { estimatePairs, meanOf, pairKeys, pairsOption, refusedInput, requireFew, usualPairs } from "./pairs.js";
import type { View } from "./views.js";

const options = z.strictObject({
  pairs: pairsOption,
  /** Of each feature. */
  bins: z.int().min(2).default(10),
  /** `width`: equal parts of a feature's range. `mass`: as nearly equal numbers of samples as equal values allow. */
  equal: z.enum(["width", "mass"]).default("mass"),
  correction: z.enum(["none", "miller-madow"]).default("none"),
  /** More features than this of the input or the representation are refused. */
  largestDimension: z.int().positive().default(20),
});

/**
 * Mutual information, nats, of what is left when every feature is rounded to one of `bins` bins; a sample's bins of all
 * features together are its code:
 *
 *   I(X;Z) = Σ p(c_x, c_z) log( p(c_x, c_z) / (p(c_x) p(c_z)) )    p: how often the codes came
 *
 * `miller-madow` takes (K_xz − K_x − K_z + 1) / 2N from it, K the codes that came: the first term of the bias.
 *
 * Range: 0 to min(H(C_x), H(C_z)) ≤ log N without correction; with it also below 0. Bias: two, against each other.
 * Rounding loses information (downwards; at strength). Few samples for many codes make up information (upwards, about
 * K_xz / 2N): bins^(D_x + D_z) codes must be few against N, so that in many dimensions every sample has a code of its own
 * and the value is log N for X and H(Y) for labels, whatever the data; that is why more than `largestDimension` features
 * are refused, and even a few are too many (`stopgrad calibrate` shows where). On deterministic networks the value tells
 * of the bins, not of information (arXiv 1810.05728). Terms: of each sample; without the correction.
 * Cost: O((D_x + D_z) N log N) time, memory of a few numbers a sample and N · D. Source: the plug-in estimate, as in
 * arXiv 1703.00810; correction: Miller 1955; its use for this: Paninski 2003, doi 10.1162/089976603321780272.
 */
export const binning: SampleMeasure = {
  summary: "mutual information with input and labels by counting in bins, in nats; for very few dimensions",
  source: "plug-in estimate, as in arXiv 1703.00810; correction: Miller 1955, Paninski 2003",
  options,
  kind: "sample",
  sampled: false,
  needs: [],
  smallestSample: 2,
  keys: pairKeys("binning", "counting in bins"),

  usual: (given, { dimensions }) => usualPairs(options.parse(given), dimensions),

  refused: (given, { dimensions }) => refusedInput(options.parse(given), dimensions),

  measure(sample, given) {
    const { pairs, bins, equal, correction, largestDimension } = options.parse(given);
    const codes = (view: View) => {
      requireFew(view, largestDimension, "binning");
      return codesOf(view, bins, equal);
    };
    const estimate = (a: Tensor, b: Tensor) => counted(a, b, correction === "miller-madow");
    return estimatePairs(
      {
        name: "binning",
        smallestSample: 2,
        input: (x, z) => estimate(codes(x), codes(z)),
        labels: (y, z) => estimate(distinct(y.labels), codes(z)),
      },
      sample,
      pairs,
    );
  },
};

/** What samples become when each feature is rounded to its bin: int64 `[N]`, numbered from 0 without gaps. */
function codesOf(view: View, bins: number, equal: "width" | "mass"): Tensor {
  return scope(() => {
    const rows = view.precise();
    const ofFeature = (feature: number) => {
      const values = rows.select(1, feature);
      return equal === "width" ? byWidth(values, bins) : byMass(values, bins);
    };
    let codes = distinct(ofFeature(0));
    // Codes are below N and bins few: their product is far from where int64 ends.
    for (let feature = 1; feature < view.features; feature++) codes = joined(codes, ofFeature(feature), bins);
    return codes;
  });
}

/** Equal parts of the range; of a feature that does not vary the first. */
function byWidth(values: Tensor, bins: number): Tensor {
  return scope(() => {
    const lowest = amin(values).item();
    const range = amax(values).item() - lowest;
    if (range === 0) return values.mul(0).to("int64");
    return values
      .sub(lowest)
      .mul(bins / range)
      .floor()
      .clamp(0, bins - 1)
      .to("int64");
  });
}

/** By the rank of the first of equal values, so that equal values share a bin. */
function byMass(values: Tensor, bins: number): Tensor {
  return scope(() => {
    const [, inverse, counts] = unique(values);
    const first = counts.cumsum(0).sub(counts); // values that are lower
    return first.indexSelect(0, inverse).mul(bins).floorDivide(values.size(0));
  });
}

/** One code for two: int64 `[N]` from 0 without gaps. */
function joined(a: Tensor, b: Tensor, ofB: number): Tensor {
  return scope(() => distinct(a.mul(ofB).add(b)));
}

function distinct(codes: Tensor): Tensor {
  return scope(() => unique(codes)[1]);
}

/** The plug-in estimate from two codes of each sample. */
function counted(a: Tensor, b: Tensor, corrected: boolean): Finding {
  return scope(() => {
    const count = a.size(0);
    const both = joined(a, b, amax(b).item() + 1);
    const sizes = [both, a, b].map((codes) => bincount(codes));
    const [together, ofA, ofB] = [both, a, b].map((codes, at) =>
      sizes[at]!.indexSelect(0, codes).to("float64").log(),
    ) as [Tensor, Tensor, Tensor];
    const terms = Float64Array.from(together.sub(ofA).sub(ofB).add(Math.log(count)).toNumbers());
    const plain = meanOf(terms);
    if (!corrected) return plain;
    const [occupied, inA, inB] = sizes.map((size) => size.size(0)) as [number, number, number];
    return { value: plain.value - (occupied - inA - inB + 1) / (2 * count) };
  });
}
