// How a network learns. A rule is given a backbone and a batch, and moves weights; what happens in between is its own.
import type { Generator, nn, Tensor } from "@stopgrad/torch";
import type { Head } from "../heads/index.js";
import type { LocalLoss } from "../losses/index.js";
import type { Backbone, Precision } from "../models/index.js";
import type { OptimizerEntry, OptimizerSettings } from "../optimizers/index.js";
import type { RegistryEntry } from "../registry.js";

export interface Batch {
  /** `[N, C, H, W]`, normalised. */
  images: Tensor;
  /** int64 `[N]`. */
  labels: Tensor;
}

export interface StepResult {
  /** Each module's loss on this batch, before the step, in the network's order. */
  losses: readonly { readonly module: string; readonly loss: number }[];
  /** Loss of what predicts. */
  loss: number;
  /** Images of the batch that were classified right, before the step. */
  correct: number;
}

/** A network that is being trained by a rule. */
export interface LearningRule {
  readonly backbone: Backbone;
  /** What is trained beside the backbone and thrown away at inference: heads. Null when there is nothing. */
  readonly auxiliary: nn.Module | null;
  /** Names of the gradient-isolated modules, first to last. */
  readonly moduleNames: readonly string[];
  /**
   * One optimizer step on one batch, in training mode. The batch is on the backbone's device.
   * @param meanwhile - called when a GPU has been given all of the step's work, before its results are waited for: what
   *   the processor does here costs no time. It must not depend on the step, and is not called on the CPU
   */
  step(batch: Batch, meanwhile?: () => void): StepResult;
  /** Normalised images `[N, C, H, W]` → logits `[N, K]`, float32, for evaluation. */
  logits(images: Tensor): Tensor;
  setLearningRate(rate: number): void;
  /** Everything a resumed run needs, under `backbone.`, `heads.` and `optimizer.`. */
  stateDict(): Map<string, Tensor>;
  /**
   * Copies saved state in; tensors under other prefixes are not looked at.
   * @throws TorchError when a tensor is missing, not known or of another shape; nothing is changed then
   */
  loadStateDict(saved: ReadonlyMap<string, Tensor>): void;
  dispose(): void;
}

export interface RuleContext {
  /** On the device where the rule trains it; heads join it there. */
  backbone: Backbone;
  /** `[C, H, W]`. */
  inputShape: readonly number[];
  classes: number;
  /** Of the backbone and the heads. */
  precision: Precision;
  /** How many stages each module holds. */
  moduleSizes: readonly number[];
  /** Whether the last module is trained through the classifier, or the classifier on its detached output. */
  classifier: "attached" | "detached";
  loss: { entry: LocalLoss; options: Readonly<Record<string, unknown>> };
  head: { entry: Head; options: Readonly<Record<string, unknown>> };
  optimizer: { entry: OptimizerEntry; settings: OptimizerSettings };
  /** Initial values of heads. */
  headGenerator: Generator;
}

/** A named rule. */
export interface Rule extends RegistryEntry {
  create(options: Readonly<Record<string, unknown>>, context: RuleContext): LearningRule;
}
