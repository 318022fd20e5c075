// What all estimators of mutual information share: which pairs they look at, what they call what they find, and what is
// known without an estimate.
import { noGrad, scope } from "@stopgrad/torch";
import { z } from "zod";
import { type Finding, type FindingKey, MeasureError, type RefusedOption, type Sample } from "../measure.js";
import { Classes, View } from "./views.js";

/**
 * Which pairs are looked at: input and representation, labels and representation, or both, as far as they are given. Of a
 * run's images, which have more features than `ksg` and `binning` take, these look at the labels alone unless it is said.
 */
export const pairsOption = z.enum(["both", "input", "labels"]).default("both");

export interface Estimator {
  /** Beginning of its keys: `ksg` finds `ksgXZ` and `ksgYZ`. */
  readonly name: string;
  readonly smallestSample: number;
  input(x: View, z: View): Finding;
  labels(y: Classes, z: View): Finding;
}

/** `mineXZ` and `mineYZ`. */
export function pairKeys(name: string, words: string): FindingKey[] {
  return [
    { key: `${name}XZ`, title: `I(X;Z) by ${words}, nats` },
    { key: `${name}YZ`, title: `I(Y;Z) by ${words}, nats` },
  ];
}

/** Whether a key's partner, the input of `…XZ` and the labels of `…YZ`, is given and asked for; other keys have none. */
export function hasPartner(
  key: string,
  given: { readonly x: boolean; readonly labels: boolean },
  pairs: z.infer<typeof pairsOption> = "both",
): boolean {
  if (key.endsWith("XZ")) return given.x && pairs !== "labels";
  if (key.endsWith("YZ")) return given.labels && pairs !== "input";
  return true;
}

/**
 * The estimates of I(X;Z) and I(Y;Z), NaN for a pair that is not given or not asked for. Where the input or the
 * representation does not vary at all the value is 0, which is exact: a constant tells nothing.
 * @throws MeasureError for NaN, infinity, too few samples or classes, differing numbers of samples, or neither partner
 */
export function estimatePairs(
  { name, smallestSample, input, labels }: Estimator,
  sample: Sample,
  pairs: z.infer<typeof pairsOption>,
): Record<string, Finding> {
  if (sample.x === null && sample.labels === null) {
    throw new MeasureError("expected an input or labels beside the representation, got neither");
  }
  return noGrad(() =>
    scope(() => {
      const z = new View("z", sample.z);
      if (z.count < smallestSample) {
        throw new MeasureError(`expected at least ${smallestSample} samples, got ${z.count}`);
      }
      const found: Record<string, Finding> = { [`${name}XZ`]: missing, [`${name}YZ`]: missing };
      const given = { x: sample.x !== null, labels: sample.labels !== null };
      if (sample.x && hasPartner("XZ", given, pairs)) {
        const x = sameSamples(new View("x", sample.x), z);
        found[`${name}XZ`] = x.isConstant || z.isConstant ? nothing : scope(() => input(x, z));
      }
      if (sample.labels && hasPartner("YZ", given, pairs)) {
        const y = sameSamples(new Classes(sample.labels), z);
        found[`${name}YZ`] = z.isConstant ? nothing : scope(() => labels(y, z));
      }
      return found;
    }),
  );
}

const missing: Finding = { value: Number.NaN };
const nothing: Finding = { value: 0 };

function sameSamples<P extends View | Classes>(partner: P, z: View): P {
  if (partner.count === z.count) return partner;
  throw new MeasureError(`expected ${partner.name} of the ${z.count} samples of z, got ${partner.count}`);
}

/** The value that is the mean of its samples' terms. */
export function meanOf(terms: Float64Array): Finding {
  return { value: terms.reduce((sum, term) => sum + term, 0) / terms.length, terms };
}

/** Refuses more features than an estimator can tell anything of. @throws MeasureError */
export function requireFew(view: View, largest: number, measure: string): void {
  if (view.features <= largest) return;
  throw new MeasureError(
    `${measure}: ${view.name} has ${view.features} features a sample, expected at most ${largest} (largestDimension): ` +
      `reduce them first, as by pooling or principal components, ${view.name === "x" ? "leave the input out (pairs=labels) " : ""}or take mine or info-nce`,
  );
}

/** What is looked at in a run unless its settings say: the labels alone, where the input has more features than can be told of. */
export function usualPairs(
  { largestDimension }: { largestDimension: number },
  dimensions: number | null,
): { readonly pairs?: "labels" } {
  return dimensions !== null && dimensions > largestDimension ? { pairs: "labels" } : {};
}

/** Why an estimator of few features cannot be taken of inputs, said before there are any. @param dimensions - of the input; null where that is not known */
export function refusedInput(
  { pairs, largestDimension }: { pairs: z.infer<typeof pairsOption>; largestDimension: number },
  dimensions: number | null,
): RefusedOption | null {
  if (pairs === "labels" || dimensions === null || dimensions <= largestDimension) return null;
  const message = `an image has ${dimensions} numbers, more than its largestDimension of ${largestDimension}, got ${pairs}; use pairs: labels`;
  return { option: "pairs", message };
}
