// Flip and crop against a per-image reference in plain TypeScript: every result is one of the possible ones, all of
// them are equally likely, and the generator's state decides which.
import "../support/one-thread.js";
import { Generator, scope, type Tensor, tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { augment, randomCrop, randomFlip } from "../../src/data/augmentation.js";
import { values } from "../support/formula.js";

const [CHANNELS, HEIGHT, WIDTH] = [3, 5, 6] as const;
const PIXELS = CHANNELS * HEIGHT * WIDTH;

/** uint8 `[count, 3, 5, 6]` of pixels from 1 to 255, so that 0 is padding only. */
function someImages(count: number, name = "pixels"): { images: Tensor; pixels: Uint8Array[] } {
  const all = Uint8Array.from(values(name, count * PIXELS), (v) => 1 + Math.floor((v + 1) * 127.49));
  return {
    images: tensor(all, { shape: [count, CHANNELS, HEIGHT, WIDTH] }),
    pixels: Array.from({ length: count }, (_, i) => all.slice(i * PIXELS, (i + 1) * PIXELS)),
  };
}

const rowsOf = (images: Tensor) => {
  const all = images.toTypedArray() as Uint8Array;
  return Array.from({ length: images.shape[0]! }, (_, i) => all.slice(i * PIXELS, (i + 1) * PIXELS));
};

const key = (image: Uint8Array) => Buffer.from(image).toString("latin1");

function mirrored(image: Uint8Array): Uint8Array {
  return image.map((_, at) => image[at - (at % WIDTH) + (WIDTH - 1 - (at % WIDTH))]!);
}

type Mode = "black" | "reflect";

/** A place beside 0 … size − 1 mirrored at its end, the end itself once: … 2 1 0 1 2 … */
function mirroredAt(place: number, size: number): number {
  if (place < 0) return -place;
  return place < size ? place : 2 * (size - 1) - place;
}

/** The image padded by `padding` and cut out at (`top`, `left`). */
function cropped(image: Uint8Array, padding: number, top: number, left: number, mode: Mode = "black"): Uint8Array {
  return image.map((_, at) => {
    const channel = Math.floor(at / (HEIGHT * WIDTH));
    let y = (Math.floor(at / WIDTH) % HEIGHT) + top - padding;
    let x = (at % WIDTH) + left - padding;
    if (mode === "reflect") [y, x] = [mirroredAt(y, HEIGHT), mirroredAt(x, WIDTH)];
    const inside = y >= 0 && y < HEIGHT && x >= 0 && x < WIDTH;
    return inside ? image[(channel * HEIGHT + y) * WIDTH + x]! : 0;
  });
}

/** Chi-squared statistic of counts that should be equal. */
function unevenness(counts: readonly number[]): number {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

describe("flip", () => {
  test("each image is the image or its mirror image, half of them each", () => {
    scope(() => {
      const { images, pixels } = someImages(2000);
      const flipped = rowsOf(randomFlip(images, new Generator(1)));
      let mirrors = 0;
      for (const [i, image] of flipped.entries()) {
        const isMirror = key(image) === key(mirrored(pixels[i]!));
        if (!isMirror) expect(key(image)).toBe(key(pixels[i]!));
        else mirrors++;
      }
      expect(Math.abs(mirrors - 1000)).toBeLessThan(4 * Math.sqrt(500)); // four standard deviations
    });
  });
});

describe.each([
  [1, "black"],
  [2, "black"],
  [4, "black"],
  [7, "black"],
  [1, "reflect"],
  [2, "reflect"],
  [4, "reflect"],
] as const)("crop with padding %i, %s", (padding, mode) => {
  const places = 2 * padding + 1;

  test("each image is one of the (2p + 1)² cuts, and all places are equally likely", () => {
    scope(() => {
      const count = 40 * places * places;
      const { pixels } = someImages(1);
      const image = pixels[0]!;
      const wherever = new Map<string, number[]>();
      for (let place = 0; place < places * places; place++) {
        const cut = key(cropped(image, padding, Math.floor(place / places), place % places, mode));
        wherever.set(cut, [...(wherever.get(cut) ?? []), place]);
      }
      const images = tensor(image, { shape: [1, CHANNELS, HEIGHT, WIDTH] })
        .expand([count, -1, -1, -1])
        .contiguous();
      const counts = new Map<string, number>();
      for (const cut of rowsOf(randomCrop(images, padding, new Generator(2), mode))) {
        expect(wherever.has(key(cut))).toBe(true);
        counts.set(key(cut), (counts.get(key(cut)) ?? 0) + 1);
      }
      expect(counts.size).toBe(wherever.size);
      // Places that cut out nothing but padding look alike; each of the others is a place of its own.
      const alone = [...wherever].filter(([, at]) => at.length === 1).map(([cut]) => counts.get(cut)!);
      const freedom = alone.length - 1;
      expect(unevenness(alone)).toBeLessThan(freedom + 5 * Math.sqrt(2 * freedom));
    });
  });

  test("channels of an image move together, images on their own", () => {
    scope(() => {
      const { images, pixels } = someImages(64);
      const found = rowsOf(randomCrop(images, padding, new Generator(3), mode)).map((cut, i) => {
        for (let place = 0; place < places * places; place++) {
          const [top, left] = [Math.floor(place / places), place % places];
          if (key(cut) === key(cropped(pixels[i]!, padding, top, left, mode))) return place;
        }
        return -1;
      });
      expect(found).not.toContain(-1);
      expect(new Set(found).size).toBeGreaterThan(Math.min(4, places));
      expect(new Set(found.map((place) => Math.floor(place / places))).size).toBeGreaterThan(1);
      expect(new Set(found.map((place) => place % places)).size).toBeGreaterThan(1);
    });
  });
});

describe("both", () => {
  test("crop, then flip: each image is one of 2 (2p + 1)²", () => {
    scope(() => {
      const { images, pixels } = someImages(100);
      const seen = { mirrored: 0, plain: 0 };
      for (const [i, image] of rowsOf(
        augment(images, { flip: true, crop: { padding: 1 } }, new Generator(4)),
      ).entries()) {
        const cuts = Array.from({ length: 9 }, (_, at) => cropped(pixels[i]!, 1, Math.floor(at / 3), at % 3));
        const plain = cuts.some((cut) => key(cut) === key(image));
        expect(plain || cuts.some((cut) => key(mirrored(cut)) === key(image))).toBe(true);
        seen[plain ? "plain" : "mirrored"]++;
      }
      expect(Math.min(seen.mirrored, seen.plain)).toBeGreaterThan(30);
    });
  });

  test("the generator's state decides, and nothing else draws from it", () => {
    scope(() => {
      const { images } = someImages(32);
      const both = { flip: true, crop: { padding: 2 } };
      const draw = (generator: Generator) => augment(images, both, generator).toNumbers();
      const generator = new Generator(7);
      const state = generator.getState();
      const [first, second] = [draw(generator), draw(generator)];
      expect(second).not.toEqual(first);
      generator.setState(state);
      expect([draw(generator), draw(generator)]).toEqual([first, second]);
      expect(draw(new Generator(7))).toEqual(first);
      expect(draw(new Generator(8))).not.toEqual(first);
    });
  });

  test("nothing to do gives the very tensor back, and asks the generator for nothing", () => {
    scope(() => {
      const { images } = someImages(2);
      const generator = new Generator(9);
      const state = generator.getState().toNumbers();
      expect(augment(images, { flip: false, crop: null }, generator)).toBe(images);
      expect(generator.getState().toNumbers()).toEqual(state);
    });
  });

  test("type, shape and the images themselves stay as they are", () => {
    scope(() => {
      const { images } = someImages(3);
      const before = images.toNumbers();
      const result = augment(images, { flip: true, crop: { padding: 4 } }, new Generator(1));
      expect([result.dtype, ...result.shape]).toEqual(["uint8", 3, CHANNELS, HEIGHT, WIDTH]);
      expect(images.toNumbers()).toEqual(before);
    });
  });
});
