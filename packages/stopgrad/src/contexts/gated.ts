// Contexts weighted by learned gates, so that a node can close the paths it does not need.
import { noGrad, Parameter, scope, sigmoid, type Tensor, zeros } from "@stopgrad/torch";
import { z } from "zod";
import { type Fusion, FusionTerms } from "./fusion.js";

const options = z.strictObject({
  /** How far every gate is open at the start, in (0, 1). */
  start: z.number().gt(0).lt(1).default(0.5),
});

/** h + Σ σ(g_j) · c_j, one learned gate g for each path and channel, `[P, C]`. */
export const gated: Fusion = {
  summary: "the feature plus each context times a learned gate in (0, 1) for each path and channel",
  options,
  create: (given, { channels, paths }) => new Gates(options.parse(given).start, channels, paths),
};

class Gates extends FusionTerms {
  override readonly projects = false;
  override readonly weighs = true;
  override readonly parametersOfPath: number;
  /** Before the sigmoid. */
  readonly gates: Parameter;

  constructor(start: number, channels: number, paths: number) {
    super();
    const value = Math.log(start / (1 - start));
    this.parametersOfPath = channels;
    this.gates = scope(() => new Parameter(noGrad(() => zeros([paths, channels]).fill_(value))));
  }

  override forward(features: Tensor): Tensor {
    return features.detach();
  }

  override ofContext(context: Tensor, path: number): Tensor {
    // Gates are float32; a context of 16 bits stays one.
    return scope(() => context.mul(sigmoid(this.gates.select(0, path)).to(context.dtype).reshape([1, -1, 1, 1])));
  }
}
