// Random crop and flip of a whole batch as a few tensor operations, on uint8 images before normalisation. Each image
// draws its own place; there is no loop over images. Draws are the CPU's on every device, so that a run sees the same
// images wherever it trains.
import { arange, type Generator, index, lt, pad, rand, randint, scope, type Tensor, where } from "@stopgrad/torch";

export interface Augmentation {
  /** Mirror left and right with probability 1/2. */
  readonly flip: boolean;
  /** Pad with black (0) by `padding` pixels on every side and cut out the original size at a random place; null: no crop. */
  readonly crop: { readonly padding: number } | null;
}

/**
 * @param images - uint8 `[N, C, H, W]`
 * @param generator - the run's own; the same state gives the same augmentation
 * @returns uint8 `[N, C, H, W]`, the same tensor when there is nothing to do
 */
export function augment(images: Tensor, { flip, crop }: Augmentation, generator: Generator): Tensor {
  return scope(() => {
    const cropped = crop ? randomCrop(images, crop.padding, generator) : images;
    return flip ? randomFlip(cropped, generator) : cropped;
  });
}

/** Each image mirrored along W with probability 1/2. */
export function randomFlip(images: Tensor, generator: Generator): Tensor {
  return scope(() => {
    const mirrored = onto(images.device, lt(rand([images.size(0), 1, 1, 1], { generator }), 0.5)); // [N, 1, 1, 1]
    return where(mirrored, images.flip([3]), images);
  });
}

/** Each image padded with 0 by `padding` and cut to its size at one of (2 · padding + 1)² places, as torchvision's RandomCrop. */
export function randomCrop(images: Tensor, padding: number, generator: Generator): Tensor {
  return scope(() => {
    const [count = 0, channels = 0, height = 0, width = 0] = images.shape;
    const padded = pad(images, [padding, padding, padding, padding]);
    const places = 2 * padding + 1;
    const { device } = images;
    const top = onto(device, randint(0, places, [count, 1], { generator }));
    const left = onto(device, randint(0, places, [count, 1], { generator }));
    const rows = top.add(arange(0, height, { device })).reshape([count, 1, height, 1]);
    const columns = left.add(arange(0, width, { device })).reshape([count, 1, 1, width]);
    const image = arange(0, count, { device }).reshape([count, 1, 1, 1]);
    const channel = arange(0, channels, { device }).reshape([1, channels, 1, 1]);
    return index(padded, [image, channel, rows, columns]);
  });
}

/** A draw of the CPU on the images' device. It is small, so that nobody waits for it. */
function onto(device: string, draw: Tensor): Tensor {
  return device === "cpu" ? draw : draw.to({ device, nonBlocking: true });
}
