// From bytes to batches: normalisation by hand, the order of an epoch, batches and what they leave alive.
import "../support/one-thread.js";
import { Generator, memory, scope, tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import type { Augmentation } from "../../src/data/augmentation.js";
import type { ImageSet, LoadedDataset } from "../../src/data/dataset.js";
import { EpochOrder, normalisationOf, normalise, slice, tensorSet } from "../../src/data/loader.js";
import { expectClose } from "../support/compare.js";

const none: Augmentation = { flip: false, crop: null };

/** Ten classes in turn; image i is filled with i, channel c adds 10 c. */
function made(count: number): ImageSet {
  const images = new Uint8Array(count * 12);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < 3; c++) images.fill(i + 10 * c, i * 12 + c * 4, i * 12 + (c + 1) * 4);
  }
  return { images, labels: Uint8Array.from({ length: count }, (_, i) => i % 10), count };
}

const dataset = (train: ImageSet): LoadedDataset => ({
  name: "made",
  train,
  test: train,
  shape: [3, 2, 2],
  classes: 10,
  classNames: Array.from({ length: 10 }, String),
  mean: [0.4914, 0.4822, 0.4465],
  std: [0.2023, 0.1994, 0.201],
  readFrom: null,
});

const sets = (count: number) => {
  const set = made(count);
  return { set: tensorSet(set, null, dataset(set), 0), normalisation: normalisationOf(dataset(set)) };
};

/** Which images a batch holds, read back from its first pixel. */
function indicesOf(images: { toNumbers(): number[] }): number[] {
  return images.toNumbers().flatMap((v, at) => (at % 12 === 0 ? [Math.round((v * 0.2023 + 0.4914) * 255)] : []));
}

describe("normalisation", () => {
  test("is (pixel / 255 − mean) / std of each channel", () => {
    scope(() => {
      const { set, normalisation } = sets(200);
      const { images, labels } = slice(set, 100, 2, normalisation);
      expect([images.dtype, ...images.shape]).toEqual(["float32", 2, 3, 2, 2]);
      expect([labels.dtype, ...labels.toNumbers()]).toEqual(["int64", 0, 1]);
      const expected = [100, 101].flatMap((pixel) =>
        [0, 1, 2].flatMap((c) => {
          const { mean, std } = dataset(made(1));
          return Array<number>(4).fill(((pixel + 10 * c) / 255 - mean[c]!) / std[c]!);
        }),
      );
      expectClose(images.toNumbers(), expected, 2e-7);
    });
  });

  test("takes fractions of levels too, and leaves its input as it is", () => {
    scope(() => {
      const normalisation = normalisationOf({ mean: [0.5], std: [0.25] });
      const images = tensor([0, 63.75, 191.25, 255]).reshape([1, 1, 2, 2]);
      expectClose(normalise(images, normalisation).toNumbers(), [-2, -1, 1, 2], 1e-6);
      expect(images.toNumbers()).toEqual([0, 63.75, 191.25, 255]);
    });
  });

  test("worked by hand: black and white MNIST pixels", () => {
    scope(() => {
      const normalisation = normalisationOf({ mean: [0.1307], std: [0.3081] });
      const images = tensorSet(
        { images: Uint8Array.from([0, 255]), labels: Uint8Array.from([0]), count: 1 },
        null,
        { ...dataset(made(1)), shape: [1, 1, 2] },
        0,
      ).images;
      expectClose(normalise(images, normalisation).toNumbers(), [-0.42421293, 2.82148653], 1e-7);
      expect(images.toNumbers()).toEqual([0, 255]);
    });
  });
});

describe("one split as tensors", () => {
  test("holds the images as they lie, and the labels", () => {
    scope(() => {
      const set = made(25);
      const tensors = tensorSet(set, null, dataset(set), 0);
      expect([tensors.images.dtype, ...tensors.images.shape]).toEqual(["uint8", 25, 3, 2, 2]);
      expect(tensors.images.toTypedArray()).toEqual(set.images);
      expect(tensors.labels.toNumbers()).toEqual([...set.labels]);
      expect(tensors.count).toBe(25);
    });
  });

  test("a smaller size takes a class-balanced subset, images and labels together", () => {
    scope(() => {
      const set = made(200);
      const { images, labels, count } = tensorSet(set, 40, dataset(set), 3);
      expect([count, ...images.shape]).toEqual([40, 40, 3, 2, 2]);
      const first = images.toNumbers().filter((_, at) => at % 12 === 0);
      expect(first.map((pixel) => pixel % 10)).toEqual(labels.toNumbers());
      for (let label = 0; label < 10; label++) expect(labels.toNumbers().filter((l) => l === label)).toHaveLength(4);
    });
  });
});

