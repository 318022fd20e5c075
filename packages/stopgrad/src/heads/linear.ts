import { nn } from "@stopgrad/torch";
import { z } from "zod";
import type { Head } from "./head.js";
import { pooledFlatten } from "./pooling.js";

/** Pooling rule, then one linear map D → outputs. */
export const linear: Head = {
  summary: "pooling to at most 2048 features, then one linear layer",
  source: "arXiv 2402.09050, 1-layer",
  options: z.strictObject({}),
  create(_, { shape, classes, outputs, generator }) {
    const { layers, features } = pooledFlatten(shape);
    const size = outputs === "classes" ? classes : features;
    return new nn.Sequential(...layers, new nn.Linear(features, size, { generator }));
  },
};
