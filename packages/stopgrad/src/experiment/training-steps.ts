// The steps of an epoch, taken in this process: the next batch, the rule's step on it, and what it found added up.
import { scope } from "@stopgrad/torch";
import type { EpochOrder } from "../data/loader.js";
import type { Batch, StepResult } from "../rules/index.js";
import { countedStep, keepMemory, watchMemory } from "./training-cost.js";
import { divergenceHint, noteFirstStep, type TrainingRun } from "./training-run.js";

/** One step on the epoch's next batch. @throws Error when a loss is not a number */
export function takeStep(run: TrainingRun, order: EpochOrder): void {
  const { rule, state } = run;
  scope(() => {
    const batch = nextBatch(run, order);
    const images = batch.labels.size(0);
    const step = () => rule.step(batch, () => order.fetchAhead(state.stepInEpoch + 1));
    const memory = watchMemory(run);
    const result = state.stepInEpoch === 0 ? countedStep(run, step, images) : step();
    if (memory) keepMemory(run, memory);
    account(run, result, state.stepInEpoch, images);
  });
  state.stepInEpoch += 1;
  state.step += 1;
  if (state.step === 1) noteFirstStep(run);
}

/** The batch after those that were taken, augmented and normalised. */
export function nextBatch({ state, data, generators, rule, job }: TrainingRun, order: EpochOrder): Batch {
  const { augment } = job.settings.data;
  return order.get(state.stepInEpoch, data.normalisation, augment, generators.augmentation, rule.views);
}

/**
 * Adds what a step found to the epoch's sums.
 * @param step - its number in the epoch, from 0
 * @param count - images of its batch
 * @throws Error when a loss is not a number
 */
export function account(run: TrainingRun, result: StepResult, step: number, count: number): void {
  const { state } = run;
  const wrong = result.losses.find(({ loss }) => !Number.isFinite(loss));
  if (wrong) {
    throw new Error(
      `the loss of ${wrong.module} became ${wrong.loss} in epoch ${state.epoch + 1}, step ${step + 1} ` +
        divergenceHint(run),
    );
  }
  const { running } = state;
  running.seen += count;
  running.correct = result.correct === null || running.correct === null ? null : running.correct + result.correct;
  running.loss += result.loss * count;
  for (const { module, loss } of result.losses) {
    running.localLosses[module] = (running.localLosses[module] ?? 0) + loss * count;
  }
  state.images += count;
}
