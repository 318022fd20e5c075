// Does a conclusion survive another way of measuring? Nobody knows the right kernel, width, ridge, batch or split of a
// dependence measure, so a conclusion drawn under one of them is worth what it is worth under the others. Here are the
// conclusions themselves: what is concluded from values of nHSIC over stages, epochs and mini-batches under a default
// setting, and whether it holds, flips, or cannot be told under each other one.
//
// A conclusion is a number on one side of a threshold: compression_x above 0.05, retention_y above 0.95, the last stage's
// role, a difference between two variants above 0. It holds where the number's interval lies on the default's side of the
// threshold, flips where it lies on the other, and cannot be told where it lies on both or where there is none. Where the
// default itself cannot tell there is no conclusion to flip, but a question that another setting may answer yes or no.
// With one run of a variant the interval is over mini-batches, which may be few: the jackknife's, each batch left out of
// all stages, epochs and variants at once, from 4 batches on. With several seeds it is a t-interval over seeds.
//
// Compression is 0 where a path ends at its peak, and leaving out one batch seldom moves a peak: then all leave-one-out
// values are the same although batches differ, and say nothing of how sure the number is. In their place come whole
// resamples of the batches, in which more than one is missing. Plain numbers in and out.
import { bootstrapStatistic } from "./bootstrap.js";
import { differenceOverSeeds } from "./difference.js";
import { compression, retention, type Trajectory } from "./information-plane.js";
import { jackknifeInterval } from "./jackknife.js";
import { kendallTau, spearmanRho } from "./rank-agreement.js";
import type { ResampledStatistic } from "./resampling.js";
import { type Interval, sampleStandardDeviation, summariseKnown } from "./summary.js";

/** `[stage][epoch][batch]`; NaN where a value could not be computed. */
export type BatchValues = readonly (readonly (readonly number[])[])[];

/** One run under one setting, or one set of arrays, which has one epoch. */
export interface PathValues {
  readonly epochs: readonly number[];
  /** nHSIC(X,Z); null where there is no input. */
  readonly x: BatchValues | null;
  /** nHSIC(Y,Z); null where there are no labels. */
  readonly y: BatchValues | null;
}

/** Runs that differ by seed, under one setting. */
export interface VariantPaths {
  readonly label: string;
  /** Names, first to last. */
  readonly stages: readonly string[];
  readonly runs: readonly { readonly seed: number; readonly paths: PathValues }[];
}

/** Fewest mini-batches of one run that a verdict is drawn from: of two or three, leave-one-out values often coincide. */
export const FEWEST_BATCHES = 4;

/** `yes` and `no`: above and below the threshold, where the default setting cannot tell. */
export type Verdict = "holds" | "flips" | "yes" | "no" | "cannot be told";

/** A conclusion under one setting. */
export interface SettingFinding {
  /** Label of the setting. */
  setting: string;
  /** null where it cannot be computed. */
  value: number | null;
  interval: Interval | null;
  verdict: Verdict;
  /** Why there is no interval, as in `2 mini-batches, where a verdict needs 4`. */
  reason?: string;
}

export interface Conclusion {
  /** As the default setting has it, `compression of X at conv1 is above 0.05`; `whether` before it where it cannot tell. */
  statement: string;
  /** What `value` is: `compression of X`. */
  quantity: string;
  /** What the value lies above or below; null for an order, whose value is its agreement with the default's, in [−1, 1]. */
  threshold: number | null;
  /** One a setting, the default first. */
  findings: SettingFinding[];
  /** Settings that give each verdict. */
  counts: Record<Verdict, number>;
  /** Of an order, whose `value` is Kendall's τ_b: Spearman's ρ with the default's order, one a setting. */
  spearman?: (number | null)[];
}

/** A number of one run's paths, from the mini-batches at these positions. */
type Quantity = (paths: PathValues, batches: ArrayLike<number>) => number;

