// The base of every layer and network: finds parameters, buffers and children among its own properties.
//
// A property holding a Parameter is trained, a Buffer is saved but not trained, a Module (or an array of them) is a
// child. In a state dict the names are PyTorch's: `runningMean` of child `bn1` is `bn1.running_mean`.

import { noGrad } from "../autograd.js";
import { TorchError } from "../errors.js";
import { type DType, native } from "../native.js";
import { operator } from "../operator.js";
import { toDevice, toDType } from "../ops/shape.js";
import { scope } from "../scope.js";
import { Buffer, Parameter, type Tensor } from "../tensor.js";

/** What `Module.to` changes. */
export interface ModuleConversion {
  /** Of floating-point parameters and buffers; counts stay integers. */
  dtype?: "float32" | "float64" | "float16" | "bfloat16";
  /** `cpu`, `cuda` or `cuda:0` and so on. */
  device?: string;
  /** Of four-dimensional parameters and buffers: where the channels lie in memory. */
  memoryFormat?: "row-major" | "channels-last";
}

/**
 * The base of every layer and network: it finds parameters, buffers and children among its own properties.
 *
 * A property that holds a `Parameter` is trained, a `Buffer` is saved but not trained, a `Module` (or an array of
 * modules) is a child. In a state dict the names are PyTorch's: `runningMean` of child `bn1` is `bn1.running_mean`. A
 * network of one's own extends this class, makes its layers in the constructor and calls them in `forward`.
 */
export abstract class Module {
  /** True while training, false in evaluation: changes dropout and batch normalisation. */
  training = true;

  /** What it computes; losses and attention take further tensors. */
  abstract forward(input: Tensor, ...others: never[]): Tensor;

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

  /** Every parameter of this module and those below it, shared ones once: what an optimizer takes. */
  parameters(): Parameter[] {
    return Array.from(this.namedParameters(), ([, parameter]) => parameter);
  }

  /** Every buffer of this module and those below it, shared ones once. */
  buffers(): Buffer[] {
    return Array.from(this.namedBuffers(), ([, buffer]) => buffer);
  }

  /** This module and every one below it, shared ones once. */
  modules(): Module[] {
    return Array.from(this.namedModules(), ([, module]) => module);
  }

  /** Calls `visit` on every module, children before their parents. Returns itself. */
  apply(visit: (module: Module) => void): this {
    applyBelow(this, visit, new Set());
    return this;
  }

  /** Parameters and buffers by their PyTorch names, shared ones under each; the tensors themselves, not copies. */
  stateDict(): Map<string, Tensor> {
    const places = [...walk(this, "")];
    return new Map<string, Tensor>([...named(places, Parameter), ...named(places, Buffer)]);
  }

  /**
   * Copies saved values into the parameters and buffers.
   * @param options.strict - every name on both sides must match; default true
   * @returns the names that one side lacks, none when strict
   * @throws TorchError naming missing and unexpected names, or all whose shapes differ; nothing is changed then
   */
  loadStateDict(
    saved: ReadonlyMap<string, Tensor>,
    options: { strict?: boolean } = {},
  ): { missing: string[]; unexpected: string[] } {
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
    const misshapen: string[] = [];
    for (const [name, target] of mine) {
      const source = saved.get(name);
      if (!source) continue;
      if (source.isDisposed) throw new TorchError(`loadStateDict: the saved ${name} was disposed`);
      if (source.shape.join() !== target.shape.join()) {
        misshapen.push(`${name} [${target.shape.join(", ")}], got [${source.shape.join(", ")}]`);
      }
      pairs.push([target, source]);
    }
    if (misshapen.length > 0) throw new TorchError(`loadStateDict: expected ${misshapen.join("; ")}`);
    noGrad(() => {
      for (const [target, source] of pairs) target.copy_(source);
    });
    return { missing, unexpected };
  }

  /** Starts or stops training of every parameter. Returns itself. */
  requiresGrad_(requiresGrad = true): this {
    for (const parameter of this.parameters()) parameter.requiresGrad_(requiresGrad);
    return this;
  }

  /**
   * Converts every parameter, its gradient and every buffer in place: the objects stay the same, so that an optimizer
   * keeps them (make it afterwards all the same: its own state is not converted). Returns itself.
   * @param conversion - an element type, or what to change; only floating-point values change their type
   * @throws TorchError for a type that is not floating-point; a device that is not there: nothing is changed then
   */
  to(conversion: ModuleConversion | NonNullable<ModuleConversion["dtype"]>): this {
    const target = typeof conversion === "string" ? { dtype: conversion } : conversion;
    if (target.dtype !== undefined && !floating.has(target.dtype)) {
      throw new TorchError(
        `Module.to: expected an element type of ${[...floating].join(", ")}, got ${String(target.dtype)}`,
      );
    }
    const tensors: Tensor[] = [...this.parameters(), ...this.buffers()];
    scope(() =>
      noGrad(() => {
        const values = tensors.map((tensor) => converted(tensor, target));
        const gradients = tensors.map(({ grad }) => grad && converted(grad, target));
        for (const [at, tensor] of tensors.entries()) {
          tensor.grad = null;
          setData(tensor, values[at]!);
          tensor.grad = gradients[at]!;
        }
      }),
    );
    return this;
  }

  /** Training or evaluation for this module and all below it. Returns itself. */
  train(training = true): this {
    for (const [, module] of this.namedModules()) module.training = training;
    return this;
  }

  /** Evaluation for this module and all below it: `train(false)`. Returns itself. */
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

const floating: ReadonlySet<DType> = new Set<DType>(["float32", "float64", "float16", "bfloat16"]);
const setData = operator<[Tensor, Tensor], void>("aten::set_data", "self new_data");
const layOut = operator<[Tensor, string], Tensor>("aten::contiguous", "self memory_format");

function converted(tensor: Tensor, target: ModuleConversion): Tensor {
  let value = tensor.detach();
  if (target.device !== undefined && target.device !== value.device) value = toDevice(value, target.device);
  if (target.dtype !== undefined && floating.has(value.dtype)) value = toDType(value, target.dtype);
  if (target.memoryFormat !== undefined && value.dim === 4) value = layOut(value, target.memoryFormat);
  return value;
}

/** A module and all below it by path: every path to a shared one, or the first only when `seen` is given. */
function* walk(module: Module, path: string, seen?: Set<Module>): IterableIterator<[string, Module]> {
  if (seen?.has(module)) return;
  seen?.add(module);
  yield [path, module];
  for (const [name, child] of module.namedChildren()) yield* walk(child, join(path, name), seen);
}

/** Every module below and then the module itself, each once, in the order in which they were made. */
function applyBelow(module: Module, visit: (module: Module) => void, seen: Set<Module>): void {
  if (seen.has(module)) return;
  seen.add(module);
  for (const [, child] of module.namedChildren()) applyBelow(child, visit, seen);
  visit(module);
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
