// Losses as layers: predictions and targets → a scalar, or each element's without reduction. The functions are in
// ops/functional/losses.ts. Weights are buffers: they move with the module and are saved, as in PyTorch.

import type { ClassLossOptions, LossOptions, Reduction } from "../ops/functional.js";
import * as functional from "../ops/functional.js";
import { scope } from "../scope.js";
import { Buffer, type Tensor } from "../tensor.js";
import { Module } from "./module.js";

const buffered = (weight: Tensor | null | undefined): Buffer | null =>
  weight ? scope(() => new Buffer(weight)) : null;

/** −log softmax(logits)[target]; see `crossEntropy`. */
export class CrossEntropyLoss extends Module {
  readonly weight: Buffer | null;
  readonly #options: LossOptions;
  constructor(options: ClassLossOptions & { labelSmoothing?: number } = {}) {
    super();
    const { weight, ...rest } = options;
    this.weight = buffered(weight);
    this.#options = rest;
  }
  override forward(logits: Tensor, target: Tensor): Tensor {
    return functional.crossEntropy(logits, target, { ...this.#options, weight: this.weight });
  }
}

/** −logProbabilities[target]; see `nllLoss`. */
export class NLLLoss extends Module {
  readonly weight: Buffer | null;
  readonly #options: LossOptions;
  constructor(options: ClassLossOptions = {}) {
    super();
    const { weight, ...rest } = options;
    this.weight = buffered(weight);
    this.#options = rest;
  }
  override forward(logProbabilities: Tensor, target: Tensor): Tensor {
    return functional.nllLoss(logProbabilities, target, { ...this.#options, weight: this.weight });
  }
}

/** (x − y)². */
export class MSELoss extends Module {
  constructor(readonly options: LossOptions = {}) {
    super();
  }
  override forward(input: Tensor, target: Tensor): Tensor {
    return functional.mseLoss(input, target, this.options);
  }
}

/** |x − y|. */
export class L1Loss extends Module {
  constructor(readonly options: LossOptions = {}) {
    super();
  }
  override forward(input: Tensor, target: Tensor): Tensor {
    return functional.l1Loss(input, target, this.options);
  }
}

/** Quadratic below `beta`, linear above; see `smoothL1Loss`. */
export class SmoothL1Loss extends Module {
  constructor(readonly options: LossOptions & { beta?: number } = {}) {
    super();
  }
  override forward(input: Tensor, target: Tensor): Tensor {
    return functional.smoothL1Loss(input, target, this.options);
  }
}

/** Quadratic up to `delta`, linear above; see `huberLoss`. */
export class HuberLoss extends Module {
  constructor(readonly options: LossOptions & { delta?: number } = {}) {
    super();
  }
  override forward(input: Tensor, target: Tensor): Tensor {
    return functional.huberLoss(input, target, this.options);
  }
}

/** Binary cross-entropy of probabilities; see `bceLoss`. */
export class BCELoss extends Module {
  readonly weight: Buffer | null;
  readonly #options: LossOptions;
  constructor(options: LossOptions & { weight?: Tensor | null } = {}) {
    super();
    const { weight, ...rest } = options;
    this.weight = buffered(weight);
    this.#options = rest;
  }
  override forward(probabilities: Tensor, target: Tensor): Tensor {
    return functional.bceLoss(probabilities, target, { ...this.#options, weight: this.weight });
  }
}

/** Binary cross-entropy of σ(logits); see `bceWithLogits`. */
export class BCEWithLogitsLoss extends Module {
  readonly weight: Buffer | null;
  readonly posWeight: Buffer | null;
  readonly #options: LossOptions;
  constructor(options: LossOptions & { weight?: Tensor | null; posWeight?: Tensor | null } = {}) {
    super();
    const { weight, posWeight, ...rest } = options;
    this.weight = buffered(weight);
    this.posWeight = buffered(posWeight);
    this.#options = rest;
  }
  override forward(logits: Tensor, target: Tensor): Tensor {
    const { weight, posWeight } = this;
    return functional.bceWithLogits(logits, target, { ...this.#options, weight, posWeight });
  }
}

/** y (log y − x); see `klDiv`. */
export class KLDivLoss extends Module {
  constructor(readonly options: { reduction?: Reduction | "batchmean"; logTarget?: boolean } = {}) {
    super();
  }
  override forward(input: Tensor, target: Tensor): Tensor {
    return functional.klDiv(input, target, this.options);
  }
}

/** 1 − cos(a, b), or what it exceeds a margin by where the target is −1; see `cosineEmbeddingLoss`. */
export class CosineEmbeddingLoss extends Module {
  constructor(readonly options: LossOptions & { margin?: number } = {}) {
    super();
  }
  override forward(first: Tensor, second: Tensor, target: Tensor): Tensor {
    return functional.cosineEmbeddingLoss(first, second, target, this.options);
  }
}

/** max(0, margin − target (a − b)); see `marginRankingLoss`. */
export class MarginRankingLoss extends Module {
  constructor(readonly options: LossOptions & { margin?: number } = {}) {
    super();
  }
  override forward(first: Tensor, second: Tensor, target: Tensor): Tensor {
    return functional.marginRankingLoss(first, second, target, this.options);
  }
}

/** x, or max(0, margin − x) where the target is −1; see `hingeEmbeddingLoss`. */
export class HingeEmbeddingLoss extends Module {
  constructor(readonly options: LossOptions & { margin?: number } = {}) {
    super();
  }
  override forward(input: Tensor, target: Tensor): Tensor {
    return functional.hingeEmbeddingLoss(input, target, this.options);
  }
}

/** max(0, ‖a − p‖ − ‖a − n‖ + margin); see `tripletMarginLoss`. */
export class TripletMarginLoss extends Module {
  constructor(readonly options: LossOptions & { margin?: number; p?: number; eps?: number; swap?: boolean } = {}) {
    super();
  }
  override forward(anchor: Tensor, positive: Tensor, negative: Tensor): Tensor {
    return functional.tripletMarginLoss(anchor, positive, negative, this.options);
  }
}
