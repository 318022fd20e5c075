// The networks through which a node sees its sources (arXiv 2312.07636): an encoder of the images, and one that brings
// an earlier feature to the channels and the size of the map it is combined with.
//
// Initial values are those of the released code, whose loop over all modules reaches them too: convolutions normal by
// fan-out, batch norm 1 and 0, biases of convolutions PyTorch's.
import {
  adaptiveAvgPool2d,
  avgPool2d,
  batchNorm,
  conv2d,
  type Generator,
  nn,
  scope,
  type Tensor,
} from "@stopgrad/torch";

/** Height and width of a map. */
export type MapSize = readonly [height: number, width: number];

/** Channels between the two convolutions of the input's encoder. */
const INNER_CHANNELS = 12;

/** Output channels of the input's encoder that are differentiated at a time. */
const SHARE = 16;

/** Images to context: two 3 × 3 convolutions with batch norm and rectifier at the images' resolution, then pooling. */
export class InputEncoder extends nn.Module {
  readonly conv1: nn.Conv2d;
  readonly bn1: nn.BatchNorm2d;
  readonly conv2: nn.Conv2d;
  readonly bn2: nn.BatchNorm2d;

  /** @param channels - of the map that the context is combined with */
  constructor(imageChannels: number, channels: number, generator: Generator) {
    super();
    this.conv1 = convolution(imageChannels, INNER_CHANNELS, 3, generator);
    this.bn1 = new nn.BatchNorm2d(INNER_CHANNELS);
    this.conv2 = convolution(INNER_CHANNELS, channels, 3, generator);
    this.bn2 = new nn.BatchNorm2d(channels);
  }

  /** `[N, image channels, H, W]` → `[N, channels, …size]`. */
  override forward(images: Tensor, size: MapSize): Tensor {
    return scope(() => {
      const inner = this.#inner(images);
      const raw = this.conv2.forward(inner);
      inner.dispose(); // without a graph, maps at the images' resolution are most of the memory
      const outer = this.bn2.normalise(raw, { rectify: true });
      raw.dispose();
      return pooledTo(outer, size);
    });
  }

  /**
   * The gradients that a backward pass through `forward` gives, computed again for 16 output channels at a time: maps at
   * the images' resolution are most of the memory. Running statistics stay as they are.
   * @param gradient - `[N, channels, …size]`, of what `forward` gives
   * @param compute - runs every forward computation
   */
  backward(images: Tensor, size: MapSize, gradient: Tensor, compute: (body: () => Tensor) => Tensor): void {
    scope(() => {
      const inner = compute(() => this.#inner(images));
      const entry = inner.detach().requiresGrad_();
      const channels = gradient.size(1);
      for (let from = 0; from < channels; from += SHARE) {
        const count = Math.min(SHARE, channels - from);
        scope(() => {
          const share = compute(() => this.#outer(entry, from, count, size));
          share.backward({ gradient: gradient.narrow(1, from, count).to(share.dtype) });
        });
      }
      inner.backward({ gradient: entry.grad! });
    });
  }

  /** `[N, image channels, H, W]` → `[N, 12, H, W]`. */
  #inner(images: Tensor): Tensor {
    return scope(() => this.bn1.normalise(this.conv1.forward(images), { rectify: true }));
  }

  /** `count` channels of the result; batch norm and the second convolution treat each for itself. */
  #outer(inner: Tensor, from: number, count: number, size: MapSize): Tensor {
    const some = (values: Tensor | null) => values!.narrow(0, from, count);
    const { conv2, bn2 } = this;
    return scope(() => {
      const raw = conv2d(inner, some(conv2.weight), { bias: some(conv2.bias), padding: 1 });
      const rectified = batchNorm(raw, {
        runningMean: some(bn2.runningMean),
        runningVar: some(bn2.runningVar),
        weight: some(bn2.weight),
        bias: some(bn2.bias),
        training: bn2.training,
        momentum: 0,
        rectify: true,
      });
      return pooledTo(rectified, size);
    });
  }
}

/** An earlier feature, or the images, to context: a 1 × 1 convolution with batch norm and rectifier, then pooling. */
export class FeatureTransfer extends nn.Module {
  readonly conv: nn.Conv2d;
  readonly bn: nn.BatchNorm2d;

  /** @param channels - of the map that the context is combined with */
  constructor(sourceChannels: number, channels: number, generator: Generator) {
    super();
    this.conv = convolution(sourceChannels, channels, 1, generator);
    this.bn = new nn.BatchNorm2d(channels);
  }

  /** `[N, source channels, H, W]` → `[N, channels, …size]`. */
  override forward(source: Tensor, size: MapSize): Tensor {
    return scope(() => {
      const raw = this.conv.forward(source);
      const rectified = this.bn.normalise(raw, { rectify: true });
      raw.dispose();
      return pooledTo(rectified, size);
    });
  }
}

/** Same size, with bias. */
function convolution(inputs: number, outputs: number, kernel: 1 | 3, generator: Generator): nn.Conv2d {
  const layer = new nn.Conv2d(inputs, outputs, kernel, { padding: (kernel - 1) / 2, generator });
  nn.kaimingNormal_(layer.weight, "fanOut", generator);
  return layer;
}

/** Means of windows chosen to give `size`, of any size; a larger one repeats values. The map itself where it fits. */
function pooledTo(map: Tensor, [height, width]: MapSize): Tensor {
  const window = [map.size(2) / height, map.size(3) / width] as const;
  if (window.every((side) => side === 1)) return map;
  if (window.every(Number.isInteger)) return avgPool2d(map, window); // the same means, with a faster loop
  return adaptiveAvgPool2d(map, [height, width]);
}
