// A comparison in a few sentences: what was compared, on what, and what came out, with intervals where there are any.

import { type Difference, type Summary, summariseKnown } from "../statistics/index.js";
import { type Comparison, setting, type Variant } from "./comparison.js";
import { byteUnit, count, formatFixed, formatInterval, formatPercent, joinWords } from "./format.js";
import { describeCourses, describeSeeds, differenceToReference, planeSummaries } from "./tables.js";

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
    findings: [accuracySentence(comparison), planeSentence(comparison), costSentence(comparison)].filter(
      (sentence) => sentence !== null,
    ),
  };
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
        : `${joinWords(epochs.map(String))} epochs`,
    describeSeeds(comparison),
  ].filter((part) => part !== "");
  const compared = variants.length === 1 ? variants[0]!.label : `${variants.length} ways of training compared`;
  return `${parts.join(", ")}: ${compared}.`;
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
    const list = results.map(({ variant, accuracy }) => `${variant.label} ${accuracyText(accuracy)}`);
    return `Test accuracy at the last epoch: ${joinWords(list)}.`;
  }
  const first = `${capital(nameOf(own.variant, comparison))} reaches ${accuracyText(own.accuracy)} test accuracy`;
  if (others.length === 1) {
    const other = others[0]!;
    const difference = differenceToReference(other.variant, own.variant)!;
    return `${first}, ${other.variant.label} ${accuracyText(other.accuracy)}: ${gapText(difference)}. ${verdict(difference)}`;
  }
  const list = others.map(({ variant, accuracy }) => {
    const difference = differenceToReference(variant, own.variant)!;
    return `${variant.label} ${accuracyText(accuracy)} (${relationText(difference)})`;
  });
  const intervals = others.some(({ variant }) => differenceToReference(variant, own.variant)?.interval);
  return (
    `${first}; ${list.join("; ")}. ` +
    `In brackets: the difference in points${intervals ? " and its 95 % interval" : "; one seed allows no interval"}.`
  );
}

function planeSentence(comparison: Comparison): string | null {
  const first = comparison.stages[0];
  const parts = planeSummaries(comparison).flatMap(({ variant, summary }) => {
    const stage = summary.stages.find((candidate) => candidate.stage === first);
    if (stage === undefined || stage.finalX === null || stage.coursesX.length === 0) return [];
    const lost = stage.compressionX?.mean ?? 0;
    const below = lost >= 0.0005 ? `, ${formatPercent(lost, 1)} % below its peak` : "";
    const name = nameOf(variant, comparison);
    const end = formatFixed(stage.finalX.mean, 1);
    return [`${name} ends at ${end}${below}: ${describeCourses(stage.coursesX)}`];
  });
  return first === undefined || parts.length === 0
    ? null
    : `nHSIC(X,Z) of the first stage (${first}): ${parts.join("; ")}.`;
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
  const list = others.map(
    ({ variant, memory }) => `${variant.label} ${formatFixed((100 * memory.mean) / own.mean, 0)} %`,
  );
  return (
    `Peak memory: ${formatFixed(own.mean / unit.per, 1)} ${unit.name} with ${nameOf(reference, comparison)}; ` +
    `of that, ${joinWords(list)}.`
  );
}

function testAccuracy(variant: Variant): Summary | null {
  return summariseKnown(variant.completed.map((run) => run.record.summary!.testAccuracy));
}

function accuracyText(accuracy: Summary): string {
  return `${formatPercent(accuracy.mean, 1)} %`;
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
  const format = (value: number) => (value > 0 ? "+" : "") + formatPercent(value, 1);
  return interval === null ? format(difference) : `${format(difference)} ${formatInterval(interval, format)}`;
}

function verdict({ interval, n, method }: Difference): string {
  if (interval === null) return "One seed each allows no interval.";
  const basis = method === "paired" ? `over ${count(n, "shared seed")}` : "by Welch's formula";
  const includesZero = interval[0] <= 0 && interval[1] >= 0;
  return includesZero
    ? `The 95 % interval (${basis}) includes zero: these seeds do not show a difference.`
    : `The 95 % interval (${basis}) excludes zero.`;
}

/** `end to end` where that names one variant alone, else the variant's label. */
function nameOf(variant: Variant, comparison: Comparison): string {
  const endToEnd = comparison.variants.filter((candidate) => candidate.endToEnd);
  return variant.endToEnd && endToEnd.length === 1 ? "end to end" : variant.label;
}

function capital(text: string): string {
  return text === "end to end" ? "End to end" : text;
}
