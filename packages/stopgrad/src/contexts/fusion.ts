// How a node combines a feature with its contexts. A fusion is a sum of terms, one of the feature and one of each
// context. A context that is not there has no term, and the gradient of the sum reaches every term unchanged, so that
// contexts can be differentiated one after the other.
import { nn, type Tensor } from "@stopgrad/torch";
import type { RegistryEntry } from "../registry.js";

/** What a fusion is made for. */
export interface FusionContext {
  /** Of the feature, of every context, and of what they give. */
  readonly channels: number;
  /** How many contexts there are at most. */
  readonly paths: number;
}

/** The terms of one node. */
export abstract class FusionTerms extends nn.Module {
  /** Whether the feature's own term has parameters. */
  abstract readonly projects: boolean;
  /** Whether the term of a context is another than the context itself. */
  abstract readonly weighs: boolean;
  /** How many of its parameters are those of one context's term. */
  abstract readonly parametersOfPath: number;
  /** What the feature `[N, C, H, W]` gives by itself: a tensor of its own of the same shape. */
  abstract override forward(features: Tensor): Tensor;
  /** What the context of path `path` adds: `[N, C, H, W]` → the same shape. */
  abstract ofContext(context: Tensor, path: number): Tensor;
}

/** A named fusion. `options` are what stands beside `context.fusion.name`. */
export interface Fusion extends RegistryEntry {
  create(options: Readonly<Record<string, unknown>>, context: FusionContext): FusionTerms;
}
