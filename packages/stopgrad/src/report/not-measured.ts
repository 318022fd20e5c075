// Numbers that a run recorded as not a number, told apart: losses and accuracies, which are so when training diverges, and
// measures of a stage that have none there, as estimators of few features refuse a wide one, which is no reason for concern.
import type { MetricPoint, RunRecord } from "../store/records.js";
import { count, joinWords } from "./format.js";
import { inWords } from "./measure-names.js";

/** Stages named in a sentence; of more their number is. */
const MOST_NAMED = 6;

/** Whether a number is of the training itself: of the whole run, or a module's loss. */
export function isOfTraining({ key, stage }: MetricPoint): boolean {
  return stage === "" || key === "localLoss";
}

interface Missing {
  key: string;
  stage: string;
  /** The most features a sample that the measure takes, where the stage has more; else null. */
  limit: number | null;
}

/** What was to be measured of stages and could not be: a sentence, or none. */
export function describeNotMeasured(
  runs: readonly { readonly record: RunRecord; readonly metrics: readonly MetricPoint[] }[],
): string[] {
  const missing = runs.flatMap(({ record, metrics }) =>
    metrics
      .filter((point) => !isOfTraining(point) && !Number.isFinite(point.value) && isAskedFor(record, point.key))
      .map(({ key, stage }): Missing => ({ key, stage, limit: limitOf(record, key, stage) })),
  );
  if (missing.length === 0) return [];
  const keys = [...new Set(missing.map(({ key }) => key))];
  const keysOf = new Map<string, string[]>();
  for (const key of keys) {
    for (const reason of reasonsOf(missing.filter((one) => one.key === key))) {
      keysOf.set(reason, [...(keysOf.get(reason) ?? []), inWords(key)]);
    }
  }
  return [`Not measured: ${[...keysOf].map(([reason, names]) => `${joinWords(names)} of ${reason}`).join("; ")}.`];
}

/** `stages wider than 20 features (conv1 and conv2)`, and `conv1 (no finite number, 3 times)` where that is not why. */
function reasonsOf(missing: readonly Missing[]): string[] {
  const limits = [...new Set(missing.flatMap(({ limit }) => (limit === null ? [] : [limit])))];
  const wide = limits.map((limit) => {
    const stages = namesOf(missing.filter((one) => one.limit === limit));
    return `stages wider than ${limit} features a sample (${stages})`;
  });
  const others = missing.filter(({ limit }) => limit === null);
  return [
    ...wide,
    ...(others.length === 0 ? [] : [`${namesOf(others)} (no finite number, ${count(others.length, "time")})`]),
  ];
}

function namesOf(missing: readonly Missing[]): string {
  const stages = [...new Set(missing.map(({ stage }) => stage))];
  return stages.length > MOST_NAMED ? count(stages.length, "stage") : joinWords(stages);
}

/** Whether a pair is among those that the run asked for: a measure that refuses a stage leaves all its numbers empty. */
function isAskedFor(record: RunRecord, key: string): boolean {
  const { pairs } = optionsOf(record, key);
  return !((pairs === "labels" && key.endsWith("XZ")) || (pairs === "input" && key.endsWith("YZ")));
}

function limitOf(record: RunRecord, key: string, stage: string): number | null {
  const { largestDimension } = optionsOf(record, key);
  const shape = record.summary?.stages.find(({ name }) => name === stage)?.shape;
  if (typeof largestDimension !== "number" || shape === undefined) return null;
  return shape.reduce((product, size) => product * size, 1) > largestDimension ? largestDimension : null;
}

/** What a run's settings say of the measure that a pair's key is of. */
function optionsOf({ settings }: RunRecord, key: string): { pairs?: unknown; largestDimension?: unknown } {
  const observe = settings.observe as Record<string, object | undefined> | null | undefined;
  return observe?.[key.replace(/[XY]Z$/, "")] ?? {};
}
