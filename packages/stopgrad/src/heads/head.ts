// A head is the small network through which a module's loss sees its output. It is thrown away after training.
import type { Generator, nn } from "@stopgrad/torch";
import type { FeatureShape } from "../models/backbone.js";
import type { RegistryEntry } from "../registry.js";

export interface HeadContext {
  /** Shape of the module's output without the batch. */
  shape: FeatureShape;
  /** Size of what the loss wants: classes for a classifier. */
  outputs: number;
  generator: Generator;
}

/** A named head. `options` are what stands beside `objective.head.name`. */
export interface Head extends RegistryEntry {
  /** From the module's output `[N, …shape]` to `[N, outputs]`, or null for no head. */
  create(options: Readonly<Record<string, unknown>>, context: HeadContext): nn.Module | null;
}
