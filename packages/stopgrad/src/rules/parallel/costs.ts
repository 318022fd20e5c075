// What each module's learning costs, so that modules can be dealt out to workers: processor time, measured. Multiply-adds
// would be exact, but the first modules of a network take longer for each: their maps are large, and batch norm and
// activations count none (ResNet-32 in 16 modules, halved by multiply-adds: 0.29 and 0.20 seconds a batch of 128).
//
// Measured again, costs differ a little, and so may which worker gets which module; what modules learn does not.
import { scope, type Tensor, zeros } from "@stopgrad/torch";
import { forwardThrough } from "../../models/index.js";
import type { PartitionedRule } from "../partitioned.js";

/** Images of a measured pass, and passes of which the fastest counts, after one that only warms up. */
const IMAGES = 16;
const PASSES = 3;

/**
 * Seconds of processor time of each module's forward and backward pass, first to last: its context, stages, head and
 * decoder. Changes no weights, running statistics, gradients or generators.
 * @param imageShape - `[C, H, W]` of the images that are trained on
 */
export function moduleCosts(rule: PartitionedRule, imageShape: readonly number[]): number[] {
  const networks = [rule.backbone, rule.auxiliary, rule.context];
  for (const network of networks) network?.eval();
  try {
    passSeconds(rule, imageShape);
    const passes = Array.from({ length: PASSES }, () => passSeconds(rule, imageShape));
    return passes[0]!.map((_, at) => Math.min(...passes.map((seconds) => seconds[at]!)));
  } finally {
    for (const network of networks) network?.train();
    rule.parts().optimizer.zeroGrad();
  }
}

/** One pass over the modules in evaluation mode. */
function passSeconds(rule: PartitionedRule, imageShape: readonly number[]): number[] {
  const { modules, bottom } = rule.parts();
  return scope(() => {
    const images = zeros([IMAGES, ...imageShape]);
    const history = rule.context?.begin(images) ?? null;
    try {
      let features: Tensor = forwardThrough(bottom, images).detach();
      return modules.map(({ stages, readout, decoder }, at) => {
        const before = process.cpuUsage();
        scope(() => {
          const entry = history && at > 0 ? rule.context!.enter(at - 1, features, history) : features;
          const hidden = forwardThrough(stages, entry);
          const loss = (readout ? readout.forward(hidden) : hidden).sum();
          (decoder?.error ? loss.add(decoder.error(hidden, images)) : loss).backward();
          if (at > 0) history?.push(entry.detach());
          features = hidden.detach();
          return features;
        });
        const { user, system } = process.cpuUsage(before);
        return (user + system) / 1e6;
      });
    } finally {
      history?.dispose();
    }
  });
}
