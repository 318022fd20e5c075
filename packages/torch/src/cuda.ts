// NVIDIA GPUs, where libtorch has CUDA: devices, their memory, streams, and graphs of recorded work. Tensors and modules
// get there with `to({ device: "cuda" })`; what an operator does on a device needs nothing from here.
//
// Without CUDA every function but `isAvailable`, `deviceCount` and `whyUnavailable` throws a TorchError that names what
// is missing.
import { refusePromise, TorchError } from "./errors.js";
import { type CudaNative, type DType, type Handle, native } from "./native.js";
import { operator } from "./operator.js";
import { Generator } from "./random.js";
import { keep, scope, tensorsIn } from "./scope.js";
import type { Tensor } from "./tensor.js";

/** Whether tensors can be put on a GPU here. */
export function isAvailable(): boolean {
  return deviceCount() > 0;
}

/** GPUs that libtorch can use; 0 without CUDA. */
export function deviceCount(): number {
  return native().cuda?.deviceCount() ?? 0;
}

/**
 * Why `device` cannot be used, one sentence without a full stop; null when it can.
 * @param device - `cuda` (the first one), or `cuda:0` and so on; another name is refused too
 */
export function whyUnavailable(device = "cuda"): string | null {
  const index = indexIn(device);
  if (index === null) return "its name is none of a CUDA device, which is cuda, or cuda:0 and so on";
  const { cuda, cudaSupport } = native();
  const libtorch = `libtorch ${native().version()}`;
  if (!cuda) {
    return cudaSupport === "no headers"
      ? `${libtorch} has CUDA, but the addon was built without CUDA's headers (npm run setup says how to get them)`
      : `${libtorch} is built without CUDA (with STOPGRAD_LIBTORCH, npm run setup takes one that has it)`;
  }
  const count = cuda.deviceCount();
  if (count === 0) return `${libtorch} has CUDA, but there is no device: ${cuda.problem() ?? "none was found"}`;
  if (index < count) return null;
  return count === 1 ? "there is one device, cuda:0" : `there are ${count} devices, cuda:0 to cuda:${count - 1}`;
}

/** What a GPU is. */
export interface DeviceProperties {
  /** Such as `NVIDIA H200`. */
  readonly name: string;
  /** Memory in bytes. */
  readonly totalBytes: number;
  /** Compute capability, such as `[9, 0]`. */
  readonly capability: readonly [major: number, minor: number];
  /** Parts that compute side by side, 132 on an H200. */
  readonly multiprocessors: number;
}

/** A GPU's name, memory and capability. @param device - `cuda`, `cuda:1` */
export function deviceProperties(device = "cuda"): DeviceProperties {
  return propertiesOf("deviceProperties", device);
}

function propertiesOf(where: string, device: string): DeviceProperties {
  const { cuda, index } = find(where, device);
  const { major, minor, ...rest } = cuda.properties(index);
  return { ...rest, capability: [major, minor] };
}

/** A GPU's name, such as `NVIDIA H200`. */
export function deviceName(device = "cuda"): string {
  return propertiesOf("deviceName", device).name;
}

/** Waits until everything that was started on the device is done. Operators only start work; reading a value waits. */
export function synchronize(device = "cuda"): void {
  const { cuda, index } = find("synchronize", device);
  cuda.synchronize(index);
}

/**
 * Whether cuDNN takes only kernels that give the same bits each time, as `torch.backends.cudnn.deterministic`; for the
 * whole process, at first not. Some operators' gradients on a GPU (of `scatterAdd_`, `indexAdd_`, adaptive pooling to more
 * than one place) stay other than that.
 */
export function setDeterministic(deterministic: boolean): void {
  find("setDeterministic", "cuda").cuda.setDeterministic(deterministic);
}

