// The head of end-to-end contrastive training: a small network to the sphere on which images are compared.
import { nn } from "@stopgrad/torch";
import { z } from "zod";
import { requireFeatures } from "./conv.js";
import type { Head, HeadContext } from "./head.js";
import { pooledFlatten } from "./pooling.js";

const options = z.strictObject({
  /** Features that come out. */
  size: z.int().positive().default(128),
});

/** Maps are averaged over all positions, C features; then D → D, ReLU, D → size. The loss normalises the rows. */
export const projection: Head = {
  summary: "global average pooling, then two linear layers with ReLU between, to 128 features",
  source: "arXiv 2004.11362; arXiv 2402.09050, end-to-end contrastive training",
  options,
  create(given, context) {
    requireFeatures("projection", context);
    const { generator } = context;
    const { layers, features } = averaged(context);
    return new nn.Sequential(
      ...layers,
      new nn.Linear(features, features, { generator }),
      new nn.ReLU(),
      new nn.Linear(features, options.parse(given).size, { generator }),
    );
  },
};

/** From the module's output to a vector: the mean of each channel of a map, else as for linear heads. */
function averaged({ shape }: HeadContext): { layers: nn.Module[]; features: number } {
  if (shape.length !== 3) return pooledFlatten(shape);
  return { layers: [new nn.AdaptiveAvgPool2d(1), new nn.Flatten()], features: shape[0]! };
}
