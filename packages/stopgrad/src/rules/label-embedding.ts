// How Forward-Forward writes a label into an image (arXiv 2402.09050, appendix; arXiv 2212.13345 for the first way): into
// its first pixels, or by an image that stands for the class, its prototype, which is subtracted, mixed in or laid beside
// it as further channels.
//
// A whole batch at a time: with G groups of labels for N images there are G · N rows, group by group. Letters as
// everywhere: N batch, C channels, K classes; `[N, …]` is an image or a feature.
import {
  arange,
  cat,
  eye,
  full,
  type Generator,
  keep,
  noGrad,
  oneHot,
  ones,
  rand,
  randint,
  randperm,
  scope,
  type Tensor,
  tensor,
  zeros,
} from "@stopgrad/torch";
import { normalise, slice } from "../data/loader.js";
import type { TrainingData } from "./rule.js";

export const labelEmbeddings = [
  "top-left",
  "average-subtraction",
  "average-mixture",
  "average-2channel",
  "fixed-example-subtraction",
  "fixed-example-mixture",
  "fixed-example-2channel",
  "random-example-subtraction",
  "random-example-mixture",
  "random-example-2channel",
] as const;
export type LabelEmbeddingName = (typeof labelEmbeddings)[number];

export const negativeChoices = ["wrong", "permuted"] as const;
export type NegativeChoice = (typeof negativeChoices)[number];

type Prototype = "average" | "fixed-example" | "random-example";
type Mixture = "subtraction" | "mixture" | "2channel";

/** What is mixed into images for labels. */
export interface LabelImages {
  /** `[R, …]`: prototypes, or rows of pixels `[R, K]`. They may go through a network's blocks as images do. */
  readonly rows: Tensor;
  /** int64 `[G, N]`, or `[G, 1]` where every image gets the same: which row stands for each image in each group. */
  readonly which: Tensor;
}

/** One way to write labels into images. It knows the training images, and keeps what it needs of them. */
export interface LabelEmbedding {
  /**
   * For training on a batch: images `[N, C, H, W]`, labels int64 `[G, N]`. Takes draws from the rule's generator where
   * prototypes are random.
   */
  forStep(images: Tensor, labels: Tensor): LabelImages;
  /** Every class for every image, G = K: always the same, whatever the batch. */
  forPrediction(): LabelImages;
  /** No class more than another, G = 1. */
  neutral(): LabelImages;
  /** Images or features `[N, …]` with labels in them, `[G·N, …]`. */
  mix(images: Tensor, labels: LabelImages): Tensor;
  dispose(): void;
}

export interface LabelEmbeddingContext {
  readonly training: TrainingData;
  readonly classes: number;
  /** Draws of random prototypes. */
  readonly generator: Generator;
}

/** Whether a way mixes with a prototype of the image's own shape, so that features can be mixed in the same way. */
export function mixesFeatures(name: LabelEmbeddingName): boolean {
  return name !== "top-left" && partsOf(name).mixture !== "2channel";
}

/** `[C, H, W]` of images → of what a network gets: twice the channels where the prototype lies beside the image. */
export function embeddedShape(name: LabelEmbeddingName, [channels, ...sides]: readonly number[]): number[] {
  return [name.endsWith("2channel") ? 2 * channels! : channels!, ...sides];
}

/**
 * Looks through the training images once, for all ways but random examples.
 * @throws Error for a class without a training image, or an image with fewer pixels than there are classes
 */
export function createLabelEmbedding(name: LabelEmbeddingName, context: LabelEmbeddingContext): LabelEmbedding {
  return noGrad(() =>
    name === "top-left" ? new PixelLabels(context) : new PrototypeLabels(...valuesOf(partsOf(name)), context),
  );
}

/**
 * Labels of negative images, int64 `[N]`, on the labels' device. `wrong`: one of the other classes, each as likely.
 * `permuted`: the batch's labels in random order, of which 1/K are right on average where classes are balanced.
 * @param generator - of the CPU: the same draws on every device
 */
export function negativeLabels(labels: Tensor, classes: number, choice: NegativeChoice, generator: Generator): Tensor {
  return scope(() => {
    const count = labels.size(0);
    const draws = choice === "wrong" ? randint(1, classes, [count], { generator }) : randperm(count, { generator });
    const there = draws.toDevice(labels.device);
    return choice === "wrong" ? labels.add(there).remainder(classes) : labels.indexSelect(0, there);
  });
}

