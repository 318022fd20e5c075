// Runs put in order for a report: which belong together, which are compared with which, and what was measured.
// Runs that differ by seed alone form one variant. Runs that share a variant's name but not its settings do not: they
// are told apart by the settings that differ, so that a mean never mixes two experiments.
import type { Trajectory } from "../statistics/index.js";
import type { MetricPoint, RunRecord } from "../store/records.js";

/** A run and every number it recorded. */
export interface ReportRun {
  record: RunRecord;
  metrics: MetricPoint[];
}

export interface Variant {
  /** As in the experiment file; with what tells it apart where that name is used twice. */
  label: string;
  /** Trained end to end: partition 1 of the partitioned rule. */
  endToEnd: boolean;
  /** Settings of its first run. */
  settings: Record<string, unknown>;
  /** Completed runs, one a seed, seeds ascending. */
  completed: ReportRun[];
  /** What charts draw: the completed runs, or where there are none the unfinished ones that measured something. */
  drawn: ReportRun[];
}

export interface Comparison {
  /** Experiment names, without repeats. */
  names: string[];
  /** In the order of their first run. */
  variants: Variant[];
  /** What the others are compared with: the first variant trained end to end, else the first. */
  reference: Variant | null;
  /** Stages with nHSIC, over all variants, in network order. */
  stages: string[];
  /** Failed, interrupted and running runs. */
  withoutResult: RunRecord[];
  /** Sentences a reader must know: runs left out, numbers that were not finite. */
  remarks: string[];
}

/** Settings that do not make two runs different experiments. */
const identitySettings = new Set(["name", "variant", "variants", "seed", "seeds", "threads", "jobs"]);

/** Further settings that decide speed and memory alone: shown, but no reason to tell two runs apart. */
const costSettings = new Set(["checkpoint.every", "data.evaluationBatch"]);

/** Sorts runs into variants; runs are left as they are. */
export function compareRuns(runs: readonly ReportRun[]): Comparison {
  const remarks: string[] = [];
  const names = [...new Set(runs.map((run) => run.record.name))];
  const variants = groupRuns(runs, names.length > 1).map(([label, group]) => variantOf(label, group, remarks));
  const notFinite = runs.reduce(
    (sum, run) => sum + run.metrics.filter((point) => !Number.isFinite(point.value)).length,
    0,
  );
  if (notFinite > 0) {
    remarks.push(
      `${notFinite} recorded ${notFinite === 1 ? "number was" : "numbers were"} not finite (training may have ` +
        "diverged) and left out.",
    );
  }
  return {
    names,
    variants,
    reference: variants.find((variant) => variant.endToEnd) ?? variants[0] ?? null,
    stages: stagesWithPlane(variants.flatMap((variant) => variant.drawn)),
    withoutResult: runs.map((run) => run.record).filter((record) => !hasResult(record)),
    remarks,
  };
}

/** One number of a run over its epochs: ascending, finite, the last recorded where an epoch has two (resumed runs). */
export function trajectory(run: ReportRun, key: string, stage = ""): Trajectory {
  const values = new Map<number, number>();
  for (const point of run.metrics) {
    if (point.key === key && point.stage === stage && Number.isFinite(point.value)) {
      values.set(roundEpoch(point.epoch), point.value);
    }
  }
  return [...values].map(([epoch, value]) => ({ epoch, value })).sort((a, b) => a.epoch - b.epoch);
}

/** A setting by its dotted path, undefined where there is none. */
export function setting(settings: Record<string, unknown>, path: string): unknown {
  return path
    .split(".")
    .reduce<unknown>(
      (value, key) =>
        typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined,
      settings,
    );
}

/** Every setting as dotted path → text, those that only name the run left out. */
export function flattenSettings(settings: Record<string, unknown>): Map<string, string> {
  const flat = new Map<string, string>();
  const walk = (value: unknown, path: string): void => {
    if (typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length > 0) {
      for (const [key, inner] of Object.entries(value)) walk(inner, path === "" ? key : `${path}.${key}`);
    } else if (value !== undefined && path !== "") {
      flat.set(path, typeof value === "string" ? value : JSON.stringify(value).replaceAll(",", ", "));
    }
  };
  for (const [key, value] of Object.entries(settings)) if (!identitySettings.has(key)) walk(value, key);
  return flat;
}

/** The batch m on which nHSIC was estimated, null where it was not. */
export function planeBatch(variant: Variant): number | null {
  const batch = setting(variant.settings, "observe.nhsic.batch");
  return typeof batch === "number" ? batch : null;
}

