// What a module is trained on: a function of its head's output and the labels.
import type { Tensor } from "@stopgrad/torch";
import type { RegistryEntry } from "../registry.js";

export interface LocalLossInput {
  /** Head output, `[N, outputs]`. */
  output: Tensor;
  /** int64 `[N]`, 0 to classes − 1. */
  labels: Tensor;
}

/** A named local loss. `options` are what stands beside `objective.loss.name`. */
export interface LocalLoss extends RegistryEntry {
  /** Whether head outputs are class scores; then the last module needs no head, the classifier is its head. */
  readonly classifies: boolean;
  /** Scalar, differentiable. */
  compute(options: Readonly<Record<string, unknown>>, input: LocalLossInput): Tensor;
}
