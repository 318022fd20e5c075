// A random part of each image, resized to a square: torchvision's RandomResizedCrop for a whole batch.
//
// Bilinear resizing is linear and separable: for each image a matrix over its rows and one over its columns, with two
// neighbours' weights in each row of the matrix. So cutting out, resizing, mirroring and resizing once more are two
// batched matrix products, with no loop over images and no copy of parts of different sizes.
//
// Resizing is torchvision's on tensors without antialiasing (`align_corners` false): pixel centres are mapped on pixel
// centres, each result is the mean of its four neighbours within the part, weighted by nearness. (On Pillow images
// torchvision filters when it makes images smaller; from parts of 32x32 to 28 the two are close, from 96 they are not.)
import {
  arange,
  bmm,
  cat,
  full,
  type Generator,
  logicalAnd,
  matmul,
  minimum,
  scope,
  type Tensor,
  tensor,
  uniform_,
  where,
  zeros,
} from "@stopgrad/torch";
import type { ResizedCropSettings } from "./augment-settings.js";

/** Parts that are tried before the fallback, as in torchvision. */
const TRIES = 10;

/**
 * Where to cut, for each image on its own. Ten times an area and a shape are drawn, and the first part that fits in the
 * image is taken, at a place drawn uniformly among all there are; when none fits, the middle of the image, cut to the
 * nearest allowed shape.
 *
 * @param size - of the images, [H, W]
 * @param generator - of the CPU; always asked for the same count of numbers
 * @returns int64 `[N, 4]` on the CPU: top, left, height, width
 */
export function drawBoxes(
  count: number,
  [height, width]: readonly [number, number],
  { scale, ratio }: Pick<ResizedCropSettings, "scale" | "ratio">,
  generator: Generator,
): Tensor {
  return scope(() => {
    const drawn = (from: number, to: number, columns: number) =>
      uniform_(zeros([count, columns], { dtype: "float64" }), from, to, generator);
    const area = drawn(scale[0], scale[1], TRIES).mul_(height * width);
    const aspect = drawn(Math.log(ratio[0]), Math.log(ratio[1]), TRIES).exp_();
    const place = drawn(0, 1, 2);

    const heights = area.div(aspect).sqrt_().round();
    const widths = area.mul(aspect).sqrt_().round(); // [N, 10]
    const fits = logicalAnd(logicalAnd(heights.ge(1), heights.le(height)), logicalAnd(widths.ge(1), widths.le(width)));
    const first = where(fits, arange(0, TRIES), TRIES).amin([1], { keepDim: true }); // [N, 1]
    const found = first.lt(TRIES);
    const taken = first.clamp(null, TRIES - 1);
    const [middleHeight, middleWidth] = fallbackSize(height, width, ratio);
    const cut = cat(
      [where(found, heights.gather(1, taken), middleHeight), where(found, widths.gather(1, taken), middleWidth)],
      1,
    ); // [N, 2]
    const free = cut.neg().add_(tensor([height, width], { dtype: "float64" })); // [N, 2]
    const corner = where(found, minimum(free.add(1).mul_(place).floor(), free), free.div(2).floor());
    return cat([corner, cut], 1).to("int64");
  });
}

/** The largest part of an image that keeps to the allowed shapes: [height, width]. */
function fallbackSize(height: number, width: number, [least, most]: readonly [number, number]): [number, number] {
  const ratio = width / height;
  if (ratio < least) return [Math.max(1, Math.round(width / least)), width];
  if (ratio > most) return [height, Math.max(1, Math.round(height * most))];
  return [height, width];
}

/** What happens to a part after it is cut out. */
export interface ResizeOptions {
  /** Side of the square that it is resized to, in pixels. */
  readonly size: number;
  /** Side to which that square is resized in turn; null: it is not. */
  readonly resizeTo: number | null;
  /** bool `[N]`: which results are mirrored left and right; none when left out. */
  readonly mirrored?: Tensor;
}

/**
 * Cuts a part out of each image and resizes it.
 *
 * @param images - `[N, C, H, W]`, uint8 or float32
 * @param boxes - int64 `[N, 4]`, as `drawBoxes` gives them, on the images' device
 * @returns float32 `[N, C, S, S]`, S being `resizeTo` or `size`; up to rounding, values
 *   between the smallest and the largest of the part
 */
export function cropAndResize(images: Tensor, boxes: Tensor, { size, resizeTo, mirrored }: ResizeOptions): Tensor {
  return scope(() => {
    const [count = 0, channels = 0, height = 0, width = 0] = images.shape;
    const [top, left, rows, columns] = boxes.to("float32").split(1, 1) as [Tensor, Tensor, Tensor, Tensor]; // [N, 1]
    let down = bilinear(top, rows, size, height); // [N, size, H]
    let across = bilinear(left, columns, size, width, mirrored); // [N, size, W]
    if (resizeTo !== null) {
      const { device } = images;
      const again = bilinear(zeros([1, 1], { device }), full([1, 1], size, { device }), resizeTo, size).squeeze(0);
      down = matmul(again, down);
      across = matmul(again, across);
    }
    const side = resizeTo ?? size;
    const narrowed = bmm(images.to("float32").reshape([count, channels * height, width]), across.transpose(1, 2));
    // Every channel is multiplied by its image's rows.
    const matrices = down
      .unsqueeze(1)
      .expand([-1, channels, -1, -1])
      .reshape([count * channels, side, height]);
    return bmm(matrices, narrowed.reshape([count * channels, height, side])).reshape([count, channels, side, side]);
  });
}

/**
 * The matrix that resizes `length` pixels from `start` on to `size` pixels, for each image.
 *
 * @param start - float32 `[N, 1]`
 * @param length - float32 `[N, 1]`
 * @param pixels - of the whole side
 * @param reversed - bool `[N]`: whose rows come in reverse order
 * @returns float32 `[N, size, pixels]`, rows with a sum of 1 and at most two entries other than 0
 */
function bilinear(start: Tensor, length: Tensor, size: number, pixels: number, reversed?: Tensor): Tensor {
  return scope(() => {
    const { device } = start;
    const centre = arange(0, size, { dtype: "float32", device }).add_(0.5);
    const at = centre.mul(length).div_(size).sub_(0.5).clamp_(0); // [N, size]
    let place = minimum(at, length.sub(1)).add_(start);
    if (reversed) place = where(reversed.unsqueeze(1), place.flip([1]), place);
    const distance = place
      .unsqueeze(2)
      .sub(arange(0, pixels, { dtype: "float32", device }))
      .abs_();
    return distance.neg_().add_(1).clamp_(0);
  });
}
