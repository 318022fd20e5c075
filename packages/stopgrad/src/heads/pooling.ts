// The pooling rule before linear and mlp heads: average pooling until at most 2048 features are left
// (arXiv 2402.09050, released code). Height is halved before width, and padding zeros count in the average.
import { nn, type Tensor } from "@stopgrad/torch";
import type { FeatureShape } from "../models/backbone.js";
import { FullLayerNorm } from "../models/precision.js";

/** Features that a head sees at most. */
export const POOLED_SIZE = 2048;

export interface Pooling {
  kernel: readonly [height: number, width: number];
  padding: readonly [height: number, width: number];
  /** Map size after pooling. */
  output: readonly [height: number, width: number];
  /** `channels · height · width` after pooling. */
  features: number;
}

/**
 * Kernel, padding and result for maps of `channels` × `height` × `width`; kernel (1, 1) means no pooling. The kernel
 * grows by doubling, height first, until `channels · h · w` is at most `target` or the kernel covers the map.
 */
export function poolingFor(channels: number, height: number, width: number, target = POOLED_SIZE): Pooling {
  let [kernelHeight, kernelWidth] = [1, 1];
  let [h, w] = [height, width];
  while (channels * h * w > target && kernelHeight < height) {
    kernelHeight *= 2;
    h = Math.ceil(height / kernelHeight);
    if (channels * h * w > target) {
      kernelWidth *= 2;
      w = Math.ceil(width / kernelWidth);
    }
  }
  const pad = (kernel: number, size: number, out: number) =>
    Math.floor((kernel * (out - Math.floor(size / kernel))) / 2);
  return {
    kernel: [kernelHeight, kernelWidth],
    padding: [pad(kernelHeight, height, h), pad(kernelWidth, width, w)],
    output: [h, w],
    features: channels * h * w,
  };
}

/**
 * Layers from `[N, …shape]` to the `[N, features]` that a linear or mlp head sees: a map `[C, H, W]` pooled where needed
 * and flattened, a vector `[D]` as it is, of tokens `[T, D]` the first one (the class token) behind a layer norm.
 * The norm is the only one with parameters.
 */
export function pooledFlatten(shape: FeatureShape): { layers: nn.Module[]; features: number } {
  const { layers, features } = pooled(shape);
  return { layers: shape.length === 2 ? [...layers, new FullLayerNorm(features)] : layers, features };
}

/** The same without the norm of tokens, and so without parameters: linear in the representation. What a probe sees. */
export function pooled(shape: FeatureShape): { layers: nn.Module[]; features: number } {
  const [channels = 1, height, width] = shape;
  if (height === undefined) return { layers: [], features: channels };
  if (width === undefined) return { layers: [new FirstToken()], features: height };
  const pooling = poolingFor(channels, height, width);
  const pools = pooling.kernel[0] > 1 || pooling.kernel[1] > 1;
  return {
    layers: [...(pools ? [new nn.AvgPool2d(pooling.kernel, { padding: pooling.padding })] : []), new nn.Flatten()],
    features: pooling.features,
  };
}

/** Tokens `[N, T, D]` → the class token `[N, D]`. */
class FirstToken extends nn.Module {
  override forward(tokens: Tensor): Tensor {
    return tokens.select(1, 0);
  }
}
