// A run that is being trained: what it is made of, where it stands, and what all parts of its training ask of that. What
// is done with it lies beside: prepare-training.ts makes it, trainer.ts takes it from its start to its end,
// training-epoch.ts trains an epoch of it, training-steps.ts and training-workers.ts take its steps, training-cost.ts
// counts what they cost, training-measures.ts measures it when training-moments.ts says so, and training-checkpoints.ts
// keeps it.
import type { Generator } from "@stopgrad/torch";
import type { Normalisation, TensorSet } from "../data/loader.js";
import type { LearningRule, Phase } from "../rules/index.js";
import type { MetricPoint } from "../store/records.js";
import type { TrainingState } from "./checkpoint.js";
import type { ImageKind } from "./create-rule.js";
import { phaseOf } from "./epochs.js";
import type { Observer } from "./observer.js";
import type { TrainingEvent, TrainingJob } from "./protocol.js";
import { scheduledRate } from "./rate-schedule.js";
import type { ObserveSettings, RunSettings } from "./run-settings.js";

/** Milliseconds between two progress events. */
export const PROGRESS_EVERY = 250;

/** How training speaks with the process that it runs in. */
export interface TrainingHooks {
  /** Resolves once the event is stored: a checkpoint is only written after the metrics before it. */
  emit(event: TrainingEvent): Promise<void>;
  /** Asked between steps, and between batches of an evaluation or a measure: true ends the run with a checkpoint. */
  shouldStop(): boolean;
}

/** Ends the work between two of its steps, because the hooks asked for it. */
export class Stopped extends Error {}

/** What is drawn at random while a run trains; their states are part of its checkpoints. */
export interface TrainingGenerators {
  readonly order: Generator;
  readonly augmentation: Generator;
  readonly dropout: Generator;
  readonly rule: Generator;
}

export interface TrainingRun {
  readonly job: TrainingJob;
  readonly hooks: TrainingHooks;
  /** The job's settings, with the width that was found where a cost is to be matched. */
  readonly trained: RunSettings;
  readonly rule: LearningRule;
  readonly data: {
    readonly train: TensorSet;
    readonly test: TensorSet;
    readonly normalisation: Normalisation;
    readonly kind: ImageKind;
  };
  readonly observers: readonly { readonly name: string; readonly when: ObserveSettings; readonly observer: Observer }[];
  readonly generators: TrainingGenerators;
  /** Bytes of tensors that are no part of training: the data set and what observers hold. */
  readonly otherBytes: number;
  readonly stepsPerEpoch: number;
  /** Of all phases. */
  readonly epochs: number;
  /** Where it stands; another one after a checkpoint was restored. */
  state: TrainingState;
  /** Null until this process has taken the run's first step. */
  secondsToFirstStep: number | null;
  /** When the last checkpoint was written, or training began, in milliseconds of `performance.now()`. */
  savedAt: number;
}

/** Frees the tensors of a run that has ended: its network, its images and what observers hold of them. */
export function disposeRun({ rule, observers, data }: TrainingRun): void {
  rule.dispose();
  for (const { observer } of observers) observer.dispose();
  const { train, test, normalisation } = data;
  for (const tensor of [train.images, train.labels, test.images, test.labels]) tensor.dispose();
  for (const tensor of [normalisation.scale, normalisation.shift]) tensor.dispose();
}

/** Optimizer steps of all epochs. */
export function totalSteps({ epochs, stepsPerEpoch }: TrainingRun): number {
  return epochs * stepsPerEpoch;
}

/** @throws Stopped when the run should end here. Wherever this is called, a checkpoint can be taken. */
export function breathe({ hooks }: TrainingRun): void {
  if (hooks.shouldStop()) throw new Stopped();
}

/** Where the epoch in progress stands among the rule's phases. */
export function phaseInProgress({ rule, state, job }: TrainingRun): { at: number; phase: Phase; epoch: number } {
  return phaseOf(rule.phases, state.epoch, job.settings.epochs);
}

/** That of the epoch in progress; each phase begins its schedule anew. */
export function learningRateOf(run: TrainingRun): number {
  const { optimizer, epochs } = run.job.settings;
  const { phase, epoch } = phaseInProgress(run);
  const base = phase.learningRate ?? optimizer.learningRate;
  return scheduledRate(optimizer.schedule, { base, epoch, epochs: phase.epochs ?? epochs });
}

/** The first step of a run is done: it is known how long it took to get there. */
export function noteFirstStep(run: TrainingRun): void {
  run.secondsToFirstStep = (Date.now() - run.job.startedAt) / 1000;
}

/** A value as the store keeps it, at the step that was taken last; `epoch` is fractional inside an epoch. */
export function pointOf(run: TrainingRun, key: string, value: number, stage = ""): MetricPoint {
  const { epoch, stepInEpoch, step } = run.state;
  return { epoch: epoch + stepInEpoch / run.stepsPerEpoch, step, key, stage, value, standardError: null };
}

/** Stores what was measured; resolves when it is. */
export async function record({ hooks }: TrainingRun, points: MetricPoint[]): Promise<void> {
  await hooks.emit({ type: "metrics", points });
}

/** `in epoch 3, step 12`: the last step that was taken. */
export function afterStep({ state: { epoch, stepInEpoch } }: TrainingRun): string {
  return stepInEpoch === 0 ? "before the first step" : `in epoch ${epoch + 1}, step ${stepInEpoch}`;
}

/** What a message of a number that is none ends with. */
export function divergenceHint(run: TrainingRun): string {
  return `(learning rate ${learningRateOf(run)}); where training diverges, a smaller optimizer.learningRate helps`;
}

/** The sums of an epoch that has not begun. */
export function emptyRunning(): TrainingState["running"] {
  return { seen: 0, correct: 0, loss: 0, localLosses: {}, seconds: 0 };
}
