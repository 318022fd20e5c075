// What rules share: networks beside the backbone, named weights as a resumed run needs them, and how predictions are counted.
import { nn, scope, type Tensor, TorchError } from "@stopgrad/torch";

/** Networks that are trained beside the backbone and thrown away, by name, under PyTorch's way of naming children. */
export class Auxiliary extends nn.Module {
  constructor(readonly byName: ReadonlyMap<string, nn.Module>) {
    super();
  }

  override *namedChildren(): IterableIterator<[string, nn.Module]> {
    for (const [name, network] of this.byName) yield [name.replaceAll(".", "_"), network];
  }

  override forward(): Tensor {
    throw new Error("what stands beside the backbone has no forward of its own");
  }
}

/** Backbone, heads and networks that bring context under `backbone.`, `heads.` and `contexts.`. */
export function weightsOf(
  backbone: nn.Module,
  auxiliary: nn.Module | null,
  context: nn.Module | null = null,
): Map<string, Tensor> {
  return new Map([
    ...prefixed("backbone.", backbone.stateDict()),
    ...prefixed("heads.", auxiliary?.stateDict() ?? new Map()),
    ...prefixed("contexts.", context?.stateDict() ?? new Map()),
  ]);
}

/**
 * Whether saved weights are those of this backbone and these heads.
 * @throws TorchError naming what is missing, what is not known, or the first tensor of another shape
 */
export function requireFit(mine: ReadonlyMap<string, Tensor>, saved: ReadonlyMap<string, Tensor>): void {
  const missing = [...mine.keys()].filter((name) => !saved.has(name));
  const known = (name: string) => mine.has(name) || !/^(backbone|heads|contexts)\./.test(name);
  const unexpected = [...saved.keys()].filter((name) => !known(name));
  const parts = [
    ...(missing.length > 0 ? [`missing ${missing.join(", ")}`] : []),
    ...(unexpected.length > 0 ? [`unexpected ${unexpected.join(", ")}`] : []),
  ];
  if (parts.length > 0) throw new TorchError(`the saved state does not fit this rule: ${parts.join("; ")}`);
  for (const [name, { shape }] of mine) {
    const source = saved.get(name)!;
    if (source.isDisposed) throw new TorchError(`the saved ${name} was disposed`);
    if (source.shape.join() !== shape.join()) {
      throw new TorchError(
        `the saved state does not fit this rule: expected ${name} [${shape.join(", ")}], got [${source.shape.join(", ")}]`,
      );
    }
  }
}

export function prefixed(prefix: string, state: ReadonlyMap<string, Tensor>): [string, Tensor][] {
  return Array.from(state, ([name, tensor]) => [prefix + name, tensor]);
}

export function unprefixed(prefix: string, state: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  const mine = [...state].filter(([name]) => name.startsWith(prefix));
  return new Map(mine.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

/** What losses are taken of: sums over classes and the batch need float32. */
export function inFull(seen: Tensor): Tensor {
  return seen.dtype === "float32" || seen.dtype === "float64" ? seen : seen.to("float32");
}

/** How many rows of `[N, K]` have their largest entry at the label. */
export function countCorrect(logits: Tensor, labels: Tensor): number {
  return scope(() => correctIn(logits, labels).item());
}

/** The same as an int64 scalar. */
export function correctIn(logits: Tensor, labels: Tensor): Tensor {
  return logits.argmax(1).eq(labels).sum();
}
