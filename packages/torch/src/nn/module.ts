// The base of every layer and network: finds parameters, buffers and children among its own properties.
//
// A property holding a Parameter is trained, a Buffer is saved but not trained, a Module (or an array of them) is a
// child. In a state dict the names are PyTorch's: `runningMean` of child `bn1` is `bn1.running_mean`.

import { noGrad } from "../autograd.js";
import { TorchError } from "../errors.js";
import { native } from "../native.js";
import { Buffer, Parameter, type Tensor } from "../tensor.js";

export abstract class Module {
  /** True while training, false in evaluation: changes dropout and batch normalisation. */
  training = true;

  abstract forward(input: Tensor): Tensor;

  /** Direct children with their state-dict names; one held by two properties comes under both. */
  *namedChildren(): IterableIterator<[string, Module]> {
    for (const [key, value] of Object.entries(this)) {
      if (value instanceof Module) yield [stateName(key), value];
      else if (Array.isArray(value)) {
        for (const [at, item] of value.entries()) if (item instanceof Module) yield [`${stateName(key)}.${at}`, item];
      }
    }
  }

  /** This module and every one below it, with its state-dict path ("" for itself); a shared one once, at its first. */
  *namedModules(prefix = ""): IterableIterator<[string, Module]> {
    yield* walk(this, prefix, new Set());
  }

  /** Every parameter with its state-dict name; a shared one once, under its first name. */
  *namedParameters(): IterableIterator<[string, Parameter]> {
    yield* once(named(this.namedModules(), Parameter));
  }

  /** Every buffer with its state-dict name; a shared one once, under its first name. */
  *namedBuffers(): IterableIterator<[string, Buffer]> {
    yield* once(named(this.namedModules(), Buffer));
  }

  parameters(): Parameter[] {
    return Array.from(this.namedParameters(), ([, parameter]) => parameter);
  }

  /** Parameters and buffers by their PyTorch names, shared ones under each; the tensors themselves, not copies. */
  stateDict(): Map<string, Tensor> {
    const places = [...walk(this, "")];
    return new Map<string, Tensor>([...named(places, Parameter), ...named(places, Buffer)]);
  }

  /**
   * Copies saved values into the parameters and buffers.
   * @param options.strict - every name on both sides must match; default true
   * @throws TorchError naming missing and unexpected names, or the first whose shape differs; nothing is changed then
   */
  loadStateDict(saved: ReadonlyMap<string, Tensor>, options: { strict?: boolean } = {}): void {
    const mine = this.stateDict();
    const missing = [...mine.keys()].filter((name) => !saved.has(name));
    const unexpected = [...saved.keys()].filter((name) => !mine.has(name));
    if ((options.strict ?? true) && (missing.length > 0 || unexpected.length > 0)) {
      const parts = [];
      if (missing.length > 0) parts.push(`missing ${missing.join(", ")}`);
      if (unexpected.length > 0) parts.push(`unexpected ${unexpected.join(", ")}`);
      throw new TorchError(`loadStateDict: the saved state does not fit this module: ${parts.join("; ")}`);
    }
    const pairs: [Tensor, Tensor][] = [];
    for (const [name, target] of mine) {
      const source = saved.get(name);
      if (!source) continue;
      if (source.shape.join() !== target.shape.join()) {
        throw new TorchError(
          `loadStateDict: expected ${name} [${target.shape.join(", ")}], got [${source.shape.join(", ")}]`,
        );
      }
      if (source.isDisposed) throw new TorchError(`loadStateDict: the saved ${name} was disposed`);
      pairs.push([target, source]);
    }
    noGrad(() => {
      for (const [target, source] of pairs) target.copy_(source);
    });
  }

  /** Training or evaluation for this module and all below it. Returns itself. */
  train(training = true): this {
    for (const [, module] of this.namedModules()) module.training = training;
    return this;
  }

  eval(): this {
    return this.train(false);
  }

  /** Drops every parameter's gradient. */
  zeroGrad(): void {
    native().zeroGrad(this.parameters().map((parameter) => parameter.handle));
  }

  /** Frees parameters and buffers. */
  dispose(): void {
    for (const tensor of this.stateDict().values()) tensor.dispose();
  }
}

/** A module and all below it by path: every path to a shared one, or the first only when `seen` is given. */
function* walk(module: Module, path: string, seen?: Set<Module>): IterableIterator<[string, Module]> {
  if (seen?.has(module)) return;
  seen?.add(module);
  yield [path, module];
  for (const [name, child] of module.namedChildren()) yield* walk(child, join(path, name), seen);
}

/** The tensors of a kind that modules hold themselves. */
function* named<T extends Tensor>(
  modules: Iterable<[string, Module]>,
  kind: abstract new (...args: never[]) => T,
): IterableIterator<[string, T]> {
  for (const [path, module] of modules) {
    for (const [key, value] of Object.entries(module)) {
      if (value instanceof kind) yield [join(path, stateName(key)), value];
    }
  }
}

/** Each value under its first name. */
function* once<T>(entries: Iterable<[string, T]>): IterableIterator<[string, T]> {
  const seen = new Set<T>();
  for (const entry of entries) {
    if (seen.has(entry[1])) continue;
    seen.add(entry[1]);
    yield entry;
  }
}

function join(prefix: string, name: string): string {
  return prefix === "" ? name : name === "" ? prefix : `${prefix}.${name}`;
}

/** `numBatchesTracked` → `num_batches_tracked`. */
function stateName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
