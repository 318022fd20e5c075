// SimCLR: two views of an image are to be told from all other images, without labels (NT-Xent).
import { scope } from "@stopgrad/torch";
import { z } from "zod";
import { contrast, imageOf, repeated } from "./contrast.js";
import type { LocalLoss } from "./local-loss.js";

const options = z.strictObject({
  /** τ: what cosines are divided by. The paper that compares with it does not say which it used. */
  temperature: z.number().positive().default(0.5),
});

/**
 * As `supervised-contrastive` with two views, the only positive of a row being the other view of its image. Labels are
 * not used. A batch of one image gives 0: its views have nothing to be told from.
 */
export const simclr: LocalLoss = {
  summary: "SimCLR: two views of an image attract each other, other images repel; labels are not used",
  source: "arXiv 2002.05709 (NT-Xent)",
  options,
  classifies: false,
  heads: ["projection", "linear", "mlp", "none", "auxiliary"],
  outputs: "features",
  views: () => 2,
  compute(given, { output, labels, views }) {
    const { temperature } = options.parse(given);
    if (views !== 2) throw new Error(`simclr: expected 2 views of each image, got ${views}`);
    return scope(() => {
      repeated("simclr", output, labels, views);
      return contrast(output, imageOf(labels.size(0), views, output.device), temperature, 1);
    });
  },
};
