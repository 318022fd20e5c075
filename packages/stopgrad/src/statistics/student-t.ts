// Student's t distribution: what a confidence interval over a handful of seeds needs.
// The distribution function is the regularised incomplete beta function I_x(a, b), summed as its continued fraction
// (Abramowitz and Stegun 26.5.8, 26.7.1); the quantile inverts it by bisection, which is slow and cannot go wrong.

/**
 * P(T ≤ t) for Student's t.
 *
 * @param t - any real number
 * @param degreesOfFreedom - > 0, need not be whole (Welch)
 * @returns probability in [0, 1]
 */
export function tCumulative(t: number, degreesOfFreedom: number): number {
  requirePositive("tCumulative", degreesOfFreedom);
  if (t === 0) return 0.5;
  const tail = 0.5 * incompleteBeta(degreesOfFreedom / (degreesOfFreedom + t * t), degreesOfFreedom / 2, 0.5);
  return t > 0 ? 1 - tail : tail;
}

/**
 * The t with P(T ≤ t) = p; 12.706 for p = 0.975 and one degree of freedom.
 *
 * @param p - probability, 0 < p < 1
 * @param degreesOfFreedom - > 0, need not be whole
 */
export function tQuantile(p: number, degreesOfFreedom: number): number {
  requirePositive("tQuantile", degreesOfFreedom);
  if (!(p > 0 && p < 1)) throw new RangeError(`tQuantile: expected a probability between 0 and 1, got ${p}`);
  if (p === 0.5) return 0;
  if (p < 0.5) return -tQuantile(1 - p, degreesOfFreedom);
  let low = 0;
  let high = 1;
  while (tCumulative(high, degreesOfFreedom) < p && high < 1e300) {
    low = high;
    high *= 2;
  }
  for (let step = 0; step < 200 && high - low > 1e-14 * high; step++) {
    const middle = (low + high) / 2;
    if (tCumulative(middle, degreesOfFreedom) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Regularised incomplete beta function I_x(a, b), x in [0, 1], a and b > 0. */
export function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  // The fraction converges fast below the mean of the beta distribution; above it, the mirrored one does.
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x)) / a;
  return front / betaFraction(x, a, b);
}

/** ln Γ(x), x > 0: Stirling's series after shifting x above 12, where its error is below 1e-15. */
export function logGamma(x: number): number {
  let shift = 0;
  let z = x;
  for (; z < 12; z++) shift -= Math.log(z);
  const inverse = 1 / z;
  const square = inverse * inverse;
  const series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680 - square / 1188))));
  return shift + (z - 0.5) * Math.log(z) - z + 0.5 * Math.log(2 * Math.PI) + series;
}

/** 1 + d₁/(1 + d₂/(1 + …)) of the incomplete beta function, by the ratios of successive convergents. */
function betaFraction(x: number, a: number, b: number): number {
  const tiny = 1e-300;
  let value = 1;
  let numerator = 1; // ratio of successive numerators
  let denominator = 0; // ratio of successive denominators, inverted
  for (let term = 1; term <= 2000; term++) {
    const m = Math.floor(term / 2);
    const d =
      term % 2 === 0
        ? (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m))
        : (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    numerator = 1 + d / numerator || tiny;
    denominator = 1 / (1 + d * denominator || tiny);
    const factor = numerator * denominator;
    value *= factor;
    if (Math.abs(factor - 1) < 1e-16) break;
  }
  return value;
}

function requirePositive(where: string, degreesOfFreedom: number): void {
  if (!(degreesOfFreedom > 0)) {
    throw new RangeError(`${where}: expected degrees of freedom above 0, got ${degreesOfFreedom}`);
  }
}
