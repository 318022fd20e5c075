// Variables whose mutual information is known, to hold estimators against: correlated Gaussians, and a Gaussian cut into
// classes.
import { type Generator, gt, randn, scope, type Tensor, zeros } from "@stopgrad/torch";
import { normalCumulative, normalQuantile } from "../../statistics/normal.js";

/** I(X;Z) of `dimension` independent pairs of correlation ρ, nats: −d/2 · ln(1 − ρ²). */
export function gaussianInformation(dimension: number, correlation: number): number {
  return (-dimension / 2) * Math.log1p(-correlation * correlation);
}

/** The correlation at which `dimension` pairs have so much information in all: √(1 − e^(−2I/d)). */
export function correlationFor(information: number, dimension: number): number {
  return Math.sqrt(-Math.expm1((-2 * information) / dimension));
}

/** Pairs of standard normal variables of a correlation, coordinate by coordinate: x and z, float64 `[N, d]` each. */
export function correlatedGaussians(
  count: number,
  dimension: number,
  correlation: number,
  generator: Generator,
): { x: Tensor; z: Tensor } {
  return scope(() => {
    const draw = () => randn([count, dimension], { dtype: "float64", generator });
    const x = draw();
    const noise = draw().mul(Math.sqrt(1 - correlation * correlation));
    return { x, z: x.mul(correlation).add(noise) };
  });
}

/** Values `[N]` of a standard normal variable cut into K equally probable classes: int64 `[N]`. */
export function quantileLabels(values: Tensor, classes: number): Tensor {
  return scope(() => {
    let labels = zeros([values.size(0)], { dtype: "int64" });
    for (const edge of edgesOf(classes)) labels = labels.add(gt(values, edge).to("int64"));
    return labels;
  });
}

/** Where K equally probable classes of a standard normal variable meet: K − 1 values. */
function edgesOf(classes: number): number[] {
  return Array.from({ length: classes - 1 }, (_, at) => normalQuantile((at + 1) / classes));
}

/** Beyond so many deviations nothing is integrated: 1e-19 of all. */
const TAIL = 9;

/** Intervals of Simpson's rule in each piece. */
const INTERVALS = 400;

/**
 * I(Y;Z), nats, where Y is one of K equally probable classes a standard normal x is cut into, and z is standard normal of
 * correlation ρ to x:
 *
 *   I = log K − ∫ φ(z) H(p(y | z)) dz      p(y | z) = Φ((b − ρz)/s) − Φ((a − ρz)/s)    s = √(1 − ρ²), class from a to b
 *
 * By Simpson's rule in pieces that end where the classes meet, and where they begin to: at strong correlation the classes
 * are certain everywhere else. Right to about 1e-9. With ρ = 1 it is log K, with 0 it is 0.
 */
export function classInformation(correlation: number, classes: number): number {
  const rho = Math.abs(correlation);
  if (rho === 0) return 0;
  if (rho === 1) return Math.log(classes);
  const width = Math.sqrt(1 - rho * rho);
  const edges = edgesOf(classes);
  const entropy = (z: number) => {
    const below = [0, ...edges.map((edge) => normalCumulative((edge - rho * z) / width)), 1];
    return below.slice(1).reduce((sum, upper, at) => sum + surprise(upper - below[at]!), 0);
  };
  const integrand = (z: number) => (entropy(z) * Math.exp((-z * z) / 2)) / Math.sqrt(2 * Math.PI);
  const ends = edges
    .flatMap((edge) => [-TAIL * width, 0, TAIL * width].map((away) => (edge + away) / rho))
    .map((end) => Math.min(TAIL, Math.max(-TAIL, end)));
  const places = [-TAIL, ...ends.sort((a, b) => a - b), TAIL];
  const left = places.slice(1).reduce((sum, to, at) => sum + simpson(integrand, places[at]!, to), 0);
  return Math.log(classes) - left;
}

/** −p log p. */
function surprise(probability: number): number {
  return probability > 0 ? -probability * Math.log(probability) : 0;
}

/** ∫ f from a to b by Simpson's rule. */
function simpson(f: (x: number) => number, a: number, b: number): number {
  if (a === b) return 0;
  const step = (b - a) / INTERVALS;
  let sum = f(a) + f(b);
  for (let at = 1; at < INTERVALS; at++) sum += (at % 2 === 1 ? 4 : 2) * f(a + at * step);
  return (sum * step) / 3;
}
