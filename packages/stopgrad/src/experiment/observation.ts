// What all observers of a network share: what they are given and give, the network in evaluation mode, and measures that
// fail without ending the training.
import { noGrad, TorchError } from "@stopgrad/torch";
import type { Normalisation, TensorSet } from "../data/loader.js";
import { MeasureError } from "../measures/index.js";
import type { LearningRule } from "../rules/index.js";

export interface StageMeasurement {
  stage: string;
  /** `nhsicXZ`, `nhsicYZ` and so on: measure, then what it was taken between. */
  key: string;
  /** Mean over batches; NaN where it cannot be computed. */
  value: number;
  standardError: number | null;
  /** Why it cannot be computed; null where it can. */
  problem: string | null;
}

/** The run's images, as observers see them. */
export interface ObservedData {
  train: TensorSet;
  test: TensorSet;
  normalisation: Normalisation;
  classes: number;
}

export interface Observer {
  /**
   * Measures every stage; the network is back in its mode afterwards. What cannot be computed (constant features, a
   * ridge that is too small) is NaN with a problem: a measure that fails is no reason to stop training.
   *
   * @param breathe - called before each piece of work; what it throws ends the observation
   */
  observe(rule: LearningRule, breathe?: () => void): StageMeasurement[];
  dispose(): void;
}

export const nothing = () => {};

/** What `body` computes, or why it cannot: a refusal of the measure or of libtorch. Other errors are passed on. */
export function attempt<R>(body: () => R): { result: R; problem: null } | { result: null; problem: string } {
  try {
    return { result: body(), problem: null };
  } catch (error) {
    if (error instanceof MeasureError || error instanceof TorchError) return { result: null, problem: error.message };
    throw error;
  }
}

/** NaN and infinity are no measurement. */
export function checked(value: number): { value: number; problem: string | null } {
  return Number.isFinite(value) ? { value, problem: null } : { value: Number.NaN, problem: `it came out as ${value}` };
}

/** Runs `body` in evaluation mode, without gradients. */
export function evaluating<R>(rule: LearningRule, body: () => R): R {
  const wasTraining = rule.backbone.training;
  rule.backbone.eval();
  try {
    return noGrad(body);
  } finally {
    rule.backbone.train(wasTraining);
  }
}
