// How much reconstruction and label count in each module's loss: λ₁ · reconstruction + λ₂ · label, with weights that go
// from the first module's to the last one's in equal steps (arXiv 2101.10832). Loads no tensors.

/** Factors of the two parts of a module's loss, at least 0. */
export interface LossWeights {
  /** λ₁, of the decoder's error. */
  readonly reconstruction: number;
  /** λ₂, of the loss on the label. */
  readonly label: number;
}

/** Weights of the first and of the last module that has a local loss: of K modules the first and the (K − 1)th. */
export interface WeightRange {
  readonly first: LossWeights;
  readonly last: LossWeights;
}

/**
 * λ(i) = (1 − r) · λ_first + r · λ_last with r = i / (K − 2), and r = 0 where K is 2.
 * @param at - the module i, from 0 to K − 2; the last of the K modules is trained by the classifier and has no weights
 * @param modules - K, at least 2
 * @throws Error when there is no such module
 */
export function weightsOfModule(first: LossWeights, last: LossWeights, at: number, modules: number): LossWeights {
  if (!(Number.isInteger(modules) && modules >= 2)) {
    throw new Error(`loss weights: expected at least 2 modules, got ${modules}`);
  }
  if (!(Number.isInteger(at) && at >= 0 && at <= modules - 2)) {
    throw new Error(`loss weights: expected a module from 0 to ${modules - 2} of ${modules}, got ${at}`);
  }
  const ratio = modules === 2 ? 0 : at / (modules - 2);
  const between = (part: keyof LossWeights) => (1 - ratio) * first[part] + ratio * last[part];
  return { reconstruction: between("reconstruction"), label: between("label") };
}
