// Random changes of colour for a whole batch: torchvision's ColorJitter and RandomGrayscale on tensors, in float32 from 0
// to 255 instead of 0 to 1 (every operation here scales with its input).
//
// Brightness, contrast and saturation are one operation with three targets: x ← clamp(r · x + (1 − r) · target), the
// target being black, the mean of the grey image, or the grey image. So each of the four places in an image's own order
// is one blend of the whole batch, in which an image whose turn it is to change its hue has r = 1; after it, the images
// whose turn that is are gathered, changed and put back.
import {
  argsort,
  cat,
  type Generator,
  lt,
  maximum,
  minimum,
  operator,
  rand,
  scope,
  stack,
  type Tensor,
  uniform_,
  where,
  zeros,
} from "@stopgrad/torch";
import type { JitterSettings } from "./augment-settings.js";

/** White. */
const MOST = 255;
/** Above 0, and below every difference of two channels that is not 0: what stands in for such a difference. */
const LEAST_DIFFERENCE = 1e-12;

/** The four operations, by their column in `Jitter.factors`. */
export const BRIGHTNESS = 0;
export const CONTRAST = 1;
export const SATURATION = 2;
export const HUE = 3;

/** What is done to each image; both tensors are on the CPU. */
export interface Jitter {
  /** int64 `[N, 4]`: the operation at each place, each of the four once in a row. */
  readonly order: Tensor;
  /** float32 `[N, 4]`: what each operation multiplies by, 1 for nothing; of the hue, its shift in turns. */
  readonly factors: Tensor;
}

/**
 * Order and factors for each image on its own; an image that is left alone has factors that change nothing.
 *
 * @param generator - of the CPU; always asked for the same count of numbers
 */
export function drawJitter(count: number, settings: JitterSettings, generator: Generator): Jitter {
  return scope(() => {
    const { brightness, contrast, saturation, hue, probability } = settings;
    const applied = lt(rand([count, 1], { generator }), probability);
    const order = argsort(rand([count, 4], { generator }), 1);
    const drawn = (from: number, to: number) => uniform_(zeros([count, 1]), from, to, generator);
    const multiples = [brightness, contrast, saturation].map((x) => drawn(Math.max(0, 1 - x), 1 + x));
    const shift = drawn(-hue, hue);
    return { order, factors: cat([where(applied, cat(multiples, 1), 1), where(applied, shift, 0)], 1) };
  });
}

/**
 * Images with their colours changed.
 *
 * @param images - float32 `[N, C, H, W]` from 0 to 255, C 1 or 3; with one channel saturation and hue do nothing
 * @returns float32 `[N, C, H, W]` from 0 to 255
 * @throws Error for another C
 */
export function jitter(images: Tensor, { order, factors }: Jitter): Tensor {
  return scope(() => {
    const coloured = hasColours(images, "jitter");
    const { device } = images;
    const still = coloured ? order.eq(HUE) : order.ge(SATURATION); // [N, 4], by place in the order from here on
    const ratio = where(still, 1, factors.gather(1, order));
    const rest = ratio.neg().add_(1);
    const none = rest.mul(0);
    const ratios = [ratio, where(order.eq(CONTRAST), rest, none), where(order.eq(SATURATION), rest, none)];
    const byPlace = stack(ratios, 0).permute([2, 0, 1]).to({ device, nonBlocking: true }); // [4, 3, N]
    const shift = factors.narrow(1, HUE, 1);
    const turns = order.eq(HUE).logicalAnd(shift.ne(0)); // [N, 4]

    const changed = images.clone();
    for (let place = 0; place < 4; place++) {
      scope(() => {
        const [keep, fromMean, fromGrey] = byPlace.select(0, place).reshape([3, -1, 1, 1, 1]).unbind(0) as [
          Tensor,
          Tensor,
          Tensor,
        ]; // [N, 1, 1, 1]
        const grey = coloured ? greyOf(changed) : changed; // [N, 1, H, W]
        const mean = grey.mean([1, 2, 3], { keepDim: true }).mul_(fromMean);
        changed.mul_(keep).add_(coloured ? grey.mul_(fromGrey).add_(mean) : mean);
        changed.clamp_(0, MOST);
        const turn = turns.select(1, place).nonzero().flatten();
        if (!coloured || turn.numel === 0) return;
        const there = turn.to({ device, nonBlocking: true });
        const shifts = shift.indexSelect(0, turn).flatten().to({ device, nonBlocking: true });
        copyTo(changed, 0, there, shiftHue(changed.indexSelect(0, there), shifts)).dispose();
      });
    }
    return changed;
  });
}

