// How much z = W x tells of x and of the class: mutual information by counting, and nHSIC.
import { scope, tensor } from "@stopgrad/torch";
import { measurePairs } from "../measures/batches.js";
import { nhsic } from "../measures/nhsic.js";
import type { ToyData } from "./data.js";
import type { Matrix2 } from "./matrix.js";
import { nhsicBatch } from "./settings.js";

/** Side of a cell, in units of z. The classes' radii are 1 and 2, and their jitter 0.05. */
export const cellSide = 0.1;

/** nHSIC is the mean over this many mini-batches, or as many as there are. */
const mostBatches = 4;

/** In nats. */
export interface CountedInformation {
  /** I(X;Z) in [0, ln N]. */
  x: number;
  /** I(Y;Z) in [0, H(Y)], at most ln 2. */
  y: number;
}

/**
 * Mutual information of z = W x, seen through a grid, with x and with the class, counted exactly.
 *
 *   Z = the cell of side 0.1 that z falls into, one of them centred at 0    X uniform over the N points
 *   I(X;Z) = H(Z) = −Σ p ln p      I(Y;Z) = H(Y) + H(Z) − H(Y,Z)             nats
 *
 * Z is a function of X, so that without a grid I(X;Z) would be ln N for every invertible W and say nothing (arXiv
 * 1810.05728). The grid's side is absolute, as nHSIC's kernel width is: W that shrinks tells less, W near zero nothing,
 * and points closer than a cell are one. For these N points the numbers are exact; as estimates for the whole
 * distribution both are off by about (cells − 1) / 2N, I(X;Z) too low and I(Y;Z) too high. Time O(N).
 */
export function countedInformation(data: ToyData, weights: Matrix2): CountedInformation {
  const { first, second, classes } = data;
  const [w11, w12, w21, w22] = weights as unknown as [number, number, number, number];
  /** Points of class + and of class − in each cell. */
  const cells = new Map<number, [number, number]>();
  const totals: [number, number] = [0, 0];
  for (let i = 0; i < classes.length; i++) {
    const column = Math.round((w11 * first[i]! + w12 * second[i]!) / cellSide);
    const row = Math.round((w21 * first[i]! + w22 * second[i]!) / cellSide);
    const key = column * 2 ** 26 + row;
    const cell = cells.get(key) ?? [0, 0];
    if (cell[0] + cell[1] === 0) cells.set(key, cell);
    const sign = classes[i]! > 0 ? 0 : 1;
    cell[sign]++;
    totals[sign]++;
  }
  const counts = [...cells.values()];
  const ofCells = entropy(counts.map(([plus, minus]) => plus + minus));
  return { x: ofCells, y: Math.max(0, entropy(totals) + ofCells - entropy(counts.flat())) };
}

/** −Σ p ln p of counts, in nats. */
function entropy(counts: readonly number[]): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return counts.reduce((sum, count) => (count === 0 ? sum : sum - (count / total) * Math.log(count / total)), 0);
}

/** nHSIC of z with x and with the class, batches of 256 points, no unit: see `measures/nhsic.ts`. */
export interface ToyNhsic {
  x: number;
  y: number;
}

/**
 * nHSIC(X,Z) and nHSIC(Y,Z) for several W, RBF kernels of width 5 √2: means over the first 4 batches of 256 points.
 *
 * @param weights - each W
 * @returns in the same order
 */
export function toyNhsic(data: ToyData, weights: readonly Matrix2[]): ToyNhsic[] {
  const { first, second, classes } = data;
  const count = Math.min(Math.floor(classes.length / nhsicBatch), mostBatches) * nhsicBatch;
  return scope(() => {
    const rows = (value: (i: number) => [number, number]) =>
      tensor(Float64Array.from({ length: 2 * count }, (_, at) => value(at >> 1)[at & 1]!)).reshape([count, 2]);
    const x = rows((i) => [first[i]!, second[i]!]);
    const y = tensor(BigInt64Array.from({ length: count }, (_, i) => (classes[i]! > 0 ? 1n : 0n)));
    const z = weights.map(([w11, w12, w21, w22]) =>
      rows((i) => [w11! * first[i]! + w12! * second[i]!, w21! * first[i]! + w22! * second[i]!]),
    );
    const found: ToyNhsic[] = weights.map(() => ({ x: Number.NaN, y: Number.NaN }));
    for (const { pair, index, value } of measurePairs(nhsic, {}, { x, y, z }, nhsicBatch)) {
      found[index]![pair === "x,z" ? "x" : "y"] = value;
    }
    return found;
  });
}
