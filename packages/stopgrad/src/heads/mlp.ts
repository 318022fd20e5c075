import { nn } from "@stopgrad/torch";
import { z } from "zod";
import type { Head } from "./head.js";
import { pooledFlatten } from "./pooling.js";

/** Pooling rule, then D → D, ReLU, D → outputs. */
export const mlp: Head = {
  summary: "pooling to at most 2048 features, then two linear layers with ReLU between",
  source: "arXiv 2402.09050, 2-layer",
  options: z.strictObject({}),
  create(_, { shape, classes, outputs, generator }) {
    const { layers, features } = pooledFlatten(shape);
    const size = outputs === "classes" ? classes : features;
    return new nn.Sequential(
      ...layers,
      new nn.Linear(features, features, { generator }),
      new nn.ReLU(),
      new nn.Linear(features, size, { generator }),
    );
  },
};
