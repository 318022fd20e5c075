// One run, start to end: what comes before its first step, epoch after epoch, and how it ends. Runs inside a worker
// process; everything that leaves it leaves as an event. The parts of a run and what is done with them are listed in
// training-run.ts.
import type { MetricPoint, RunEnvironment, RunSummary } from "../store/records.js";
import { describeSystemError } from "../system-error.js";
import { takeOver } from "./create-rule.js";
import { describeEnvironment } from "./environment.js";
import { prepareTraining } from "./prepare-training.js";
import type { TrainingJob } from "./protocol.js";
import { summariseRun } from "./run-summary.js";
import { isCheckpointDue, keepWeightsOfEpoch, resume, save } from "./training-checkpoints.js";
import { enterPhase } from "./training-cost.js";
import { trainEpoch } from "./training-epoch.js";
import { evaluateSet, evaluateTest, observe } from "./training-measures.js";
import { isAskedAfter, isAskedBefore } from "./training-moments.js";
import {
  breathe,
  disposeRun,
  emptyRunning,
  learningRateOf,
  phaseInProgress,
  pointOf,
  record,
  Stopped,
  type TrainingHooks,
  type TrainingRun,
  totalSteps,
} from "./training-run.js";
import { TrainingWorkers } from "./training-workers.js";

export type { TrainingHooks } from "./training-run.js";

/**
 * Trains a run to its end, its interruption or its failure, and says which as the last event.
 * @throws what `hooks.emit` rejects with, when even that cannot be said
 */
export async function train(job: TrainingJob, hooks: TrainingHooks): Promise<void> {
  try {
    const { threads, device, precision } = job.settings;
    const environment = describeEnvironment(threads, device, precision);
    environment.catch(() => {}); // reported where it is waited for
    const run = await prepareTraining(job, hooks);
    try {
      await findStart(run);
      await go(run, environment);
    } finally {
      disposeRun(run);
    }
  } catch (error) {
    await hooks.emit({ type: "failed", message: describeSystemError(error) ?? (error as Error).message });
  }
}

/** Where the run begins: at its newest checkpoint, with the weights of another run, or with its own initial ones. */
async function findStart(run: TrainingRun): Promise<void> {
  const { settings, resume: isResumed, retrainFrom } = run.job;
  if (isResumed) await resume(run);
  if (retrainFrom && run.state.step === 0) takeOver(run.rule, settings, retrainFrom);
}

/** From there to its end or its interruption. @throws Error when it fails */
async function go(run: TrainingRun, environment: Promise<RunEnvironment>): Promise<void> {
  const { hooks, epochs, state } = run;
  await hooks.emit({
    type: "started",
    environment: await environment,
    epochs,
    totalSteps: totalSteps(run),
    step: state.step,
  });
  const workers = run.job.settings.parallel ? await TrainingWorkers.start(run) : null;
  run.savedAt = performance.now();
  try {
    await trainAll(run, workers);
    await hooks.emit({ type: "completed", summary: summaryOf(run) });
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
    if (state.step > 0) save(run);
    await hooks.emit({ type: "interrupted", epoch: state.epoch, step: state.step });
  } finally {
    workers?.close();
  }
}

/** Every epoch that is left, and before the first of them what is measured of the network as it begins. @throws Stopped */
async function trainAll(run: TrainingRun, workers: TrainingWorkers | null): Promise<void> {
  enterPhase(run);
  if (run.state.step === 0) {
    keepWeightsOfEpoch(run);
    await record(run, [...(await evaluateTest(run)), ...(await observe(run, isAskedBefore))]);
  }
  while (run.state.epoch < run.epochs) await oneEpoch(run, workers);
}

/** Trains what is left of an epoch, measures after it, and keeps what came of it. @throws Stopped */
async function oneEpoch(run: TrainingRun, workers: TrainingWorkers | null): Promise<void> {
  const { state, rule, job } = run;
  enterPhase(run);
  await trainEpoch(run, workers);
  rule.endEpoch?.(phaseInProgress(run).epoch + 1, () => breathe(run));
  const isLast = state.epoch + 1 === run.epochs;
  noteTrainAccuracy(run, isLast);
  await record(run, [
    ...trainingPoints(run, isLast),
    ...(workers?.points() ?? []),
    ...(await evaluateTest(run)),
    ...(await observe(run, (when) => isAskedAfter(when, state.epoch + 1, isLast))),
  ]);
  // Only now is the epoch done: a run that is stopped while it measures goes on with measuring.
  state.epoch += 1;
  state.stepInEpoch = 0;
  state.running = emptyRunning();
  keepWeightsOfEpoch(run); // before a checkpoint lets a run that is killed go on behind this epoch
  if (isLast || state.epoch % job.settings.checkpoint.every === 0 || isCheckpointDue(run)) save(run);
}

/** Where no step predicts, the training images are predicted once, at the end. @throws Stopped */
function noteTrainAccuracy(run: TrainingRun, isLast: boolean): void {
  const { correct, seen } = run.state.running;
  if (correct !== null) run.state.trainAccuracy = correct / seen;
  else if (isLast) run.state.trainAccuracy = evaluateSet(run, run.data.train).accuracy;
}

/** What the steps of the epoch found, and what they took. */
function trainingPoints(run: TrainingRun, isLast: boolean): MetricPoint[] {
  const { running, trainAccuracy, seconds, peakBytes } = run.state;
  const { seen, correct, loss, localLosses } = running;
  return [
    pointOf(run, "trainLoss", loss / seen),
    ...(correct !== null || isLast ? [pointOf(run, "trainAccuracy", trainAccuracy)] : []),
    ...Object.entries(localLosses).map(([module, sum]) => pointOf(run, "localLoss", sum / seen, module)),
    pointOf(run, "learningRate", learningRateOf(run)),
    pointOf(run, "seconds", seconds),
    pointOf(run, "imagesPerSecond", seen / running.seconds),
    pointOf(run, "peakBytes", peakBytes),
  ];
}

function summaryOf({ rule, state, trained, data, secondsToFirstStep }: TrainingRun): RunSummary {
  const image = data.test.images.shape.slice(1);
  return summariseRun(rule, state, { settings: trained, image }, secondsToFirstStep);
}