/**
 * What the information plane of one variant or more says, and whether every setting says so.
 *
 * Of each variant: each stage compresses (compression_x > 0.05) and retains the label (retention_y > 0.95), the last stage
 * retains more of it than those between first and last, the stages' order by nHSIC(Y,Z) at the last epoch. Of each later
 * variant against the first: compression, retention, role differentiation, uniformity are higher.
 *
 * @param settings - labels, the default first
 * @param variants - of each setting, the same variants in the same order
 */
export function planeConclusions(
  settings: readonly string[],
  variants: readonly (readonly VariantPaths[])[],
): Conclusion[] {
  const first = variants[0]!;
  const several = first.length > 1;
  const of = (at: number) => variants.map((ofSetting) => ofSetting[at]!);
  return first.flatMap((variant, at) => {
    const prefix = several ? `${variant.label}: ` : "";
    return [
      ...ownConclusions(settings, of(at), prefix),
      ...(at > 0 ? differenceConclusions(settings, of(0), of(at)) : []),
    ];
  });
}

/**
 * What arrays of one time say: their order by nHSIC(X,Z) and by nHSIC(Y,Z), and each step of that order.
 *
 * @param settings - labels, the default first
 * @param arrays - of each setting: one variant, one run, one epoch
 */
export function orderConclusions(settings: readonly string[], arrays: readonly VariantPaths[]): Conclusion[] {
  return (["x", "y"] as const).flatMap((coordinate) => {
    const order = orderConclusion(settings, arrays, coordinate, "");
    return order === null ? [] : [order, ...stepConclusions(settings, arrays, coordinate)];
  });
}

/**
 * `holds in 14 of 14 settings`, or what it flips with, and what cannot tell; or which settings answer what the default
 * cannot.
 */
export function describeVerdicts({ findings, counts }: Conclusion): string {
  const labels = (verdict: Verdict) => {
    const all = findings.filter((finding) => finding.verdict === verdict).map(({ setting }) => setting);
    return all.length <= 4 ? all.join(", ") : `${all.slice(0, 3).join(", ")} and ${all.length - 3} more`;
  };
  const parts = (verdicts: readonly [Verdict, string][]) =>
    verdicts.flatMap(([verdict, text]) => (counts[verdict] > 0 ? [`${text} with ${labels(verdict)}`] : []));
  const unsure = counts["cannot be told"];
  if (unsure === findings.length) return `cannot be told in any of ${unsure} settings`;
  if (findings[0]!.verdict === "cannot be told") {
    const others = unsure > 1 ? ` and ${unsure - 1} other${unsure === 2 ? "" : "s"}` : "";
    return [
      `cannot be told with the default${others}`,
      ...parts([
        ["yes", "yes"],
        ["no", "no"],
      ]),
    ].join("; ");
  }
  const held = `holds in ${counts.holds} of ${findings.length} settings`;
  return [...parts([["flips", "flips"]]), held, ...parts([["cannot be told", "cannot be told"]])].join("; ");
}

function ownConclusions(settings: readonly string[], bySetting: readonly VariantPaths[], prefix: string): Conclusion[] {
  const { stages } = bySetting[0]!;
  const judge = (quantity: string, threshold: number, number: Quantity, says: Statement) =>
    conclusion(settings, {
      quantity,
      threshold,
      says,
      estimates: bySetting.map((variant) => estimate(variant, number)),
    });
  const atStage = (quantity: string, threshold: number, stage: string, number: Quantity) => {
    const says = (side: string) => `${quantity} at ${stage} is ${side} ${threshold}`;
    return judge(quantity, threshold, number, statement(says("above"), says("below"), prefix));
  };
  const last = (what: string) => `the last stage retains ${what} of the label than those before it`;
  const order = orderConclusion(settings, bySetting, "y", prefix);
  return [
    ...stages.map((stage, at) => atStage("compression of X", 0.05, stage, compressionAt(at))),
    ...stages.map((stage, at) => atStage("retention of Y", 0.95, stage, retentionAt(at))),
    ...(stages.length < 3
      ? []
      : [judge("role differentiation", 0, roleDifferentiation, statement(last("more"), last("less"), prefix))]),
    ...(order === null ? [] : [order]),
  ];
}

