// One optimizer a block, as rules have them whose blocks learn apart: saved and loaded together, under the blocks' names.
import type { nn, optim, Tensor } from "@stopgrad/torch";
import { scope } from "@stopgrad/torch";
import type { RuleContext } from "./rule.js";
import { prefixed, unprefixed } from "./weights.js";

export class BlockOptimizers {
  readonly #byBlock: ReadonlyMap<string, optim.Optimizer>;

  /** @param blocks - by name, in the network's order; each with at least one parameter */
  constructor({ entry, settings }: RuleContext["optimizer"], blocks: ReadonlyMap<string, nn.Module>) {
    this.#byBlock = new Map(Array.from(blocks, ([name, block]) => [name, entry.create(settings, block.parameters())]));
  }

  zeroGrad(): void {
    for (const optimizer of this.#byBlock.values()) optimizer.zeroGrad();
  }

  /** Moves these blocks' parameters. */
  step(blocks: readonly string[]): void {
    for (const name of blocks) this.#byBlock.get(name)!.step();
  }

  setLearningRate(rate: number): void {
    for (const optimizer of this.#byBlock.values()) optimizer.learningRate = rate;
  }

  /** Under `optimizer.<block>.`, the dots of a block's name as underscores. The tensors themselves, not copies. */
  stateDict(): Map<string, Tensor> {
    return new Map(
      Array.from(this.#byBlock, ([name, optimizer]) => prefixed(prefixOf(name), optimizer.stateDict())).flat(),
    );
  }

  /** @throws TorchError when the saved state of one of them does not fit; nothing is changed then */
  loadStateDict(saved: ReadonlyMap<string, Tensor>): void {
    scope(() => {
      const undo: (() => void)[] = [];
      try {
        for (const [name, optimizer] of this.#byBlock) {
          const before = new Map(Array.from(optimizer.stateDict(), ([key, tensor]) => [key, tensor.clone()]));
          optimizer.loadStateDict(unprefixed(prefixOf(name), saved));
          undo.push(() => optimizer.loadStateDict(before));
        }
      } catch (error) {
        for (const restore of undo) restore();
        throw error;
      }
    });
  }

  dispose(): void {
    for (const optimizer of this.#byBlock.values()) optimizer.dispose();
  }
}

function prefixOf(block: string): string {
  return `optimizer.${block.replaceAll(".", "_")}.`;
}
