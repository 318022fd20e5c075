// The small classifier that `pred` and `predsim` keep beside the head: average pooling, then one linear map to class
// scores, starting from zero weights (arXiv 1901.06656).
import { nn, noGrad } from "@stopgrad/torch";
import { z } from "zod";
import type { HeadContext } from "../heads/head.js";
import { POOLED_SIZE, pooledFlatten, poolingFor } from "../heads/pooling.js";
import type { LocalLossInput } from "./local-loss.js";

/**
 * Features that the decoder sees at most: maps are average-pooled by the heads' rule until they fit. The released code
 * of arXiv 1901.06656 has 4096, and its recipes 2048 (CIFAR) and 1024 (MNIST).
 */
export const decoderFeatures = z.int().positive().default(POOLED_SIZE);

/**
 * From the module's output `[N, …shape]` to class scores `[N, K]`; of tokens the class token, behind a layer norm. The
 * weight starts at 0, the bias as any layer's.
 */
export function createDecoder(most: number, { shape, classes, generator }: HeadContext): nn.Module {
  const { layers, features } = pooledTo(most, shape);
  const decoder = new nn.Linear(features, classes, { generator });
  noGrad(() => decoder.weight.zero_());
  return new nn.Sequential(...layers, decoder);
}

function pooledTo(most: number, shape: HeadContext["shape"]): { layers: nn.Module[]; features: number } {
  const [channels, height, width] = shape;
  if (channels === undefined || height === undefined || width === undefined) return pooledFlatten(shape);
  const { kernel, padding, features } = poolingFor(channels, height, width, most);
  const pools = kernel[0] > 1 || kernel[1] > 1;
  return { layers: [...(pools ? [new nn.AvgPool2d(kernel, { padding })] : []), new nn.Flatten()], features };
}

/** What `create` made. @throws Error naming `loss` when it is not there */
export function decoderOf(loss: string, { own }: Pick<LocalLossInput, "own">): nn.Module {
  if (!own) throw new Error(`${loss}: expected the decoder that its create makes for a module, got none`);
  return own;
}
