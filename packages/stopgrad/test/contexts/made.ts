// A small backbone cut into four modules, and context supplies for it.
import { Generator, nn, relu, scope, type Tensor } from "@stopgrad/torch";
import { type ContextSettings, ContextSupply, type History, parseContextCode } from "../../src/contexts/index.js";

/** `[C, H, W]` of the images; neither side divides by four. */
export const IMAGE = [3, 18, 14] as const;
/** Of what the first three modules give. */
export const CUTS = [
  [6, 18, 14],
  [8, 9, 7],
  [8, 5, 4],
] as const;

/** Topologies without one that four modules cannot tell from another: R16 has every slot that there is. */
export const TOPOLOGIES = ["E", "R1", "R2", "R1E", "R2E", "R16"] as const;
export const FUSIONS = ["add", "concatenate", "gated"] as const;

export function settingsOf(code: string, fusion: string = "add", options: object = {}): ContextSettings {
  return {
    ...parseContextCode(code)!,
    fusion: { name: fusion, ...options } as ContextSettings["fusion"],
    selection: null,
  };
}

export function makeSupply(code: string, fusion?: string, options?: object): ContextSupply {
  return new ContextSupply({
    settings: settingsOf(code, fusion, options),
    shapes: CUTS,
    image: IMAGE,
    generator: new Generator(3),
  });
}

/** Four convolutions with a rectifier each. */
export class Modules extends nn.Module {
  readonly layers: readonly nn.Conv2d[];

  constructor() {
    super();
    const sizes = [
      [3, 6, 1],
      [6, 8, 2],
      [8, 8, 2],
      [8, 10, 1],
    ] as const;
    const generator = new Generator(5);
    this.layers = sizes.map(
      ([inputs, outputs, stride]) => new nn.Conv2d(inputs, outputs, 3, { stride, padding: 1, generator }),
    );
  }

  override *namedChildren(): IterableIterator<[string, nn.Module]> {
    for (const [at, layer] of this.layers.entries()) yield [String(at), layer];
  }

  override forward(input: Tensor, at = 0): Tensor {
    return scope(() => relu(this.layers[at]!.forward(input)));
  }
}

/**
 * Greedy training's passes: module after module, its loss, its backward, its output behind a stop-gradient.
 * @param lossOf - of a module's output
 * @param halves - nodes in two halves instead of the ordinary way
 */
export function pass(
  supply: ContextSupply,
  modules: Modules,
  images: Tensor,
  lossOf: (output: Tensor, at: number) => Tensor,
  {
    halves = false,
    entered = () => {},
  }: { halves?: boolean; entered?: (entry: Tensor, history: History) => void } = {},
): void {
  scope(() => {
    const history = supply.begin(images);
    let features = images;
    for (const [at] of modules.layers.entries()) {
      features = scope(() => {
        const node = at > 0 ? supply.nodes[at - 1]! : null;
        let entry = features;
        if (node && halves) {
          entry = node.forwardDetached(features, history);
          if (node.learns) entry.requiresGrad_();
        } else if (node) entry = supply.enter(at - 1, features, history);
        if (node) entered(entry, history);
        const output = modules.forward(entry, at);
        lossOf(output, at).backward();
        if (node && halves && entry.grad) node.backward(features, history, entry.grad);
        if (node) history.push(entry.detach());
        return output.detach();
      });
    }
  });
}
