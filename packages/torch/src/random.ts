// Seeded random generators. The numbers are PyTorch's: the same seed and the same calls give the same values.
import { TorchError } from "./errors.js";
import { type Handle, native } from "./native.js";
import { Tensor } from "./tensor.js";

const collected = new FinalizationRegistry<Handle>((handle) => native().releaseGenerator(handle));

/**
 * A source of random numbers with savable state, as `torch.Generator`: Mersenne Twister on the CPU, Philox on a GPU. An
 * operator takes one of its tensors' device.
 */
export class Generator {
  /** Internal: names the native generator. */
  readonly handle: Handle;

  /**
   * @param seed - integer from 0 to 2^53 - 1
   * @param device - `cpu`, or `cuda`, `cuda:1`; default `cpu`
   * @throws TorchError when the device is not there
   */
  constructor(seed: number, device?: string);
  /** @internal */
  constructor(seed: number, device: string | Handle);
  constructor(seed: number, device: string | Handle = "cpu") {
    this.handle = typeof device === "number" ? device : native().generator(seed, cudaIndexOf(device));
    collected.register(this, this.handle, this);
  }

  /** `cpu` or `cuda:0` and so on. */
  get device(): string {
    return native().generatorDevice(this.handle);
  }

  /** Starts again from `seed`, as `manual_seed`. Returns itself. */
  manualSeed(seed: number): this {
    native().seedGenerator(this.handle, seed);
    return this;
  }

  /** The whole state, uint8 `[S]`, to be saved and given to `setState`; PyTorch reads it too. */
  getState(): Tensor {
    return Tensor.fromHandle(native().generatorState(this.handle));
  }

  /** Goes on from a saved state. @throws TorchError when `state` is not one */
  setState(state: Tensor): void {
    native().setGeneratorState(this.handle, state.handle);
  }

  /** Frees it. Using it afterwards is an error. */
  dispose(): void {
    collected.unregister(this);
    native().releaseGenerator(this.handle);
  }

  /** As `dispose`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** 1 of `cuda:1`, 0 of `cuda`; null for `cpu`. */
function cudaIndexOf(device: string): number | null {
  if (device === "cpu") return null;
  const found = /^cuda(?::(\d{1,3}))?$/.exec(device);
  if (!found) throw new TorchError(`Generator: expected a device of cpu or cuda, got ${String(device)}`);
  return Number(found[1] ?? 0);
}

let shared: Generator | undefined;

/** The generator that operators use when none is given, one for the whole process (not for each worker thread). */
export function defaultGenerator(): Generator {
  shared ??= new Generator(0, native().defaultGenerator());
  return shared;
}

/** Seeds the default generator, as `torch.manual_seed`. */
export function manualSeed(seed: number): Generator {
  return defaultGenerator().manualSeed(seed);
}
