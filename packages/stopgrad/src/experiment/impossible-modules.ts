// What is wrong with how a network is cut into modules, and what modules cannot be given where they lie: contexts and
// decoders need feature maps, weights something to learn from, segments enough stages.
import { type Mistake, mistakeAt } from "./check.js";
import {
  contextWithoutMaps,
  decoderWithoutMaps,
  idleModule,
  type ModuleEnds,
  moduleEnds,
  type PartlyMaps,
} from "./module-ends.js";
import { moduleCount, requireModules } from "./partition.js";
import { chosenWeights, publishedFor } from "./reconstruction.js";
import type { Known, ValidParts } from "./valid-parts.js";

/** A network and its modules, as far as they are known; null: not before the work. */
export interface KnownModules {
  /** Of the model. */
  readonly stages: number | null;
  /** K, as the partition says. */
  readonly count: number | null;
  /** Where they end. */
  readonly layout: ModuleEnds | null;
}

/** How many modules there are to learn. */
export function learningModules({ layout, count }: KnownModules): number | null {
  return layout?.count ?? count;
}

/** Looks at the network and how it is cut; what is wrong with that is told in `mistakes`. */
export function lookAtModules(parts: ValidParts, known: Known): { modules: KnownModules; mistakes: Mistake[] } {
  const { model, data, partition, retrain } = parts;
  const written = partition === undefined ? null : moduleCount(partition);
  let stages: number | null = null;
  try {
    if (model && data) stages = known.hooks.stageCount?.(model, data) ?? null;
  } catch (error) {
    const mistakes = [mistakeAt(["model"], (error as Error).message)];
    return { modules: { stages, count: written, layout: null }, mistakes };
  }
  const uncut = { stages, count: written, layout: null };
  if (stages === null) return { modules: uncut, mistakes: [] };
  const frozen = retrain?.frozen ?? 0;
  if (retrain && frozen >= stages) {
    const message = `expected fewer than the ${stages} stages of ${model?.name}, got ${frozen}: nothing would be trained`;
    return { modules: uncut, mistakes: [mistakeAt(["retrain", "frozen"], message)] };
  }
  if (partition === undefined) return { modules: uncut, mistakes: [] };
  try {
    requireModules(partition, stages, frozen);
    const layout = layoutOf(parts, stages, known);
    return { modules: { stages, count: written ?? stages - frozen, layout }, mistakes: [] };
  } catch (error) {
    const mistakes = [mistakeAt(["partition"], `${(error as Error).message} (${model?.name})`)];
    return { modules: uncut, mistakes };
  }
}

/** Null where what decides it is not known. @throws RangeError as `moduleSizes` does */
function layoutOf(
  { model, partition, retrain, loss, classifier }: ValidParts,
  stages: number,
  { registries, hooks }: Known,
): ModuleEnds | null {
  if (!model || partition === undefined || !loss || !classifier) return null;
  const hasClassifier = hooks.hasClassifier?.(model) ?? true;
  const classifies = registries.losses[loss.name]?.classifies ?? true;
  return moduleEnds({ partition, stages, frozen: retrain?.frozen ?? 0, hasClassifier, classifier, classifies });
}

/** What modules cannot be given where they lie. Of a rule that knows none, nothing is said here. */
export function impossibleModules(parts: ValidParts, modules: KnownModules, { hooks }: Known): Mistake[] {
  const { model, retrain, rule } = parts;
  const { stages } = modules;
  if (rule?.name !== "partitioned") return [];
  const network =
    model && stages !== null
      ? { model: model.name, stages, frozen: retrain?.frozen ?? 0, maps: hooks.mapStages?.(model) ?? stages }
      : null;
  return [
    ...impossibleContexts(parts, modules, network),
    ...impossibleDecoders(parts, modules, network),
    ...tooManySegments(parts, network),
  ];
}

function impossibleContexts({ context }: ValidParts, modules: KnownModules, network: PartlyMaps | null): Mistake[] {
  if (!context) return [];
  if (learningModules(modules) === 1) {
    const message = "there is one module, which has none before it; cut the network, or use context: none";
    return [mistakeAt(["context"], message)];
  }
  const { layout, count } = modules;
  const mistakes: Mistake[] = [];
  const problem = network && layout && contextWithoutMaps(network, layout);
  if (problem !== null) mistakes.push(mistakeAt(["context"], problem));
  if (count !== null && context.previousModules > count) {
    const message = `expected at most the ${count} modules there are, got ${context.previousModules}`;
    mistakes.push(mistakeAt(["context", "previousModules"], message));
  }
  return mistakes;
}

function impossibleDecoders(
  { reconstruction, model, data, partition }: ValidParts,
  { layout }: KnownModules,
  network: PartlyMaps | null,
): Mistake[] {
  if (!reconstruction || !layout || !model || !data || partition === undefined) return [];
  const weights = chosenWeights(reconstruction, publishedFor(model, data, partition));
  if (!weights) return [];
  const at = ["objective", "reconstruction"];
  const mistakes: Mistake[] = [];
  const problem = network && decoderWithoutMaps(network, layout, weights);
  if (problem !== null) mistakes.push(mistakeAt(at, problem));
  const idle = idleModule(weights, layout.local);
  if (idle !== null) {
    const where = reconstruction.weights === "published" ? at : [...at, "weights", idle === 0 ? "first" : "last"];
    const message = `both weights are 0 for module ${idle + 1} of ${layout.count}, which would learn nothing; give it a reconstruction or a label above 0`;
    mistakes.push(mistakeAt(where, message));
  }
  return mistakes;
}

/** A module is cut into segments of whole stages. */
function tooManySegments({ gradientCheckpointing }: ValidParts, network: PartlyMaps | null): Mistake[] {
  if (!network || typeof gradientCheckpointing !== "number") return [];
  const { model, stages, frozen } = network;
  const most = stages - frozen;
  if (gradientCheckpointing <= most) return [];
  const there = `the ${most} stages of ${model}${frozen > 0 ? " that are trained" : ""}`;
  return [mistakeAt(["gradientCheckpointing"], `expected at most ${there}, got ${gradientCheckpointing}`)];
}
