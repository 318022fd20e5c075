// What scale small changes in the items of arXiv 2312.07636: networks narrow enough to train many on two processors, and
// batches small enough that few epochs of few images have 79 steps each.
import { cosineEpochs, images } from "../shrink.js";

/** Overrides of CIFAR-10 and SVHN; `train` images for `epochs` epochs, the first of them the warm-up. */
export function small(width: number, train = 5000, epochs = 12): string[] {
  return [
    `model.width=${width}`,
    ...images(train, 2000),
    "data.batch=64",
    ...cosineEpochs(epochs, 1),
    "optimizer.schedule.warmupStart=0.05",
    "optimizer.learningRate=0.1",
  ];
}

/** One epoch needs no schedule. */
export const unscheduled = "optimizer.schedule=null";
