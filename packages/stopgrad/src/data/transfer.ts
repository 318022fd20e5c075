// Where a data set lies while a GPU trains on it: on the GPU when it is small, else on the CPU, from where each batch is
// brought through page-locked memory on a stream of its own, while the GPU computes on the one before.
import { cuda, type Tensor } from "@stopgrad/torch";
import type { TensorSet } from "./loader.js";

/** How batches get to a device. The three are called in turn for each batch: `stage`, `send`, `receive`. */
export interface Transfer {
  readonly device: string;
  /** A uint8 tensor from which `send` can copy, its values yet to be written. */
  stage(shape: readonly number[]): Tensor;
  /** Starts the copy, without waiting for it. `staged` may be disposed at once. */
  send(staged: Tensor): Tensor;
  /** Makes what is started from now on wait for the copy. */
  receive(sent: Tensor): void;
}

/** Page-locked memory and a stream beside the one that computes. */
export function pinnedTransfer(device: string): Transfer {
  const stream = new cuda.Stream(device);
  return {
    device,
    stage: (shape) => cuda.emptyPinned(shape, "uint8"),
    send: (staged) => stream.run(() => staged.to({ device, nonBlocking: true })),
    receive: (sent) => stream.joinCurrent([sent]),
  };
}

/** Bytes of images that are kept on a GPU at most: CIFAR-10 has 0.15 of it, so that most sets of the field fit. */
const MOST_RESIDENT = 2 ** 30;
/** Share of a GPU's free memory that they may take at most. */
const SHARE_OF_FREE = 1 / 4;

/**
 * A set for training on `device`: on the CPU as it is. On a GPU its labels and, up to 1 GiB and a quarter of what is free
 * there, its images are moved; images beyond that stay on the CPU and are transferred a batch at a time.
 *
 * @param set - taken over: what is moved is disposed here
 */
export function placeOn(set: TensorSet, device: string): TensorSet {
  if (device === "cpu") return set;
  const fits = set.images.numel <= Math.min(MOST_RESIDENT, SHARE_OF_FREE * cuda.memory(device).freeBytes);
  return fits ? resident(set, device) : streamed(set, pinnedTransfer(device));
}

/** Images and labels on `device`. */
export function resident(set: TensorSet, device: string): TensorSet {
  return { images: moved(set.images, device), labels: moved(set.labels, device), count: set.count };
}

/** Labels on the transfer's device; images stay, and each batch of them is transferred. */
export function streamed(set: TensorSet, transfer: Transfer): TensorSet {
  return { images: set.images, labels: moved(set.labels, transfer.device), count: set.count, transfer };
}

function moved(tensor: Tensor, device: string): Tensor {
  if (tensor.device === device) return tensor;
  const there = tensor.toDevice(device);
  tensor.dispose();
  return there;
}