/** Bytes on a GPU, as libtorch's caching allocator counts them: blocks rounded up to 512 bytes, captured graphs too. */
export interface CudaMemory {
  /** Of live tensors. */
  readonly allocatedBytes: number;
  /** The most `allocatedBytes` has been since `resetPeakBytes`. */
  readonly peakAllocatedBytes: number;
  /** Taken from the device: live tensors and blocks kept for reuse. */
  readonly reservedBytes: number;
  /** The most `reservedBytes` has been since `resetPeakBytes`. */
  readonly peakReservedBytes: number;
  /** What the device has left, for every program together. */
  readonly freeBytes: number;
  /** What the device has. */
  readonly totalBytes: number;
}

/** Memory in use on a device. */
export function memory(device = "cuda"): CudaMemory {
  const { cuda, index } = find("memory", device);
  return cuda.memory(index);
}

/** Starts new peaks at the bytes that are in use now. */
export function resetPeakBytes(device = "cuda"): void {
  const { cuda, index } = find("resetPeakBytes", device);
  cuda.resetPeakBytes(index);
}

/**
 * A tensor of the CPU in page-locked memory, from which a copy to a GPU (`to` with `nonBlocking`) runs beside other work;
 * its values are whatever was there. `Tensor.pinMemory` brings values along.
 */
export function emptyPinned(shape: readonly number[], dtype: DType): Tensor {
  find("emptyPinned", "cuda");
  return emptyOf(shape, dtype, null, "cpu", true);
}

const emptyOf = operator<[readonly number[], DType, null, string, boolean], Tensor>(
  "aten::empty.memory_format",
  "size dtype layout device pin_memory",
);

/** Gives the blocks that were kept for reuse back, on every device. */
export function emptyCache(): void {
  find("emptyCache", "cuda").cuda.emptyCache();
}

const defaults = new Map<number, Generator>();

/** The generator that operators on a device use when none is given. */
export function defaultGenerator(device = "cuda"): Generator {
  const { cuda, index } = find("defaultGenerator", device);
  let generator = defaults.get(index);
  if (!generator) {
    generator = new Generator(0, cuda.defaultGenerator(index));
    defaults.set(index, generator);
  }
  return generator;
}

/** Seeds the default generator of every device, as `torch.cuda.manual_seed_all`. */
export function manualSeed(seed: number): void {
  const { cuda } = find("manualSeed", "cuda");
  for (let index = 0; index < cuda.deviceCount(); index++) defaultGenerator(`cuda:${index}`).manualSeed(seed);
}

/**
 * A queue of work on a device: what is queued on one runs in order, two run side by side. Each device has one to begin
 * with, which everything goes to outside of `run`. libtorch has 32 a device and hands them out in turn, so that they need
 * not be freed.
 */
export class Stream {
  /** `cuda:0` and so on. */
  readonly device: string;
  readonly #number: number;
  readonly #cuda: CudaNative;

  /** @param options.priority - true: runs before streams without it; default false */
  constructor(device = "cuda", options: { priority?: boolean } = {}) {
    const { cuda, index } = find("Stream", device);
    this.device = `cuda:${index}`;
    this.#cuda = cuda;
    this.#number = cuda.newStream(index, options.priority ?? false);
  }

  /** Runs `body` with this as the stream that its work goes to. @throws TorchError when `body` returns a promise */
  run<R>(body: () => R): R {
    return this.#cuda.onStream(this.#number, () => {
      const result = body();
      refusePromise("Stream.run", result);
      return result;
    });
  }

  /** What is queued here from now on starts after what the device's current stream has been given until now. */
  waitForCurrent(): void {
    this.#cuda.waitForStream(this.#number, this.#current());
  }

  /**
   * What the device's current stream is given from now on starts after what is queued here now. `tensors` were made
   * here and are used there: their memory is not reused before that is done.
   */
  joinCurrent(tensors: readonly Tensor[] = []): void {
    const current = this.#current();
    this.#cuda.waitForStream(current, this.#number);
    for (const tensor of tensors) this.#cuda.recordStream(tensor.handle, current);
  }

  /** Waits until everything queued here is done. */
  synchronize(): void {
    this.#cuda.synchronizeStream(this.#number);
  }

  #current(): number {
    return this.#cuda.currentStream(find("Stream", this.device).index);
  }
}

