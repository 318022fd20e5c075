// Mutual information by distances to nearest neighbours: no model and no bins, for few dimensions.
import {
  abs_,
  add_,
  eq,
  Generator,
  gather,
  indexSelect,
  lt,
  maskedFill_,
  maximum,
  ne,
  normal_,
  scope,
  sub,
  type Tensor,
  tensor,
  topk,
  zeros,
} from "@stopgrad/torch";
import { z } from "zod";
import { type Finding, MeasureError, type SampleMeasure } from "../measure.js";
import { estimatePairs, meanOf, pairKeys, pairsOption, refusedInput, requireFew, usualPairs } from "./pairs.js";
import type { Classes, View } from "./views.js";

const options = z.strictObject({
  pairs: pairsOption,
  /** Neighbours: fewer have less bias, more have less variance. */
  k: z.int().positive().default(3),
  /** More features than this of the input or the representation are refused. */
  largestDimension: z.int().positive().default(20),
  /** Deviation of the noise added to standardised values, so that no two samples coincide; 0: they are refused. */
  jitter: z.number().nonnegative().max(0.1).default(1e-10),
  /** Of the noise. */
  seed: z.int().nonnegative().default(0),
});

/** Numbers in a block of distances: 32 MB. */
const BLOCK = 2 ** 22;

/**
 * Mutual information, nats, from how far each sample's k-th neighbour is and how many samples are as near in one variable
 * alone (ψ: digamma; distances by the maximum over features, each of deviation 1):
 *
 *   I(X;Z) = ψ(k) + ψ(N) − ⟨ψ(n_x + 1) + ψ(n_z + 1)⟩    n: samples nearer in x (z) than the k-th neighbour in (x, z)
 *   I(Y;Z) = ψ(N) + ⟨ψ(k_i) − ψ(N_y) − ψ(m_i)⟩          m: samples nearer in z than the k-th of the same class, and itself
 *
 * A class with no more than k samples uses all its others, k_i = N_y − 1; a class of one sample is left out.
 *
 * Range: no limits; below 0 by chance where there is little. At most about ψ(N) − 1 / k can be found. Bias: small in one
 * to three dimensions; downwards with dimension and strength, as neighbours are then as far apart as everything else: at
 * 10 dimensions half of 4 nats is lost (`stopgrad calibrate` shows where). That is why more than `largestDimension`
 * features are refused. Samples that coincide, as behind ReLU, have neighbours at no distance: seeded noise of `jitter`
 * deviations tells them apart, and leaves estimates of continuous data as they are. Terms: of each sample; they share
 * neighbours, so that an interval from them is somewhat narrow.
 * Cost: O(N² (D_x + D_z)) time; memory: N · (D_x + D_z) and a few blocks of 4 million float64 numbers.
 * Source: Kraskov, Stögbauer & Grassberger 2004, arXiv cond-mat/0305641, eq. 8; labels: Ross 2014,
 * doi 10.1371/journal.pone.0087357.
 * @throws MeasureError beside the usual for k not below the number of samples, and for more features than that
 */
export const ksg: SampleMeasure = {
  summary: "mutual information with input and labels by nearest neighbours (KSG), in nats; for few dimensions",
  source: "Kraskov, Stögbauer & Grassberger 2004, arXiv cond-mat/0305641; Ross 2014, doi 10.1371/journal.pone.0087357",
  options,
  kind: "sample",
  sampled: false,
  needs: [],
  smallestSample: 3,
  keys: pairKeys("ksg", "nearest neighbours"),

  usual: (given, { dimensions }) => usualPairs(options.parse(given), dimensions),

  refused(given, { images, dimensions }) {
    const settings = options.parse(given);
    const { k } = settings;
    if (images === null || k < images) return refusedInput(settings, dimensions);
    return { option: "k", message: `expected fewer than the ${images} images, got ${k}` };
  },

  measure(sample, given) {
    const settings = options.parse(given);
    const { k, largestDimension, jitter } = settings;
    using generator = new Generator(settings.seed);
    const columns = (view: View) => {
      requireFew(view, largestDimension, "ksg");
      if (k >= view.count) throw new MeasureError(`ksg: expected more than k = ${k} samples, got ${view.count}`);
      return columnsOf(view, jitter, generator);
    };
    return estimatePairs(
      {
        name: "ksg",
        smallestSample: 3,
        input: (x, z) => meanOf(continuousTerms(columns(x), columns(z), k)),
        labels: (y, z) => labelled(y, columns(z), k),
      },
      sample,
      settings.pairs,
    );
  },
};

/** Standardised features with noise, each contiguous: float64 `[D, N]`. */
function columnsOf(view: View, jitter: number, generator: Generator): Tensor {
  return scope(() => {
    const rows = view.precise();
    if (jitter === 0) return rows.t().contiguous();
    const noise = normal_(zeros([...rows.shape], { dtype: "float64" }), 0, jitter, generator);
    return add_(rows, noise.to({ device: rows.device }))
      .t()
      .contiguous();
  });
}

