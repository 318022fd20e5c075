// What was measured of the stages at which times: of every run, whatever measures it observed.
import { NAMED } from "../experiment/stage-measures.js";
import { type Comparison, mergeOrder, type ReportRun, trajectory, type Variant } from "./comparison.js";

/** Numbers with a stage that are no measures of it: they are of modules and of the processes that train them. */
const notMeasures = new Set(["localLoss", "workerPeakBytes", "workerBusySeconds", "workerProcessorSeconds"]);

/** One recorded value of a measure. */
export interface StageValue {
  variant: Variant;
  run: ReportRun;
  stage: string;
  key: string;
  epoch: number;
  step: number;
  value: number;
  standardError: number | null;
}

/** Keys of every measure of a stage that is drawn, those with a name of their own first. */
export function stageKeys({ variants }: Comparison): string[] {
  const runs = variants.flatMap(({ drawn }) => drawn);
  const inSummaries = mergeOrder(
    unlike(
      runs.flatMap(({ record }) => (record.summary?.stages ?? []).map(({ measures }) => Object.keys(measures ?? {}))),
    ),
  );
  const recorded = new Set(
    runs.flatMap(({ metrics }) =>
      metrics.filter(({ key, stage }) => stage !== "" && !notMeasures.has(key)).map(({ key }) => key),
    ),
  );
  return [...new Set([...NAMED, ...inSummaries, ...recorded])].filter((key) => recorded.has(key));
}

/** Keys of measures that some stage of some run has at more than one time. */
export function keysOverTime(comparison: Comparison): string[] {
  return stageKeys(comparison).filter((key) =>
    comparison.variants.some(({ drawn }) => drawn.some((run) => hasTimes(run, key))),
  );
}

/** Stages at which one of these was measured, in network order. */
export function stagesOfKeys({ variants }: Comparison, keys: readonly string[]): string[] {
  const lists = variants.flatMap(({ drawn }) =>
    drawn.map(({ record, metrics }) => {
      const measured = new Set(
        metrics
          .filter(({ key, value, stage }) => stage !== "" && keys.includes(key) && Number.isFinite(value))
          .map(({ stage }) => stage),
      );
      const all = (record.summary?.stages ?? []).map(({ name }) => name);
      return { all: [...all, ...[...measured].filter((name) => !all.includes(name))], measured };
    }),
  );
  const measured = new Set(lists.flatMap((list) => [...list.measured]));
  return mergeOrder(unlike(lists.map(({ all }) => all))).filter((stage) => measured.has(stage));
}

/** The variant with only the numbers of one key: what is searched for its stages' trajectories is short. */
export function withKey(variant: Variant, key: string): Variant {
  return {
    ...variant,
    drawn: variant.drawn.map((run) => ({ ...run, metrics: run.metrics.filter((point) => point.key === key) })),
  };
}

/** Every value of every measure, by variant, run, measure, stage and time. */
export function stageValues(comparison: Comparison): StageValue[] {
  const keys = stageKeys(comparison);
  const stages = stagesOfKeys(comparison, keys);
  const placeOf = (names: readonly string[]) => new Map(names.map((name, place) => [name, place]));
  const [keyPlace, stagePlace] = [placeOf(keys), placeOf(stages)];
  return comparison.variants.flatMap((variant) =>
    variant.drawn.flatMap((run) =>
      run.metrics
        .filter(({ key, stage }) => keyPlace.has(key) && stagePlace.has(stage))
        .map(({ stage, key, epoch, step, value, standardError }) => {
          return { variant, run, stage, key, epoch, step, value, standardError };
        })
        .sort(
          (a, b) =>
            keyPlace.get(a.key)! - keyPlace.get(b.key)! ||
            stagePlace.get(a.stage)! - stagePlace.get(b.stage)! ||
            a.step - b.step,
        ),
    ),
  );
}

/** The value that a measure has at every stage and time of every run, where that is one and the same; else null. */
export function onlyValue({ variants }: Comparison, key: string): number | null {
  const values = new Set(
    variants.flatMap(({ drawn }) =>
      drawn.flatMap(({ metrics }) =>
        metrics
          .filter((point) => point.key === key && point.stage !== "" && Number.isFinite(point.value))
          .map(({ value }) => value),
      ),
    ),
  );
  const [value] = values;
  return values.size === 1 ? value! : null;
}

function hasTimes(run: ReportRun, key: string): boolean {
  const own = { ...run, metrics: run.metrics.filter((point) => point.key === key && point.stage !== "") };
  const stages = new Set(own.metrics.map(({ stage }) => stage));
  return [...stages].some((stage) => trajectory(own, key, stage).length > 1);
}

/** Lists without repeats: merging takes time for each. */
function unlike(lists: readonly string[][]): string[][] {
  return [...new Map(lists.map((list) => [list.join("\n"), list])).values()];
}