describe("an epoch", () => {
  const epoch = (seed: number, count = 103, batch = 16) => {
    const { set, normalisation } = sets(count);
    const order = new EpochOrder(set, batch, new Generator(seed));
    const batches = Array.from({ length: order.batches }, (_, at) =>
      order.get(at, normalisation, none, new Generator(0)),
    );
    return batches.map(({ images, labels }) => ({ indices: indicesOf(images), labels: labels.toNumbers() }));
  };

  test("shows every image once, with its label; the last batch holds what is left", () => {
    scope(() => {
      const batches = epoch(1);
      expect(batches.map(({ indices }) => indices.length)).toEqual([16, 16, 16, 16, 16, 16, 7]);
      const indices = batches.flatMap((batch) => batch.indices);
      expect([...indices].sort((a, b) => a - b)).toEqual(Array.from({ length: 103 }, (_, i) => i));
      expect(batches.flatMap(({ labels }) => labels)).toEqual(indices.map((index) => index % 10));
      expect(indices.slice(0, 16)).not.toEqual(Array.from({ length: 16 }, (_, i) => i));
    });
  });

  test("has the order its generator gives: the same for a seed, another for another or for the next epoch", () => {
    scope(() => {
      expect(epoch(1)).toEqual(epoch(1));
      expect(epoch(1)).not.toEqual(epoch(2));
      const { set, normalisation } = sets(50);
      const generator = new Generator(1);
      const [first, second] = [new EpochOrder(set, 50, generator), new EpochOrder(set, 50, generator)].map((order) =>
        indicesOf(order.get(0, normalisation, none, generator).images),
      );
      expect(second).not.toEqual(first);
    });
  });

  test("places are uniform: an image comes first as often as last", () => {
    scope(() => {
      const { set } = sets(5);
      const counts = Array<number>(25).fill(0);
      const generator = new Generator(11);
      const { normalisation } = sets(5);
      for (let time = 0; time < 1000; time++) {
        scope(() => {
          const order = new EpochOrder(set, 5, generator);
          for (const [place, image] of indicesOf(order.get(0, normalisation, none, generator).images).entries()) {
            counts[5 * place + image]!++;
          }
        });
      }
      const deviation = Math.sqrt(1000 * 0.2 * 0.8);
      for (const count of counts) expect(Math.abs(count - 200)).toBeLessThan(4.5 * deviation);
    });
  });

  test.each([
    [10, 10, [10]],
    [10, 11, [10]],
    [11, 10, [10, 1]],
    [1, 128, [1]],
  ])("%i images in batches of %i: %j", (count, batch, sizes) => {
    scope(() => expect(epoch(1, count, batch).map(({ indices }) => indices.length)).toEqual(sizes));
  });

  test("augmentation draws from its own generator, and only when there is one", () => {
    scope(() => {
      const { set, normalisation } = sets(32);
      const order = new EpochOrder(set, 32, new Generator(1));
      const get = (augmentation: Augmentation, generator: Generator) =>
        order.get(0, normalisation, augmentation, generator).images.toNumbers();
      const generator = new Generator(5);
      const state = generator.getState().toNumbers();
      const plain = get(none, generator);
      expect(generator.getState().toNumbers()).toEqual(state);
      const cropped = get({ flip: true, crop: { padding: 1 } }, generator);
      expect(cropped).not.toEqual(plain);
      expect(cropped).toEqual(get({ flip: true, crop: { padding: 1 } }, new Generator(5)));
      // Padding is black before normalisation, that is −mean / std after it.
      const black = (values: number[]) => values.filter((value) => Math.abs(value + 0.4914 / 0.2023) < 1e-6).length;
      expect(black(cropped)).toBeGreaterThan(black(plain) + 10);
    });
  });

  test("says which images a batch holds: their places in the set", () => {
    scope(() => {
      const { set, normalisation } = sets(103);
      const order = new EpochOrder(set, 16, new Generator(1));
      for (let at = 0; at < order.batches; at++) {
        const { images, indices } = order.get(at, normalisation, none, new Generator(0));
        expect(indices.dtype).toBe("int64");
        expect(indices.toNumbers()).toEqual(indicesOf(images));
      }
    });
  });

  test("of two views shows each image twice, view by view, with one label and one place", () => {
    scope(() => {
      const { set, normalisation } = sets(40);
      const order = new EpochOrder(set, 16, new Generator(1));
      const { images, labels, indices } = order.get(2, normalisation, none, new Generator(0), 2);
      expect(images.shape).toEqual([16, 3, 2, 2]);
      const places = indices.toNumbers();
      expect(indicesOf(images)).toEqual([...places, ...places]);
      expect(labels.toNumbers()).toEqual(places.map((place) => place % 10));
      // What the augmentation says counts where nothing else is said.
      const drawn = { flip: true, crop: { padding: 1 } };
      const get = (augmentation: Augmentation, views?: 1 | 2) =>
        order.get(0, normalisation, augmentation, new Generator(3), views).images;
      expect(get({ ...drawn, views: 2 }).equal(get(drawn, 2))).toBe(true);
      expect(get({ ...drawn, views: 2 }, 1).equal(get(drawn))).toBe(true);
      const [first, second] = get(drawn, 2).chunk(2);
      expect(first!.equal(second!)).toBe(false);
    });
  });

  test("of contrastive views is normalised from fractions of levels", () => {
    scope(() => {
      const { set, normalisation } = sets(40);
      const order = new EpochOrder(set, 40, new Generator(1));
      const resizedCrop = { size: 5, scale: [0.5, 1], ratio: [0.75, 1.3], resizeTo: null } as const;
      const { images, indices } = order.get(0, normalisation, { ...none, resizedCrop }, new Generator(2), 2);
      expect(images.shape).toEqual([80, 3, 5, 5]);
      const red = images.select(1, 0).select(1, 2).select(1, 3).toNumbers();
      const expected = indices.toNumbers().map((place) => (place / 255 - 0.4914) / 0.2023);
      expectClose(red, [...expected, ...expected], 1e-6);
    });
  });

  test("a batch leaves three tensors alive, and an epoch its order until it is disposed", () => {
    const { set, normalisation } = sets(64);
    const before = memory();
    const order = new EpochOrder(set, 16, new Generator(1));
    const batch = order.get(3, normalisation, { flip: true, crop: { padding: 1 } }, new Generator(2));
    expect(memory().liveTensors).toBe(before.liveTensors + 4);
    for (const part of [batch.images, batch.labels, batch.indices]) part.dispose();
    order.dispose();
    const { liveTensors, liveBytes } = memory();
    expect([liveTensors, liveBytes]).toEqual([before.liveTensors, before.liveBytes]);
  });
});