/** Names in network order: the longest list first, the others' own names after the one they follow there. */
export function mergeOrder(lists: readonly (readonly string[])[]): string[] {
  const merged: string[] = [];
  for (const list of [...lists].sort((a, b) => b.length - a.length)) {
    list.forEach((name, index) => {
      if (merged.includes(name)) return;
      const before = index === 0 ? -1 : merged.indexOf(list[index - 1]!);
      merged.splice(before + 1, 0, name);
    });
  }
  return merged;
}

function hasResult(record: RunRecord): boolean {
  return record.status === "completed" && record.summary !== null;
}

function groupRuns(runs: readonly ReportRun[], severalNames: boolean): [string, ReportRun[]][] {
  const groups = new Map<string, { label: string; flat: Map<string, string>; runs: ReportRun[] }>();
  for (const run of runs) {
    const { name, variant } = run.record;
    const flat = new Map([...flattenSettings(run.record.settings)].filter(([path]) => !costSettings.has(path)));
    const key = JSON.stringify([name, variant, [...flat].sort(([a], [b]) => (a < b ? -1 : 1))]);
    const label = variant === "" ? name : severalNames ? `${name}: ${variant}` : variant;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { label, flat, runs: [run] });
    else group.runs.push(run);
  }
  const all = [...groups.values()];
  return all.map((group) => {
    const twins = all.filter((other) => other.label === group.label);
    if (twins.length === 1) return [group.label, group.runs];
    const paths = new Set(twins.flatMap((twin) => [...twin.flat.keys()]));
    const differing = [...paths].filter((path) => new Set(twins.map((twin) => twin.flat.get(path))).size > 1);
    const told = differing.slice(0, 3).map((path) => `${path}=${group.flat.get(path) ?? "none"}`);
    return [`${group.label} (${told.join(", ")}${differing.length > 3 ? ", …" : ""})`, group.runs];
  });
}

function variantOf(label: string, runs: readonly ReportRun[], remarks: string[]): Variant {
  const latest = new Map<number, ReportRun>();
  let repeats = 0;
  for (const run of runs.filter((candidate) => hasResult(candidate.record))) {
    const other = latest.get(run.record.seed);
    if (other !== undefined) repeats++;
    if (other === undefined || other.record.createdAt <= run.record.createdAt) latest.set(run.record.seed, run);
  }
  if (repeats > 0) {
    remarks.push(`${label}: of ${repeats + 1} runs with the same seed and settings only the latest is counted.`);
  }
  const completed = [...latest.values()].sort((a, b) => a.record.seed - b.record.seed);
  const unfinished = runs.filter((run) => run.record.status !== "failed" && run.metrics.length > 0);
  if (completed.length === 0 && unfinished.length > 0) {
    remarks.push(`${label}: no run has finished yet; its charts show what was measured so far.`);
  }
  const settings = runs[0]?.record.settings ?? {};
  return {
    label,
    endToEnd: isEndToEnd(settings),
    settings,
    completed,
    drawn: completed.length > 0 ? completed : unfinished,
  };
}

function isEndToEnd(settings: Record<string, unknown>): boolean {
  const rule = setting(settings, "rule");
  const ruleName = typeof rule === "object" ? setting(settings, "rule.name") : rule;
  const partition = setting(settings, "partition");
  const cuts = setting(settings, "partition.cuts");
  const whole =
    partition === 1 || setting(settings, "partition.modules") === 1 || (Array.isArray(cuts) && cuts.length === 0);
  return whole && (ruleName === undefined || ruleName === "partitioned");
}

function stagesWithPlane(runs: readonly ReportRun[]): string[] {
  const lists = runs.map((run) => {
    const measured = new Set(
      run.metrics
        .filter((point) => (point.key === "nhsicXZ" || point.key === "nhsicYZ") && Number.isFinite(point.value))
        .map((point) => point.stage),
    );
    const ordered = (run.record.summary?.stages ?? []).map((stage) => stage.name).filter((name) => measured.has(name));
    return [...ordered, ...[...measured].filter((name) => !ordered.includes(name))];
  });
  return mergeOrder([...new Map(lists.map((list) => [list.join("\n"), list])).values()]);
}

/** Epochs are step counts divided by steps an epoch: rounding makes equal ones equal. */
function roundEpoch(epoch: number): number {
  return Math.round(epoch * 1e6) / 1e6;
}
