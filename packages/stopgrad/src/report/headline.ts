// A comparison in a few sentences: what was compared, on what, and what came out, with intervals where there are any.

import { type Difference, overSharedOnly, type Summary, summariseKnown } from "../statistics/index.js";
import { type Comparison, setting, type Variant } from "./comparison.js";
import { byteUnit, count, formatFixed, formatInterval, formatPercent, joinWords, signed } from "./format.js";
import {
  describeCourses,
  describeSeeds,
  differenceToReference,
  hasNoSpread,
  planeSummaries,
  sharedSeeds,
} from "./tables/index.js";

export interface Headline {
  /** What was compared, on what. */
  setting: string;
  /** What came out, the accuracy first. */
  findings: string[];
}

/** Plain sentences, not escaped for HTML. */
export function headline(comparison: Comparison): Headline {
  return {
    setting: describeSetting(comparison),
    findings: [
      ...comparable(comparison).map(accuracySentence),
      planeSentence(comparison),
      ...comparable(comparison).map(costSentence),
    ].filter((sentence) => sentence !== null),
  };
}

/** The comparison in parts: each reference with those that are compared with it; the rest together as the last. */
function comparable(comparison: Comparison): Comparison[] {
  const { variants } = comparison;
  const references = [...new Set(variants.flatMap(({ reference }) => (reference === null ? [] : [reference])))];
  const parts: Comparison[] = references.map((reference) => ({
    ...comparison,
    reference,
    variants: variants.filter((variant) => variant === reference || variant.reference === reference),
  }));
  const rest = variants.filter((variant) => variant.reference === null && !references.includes(variant));
  const restPart = { ...comparison, reference: null, variants: rest };
  return parts.length === 0 || rest.length > 0 ? [...parts, restPart] : parts;
}

/** More variants than this are not listed: a sentence names the ends of their range, a table has them all. */
const mostListed = 6;

/** The first with the lowest and the first with the highest number. */
function ends<T>(all: readonly T[], number: (one: T) => number): [lowest: T, highest: T] {
  const pick = (better: (a: number, b: number) => boolean) =>
    all.reduce((kept, one) => (better(number(one), number(kept)) ? one : kept));
  return [pick((a, b) => a < b), pick((a, b) => a > b)];
}

function describeSetting(comparison: Comparison): string {
  const { variants } = comparison;
  const shared = (path: string): string | null => {
    const values = [...new Set(variants.map((variant) => setting(variant.settings, path)))];
    const usable = values.filter((value) => typeof value === "string" || typeof value === "number");
    return usable.length === 0 || usable.length < values.length ? null : joinWords(usable.map(String));
  };
  const nameOf = (path: string) => shared(`${path}.name`) ?? shared(path);
  const model = nameOf("model");
  const data = nameOf("data");
  const sizes = [
    [shared("data.train"), "training"],
    [shared("data.test"), "test"],
  ].filter(([size]) => size !== null && /^\d+$/.test(size as string));
  const epochs = [
    ...new Set(variants.flatMap((variant) => variant.completed.map((run) => run.record.summary!.epochs))),
  ].sort((a, b) => a - b);
  const parts = [
    [model, data === null ? null : `on ${data}`].filter((part) => part !== null).join(" "),
    sizes.length === 0
      ? ""
      : `${sizes.map(([size, use]) => `${formatFixed(Number(size), 0)} ${use}`).join(" and ")} images`,
    epochs.length === 0
      ? ""
      : epochs.length === 1
        ? count(epochs[0]!, "epoch")
        : `${joinWords(epochs.map(String))} epochs${severalPhases(variants) ? " (of all phases of a training)" : ""}`,
    describeSeeds(comparison),
  ].filter((part) => part !== "");
  const compared = variants.length === 1 ? variants[0]!.label : `${variants.length} ways of training compared`;
  return `${parts.join(", ")}: ${compared}.`;
}

/** Whether some training has more epochs than its settings say, which is because each of its phases has them. */
function severalPhases(variants: readonly Variant[]): boolean {
  return variants.some(({ completed }) =>
    completed.some(({ record }) => record.summary!.epochs !== record.settings.epochs),
  );
}

