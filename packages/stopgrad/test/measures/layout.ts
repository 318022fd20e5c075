// The samples of fixtures/record-layout.py.
import { type Tensor, tensor } from "@stopgrad/torch";
import { values } from "../support/formula.js";

export interface RecordedLayout {
  samples: {
    shape: number[];
    sizes: number[];
    spread: number;
    entanglement: { sigma: number | "median"; temperature: number | "kernel"; found: Record<string, number> }[];
    geometry: { discard: number; uniformityRate: number; found: Record<string, number> }[];
  }[];
  ranks: { a: number[]; b: number[]; coefficient: number; pValue?: number; approximatePValue?: number }[];
}

/** Classes of unequal size around centres, float32 `shape`, with an offset; the class of row i is that of place 7 i mod N. */
export function layoutSample(
  shape: readonly number[],
  sizes: readonly number[],
  spread: number,
): { z: Tensor; labels: number[] } {
  const count = shape[0]!;
  const features = shape.slice(1).reduce((product, size) => product * size, 1);
  const ordered = sizes.flatMap((size, label) => Array<number>(size).fill(label));
  const labels = Array.from({ length: count }, (_, i) => ordered[(7 * i) % count]!);
  const centres = values("centres", sizes.length * features);
  const noise = values("noise", count * features);
  const z = Float32Array.from(noise, (value, at) => {
    const label = labels[Math.floor(at / features)]!;
    return 0.5 + centres[label * features + (at % features)]! + spread * (1 + 0.4 * label) * value;
  });
  return { z: tensor(z, { shape }), labels };
}
