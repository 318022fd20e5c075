// What is measured of a network while it trains: loss and accuracy on the test images, and the measures that the run
// observes. Numbers that show that training diverged end it; a measure that cannot be computed is a warning.
import { all, isfinite, scope } from "@stopgrad/torch";
import type { TensorSet } from "../data/loader.js";
import type { MetricPoint } from "../store/records.js";
import { type Evaluation, evaluate } from "./evaluate.js";
import type { StageMeasurement } from "./observer.js";
import type { MeasureProblem } from "./protocol.js";
import type { ObserveSettings } from "./run-settings.js";
import { keepLatest } from "./stage-measures.js";
import { TEST_ACCURACY } from "./training-moments.js";
import { afterStep, breathe, divergenceHint, pointOf, type TrainingRun } from "./training-run.js";

/** Loss and accuracy on a whole split. @throws Stopped */
export function evaluateSet(run: TrainingRun, set: TensorSet): Evaluation {
  const { evaluationBatch } = run.job.settings.data;
  return evaluate(run.rule, set, run.data.normalisation, evaluationBatch, () => breathe(run));
}

/** Says what is measured from now on, the `number`th of `of`. */
async function announce(run: TrainingRun, measure: string, number = 1, of = 1): Promise<void> {
  const { epoch } = pointOf(run, measure, 0);
  await run.hooks.emit({ type: "measuring", measure, epoch, number, of });
}

/**
 * Loss and accuracy on the test images.
 * @throws Error when the loss or a weight is not a number
 * @throws Stopped
 */
export async function evaluateTest(run: TrainingRun): Promise<MetricPoint[]> {
  await announce(run, TEST_ACCURACY);
  requireFiniteWeights(run);
  const { loss, accuracy } = evaluateSet(run, run.data.test);
  if (!Number.isFinite(loss)) {
    throw new Error(`the test loss became ${loss} ${afterStep(run)} ${divergenceHint(run)}`);
  }
  run.state.testAccuracy = accuracy;
  return [pointOf(run, "testLoss", loss), pointOf(run, "testAccuracy", accuracy)];
}

/** A weight that is not finite may hide: behind a ReLU, in a head, in the last step. */
function requireFiniteWeights(run: TrainingRun): void {
  scope(() => {
    for (const [name, tensor] of run.rule.stateDict()) {
      const isWeight = /^(backbone|heads|contexts)\./.test(name) && tensor.dtype.includes("float");
      if (!isWeight || scope(() => all(isfinite(tensor)).item()) !== 0) continue;
      throw new Error(`${name} became NaN or infinite ${afterStep(run)} ${divergenceHint(run)}`);
    }
  });
}

/**
 * Takes the measures that are wanted now, keeps their values as the stages' latest, and warns of those that cannot be
 * computed: they are NaN.
 * @param wanted - whether a measure is to be taken that was asked for so
 * @throws Stopped
 */
export async function observe(run: TrainingRun, wanted: (when: ObserveSettings) => boolean): Promise<MetricPoint[]> {
  const points: MetricPoint[] = [];
  const due = run.observers.filter(({ when }) => wanted(when));
  for (const [at, { name, observer }] of due.entries()) {
    await announce(run, name, at + 1, due.length);
    const measured = observer.observe(run.rule, () => breathe(run));
    for (const { key, stage, value, standardError } of measured) {
      const summary = run.state.stages.find((one) => one.name === stage);
      if (summary) keepLatest(summary, key, value);
      points.push({ ...pointOf(run, key, value, stage), standardError });
    }
    const problem = problemOf(name, measured);
    if (problem !== null) await run.hooks.emit({ type: "warning", message: inWords(run, problem), problem });
  }
  return points;
}

/** All stages that a measure cannot be taken of, and why not of the first; null where there are none. */
function problemOf(measure: string, measured: readonly StageMeasurement[]): MeasureProblem | null {
  const failed = measured.filter(({ problem }) => problem !== null);
  if (!failed[0]?.problem) return null;
  return { measure, stages: [...new Set(failed.map(({ stage }) => stage))], reason: failed[0].problem };
}

/** One sentence. */
function inWords(run: TrainingRun, { measure, stages, reason }: MeasureProblem): string {
  return `${measure} of ${stages.join(", ")} cannot be computed ${afterStep(run)}: ${reason}`;
}