/** How work is recorded. */
export interface GraphOptions {
  /** Default `cuda`. */
  device?: string;
  /** Runs of `body` before it is captured, in which libraries choose their kernels; default 3; 0 where it has run. */
  warmUps?: number;
  /** Generators of the device that `body` draws from besides the default one: they go on at each replay. */
  generators?: readonly Generator[];
}

const collected = new FinalizationRegistry<Handle>((handle) => native().cuda?.releaseGraph(handle));

/** Recorded work that is run again as a whole: one launch instead of one for each kernel. */
export class Graph<R> {
  #handle: Handle | null;
  readonly #cuda: CudaNative;

  /** @internal */
  constructor(
    cuda: CudaNative,
    handle: Handle,
    /** What `body` returned. Each replay writes new values into its tensors. */
    readonly result: R,
  ) {
    this.#cuda = cuda;
    this.#handle = handle;
    collected.register(this, handle, this);
  }

  /** Runs the recorded work once more, on the same memory. Only starts it: reading a result waits. */
  replay(): void {
    if (this.#handle === null) throw new TorchError("Graph.replay: expected a graph, got a disposed one");
    this.#cuda.replayGraph(this.#handle);
  }

  /** Frees the graph and the tensors of its result. */
  dispose(): void {
    if (this.#handle === null) return;
    for (const tensor of tensorsIn(this.result)) tensor.dispose();
    collected.unregister(this);
    this.#cuda.releaseGraph(this.#handle);
    this.#handle = null;
  }

  /** As `dispose`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/**
 * Records what `body` does on a device, to be run again with `replay()`: as `torch.cuda.graph`. `body` runs `warmUps`
 * times before, on a stream of its own, and what it changes (parameters, running statistics, generators) changes each
 * time; the capture itself changes nothing, since it only records.
 *
 * A replay reads and writes the same memory. So `body` reads inputs that are written in place between replays, reads no
 * value back (no `item`, no `toNumbers`), takes the same path whatever its values are, and takes no optimizer step, whose
 * counts would stand still. Gradients that are dropped before are made inside, and are the same tensors from then on.
 *
 * @returns the graph; `result` is what `body` returned, with the values of no run until the first replay
 * @throws TorchError when something in `body` cannot be recorded
 */
export function graph<R>(body: () => R, options: GraphOptions = {}): Graph<R> {
  if (typeof body !== "function") throw new TorchError(`cuda.graph: expected a function, got ${typeof body}`);
  const { device = "cuda", warmUps = 3, generators = [] } = options;
  const { cuda, index } = find("graph", device);
  if (!Number.isInteger(warmUps) || warmUps < 0) {
    throw new TorchError(`cuda.graph: expected warmUps of at least 0, got ${String(warmUps)}`);
  }
  if (warmUps > 0) {
    const side = new Stream(device);
    side.waitForCurrent();
    side.run(() => {
      for (let run = 0; run < warmUps; run++) scope(() => void body());
    });
    side.joinCurrent();
  }
  const handles = generators.map((generator) => generator.handle);
  let result: R | undefined;
  let handle: Handle;
  try {
    handle = cuda.captureGraph(index, handles, () => {
      result = scope(body);
      for (const tensor of tensorsIn(result)) keep(tensor);
    });
  } catch (error) {
    for (const tensor of tensorsIn(result)) tensor.dispose();
    throw error;
  }
  return new Graph(cuda, handle, result as R);
}

/** The native side and a device's number. @throws TorchError saying why there is none */
function find(where: string, device: string): { cuda: CudaNative; index: number } {
  const reason = whyUnavailable(device);
  if (reason !== null) throw new TorchError(`cuda.${where}: ${String(device)} cannot be used, because ${reason}`);
  return { cuda: native().cuda!, index: indexIn(device)! };
}

/** 1 of `cuda:1`, 0 of `cuda`; null for another name. */
function indexIn(device: unknown): number | null {
  const found = typeof device === "string" ? /^cuda(?::(\d{1,3}))?$/.exec(device) : null;
  return found && Number(found[1] ?? 0);
}
