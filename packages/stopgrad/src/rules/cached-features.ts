// A frozen part's outputs for every training image, computed once: what asynchronous training learns from. They are
// kept in files of the run's folder and mapped into memory, because they may be larger than it.
import { rmSync } from "node:fs";
import { join } from "node:path";
import {
  cat,
  index,
  keep,
  loadSafetensors,
  noGrad,
  saveSafetensors,
  scope,
  type Tensor,
  tensor,
} from "@stopgrad/torch";
import { slice } from "../data/loader.js";
import { makeFolder } from "../folders.js";
import type { TrainingData } from "./rule.js";

/** Images a file holds at most. */
const IMAGES_A_FILE = 1000;

export class CachedFeatures {
  readonly #folder: string;
  readonly #files: readonly Tensor[];

  /**
   * @param forward - normalised images `[N, C, H, W]` → what is kept of them, `[N, …]`
   * @param breathe - called before each batch; what it throws ends the work, and nothing is left behind
   * @throws FileFormatError when the files cannot be written
   */
  constructor(data: TrainingData, forward: (images: Tensor) => Tensor, breathe: () => void) {
    this.#folder = join(data.scratch, "cached-features");
    rmSync(this.#folder, { recursive: true, force: true });
    makeFolder(this.#folder);
    const files: Tensor[] = [];
    try {
      for (let start = 0; start < data.set.count; start += IMAGES_A_FILE) {
        const end = Math.min(start + IMAGES_A_FILE, data.set.count);
        const file = join(this.#folder, `${start}.safetensors`);
        scope(() => saveSafetensors(file, { features: collect(data, start, end, forward, breathe) }));
        files.push(keep(loadSafetensors(file, { mapped: true }).tensors.get("features")!));
      }
    } catch (error) {
      for (const one of files) one.dispose();
      rmSync(this.#folder, { recursive: true, force: true });
      throw error;
    }
    this.#files = files;
  }

  /** @param indices - int64 `[N]`, places in the training set @returns `[N, …]`, on the device of `indices` */
  get(indices: Tensor): Tensor {
    return scope(() => {
      const wanted = indices.toNumbers();
      const parts: Tensor[] = [];
      /** Where each row of `parts` belongs in the batch. */
      const order: number[] = [];
      for (const [at, features] of this.#files.entries()) {
        const rows = wanted.flatMap((place, row) => (Math.floor(place / IMAGES_A_FILE) === at ? [row] : []));
        if (rows.length === 0) continue;
        order.push(...rows);
        parts.push(features.indexSelect(0, whole(rows.map((row) => wanted[row]! - at * IMAGES_A_FILE))));
      }
      const places = new Array<number>(order.length);
      for (const [at, row] of order.entries()) places[row] = at;
      const rows = index(cat(parts, 0), [whole(places)]);
      return indices.device === "cpu" ? rows : rows.toDevice(indices.device);
    });
  }

  dispose(): void {
    for (const features of this.#files) features.dispose();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function whole(numbers: readonly number[]): Tensor {
  return tensor(numbers, { dtype: "int64" });
}

function collect(
  { set, normalisation, batch }: TrainingData,
  start: number,
  end: number,
  forward: (images: Tensor) => Tensor,
  breathe: () => void,
): Tensor {
  return noGrad(() =>
    scope(() => {
      const parts: Tensor[] = [];
      for (let at = start; at < end; at += batch) {
        breathe();
        const features = scope(() => forward(slice(set, at, Math.min(batch, end - at), normalisation).images));
        parts.push(features.device === "cpu" ? features : features.toDevice("cpu"));
      }
      return cat(parts, 0);
    }),
  );
}