function differenceConclusions(
  settings: readonly string[],
  a: readonly VariantPaths[],
  b: readonly VariantPaths[],
): Conclusion[] {
  const [first, second] = [a[0]!, b[0]!];
  const judge = (quantity: string, ofA: Quantity, ofB: Quantity, says: (more: "more" | "less") => string) =>
    conclusion(settings, {
      quantity: `difference in ${quantity}`,
      threshold: 0,
      says: statement(says("more"), says("less")),
      estimates: a.map((variant, at) => estimateDifference(variant, b[at]!, ofA, ofB)),
    });
  const shared = first.stages.flatMap((stage, at) => {
    const other = second.stages.indexOf(stage);
    return other < 0 ? [] : [{ stage, at, other }];
  });
  const overStages = (what: string) => (more: string) =>
    `${what} ${more === "more" ? "higher" : "lower"} in ${first.label} than in ${second.label}`;
  const fewest = Math.min(first.stages.length, second.stages.length);
  const roles = overStages("role differentiation is");
  const spread = overStages("the spread of compression over stages is");
  return [
    ...shared.map(({ stage, at, other }) =>
      judge(
        "compression of X",
        compressionAt(at),
        compressionAt(other),
        (more) => `${first.label} compresses ${more} than ${second.label} at ${stage}`,
      ),
    ),
    ...shared.map(({ stage, at, other }) =>
      judge(
        "retention of Y",
        retentionAt(at),
        retentionAt(other),
        (more) => `${first.label} retains ${more} of the label than ${second.label} at ${stage}`,
      ),
    ),
    ...(fewest < 3 ? [] : [judge("role differentiation", roleDifferentiation, roleDifferentiation, roles)]),
    ...(fewest < 2 ? [] : [judge("uniformity", uniformity, uniformity, spread)]),
  ];
}

/** Each step of the default's order: `b above a`. */
function stepConclusions(
  settings: readonly string[],
  bySetting: readonly VariantPaths[],
  coordinate: "x" | "y",
): Conclusion[] {
  const { stages } = bySetting[0]!;
  const finals = stages.map((_, at) => finalAt(coordinate, at));
  const order = orderOf(bySetting[0]!, finals);
  return order.slice(1).map((high, place) => {
    const low = order[place]!;
    return conclusion(settings, {
      quantity: `difference in ${titles[coordinate]}`,
      threshold: 0,
      says: (side) => `${titles[coordinate]}: ${side === 0 ? "whether " : ""}${stages[high]} is above ${stages[low]}`,
      estimates: bySetting.map((variant) => estimateDifference(variant, variant, finals[high]!, finals[low]!)),
    });
  });
}

/**
 * The stages' order at the last epoch. It holds where every two stages that the default setting tells apart are told
 * apart alike, and flips where two of them are told apart the other way round.
 */
function orderConclusion(
  settings: readonly string[],
  bySetting: readonly VariantPaths[],
  coordinate: "x" | "y",
  prefix: string,
): Conclusion | null {
  const first = bySetting[0]!;
  const { stages } = first;
  if (stages.length < 2 || first.runs.some(({ paths }) => paths[coordinate] === null)) return null;
  const finals = stages.map((_, at) => finalAt(coordinate, at));
  const order = orderOf(first, finals);
  const pairs = order.flatMap((high, place) => order.slice(0, place).map((low) => ({ low, high })));
  const side = (variant: VariantPaths, { low, high }: { low: number; high: number }) => {
    const { interval } = estimateDifference(variant, variant, finals[high]!, finals[low]!);
    return interval === null ? 0 : sideOf(interval, 0);
  };
  const reasonOf = (variant: VariantPaths) =>
    pairs
      .map(({ low, high }) => estimateDifference(variant, variant, finals[high]!, finals[low]!).reason)
      .find(Boolean);
  const toldApart = pairs.filter((pair) => side(first, pair) === 1);
  const levels = (variant: VariantPaths) => finals.map((final) => estimate(variant, final, false).value ?? Number.NaN);
  const reference = levels(first);
  const findings = bySetting.map((variant, at): SettingFinding & { spearman: number | null } => {
    const now = levels(variant);
    const known = ![...now, ...reference].some(Number.isNaN);
    const sides = toldApart.map((pair) => side(variant, pair));
    const verdict = sides.includes(-1)
      ? "flips"
      : toldApart.length > 0 && sides.every((one) => one === 1)
        ? "holds"
        : "cannot be told";
    return {
      setting: settings[at]!,
      value: known ? finite(kendallTau(reference, now)) : null,
      interval: null,
      verdict,
      ...because(verdict === "cannot be told" ? reasonOf(variant) : undefined),
      spearman: known ? finite(spearmanRho(reference, now)) : null,
    };
  });
  const chain = order.map((at) => stages[at]).join(" < ");
  return {
    statement: `${prefix}order by ${titles[coordinate]}: ${chain}`,
    quantity: "τ with the default's order",
    threshold: null,
    findings: findings.map(({ spearman: _, ...finding }) => finding),
    counts: counted(findings),
    spearman: findings.map(({ spearman }) => spearman),
  };
}

