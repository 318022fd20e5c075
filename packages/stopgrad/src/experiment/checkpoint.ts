// Checkpoints: everything a run needs to go on as if it had never stopped, in one safetensors file.
//
// A file is written beside its final name, flushed and renamed, so that a name always holds a whole file; its checksum
// is verified when it is read. The newest two are kept: if the newest turns out damaged, the one before it serves. A
// process that was killed while it wrote leaves a temporary file, which the next checkpoint removes.
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { loadSafetensors, saveSafetensors, type Tensor } from "@stopgrad/torch";
import type { StageSummary } from "../store/records.js";

/** Where a run stands, beside its tensors. */
export interface TrainingState {
  /** Whole epochs done. */
  epoch: number;
  /** Steps done in the epoch after those. */
  stepInEpoch: number;
  /** Optimizer steps done in all. */
  step: number;
  /** Training time so far, without evaluation and measuring. */
  seconds: number;
  /** Images trained on so far. */
  images: number;
  peakBytes: number;
  /** Sums over the epoch in progress. */
  running: { seen: number; correct: number; loss: number; localLosses: Record<string, number> };
  trainAccuracy: number;
  testAccuracy: number;
  /** Latest value of each stage's measures. */
  stages: StageSummary[];
}

const KEPT = 2;
const NAME = /^step-(\d{9})\.safetensors$/;

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
  mkdirSync(folder(runDirectory), { recursive: true });
  const path = pathOf(runDirectory, state.step);
  saveSafetensors(
    path,
    tensors,
    { "stopgrad.state": JSON.stringify(state), "stopgrad.run": identity },
    { checksum: true },
  );
  for (const step of checkpointSteps(runDirectory).slice(KEPT)) rmSync(pathOf(runDirectory, step), { force: true });
  for (const name of readdirSync(folder(runDirectory))) {
    if (name.endsWith(".tmp")) rmSync(join(folder(runDirectory), name), { force: true });
  }
  return path;
}

export interface LoadedCheckpoint {
  tensors: Map<string, Tensor>;
  state: TrainingState;
  path: string;
}

/**
 * The newest checkpoint that is whole, or null when there is none.
 * @param warn - told of each damaged one that was passed over
 */
export function loadCheckpoint(
  runDirectory: string,
  identity: string,
  warn: (message: string) => void,
): LoadedCheckpoint | null {
  for (const step of checkpointSteps(runDirectory)) {
    const path = pathOf(runDirectory, step);
    try {
      const { tensors, metadata } = loadSafetensors(path);
      if (metadata["stopgrad.run"] !== identity) throw new Error(`${path}: the checkpoint of other settings`);
      return { tensors, state: JSON.parse(metadata["stopgrad.state"] ?? "") as TrainingState, path };
    } catch (error) {
      warn(`passed over a checkpoint: ${(error as Error).message}`);
    }
  }
  return null;
}
