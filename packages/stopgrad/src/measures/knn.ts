// Separability by neighbourhoods: how often the nearest training samples of a representation have a sample's own class.
// Nothing is fitted, and no shape of the boundary between classes is assumed.
import {
  amax,
  amin,
  arange,
  cat,
  cumsum,
  diagonal,
  gather,
  logicalAnd,
  logicalOr,
  maskedFill_,
  matmul,
  mul,
  narrow,
  noGrad,
  scatterAdd_,
  scope,
  sort,
  sqrt,
  type Tensor,
  topk,
  where,
  zeros,
} from "@stopgrad/torch";
import { z } from "zod";
import { MeasureError, type ProbeMeasure } from "./measure.js";
import { checkFeatures, reduceFeatures, scored, standardise } from "./probe-features.js";

const options = z.strictObject({
  at: z.literal("end").default("end"),
  /** Training images used, the first ones; null for all. */
  train: z.int().positive().nullable().default(10_000),
  /** Neighbours that vote. */
  k: z.int().positive().default(20),
  /** `cosine`: 1 − cos of the angle between features; a row of zeros is at a right angle to everything. */
  distance: z.enum(["euclidean", "cosine"]).default("euclidean"),
  /** Whether features are standardised with the training split first, as for the other probes. */
  standardise: z.boolean().default(true),
});

type Settings = z.infer<typeof options>;

/** Samples that are classified at a time. */
const CLASSIFIED_AT_ONCE = 512;

/** Numbers in a block of training features that is converted to float64. */
const BLOCK = 4e6;

/** Squared distances below this part of the two squared norms are rounding: 0. */
const ROUNDING = 1e-12;

/**
 * Accuracy of the vote of the k nearest training samples, on the features of the linear probe: pooled by the same rule,
 * standardised with the training split (`standardise: false`: as they are).
 *
 * `train` is leave-one-out: a training sample is not its own neighbour, though its duplicates are. Each neighbour has one
 * vote. Of training samples at the same distance the first ones are taken; of classes with as many votes that of the
 * nearest neighbour among them wins (at the same distance, the first one's).
 *
 * Distances are inner products in float64, rounded to float32 of the largest squared norm, so that equal ones are equal.
 * Accuracies in [0, 1]; chance is the largest class' share at best. In many dimensions distances concentrate, and
 * accuracies fall below those of a linear probe.
 * Time O((N + M) N D), memory O(512 N) beside one copy of the features; no array `[N, M]`.
 * Source: Cover & Hart 1967; on frozen features with k = 20, arXiv 2104.14294 (with votes by similarity there).
 */
export const knn: ProbeMeasure = {
  summary: "k nearest neighbours at each stage: leave-one-out training and test accuracy of their vote",
  source: "Cover & Hart 1967 (protocol ours)",
  options,
  kind: "probe",
  sampled: false,
  key: "knn",
  trainingImages: (given) => options.parse(given).train,
  reduce: reduceFeatures,

  refused(given, { images }) {
    const { k } = options.parse(given);
    if (images === null || k < images) return null;
    return { option: "k", message: `expected fewer than the ${images} training images it is fitted on, got ${k}` };
  },

  fit(features, given, breathe) {
    const settings = options.parse(given);
    checkFeatures(features);
    const { trainLabels, testLabels, classes } = features;
    if (trainLabels.size(0) <= settings.k) {
      const count = trainLabels.size(0);
      throw new MeasureError(`expected more than k = ${settings.k} training samples, got ${count}; use a smaller k`);
    }
    return noGrad(() =>
      scope(() => {
        const { train, test } = settings.standardise ? standardise(features) : features;
        const neighbours = new Neighbours(train, trainLabels, classes, settings);
        const ofTest = scored(neighbours.classify(test, { breathe }).eq(testLabels));
        const ofTrain = scored(neighbours.classify(train, { leaveOut: true, breathe }).eq(trainLabels));
        return { train: ofTrain.accuracy, test: ofTest.accuracy, testCorrect: ofTest.correct };
      }),
    );
  },
};

interface Classification {
  /** The samples are the training samples, and none may vote for itself. */
  readonly leaveOut?: boolean;
  readonly breathe: (() => void) | undefined;
}

/** Training samples that can be asked for the class of others. */
class Neighbours {
  /** Training features in parts, views. */
  readonly #blocks: Tensor[];
  /** The largest squared norm of a training sample. */
  readonly #scale: number;

