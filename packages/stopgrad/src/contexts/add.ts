// The paper's fusion: element by element addition.
import type { Tensor } from "@stopgrad/torch";
import { z } from "zod";
import { type Fusion, FusionTerms } from "./fusion.js";

/** h + Σ c_j, without parameters. */
export const add: Fusion = {
  summary: "the feature plus its contexts, element by element",
  source: "arXiv 2312.07636",
  options: z.strictObject({}),
  create: () => new Sum(),
};

class Sum extends FusionTerms {
  override readonly projects = false;
  override readonly weighs = false;
  override readonly parametersOfPath = 0;

  override forward(features: Tensor): Tensor {
    return features.detach();
  }

  override ofContext(context: Tensor): Tensor {
    return context;
  }
}
