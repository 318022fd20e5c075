// `objective.reconstruction` of an experiment file made into weights: those that are written there, or published ones for
// the network, the data and the partition.
import type { z } from "zod";
import { nothingPublished, type PublishedSetting, publishedWeights } from "../reconstruction/published.js";
import type { Partition } from "./partition.js";
import type { DataSettings, NamedSettings, ReconstructionSettings, reconstructionSchema } from "./run-settings.js";

export type WrittenReconstruction = z.output<typeof reconstructionSchema>;

/** What weights are published for; null where modules are not counted (one each stage, or cuts). */
export function publishedFor(model: NamedSettings, data: DataSettings, partition: Partition): PublishedSetting | null {
  const common = { model: model.name, data: data.name };
  if (typeof partition === "number") return { ...common, modules: partition, balanced: false };
  if (typeof partition === "object" && "modules" in partition) {
    return { ...common, modules: partition.modules, balanced: true };
  }
  return null;
}

/** The weights; null with one module, which learns from the label alone. */
export function chosenWeights(
  { weights, source }: WrittenReconstruction,
  setting: PublishedSetting | null,
): ReconstructionSettings | null {
  if (weights !== "published") return { first: weights.first, last: weights.last ?? weights.first };
  return setting === null || setting.modules === 1 ? null : publishedWeights(setting, source);
}

/** Why there are no weights, one sentence; null where there are, or none are needed. */
export function missingWeights(written: WrittenReconstruction, setting: PublishedSetting | null): string | null {
  if (written.weights !== "published" || setting?.modules === 1) return null;
  const example = "give weights: { first: { reconstruction: 5, label: 0.5 }, last: { reconstruction: 0.5, label: 1 } }";
  if (setting === null)
    return `weights are published for a number of modules, not for a module each stage or cuts; ${example}`;
  return publishedWeights(setting, written.source) === null ? nothingPublished(setting) : null;
}
