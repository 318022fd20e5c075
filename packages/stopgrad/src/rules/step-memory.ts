// Where the memory of a training step goes: what each module stores between its forward and its backward pass, by what it
// is, and the most that is alive while it learns. Bytes are counted by the allocator, not estimated.
import { bytesOn, resetPeakOn } from "../device-memory.js";
import type { ModuleMemory } from "../store/records.js";

/** What a module's memory is for. */
export type MemoryPart = "activations" | "head" | "context" | "decoder";

/** Watches one step. */
export class StepMemory {
  readonly modules: ModuleMemory[] = [];
  /** Most bytes alive at any time of the step, everything on the device counted. */
  peak = 0;

  constructor(private readonly device: string) {
    resetPeakOn(device);
  }

  /** All of a module's learning. */
  module<R>(name: string, body: () => R): R {
    const found: ModuleMemory = { module: name, activations: 0, head: 0, context: 0, decoder: 0, peak: 0 };
    this.modules.push(found);
    this.#takePeak();
    const before = bytesOn(this.device).live;
    const result = body();
    found.peak = this.#takePeak() - before;
    return result;
  }

  /** A piece of the last module's forward pass. */
  part<R>(part: MemoryPart, body: () => R): R {
    const module = this.modules.at(-1);
    const before = bytesOn(this.device).live;
    const result = body();
    if (module) module[part] += bytesOn(this.device).live - before;
    return result;
  }

  /** The step is over. */
  end(): void {
    this.#takePeak();
  }

  /** The peak since the last call; the next one begins. */
  #takePeak(): number {
    const { peak } = bytesOn(this.device);
    this.peak = Math.max(this.peak, peak);
    resetPeakOn(this.device);
    return peak;
  }
}
