// What later nodes may look back at in one pass over the modules: the images, and combined features of earlier nodes,
// each for as long as a node to come reads it.
import { keep, type Tensor } from "@stopgrad/torch";

export class History {
  readonly #features = new Map<number, Tensor>();
  readonly #lastReaders: readonly number[];
  #count = 0;

  /**
   * @param images - `[N, C, H, W]`, the caller's: they are not freed here
   * @param lastReaders - for each node, the last node that reads its combined feature; -1: none does
   */
  constructor(
    readonly images: Tensor,
    lastReaders: readonly number[],
  ) {
    this.#lastReaders = lastReaders;
  }

  /** Combined features that are alive here. */
  get size(): number {
    return this.#features.size;
  }

  /**
   * Adds the combined feature of the next node, and frees those that no later node reads. It is the history's from now
   * on: no scope frees it, and the caller neither.
   * @param feature - `[N, …]`, detached: a handle of its own
   * @throws Error when gradients could flow back through it
   */
  push(feature: Tensor): void {
    const node = this.#count;
    if (feature.requiresGrad) {
      throw new Error(
        `context: expected the combined feature of node ${node} detached, got one that requires gradients; push feature.detach()`,
      );
    }
    this.#features.set(node, keep(feature));
    this.#count += 1;
    for (const [at, held] of this.#features) {
      if ((this.#lastReaders[at] ?? -1) > node) continue;
      held.dispose();
      this.#features.delete(at);
    }
  }

  /** The combined feature of node `at`. @throws Error when it is not there yet, or no longer */
  feature(at: number): Tensor {
    const found = this.#features.get(at);
    if (found) return found;
    const why =
      at < this.#count
        ? "it was let go: a node's backward belongs before the push of its feature"
        : "it was not pushed";
    throw new Error(`context: expected the combined feature of node ${at} in the history, but ${why}`);
  }

  /** Frees what is still held: where a pass ends before its last node, or fails. */
  dispose(): void {
    for (const held of this.#features.values()) held.dispose();
    this.#features.clear();
  }
}
