// How far each estimator of mutual information can be trusted: every one on variables whose information is known, over
// dimension and strength.
//
// With the input: d pairs of Gaussians, each of the same correlation. With labels: ten equally probable classes that one
// Gaussian is cut into, beside d Gaussians of which the first is correlated with it and the others are noise.
import { cat, Generator, scope, type Tensor } from "@stopgrad/torch";
import { MeasureError, type Sample, type SampleMeasure } from "../measure.js";
import { estimators } from "./estimators.js";
import {
  classInformation,
  correlatedGaussians,
  correlationFor,
  gaussianInformation,
  quantileLabels,
} from "./gaussian.js";
import type { EstimatorName } from "./names.js";

/** Which information: of x and z, or of labels and z. */
export type CalibrationPair = "input" | "labels";

/** What each estimator finds for a pair; null where it takes no such pair. */
const findings: Record<EstimatorName, Record<CalibrationPair, string | null>> = {
  mine: { input: "mineXZ", labels: "mineYZ" },
  "info-nce": { input: "infoNceXZ", labels: "infoNceYZ" },
  ksg: { input: "ksgXZ", labels: "ksgYZ" },
  binning: { input: "binningXZ", labels: "binningYZ" },
  "label-bound": { input: null, labels: "labelBound" },
};

/** Classes of the pair with labels. */
export const CALIBRATION_CLASSES = 10;

export interface CalibrationPlan {
  readonly estimators: readonly EstimatorName[];
  readonly pairs: readonly CalibrationPair[];
  readonly dimensions: readonly number[];
  /**
   * Strengths: nats of all pairs together (of labels: what the Gaussian has that they are cut from), or the correlation of
   * every pair.
   */
  readonly strengths: { readonly information: readonly number[] } | { readonly correlations: readonly number[] };
  readonly samples: number;
  /** Sets of samples drawn. */
  readonly seeds: number;
  /** Options of estimators other than their defaults. */
  readonly options?: Partial<Record<EstimatorName, Readonly<Record<string, unknown>>>>;
}

/** An estimator on one known pair. */
export interface CalibrationResult {
  readonly estimator: EstimatorName;
  readonly pair: CalibrationPair;
  readonly dimension: number;
  readonly correlation: number;
  /** Nats, as are the others. */
  readonly truth: number;
  /** One of each seed; none where it refused. */
  readonly estimates: readonly number[];
  /** Their mean; null where it refused. */
  readonly estimate: number | null;
  readonly error: number | null;
  /** What the error may be. */
  readonly tolerance: number;
  readonly fails: boolean;
  /** Why it gave no estimate. */
  readonly refused: string | null;
  readonly seconds: number;
}

/** An estimate fails when it is off by more than this: 0.1 nats or a tenth of the truth, whichever is more. */
export function toleranceOf(truth: number): number {
  return Math.max(0.1, 0.1 * truth);
}

interface Task {
  readonly estimator: EstimatorName;
  readonly pair: CalibrationPair;
  readonly dimension: number;
  readonly correlation: number;
}

/** What is to be estimated, in the order of the plan. */
export function calibrationTasks(plan: CalibrationPlan): Task[] {
  return plan.pairs.flatMap((pair) =>
    plan.estimators
      .filter((estimator) => findings[estimator][pair] !== null)
      .flatMap((estimator) =>
        plan.dimensions.flatMap((dimension) =>
          correlationsOf(plan.strengths, pair === "input" ? dimension : 1).map((correlation) => ({
            estimator,
            pair,
            dimension,
            correlation,
          })),
        ),
      ),
  );
}

function correlationsOf(strengths: CalibrationPlan["strengths"], pairs: number): readonly number[] {
  if ("correlations" in strengths) return strengths.correlations;
  return strengths.information.map((information) => correlationFor(information, pairs));
}

/**
 * Every estimate of a plan, one after the other; the same plan gives the same numbers. All estimators and strengths of a
 * dimension and seed see the same draws.
 */
export function* calibrate(plan: CalibrationPlan): IterableIterator<CalibrationResult> {
  for (const task of calibrationTasks(plan)) yield estimated(task, plan);
}

function estimated(task: Task, { samples, seeds, options }: CalibrationPlan): CalibrationResult {
  const { estimator, pair, dimension, correlation } = task;
  const truth =
    pair === "input" ? gaussianInformation(dimension, correlation) : classInformation(correlation, CALIBRATION_CLASSES);
  const start = performance.now();
  const estimates: number[] = [];
  let refused: string | null = null;
  try {
    for (let seed = 1; seed <= seeds; seed++) {
      const sample = () => (pair === "input" ? withInput(task, samples, seed) : withLabels(task, samples, seed));
      estimates.push(scope(() => estimateOf(estimator, pair, sample(), { ...options?.[estimator] }, seed)));
    }
  } catch (error) {
    if (!(error instanceof MeasureError)) throw error;
    refused = error.message;
  }
  const estimate = refused === null ? estimates.reduce((sum, value) => sum + value, 0) / seeds : null;
  const error = estimate === null ? null : estimate - truth;
  const tolerance = toleranceOf(truth);
  // Also where the estimate is not a number.
  const fails = error === null || !(Math.abs(error) <= tolerance);
  const seconds = (performance.now() - start) / 1000;
  return {
    estimator,
    pair,
    dimension,
    correlation,
    truth,
    estimates,
    estimate,
    error,
    tolerance,
    fails,
    refused,
    seconds,
  };
}

function estimateOf(
  name: EstimatorName,
  pair: CalibrationPair,
  sample: Sample,
  changed: Record<string, unknown>,
  seed: number,
): number {
  const measure: SampleMeasure = estimators[name];
  const options = measure.options.parse({ ...changed, ...("seed" in measure.options.shape ? { seed } : {}) });
  return measure.measure(sample, options)[findings[name][pair]!]!.value;
}

function withInput({ dimension, correlation }: Task, samples: number, seed: number): Sample {
  return drawn(dimension, seed, (generator) => ({
    ...correlatedGaussians(samples, dimension, correlation, generator),
    labels: null,
  }));
}

function withLabels({ dimension, correlation }: Task, samples: number, seed: number): Sample {
  return drawn(dimension, seed, (generator) => {
    const { x, z: first } = correlatedGaussians(samples, 1, correlation, generator);
    const noise = correlatedGaussians(samples, dimension - 1, 0, generator).z; // [N, d − 1]
    return { x: null, z: cat([first, noise], 1), labels: quantileLabels(x.select(1, 0), CALIBRATION_CLASSES) };
  });
}

function drawn<S extends Record<string, Tensor | null>>(
  dimension: number,
  seed: number,
  draw: (generator: Generator) => S,
): S {
  const generator = new Generator(1000 * seed + dimension);
  try {
    return draw(generator);
  } finally {
    generator.dispose();
  }
}
