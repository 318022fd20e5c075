// Modules that hold modules: in order, in a list, by name.
import { TorchError } from "../errors.js";
import type { Tensor } from "../tensor.js";
import { Module } from "./module.js";

/** Layers one after the other; in a state dict they are `0`, `1`, … as in `torch.nn.Sequential`. */
export class Sequential extends Module {
  readonly layers: readonly Module[];

  constructor(...layers: Module[]) {
    super();
    this.layers = layers;
  }

  override *namedChildren(): IterableIterator<[string, Module]> {
    for (const [at, layer] of this.layers.entries()) yield [String(at), layer];
  }

  override forward(input: Tensor): Tensor {
    return this.layers.reduce((value, layer) => layer.forward(value), input);
  }
}

/** Modules to iterate over and to take by their number; in a state dict they are `0`, `1`, …. Has no forward. */
export class ModuleList<M extends Module = Module> extends Module implements Iterable<M> {
  readonly items: readonly M[];

  constructor(items: Iterable<M> = []) {
    super();
    this.items = [...items];
  }

  get length(): number {
    return this.items.length;
  }

  /** Module `index`, from the end when negative. @throws TorchError when there is none */
  at(index: number): M {
    const item = this.items.at(index);
    if (!item) throw new TorchError(`ModuleList: expected a number below ${this.length}, got ${index}`);
    return item;
  }

  [Symbol.iterator](): IterableIterator<M> {
    return this.items[Symbol.iterator]();
  }

  override *namedChildren(): IterableIterator<[string, Module]> {
    for (const [at, item] of this.items.entries()) yield [String(at), item];
  }

  override forward(): Tensor {
    throw new TorchError("ModuleList: has no forward; call its modules");
  }
}

/** Modules by name; in a state dict they have these names. Has no forward. */
export class ModuleDict<M extends Module = Module> extends Module implements Iterable<[string, M]> {
  readonly items: ReadonlyMap<string, M>;

  /** @throws TorchError for a name that is empty or has a dot, which would not be one step of a path */
  constructor(items: Readonly<Record<string, M>> | Iterable<readonly [string, M]> = {}) {
    super();
    this.items = new Map(Symbol.iterator in items ? (items as Iterable<[string, M]>) : Object.entries(items));
    for (const name of this.items.keys()) {
      if (name === "" || name.includes(".")) {
        throw new TorchError(`ModuleDict: expected names without dots, got "${name}"`);
      }
    }
  }

  get size(): number {
    return this.items.size;
  }

  /** The module of that name. @throws TorchError when there is none */
  get(name: string): M {
    const item = this.items.get(name);
    if (!item) throw new TorchError(`ModuleDict: unknown ${name} (known: ${[...this.items.keys()].join(", ")})`);
    return item;
  }

  [Symbol.iterator](): IterableIterator<[string, M]> {
    return this.items[Symbol.iterator]();
  }

  override *namedChildren(): IterableIterator<[string, Module]> {
    yield* this.items;
  }

  override forward(): Tensor {
    throw new TorchError("ModuleDict: has no forward; call its modules");
  }
}
