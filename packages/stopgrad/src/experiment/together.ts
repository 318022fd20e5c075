// Settings that are right one by one but not together, and what has to be known of the things they name to see it. Here
// all of that is looked at, in the order in which mistakes of one place are told; each kind of mistake has a file:
// impossible-images.ts, impossible-measures.ts, impossible-modules.ts, impossible-parallel.ts, impossible-objective.ts.
// What needs nothing but the settings themselves is in impossible-parts.ts.
import { selectionOptions } from "../contexts/selection.js";
import { type Mistake, mistakeAt } from "./check.js";
import { impossibleBatch, impossibleImages } from "./impossible-images.js";
import { imagesBeyond, impossibleMeasures, measuresBeyond } from "./impossible-measures.js";
import { impossibleModules, learningModules, lookAtModules } from "./impossible-modules.js";
import { impossibleObjective } from "./impossible-objective.js";
import { impossibleParallel } from "./impossible-parallel.js";
import type { SettingsHooks, SettingsRegistries, SplitSizes } from "./settings-hooks.js";
import type { Known, ValidParts } from "./valid-parts.js";

/** @param sizes - of the data set, null where they are not known before the work */
export function impossibleTogether(
  parts: ValidParts,
  sizes: SplitSizes | null,
  registries: SettingsRegistries,
  hooks: SettingsHooks,
): Mistake[] {
  const { data } = parts;
  const imageShape = data ? (hooks.imageShape?.(data) ?? null) : null;
  const trainingImages = data?.train ?? sizes?.train ?? null;
  const known: Known = { registries, hooks, sizes, imageShape, trainingImages };
  const { modules, mistakes } = lookAtModules(parts, known);
  return [
    ...impossibleDevice(parts, hooks),
    ...impossibleImages(parts, known),
    ...impossibleMeasures(parts, known),
    ...impossibleBatch(parts, known),
    ...mistakes,
    ...impossibleModules(parts, modules, known),
    ...measuresBeyond(parts, modules.stages, known),
    ...selectionBeyond(parts, known),
    ...impossibleParallel(parts, learningModules(modules), registries),
    ...unmatchableWidth(parts, registries),
    ...impossibleObjective(parts, modules.count, registries),
  ];
}

function impossibleDevice({ device }: ValidParts, hooks: SettingsHooks): Mistake[] {
  const refused = device === undefined ? null : (hooks.refusedDevice?.(device) ?? null);
  return refused === null ? [] : [mistakeAt(["device"], refused)];
}

/** A selection of contexts by more training images than there are. */
function selectionBeyond({ context }: ValidParts, known: Known): Mistake[] {
  const { images } = selectionOptions.shape;
  return imagesBeyond(["context", "selection", "images"], context?.selection?.images, images, known);
}

/** A cost is matched by the width of the network. */
function unmatchableWidth({ match, model }: ValidParts, { models }: SettingsRegistries): Mistake[] {
  if (!match || !model || "width" in (models[model.name]?.options.shape ?? {})) return [];
  return [mistakeAt(["match"], `${model.name} has no width that could be changed`)];
}
