// What claims about information planes and probes speak of, as numbers of one run. Compression, retention, role
// differentiation and uniformity as in the project's specification (8.6).
import { mean, type StagePlaneSummary, type Trajectory } from "../statistics/index.js";
import type { FoundRun, Quantity } from "./found.js";

/** Some stages of a network, by position. */
export type Stages = "all" | "first" | "last" | "last two" | "middle" | "first half" | "second half";

/** `middle`: neither the first nor the last two. */
export function choose<T>(list: readonly T[], stages: Stages): T[] {
  const half = Math.ceil(list.length / 2);
  const chosen: Record<Stages, T[]> = {
    all: [...list],
    first: list.slice(0, 1),
    last: list.slice(-1),
    "last two": list.slice(-2),
    middle: list.slice(1, -2),
    "first half": list.slice(0, half),
    "second half": list.slice(half),
  };
  return chosen[stages];
}

/** Mean over stages of 1 − final / peak of nHSIC(X, Z). */
export function compressionX(stages: Stages): Quantity {
  return (run) => meanOf(choose(run.plane.stages, stages).map(({ compressionX }) => compressionX));
}

/** The largest of them: 0 where no stage falls. */
export function largestCompressionX(run: FoundRun): number | null {
  return extreme(run, Math.max);
}

/** The smallest: above 0 where every stage falls. */
export function smallestCompressionX(run: FoundRun): number | null {
  return extreme(run, Math.min);
}

function extreme(run: FoundRun, pick: (...values: number[]) => number): number | null {
  const values = run.plane.stages.flatMap(({ compressionX }) => (compressionX === null ? [] : [compressionX]));
  return values.length === 0 || values.length < run.plane.stages.length ? null : pick(...values);
}

/** Mean over stages of 1 − final / peak of nHSIC(Y, Z). */
export function lossY(stages: Stages): Quantity {
  return (run) => {
    const kept = meanOf(choose(run.plane.stages, stages).map(({ retentionY }) => retentionY));
    return kept === null ? null : 1 - kept;
  };
}

/** Spread over stages of compression: small where all behave alike. */
export const uniformity: Quantity = (run) => run.plane.uniformity;

/** Retention of nHSIC(Y, Z) by the last stage less that of the middle ones. */
export const roleDifferentiation: Quantity = (run) => run.plane.roleDifferentiation;

/** Part of the stages with bottleneck behaviour: both coordinates rise, then X falls while Y stays. */
export const bottleneckShare: Quantity = (run) =>
  meanOf(run.plane.stages.map(({ bottleneck }) => (bottleneck === null ? null : Number(bottleneck))));

/** Mean over stages of the final value of a coordinate. */
export function finalMean(coordinate: "x" | "y", stages: Stages = "all"): Quantity {
  return (run) => meanOf(choose(run.plane.stages, stages).map((stage) => finalOf(stage, coordinate)));
}

/** Mean over stages of a coordinate before training. */
export const initialX: Quantity = (run) =>
  meanOf(run.stages.map((stage) => run.over("nhsicXZ", stage).find(({ epoch }) => epoch === 0)?.value ?? null));

/** (last − first) / first of the final nHSIC(Y, Z): what depth adds. */
export const gainOverDepth: Quantity = (run) => {
  const first = run.plane.stages[0]?.finalY ?? null;
  const last = run.plane.stages.at(-1)?.finalY ?? null;
  return first === null || last === null || first <= 0 ? null : (last - first) / first;
};

/** Mean over stages of a coordinate after a part of training, as a fraction of its peak. */
export function reachedAfter(coordinate: "x" | "y", partOfTraining: number): Quantity {
  return (run) =>
    meanOf(
      run.stages.map((stage) =>
        reached(run.over(coordinate === "x" ? "nhsicXZ" : "nhsicYZ", stage), partOfTraining * run.epochs),
      ),
    );
}

/** The last value up to an epoch as a fraction of the peak. */
function reached(path: Trajectory, epoch: number): number | null {
  const peak = Math.max(...path.map(({ value }) => value));
  const value = path.filter((point) => point.epoch <= epoch).at(-1)?.value;
  return value === undefined || path.length < 2 || !(peak > 0) ? null : value / peak;
}

/**
 * The first stage whose probe is within 1 point of the best stage's (test accuracy), as a part of the depth: 0 the first
 * stage, 1 the last.
 */
export const saturation: Quantity = ({ probes }) => {
  const best = Math.max(...probes.map(({ test }) => test));
  return probes.length < 2 ? null : probes.findIndex(({ test }) => test >= best - 0.01) / (probes.length - 1);
};

/** Probe accuracy of the last stage. */
export function lastProbe(split: "train" | "test"): Quantity {
  return ({ probes }) => probes.at(-1)?.[split] ?? null;
}

/** Largest probe accuracy over the stages. */
export function bestProbe(split: "train" | "test"): Quantity {
  return ({ probes }) => (probes.length === 0 ? null : Math.max(...probes.map((probe) => probe[split])));
}

/** Test accuracy with all blocks less that with the first alone, where blocks are trained one after the other. */
export const gainOfDeeperBlocks: Quantity = (run) => {
  const first = run.over("testAccuracy").find(({ epoch }) => epoch === run.phaseEpochs)?.value;
  return first === undefined || run.epochs <= run.phaseEpochs ? null : run.testAccuracy - first;
};

/** What the measure `information` says of each stage at the end of a run, in network order. */
function informationOf(run: FoundRun, key: "informationY" | "reconstructionError"): number[] {
  return run.allStages.flatMap((stage) => run.over(key, stage).at(-1)?.value ?? []);
}

/** What the last stage tells of the label: the bound on I(h; y), in nats. */
export const lastInformationY: Quantity = (run) => informationOf(run, "informationY").at(-1) ?? null;

/** What the stage tells that tells most of the label, less what the last one does, in nats: 0 where nothing is lost. */
export const lostInformationY: Quantity = (run) => {
  const values = informationOf(run, "informationY");
  return values.length === 0 ? null : Math.max(...values) - values.at(-1)!;
};

/** Mean over the stages of the error of a decoder that gives the image back, in nats: the less, the larger I(h; x). */
export const meanReconstructionError: Quantity = (run) => meanOf(informationOf(run, "reconstructionError"));

/** Most bytes of live tensors during a training step. */
export const peakMemory: Quantity = ({ peakBytes }) => peakBytes;

function finalOf(stage: StagePlaneSummary, coordinate: "x" | "y"): number | null {
  return coordinate === "x" ? stage.finalX : stage.finalY;
}

/** Null where one is missing, or there is none. */
function meanOf(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 || known.length < values.length ? null : mean(known);
}
