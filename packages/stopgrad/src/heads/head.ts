// A head is the small network through which a module's loss sees its output. It is thrown away after training.
import type { Generator, nn } from "@stopgrad/torch";
import type { FeatureShape } from "../models/backbone.js";
import type { RegistryEntry } from "../registry.js";

export interface HeadContext {
  /** Shape of the module's output without the batch: `[C, H, W]` or `[D]`. */
  shape: FeatureShape;
  /** Shape of the last map in the backbone, to which its maps shrink: `lastMapOf` its stages' shapes. */
  final?: FeatureShape | undefined;
  classes: number;
  /** What the loss wants: class scores, or as many features as the head gets. */
  outputs: "classes" | "features";
  generator: Generator;
}

/** A named head. `options` are what stands beside `objective.head.name`. */
export interface Head extends RegistryEntry {
  /** From the module's output `[N, …shape]` to what the loss sees, or null for no head. */
  create(options: Readonly<Record<string, unknown>>, context: HeadContext): nn.Module | null;
}

/** The last map `[C, H, W]` among the outputs of a backbone's stages; undefined where there is none. */
export function lastMapOf(shapes: readonly FeatureShape[]): FeatureShape | undefined {
  return shapes.findLast((shape) => shape.length === 3);
}
