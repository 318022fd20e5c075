// The head of similarity matching: a convolution that keeps channels and size.
import { nn } from "@stopgrad/torch";
import { z } from "zod";
import type { Head, HeadContext } from "./head.js";

export const convolutionOptions = z.strictObject({
  /** Whether convolutions have a bias: true in the code of arXiv 2402.09050, false in that of arXiv 1901.06656. */
  bias: z.boolean().default(true),
});

/**
 * One 3 × 3 convolution C → C with padding 1: a map of the same size. A vector `[D]` gets a linear map D → D without
 * bias instead, tokens `[T, D]` the same one each.
 */
export const conv: Head = {
  summary: "one 3x3 convolution that keeps channels and size; for vectors a linear layer",
  source: "arXiv 1901.06656; arXiv 2402.09050, 1-layer",
  options: convolutionOptions,
  create(given, context) {
    requireFeatures("conv", context);
    const { bias } = convolutionOptions.parse(given);
    return vectorHead(context) ?? sameConvolution(context, bias);
  },
};

/** 3 × 3, C → C, padding 1. */
export function sameConvolution({ shape, generator }: HeadContext, bias: boolean): nn.Module {
  return new nn.Conv2d(shape[0]!, shape[0]!, 3, { padding: 1, bias, generator });
}

/** What convolutional heads are where there is no map: a bias-free linear map of the last dimension; null for maps. */
export function vectorHead({ shape, generator }: HeadContext): nn.Module | null {
  if (shape.length === 3) return null;
  const features = shape.at(-1)!;
  return new nn.Linear(features, features, { bias: false, generator });
}

/** @throws Error naming the head when class scores are wanted */
export function requireFeatures(head: string, { outputs }: HeadContext): void {
  if (outputs === "classes") {
    throw new Error(`head ${head}: expected a loss on features, got one on class scores; use linear or mlp`);
  }
}
