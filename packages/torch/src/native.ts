// The only file that loads the addon, and only at its first use: importing this package costs nothing and needs no
// libtorch, so that settings can be checked and reports written without one.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { TorchError } from "./errors.js";

/** Names a live native tensor or generator; see native/README.md. */
export type Handle = number;

/** Element types, under PyTorch's names. */
export type DType =
  | "float32"
  | "float64"
  | "float16"
  | "bfloat16"
  | "int64"
  | "int32"
  | "int16"
  | "int8"
  | "uint8"
  | "bool";

/** What the addon exports. Internal: the rest of the package is its typed face. */
export interface Native {
  setErrorClass(errorClass: typeof TorchError): void;
  version(): string;
  configuration(): string;
  cudaDevices(): number;
  threads(): number;
  setThreads(threads: number): void;
  setBlasThreads(threads: number): void;

  fromBytes(bytes: NodeJS.TypedArray, dtype: DType, shape: readonly number[]): Handle;
  toBytes(tensor: Handle): ArrayBuffer;
  item(tensor: Handle): number | boolean;
  shape(tensor: Handle): number[];
  strides(tensor: Handle): number[];
  dtype(tensor: Handle): DType;
  device(tensor: Handle): string;
  isContiguous(tensor: Handle, format?: string): boolean;
  storageOffset(tensor: Handle): number;
  sharesStorage(tensor: Handle, other: Handle): boolean;
  isLive(tensor: Handle): boolean;
  release(tensors: Handle | readonly Handle[]): void;
  liveTensors(): number;

  findOperator(
    name: string,
    overload: string,
  ): { index: number; arguments: string[]; results: ("tensor" | "tensors" | "value")[] };
  call(index: number, ...args: unknown[]): unknown;

  backward(
    tensor: Handle,
    gradient: readonly Handle[] | null,
    retainGraph: boolean,
    createGraph: boolean,
    inputs: readonly Handle[] | null,
  ): void;
  gradients(
    outputs: readonly Handle[],
    inputs: readonly Handle[],
    gradOutputs: readonly Handle[] | null,
    retainGraph: boolean,
    createGraph: boolean,
    allowUnused: boolean,
  ): (Handle | null)[];
  detectAnomaly<R>(body: () => R): R;
  gradEnabled(): boolean;
  setGradEnabled(enabled: boolean): void;
  requiresGrad(tensor: Handle): boolean;
  setRequiresGrad(tensor: Handle, requiresGrad: boolean): void;
  isLeaf(tensor: Handle): boolean;
  retainGrad(tensor: Handle): void;
  grad(tensor: Handle): Handle | null;
  setGrad(tensor: Handle, gradient: Handle | null): void;

  autocast<R>(device: string, dtype: DType, enabled: boolean, cache: boolean, body: () => R): R;
  autocastType(device: string): "bfloat16" | "float16" | null;

  forwardLevel<R>(body: () => R): R;
  makeDual(primal: Handle, tangent: Handle): Handle;
  unpackDual(tensor: Handle): [primal: Handle, tangent: Handle | null];

  memory(): { liveBytes: number; peakBytes: number; cachedBytes: number };
  resetPeakBytes(): void;
  emptyCache(): void;
  setCacheLimit(bytes: number): void;

  generator(seed: number, cudaDevice?: number | null): Handle;
  generatorDevice(generator: Handle): string;
  defaultGenerator(): Handle;
  seedGenerator(generator: Handle, seed: number): void;
  generatorState(generator: Handle): Handle;
  setGeneratorState(generator: Handle, state: Handle): void;
  releaseGenerator(generator: Handle): void;

  adamStep(
    parameters: readonly Handle[],
    means: readonly Handle[],
    squares: readonly Handle[],
    largest: readonly Handle[],
    steps: Float64Array,
    learningRate: number,
    beta1: number,
    beta2: number,
    epsilon: number,
    weightDecay: number,
    decoupled: boolean,
    maximize: boolean,
  ): void;
  sgdStep(
    parameters: readonly Handle[],
    buffers: readonly Handle[],
    steps: Float64Array,
    learningRate: number,
    momentum: number,
    dampening: number,
    weightDecay: number,
    nesterov: boolean,
    maximize: boolean,
  ): void;
  rmspropStep(
    parameters: readonly Handle[],
    squares: readonly Handle[],
    averages: readonly Handle[],
    buffers: readonly Handle[],
    steps: Float64Array,
    learningRate: number,
    alpha: number,
    epsilon: number,
    weightDecay: number,
    momentum: number,
    maximize: boolean,
  ): void;
  adagradStep(
    parameters: readonly Handle[],
    sums: readonly Handle[],
    steps: Float64Array,
    learningRate: number,
    learningRateDecay: number,
    weightDecay: number,
    epsilon: number,
    maximize: boolean,
  ): void;
  clipGradNorm(parameters: readonly Handle[], maxNorm: number, order: number, errorIfNotFinite: boolean): number;
  clipGradValue(parameters: readonly Handle[], value: number): void;
  zeroGrad(parameters: readonly Handle[], setToNone?: boolean): void;

  /** `built`, or why the addon knows nothing of CUDA: libtorch has none, or CUDA's headers were not found. */
  cudaSupport: "built" | "no libtorch" | "no headers";
  /** Only where it is built. */
  cuda?: CudaNative;
}

/** What the addon exports about CUDA, in an addon that is built with it. Devices and streams are numbers. Internal. */
export interface CudaNative {
  problem(): string | null;
  deviceCount(): number;
  currentDevice(): number;
  properties(device: number): {
    name: string;
    totalBytes: number;
    major: number;
    minor: number;
    multiprocessors: number;
  };
  synchronize(device: number): void;
  setDeterministic(deterministic: boolean): void;

  memory(device: number): {
    allocatedBytes: number;
    peakAllocatedBytes: number;
    reservedBytes: number;
    peakReservedBytes: number;
    freeBytes: number;
    totalBytes: number;
  };
  resetPeakBytes(device: number): void;
  emptyCache(): void;

  defaultGenerator(device: number): Handle;

  currentStream(device: number): number;
  newStream(device: number, priority: boolean): number;
  onStream<R>(stream: number, body: () => R): R;
  waitForStream(stream: number, other: number): void;
  synchronizeStream(stream: number): void;
  recordStream(tensor: Handle, stream: number): void;

  captureGraph(device: number, generators: readonly Handle[], body: () => void): Handle;
  replayGraph(graph: Handle): void;
  releaseGraph(graph: Handle): void;
}

/** Folder of the built addon; `STOPGRAD_BUILD` names another one, such as the sanitizer's. */
export function buildFolder(): string {
  return process.env.STOPGRAD_BUILD ?? fileURLToPath(new URL("../build", import.meta.url));
}

let loaded: Native | undefined;

/** The addon, loaded at the first call. @throws TorchError when it is not built or libtorch cannot be loaded */
export function native(): Native {
  loaded ??= load();
  return loaded;
}

function load(): Native {
  const file = join(buildFolder(), "stopgrad_torch.node");
  if (!existsSync(file))
    throw new TorchError(`the native addon is not built: run "npm run setup" (looked for ${file})`);
  let addon: Native;
  try {
    addon = createRequire(import.meta.url)(file) as Native;
  } catch (error) {
    const reason = error instanceof Error ? error.message.split("\n")[0] : String(error);
    throw new TorchError(`libtorch cannot be loaded: ${reason}; run "npm run setup" to find or install it`);
  }
  addon.setErrorClass(TorchError);
  return addon;
}
