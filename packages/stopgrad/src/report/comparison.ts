// Runs put in order for a report: which belong together, which are compared with which, and what was measured.
// Runs that differ by seed alone form one variant. Runs that share a variant's name but not its settings do not: they
// are told apart by the settings that differ, so that a mean never mixes two experiments. Differences are taken only
// between variants that share everything but what makes them variants: where one variant was run with 5 epochs and with
// 20, each of the others is compared with the one of its own epochs.
import type { Trajectory } from "../statistics/index.js";
import type { MetricPoint, RunRecord } from "../store/records.js";
import { describeNotMeasured, isOfTraining } from "./not-measured.js";

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
  /**
   * The variant of the same experiment and circumstances that it is compared with: the first trained end to end, else
   * the first. Null for that one itself, and where no other shares its circumstances.
   */
  reference: Variant | null;
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
  /** The reference of all others, where there is one for all; the first of several. Null without variants. */
  reference: Variant | null;
  /** Stages with nHSIC, over all variants, in network order. */
  stages: string[];
  /** Failed, interrupted and running runs. */
  withoutResult: RunRecord[];
  /** Sentences a reader must know: runs left out, trainings whose numbers were not finite. */
  remarks: string[];
  /** Sentences beside these that are no reason for concern: what a measure was not taken of. */
  notes: string[];
}

/** Settings that do not make two runs different experiments. */
const identitySettings = new Set(["name", "variant", "variants", "seed", "seeds", "threads", "jobs"]);

/** Further settings that decide speed and memory alone: shown, but no reason to tell two runs apart. */
const costSettings = new Set(["checkpoint.every", "data.evaluationBatch"]);

