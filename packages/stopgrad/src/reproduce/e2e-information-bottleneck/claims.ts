// What the claims of the figures of arXiv 2402.09050 are made of: the margins that they are held against, comparisons
// within one part of an item, and what several figures claim. Compression is 1 − final / peak of nHSIC(X, Z), retention
// final / peak of nHSIC(Y, Z); a fall counts from 0.05, as everywhere in the reports.
import { above, below, type Check, check, type Estimate } from "../claims.js";
import { accuracyGap, gapOf, levelOf, relativeGapOf } from "../comparisons.js";
import type { Found, Quantity } from "../found.js";
import { compressionX, lossY, roleDifferentiation } from "../quantities.js";

/** A fall of a coordinate, as a fraction of its peak. */
export const FALL = 0.05;

/** Two accuracies are equal within 1 point. */
export const EQUAL = 0.01;

/** Asks about one part of an item. */
export function asker(found: Found, part: string) {
  return {
    accuracy: (a: string, b: string): Estimate => accuracyGap(found, part, a, b),
    level: (variant: string, what: string, quantity: Quantity): Estimate =>
      levelOf(found, part, variant, what, quantity),
    gap: (a: string, b: string, what: string, quantity: Quantity): Estimate => gapOf(found, part, a, b, what, quantity),
    relative: (a: string, b: string, what: string, quantity: Quantity): Estimate =>
      relativeGapOf(found, part, a, b, what, quantity),
  };
}

/** Layer-role differentiation: what figures 6 and 17 claim of end-to-end training. */
export function roles(found: Found, part: string): Check[] {
  const { level, gap } = asker(found, part);
  return [
    check("end to end, the middle stages compress: by more than 0.05 of their peak", [
      above(level("e2e", "compression, mean of the middle stages", compressionX("middle")), FALL),
    ]),
    check("end to end, the last two stages keep nHSIC(Y, Z): they lose less than 0.05 of its peak", [
      below(level("e2e", "1 − retention, mean of the last two stages", lossY("last two")), FALL),
    ]),
    check("layers take different roles end to end more than layer-wise: role differentiation is larger", [
      above(gap("e2e", "layer-wise", "role differentiation", roleDifferentiation), 0),
    ]),
  ];
}
