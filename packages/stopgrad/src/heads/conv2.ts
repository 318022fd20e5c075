// The two-layer head of similarity matching.
import { nn } from "@stopgrad/torch";
import { conv, convolutionOptions, requireFeatures, sameConvolution, vectorHead } from "./conv.js";
import type { Head } from "./head.js";

/** Two 3 × 3 convolutions C → C with ReLU between; vectors and tokens as in `conv`, one linear map. */
export const conv2: Head = {
  summary: "two 3x3 convolutions that keep channels and size, ReLU between; for vectors a linear layer",
  source: "arXiv 2402.09050, 2-layer",
  options: conv.options,
  create(given, context) {
    requireFeatures("conv2", context);
    const { bias } = convolutionOptions.parse(given);
    const make = () => sameConvolution(context, bias);
    return vectorHead(context) ?? new nn.Sequential(make(), new nn.ReLU(), make());
  },
};