const titles = { x: "nHSIC(X,Z)", y: "nHSIC(Y,Z)" } as const;

/** What is concluded above (1) and below (−1) the threshold, and what is asked where neither is sure (0). */
type Statement = (side: 1 | 0 | -1) => string;

/** `whether a compresses`, `a compresses`, `a does not compress`. */
const statement =
  (yes: string, no: string, prefix = ""): Statement =>
  (side) =>
    side === 0 ? `${prefix}whether ${yes}` : prefix + (side > 0 ? yes : no);

interface Estimate {
  value: number | null;
  interval: Interval | null;
  /** Why there is no interval, where something can be said about it. */
  reason?: string;
}

function conclusion(
  settings: readonly string[],
  given: {
    quantity: string;
    threshold: number;
    says: Statement;
    estimates: readonly Estimate[];
  },
): Conclusion {
  const { quantity, threshold, says, estimates } = given;
  const sides = estimates.map(({ interval }) => (interval === null ? 0 : sideOf(interval, threshold)));
  const findings = estimates.map(
    ({ value, interval, reason }, at): SettingFinding => ({
      setting: settings[at]!,
      value,
      interval,
      verdict: verdictOf(sides[at]!, sides[0]!),
      ...because(reason),
    }),
  );
  return { statement: says(sides[0]!), quantity, threshold, findings, counts: counted(findings) };
}

function verdictOf(side: 1 | 0 | -1, ofDefault: 1 | 0 | -1): Verdict {
  if (side === 0) return "cannot be told";
  if (ofDefault === 0) return side > 0 ? "yes" : "no";
  return side === ofDefault ? "holds" : "flips";
}

/** 1 above, −1 below, 0 on both sides of a threshold. */
function sideOf([low, high]: Interval, threshold: number): 1 | 0 | -1 {
  if (low > threshold) return 1;
  return high < threshold ? -1 : 0;
}

function counted(findings: readonly SettingFinding[]): Record<Verdict, number> {
  const counts = { holds: 0, flips: 0, yes: 0, no: 0, "cannot be told": 0 };
  for (const { verdict } of findings) counts[verdict]++;
  return counts;
}

/** A number of a variant: over seeds where there are several, else over mini-batches. */
function estimate({ runs }: VariantPaths, number: Quantity, withInterval = true): Estimate {
  if (runs.length > 1 || !withInterval) {
    const summary = summariseKnown(runs.map(({ paths }) => number(paths, allBatches(paths))));
    return { value: summary?.mean ?? null, interval: summary?.interval ?? null };
  }
  const { paths } = runs[0]!;
  return estimateOverBatches(batchesOf(paths), (batches) => number(paths, batches));
}

