// The standard normal distribution: what bootstrap intervals translate their levels with.
// Φ is summed as its series near 0 and as a continued fraction in the tails (Abramowitz and Stegun 26.2.11, 26.2.14);
// the quantile inverts it by bisection, as in `student-t.ts`.

/** Terms of the continued fraction: below 1e-15 of the tail from x = 3 on. */
const FRACTION_TERMS = 80;

/** Φ(x) = P(Z ≤ x), in [0, 1]; relative error below 1e-13, tails included. */
export function normalCumulative(x: number): number {
  if (Number.isNaN(x)) throw new RangeError("normalCumulative: expected a number, got NaN");
  const size = Math.abs(x);
  const density = Math.exp((-size * size) / 2) / Math.sqrt(2 * Math.PI);
  if (size > 3) {
    let fraction = size;
    for (let term = FRACTION_TERMS; term > 0; term--) fraction = size + term / fraction;
    const tail = density / fraction;
    return x > 0 ? 1 - tail : tail;
  }
  let term = x;
  let sum = x;
  for (let odd = 3; Math.abs(term) > 1e-17 * Math.abs(sum); odd += 2) {
    term *= (x * x) / odd;
    sum += term;
  }
  return 0.5 + density * sum;
}

/** The x with Φ(x) = p, 0 < p < 1; 1.95996 for p = 0.975. */
export function normalQuantile(p: number): number {
  if (!(p > 0 && p < 1)) throw new RangeError(`normalQuantile: expected a probability between 0 and 1, got ${p}`);
  if (p > 0.5) return -normalQuantile(1 - p);
  let low = -40;
  let high = 0;
  while (high - low > 1e-15 * Math.max(1, -low)) {
    const middle = (low + high) / 2;
    if (middle === low || middle === high) break;
    if (normalCumulative(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
