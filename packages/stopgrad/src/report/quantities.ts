// What every quantity that is measured of a stage is, in one line, with its unit, and which belong together. Titles of panels
// and columns, axes and explanations on the page are made from here; measures that are not in it are shown under their key.
import type { Interval } from "../statistics/index.js";
import { capital, inWords } from "./measure-names.js";

/** A number of a stage. */
export interface Quantity {
  /** As it is drawn and printed; null where it has none. */
  readonly unit: string | null;
  /** What it is: completes `NAME: …`, without a full stop. */
  readonly says: string;
  /** Stored as a fraction of 1, shown in percent. */
  readonly isShare?: true;
}

/** Quantities of one kind, with a heading of their own. */
export interface Family {
  /** Kebab-case, for names of files. */
  readonly name: string;
  readonly title: string;
  readonly quantities: Readonly<Record<string, Quantity>>;
}

const plain = (says: string): Quantity => ({ unit: null, says });
const nats = (says: string): Quantity => ({ unit: "nats", says });
const percent = (says: string): Quantity => ({ unit: "%", says, isShare: true });

/** The estimates of one estimator of mutual information. */
function estimates(name: string, how: string): Record<string, Quantity> {
  return {
    [`${name}XZ`]: nats(`mutual information of input and stage, ${how}`),
    [`${name}YZ`]: nats(`mutual information of label and stage, ${how}`),
  };
}

/** In the order of the report. */
export const families = [
  {
    name: "dependence",
    title: "Dependence on input and label",
    quantities: {
      hsicXZ: plain(
        "HSIC of input and stage, 0 where they are independent; its size depends on the kernel and the batch",
      ),
      hsicYZ: plain(
        "HSIC of label and stage, 0 where they are independent; its size depends on the kernel and the batch",
      ),
      ckaXZ: plain("HSIC of input and stage over the root of what each has with itself, in [0, 1]"),
      ckaYZ: plain("HSIC of label and stage over the root of what each has with itself, in [0, 1]"),
    },
  },
  {
    name: "probes",
    title: "Probes",
    quantities: {
      mlpProbeTrain: percent(
        "accuracy of a classifier with a hidden layer on the stage's output, on the images it was fitted to",
      ),
      mlpProbeTest: percent("the same on test images"),
      knnTrain: percent(
        "accuracy of a vote of the nearest training images at the stage's output, a training image itself left out",
      ),
      knnTest: percent("the same for test images"),
    },
  },
  {
    name: "entanglement",
    title: "Entanglement of the classes",
    quantities: {
      snn: nats(
        "soft nearest neighbour loss: how little near samples tell of the class; high where classes are entangled",
      ),
      skipped: { unit: "samples", says: "samples alone in their class, which the loss leaves out" },
      entropyLimit: nats("log of the number of classes: the loss where classes cannot be told apart"),
      L: nats(
        "the loss of infinitely many samples, log C − E log P + E log A, where P is a sample's mean kernel with its own class, A with all",
      ),
      Lbar: nats("L with the logarithms of means in place of the means of logarithms, log C − log E P + log E A"),
      J: nats("Jensen gap log E A − E log A of the mean kernel, at least 0: what the paper's form of the bound drops"),
      populationHsic: plain("HSIC of the stage with the label, all classes weighing the same; at least 0"),
      smallestKernel: plain(
        "smallest kernel value c of two samples, in [0, 1]; the bound says little where it is small",
      ),
      bound: nats("what L is not below by theorem 4 of arXiv 2402.09050: log C − (C/c) HSIC for C classes"),
      slack: nats("L + J − bound, never below 0: by how much the bound that holds always holds"),
      margin: nats("L − bound: the paper's form, which may fail by at most J"),
    },
  },
  {
    name: "geometry",
    title: "Geometry",
    quantities: {
      withinVariance: {
        unit: "squared units",
        says: "variance of samples about their class's mean, in squared units of the features",
      },
      betweenVariance: {
        unit: "squared units",
        says: "variance of the class means about their mean, in squared units of the features",
      },
      nc1: plain(
        "variance within classes in units of that between them, over the number of classes; 0 when every class is a point",
      ),
      nc2Norms: plain("spread of the class means' distances from their mean, over the mean distance; 0 for a simplex"),
      nc2Angles: plain("mean deviation of the class means' cosines from a simplex's −1/(C − 1); 0 for a simplex"),
      meanCosine: plain("mean cosine of the angle between two class means; −1/(C − 1) for a simplex"),
      effectiveRank: { unit: "directions", says: "exponential of the entropy of the features' singular values" },
      participationRatio: {
        unit: "directions",
        says: "squared sum over sum of squares of the features' variances along their principal directions",
      },
      intrinsicDimension: {
        unit: "dimensions",
        says: "dimension near a sample, from how far its two nearest neighbours are",
      },
      alignment: plain(
        "mean squared distance on the unit sphere of two samples of a class, in [0, 4]; lower is closer",
      ),
      uniformity: plain(
        "log of the mean Gaussian kernel of two samples on the unit sphere, at most 0; lower is more evenly spread",
      ),
    },
  },
  {
    name: "mutual-information",
    title: "Mutual information",
    quantities: {
      labelBound: nats(
        "label entropy less the cross-entropy of a linear classifier: a lower bound of the information on the label; below 0 it says nothing",
      ),
      ...estimates("mine", "a lower bound by a trained critic (MINE)"),
      ...estimates("infoNce", "a lower bound by a contrastive critic (InfoNCE)"),
      infoNceCap: nats("log of the batch: the most that InfoNCE can find"),
      ...estimates("ksg", "by distances to nearest neighbours (Kraskov, Stögbauer, Grassberger); for few features"),
      ...estimates("binning", "by counting in bins; for few features"),
    },
  },
] as const satisfies readonly Family[];

