// Comparisons that the claims of arXiv 2312.07636 are made of. Differences are of test error, as its tables have it: above
// 0 where the second variant is the better one.
import { combine, counted, type Estimate, level } from "../claims.js";
import { countedGapOf } from "../comparisons.js";
import type { Found } from "../found.js";
import { peakMemory } from "../quantities.js";
import { cut } from "./methods.js";

/** By how much more one method's error rises from fewer to more modules than another's. */
export function extraRise(
  found: Found,
  part: string,
  worse: string,
  better: string,
  [few, many]: readonly [number, number],
): Estimate {
  const of = (method: string, modules: number) => found.accuracy(part, cut(method, modules));
  const values = combine(
    [of(worse, few), of(worse, many), of(better, few), of(better, many)],
    (worseFew, worseMany, betterFew, betterMany) => worseFew - worseMany - (betterFew - betterMany),
  );
  const label = `rise of test error from K = ${few} to ${many}, ${worse} − ${better}`;
  return level(found.severalParts ? `${part}: ${label}` : label, values, "points");
}

/** (a − b) / b of peak memory. */
export function memoryGap(found: Found, part: string, a: string, b: string): Estimate {
  return countedGapOf(found, part, a, b, "peak memory", peakMemory);
}

/**
 * How well a straight line over the number of earlier modules explains peak memory: R², 1 where it grows linearly.
 * @param variants - with the number of earlier modules of each, three or more
 */
export function linearity(
  found: Found,
  part: string,
  variants: readonly (readonly [variant: string, previousModules: number])[],
): Estimate {
  const counts = variants.map(([, count]) => count);
  const values = combine(
    variants.map(([variant]) => found.of(part, variant, peakMemory)),
    (...bytes) => squaredCorrelation(counts, bytes),
  );
  const names = variants.map(([variant]) => variant).join(", ");
  return counted(`${found.severalParts ? `${part}: ` : ""}R² of a line through peak memory, ${names}`, values);
}

/** Pearson's, squared; null where one of the two does not vary. */
function squaredCorrelation(x: readonly number[], y: readonly number[]): number | null {
  const centred = (values: readonly number[]) => {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return values.map((value) => value - mean);
  };
  const [dx, dy] = [centred(x), centred(y)];
  const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, at) => sum + value * b[at]!, 0);
  const spread = dot(dx, dx) * dot(dy, dy);
  return spread > 0 ? dot(dx, dy) ** 2 / spread : null;
}