/** `average-mixture` → `average`, `mixture`. */
function partsOf(name: Exclude<LabelEmbeddingName, "top-left">): { prototype: Prototype; mixture: Mixture } {
  const at = name.lastIndexOf("-");
  return { prototype: name.slice(0, at) as Prototype, mixture: name.slice(at + 1) as Mixture };
}

function valuesOf({ prototype, mixture }: ReturnType<typeof partsOf>): [Prototype, Mixture] {
  return [prototype, mixture];
}

/**
 * The first K pixels of every channel are 0, but for the label's, which is as bright as the brightest of the batch. At
 * prediction it is as bright as the brightest of the training images, which a batch's nearly always is: what is predicted
 * must not depend on what else is in a batch.
 */
class PixelLabels implements LabelEmbedding {
  readonly #classes: number;
  /** One-hot, `[K, K]`. */
  readonly #codes: Tensor;
  readonly #brightest: Tensor;

  constructor({ training, classes }: LabelEmbeddingContext) {
    const { images } = training.set;
    const pixels = images.size(2) * images.size(3);
    if (pixels < classes) {
      throw new Error(
        `top-left needs a pixel for each of ${classes} classes, got images of ${images.size(2)}x${images.size(3)}`,
      );
    }
    this.#classes = classes;
    this.#codes = keep(eye(classes, { device: training.set.labels.device }));
    this.#brightest = keep(scope(() => brightestOf(training)));
  }

