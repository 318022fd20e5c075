// From a data set's bytes to batches: one uint8 tensor a split, gathered, normalised and augmented a batch at a time, on
// the device that the split was placed on (transfer.ts).
import { type Generator, keep, operator, randperm, scope, type Tensor, tensor } from "@stopgrad/torch";
import type { Batch } from "../rules/index.js";
import { type Augmentation, augment } from "./augmentation.js";
import type { ImageSet, LoadedDataset } from "./dataset.js";
import { subset, take } from "./subset.js";
import type { Transfer } from "./transfer.js";

/** One split as tensors. */
export interface TensorSet {
  /** uint8 `[N, C, H, W]`. */
  readonly images: Tensor;
  /** int64 `[N]`. */
  readonly labels: Tensor;
  readonly count: number;
  /** Brings batches of images to the labels' device; absent where the images lie there. */
  readonly transfer?: Transfer;
}

/** Per channel, `[1, C, 1, 1]` float32: a network sees pixel · scale + shift = (pixel / 255 − mean) / std. */
export interface Normalisation {
  readonly scale: Tensor;
  readonly shift: Tensor;
}

/** @param device - where images will be normalised; default `cpu` */
export function normalisationOf(dataset: Pick<LoadedDataset, "mean" | "std">, device = "cpu"): Normalisation {
  const channels = dataset.mean.length;
  const shape = [1, channels, 1, 1];
  return {
    scale: tensor(
      Float32Array.from(dataset.std, (std) => 1 / (255 * std)),
      { shape, device },
    ),
    shift: tensor(
      Float32Array.from(dataset.mean, (mean, channel) => -mean / dataset.std[channel]!),
      { shape, device },
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

/** Images `[N, C, H, W]`, uint8 or float32 from 0 to 255, → float32, as the network sees them. */
export function normalise(images: Tensor, { scale, shift }: Normalisation): Tensor {
  return scope(() => images.to({ dtype: "float32", copy: true }).mul_(scale).add_(shift));
}

/** Consecutive images `start` to `start + count`, in the set's order, normalised: for evaluation and measures. */
export function slice(
  set: TensorSet,
  start: number,
  count: number,
  normalisation: Normalisation,
): Pick<Batch, "images" | "labels"> {
  return scope(() => {
    const images = set.images.narrow(0, start, count);
    return {
      images: normalise(set.transfer ? images.toDevice(set.transfer.device) : images, normalisation),
      labels: set.labels.narrow(0, start, count).clone(),
    };
  });
}

const gatherInto = operator<[Tensor, number, Tensor, Tensor], Tensor>("aten::index_select.out", "self dim index out");

/** The images of one epoch in random order. */
export class EpochOrder {
  /** On the images' device, and on the labels'. */
  readonly #order: Tensor;
  readonly #orderOfLabels: Tensor;
  /** Images of a batch on their way. */
  #ahead: { readonly at: number; readonly images: Tensor } | null = null;

  /** @param generator - of the CPU, gives the order; the same state gives the same on every device */
  constructor(
    private readonly set: TensorSet,
    private readonly batch: number,
    generator: Generator,
  ) {
    const order = randperm(set.count, { generator });
    const { device } = set.labels;
    this.#orderOfLabels = device === "cpu" ? order : order.toDevice(device);
    this.#order = set.transfer ? order : this.#orderOfLabels;
    if (this.#order !== order) order.dispose();
  }

  /** Batches an epoch; the last one holds what is left. */
  get batches(): number {
    return Math.ceil(this.set.count / this.batch);
  }

  /**
   * Batch `at` of the epoch, augmented and normalised: with V views, images `[V·B, C, h, w]` float32, view by view; labels
   * `[B]` and places in the set `[B]`, both int64.
   * @param generator - of the CPU, of the augmentation; asked only when there is one
   * @param views - V; default: what `augmentation` says, or 1
   */
  get(
    at: number,
    normalisation: Normalisation,
    augmentation: Augmentation,
    generator: Generator,
    views: 1 | 2 = augmentation.views ?? 1,
  ): Batch {
    return scope(() => {
      const chosen = this.#chosen(this.#order, at);
      const gathered = this.set.transfer
        ? this.#receive(at, this.set.transfer)
        : this.set.images.indexSelect(0, chosen);
      const images = normalise(augment(gathered, augmentation, generator, views), normalisation);
      if (this.set.transfer) gathered.dispose(); // what was fetched ahead belongs to no scope
      const ofLabels = this.set.transfer ? this.#chosen(this.#orderOfLabels, at) : chosen;
      return { images, labels: this.set.labels.indexSelect(0, ofLabels), indices: ofLabels.clone() };
    });
  }

  /**
   * Starts to bring the images of batch `at` to the device, so that `get` need not wait for them. Draws nothing: what is
   * fetched ahead changes no generator, and a run can be saved in between. Does nothing where images need no transfer.
   */
  fetchAhead(at: number): void {
    const { transfer } = this.set;
    if (!transfer || at >= this.batches || this.#ahead?.at === at) return;
    this.#dropAhead();
    this.#ahead = { at, images: keep(this.#send(at, transfer)) };
  }

  dispose(): void {
    this.#dropAhead();
    this.#orderOfLabels.dispose();
    if (this.#order !== this.#orderOfLabels) this.#order.dispose();
  }

  #chosen(order: Tensor, at: number): Tensor {
    const start = at * this.batch;
    return order.narrow(0, start, Math.min(this.batch, this.set.count - start));
  }

  /** Gathers the images of a batch and sends them off. */
  #send(at: number, transfer: Transfer): Tensor {
    return scope(() => {
      const chosen = this.#chosen(this.#order, at);
      const staged = transfer.stage([chosen.size(0), ...this.set.images.shape.slice(1)]);
      gatherInto(this.set.images, 0, chosen, staged);
      return transfer.send(staged);
    });
  }

  /** The images of a batch, fetched ahead or now. */
  #receive(at: number, transfer: Transfer): Tensor {
    const ahead = this.#ahead?.at === at ? this.#ahead.images : null;
    if (ahead) this.#ahead = null;
    const images = ahead ?? this.#send(at, transfer);
    transfer.receive(images);
    return images;
  }

  #dropAhead(): void {
    this.#ahead?.images.dispose();
    this.#ahead = null;
  }
}
