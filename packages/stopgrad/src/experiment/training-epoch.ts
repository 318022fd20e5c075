// The steps of one epoch, from where it stands to its end: one after the other in this process, or handed over to
// workers. Between two of them: measures of the first epoch, progress, messages, checkpoints, and the run's end where it
// is asked for. Only the steps are timed.
import { EpochOrder } from "../data/loader.js";
import { resetPeakOn } from "../device-memory.js";
import { settle } from "./device.js";
import { streamSeed } from "./seeds.js";
import { isCheckpointDue, save } from "./training-checkpoints.js";
import { notePeakOfDevice } from "./training-cost.js";
import { observe } from "./training-measures.js";
import { logSpacedSteps } from "./training-moments.js";
import { breathe, learningRateOf, PROGRESS_EVERY, record, type TrainingRun, totalSteps } from "./training-run.js";
import { takeStep } from "./training-steps.js";
import type { TrainingWorkers } from "./training-workers.js";

/** Milliseconds between two turns for messages. */
const BREATHE_EVERY = 50;

/**
 * The steps that are left of the epoch in progress.
 * @param workers - null where modules learn one after the other, in this process
 * @throws Stopped
 * @throws Error when a loss is not a number, or a worker has ended
 */
export async function trainEpoch(run: TrainingRun, workers: TrainingWorkers | null): Promise<void> {
  const { state } = run;
  const order = beginEpoch(run);
  try {
    const dense = denseSteps(run);
    const clock = new StepClock(run);
    const progress = new Progress(run);
    let breatheAt = performance.now();
    const pause = async () => {
      await workers?.gather();
      clock.stop();
    };
    while (state.stepInEpoch < order.batches) {
      // Measured before the step that follows, so that a run that goes on from here measures it again.
      if (dense.has(state.stepInEpoch)) {
        await pause();
        await record(run, await observe(run, ({ firstEpoch }) => firstEpoch));
        clock.start();
      }
      if (workers) await workers.feed(order);
      else takeStep(run, order);
      const now = performance.now();
      progress.tell(now, state.running.seconds + clock.secondsUntil(now));
      if (now - breatheAt > BREATHE_EVERY) {
        breatheAt = now;
        await new Promise(setImmediate);
      }
      if (run.hooks.shouldStop() || isCheckpointDue(run)) {
        await pause();
        breathe(run);
        save(run);
        clock.start();
      }
    }
    await pause();
  } finally {
    order.dispose();
  }
}

/** Learning rate and random order of the epoch; its augmentation goes on where it was stopped. */
function beginEpoch(run: TrainingRun): EpochOrder {
  const { rule, generators, data, state } = run;
  const { seed, data: asked } = run.job.settings;
  rule.setLearningRate(learningRateOf(run));
  generators.order.manualSeed(streamSeed(seed, `order/${state.epoch}`));
  if (state.stepInEpoch === 0) generators.augmentation.manualSeed(streamSeed(seed, `augmentation/${state.epoch}`));
  return new EpochOrder(data.train, asked.batch, generators.order);
}

/** Steps of the first epoch before which it is measured, where a measure asks for that. */
function denseSteps({ state, observers, stepsPerEpoch }: TrainingRun): Set<number> {
  const isDense = state.epoch === 0 && observers.some(({ when }) => when.firstEpoch);
  return isDense ? logSpacedSteps(stepsPerEpoch) : new Set();
}

/** Adds up the time that steps take, without what is done between them, and notes the memory they need meanwhile. */
class StepClock {
  readonly #run: TrainingRun;
  #startedAt = 0;

  /** It is started. */
  constructor(run: TrainingRun) {
    this.#run = run;
    this.start();
  }

  start(): void {
    const { device } = this.#run.job.settings;
    settle(device);
    resetPeakOn(device);
    this.#startedAt = performance.now();
  }

  stop(): void {
    const { state, job } = this.#run;
    settle(job.settings.device);
    const seconds = this.secondsUntil(performance.now());
    state.seconds += seconds;
    state.running.seconds += seconds;
    notePeakOfDevice(this.#run);
  }

  /** Since it was started. @param now - of `performance.now()` */
  secondsUntil(now: number): number {
    return (now - this.#startedAt) / 1000;
  }
}

/** Tells now and then how far the run is. */
class Progress {
  readonly #run: TrainingRun;
  #toldAt = performance.now();

  constructor(run: TrainingRun) {
    this.#run = run;
  }

  /** @param seconds - that the steps of this epoch have taken */
  tell(now: number, seconds: number): void {
    const { state, epochs, hooks } = this.#run;
    const { epoch, step, running } = state;
    if (now - this.#toldAt <= PROGRESS_EVERY || running.seen === 0) return;
    this.#toldAt = now;
    void hooks.emit({
      type: "progress",
      epoch: epoch + 1,
      epochs,
      step,
      totalSteps: totalSteps(this.#run),
      imagesPerSecond: running.seen / seconds,
      loss: running.loss / running.seen,
    });
  }
}