  forStep(images: Tensor, labels: Tensor): LabelImages {
    return { rows: scope(() => this.#codes.mul(images.amax())), which: labels };
  }

  forPrediction(): LabelImages {
    return scope(() => ({ rows: this.#codes.mul(this.#brightest), which: everyClass(this.#codes) }));
  }

  neutral(): LabelImages {
    const { device } = this.#codes;
    return scope(() => ({
      rows: full([1, this.#classes], 1 / this.#classes, { device }).mul(this.#brightest),
      which: zeros([1, 1], { dtype: "int64", device }),
    }));
  }

  mix(images: Tensor, labels: LabelImages): Tensor {
    return scope(() => {
      const groups = labels.which.size(0);
      const written = images.repeat([groups, ...images.shape.slice(1).map(() => 1)]); // [G·N, C, H, W]
      const pixels = chosen(labels, images.size(0)).flatten(0, 1); // [G·N, K]
      written.flatten(2).narrow(2, 0, this.#classes).copy_(pixels.unsqueeze(1));
      return written;
    });
  }

  dispose(): void {
    this.#codes.dispose();
    this.#brightest.dispose();
  }
}

/**
 * Each class has an image that stands for it: the mean of its training images, the first of them, or in training a random
 * one for each image and step. Random ones would make predictions depend on a generator; the first stands for the class
 * there.
 */
class PrototypeLabels implements LabelEmbedding {
  /** `[K, C, H, W]`, normalised. */
  readonly #prototypes: Tensor;
  /** Null unless prototypes are random. */
  readonly #examples: ExamplesByClass | null = null;

  constructor(
    prototype: Prototype,
    private readonly mixture: Mixture,
    context: LabelEmbeddingContext,
  ) {
    const examples = new ExamplesByClass(context);
    this.#prototypes = keep(prototype === "average" ? classMeans(context.training, context.classes) : examples.first());
    if (prototype === "random-example") this.#examples = examples;
    else examples.dispose();
  }

  forStep(_: Tensor, labels: Tensor): LabelImages {
    if (!this.#examples) return { rows: this.#prototypes, which: labels };
    return scope(() => {
      const drawn = this.#examples!.draw(labels.flatten());
      return { rows: drawn, which: arange(0, labels.numel, { device: labels.device }).view(labels.shape) };
    });
  }

  forPrediction(): LabelImages {
    return { rows: this.#prototypes, which: everyClass(this.#prototypes) };
  }

  neutral(): LabelImages {
    return scope(() => ({
      rows: this.#prototypes.mean([0], { keepDim: true }),
      which: zeros([1, 1], { dtype: "int64", device: this.#prototypes.device }),
    }));
  }

  mix(images: Tensor, labels: LabelImages): Tensor {
    return scope(() => {
      const prototypes = chosen(labels); // [G, N, …] or [G, 1, …]
      const each = images.unsqueeze(0); // [1, N, …]
      if (this.mixture === "subtraction") return each.sub(prototypes).flatten(0, 1);
      if (this.mixture === "mixture") return each.add(prototypes).mul_(0.5).flatten(0, 1);
      const all = [labels.which.size(0), ...images.shape];
      return cat([each.expand(all), prototypes.expand(all)], 2).flatten(0, 1);
    });
  }

  dispose(): void {
    this.#prototypes.dispose();
    this.#examples?.dispose();
  }
}

/** The training images of each class, by place. */
class ExamplesByClass {
  readonly #training: TrainingData;
  readonly #generator: Generator;
  /** int64 `[count]`, on the images' device: places of class 0 first, then of class 1, each in the set's order. */
  readonly #order: Tensor;
  /** int64 `[K]` on the CPU, as `#counts`: where each class begins in `#order`. */
  readonly #starts: Tensor;
  readonly #counts: Tensor;

  constructor({ training, classes, generator }: LabelEmbeddingContext) {
    this.#training = training;
    this.#generator = generator;
    const { images, labels } = training.set;
    const counts = new Array<number>(classes).fill(0);
    for (const label of labels.toNumbers()) counts[label]! += 1;
    const empty = counts.indexOf(0);
    if (empty >= 0) throw new Error(`labels as images need a training image of each class, got none of class ${empty}`);
    const starts = counts.map((_, at) => counts.slice(0, at).reduce((sum, count) => sum + count, 0));
    this.#order = keep(scope(() => labels.argsort(0).toDevice(images.device)));
    this.#starts = keep(tensor(starts, { dtype: "int64" }));
    this.#counts = keep(tensor(counts, { dtype: "int64" }));
  }

  /** The first image of each class, `[K, C, H, W]`, normalised. */
  first(): Tensor {
    return scope(() => this.#images(this.#starts));
  }

  /** A random image for each label: int64 `[M]` → `[M, C, H, W]`, normalised. */
  draw(labels: Tensor): Tensor {
    return scope(() => {
      const mine = labels.toDevice("cpu");
      const share = rand([mine.size(0)], { dtype: "float64", generator: this.#generator });
      const nth = share.mul(this.#counts.indexSelect(0, mine)).floor().to("int64");
      return this.#images(this.#starts.indexSelect(0, mine).add(nth));
    });
  }

  /** @param at - int64 `[M]` on the CPU, places in `#order` */
  #images(at: Tensor): Tensor {
    const { set, normalisation } = this.#training;
    const found = set.images.indexSelect(0, this.#order.indexSelect(0, at.toDevice(this.#order.device)));
    return normalise(found.toDevice(set.labels.device), normalisation);
  }

  dispose(): void {
    for (const kept of [this.#order, this.#starts, this.#counts]) kept.dispose();
  }
}

/** Each label's row: `[G, N, …]`, or `[G, 1, …]` where every image gets the same unless `images` says how many. */
function chosen({ rows, which }: LabelImages, images: number = which.size(1)): Tensor {
  return scope(() => {
    const picked = rows.indexSelect(0, which.flatten()).view([...which.shape, ...rows.shape.slice(1)]);
    return picked.expand([which.size(0), images, ...rows.shape.slice(1)]);
  });
}

/** 0 to K − 1, `[K, 1]`, on the device of `rows` `[K, …]`. */
function everyClass(rows: Tensor): Tensor {
  return scope(() => arange(0, rows.size(0), { device: rows.device }).unsqueeze(1));
}

/** The mean training image of each class, `[K, C, H, W]`, normalised; sums in float64. */
function classMeans({ set, normalisation, batch }: TrainingData, classes: number): Tensor {
  return scope(() => {
    const { device } = set.labels;
    const [, ...shape] = set.images.shape;
    const size = shape.reduce((product, side) => product * side, 1);
    const sums = zeros([classes, size + 1], { dtype: "float64", device }); // the last column counts
    for (let start = 0; start < set.count; start += batch) {
      scope(() => {
        const { images, labels } = slice(set, start, Math.min(batch, set.count - start), normalisation);
        const rows = cat([images.flatten(1), ones([images.size(0), 1], { device })], 1);
        sums.add_(oneHot(labels, classes).to("float32").t().matmul(rows));
      });
    }
    const means = sums.narrow(1, 0, size).div(sums.narrow(1, size, 1));
    return means.to("float32").view([classes, ...shape]);
  });
}

/** The largest normalised value of all training images, a scalar. */
function brightestOf({ set, normalisation }: TrainingData): Tensor {
  // Normalisation rises with the pixel, so that the brightest pixel of each channel is enough.
  const brightest = set.images.amax([0, 2, 3], { keepDim: true });
  return normalise(brightest.toDevice(set.labels.device), normalisation).amax();
}