/** Sorts runs into variants; runs are left as they are. */
export function compareRuns(runs: readonly ReportRun[]): Comparison {
  const remarks: string[] = [];
  const names = [...new Set(runs.map((run) => run.record.name))];
  const groups = groupRuns(runs, names.length > 1);
  const variants = groups.map(({ label, runs: group }) => variantOf(label, group, remarks));
  const families = [...new Set(groups.map((group) => group.circumstances))].map((circumstances) =>
    variants.filter((_, at) => groups[at]!.circumstances === circumstances),
  );
  for (const family of families) {
    const reference = referenceOf(family);
    for (const variant of family) if (variant !== reference) variant.reference = reference;
  }
  if (families.length > 1) {
    const alone = families.filter((family) => family.length === 1).map(([variant]) => variant!.label);
    const many = families.length - alone.length;
    remarks.push(
      `Not all runs share their settings. ${many > 0 ? "Differences are between variants that do." : "No two variants do, so there are no differences."}` +
        (many > 0 && alone.length > 0
          ? ` Without a difference, because no other variant shares theirs: ${alone.join(", ")}.`
          : ""),
    );
  }
  const notFinite = runs.reduce(
    (sum, run) => sum + run.metrics.filter((point) => isOfTraining(point) && !Number.isFinite(point.value)).length,
    0,
  );
  if (notFinite > 0) {
    remarks.push(
      `${notFinite} recorded ${notFinite === 1 ? "loss or accuracy was" : "losses and accuracies were"} not finite ` +
        "(training may have diverged) and left out.",
    );
  }
  return {
    names,
    variants,
    reference: referenceOf(families.find((family) => family.length > 1) ?? variants),
    stages: stagesWithPlane(variants.flatMap((variant) => variant.drawn)),
    withoutResult: runs.map((run) => run.record).filter((record) => !hasResult(record)),
    remarks,
    notes: describeNotMeasured(runs),
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

/**
 * Every setting as dotted path → text, those that only name the run left out. One that is null is not set, as one that is
 * absent, in a record of a version that did not have it too.
 *
 * @param unset - the text of settings that are null; null leaves them out
 */
export function flattenSettings(settings: Record<string, unknown>, unset: string | null = null): Map<string, string> {
  const flat = new Map<string, string>();
  const walk = (value: unknown, path: string): void => {
    if (typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length > 0) {
      for (const [key, inner] of Object.entries(value)) walk(inner, path === "" ? key : `${path}.${key}`);
    } else if (value === null) {
      if (unset !== null) flat.set(path, unset);
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

function referenceOf(family: readonly Variant[]): Variant | null {
  return family.find((variant) => variant.endToEnd) ?? family[0] ?? null;
}

interface Group {
  label: string;
  runs: ReportRun[];
  /** Equal for groups that can be compared: the experiment's name, and each setting that some variant has two values of. */
  circumstances: string;
}

function groupRuns(runs: readonly ReportRun[], severalNames: boolean): Group[] {
  interface Sorted {
    name: string;
    variant: string;
    flat: Map<string, string>;
    runs: ReportRun[];
  }
  const groups = new Map<string, Sorted>();
  for (const run of runs) {
    const { name, variant } = run.record;
    const flat = new Map([...flattenSettings(run.record.settings)].filter(([path]) => !costSettings.has(path)));
    const key = JSON.stringify([name, variant, [...flat].sort(([a], [b]) => (a < b ? -1 : 1))]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { name, variant, flat, runs: [run] });
    else group.runs.push(run);
  }
  const all = [...groups.values()];
  const twinsOf = ({ name, variant }: Sorted) => all.filter((one) => one.name === name && one.variant === variant);
  return all.map((group): Group => {
    const { name, variant, flat } = group;
    const own = tellingPaths(twinsOf(group).map((twin) => twin.flat));
    const told = own.map((path) => `${path}=${flat.get(path) ?? "none"}`);
    const plain = variant === "" ? name : severalNames ? `${name}: ${variant}` : variant;
    const ofExperiment = all.filter((one) => one.name === name);
    const varied = new Set(ofExperiment.flatMap((one) => differingPaths(twinsOf(one).map((twin) => twin.flat))));
    return {
      label: told.length === 0 ? plain : `${plain} (${told.join(", ")})`,
      runs: group.runs,
      circumstances: JSON.stringify([name, ...[...varied].sort().map((path) => [path, flat.get(path) ?? null])]),
    };
  });
}

/** Settings that a name says at most, unless it takes more to tell variants apart. */
const MOST_TOLD = 6;

/** Paths whose values tell all apart: those that are not the same in all, or of many such as few as it takes. */
function tellingPaths(all: readonly Map<string, string>[]): string[] {
  const differing = differingPaths(all);
  if (differing.length <= MOST_TOLD) return differing;
  const kinds = (paths: readonly string[]) =>
    new Set(all.map((flat) => JSON.stringify(paths.map((path) => flat.get(path) ?? null)))).size;
  const told: string[] = [];
  for (const path of differing) if (kinds([...told, path]) > kinds(told)) told.push(path);
  return told;
}

/** Paths that are not the same in all, in the order of the first that has them. */
function differingPaths(all: readonly Map<string, string>[]): string[] {
  const paths = new Set(all.flatMap((flat) => [...flat.keys()]));
  return [...paths].filter((path) => new Set(all.map((flat) => flat.get(path))).size > 1);
}

/** What a row's runs differ in although they count as one: it decides speed and memory, hardly any result. */
function describeMixture(label: string, runs: readonly ReportRun[]): string[] {
  return ["threads", ...costSettings].flatMap((path) => {
    const values = [...new Set(runs.map((run) => JSON.stringify(setting(run.record.settings, path)) ?? "none"))];
    if (values.length <= 1) return [];
    return [`${label}: its runs differ in ${path} (${values.join(", ")}), which speed, time and memory depend on.`];
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
  remarks.push(...describeMixture(label, completed));
  const unfinished = runs.filter((run) => run.record.status !== "failed" && run.metrics.length > 0);
  if (completed.length === 0 && unfinished.length > 0) {
    remarks.push(`${label}: no run has finished yet; its charts show what was measured so far.`);
  }
  const settings = runs[0]?.record.settings ?? {};
  return {
    label,
    endToEnd: isEndToEnd(settings),
    reference: null,
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
  const anew = (setting(settings, "retrain") ?? null) === null;
  return whole && anew && (ruleName === undefined || ruleName === "partitioned");
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
