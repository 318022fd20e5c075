// What the store keeps, as plain data: the contract between experiment (writes), report and dashboard (read).
// Never imports torch, so that it also runs in a browser.

export type RunStatus = "running" | "completed" | "interrupted" | "failed";

/** Software and hardware of a run, enough to say why two results differ. */
export interface RunEnvironment {
  stopgrad: string;
  node: string;
  libtorch: string;
  /** For example `openblas`, `mkl`. */
  blas: string;
  threads: number;
  device: string;
  platform: string;
  cpu: string;
  /** Commit of the working tree, `-dirty` appended when changed, or null outside a repository. */
  commit: string | null;
}

/** One measured number. `epoch` is 0 at initialisation, fractional inside an epoch. */
export interface MetricPoint {
  epoch: number;
  /** Optimizer steps taken so far. */
  step: number;
  /**
   * `trainLoss`, `trainAccuracy`, `testLoss`, `testAccuracy`, `learningRate`, `seconds`, `imagesPerSecond`,
   * `peakBytes`; with a stage: `nhsicXZ`, `nhsicYZ`, `probeTrain`, `probeTest`; with a module: `localLoss`.
   */
  key: string;
  /** Stage or module name; "" for a number of the whole run. */
  stage: string;
  value: number;
  /** Standard error over mini-batches, where the measure is a mean over them. */
  standardError: number | null;
}

/** A stage (tap) at the end of a run; null where it was not measured. */
export interface StageSummary {
  name: string;
  /** Output shape without the batch, for example `[6, 14, 14]`. */
  shape: number[];
  nhsicXZ: number | null;
  nhsicYZ: number | null;
  probeTrain: number | null;
  probeTest: number | null;
}

/** What `stopgrad train --json` prints, beside the run's identity. Accuracies in [0, 1]. */
export interface RunSummary {
  epochs: number;
  /** Training time, without evaluation and measuring. */
  seconds: number;
  imagesPerSecond: number;
  /** Most bytes of live tensors during a training step. */
  peakBytes: number;
  trainAccuracy: number;
  testAccuracy: number;
  /** Trainable parameters of the backbone, and of heads beside it (not needed at inference). */
  parameters: { backbone: number; heads: number };
  stages: StageSummary[];
}

export interface RunRecord {
  id: string;
  /** Experiment name. */
  name: string;
  variant: string;
  seed: number;
  status: RunStatus;
  /** Every setting, defaults filled in. */
  settings: Record<string, unknown>;
  /** Hash of what decides the result: settings, names and seed; not where files lie. */
  settingsHash: string;
  /** The command that repeats this run. */
  command: string;
  environment: RunEnvironment | null;
  /** ISO 8601, UTC. */
  createdAt: string;
  finishedAt: string | null;
  /** Why it failed, one sentence. */
  error: string | null;
  summary: RunSummary | null;
}
