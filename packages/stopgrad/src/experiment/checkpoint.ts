// Checkpoints: everything a run needs to go on as if it had never stopped, in one safetensors file.
//
// A file is written beside its final name, flushed and renamed, so that a name always holds a whole file. Checksums of
// its header and of its data are verified when it is read. The newest two are kept: if the newest turns out damaged,
// it is set aside and the one before it serves. A process that was killed while it wrote leaves a temporary file, which
// the next process to train the run removes.
//
// Weights of chosen epochs are kept beside them for measures (`checkpoint.keep`), without optimizer and generators: under
// names of their own, so that no newer checkpoint takes their place.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import {
  FileFormatError,
  loadSafetensors,
  safetensorsHeader,
  saveSafetensors,
  scope,
  type Tensor,
} from "@stopgrad/torch";
import { makeFolder } from "../folders.js";
import type { ModuleMemory, StageSummary } from "../store/records.js";
import type { CheckpointSettings } from "./run-settings.js";

/** Memory of one late step of each phase so far, in bytes. */
export interface WatchedMemory {
  /** The last phase that was watched, from 0. */
  readonly phase: number;
  /** Of all of these phases, in their order. */
  readonly modules: readonly ModuleMemory[];
  /** Of trained parameters, in the phase that has most. */
  readonly gradients: number;
}

/** Where a run stands, beside its tensors. */
export interface TrainingState {
  /** Whole epochs done, measured and recorded. */
  epoch: number;
  /** Steps done in the epoch after those; all of them, while what follows an epoch is measured. */
  stepInEpoch: number;
  /** Optimizer steps done in all. */
  step: number;
  /** Sum over epochs of their first steps' multiply-adds for one image, forward and backward. */
  trainingMultiplyAdds: number;
  /** Training time so far, without evaluation and measuring. */
  seconds: number;
  /** Images trained on so far. */
  images: number;
  peakBytes: number;
  /** What watched steps stored; null before the first of them. Absent in old ones. */
  memory?: WatchedMemory | null;
  /** Sums over the epoch in progress. */
  running: { seen: number; correct: number | null; loss: number; localLosses: Record<string, number>; seconds: number };
  trainAccuracy: number;
  testAccuracy: number;
  /** Latest value of each stage's measures. */
  stages: StageSummary[];
}

const KEPT = 2;
const NAME = /^step-(\d{9})\.safetensors$/;
const KEPT_NAME = /^epoch-(\d{6})\.safetensors$/;

const folder = (runDirectory: string) => join(runDirectory, "checkpoints");

/** Steps of the checkpoints there are, newest first. */
export function checkpointSteps(runDirectory: string): number[] {
  if (!existsSync(folder(runDirectory))) return [];
  const steps = readdirSync(folder(runDirectory)).flatMap((name) => {
    const match = NAME.exec(name);
    return match ? [Number(match[1])] : [];
  });
  return steps.sort((a, b) => b - a);
}

function pathOf(runDirectory: string, step: number): string {
  return join(folder(runDirectory), `step-${String(step).padStart(9, "0")}.safetensors`);
}

/** The newest checkpoint's file, or null. */
export function newestCheckpoint(runDirectory: string): string | null {
  const [newest] = checkpointSteps(runDirectory);
  return newest === undefined ? null : pathOf(runDirectory, newest);
}

/**
 * Writes a checkpoint and drops those before the newest two.
 * @param identity - the run's settings hash: a checkpoint of other settings is never resumed
 */
export function saveCheckpoint(
  runDirectory: string,
  tensors: ReadonlyMap<string, Tensor>,
  state: TrainingState,
  identity: string,
): string {
  const path = pathOf(runDirectory, state.step);
  write(path, tensors, state, identity);
  for (const step of checkpointSteps(runDirectory).slice(KEPT)) rmSync(pathOf(runDirectory, step), { force: true });
  return path;
}

/** Whether `checkpoint.keep` asks for the weights after `epoch` whole epochs, 0 before the first. */
export function keepsEpoch(keep: CheckpointSettings["keep"], epoch: number): boolean {
  return typeof keep === "object" ? keep.includes(epoch) : keep === "all";
}

/** Name of the file that has the weights of an epoch that was kept. */
export const keptName = (epoch: number) => `epoch-${String(epoch).padStart(6, "0")}.safetensors`;

/**
 * Keeps the weights at the end of an epoch, or before the first, for good.
 * @param tensors - of a state as for a checkpoint; only the networks' own are written
 */
export function keepWeights(
  runDirectory: string,
  tensors: ReadonlyMap<string, Tensor>,
  state: TrainingState,
  identity: string,
): string {
  const path = join(folder(runDirectory), keptName(state.epoch));
  const weights = new Map([...tensors].filter(([name]) => /^(backbone|heads|contexts)\./.test(name)));
  write(path, weights, state, identity);
  return path;
}

/** A file with the weights of a run. */
export interface SavedWeights {
  /** Whole epochs trained; a fraction for a checkpoint inside one. */
  readonly epoch: number;
  readonly path: string;
}

/**
 * The weights there are of a run, those that were kept and those of its checkpoints, in the order of training. A checkpoint
 * with a damaged header is listed where its steps belong: who reads it is told, others need not be.
 * @param stepsPerEpoch - asked only where a checkpoint lies inside an epoch, or does not say where
 * @throws FileFormatError when a checkpoint cannot be read for a reason that is not in the file
 */
