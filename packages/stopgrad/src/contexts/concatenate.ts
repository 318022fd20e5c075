// Feature and contexts side by side, brought back to the feature's channels by a 1x1 convolution.
import { conv2d, noGrad, Parameter, scope, type Tensor, zeros } from "@stopgrad/torch";
import { z } from "zod";
import { type Fusion, FusionTerms } from "./fusion.js";

/**
 * W [h; c_0; c_1; …] + b with W `[C, (1 + P)·C, 1, 1]`. It starts as h + Σ c_j: the identity on each part, b = 0, so that
 * it begins where `add` begins and differs by what W learns. The feature keeps its projection when no context is there.
 */
export const concatenate: Fusion = {
  summary: "feature and contexts concatenated on channels, then a 1x1 convolution that starts as their sum",
  options: z.strictObject({}),
  create: (_, { channels, paths }) => new Concatenation(channels, 1 + paths),
};

class Concatenation extends FusionTerms {
  override readonly projects = true;
  override readonly weighs = true;
  override readonly parametersOfPath: number;
  readonly weight: Parameter;
  readonly bias: Parameter;

  constructor(
    readonly channels: number,
    parts: number,
  ) {
    super();
    this.parametersOfPath = channels * channels;
    this.weight = scope(() => new Parameter(identities(channels, parts)));
    this.bias = scope(() => new Parameter(zeros([channels])));
  }

  override forward(features: Tensor): Tensor {
    return scope(() => conv2d(features, this.#columns(0), { bias: this.bias }));
  }

  override ofContext(context: Tensor, path: number): Tensor {
    return scope(() => conv2d(context, this.#columns(1 + path)));
  }

  /** The part of the weight that a part of the concatenation meets: `[C, C, 1, 1]`. */
  #columns(part: number): Tensor {
    return this.weight.narrow(1, part * this.channels, this.channels);
  }
}

/** `[C, parts·C, 1, 1]`: channel c of every part goes to channel c. */
function identities(channels: number, parts: number): Tensor {
  return noGrad(() => {
    const weight = zeros([channels, parts * channels, 1, 1]);
    for (let channel = 0; channel < channels; channel++) {
      for (let part = 0; part < parts; part++) {
        weight
          .select(0, channel)
          .select(0, part * channels + channel)
          .fill_(1);
      }
    }
    return weight;
  });
}