  constructor(
    train: Tensor,
    private readonly labels: Tensor,
    private readonly classes: number,
    private readonly settings: Settings,
  ) {
    this.#blocks = train.split(Math.max(1, Math.floor(BLOCK / train.size(1))));
    this.#scale = Math.max(...this.#blocks.map((block) => scope(() => amax(squaredNorms(this.#wide(block))).item())));
    if (!Number.isFinite(this.#scale)) {
      throw new MeasureError("expected features whose squared norm float64 can hold, got larger ones; rescale them");
    }
  }

  /** `[M, D]` → the class that wins the vote, int64 `[M]`. */
  classify(x: Tensor, { leaveOut = false, breathe }: Classification): Tensor {
    return scope(() => {
      let start = 0;
      const classes = x.split(CLASSIFIED_AT_ONCE).map((rows) => {
        breathe?.();
        const from = start;
        start += rows.size(0);
        return scope(() => {
          const distances = this.#distances(rows);
          if (leaveOut) diagonal(narrow(distances, 1, from, rows.size(0))).fill_(Number.POSITIVE_INFINITY);
          return this.#vote(this.#nearest(distances));
        });
      });
      return cat(classes, 0);
    });
  }

  /** Squared distances of rows `[c, D]` to all training samples, over the largest squared norm: float32 `[c, N]`. */
  #distances(rows: Tensor): Tensor {
    return scope(() => {
      const mine = this.#wide(rows);
      const norms = this.#norms(mine).unsqueeze(1); // [c, 1]
      const parts = this.#blocks.map((block) =>
        scope(() => {
          const theirs = this.#wide(block);
          const sum = norms.add(this.#norms(theirs)); // [c, B]
          const squared = matmul(mine, theirs.t()).mul_(-2).add_(sum);
          maskedFill_(squared, squared.le(sum.mul_(ROUNDING)), 0);
          return squared.div_(this.#scale || 1).to("float32");
        }),
      );
      return cat(parts, 1);
    });
  }

  /** In float64; for angles of length 1, where they are not 0. */
  #wide(rows: Tensor): Tensor {
    return scope(() => {
      const wide = rows.to("float64");
      if (this.settings.distance === "euclidean") return wide === rows ? wide.clone() : wide;
      const lengths = sqrt(squaredNorms(wide)).unsqueeze(1);
      return wide.div(maskedFill_(lengths, lengths.eq(0), 1));
    });
  }

  /** Squared norms `[n]` in distances; for angles 1 also of zeros, whose inner products are those of a right angle. */
  #norms(wide: Tensor): Tensor {
    const norms = squaredNorms(wide);
    return this.settings.distance === "euclidean" ? norms : norms.fill_(1);
  }

  /** Distances `[c, N]` → the classes of the k nearest, nearest first, of equally near ones the first: int64 `[c, k]`. */
  #nearest(distances: Tensor): Tensor {
    const { k } = this.settings;
    return scope(() => {
      const [ascending] = topk(distances, k, 1, { largest: false });
      const farthest = narrow(ascending, 1, k - 1, 1); // [c, 1]
      const nearer = distances.lt(farthest);
      const tied = distances.eq(farthest);
      const places = nearer.sum([1], { keepDim: true }).neg().add_(k); // for tied ones, [c, 1]
      const chosen = logicalOr(nearer, logicalAnd(tied, cumsum(tied, 1).le(places))); // k in each row
      const found = chosen.nonzero().select(1, 1).reshape([-1, k]); // ascending
      const [, order] = sort(gather(distances, 1, found), 1);
      return this.labels.indexSelect(0, gather(found, 1, order).flatten()).reshape([-1, k]);
    });
  }

  /** Classes of neighbours, nearest first, `[c, k]` → the class of the vote, `[c]`. */
  #vote(neighbours: Tensor): Tensor {
    const { k } = this.settings;
    return scope(() => {
      const counts = zeros([neighbours.size(0), this.classes], { dtype: "int64", device: neighbours.device });
      const one = zeros(neighbours.shape, { dtype: "int64", device: neighbours.device }).add_(1);
      const votes = gather(scatterAdd_(counts, 1, neighbours, one), 1, neighbours); // of each neighbour's class
      const wins = votes.eq(amax(votes, [1], { keepDim: true }));
      const place = arange(0, k, { device: neighbours.device });
      const first = amin(where(wins, place, k), [1], { keepDim: true }); // [c, 1]
      return gather(neighbours, 1, first).flatten();
    });
  }
}

function squaredNorms(rows: Tensor): Tensor {
  return scope(() => mul(rows, rows).sum([1]));
}