export function savedWeights(runDirectory: string, stepsPerEpoch: () => number): SavedWeights[] {
  const byEpoch = new Map<number, SavedWeights>();
  for (const step of checkpointSteps(runDirectory)) {
    const path = pathOf(runDirectory, step);
    const epoch = epochIn(path, stepsPerEpoch) ?? step / stepsPerEpoch();
    if (!byEpoch.has(epoch)) byEpoch.set(epoch, { epoch, path });
  }
  for (const name of existsSync(folder(runDirectory)) ? readdirSync(folder(runDirectory)) : []) {
    const match = KEPT_NAME.exec(name);
    if (match) byEpoch.set(Number(match[1]), { epoch: Number(match[1]), path: join(folder(runDirectory), name) });
  }
  return [...byEpoch.values()].sort((a, b) => a.epoch - b.epoch);
}

/** Epochs trained, as a checkpoint's header says; null where that is damaged. */
function epochIn(path: string, stepsPerEpoch: () => number): number | null {
  try {
    const { epoch, stepInEpoch } = stateIn(path, safetensorsHeader(path).metadata);
    return stepInEpoch === 0 ? epoch : epoch + stepInEpoch / stepsPerEpoch();
  } catch (error) {
    if (error instanceof FileFormatError && isInTheFile(error)) return null;
    throw error;
  }
}

/** Writes tensors with where the run stands and checksums. */
function write(path: string, tensors: ReadonlyMap<string, Tensor>, state: TrainingState, identity: string): void {
  makeFolder(dirname(path));
  const text = JSON.stringify(state);
  const metadata = {
    "stopgrad.state": text,
    "stopgrad.run": identity,
    "stopgrad.header": headerDigest(text, identity, tensors),
  };
  saveSafetensors(path, tensors, metadata, { checksum: true });
}

/** SHA-256 of what the header says, which the checksum of the data does not cover. */
function headerDigest(state: string, identity: string, tensors: ReadonlyMap<string, Tensor>): string {
  const described = Array.from(tensors, ([name, { dtype, shape }]) => [name, dtype, [...shape]] as const);
  described.sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256")
    .update(JSON.stringify([state, identity, described]))
    .digest("hex");
}

/** Removes what a process that was killed while it wrote has left. Only for the process that owns the run. */
export function removeUnfinished(runDirectory: string): void {
  if (!existsSync(folder(runDirectory))) return;
  for (const name of readdirSync(folder(runDirectory))) {
    if (name.endsWith(".tmp")) rmSync(join(folder(runDirectory), name), { force: true });
  }
}

/**
 * Goes back to the newest checkpoint that is whole and fits. Those that are not are set aside under another name, so
 * that they do not count among the newest.
 *
 * @param use - takes the tensors over (they are freed afterwards); throwing, it refuses them, and has changed nothing
 * @param warn - told of each checkpoint that was passed over
 * @returns false when there is no checkpoint to go on from
 * @throws FileFormatError when a file cannot be read for a reason that is not in the file: no permission, a failing
 * disk, no memory. Its content may be right, so nothing is passed over
 */
export function restoreCheckpoint(
  runDirectory: string,
  identity: string,
  use: (tensors: ReadonlyMap<string, Tensor>, state: TrainingState) => void,
  warn: (message: string) => void,
): boolean {
  for (const step of checkpointSteps(runDirectory)) {
    const path = pathOf(runDirectory, step);
    try {
      scope(() => {
        const { tensors, state } = readCheckpoint(path, identity);
        use(tensors, state);
      });
      return true;
    } catch (error) {
      if (!isInTheFile(error)) throw error;
      const { message } = error as Error;
      const why = message.includes(path) ? message : `${path}: ${message}`;
      warn(`passed over a checkpoint: ${why} (${setAside(path)})`);
    }
  }
  return false;
}

/**
 * The tensors of a checkpoint, or of weights that were kept, and where the run stood.
 * @param identity - of the run it has to be of
 * @throws FileFormatError when it cannot be read, is damaged or is of another run
 */
export function readCheckpoint(path: string, identity: string): { tensors: Map<string, Tensor>; state: TrainingState } {
  const { tensors, metadata, sha256 } = loadSafetensors(path);
  const text = metadata["stopgrad.state"] ?? "";
  const run = metadata["stopgrad.run"] ?? "";
  if (sha256 === null || headerDigest(text, run, tensors) !== metadata["stopgrad.header"]) {
    throw new FileFormatError(path, "the checkpoint is damaged: its header does not match its checksum");
  }
  if (run !== identity) throw new FileFormatError(path, "the checkpoint of other settings");
  return { tensors, state: stateIn(path, metadata) };
}

/** Where a run stood, as the file's header says. */
function stateIn(path: string, metadata: Readonly<Record<string, string>>): TrainingState {
  try {
    return JSON.parse(metadata["stopgrad.state"] ?? "") as TrainingState;
  } catch {
    throw new FileFormatError(path, "this is no checkpoint of a run, or a damaged one: its header does not say where");
  }
}

/** Whether the content of the file is to blame, and not the system that should have read it. */
function isInTheFile(error: unknown): boolean {
  const { cause, message } = error as Error;
  return cause === undefined && !/alloc|out of memory/i.test(message);
}

/** Renames a checkpoint that cannot be used; says under which name it is now. */
function setAside(path: string): string {
  const aside = `${path}.damaged`;
  try {
    renameSync(path, aside);
    return `kept as ${basename(aside)}`;
  } catch (error) {
    return `it could not be renamed: ${(error as Error).message}`;
  }
}
