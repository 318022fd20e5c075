// What the store keeps, as plain data: the contract between experiment (writes), report and dashboard (read).
// Never imports torch, so that it also runs in a browser.

export type RunStatus = "running" | "completed" | "interrupted" | "failed";

/**
 * Software and hardware of a run, enough to say why two results differ. The machine's name is not among it: it explains
 * no result, and reports are passed on. What has a question mark is not in records of the first version.
 */
export interface RunEnvironment {
  stopgrad: string;
  node: string;
  libtorch: string;
  /** For example `openblas`, `mkl`. */
  blas: string;
  /** Of tensor operations. */
  threads: number;
  device: string;
  precision?: string;
  /** Kernel and processor family as Node names them: `linux x64`. */
  platform: string;
  /** The system in words: `Debian GNU/Linux 12 (bookworm), Linux 6.1.0`. */
  os?: string;
  cpu: string;
  /** Instruction sets that decide which kernels run, such as `avx2`, `avx512f`; empty where the system does not tell. */
  instructionSets?: string[];
  /** Processors this process may use, and memory of the machine. */
  processors?: number;
  memoryBytes?: number;
  /**
   * Commit of the repository around the folder the command was given in, `-dirty` appended when tracked files have
   * changed, `-unchecked` when git did not say in time; null outside a repository.
   */
  commit: string | null;
}

/** Where a run comes from: with `command`, what it takes to repeat it. */
export interface RunOrigin {
  /** Absolute path of the folder the command was given in; `command` repeats the run there. */
  folder: string;
  /** The command line as it was given (`stopgrad compare ...`), quoted for a shell; null when no command line began it. */
  given: string | null;
  /** The experiment file, as it was when the run began; null where there was none. */
  experiment: {
    /** As it was named on the command line. */
    file: string;
    /** SHA-256 of its bytes, lower-case hexadecimal. */
    hash: string;
    text: string;
  } | null;
}

/** One measured number. `epoch` is 0 at initialisation, fractional inside an epoch. */
export interface MetricPoint {
  epoch: number;
  /** Optimizer steps taken so far. */
  step: number;
  /**
   * `trainLoss`, `trainAccuracy`, `testLoss`, `testAccuracy`, `learningRate`, `seconds`, `imagesPerSecond`,
   * `peakBytes`; of a worker that trains some modules, its name as stage: `workerPeakBytes`, `workerBusySeconds`,
   * `workerProcessorSeconds`; with a stage: `nhsicXZ`, `nhsicYZ`, `probeTrain`, `probeTest`, `informationY`, `informationAccuracy`,
   * `reconstructionError`; with a module: `localLoss`.
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
  /** Lower bound on the information about the label, in nats; these three are absent where they were not measured. */
  informationY?: number | null;
  /** Test accuracy of the classifier behind that bound, in [0, 1]. */
  informationAccuracy?: number | null;
  /** Mean binary cross-entropy of a decoder's test images, in nats for each pixel and channel. */
  reconstructionError?: number | null;
  /** Every other measure by its key, for example `effectiveRank`; null where it could not be computed. */
  measures?: Readonly<Record<string, number | null>>;
}

/** Bytes of one gradient-isolated module in one training step. */
export interface ModuleMemory {
  module: string;
  /** Stored by its stages for their backward pass, its output included; with a loss that sends labels through, theirs too. */
  activations: number;
  /** Stored by its head and its loss, the nHSIC term included. */
  head: number;
  /** Stored by the networks that bring it context, and the combined feature. */
  context: number;
  /** Stored by the decoder and the reconstruction loss. */
  decoder: number;
  /** Most that was alive while it learned, beyond what was before: all of the above, and gradients on their way. */
  peak: number;
}

/** Where the memory of training goes, in bytes. */
export interface MemorySummary {
  /** Of the backbone; with its running statistics, as all below. */
  parameters: number;
  heads: number;
  contexts: number;
  gradients: number;
  optimizer: number;
  /** First to last; empty where the rule has no modules to tell apart. */
  modules: ModuleMemory[];
}

/** What `stopgrad train --json` prints, beside the run's identity. Accuracies in [0, 1]. */
export interface RunSummary {
  epochs: number;
  /** Training time, without evaluation and measuring. */
  seconds: number;
  imagesPerSecond: number;
  /** Most bytes of live tensors during a training step; where modules learn in processes of their own, the largest one's. */
  peakBytes: number;
  trainAccuracy: number;
  testAccuracy: number;
  /**
   * From the start of the command to the end of the first optimizer step, with evaluation and measures before it; null
   * where another process took that step. Not in records of the first version.
   */
  secondsToFirstStep?: number | null;
  /** Trainable parameters of the backbone, and of heads beside it (not needed at inference). */
  parameters: {
    backbone: number;
    heads: number;
    /** Of networks that bring context, which inference needs; absent where there are none. */
    contexts?: number;
  };
  /** Not in records of the first version. */
  memory?: MemorySummary | null;
  /** Context paths that were taken out of use, by module; absent where none were selected. */
  contexts?: { module: string; used: string[]; unused: string[] }[];
  /** Width that a network was given so that it costs what another one does; absent where none was asked for. */
  matchedWidth?: number;
  /**
   * Multiply-adds for one image, of convolutions and matrix products. Inference: what evaluation computes, with the
   * classifier; extras are what a rule adds to the backbone there. Training: forward and backward passes of a step,
   * heads included. Not in records of the first version.
   */
  cost?: { inference: { backbone: number; extras: number }; training: number } | null;
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
  /** Null in records of the first version. */
  origin?: RunOrigin | null;
  /** ISO 8601, UTC. */
  createdAt: string;
  finishedAt: string | null;
  /** Why it failed, one sentence. */
  error: string | null;
  summary: RunSummary | null;
}