/** Measures that this table does not know, of a later version or a user's own. */
export const otherFamily = { name: "other", title: "Further measures" } as const;

/** Names of files of charts and tables of which there is one a family. */
export const familyFiles: readonly `measures-${FamilyName}`[] = [...families, otherFamily].map(
  ({ name }) => `measures-${name}` as const,
);

export type FamilyName = (typeof families)[number]["name"] | (typeof otherFamily)["name"];

/** What is shown in sections of their own: linear probes, and label and image by trained networks. */
const elsewhere: Readonly<Record<string, Quantity>> = {
  probeTrain: percent("accuracy of a linear classifier on the stage's output, on the images it was fitted to"),
  probeTest: percent("the same on test images"),
  informationY: nats(
    "label entropy less the cross-entropy of a small classifier on the stage's output, on test images: a lower bound",
  ),
  informationAccuracy: percent("test accuracy of that classifier"),
  reconstructionError: nats(
    "error of a small decoder that paints the image from the stage's output: binary cross-entropy for each pixel and channel",
  ),
};

const known: ReadonlyMap<string, Quantity> = new Map([
  ...families.flatMap(({ quantities }) => Object.entries<Quantity>(quantities)),
  ...Object.entries(elsewhere),
]);

const unknown: Quantity = { unit: null, says: "" };

/** A quantity by its key; without unit and words where it is not known. */
export function quantityOf(key: string): Quantity {
  return known.get(key) ?? unknown;
}

/** The family that a key belongs to. */
export function familyOf(key: string): FamilyName {
  return families.find(({ quantities }) => Object.hasOwn(quantities, key))?.name ?? otherFamily.name;
}

/** `effectiveRank` → `Effective rank (directions)`. */
export function titleWithUnit(key: string): string {
  const { unit } = quantityOf(key);
  return unit === null ? capital(inWords(key)) : `${capital(inWords(key))} (${unit})`;
}

/** By what a stored value is multiplied to be shown, and what it can be then. */
export function scaleOf(key: string): { times: number; possible: Interval } {
  if (quantityOf(key).isShare) return { times: 100, possible: [0, 100] };
  return { times: 1, possible: [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY] };
}