function accuracySentence(comparison: Comparison): string | null {
  const results = comparison.variants.flatMap((variant) => {
    const accuracy = testAccuracy(variant);
    return accuracy === null ? [] : [{ variant, accuracy }];
  });
  if (results.length === 0) return "No run has finished.";
  const own = results.find(({ variant }) => variant === comparison.reference);
  const others = results.filter(({ variant }) => variant !== comparison.reference);
  if (own === undefined || others.length === 0) {
    if (results.length > mostListed) {
      const [worst, best] = ends(results, ({ accuracy }) => accuracy.mean);
      const place = ({ variant, accuracy }: (typeof results)[number]) =>
        `${percent(accuracy.mean)} (${variant.label}${alike(accuracy, results)})`;
      return percent(worst.accuracy.mean) === percent(best.accuracy.mean)
        ? `Test accuracy at the last epoch: ${percent(best.accuracy.mean)} in each of ${results.length} variants.`
        : `Test accuracy at the last epoch: from ${place(worst)} to ${place(best)}; all ${results.length} are in the ` +
            "table of results.";
    }
    const list = results.map(({ variant, accuracy }) => `${variant.label} ${percent(accuracy.mean)}`);
    return `Test accuracy at the last epoch: ${joinWords(list)}.`;
  }
  const ownName = nameOf(own.variant, comparison);
  const compared = others.map((other) => ({
    ...other,
    label: other.variant.label,
    difference: differenceToReference(other.variant, own.variant)!,
  }));
  if (compared.length === 1) return pairSentence({ label: ownName, accuracy: own.accuracy }, compared[0]!);
  if (results.length > mostListed) return rangeSentence({ label: ownName, accuracy: own.accuracy }, compared);
  const list = compared.map(({ label, accuracy, difference }) => {
    const [mean, ownMean] = difference.means;
    const basis = overSharedOnly(difference)
      ? ` over ${sharedSeeds(difference)}: ${percent(mean)} against ${percent(ownMean)}`
      : "";
    return `${label} ${percent(accuracy.mean)} (${relationText(difference)}${basis})`;
  });
  const intervals = compared.some(({ difference }) => difference.interval !== null);
  return (
    `${capital(ownName)} reaches ${percent(own.accuracy.mean)} test accuracy; ${list.join("; ")}. ` +
    `In brackets: the difference in points${intervals ? " and its 95 % interval" : ""}.${missingIntervals(compared)}`
  );
}

interface Compared {
  label: string;
  accuracy: Summary;
  difference: Difference;
}

/** Many variants: the reference, the best and the worst of the others. */
function rangeSentence(own: Omit<Compared, "difference">, others: readonly Compared[]): string {
  const [worst, best] = ends(others, ({ accuracy }) => accuracy.mean);
  const start = `${capital(own.label)} reaches ${percent(own.accuracy.mean)} test accuracy`;
  if (percent(worst.accuracy.mean) === percent(best.accuracy.mean)) {
    return `${start}, each of the ${others.length} others ${percent(best.accuracy.mean)}: see the table of results.`;
  }
  const place = ({ label, accuracy, difference }: Compared) =>
    `${label} with ${percent(accuracy.mean)} (${relationText(difference)}${alike(accuracy, others)})`;
  const shown = [best, worst];
  const intervals = shown.some(({ difference }) => difference.interval !== null);
  return (
    `${start}; of the ${others.length} others, the best is ${place(best)}, the worst ${place(worst)}. In brackets: the ` +
    `difference in points${intervals ? " and its 95 % interval" : ""}; all are in the table of results.` +
    missingIntervals(shown)
  );
}

/** `, as 2 more` where others print the same accuracy. */
function alike(accuracy: Summary, all: readonly { accuracy: Summary }[]): string {
  const more = all.filter((other) => percent(other.accuracy.mean) === percent(accuracy.mean)).length - 1;
  return more > 0 ? `, as ${more} more` : "";
}

/** Two variants: the means that the difference lies between, and over further seeds those of whoever has them. */
function pairSentence(own: Omit<Compared, "difference">, other: Compared): string {
  const { difference } = other;
  const [otherMean, ownMean] = difference.means;
  const partly = overSharedOnly(difference);
  const start = partly ? `Over ${sharedSeeds(difference)}, ${own.label}` : capital(own.label);
  const further = [own, other]
    .filter(({ accuracy }) => partly && accuracy.n > difference.n)
    .map(({ label, accuracy }) => `${label} ${percent(accuracy.mean)} (${accuracy.n})`);
  return (
    `${start} reaches ${percent(ownMean)} test accuracy, ${other.label} ${percent(otherMean)}: ${gapText(difference)}. ` +
    verdict(difference) +
    (further.length === 0 ? "" : ` Mean over all seeds a variant has: ${joinWords(further)}.`)
  );
}

/** Which of several differences have no interval, and why; empty where all have one. */
function missingIntervals(compared: readonly Compared[]): string {
  const missing = compared.filter(({ difference }) => difference.interval === null);
  if (missing.length === 0) return "";
  if (missing.length === compared.length && missing.every(({ difference }) => oneSeedEach(difference))) {
    return " One seed each allows no interval.";
  }
  const reasons = missing.map(
    ({ label, difference }) => `${label} (${hasNoSpread(difference) ? "no spread to judge by" : "too few seeds"})`,
  );
  return ` No interval for ${joinWords(reasons)}.`;
}

