// From a data set's bytes to batches: one uint8 tensor a split, gathered, normalised and augmented a batch at a time.
import { type Generator, randperm, scope, type Tensor, tensor } from "@stopgrad/torch";
import type { Batch } from "../rules/index.js";
import { type Augmentation, augment } from "./augmentation.js";
import type { ImageSet, LoadedDataset } from "./dataset.js";
import { subset, take } from "./subset.js";

/** One split as tensors. */
export interface TensorSet {
  /** uint8 `[N, C, H, W]`. */
  readonly images: Tensor;
  /** int64 `[N]`. */
  readonly labels: Tensor;
  readonly count: number;
}

/** Per channel, `[1, C, 1, 1]` float32: a network sees pixel · scale + shift = (pixel / 255 − mean) / std. */
export interface Normalisation {
  readonly scale: Tensor;
  readonly shift: Tensor;
}

export function normalisationOf(dataset: Pick<LoadedDataset, "mean" | "std">): Normalisation {
  const channels = dataset.mean.length;
  const shape = [1, channels, 1, 1];
  return {
    scale: tensor(
      Float32Array.from(dataset.std, (std) => 1 / (255 * std)),
      { shape },
    ),
    shift: tensor(
      Float32Array.from(dataset.mean, (mean, channel) => -mean / dataset.std[channel]!),
      { shape },
    ),
  };
}

/**
 * A split as tensors, of `size` images.
 * @param size - null for all; a smaller one takes a class-balanced subset drawn from `seed`
 */
export function tensorSet(set: ImageSet, size: number | null, dataset: LoadedDataset, seed: number): TensorSet {
  const chosen = size === null || size === set.count ? set : take(set, subset(set, size, dataset.classes, seed));
  return {
    images: tensor(chosen.images, { shape: [chosen.count, ...dataset.shape] }),
    labels: tensor(BigInt64Array.from(chosen.labels, BigInt)),
    count: chosen.count,
  };
}

/** uint8 images `[N, C, H, W]` → float32, as the network sees them. */
export function normalise(images: Tensor, { scale, shift }: Normalisation): Tensor {
  return scope(() => images.to("float32").mul_(scale).add_(shift));
}

/** Consecutive images `start` to `start + count`, in the set's order, normalised: for evaluation and measures. */
export function slice(set: TensorSet, start: number, count: number, normalisation: Normalisation): Batch {
  return scope(() => ({
    images: normalise(set.images.narrow(0, start, count), normalisation),
    labels: set.labels.narrow(0, start, count).clone(),
  }));
}

/** The images of one epoch in random order. */
export class EpochOrder {
  readonly #order: Tensor;

  /** @param generator - gives the order; the same state gives the same */
  constructor(
    private readonly set: TensorSet,
    private readonly batch: number,
    generator: Generator,
  ) {
    this.#order = randperm(set.count, { generator });
  }

  /** Batches an epoch; the last one holds what is left. */
  get batches(): number {
    return Math.ceil(this.set.count / this.batch);
  }

  /**
   * Batch `at` of the epoch, augmented and normalised: images `[B, C, H, W]` float32, labels `[B]`.
   * @param generator - of the augmentation; asked only when there is one
   */
  get(at: number, normalisation: Normalisation, augmentation: Augmentation, generator: Generator): Batch {
    return scope(() => {
      const start = at * this.batch;
      const chosen = this.#order.narrow(0, start, Math.min(this.batch, this.set.count - start));
      const images = augment(this.set.images.indexSelect(0, chosen), augmentation, generator);
      return { images: normalise(images, normalisation), labels: this.set.labels.indexSelect(0, chosen) };
    });
  }

  dispose(): void {
    this.#order.dispose();
  }
}
