// What the runs of one rule say together: the ratio of W's singular values over steps, the rate at which it falls beside
// the theory's, accuracies; and one sentence about all rules.
import type { ToyResult } from "./run.js";
import type { ToyRule, ToySettings } from "./settings.js";
import { comparedSteps, type ToySnapshot } from "./train.js";

/** Least and most over the seeds. */
export interface Range {
  readonly low: number;
  readonly high: number;
}

/** A rule's runs at one of the compared steps. Ranges are null where a value is undefined (W = 0). */
export interface ToyRow {
  readonly step: number;
  readonly ratio: Range | null;
  readonly headAccuracy: Range;
  readonly networkAccuracy: Range;
  readonly nhsicXZ: Range;
  readonly nhsicYZ: Range;
  readonly informationXZ: Range;
  readonly informationYZ: Range;
}

/** How much the ratio of singular values falls between a quarter and a half of all steps. */
export interface ToyRate {
  readonly from: number;
  readonly to: number;
  /** ratio(to) / ratio(from). */
  readonly measured: Range | null;
  /** What w₂ and all of W orthogonal to v keep: (1 − 2 λ η)^(to − from) ≈ exp(−2 λ t); null for another penalty. */
  readonly theory: number | null;
  /** The theory's over σ₁(to) / σ₁(from), since a ratio to a shrinking σ₁ falls more slowly; null for another penalty. */
  readonly theoryOverShrinking: Range | null;
}

export interface ToySummary {
  readonly rule: ToyRule;
  readonly rows: readonly ToyRow[];
  /** Null where there are too few steps. */
  readonly rate: ToyRate | null;
  /** Runs whose W is of rank one at the end: ratio below 0.001. */
  readonly collapsed: number;
  readonly runs: number;
}

/** Below this ratio of singular values W counts as of rank one. */
export const collapsedRatio = 1e-3;

/** One summary a rule, in the order of the settings. */
export function summariseToy(results: readonly ToyResult[], settings: ToySettings): ToySummary[] {
  return settings.rules.map((rule) => {
    const runs = results.filter((result) => result.rule === rule);
    const last = runs.map(({ snapshots }) => snapshots.at(-1)!);
    return {
      rule,
      rows: comparedSteps(settings.steps).map((step) => rowOf(step, runs)),
      rate: rateOf(runs, settings),
      collapsed: last.filter((snapshot) => !(ratioOf(snapshot) >= collapsedRatio)).length,
      runs: runs.length,
    };
  });
}

/** σ₂/σ₁; NaN for W = 0. */
export function ratioOf({ singularValues: [larger, smaller] }: ToySnapshot): number {
  return smaller / larger;
}

/** What is seen, in one sentence a fact. */
export function concludeToy(summaries: readonly ToySummary[]): string {
  return summaries
    .map(({ rule, collapsed, runs, rows }) => {
      const last = rows.at(-1)!;
      const rank = collapsed === 0 ? "keeps rank two" : "falls to rank one";
      const how = `W ${rank} in ${collapsed === 0 ? runs : collapsed} of ${runs} runs`;
      return `${rule}: ${how}, the network names ${percentRange(last.networkAccuracy)} of the points.`;
    })
    .join(" ");
}

function percentRange({ low, high }: Range): string {
  const [from, to] = [(100 * low).toFixed(1), (100 * high).toFixed(1)];
  return from === to ? `${to} %` : `${from} to ${to} %`;
}

function rowOf(step: number, runs: readonly ToyResult[]): ToyRow {
  const at = runs.map((run) => snapshotAt(run, step));
  const nhsic = runs.map((run) => run.nhsic.find((point) => point.step === step)!);
  return {
    step,
    ratio: rangeOf(at.map(ratioOf)),
    headAccuracy: rangeOf(at.map(({ headAccuracy }) => headAccuracy))!,
    networkAccuracy: rangeOf(at.map(({ networkAccuracy }) => networkAccuracy))!,
    nhsicXZ: rangeOf(nhsic.map(({ x }) => x))!,
    nhsicYZ: rangeOf(nhsic.map(({ y }) => y))!,
    informationXZ: rangeOf(at.map(({ informationXZ }) => informationXZ))!,
    informationYZ: rangeOf(at.map(({ informationYZ }) => informationYZ))!,
  };
}

function rateOf(runs: readonly ToyResult[], settings: ToySettings): ToyRate | null {
  const { penalty, lambda, learningRate, steps } = settings;
  const [from, to] = [Math.round(steps / 4), Math.round(steps / 2)];
  if (to === from) return null;
  const ends = runs.map((run) => [snapshotAt(run, from), snapshotAt(run, to)] as const);
  const theory = penalty === "lagrangian" ? (1 - 2 * lambda * learningRate) ** (to - from) : null;
  return {
    from,
    to,
    measured: rangeOf(ends.map(([before, after]) => ratioOf(after) / ratioOf(before))),
    theory,
    theoryOverShrinking:
      theory === null
        ? null
        : rangeOf(ends.map(([before, after]) => theory / (after.singularValues[0] / before.singularValues[0]))),
  };
}

function snapshotAt({ snapshots }: ToyResult, step: number): ToySnapshot {
  return snapshots.find((snapshot) => snapshot.step === step)!;
}

/** Null where any value is not a number. */
function rangeOf(values: readonly number[]): Range | null {
  if (!values.every(Number.isFinite)) return null;
  return { low: Math.min(...values), high: Math.max(...values) };
}