function planeSentence(comparison: Comparison): string | null {
  const first = comparison.stages[0];
  const measured = planeSummaries(comparison).flatMap(({ variant, summary }) => {
    const stage = summary.stages.find((candidate) => candidate.stage === first);
    if (stage === undefined || stage.finalX === null || stage.coursesX.length === 0) return [];
    return [{ variant, stage, end: stage.finalX.mean, lost: stage.compressionX?.mean ?? 0 }];
  });
  if (first === undefined || measured.length === 0) return null;
  const sentence = ({ variant, stage, end, lost }: (typeof measured)[number]) => {
    const below = lost >= 0.0005 ? `, ${formatPercent(lost, 1)} % below its peak` : "";
    const name = nameOf(variant, comparison);
    return `${name} ends at ${formatFixed(end, 1)}${below}: ${describeCourses(stage.coursesX)}`;
  };
  const others = measured.filter(({ variant }) => variant !== comparison.reference);
  const parts = measured.length > mostListed ? measured.filter((one) => !others.includes(one)) : measured;
  const listed = parts.map(sentence);
  if (measured.length > mostListed) {
    const [lowest, highest] = ends(others, ({ end }) => end);
    const place = ({ end, variant }: (typeof measured)[number]) => `${formatFixed(end, 1)} (${variant.label})`;
    const most = ends(others, ({ lost }) => lost)[1];
    const falls = most.lost >= 0.0005;
    listed.push(
      `${parts.length > 0 ? "the " : ""}${others.length}${parts.length > 0 ? " others" : " variants"} end between ` +
        `${place(lowest)} and ${place(highest)}` +
        (falls ? `, at most ${formatPercent(most.lost, 1)} % below their peak (${most.variant.label})` : ""),
    );
  }
  return `nHSIC(X,Z) of the first stage (${first}): ${listed.join("; ")}.`;
}

function costSentence(comparison: Comparison): string | null {
  const { reference, variants } = comparison;
  const over = (variant: Variant) => summariseKnown(variant.completed.map((run) => run.record.summary!.peakBytes));
  const own = reference === null ? null : over(reference);
  const others = variants.flatMap((variant) => {
    const memory = variant === reference ? null : over(variant);
    return memory === null ? [] : [{ variant, memory }];
  });
  if (reference === null || own === null || others.length === 0 || own.mean === 0) return null;
  const unit = byteUnit(own.mean);
  const place = ({ variant, memory }: (typeof others)[number]) =>
    `${variant.label} ${formatFixed((100 * memory.mean) / own.mean, 0)} %`;
  const [least, most] = ends(others, ({ memory }) => memory.mean);
  const list =
    variants.length > mostListed
      ? `${place(least)} (least of the ${others.length} others) to ${place(most)} (most)`
      : joinWords(others.map(place));
  return (
    `Peak memory: ${formatFixed(own.mean / unit.per, 1)} ${unit.name} with ${nameOf(reference, comparison)}; ` +
    `${list} of that.`
  );
}

function testAccuracy(variant: Variant): Summary | null {
  return summariseKnown(variant.completed.map((run) => run.record.summary!.testAccuracy));
}

function percent(fraction: number): string {
  return `${formatPercent(fraction, 1)} %`;
}

/** `a gap of 0.8 points [0.3, 1.3]`, the reference ahead; `0.8 points [0.3, 1.3] ahead` the other way round. */
function gapText({ difference, interval }: Difference): string {
  const behind = difference <= 0;
  const size = formatPercent(Math.abs(difference), 1);
  const range: readonly [number, number] | null =
    interval === null ? null : behind ? [-interval[1], -interval[0]] : interval;
  const text = `${size} points${range === null ? "" : ` ${formatInterval(range, (value) => formatPercent(value, 1))}`}`;
  return behind ? `a gap of ${text}` : `${text} ahead`;
}

function relationText({ difference, interval }: Difference): string {
  const format = (value: number) => signed(value, (fraction) => formatPercent(fraction, 1));
  return interval === null ? format(difference) : `${format(difference)} ${formatInterval(interval, format)}`;
}

function verdict(difference: Difference): string {
  const { interval, n, method, given } = difference;
  if (interval === null) {
    if (oneSeedEach(difference)) return "One seed each allows no interval.";
    if (method === "single") return "One shared seed allows no interval.";
    if (method === "unpaired") return `${given[1]} against ${count(given[0], "seed")}, none shared, allow no interval.`;
    const equal = method === "paired" ? `The ${n} shared seeds differ by the same amount` : "Neither varies over seeds";
    return `${equal}: there is no spread to judge by, hence no interval.`;
  }
  const basis = method === "paired" ? `over ${count(n, "shared seed")}` : "by Welch's formula";
  const includesZero = interval[0] <= 0 && interval[1] >= 0;
  return includesZero
    ? `The 95 % interval (${basis}) includes zero: these seeds do not show a difference.`
    : `The 95 % interval (${basis}) excludes zero.`;
}

function oneSeedEach({ given }: Difference): boolean {
  return given[0] === 1 && given[1] === 1;
}

/** `end to end` where that names one variant alone, else the variant's label. */
function nameOf(variant: Variant, comparison: Comparison): string {
  const endToEnd = comparison.variants.filter((candidate) => candidate.endToEnd);
  return variant.endToEnd && endToEnd.length === 1 ? "end to end" : variant.label;
}

function capital(text: string): string {
  return text === "end to end" ? "End to end" : text;
}
