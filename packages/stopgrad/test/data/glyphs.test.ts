import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { DatasetOptions } from "../../src/data/dataset.js";
import { glyphNames } from "../../src/data/glyph-shapes.js";
import { glyphs } from "../../src/data/glyphs.js";
import { classHistogram } from "../../src/data/subset.js";

const draw = (options: DatasetOptions, train: number, test = 0) => glyphs.load(options, { dataDirs: [], train, test });
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

describe.each([
  { form: "colour", options: { colour: true }, shape: [3, 32, 32] },
  { form: "grey", options: { colour: false }, shape: [1, 28, 28] },
])("glyphs in $form", ({ form, options, shape }) => {
  const pixels = shape[0]! * shape[1]! * shape[2]!;

  test("has the shape and counts it declares", async () => {
    const drawn = await draw(options, 20, 10);
    expect(glyphs.shape(options)).toEqual(shape);
    expect(drawn.shape).toEqual(shape);
    expect(drawn.classNames).toHaveLength(glyphs.classes(options));
    expect([drawn.train.count, drawn.train.labels.length, drawn.train.images.length]).toEqual([20, 20, 20 * pixels]);
    expect([drawn.test.count, drawn.test.labels.length, drawn.test.images.length]).toEqual([10, 10, 10 * pixels]);
    expect(drawn.mean).toHaveLength(shape[0]!);
    expect(drawn.std).toHaveLength(shape[0]!);
  });

  // The same bytes on every platform: what a result on glyphs is compared by. A change here is a new data set.
  test("draws the recorded images", async () => {
    const { train } = await draw(options, 100);
    const recorded = {
      colour: "c3014e0d6d59bbb5dc96f98fcc963e0a1921531e80d966b8a9991ca219b4a83b",
      grey: "c4f5ae72fb50b275a521ed821a131154fbb51bbcec4df0dc864e54a656137f48",
    };
    expect(sha256(train.images)).toBe(recorded[form as keyof typeof recorded]);
    expect([...train.labels.subarray(0, 10)]).toEqual([0, 4, 6, 7, 1, 2, 8, 3, 5, 9]);
  });

  test("a prefix does not depend on how many are asked for", async () => {
    const few = await draw(options, 35, 15);
    const many = await draw(options, 120, 60);
    expect(many.train.images.subarray(0, 35 * pixels)).toEqual(few.train.images);
    expect(many.train.labels.subarray(0, 35)).toEqual(few.train.labels);
    expect(many.test.images.subarray(0, 15 * pixels)).toEqual(few.test.images);
  });

  test("every prefix has each class equally often, to within one", async () => {
    const { train } = await draw(options, 60);
    for (let size = 1; size <= 60; size++) {
      const counts = classHistogram(train.labels.subarray(0, size), 10);
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    }
  });

  test("no image occurs twice, in train, test or under another seed", async () => {
    const sets = [await draw({ ...options, seed: 1 }, 200, 200), await draw({ ...options, seed: 2 }, 200, 200)];
    const all = sets.flatMap(({ train, test }) => [train, test]);
    const sums = all.flatMap(({ images, count }) =>
      Array.from({ length: count }, (_, i) => sha256(images.subarray(i * pixels, (i + 1) * pixels))),
    );
    expect(new Set(sums).size).toBe(800);
  });

  test("its declared mean and standard deviation hold to 0.01", async () => {
    const { train, mean, std } = await draw({ ...options, seed: 5 }, 2000);
    let sum = 0;
    let squares = 0;
    for (const byte of train.images) {
      sum += byte / 255;
      squares += (byte / 255) ** 2;
    }
    const measured = sum / train.images.length;
    expect(Math.abs(measured - mean[0]!)).toBeLessThan(0.01);
    expect(Math.abs(Math.sqrt(squares / train.images.length - measured ** 2) - std[0]!)).toBeLessThan(0.01);
  });

  test("class means say next to nothing: the nearest mean is right in under 20 %", async () => {
    const { train, test } = await draw(options, 2000, 500);
    const means = Array.from({ length: 10 }, () => new Float64Array(pixels));
    for (let i = 0; i < 2000; i++) {
      const mean = means[train.labels[i]!]!;
      for (let p = 0; p < pixels; p++) mean[p]! += train.images[i * pixels + p]! / 200;
    }
    let right = 0;
    for (let i = 0; i < 500; i++) {
      const distances = means.map((mean) => {
        let distance = 0;
        for (let p = 0; p < pixels; p++) distance += (test.images[i * pixels + p]! - mean[p]!) ** 2;
        return distance;
      });
      if (distances.indexOf(Math.min(...distances)) === test.labels[i]) right++;
    }
    expect(right / 500).toBeLessThan(0.2);
  });
});

test("colour and seed 0 are the defaults", async () => {
  const given = await draw({ colour: true, seed: 0 }, 10);
  expect((await draw({}, 10)).train.images).toEqual(given.train.images);
});

test("without a count it has all it declares", async () => {
  const all = await glyphs.load({ colour: false }, { dataDirs: [] });
  expect([all.train.count, all.test.count]).toEqual([glyphs.trainCount({}), glyphs.testCount({})]);
});

test("ten names, no two alike", () => {
  expect(new Set(glyphNames).size).toBe(10);
});

test.each([[{ colour: "yes" }], [{ seed: -1 }], [{ seed: 0.5 }], [{ color: true }]])("refuses %j", (options) => {
  expect(glyphs.options.safeParse(options).success).toBe(false);
});
