// Random changes of a whole batch as tensor operations, on images of 0 to 255 before normalisation. Each image draws for
// itself; there is no loop over images. Draws are the CPU's on every device, so that a run sees the same images wherever
// it trains. What can be set is in augment-settings.ts.
//
// In this order, drawn and done: crop or resized crop, flip, jitter, grey; what is off draws nothing. Crop and flip move
// pixels and keep uint8. The others compute in float32, and nothing is rounded afterwards: the network sees fractions of
// the 256 levels, as torchvision's transforms give them on float tensors.
import { arange, cat, type Generator, index, lt, pad, rand, randint, scope, type Tensor, where } from "@stopgrad/torch";
import { type AugmentSettings, impossibleFor } from "./augment-settings.js";
import { drawJitter, greyWhere, jitter } from "./colour.js";
import { cropAndResize, drawBoxes } from "./resized-crop.js";

/** `AugmentSettings`, of which what is left out is off. */
export interface Augmentation extends Pick<AugmentSettings, "flip">, Partial<Omit<AugmentSettings, "flip" | "crop">> {
  readonly crop: { readonly padding: number; readonly mode?: "black" | "reflect" } | null;
}

/**
 * @param images - uint8 `[N, C, H, W]`
 * @param generator - of the CPU, the run's own; the same state gives the same augmentation
 * @param views - V copies of each image, each with its own draws; default: what `augmentation` says, or 1
 * @returns `[V·N, C, h, w]`, row v·N + i being view v of image i; `trainingShape` says C, h and w. uint8, or float32 from
 *   0 to 255 with a resized crop, jitter or grey; the same tensor when there is nothing to do
 * @throws Error when images of this shape cannot be augmented so
 */
export function augment(
  images: Tensor,
  augmentation: Augmentation,
  generator: Generator,
  views: 1 | 2 = augmentation.views ?? 1,
): Tensor {
  return scope(() => {
    const { flip, crop, resizedCrop = null, jitter: colours = null, grey = 0 } = augmentation;
    const [, ...shape] = images.shape;
    const impossible = impossibleFor({ crop: crop && { mode: "black", ...crop }, jitter: colours, grey }, shape);
    if (impossible) throw new Error(`data.augment.${impossible.path.join(".")}: ${impossible.message}`);

    const { device } = images;
    let now = views === 2 ? cat([images, images], 0) : images;
    const count = now.size(0);
    if (resizedCrop) {
      const [, height = 0, width = 0] = shape;
      const boxes = onto(device, drawBoxes(count, [height, width], resizedCrop, generator));
      const mirrored = flip ? { mirrored: onto(device, drawn(count, 1 / 2, generator)) } : {};
      now = cropAndResize(now, boxes, { ...resizedCrop, ...mirrored });
    } else {
      if (crop) now = randomCrop(now, crop.padding, generator, crop.mode);
      if (flip) now = randomFlip(now, generator);
    }
    if (colours) now = jitter(now.to("float32"), drawJitter(count, colours, generator));
    if (grey > 0) now = greyWhere(now.to("float32"), onto(device, drawn(count, grey, generator)));
    return now;
  });
}

/** Each image mirrored along W with probability 1/2. */
export function randomFlip(images: Tensor, generator: Generator): Tensor {
  return scope(() => {
    const mirrored = onto(images.device, drawn(images.size(0), 1 / 2, generator)).reshape([-1, 1, 1, 1]);
    return where(mirrored, images.flip([3]), images);
  });
}

/**
 * Each image padded by `padding` and cut to its size at one of (2 · padding + 1)² places, as torchvision's RandomCrop.
 *
 * @param mode - what stands outside the edges: 0, or the image mirrored at them (without the edge itself twice), for
 *   which `padding` must be smaller than H and W; default `black`
 */
export function randomCrop(
  images: Tensor,
  padding: number,
  generator: Generator,
  mode: "black" | "reflect" = "black",
): Tensor {
  return scope(() => {
    const [count = 0, channels = 0, height = 0, width = 0] = images.shape;
    const places = 2 * padding + 1;
    const { device } = images;
    const top = onto(device, randint(0, places, [count, 1], { generator }));
    const left = onto(device, randint(0, places, [count, 1], { generator }));
    const black = mode === "black";
    const source = black ? pad(images, [padding, padding, padding, padding]) : images;
    const along = (start: Tensor, size: number) => {
      const padded = start.add(arange(0, size, { device })); // [N, size], counted from the padding's edge
      return black ? padded : reflected(padded.sub_(padding), size);
    };
    const rows = along(top, height).reshape([count, 1, height, 1]);
    const columns = along(left, width).reshape([count, 1, 1, width]);
    const image = arange(0, count, { device }).reshape([count, 1, 1, 1]);
    const channel = arange(0, channels, { device }).reshape([1, channels, 1, 1]);
    return index(source, [image, channel, rows, columns]);
  });
}

/** Places outside of [0, size) mirrored at 0 and size − 1; changes `places`. */
function reflected(places: Tensor, size: number): Tensor {
  return places
    .abs_()
    .sub_(size - 1)
    .abs_()
    .neg_()
    .add_(size - 1);
}

/** bool `[N]` on the CPU, true with `probability`. */
function drawn(count: number, probability: number, generator: Generator): Tensor {
  return lt(rand([count], { generator }), probability);
}

/** A draw of the CPU on the images' device. It is small, so that nobody waits for it. */
function onto(device: string, draw: Tensor): Tensor {
  return device === "cpu" ? draw : draw.to({ device, nonBlocking: true });
}
