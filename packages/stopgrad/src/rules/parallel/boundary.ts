// What crosses the boundary in front of a module: the batch, what the module before gives, and the combined features of
// earlier modules that a later one looks back at.
import type { ContextSupply } from "../../contexts/index.js";
import type { PartitionedRule } from "../partitioned.js";
import { slotBytes } from "./slots.js";

/** Bytes of an element at most: float32; of labels and places in the training set. */
const ELEMENT = 4;
const INDEX = 8;

/** For each node of the supply, the last node that reads its combined feature; -1: none does. */
export function lastReaders({ nodes }: ContextSupply): number[] {
  const readers = nodes.map(() => -1);
  for (const [at, { paths }] of nodes.entries()) {
    for (const source of paths) if (typeof source !== "string") readers[source.feature] = at;
  }
  return readers;
}

/** Nodes whose combined features are looked back at by module `module` or a later one, and come from before it. */
export function historyAt(supply: ContextSupply | null, module: number): number[] {
  const next = module - 1; // the node in front of it
  return supply === null
    ? []
    : lastReaders(supply).flatMap((last, node) => (node < next && last >= next ? [node] : []));
}

/**
 * Bytes of a slot in front of module `module`, at most.
 * @param images - of a batch
 */
export function boundaryBytes(rule: PartitionedRule, module: number, imageShape: readonly number[], images: number) {
  const { modules } = rule.parts();
  const rows = images * rule.views;
  const maps = [imageShape, ...(module > 0 ? [modules[module - 1]!.shape] : [])];
  for (const node of historyAt(rule.context, module)) maps.push(modules[node]!.shape);
  const bytes = maps.map((shape) => ELEMENT * shape.reduce((product, size) => product * size, rows));
  return slotBytes([...bytes, INDEX * images, INDEX * images]);
}
