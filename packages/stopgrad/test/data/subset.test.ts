import { expect, test } from "vitest";
import { classHistogram, subset, take } from "../../src/data/subset.js";

/** counts[c] images of class c, mixed. */
function labelled(...counts: number[]) {
  const labels = Uint8Array.from(counts.flatMap((count, label) => new Array<number>(count).fill(label)));
  for (let i = 0; i < labels.length; i++) {
    const j = (i * 7919 + 13) % labels.length;
    [labels[i], labels[j]] = [labels[j]!, labels[i]!];
  }
  return { labels, count: labels.length };
}
const histogram = (set: { labels: Uint8Array }, chosen: Uint32Array, classes: number) =>
  classHistogram(
    Uint8Array.from(chosen, (i) => set.labels[i]!),
    classes,
  );

test("ascending, without repeats, of the size asked for", () => {
  const set = labelled(40, 50, 60);
  for (const size of [0, 1, 2, 3, 47, 119, 150]) {
    const chosen = [...subset(set, size, 3, 1)];
    expect(chosen).toHaveLength(size);
    expect(chosen).toEqual([...new Set(chosen)].sort((a, b) => a - b));
    expect(chosen.every((i) => i >= 0 && i < set.count)).toBe(true);
  }
});

test("class counts differ by at most one while every class has enough", () => {
  const set = labelled(40, 50, 60, 70);
  for (let size = 0; size <= 160; size++) {
    const counts = histogram(set, subset(set, size, 4, 3), 4);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
  }
});

test("a class with too few gives all it has, the others share the rest evenly", () => {
  const set = labelled(5, 100, 100, 0, 100);
  expect(histogram(set, subset(set, 125, 5, 2), 5)).toEqual([5, 40, 40, 0, 40]);
});

test("the seed decides, also which class gives one more", () => {
  const set = labelled(50, 50, 50, 50);
  expect(subset(set, 21, 4, 1)).toEqual(subset(set, 21, 4, 1));
  expect(subset(set, 21, 4, 1)).not.toEqual(subset(set, 21, 4, 2));
  const one = (seed: number) => set.labels[subset(set, 1, 4, seed)[0]!]!;
  expect(new Set(Array.from({ length: 40 }, (_, seed) => one(seed))).size).toBe(4);
});

test("a smaller subset lies within a larger one of the same seed", () => {
  const set = labelled(9, 50, 30, 44);
  for (let size = 1; size < set.count; size++) {
    const larger = new Set(subset(set, size + 1, 4, 8));
    expect(subset(set, size, 4, 8).every((i) => larger.has(i))).toBe(true);
  }
});

test("every image is as likely as any other of its class", () => {
  const set = labelled(10, 10);
  const counts = new Array<number>(20).fill(0);
  for (let seed = 0; seed < 2000; seed++) for (const i of subset(set, 4, 2, seed)) counts[i]! += 1;
  for (const count of counts) expect(Math.abs(count - 400)).toBeLessThan(90); // 5 standard deviations
});

test.each([
  [11, "subset: asked for 11 images, but there are only 10; ask for at most 10"],
  [-1, "subset: expected a whole number of images from 0 to 10, got -1"],
  [2.5, "subset: expected a whole number of images from 0 to 10, got 2.5"],
])("size %d is one clear error", (size, message) => {
  expect(() => subset(labelled(5, 5), size, 2, 1)).toThrow(message);
});

test("take copies the images and labels asked for, in that order", () => {
  const set = { images: Uint8Array.of(1, 2, 3, 4, 5, 6), labels: Uint8Array.of(7, 8, 9), count: 3 };
  const taken = take(set, [2, 0]);
  expect(taken).toEqual({ images: Uint8Array.of(5, 6, 1, 2), labels: Uint8Array.of(9, 7), count: 2 });
});