/** KSG's first estimate as a mean of these: one of each sample. */
function continuousTerms(x: Tensor, z: Tensor, k: number): Float64Array {
  const count = x.size(1);
  return scope(() => {
    const psi = digammas(count, x.device);
    const terms = new Float64Array(count);
    inBlocks(count, (start, length) => {
      const [ofX, ofZ] = [distances(x, start, length), distances(z, start, length)]; // [length, N]
      const [nearest] = topk(maximum(ofX, ofZ), k + 1, 1, { largest: false }); // itself first, at 0
      const radius = nearest.narrow(1, k, 1); // [length, 1]
      requireApart(radius);
      // Itself is counted, which is the 1 of n + 1.
      const alone = psiOf(psi, lt(ofX, radius)).add(psiOf(psi, lt(ofZ, radius)));
      terms.set(
        alone
          .neg()
          .add(psi.select(0, k).add(psi.select(0, count)))
          .toNumbers(),
        start,
      );
    });
    return terms;
  });
}

/** Ross's estimate; classes of one sample left out. */
function labelled(y: Classes, all: Tensor, k: number): Finding {
  return scope(() => {
    const names = y.labels.toNumbers();
    const kept = names.flatMap((label, at) => (y.sizes[label]! > 1 ? [at] : []));
    if (kept.length === 0) throw new MeasureError("ksg: expected a class with at least two samples, got none");
    const index = tensor(BigInt64Array.from(kept, BigInt)).to({ device: all.device });
    const [z, labels] = [indexSelect(all, 1, index).contiguous(), indexSelect(y.labels, 0, index)];
    const count = kept.length;
    const psi = digammas(count, z.device);
    const sizes = indexSelect(tensor(BigInt64Array.from(y.sizes, BigInt)).to({ device: z.device }), 0, labels); // [N]
    const neighbours = sizes.sub(1).clamp(null, k); // k_i
    const most = Math.min(k, count - 1);
    const terms = new Float64Array(count);
    inBlocks(count, (start, length) => {
      const [own, ks, ofClass] = [labels, neighbours, sizes].map((values) => values.narrow(0, start, length)) as [
        Tensor,
        Tensor,
        Tensor,
      ];
      const ofZ = distances(z, start, length); // [length, N]
      const elsewhere = ne(own.unsqueeze(1), labels.unsqueeze(0));
      const [nearest] = topk(maskedFill_(ofZ.clone(), elsewhere, Number.POSITIVE_INFINITY), most + 1, 1, {
        largest: false,
      });
      const radius = gather(nearest, 1, ks.unsqueeze(1)); // [length, 1]
      requireApart(radius);
      const term = indexSelect(psi, 0, ks)
        .sub(indexSelect(psi, 0, ofClass))
        .sub(psiOf(psi, lt(ofZ, radius)))
        .add(psi.select(0, count));
      terms.set(term.toNumbers(), start);
    });
    return meanOf(terms);
  });
}

/** Calls `body` for blocks of samples whose distances to all samples are `BLOCK` numbers at most, in a scope each. */
function inBlocks(count: number, body: (start: number, length: number) => void): void {
  const size = Math.max(1, Math.floor(BLOCK / count));
  for (let start = 0; start < count; start += size) scope(() => body(start, Math.min(size, count - start)));
}

/** Largest difference over features between samples of a block and all samples: `[D, N]` → `[length, N]`. */
function distances(columns: Tensor, start: number, length: number): Tensor {
  return scope(() => {
    const ofFeature = (feature: number) => {
      const values = columns.select(0, feature);
      return abs_(sub(values.narrow(0, start, length).unsqueeze(1), values.unsqueeze(0)));
    };
    let largest = ofFeature(0);
    for (let feature = 1; feature < columns.size(0); feature++) {
      const next = scope(() => maximum(largest, ofFeature(feature)));
      largest.dispose();
      largest = next;
    }
    return largest;
  });
}

function requireApart(radius: Tensor): void {
  if (scope(() => eq(radius, 0).any().item()) === 0) return;
  throw new MeasureError(
    "ksg: more than k samples coincide, so that their neighbours are at no distance: give a jitter above 0, or take binning",
  );
}

/** ψ(0) = NaN, ψ(1), …, ψ(N) by ψ(n + 1) = ψ(n) + 1 / n: float64 `[N + 1]`. */
function digammas(count: number, device: string): Tensor {
  const values = new Float64Array(count + 1).fill(Number.NaN);
  values[1] = -EULER;
  for (let n = 1; n < count; n++) values[n + 1] = values[n]! + 1 / n;
  return scope(() => tensor(values).to({ device }));
}

const EULER = 0.577_215_664_901_532_9;

/** ψ of how many are true in each row. */
function psiOf(psi: Tensor, isNearer: Tensor): Tensor {
  return indexSelect(psi, 0, isNearer.sum([1]));
}
