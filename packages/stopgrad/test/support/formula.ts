// Weights, images and labels as a formula of a name and a position, the same as in fixtures/record.py: fixtures then
// hold results only.
import { readFileSync } from "node:fs";
import { noGrad, scope, type Tensor, tensor } from "@stopgrad/torch";

/** `count` numbers in [−1, 1): a 32-bit mix of the name's FNV-1a hash and the position. */
export function values(name: string, count: number): Float64Array {
  let seed = 2166136261;
  for (const byte of Buffer.from(name)) seed = Math.imul(seed ^ byte, 16777619) >>> 0;
  return Float64Array.from({ length: count }, (_, at) => {
    let x = (Math.imul(at + 1, 2654435761) + seed) >>> 0;
    for (let round = 0; round < 2; round++) x = Math.imul(x ^ (x >>> 16), 0x45d9f3b) >>> 0;
    x = (x ^ (x >>> 16)) >>> 0;
    return x / 2147483648 - 1;
  });
}

const sizeOf = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);

/** float32 `shape`, uniform in [−2, 2). */
export function imagesOf(name: string, shape: readonly number[]): Tensor {
  const scaled = values(name, sizeOf(shape)).map((value) => 2 * value);
  return tensor(Float32Array.from(scaled), { shape });
}

/** int64 `[count]`. */
export function labelsOf(count: number, classes = 10): Tensor {
  return tensor(BigInt64Array.from({ length: count }, (_, i) => BigInt((7 * i + 3) % classes)));
}

/** Formula values in every floating-point entry of a state dict, by its names. */
export function setState(state: ReadonlyMap<string, Tensor>): void {
  noGrad(() =>
    scope(() => {
      for (const [name, entry] of state) {
        if (entry.dtype !== "float32") continue;
        const leaf = name.split(".").at(-1)!;
        const scale = Math.sqrt(6 / (entry.numel / (entry.shape[0] ?? 1)));
        const formula = values(name, entry.numel).map((v) => {
          if (entry.dim >= 2) return v * scale;
          if (leaf === "weight") return 1 + 0.25 * v;
          return leaf === "running_var" ? 1 + 0.5 * v : 0.125 * v;
        });
        entry.copy_(tensor(Float32Array.from(formula), { shape: entry.shape }));
      }
    }),
  );
}

/** Euclidean norm, and inner product with a formula array: two numbers that change when any entry does. */
export type Summary = readonly [norm: number, projection: number];

export function summaryOf(array: Tensor): Summary {
  const entries = array.toNumbers();
  const probe = values("probe", entries.length);
  const norm = Math.sqrt(entries.reduce((sum, v) => sum + v * v, 0));
  return [norm, entries.reduce((sum, v, i) => sum + v * probe[i]!, 0)];
}

/** How far two summaries are apart, as a part of what the numbers can be: the norm, and norm · √(D / 3). */
export function summaryError(actual: Summary, expected: Summary, entries: number): number {
  const scale = Math.max(expected[0], 1e-30);
  return (
    Math.max(Math.abs(actual[0] - expected[0]), Math.abs(actual[1] - expected[1]) / Math.sqrt(entries / 3)) / scale
  );
}

interface Network {
  stages: Record<string, Summary>;
  logits: number[];
  loss: number;
  gradients: Record<string, Summary>;
  buffers: Record<string, Summary>;
}

/** What record.py wrote. */
export interface Figures {
  recorded: { torch: string; numpy: string };
  networks: Record<string, { train: Network; eval: Network }>;
  training: Record<string, { losses: number[][]; state: Record<string, Summary> }>;
  pooling: {
    shape: [number, number, number];
    kernel: [number, number];
    padding: [number, number];
    shapeOut: number[];
    summary: Summary;
    first: number[];
  }[];
}

export const figures = JSON.parse(
  readFileSync(new URL("../fixtures/figures.json", import.meta.url), "utf8"),
) as Figures;
