// Where modules end and what follows from it, known before anything is built: contexts and decoders need feature maps
// `[C, H, W]`, which not every stage of every model gives.
import { weightsOfModule } from "../reconstruction/weights.js";
import { moduleCount, moduleSizes, type Partition } from "./partition.js";
import type { ReconstructionSettings } from "./run-settings.js";

/** The modules of a network, as far as they are known. */
export interface ModuleEnds {
  /** How many learn. */
  readonly count: number;
  /** How many of them, from the first, have a local loss: all, or all but the last, which predicts. */
  readonly local: number;
  /** The stages that they end with, from 1, first to last; null where modules are cut by what they store. */
  readonly ends: readonly number[] | null;
}

/** What decides where modules end. */
export interface ModuleLayout {
  readonly partition: Partition;
  /** Of the model. */
  readonly stages: number;
  readonly frozen: number;
  /** Whether a classifier follows the stages. */
  readonly hasClassifier: boolean;
  readonly classifier: "attached" | "detached" | "after";
  /** Whether the loss takes class scores. */
  readonly classifies: boolean;
}

/** @throws RangeError as `moduleSizes` does */
export function moduleEnds({
  partition,
  stages,
  frozen,
  hasClassifier,
  classifier,
  classifies,
}: ModuleLayout): ModuleEnds {
  const predicts = classifier === "attached" || (!hasClassifier && classifies);
  // A last stage that gives class scores is then the classifier, and no part of a module.
  const given = stages - (hasClassifier || predicts ? 0 : 1);
  const ends =
    typeof partition === "object" && "modules" in partition ? null : endsOf(partition, stages, frozen, given);
  const count = ends?.length ?? moduleCount(partition)!;
  return { count, local: predicts ? count - 1 : count, ends };
}

/** @param given - stages that modules are made of, the last ones left out */
function endsOf(partition: Partition, stages: number, frozen: number, given: number): number[] {
  let end = frozen;
  const all = moduleSizes(partition, stages, frozen).map((size) => {
    end += size;
    return Math.min(end, given);
  });
  return all.filter((one, at) => one > (all[at - 1] ?? frozen));
}

/** A network whose stages do not all give feature maps. */
export interface PartlyMaps {
  readonly model: string;
  readonly stages: number;
  readonly frozen: number;
  /** Stages from the first that give maps. */
  readonly maps: number;
}

/** Why modules cannot be given context, one sentence; null where they can: a context meets a map at every cut. */
export function contextWithoutMaps(network: PartlyMaps, { ends, count }: ModuleEnds): string | null {
  const { model, stages, maps } = network;
  const bad = ends?.slice(0, -1).find((end) => end > maps);
  if (maps >= stages - 1 || (ends !== null && bad === undefined)) return null;
  if (maps === 0)
    return `${model} has no stage that gives feature maps, which contexts are added to; use context: none`;
  const cuts = cutsThatFit(network, count);
  const problem =
    bad === undefined
      ? measuredCuts(network, "contexts are added to")
      : `the cut after stage ${bad} of ${model} has no feature map that contexts could be added to`;
  return `${problem}; use ${cuts === "" ? "" : `${cuts}, or `}context: none`;
}

/** Why modules cannot have decoders, one sentence; null where each that is to have one ends in a map. */
export function decoderWithoutMaps(
  network: PartlyMaps,
  modules: ModuleEnds,
  weights: ReconstructionSettings,
): string | null {
  const { model, stages, maps } = network;
  const { ends, count, local } = modules;
  if (maps >= stages || local === 0) return null;
  const isDecoded = (at: number) => weightsOf(weights, at, local).reconstruction > 0;
  const bad = ends?.slice(0, local).findIndex((end, at) => end > maps && isDecoded(at));
  const isBad = bad === undefined ? maps < stages - 1 || local === count : bad >= 0;
  if (!isBad) return null;
  if (maps === 0) return `${model} has no stage that gives feature maps, which decoders look at; leave it out`;
  const isLastAlone = bad === count - 1 && count > 1;
  const cuts = isLastAlone ? "" : cutsThatFit(network, count);
  const attached = local === count && (ends === null || isDecoded(count - 1)) ? "classifier: attached" : "";
  const cure = cuts === "" && !isLastAlone ? "" : [cuts, attached].filter(Boolean).join(" with ");
  const problem =
    bad === undefined
      ? measuredCuts(network, "decoders look at")
      : `module ${bad + 1} of ${count} ends with stage ${ends![bad]} of ${model}, which gives no feature map that a decoder could look at`;
  return `${problem}; ${cure === "" ? "" : `use ${cure}, or `}leave it out`;
}

function measuredCuts({ model, stages, maps }: PartlyMaps, use: string): string {
  return `balance: memory may cut after any stage, and ${model} gives feature maps, which ${use}, only up to stage ${maps} of ${stages}`;
}

/** `cuts up to 8, such as partition: { cuts: [4] }`; nothing where there are none. As many as `count` modules have. */
function cutsThatFit({ frozen, maps }: PartlyMaps, count: number): string {
  const room = maps - frozen;
  if (room <= 0) return "";
  const wanted = Math.min(Math.max(1, count - 1), room);
  const cuts = Array.from({ length: wanted }, (_, at) => frozen + Math.ceil(((at + 1) * room) / (wanted + 1)));
  return `cuts up to ${maps}, such as partition: { cuts: [${cuts.join(", ")}] }`;
}

/** The first module, from 0, whose decoder and label both count nothing; null where all learn from something. */
export function idleModule(weights: ReconstructionSettings, local: number): number | null {
  for (let at = 0; at < local; at++) {
    const { reconstruction, label } = weightsOf(weights, at, local);
    if (reconstruction === 0 && label === 0) return at;
  }
  return null;
}

function weightsOf({ first, last }: ReconstructionSettings, at: number, local: number) {
  return weightsOfModule(first, last, at, local + 1);
}