const copyTo = operator<[Tensor, number, Tensor, Tensor], Tensor>("aten::index_copy_", "self dim index source");

/**
 * Every colour moved round the circle of hues; value and saturation stay. It is HSV and back with what cancels left out,
 * and without a case for each sixth of the circle, because choosing element by element is slow:
 *
 *   t = ((max − r) + (g − min) + (b − min)) / chroma    hue: t where g ≥ b, else −t, in sixths of a turn from red
 *   c' = min + chroma · clamp(d, 0, 1)                  d: a tent over the new hue for each of red, green and blue
 *
 * @param images - float32 `[N, 3, H, W]`, 0 or more
 * @param shifts - float32 `[N]` in turns, on the images' device
 */
export function shiftHue(images: Tensor, shifts: Tensor): Tensor {
  return scope(() => {
    const [red, green, blue] = images.split(1, 1) as [Tensor, Tensor, Tensor]; // [N, 1, H, W]
    const most = maximum(maximum(red, green), blue);
    const least = minimum(minimum(red, green), blue);
    const chroma = most.sub(least);
    const side = green.sub(blue).add_(LEAST_DIFFERENCE).sign(); // 1 or −1, never 0
    const distance = most.sub_(red).add_(green).add_(blue).sub_(least, 2).div_(chroma.clamp(LEAST_DIFFERENCE));
    const hue = distance.mul_(side).add_(shifts.mul(6).reshape([-1, 1, 1, 1]));
    hue.sub_(hue.div(6).floor().mul_(6)); // in [0, 6]
    const tent = (centre: number) => hue.sub(centre).abs_().neg_().add_(2);
    const shares = cat([tent(3).neg_().add_(1), tent(2), tent(4)], 1).clamp_(0, 1); // [N, 3, H, W]
    return shares.mul_(chroma).add_(least);
  });
}

/**
 * Images without their colours, where `chosen`: three equal channels of 0.2989 R + 0.587 G + 0.114 B.
 *
 * @param images - float32 `[N, C, H, W]`, C 1 or 3; those of one channel stay as they are
 * @param chosen - bool `[N]`, on the images' device
 * @throws Error for another C
 */
export function greyWhere(images: Tensor, chosen: Tensor): Tensor {
  return scope(() => {
    if (!hasColours(images, "grey")) return images;
    const taken = chosen.to("float32").reshape([-1, 1, 1, 1]);
    return images.mul(taken.neg().add_(1)).add_(greyOf(images).mul_(taken));
  });
}

/** `[N, 3, H, W]` → `[N, 1, H, W]`. The weights are ITU-R BT.601's as torchvision rounds them: their sum is 0.9999. */
export function greyOf(images: Tensor): Tensor {
  return scope(() => {
    const [red, green, blue] = images.split(1, 1) as [Tensor, Tensor, Tensor];
    return red.mul(0.2989).add_(green, 0.587).add_(blue, 0.114);
  });
}

function hasColours(images: Tensor, where: string): boolean {
  const channels = images.size(1);
  if (channels === 1 || channels === 3) return channels === 3;
  throw new Error(`${where}: expected images [N, 1 or 3, H, W], got [${images.shape.join(", ")}]`);
}
