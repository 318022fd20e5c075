// What a training worker and its parent say to each other, as plain data.
import type { MetricPoint, RunEnvironment, RunSummary } from "../store/records.js";
import type { RunSettings } from "./run-settings.js";

/** What a worker is given. */
export interface TrainingJob {
  settings: RunSettings;
  /** Folder of this run, for checkpoints. */
  directory: string;
  /** Where data sets are looked for, in order. */
  dataDirs: readonly string[];
  /** Go on from the newest checkpoint, if there is one. */
  resume: boolean;
  /** Where `settings.retrain` takes its weights from: a checkpoint, or why there is none. Null without it. */
  retrainFrom: { path: string } | { problem: string } | null;
  /** When the process began that was asked for this run, in milliseconds since 1970. */
  startedAt: number;
}

/** A measure that cannot be computed of some stages. */
export interface MeasureProblem {
  measure: string;
  stages: string[];
  /** Why not of the first of them. */
  reason: string;
}

export type TrainingEvent =
  /** Before the run starts, where its images are decoded for the first time. */
  | { type: "preparing"; done: number; total: number }
  | { type: "started"; environment: RunEnvironment; epochs: number; totalSteps: number; step: number }
  | {
      type: "progress";
      epoch: number;
      epochs: number;
      step: number;
      totalSteps: number;
      imagesPerSecond: number;
      loss: number;
    }
  /** Before a measure, or the test accuracy, is taken: the `number`th of `of`. `epoch` as in the metrics that follow. */
  | { type: "measuring"; measure: string; epoch: number; number: number; of: number }
  | { type: "metrics"; points: MetricPoint[] }
  /** `problem`: where it is of a measure, what the message is made of. */
  | { type: "warning"; message: string; problem?: MeasureProblem }
  | { type: "interrupted"; epoch: number; step: number }
  | { type: "completed"; summary: RunSummary }
  | { type: "failed"; message: string };

/** From the worker: an event with a number, which the parent answers once it has stored what it must. */
export interface WorkerMessage {
  id: number;
  event: TrainingEvent;
}

/** To the worker. That it should stop is said on another line (lifeline.ts), which is heard while it computes. */
export type ParentMessage = { type: "job"; job: TrainingJob } | { type: "ack"; id: number };
