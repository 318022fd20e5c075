// The points of the toy: two classes on two arcs, told apart by radius and not by any line, each symmetric to the first
// axis. The properties are those of arXiv 2402.09050, section 4.2; the numbers are ours, because it gives none.
import { ToyGenerator } from "./generator.js";

/** Points and classes, N of each; a point and its mirror image stand side by side (2i and 2i + 1). */
export interface ToyData {
  /** First coordinates, `[N]`. */
  readonly first: Float64Array;
  /** Second coordinates, `[N]`. */
  readonly second: Float64Array;
  /** ±1, `[N]`. */
  readonly classes: Float64Array;
}

const arc = { halfAngle: 0.75 * Math.PI, innerRadius: 1, outerRadius: 2, jitter: 0.05 } as const;

/**
 * Draws N / 2 points and adds the mirror image (x₁, −x₂) of each, so that the symmetry is exact.
 *
 *   class ±1 with equal probability    radius 1 (+) or 2 (−), plus N(0, 0.05²)
 *   angle uniform in [−3π/4, 3π/4] for +, in [π/4, 7π/4] for −: + has its mean on the positive first axis, − on the
 *   negative
 *
 * The sign of x₁ names two thirds of the points, on average, and no line much more of them; the radius all of them.
 *
 * @param points - N, even, at least 2
 * @param seed - whole number
 * @throws RangeError for an odd number of points or fewer than 2
 */
export function drawToyData(points: number, seed: number): ToyData {
  if (!Number.isInteger(points) || points < 2 || points % 2 !== 0) {
    throw new RangeError(`toy data: expected an even number of points, got ${points}: each has its mirror image`);
  }
  const generator = new ToyGenerator(seed, "points");
  const [first, second, classes] = [new Float64Array(points), new Float64Array(points), new Float64Array(points)];
  for (let i = 0; i < points; i += 2) {
    const sign = generator.uniform(0, 1) < 0.5 ? 1 : -1;
    const radius = (sign > 0 ? arc.innerRadius : arc.outerRadius) + arc.jitter * generator.normal();
    const angle = generator.uniform(-arc.halfAngle, arc.halfAngle) + (sign > 0 ? 0 : Math.PI);
    first[i] = first[i + 1] = radius * Math.cos(angle);
    second[i] = radius * Math.sin(angle);
    second[i + 1] = -second[i]!;
    classes[i] = classes[i + 1] = sign;
  }
  return { first, second, classes };
}
