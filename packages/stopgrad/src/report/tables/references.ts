// Who is compared with whom, and whether their numbers can be compared at all.
import { type Difference, differenceOverSeeds } from "../../statistics/index.js";
import { type Comparison, flattenSettings, type Variant } from "../comparison.js";
import { count } from "../format.js";

/** Who is compared with whom, and what to call the reference in a column's title. */
export function referencesOf(variants: readonly Variant[]) {
  const references = [...new Set(variants.flatMap(({ reference }) => (reference === null ? [] : [reference])))];
  return {
    references,
    referenceName: references.length > 1 ? "its reference" : ((references[0] ?? variants[0])?.label ?? ""),
    compares: references.length > 0,
    /** What a variant's ratios are to: a reference has itself, a variant that shares its circumstances with none nothing. */
    ownOf: (variant: Variant): Variant | null =>
      variant.reference ?? (references.includes(variant) || variants.length === 1 ? variant : null),
  };
}

/** Test accuracy of a variant minus the reference's, in fractions; null for the reference and where one has no run. */
export function differenceToReference(variant: Variant, reference: Variant | null): Difference | null {
  if (reference === null || variant === reference) return null;
  const values = (of: Variant) =>
    of.completed
      .map(({ record }) => ({ seed: record.seed, value: record.summary!.testAccuracy }))
      .filter(({ value }) => Number.isFinite(value));
  const a = values(variant);
  const b = values(reference);
  return a.length === 0 || b.length === 0 ? null : differenceOverSeeds(a, b);
}

/** Whether the interval is missing although there are seeds enough. */
export function hasNoSpread({ interval, method }: Difference): boolean {
  return interval === null && (method === "paired" || method === "welch");
}

/** `the 2 shared seeds`, `the one shared seed`. */
export function sharedSeeds({ n }: Difference): string {
  return n === 1 ? "the one shared seed" : `the ${count(n, "shared seed")}`;
}

/** Whether the variants' numbers can be ranked: the same images, however they are batched and augmented, and network. */
export function areComparable(variants: readonly Variant[]): boolean {
  const kinds = variants.map(({ settings: { data, model } }) => {
    const { batch: _, evaluationBatch: __, augment: ___, ...images } = (data ?? {}) as Record<string, unknown>;
    return JSON.stringify([...flattenSettings({ images, model: model ?? null })].sort());
  });
  return new Set(kinds).size <= 1;
}

export function differInEpochs(variants: readonly Variant[]): boolean {
  const epochs = variants.flatMap(({ completed }) => completed.map(({ record }) => record.summary!.epochs));
  return new Set(epochs).size > 1;
}

/** How many seeds stand behind the variants, in words. */
export function describeSeeds(comparison: Comparison): string {
  const counts = [...new Set(comparison.variants.map((variant) => variant.completed.length).filter((n) => n > 0))];
  if (counts.length === 0) return "no seed";
  if (counts.length === 1) return count(counts[0]!, "seed");
  return `${Math.min(...counts)} to ${count(Math.max(...counts), "seed")}`;
}
