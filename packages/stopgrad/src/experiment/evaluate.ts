// Loss and accuracy of a network on a whole split, in evaluation mode and without augmentation.
import { crossEntropy, noGrad, scope } from "@stopgrad/torch";
import { type Normalisation, slice, type TensorSet } from "../data/loader.js";
import { countCorrect, type LearningRule } from "../rules/index.js";

export interface Evaluation {
  /** Mean cross-entropy in nats. */
  loss: number;
  /** Fraction in [0, 1]. */
  accuracy: number;
}

/**
 * @param batch - images at a time: speed and memory, not the result
 * @param breathe - called before each batch; what it throws ends the evaluation, with the network back in training mode
 */
export function evaluate(
  rule: LearningRule,
  set: TensorSet,
  normalisation: Normalisation,
  batch: number,
  breathe: () => void = () => {},
): Evaluation {
  let loss = 0;
  let correct = 0;
  rule.backbone.eval();
  try {
    noGrad(() => {
      for (let start = 0; start < set.count; start += batch) {
        breathe();
        scope(() => {
          const { images, labels } = slice(set, start, Math.min(batch, set.count - start), normalisation);
          const logits = rule.logits(images);
          loss += crossEntropy(logits, labels, { reduction: "sum" }).item();
          correct += countCorrect(logits, labels);
        });
      }
    });
  } finally {
    rule.backbone.train();
  }
  return { loss: loss / set.count, accuracy: correct / set.count };
}
