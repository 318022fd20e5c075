// What the training process and the workers that hold its modules say to each other, as plain data. Tensors of a batch lie
// in memory that both see, and only their places are told; weights, which travel once an epoch, are told themselves.
import { type DType, type Tensor, tensor } from "@stopgrad/torch";
import type { ModuleRange, PackedTensor, SlotRegion } from "../rules/parallel/index.js";
import type { ModuleMemory } from "../store/records.js";
import type { ImageKind } from "./create-rule.js";
import type { RunSettings } from "./run-settings.js";

/** Number of the shared memory's descriptor in a worker, after standard input, output, errors and the channel. */
export const MEMORY_DESCRIPTOR = 4;

/** What a worker is made of. */
export interface WorkerSetup {
  readonly settings: RunSettings;
  readonly images: ImageKind;
  readonly normalisation: { readonly scale: SentTensor; readonly shift: SentTensor };
  readonly range: ModuleRange;
  /** Bytes of the shared memory, and the slots of it that what this worker gives goes into; none for the last one. */
  readonly memoryBytes: number;
  readonly outputs: readonly { readonly slot: number; readonly region: SlotRegion }[];
}

/** A batch in front of a worker, in a slot that is its own until it is done with it. */
export interface SentBatch {
  /** Number of the batch, from 0. */
  readonly at: number;
  readonly slot: number;
  readonly tensors: readonly PackedTensor[];
  readonly learningRate: number;
  /** Whether multiply-adds are counted, and memory is watched. */
  readonly isCounted: boolean;
  readonly isWatched: boolean;
}

export type ToWorker =
  | { type: "setup"; setup: WorkerSetup }
  | { type: "load"; state: SentState }
  | { type: "batch"; batch: SentBatch }
  /** The next worker is done with a slot. */
  | { type: "free"; slot: number }
  | { type: "gather" };

export type FromWorker =
  | { type: "ready" }
  /** For the next worker. */
  | { type: "passed"; batch: SentBatch }
  /** A step is over, and the slot of its batch free. */
  | { type: "done"; at: number; slot: number; step: WorkerStep }
  | { type: "gathered"; state: SentState; report: WorkerReport }
  | { type: "failed"; message: string };

/** What a worker found in a step. */
export interface WorkerStep {
  readonly losses: readonly { readonly module: string; readonly loss: number }[];
  readonly correct: number | null;
  /** Forward and backward, of the whole batch; null unless asked. */
  readonly multiplyAdds: number | null;
  readonly memory: readonly ModuleMemory[] | null;
}

/** What a worker's process has needed. */
export interface WorkerReport {
  /** Most bytes of tensors since it began, without the shared memory. */
  readonly peakBytes: number;
  /** Of gradients, now. */
  readonly gradientBytes: number;
  /** Spent on steps since training began, the rest is waiting; and processor time of all its threads in that while. */
  readonly busySeconds: number;
  readonly processorSeconds: number;
}

/** Elements in row-major order. */
export interface SentTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly values: ReturnType<Tensor["toTypedArray"]>;
}

export type SentState = ReadonlyMap<string, SentTensor>;

export function sent(one: Tensor): SentTensor {
  return { dtype: one.dtype, shape: [...one.shape], values: one.toTypedArray() };
}

/** The same bits again. */
export function received({ dtype, shape, values }: SentTensor): Tensor {
  return tensor(values, { dtype, shape });
}

export function sentState(state: ReadonlyMap<string, Tensor>): SentState {
  return new Map(Array.from(state, ([name, one]) => [name, sent(one)]));
}

export function receivedState(state: SentState): Map<string, Tensor> {
  return new Map(Array.from(state, ([name, one]) => [name, received(one)]));
}
