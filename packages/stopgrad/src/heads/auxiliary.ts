// The auxiliary classifier of greedy block-wise learning (arXiv 1901.08164, 2101.10832, 2312.07636): a few convolutions
// that go on where the module ends, the mean of each channel, a few linear layers. Papers name it by a code:
// `1c2f`, one convolution and two linear layers (auxiliary-code.ts).
//
// The papers give it for the ResNets of three groups: 16 → 32 channels with stride 2, 32 → 64 with stride 2, 64 → 64.
// That is what the backbone itself does next: it doubles the channels and halves the sides until it has come to its last
// map. So the first convolution does the same for any backbone.
import { adaptiveAvgPool2d, nn, relu_, scope, type Tensor } from "@stopgrad/torch";
import { z } from "zod";
import type { FeatureShape } from "../models/backbone.js";
import { CONV_LAYERS, LINEAR_LAYERS } from "./auxiliary-code.js";
import type { Head, HeadContext } from "./head.js";
import { pooledFlatten } from "./pooling.js";

const options = z.strictObject({
  convLayers: z.int().min(CONV_LAYERS.least).max(CONV_LAYERS.most).default(1),
  linearLayers: z.int().min(LINEAR_LAYERS.least).max(LINEAR_LAYERS.most).default(2),
  /** Factor of the channels and of the hidden features, which are then rounded down; no factor of what comes out. */
  widen: z.number().positive().default(1),
  /** Hidden features, and what comes out where the loss wants features. */
  features: z.int().positive().default(128),
});

/**
 * Convolutions (3 × 3, padding 1, no bias) with batch norm and ReLU, the mean of each channel, then linear layers with
 * ReLU between. The first convolution goes from C to m channels, the others from m to m; hidden linear layers give f
 * features, the last one class scores or `features`:
 *
 *   m = ⌊widen · min(2C, max(C, C_final))⌋    f = ⌊widen · features⌋
 *
 * Its stride is 2 where the map is larger than the backbone's last one (`final`) and more than one pixel is left, else 1;
 * where that is not known, m = ⌊widen · C⌋ and the stride is 1. Vectors, maps of one pixel and tokens (of which it sees
 * the class token behind a layer norm) have no convolutions: `convLayers` does not count there.
 *
 * Convolutions start normal with deviation √(2 / (9 · m)), as the released code of both papers does it in all its
 * networks; linear layers as PyTorch's.
 */
export const auxiliary: Head = {
  summary: "convolutions with batch norm and ReLU, global average pooling, linear layers with ReLU between (1c2f)",
  source: "arXiv 2101.10832; arXiv 2312.07636, whose code 1c2f is convLayers 1, linearLayers 2",
  options,
  create(given, context) {
    const { convLayers, linearLayers, widen, features } = options.parse(given);
    const { shape, classes, outputs, generator } = context;
    const result = outputs === "classes" ? classes : features;
    const hidden = widened(features, widen);
    const map = shape.length === 3 && shape[1]! * shape[2]! > 1 ? mapOf(shape) : null;
    const convolutions = map ? createConvolutions(map, convLayers, widen, context) : [];
    const pooled = map ? { layers: [], features: convolutions.at(-1)?.outputs ?? map.channels } : pooledFlatten(shape);
    const linear = Array.from({ length: linearLayers }, (_, at) => {
      const inputs = at === 0 ? pooled.features : hidden;
      return new nn.Linear(inputs, at === linearLayers - 1 ? result : hidden, { generator });
    });
    return new AuxiliaryHead(convolutions, pooled.layers, linear);
  },
};

interface FeatureMap {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** Null for vectors and tokens. */
function mapOf(shape: FeatureShape): FeatureMap | null {
  const [channels, height, width] = shape;
  if (channels === undefined || height === undefined || width === undefined) return null;
  return { channels, height, width };
}

function createConvolutions(
  { channels, height, width }: FeatureMap,
  layers: number,
  widen: number,
  { final: last, generator }: HeadContext,
): Convolution[] {
  const final = last ? mapOf(last) : null;
  const wanted = final ? Math.min(2 * channels, Math.max(channels, final.channels)) : channels;
  const outputs = widened(wanted, widen);
  const shrinks = final !== null && (height > final.height || width > final.width);
  // Batch norm in training needs more than one value a channel, also in a batch of one image.
  const leavesMap = Math.ceil(height / 2) * Math.ceil(width / 2) > 1;
  return Array.from({ length: layers }, (_, at) => {
    const stride = at === 0 && shrinks && leavesMap ? 2 : 1;
    return new Convolution(at === 0 ? channels : outputs, outputs, stride, generator);
  });
}

function widened(size: number, widen: number): number {
  return Math.max(1, Math.floor(size * widen));
}

/** 3 × 3 convolution, batch norm and ReLU: `[N, C, H, W]` → `[N, outputs, ⌈H / stride⌉, ⌈W / stride⌉]`. */
class Convolution extends nn.Module {
  readonly conv: nn.Conv2d;
  readonly bn: nn.BatchNorm2d;

  constructor(
    inputs: number,
    readonly outputs: number,
    stride: number,
    generator: HeadContext["generator"],
  ) {
    super();
    this.conv = new nn.Conv2d(inputs, outputs, 3, { stride, padding: 1, bias: false, generator });
    nn.kaimingNormal_(this.conv.weight, "fanOut", generator);
    this.bn = new nn.BatchNorm2d(outputs);
  }

  override forward(input: Tensor): Tensor {
    return this.bn.normalise(this.conv.forward(input), { rectify: true });
  }
}

/** In a state dict: `convolutions.0.conv`, `convolutions.0.bn`, `linear.0`; of tokens also `pooling.1`, the norm. */
class AuxiliaryHead extends nn.Module {
  constructor(
    readonly convolutions: readonly Convolution[],
    /** From what is no map to a vector; none for maps, of which the mean of each channel is taken. */
    readonly pooling: readonly nn.Module[],
    readonly linear: readonly nn.Linear[],
  ) {
    super();
  }

  /** In a scope of its own: what autograd does not need is freed at once. */
  override forward(input: Tensor): Tensor {
    return scope(() => {
      let features = input;
      for (const convolution of this.convolutions) features = convolution.forward(features);
      for (const layer of this.pooling) features = layer.forward(features);
      if (features.dim === 4) features = adaptiveAvgPool2d(features, 1).flatten(1);
      for (const [at, layer] of this.linear.entries()) {
        features = layer.forward(features);
        if (at < this.linear.length - 1) features = relu_(features);
      }
      return features;
    });
  }
}
