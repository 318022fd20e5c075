// What optimizers share: the parameters they train, and state that can be saved and loaded.

import { noGrad } from "../autograd.js";
import { TorchError } from "../errors.js";
import { native } from "../native.js";
import { tensor, zerosLike } from "../ops/creation.js";
import { Buffer, type Parameter, type Tensor } from "../tensor.js";

export abstract class Optimizer {
  /** May be changed between steps, as schedules do. */
  learningRate: number;
  /** Steps taken by each parameter; one without a gradient is passed over. */
  protected readonly steps: Float64Array<ArrayBuffer>;
  /** Per kind of state (PyTorch's names, such as `exp_avg`), a tensor for each parameter. */
  protected readonly state: Record<string, Buffer[]> = {};

  constructor(
    readonly parameters: readonly Parameter[],
    learningRate: number,
    kinds: readonly string[],
  ) {
    if (parameters.length === 0) throw new TorchError("optimizer: expected at least one parameter, got none");
    const again = parameters.findIndex((parameter, at) => parameters.indexOf(parameter) < at);
    if (again >= 0) {
      throw new TorchError(
        `optimizer: expected every parameter once, got number ${parameters.indexOf(parameters[again]!)} again as number ${again}`,
      );
    }
    checkNonNegative("learningRate", learningRate);
    this.learningRate = learningRate;
    this.steps = new Float64Array(parameters.length);
    for (const kind of kinds) {
      this.state[kind] = noGrad(() => parameters.map((parameter) => bufferLike(parameter)));
    }
  }

  /** Moves every parameter that has a gradient. */
  abstract step(): void;

  /** Drops every gradient. */
  zeroGrad(): void {
    native().zeroGrad(this.handles);
  }

  /** Handles of the parameters, for the native step. */
  protected get handles(): number[] {
    return this.parameters.map((parameter) => parameter.handle);
  }

  protected handlesOf(kind: string): number[] {
    return this.state[kind]!.map((buffer) => buffer.handle);
  }

  /** `steps` float64 `[P]`, and `exp_avg.0` and so on: everything but the settings. */
  stateDict(): Map<string, Tensor> {
    const saved = new Map<string, Tensor>([["steps", tensor(this.steps)]]);
    for (const [kind, buffers] of Object.entries(this.state)) {
      for (const [at, buffer] of buffers.entries()) saved.set(`${kind}.${at}`, buffer);
    }
    return saved;
  }

  /** Copies saved state in. @throws TorchError when a tensor is missing or of another shape; nothing is changed then */
  loadStateDict(saved: ReadonlyMap<string, Tensor>): void {
    const steps = saved.get("steps");
    if (!steps || steps.numel !== this.steps.length) {
      throw new TorchError(
        `optimizer: expected saved state for ${this.steps.length} parameters, got ${steps ? steps.numel : "none"}`,
      );
    }
    const taken = steps.toNumbers();
    const pairs: [Tensor, Tensor][] = [];
    for (const [kind, buffers] of Object.entries(this.state)) {
      for (const [at, buffer] of buffers.entries()) {
        const source = saved.get(`${kind}.${at}`);
        if (!source || source.shape.join() !== buffer.shape.join()) {
          throw new TorchError(
            `optimizer: expected saved ${kind}.${at} [${buffer.shape.join(", ")}], got ${source ? `[${source.shape.join(", ")}]` : "none"}`,
          );
        }
        if (source.isDisposed) throw new TorchError(`optimizer: the saved ${kind}.${at} was disposed`);
        pairs.push([buffer, source]);
      }
    }
    this.steps.set(taken);
    noGrad(() => {
      for (const [target, source] of pairs) target.copy_(source);
    });
  }

  /** Frees the state, not the parameters. */
  dispose(): void {
    for (const buffers of Object.values(this.state)) for (const buffer of buffers) buffer.dispose();
  }
}

function bufferLike(parameter: Parameter): Buffer {
  const zero = zerosLike(parameter);
  const buffer = new Buffer(zero);
  zero.dispose();
  return buffer;
}

/** @throws TorchError unless `value` is a finite number of at least 0 */
export function checkNonNegative(name: string, value: number): void {
  if (!(value >= 0 && Number.isFinite(value))) {
    throw new TorchError(`optimizer: expected ${name} of at least 0, got ${value}`);
  }
}
