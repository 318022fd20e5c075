// Supervised contrastive learning: images of a class are pulled together, all others pushed away.
import { scope } from "@stopgrad/torch";
import { z } from "zod";
import { contrast, repeated } from "./contrast.js";
import type { LocalLoss } from "./local-loss.js";

const options = z.strictObject({
  /** τ: what cosines are divided by. */
  temperature: z.number().positive().default(0.1),
  /** The loss is scaled by temperature / baseTemperature: 10/7 here, 1 where both are 0.07 (arXiv 2312.07636). */
  baseTemperature: z.number().positive().default(0.07),
  /** Augmented copies of each image: two, or the batch's images alone. */
  views: z.union([z.literal(1), z.literal(2)]).default(2),
});

/**
 * Each row against all others; its positives are the rows of the same class, other views included (see `contrast`).
 *
 * Rows are normalised to length 1 here; maps are first pooled to at most 2048 features and flattened, so that without a
 * head it sees the module's pooled output. With one view, an image that is alone in its class contributes 0; so does a
 * batch of one image. Identical features give log(V·N − 1) times the scale.
 */
export const supervisedContrastive: LocalLoss = {
  summary: "supervised contrastive: images of one class attract each other, others repel; two augmented views, or one",
  source: "arXiv 2004.11362; arXiv 2402.09050, eq. 14",
  options,
  classifies: false,
  heads: ["linear", "mlp", "none", "projection", "auxiliary"],
  outputs: "features",
  views: (given) => options.parse(given).views,
  compute(given, { output, labels, views }) {
    const { temperature, baseTemperature } = options.parse(given);
    return scope(() => {
      const classes = repeated("supervised-contrastive", output, labels, views);
      return contrast(output, classes, temperature, temperature / baseTemperature);
    });
  },
};
