// Comparisons that several items of a paper make.
import type { SeededValue } from "../statistics/index.js";
import { combine, counted, type Estimate, gap, level } from "./claims.js";
import type { Found, Quantity } from "./found.js";

/** Test accuracy of a variant. */
export function accuracyOf(found: Found, part: string, variant: string): Estimate {
  return level(`${of(found, part)}test accuracy, ${variant}`, found.accuracy(part, variant), "accuracy");
}

/** Test accuracy of one variant less another's. */
export function accuracyGap(found: Found, part: string, a: string, b: string): Estimate {
  const label = `${of(found, part)}test accuracy ${a} − ${b}`;
  return gap(label, found.accuracy(part, a), found.accuracy(part, b));
}

/** Test error of one variant less another's: above 0 where `better` is the better one. */
export function errorGap(found: Found, part: string, worse: string, better: string): Estimate {
  const label = `${of(found, part)}test error ${worse} − ${better}`;
  return gap(label, found.accuracy(part, better), found.accuracy(part, worse));
}

/** A quantity of one variant. */
export function levelOf(found: Found, part: string, variant: string, what: string, quantity: Quantity): Estimate {
  return level(`${of(found, part)}${what}, ${variant}`, found.of(part, variant, quantity));
}

/** A quantity of one variant less another's. */
export function gapOf(found: Found, part: string, a: string, b: string, what: string, quantity: Quantity): Estimate {
  const label = `${of(found, part)}${what}, ${a} − ${b}`;
  return gap(label, found.of(part, a, quantity), found.of(part, b, quantity), "fraction");
}

/** (a − b) / b over shared seeds, for numbers that have no scale of their own. */
export function relativeGapOf(
  found: Found,
  part: string,
  a: string,
  b: string,
  what: string,
  quantity: Quantity,
): Estimate {
  return level(`${of(found, part)}${what}, (${a} − ${b}) / ${b}`, relativeGaps(found, part, a, b, quantity));
}

/** (a − b) / b of what is counted: bytes, multiply-adds. */
export function countedGapOf(
  found: Found,
  part: string,
  a: string,
  b: string,
  what: string,
  quantity: Quantity,
): Estimate {
  return counted(`${of(found, part)}${what}, (${a} − ${b}) / ${b}`, relativeGaps(found, part, a, b, quantity));
}

function relativeGaps(found: Found, part: string, a: string, b: string, quantity: Quantity): SeededValue[] {
  return combine([found.of(part, a, quantity), found.of(part, b, quantity)], (value, reference) =>
    reference > 0 ? (value - reference) / reference : null,
  );
}

/** Names the part where there are several. */
function of(found: Found, part: string): string {
  return found.severalParts ? `${part}: ` : "";
}
