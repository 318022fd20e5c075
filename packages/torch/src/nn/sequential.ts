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
