// The decoder of InfoPro (arXiv 2101.10832): how well a module's output still tells the image. I(h; x) ≥ H(x) − R(x | h),
// so that a small reconstruction error is much information about x. It is thrown away after training, as heads are.
//
// After the released code, which gives its convolutions biases and starts their weights as those of the backbone. There
// the error is taken of probabilities, whose logarithms are cut off at −100; here of logits, without a cut.
import { bceWithLogits, type Generator, nn, noGrad, scope, sigmoid, type Tensor } from "@stopgrad/torch";
import type { Normalisation } from "../data/loader.js";
import type { FeatureShape } from "../models/backbone.js";
import { resize } from "./resize.js";

/** Channels between the two convolutions. */
const HIDDEN = 12;

/**
 * Bilinear resize to the image's size (corner pixels keep their values), 3 × 3 convolution C → 12, batch norm, ReLU,
 * 3 × 3 convolution 12 → the image's channels, sigmoid; both convolutions with padding 1 and a bias. Weights start
 * normal with deviation √(2 / (9 · outputs)), biases as PyTorch's.
 *
 * Parameters for colour images: 2091, 3819 and 7275 for C = 16, 32 and 64.
 */
export class ReconstructionDecoder extends nn.Module {
  readonly conv1: nn.Conv2d;
  readonly bn1: nn.BatchNorm2d;
  readonly conv2: nn.Conv2d;
  readonly #shape: FeatureShape;
  readonly #image: FeatureShape;

  /**
   * @param shape - of the features without the batch: `[C, H, W]`
   * @param image - `[channels, height, width]` of the images
   * @param options.widen - factor of the 12 channels, rounded down; default 1
   * @throws Error when the features are no map: a vector and tokens have no places to resize
   */
  constructor(
    shape: FeatureShape,
    image: FeatureShape,
    generator: Generator,
    { widen = 1 }: { readonly widen?: number } = {},
  ) {
    super();
    const [channels] = mapSize("features", shape);
    const [colours] = mapSize("images", image);
    const hidden = Math.max(1, Math.floor(HIDDEN * widen));
    this.#shape = shape;
    this.#image = image;
    this.conv1 = convolution(channels, hidden, generator);
    this.bn1 = new nn.BatchNorm2d(hidden);
    this.conv2 = convolution(hidden, colours, generator);
  }

  /** Features `[N, C, H, W]` → images `[N, channels, height, width]` in (0, 1). */
  override forward(features: Tensor): Tensor {
    return scope(() => sigmoid(this.#logits(features)));
  }

  /**
   * Mean binary cross-entropy of the images over all their pixels and channels, in nats: what `forward` gives against
   * them, computed without rounding a probability to 0 or 1.
   * @param features - `[N, C, H, W]`
   * @param images - `[N, channels, height, width]` in [0, 1], from `toPixels`; no gradient goes into them
   * @returns `[]`, of the images' type, at least 0
   */
  loss(features: Tensor, images: Tensor): Tensor {
    return scope(() => {
      const wanted = images.detach();
      return bceWithLogits(this.#logits(features).to(wanted.dtype), wanted);
    });
  }

  #logits(features: Tensor): Tensor {
    const { shape } = features;
    if (shape.slice(1).join() !== this.#shape.join()) {
      const [expected, got] = [["N", ...this.#shape], shape].map((sizes) => `[${sizes.join(", ")}]`);
      throw new Error(`reconstruction: expected features ${expected}, got ${got}`);
    }
    const [, height, width] = this.#image as [number, number, number];
    const hidden = this.bn1.normalise(this.conv1.forward(resize(features, height, width)), { rectify: true });
    return this.conv2.forward(hidden);
  }
}

function convolution(inputs: number, outputs: number, generator: Generator): nn.Conv2d {
  const made = new nn.Conv2d(inputs, outputs, 3, { padding: 1, generator });
  nn.kaimingNormal_(made.weight, "fanOut", generator);
  return made;
}

/** @throws Error naming what it is of, unless it is `[C, H, W]` */
function mapSize(what: string, shape: FeatureShape): readonly [channels: number, height: number, width: number] {
  const [channels, height, width] = shape;
  if (shape.length !== 3 || channels === undefined || height === undefined || width === undefined) {
    throw new Error(
      `reconstruction: expected ${what} [C, H, W], got [${shape.join(", ")}]; a decoder needs modules that end in feature maps`,
    );
  }
  return [channels, height, width];
}

/**
 * Normalised images back as they were: (x − shift) / (255 · scale) = pixel / 255, clamped to [0, 1] against rounding.
 * @param images - `[N, C, H, W]` float, as the network sees them
 * @returns the same shape, in [0, 1], without a gradient
 */
export function toPixels(images: Tensor, { scale, shift }: Normalisation): Tensor {
  return noGrad(() => scope(() => images.sub(shift).div_(scale.mul(255)).clamp_(0, 1)));
}
