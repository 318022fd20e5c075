// Seeded random generators. The numbers are PyTorch's: the same seed and the same calls give the same values.
import { type Handle, native } from "./native.js";
import { Tensor } from "./tensor.js";

const collected = new FinalizationRegistry<Handle>((handle) => native().releaseGenerator(handle));

/** A source of random numbers (Mersenne Twister) with savable state, as `torch.Generator`. */
export class Generator {
  /** Internal: names the native generator. */
  readonly handle: Handle;

  /** @param seed - integer from 0 to 2^53 - 1 */
  constructor(seed: number);
  /** @internal */
  constructor(seed: number, handle?: Handle);
  constructor(seed: number, handle: Handle = native().generator(seed)) {
    this.handle = handle;
    collected.register(this, handle, this);
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
