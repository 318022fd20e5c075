// Which images a run uses when it asks for fewer than there are: as many of each class as of any other.
import { DatasetError, type ImageSet } from "./dataset.js";
import { Sfc32 } from "./sfc32.js";

/**
 * Indices of a class-balanced random subset. Class counts differ by at most one; a class with too few images gives
 * all it has and the others share the rest evenly. Which classes give one more is drawn too.
 *
 * @param set - only its labels are read
 * @param size - 0 … set.count; set.count gives every index
 * @param classes - labels are 0 … classes - 1; a class without images is allowed
 * @param seed - whole number; the same seed gives the same subset
 * @returns `[size]`, ascending, no index twice: the set's own order is kept, batches shuffle later
 * @throws DatasetError when size is not a whole number in 0 … set.count
 */
export function subset(
  set: Pick<ImageSet, "labels" | "count">,
  size: number,
  classes: number,
  seed: number,
): Uint32Array {
  if (!Number.isInteger(size) || size < 0) {
    throw new DatasetError(`subset: expected a whole number of images from 0 to ${set.count}, got ${size}`);
  }
  if (size > set.count) {
    throw new DatasetError(
      `subset: asked for ${size} images, but there are only ${set.count}; ask for at most ${set.count}`,
    );
  }
  if (size === set.count) return Uint32Array.from({ length: size }, (_, i) => i);

  const byClass: number[][] = Array.from({ length: classes }, () => []);
  for (let i = 0; i < set.count; i++) byClass[set.labels[i]!]!.push(i);
  const taken = shares(
    byClass.map((members) => members.length),
    size,
    new Sfc32(seed, 0).permutation(classes),
  );
  const chosen = new Uint32Array(size);
  let at = 0;
  for (let label = 0; label < classes; label++) {
    const members = byClass[label]!;
    const random = new Sfc32(seed, 1, label);
    for (let i = 0; i < taken[label]!; i++) {
      const j = i + random.integer(members.length - i); // the first steps of a Fisher-Yates shuffle
      chosen[at++] = members[j]!;
      members[j] = members[i]!;
    }
  }
  return chosen.sort();
}

/** Deals `size` out to the classes one round at a time; a class leaves when it has no more, `order` says who is first. */
function shares(available: number[], size: number, order: number[]): number[] {
  const taken = available.map(() => 0);
  let left = size;
  while (left > 0) {
    const open = order.filter((label) => taken[label]! < available[label]!);
    const round = Math.floor(left / open.length);
    for (const label of open) {
      const more = round > 0 ? Math.min(round, available[label]! - taken[label]!) : left > 0 ? 1 : 0;
      taken[label]! += more;
      left -= more;
    }
  }
  return taken;
}

/** The images and labels at `indices`, copied, in that order. `[N, C, H, W]` → `[indices.length, C, H, W]`. */
export function take(set: ImageSet, indices: ArrayLike<number>): ImageSet {
  const pixels = set.count > 0 ? set.images.length / set.count : 0;
  const images = new Uint8Array(indices.length * pixels);
  const labels = new Uint8Array(indices.length);
  for (let i = 0; i < indices.length; i++) {
    const from = indices[i]!;
    images.set(set.images.subarray(from * pixels, (from + 1) * pixels), i * pixels);
    labels[i] = set.labels[from]!;
  }
  return { images, labels, count: indices.length };
}

/** How many images each class has, `[classes]`; labels outside 0 … classes - 1 are left out. */
export function classHistogram(labels: Uint8Array, classes: number): number[] {
  const counts = new Array<number>(classes).fill(0);
  for (const label of labels) if (label < classes) counts[label]! += 1;
  return counts;
}