/** A number of mini-batches, with the jackknife's interval, or that of resamples where leaving one out changes nothing. */
function estimateOverBatches(count: number, statistic: ResampledStatistic): Estimate {
  const { value, interval } = jackknifeInterval(count, statistic);
  if (!Number.isFinite(value)) return { value: null, interval: null, reason: "it could not be computed" };
  if (count < FEWEST_BATCHES) {
    const batches = `${count} mini-batch${count === 1 ? "" : "es"}`;
    return { value, interval: null, reason: `${batches}, where a verdict needs ${FEWEST_BATCHES}` };
  }
  if (interval !== null) return { value, interval };
  const { interval: resampled } = bootstrapStatistic(count, statistic, { method: "expanded", resamples: RESAMPLES });
  if (resampled !== null) return { value, interval: resampled };
  return { value, interval: null, reason: `none of the ${count} mini-batches changes it when it is left out` };
}

const RESAMPLES = 400;

/** A number of `a` less one of `b`: over shared seeds, or over the same mini-batches of one run each. */
function estimateDifference(a: VariantPaths, b: VariantPaths, ofA: Quantity, ofB: Quantity): Estimate {
  const [runA, runB] = [a.runs[0]!, b.runs[0]!];
  if (a.runs.length === 1 && b.runs.length === 1 && batchesOf(runA.paths) === batchesOf(runB.paths)) {
    return estimateOverBatches(batchesOf(runA.paths), (batches) => ofA(runA.paths, batches) - ofB(runB.paths, batches));
  }
  const seeded = ({ runs }: VariantPaths, number: Quantity) =>
    runs
      .map(({ seed, paths }) => ({ seed, value: number(paths, allBatches(paths)) }))
      .filter(({ value }) => Number.isFinite(value));
  const [valuesA, valuesB] = [seeded(a, ofA), seeded(b, ofB)];
  if (valuesA.length === 0 || valuesB.length === 0) return { value: null, interval: null };
  const { difference, interval } = differenceOverSeeds(valuesA, valuesB);
  return { value: difference, interval };
}

const compressionAt =
  (stage: number): Quantity =>
  ({ epochs, x }, batches) =>
    (x && compression(trajectory(x[stage]!, epochs, batches))) ?? Number.NaN;

const retentionAt =
  (stage: number): Quantity =>
  ({ epochs, y }, batches) =>
    (y && retention(trajectory(y[stage]!, epochs, batches))) ?? Number.NaN;

/** nHSIC at the last epoch. */
const finalAt =
  (coordinate: "x" | "y", stage: number): Quantity =>
  (paths, batches) => {
    const values = paths[coordinate];
    return values === null ? Number.NaN : meanAt(values[stage]!.at(-1)!, batches);
  };

/** retention_y of the last stage − mean over the stages between first and last. */
const roleDifferentiation: Quantity = (paths, batches) => {
  const retained = (paths.y ?? []).map((_, stage) => retentionAt(stage)(paths, batches));
  const between = retained.slice(1, -1);
  return retained.at(-1)! - between.reduce((sum, value) => sum + value, 0) / between.length;
};

/** Sample standard deviation over stages of compression_x. */
const uniformity: Quantity = (paths, batches) => {
  const compressed = (paths.x ?? []).map((_, stage) => compressionAt(stage)(paths, batches));
  return compressed.length > 1 && compressed.every(Number.isFinite) ? sampleStandardDeviation(compressed) : Number.NaN;
};

function trajectory(
  ofStage: readonly (readonly number[])[],
  epochs: readonly number[],
  batches: ArrayLike<number>,
): Trajectory {
  return epochs.map((epoch, at) => ({ epoch, value: meanAt(ofStage[at]!, batches) }));
}

function meanAt(values: readonly number[], batches: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < batches.length; i++) sum += values[batches[i]!]!;
  return sum / batches.length;
}

function batchesOf({ x, y }: PathValues): number {
  return (x ?? y)![0]![0]!.length;
}

function allBatches(paths: PathValues): number[] {
  return Array.from({ length: batchesOf(paths) }, (_, at) => at);
}

/** Places of stages, lowest first. */
function orderOf(variant: VariantPaths, numbers: readonly Quantity[]): number[] {
  const values = numbers.map((number) => estimate(variant, number, false).value ?? Number.NaN);
  return [...values.keys()].sort((a, b) => values[a]! - values[b]!);
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

/** A field for a reason, if there is one. */
function because(reason: string | undefined): { reason?: string } {
  return reason === undefined ? {} : { reason };
}
