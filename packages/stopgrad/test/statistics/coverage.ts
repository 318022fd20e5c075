// What tests of intervals share: normal terms, the mean as a statistic of positions, and how often an interval covers.
import { Sfc32 } from "../../src/data/sfc32.js";

/** `count` normal numbers, a function of the key (Box and Muller). */
export function normals(count: number, ...key: number[]): number[] {
  const random = new Sfc32(...key);
  return Array.from({ length: count }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - random.uniform(0, 1)));
    return radius * Math.cos(2 * Math.PI * random.uniform(0, 1));
  });
}

/** Of so many trials, the share in which something holds. */
export function share(trials: number, holds: (trial: number) => boolean): number {
  let kept = 0;
  for (let trial = 0; trial < trials; trial++) if (holds(trial)) kept++;
  return kept / trials;
}

export const covers = (interval: readonly [number, number] | null, truth: number) =>
  interval !== null && interval[0] <= truth && truth <= interval[1];

/** The mean of the values at given positions. */
export const meanAt = (values: readonly number[]) => (indices: Int32Array) =>
  indices.reduce((sum, at) => sum + values[at]!, 0) / indices.length;
