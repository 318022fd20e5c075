// Resized crops, jitter and grey: what given parameters do, against torchvision's results (fixtures/record-views.py), and
// how parameters are drawn, against torchvision's counts and their definition.
import "../support/one-thread.js";
import { readFileSync } from "node:fs";
import { Generator, memory, scope, type Tensor, tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import {
  type AugmentSettings,
  augmentSettings,
  impossibleFor,
  trainingShape,
} from "../../src/data/augment-settings.js";
import { augment } from "../../src/data/augmentation.js";
import {
  BRIGHTNESS,
  CONTRAST,
  drawJitter,
  greyOf,
  greyWhere,
  HUE,
  jitter,
  SATURATION,
  shiftHue,
} from "../../src/data/colour.js";
import { cropAndResize, drawBoxes } from "../../src/data/resized-crop.js";
import { expectClose } from "../support/compare.js";
import { type Summary, summaryError, summaryOf, values } from "../support/formula.js";

type Box = [top: number, left: number, height: number, width: number];

/** What record-views.py wrote: values from 0 to 1. */
const figures = JSON.parse(readFileSync(new URL("../fixtures/views.json", import.meta.url), "utf8")) as {
  crops: {
    name: string;
    shape: [number, number, number];
    boxes: Box[];
    size: number;
    resizeTo: number | null;
    mirrored: boolean[] | null;
    summaries: Summary[];
    first: number[][];
  }[];
  fallbacks: { size: [number, number]; scale: [number, number]; ratio: [number, number]; box: Box }[];
  drawings: { size: [number, number]; scale: [number, number]; ratio: [number, number]; counts: number[][] }[];
  single: { operation: "brightness" | "contrast" | "saturation" | "hue"; factor: number; result: number[] }[];
  jitter: { orders: number[][]; factors: number[][]; results: number[][] };
  oneChannel: { orders: number[][]; factors: number[][]; results: number[][] };
  grey: number[][];
};

/** uint8 `shape` of whole numbers from 0 to 255. */
function pixels(name: string, shape: readonly number[]): Tensor {
  const count = shape.reduce((product, size) => product * size, 1);
  return tensor(
    Uint8Array.from(values(name, count), (v) => Math.floor((v + 1) * 128)),
    { shape },
  );
}

const SPECIAL = "000000 ffffff 4d4d4d ff0000 00ff00 0000ff c8c80a 0ac8c8 c80ac8 000001 feffff".split(" ");

/** Random pixels, and some that have no hue, or one at the border between two. */
function colourful(name: string, count: number, height: number, width: number): Tensor {
  const bytes = pixels(name, [count, 3, height, width]).toTypedArray() as Uint8Array;
  for (let image = 0; image < count; image++) {
    for (const [at, colour] of SPECIAL.entries()) {
      for (let c = 0; c < 3; c++) {
        bytes[(image * 3 + c) * height * width + at] = Number.parseInt(colour.slice(2 * c, 2 * c + 2), 16);
      }
    }
  }
  return tensor(bytes, { shape: [count, 3, height, width] });
}

const integers = (rows: readonly (readonly number[])[]) =>
  tensor(BigInt64Array.from(rows.flat(), BigInt), { shape: [rows.length, rows[0]!.length] });

/** Every image of a batch as its numbers from 0 to 1. */
const rowsOf = (images: Tensor) =>
  images
    .div(255)
    .unbind(0)
    .map((image) => image.toNumbers());

const columnsOf = (table: Tensor) => table.unbind(1).map((column) => column.toNumbers());

/** Statistic, and how much it should be at most: five standard deviations above what it is when nothing differs. */
function twoSamples(a: readonly number[], b: readonly number[]): { statistic: number; most: number } {
  const total = (counts: readonly number[]) => counts.reduce((sum, count) => sum + count, 0);
  const [sumA, sumB] = [total(a), total(b)];
  let statistic = 0;
  let cells = 0;
  // Neighbouring cells with few counts are taken together.
  for (let at = 0, inA = 0, inB = 0; at < a.length; at++) {
    inA += a[at]!;
    inB += b[at]!;
    if (inA + inB < 20) continue;
    statistic += (inA * Math.sqrt(sumB / sumA) - inB * Math.sqrt(sumA / sumB)) ** 2 / (inA + inB);
    cells++;
    inA = 0;
    inB = 0;
  }
  return { statistic, most: cells + 5 * Math.sqrt(2 * cells) };
}

function expectUniform(numbers: readonly number[], from: number, to: number, cells = 20): void {
  const counts = Array<number>(cells).fill(0);
  expect(numbers.filter((number) => !(number >= from && number <= to))).toEqual([]);
  for (const number of numbers) {
    counts[Math.min(cells - 1, Math.floor(((number - from) / (to - from)) * cells))]!++;
  }
  const expected = numbers.length / cells;
  const statistic = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  expect(statistic).toBeLessThan(cells + 5 * Math.sqrt(2 * cells));
}

const settings = (written: unknown): AugmentSettings => augmentSettings.parse(written);
const contrastive = settings({ preset: "contrastive" });

describe("resized crops", () => {
  test.each(figures.crops)("$name of $shape to $size are torchvision's", (recorded) => {
    scope(() => {
      const { name, shape, boxes, size, resizeTo, mirrored } = recorded;
      const images = pixels(name, [boxes.length, ...shape]);
      const options = { size, resizeTo, ...(mirrored && { mirrored: tensor(mirrored) }) };
      const result = cropAndResize(images, integers(boxes), options);
      const side = resizeTo ?? size;
      expect([result.dtype, ...result.shape]).toEqual(["float32", boxes.length, shape[0], side, side]);
      expect(trainingShape({ resizedCrop: { size, resizeTo, scale: [1, 1], ratio: [1, 1] } }, shape)).toEqual([
        shape[0],
        side,
        side,
      ]);
      for (const [at, image] of result.div(255).unbind(0).entries()) {
        expectClose(image.toNumbers().slice(0, 40), recorded.first[at]!, 2e-6);
        expect(summaryError(summaryOf(image), recorded.summaries[at]!, image.numel)).toBeLessThan(2e-6);
      }
    });
  });

  test("of the whole image in its own size change nothing", () => {
    scope(() => {
      const images = pixels("whole", [2, 3, 9, 9]);
      const same = cropAndResize(
        images,
        integers([
          [0, 0, 9, 9],
          [0, 0, 9, 9],
        ]),
        { size: 9, resizeTo: null },
      );
      expect(same.toNumbers()).toEqual(images.toNumbers());
    });
  });

  test.each(figures.fallbacks)("where no part of $size fits the ratio $ratio, the middle is taken", (recorded) => {
    scope(() => {
      const boxes = drawBoxes(50, recorded.size, recorded, new Generator(1));
      expect(boxes.dtype).toBe("int64");
      for (const box of boxes.toNested() as Box[]) expect(box).toEqual(recorded.box);
    });
  });

  test.each(figures.drawings)("of $size, scale $scale, are drawn as often as torchvision's", (recorded) => {
    scope(() => {
      const [height, width] = recorded.size;
      const boxes = drawBoxes(20000, recorded.size, recorded, new Generator(2));
      for (const [at, column] of columnsOf(boxes).entries()) {
        const counts = recorded.counts[at]!.map(() => 0);
        for (const value of column) counts[value]!++;
        const { statistic, most } = twoSamples(counts, recorded.counts[at]!);
        expect(statistic).toBeLessThan(most);
      }
      const slack = (side: number) => 1 / side + 1 / side ** 2; // whole pixels
      const wrong = (boxes.toNested() as Box[]).filter(([top, left, h, w]) => {
        const rounding = 1 + slack(h) + slack(w);
        const area = (h * w) / (height * width);
        const inside = top >= 0 && left >= 0 && top + h <= height && left + w <= width;
        const large = area * rounding >= recorded.scale[0] && area / rounding <= recorded.scale[1];
        const shaped = (w / h) * rounding >= recorded.ratio[0] && w / h / rounding <= recorded.ratio[1];
        return !(inside && large && shaped);
      });
      expect(wrong).toEqual([]);
    });
  });

  test("come from every place where they fit, as often from one as from another", () => {
    scope(() => {
      const boxes = drawBoxes(40000, [8, 8], { scale: [0.25, 0.25], ratio: [1, 1] }, new Generator(3));
      const counts = Array<number>(25).fill(0);
      expect(boxes.narrow(1, 2, 2).eq(4).all().item()).toBe(1);
      for (const [top, left] of boxes.toNested() as Box[]) counts[5 * top + left]!++;
      const statistic = counts.reduce((sum, count) => sum + (count - 1600) ** 2 / 1600, 0);
      expect(statistic).toBeLessThan(24 + 5 * Math.sqrt(48));
    });
  });
});

const OPERATIONS = { brightness: BRIGHTNESS, contrast: CONTRAST, saturation: SATURATION, hue: HUE };

describe("colours", () => {
  test.each(figures.single)("$operation by $factor is torchvision's", ({ operation, factor, result }) => {
    scope(() => {
      const column = OPERATIONS[operation];
      const factors = [1, 1, 1, 0].map((neutral, at) => (at === column ? factor : neutral));
      // The others do nothing, wherever in the order they come.
      for (const order of [
        [0, 1, 2, 3],
        [3, 2, 1, 0],
        [2, 3, 0, 1],
      ]) {
        const images = colourful("single", 1, 4, 5).to("float32");
        const changed = jitter(images, { order: integers([order]), factors: tensor([factors]) });
        expectClose(changed.div(255).toNumbers(), result, 2e-6);
      }
    });
  });

  test("in all 24 orders, each image its own, are torchvision's", () => {
    scope(() => {
      const { orders, factors, results } = figures.jitter;
      expect(new Set(orders.map(String)).size).toBe(24);
      const images = colourful("orders", 24, 4, 5).to("float32");
      const before = images.toNumbers();
      const changed = jitter(images, { order: integers(orders), factors: tensor(factors) });
      for (const [at, row] of rowsOf(changed).entries()) expectClose(row, results[at]!, 4e-6);
      expect(images.toNumbers()).toEqual(before);
    });
  });

  test("of one channel: brightness and contrast change as torchvision's, saturation and hue do nothing", () => {
    scope(() => {
      const { orders, factors, results } = figures.oneChannel;
      const images = pixels("one channel", [3, 1, 4, 5]).to("float32");
      const changed = jitter(images, { order: integers(orders), factors: tensor(factors) });
      for (const [at, row] of rowsOf(changed).entries()) expectClose(row, results[at]!, 2e-6);
      expect(greyWhere(images, tensor([true, true, true]))).toBe(images);
    });
  });

  test("grey is torchvision's, in three equal channels, where chosen", () => {
    scope(() => {
      const images = colourful("grey", 2, 4, 5).to("float32");
      const grey = greyWhere(images, tensor([false, true]));
      expect(grey.select(0, 0).equal(images.select(0, 0))).toBe(true);
      expectClose(grey.select(0, 1).div(255).toNumbers(), figures.grey[1]!, 1e-6);
    });
  });

  test("a third of a turn makes red green and green blue; a whole turn and none change nothing", () => {
    scope(() => {
      const colours = tensor([
        [255, 0, 0],
        [0, 200, 0],
        [30, 30, 90],
        [128, 128, 128],
      ]).reshape([4, 3, 1, 1]);
      const shifted = (turns: number) => shiftHue(colours, tensor([turns, turns, turns, turns])).toNumbers();
      expectClose(shifted(1 / 3), [0, 255, 0, 0, 0, 200, 90, 30, 30, 128, 128, 128], 1e-5);
      expectClose(shifted(-1 / 3), [0, 0, 255, 200, 0, 0, 30, 90, 30, 128, 128, 128], 1e-5);
      for (const turns of [0, 1, -1]) expectClose(shifted(turns), colours.toNumbers(), 1e-5);
    });
  });

  test("an image with factors that change nothing stays as it is to the last bit", () => {
    scope(() => {
      const images = colourful("still", 6, 8, 7).to("float32").mul(0.37);
      const { order } = drawJitter(6, { ...contrastive.jitter!, probability: 0 }, new Generator(1));
      const factors = tensor(Array.from({ length: 6 }, () => [1, 1, 1, 0]));
      expect(jitter(images, { order, factors }).equal(images)).toBe(true);
    });
  });

  test("need one or three channels", () => {
    scope(() => {
      const images = pixels("two", [2, 2, 4, 4]).to("float32");
      const drawn = drawJitter(2, contrastive.jitter!, new Generator(1));
      expect(() => jitter(images, drawn)).toThrow("jitter: expected images [N, 1 or 3, H, W], got [2, 2, 4, 4]");
      expect(() => greyWhere(images, tensor([true, true]))).toThrow(/^grey: expected images/);
    });
  });
});

describe("jitter is drawn", () => {
  test("for the share of images that its probability says; the others' factors change nothing", () => {
    scope(() => {
      const { factors } = drawJitter(20000, contrastive.jitter!, new Generator(4));
      const rows = factors.toNested() as number[][];
      const still = rows.filter((row) => String(row) === "1,1,1,0").length;
      expect(Math.abs(still - 4000)).toBeLessThan(5 * Math.sqrt(20000 * 0.2 * 0.8));
      for (const [probability, share] of [
        [0, 20000],
        [1, 0],
      ] as const) {
        const drawn = drawJitter(20000, { ...contrastive.jitter!, probability }, new Generator(4)).factors;
        const count = (drawn.toNested() as number[][]).filter((row) => String(row) === "1,1,1,0").length;
        expect(count).toBe(share);
      }
    });
  });

  test("with uniform factors, each within its range, and with all orders equally likely", () => {
    scope(() => {
      const strengths = { brightness: 0.4, contrast: 0.3, saturation: 1.5, hue: 0.1, probability: 1 };
      const { factors, order } = drawJitter(24000, strengths, new Generator(5));
      const [brightness, contrast, saturation, hue] = columnsOf(factors) as [number[], number[], number[], number[]];
      const rounding = 1e-6;
      expectUniform(brightness, 0.6 - rounding, 1.4 + rounding);
      expectUniform(contrast, 0.7 - rounding, 1.3 + rounding);
      expectUniform(saturation, 0, 2.5 + rounding);
      expectUniform(hue, -0.1 - rounding, 0.1 + rounding);
      const counts = new Map<string, number>();
      for (const row of order.toNested() as number[][]) counts.set(String(row), (counts.get(String(row)) ?? 0) + 1);
      expect(counts.size).toBe(24);
      const statistic = [...counts.values()].reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
      expect(statistic).toBeLessThan(23 + 5 * Math.sqrt(46));
    });
  });

  test("independently: no factor follows another, and none the order", () => {
    scope(() => {
      const { factors, order } = drawJitter(20000, { ...contrastive.jitter!, probability: 1 }, new Generator(6));
      const columns = [...columnsOf(factors), ...columnsOf(order).slice(0, 1)].map((column) => {
        const mean = column.reduce((sum, v) => sum + v, 0) / column.length;
        const std = Math.sqrt(column.reduce((sum, v) => sum + (v - mean) ** 2, 0) / column.length);
        return column.map((v) => (v - mean) / std);
      });
      for (let a = 0; a < columns.length; a++) {
        for (let b = 0; b < a; b++) {
          const correlation = columns[a]!.reduce((sum, v, i) => sum + v * columns[b]![i]!, 0) / 20000;
          expect(Math.abs(correlation)).toBeLessThan(5 / Math.sqrt(20000));
        }
      }
    });
  });
});

describe("views", () => {
  test.each([
    ["CIFAR's", [8, 3, 32, 32], [16, 3, 28, 28], contrastive],
    [
      "CIFAR's for VGG",
      [8, 3, 32, 32],
      [16, 3, 32, 32],
      settings({ preset: "contrastive", resizedCrop: { resizeTo: 32 } }),
    ],
    ["MNIST's", [5, 1, 28, 28], [10, 1, 28, 28], contrastive],
    ["STL-10's", [3, 3, 96, 96], [6, 3, 96, 96], settings({ preset: "contrastive", resizedCrop: { size: 96 } })],
    ["wide images'", [4, 3, 20, 33], [8, 3, 28, 28], contrastive],
    ["one image's", [1, 3, 32, 32], [2, 3, 28, 28], contrastive],
    ["tiny images'", [4, 3, 1, 2], [8, 3, 28, 28], contrastive],
  ])("%s have the shape that is said, values from 0 to 255, and differ", (_, shape, expected, augmentation) => {
    scope(() => {
      const images = pixels("views", shape);
      const generator = new Generator(1);
      const views = augment(images, augmentation, generator, 2);
      expect([views.dtype, ...views.shape]).toEqual(["float32", ...expected]);
      expect(trainingShape(augmentation, shape.slice(1))).toEqual(expected.slice(1));
      expect(views.amin().item()).toBeGreaterThanOrEqual(0);
      expect(views.amax().item()).toBeLessThanOrEqual(255.001);
      const rows = rowsOf(views).map((row) => row.join());
      expect(new Set(rows).size).toBeGreaterThan(rows.length * 0.6);
      const again = augment(images, augmentation, new Generator(1), 2);
      expect(again.equal(views)).toBe(true);
      expect(augment(images, augmentation, generator, 2).equal(views)).toBe(false);
    });
  });

  test("come view by view: row v · N + i is made of image i", () => {
    scope(() => {
      // Image i has the one colour i, which no crop or flip changes.
      const images = tensor(
        Uint8Array.from({ length: 6 * 3 * 64 }, (_, at) => Math.floor(at / 192)),
        {
          shape: [6, 3, 8, 8],
        },
      );
      const cropped = settings({ flip: true, resizedCrop: { size: 5 }, views: 2 });
      const first = augment(images, cropped, new Generator(1)).select(1, 0).select(1, 0).select(1, 0).toNumbers();
      expectClose(first, [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5], 1e-6);
    });
  });

  test("are drawn for each on its own: parts of one image, seen twice, are as different as parts of two", () => {
    scope(() => {
      const images = pixels("own", [64, 3, 16, 16]).select(0, 0).unsqueeze(0).expand([64, -1, -1, -1]).contiguous();
      const rows = rowsOf(augment(images, { ...contrastive, grey: 0 }, new Generator(2), 2)).map((row) => row.join());
      expect(new Set(rows).size).toBe(128);
    });
  });

  test("lose their colours as often as grey says, and each view by itself", () => {
    scope(() => {
      const images = pixels("colourless", [2000, 3, 4, 4]);
      const views = augment(images, settings({ grey: 0.2, views: 2 }), new Generator(3));
      const [red, green, blue] = views.unbind(1) as [Tensor, Tensor, Tensor];
      const isGrey = red.eq(green).logicalAnd(green.eq(blue)).reshape([2, 2000, 16]).all(2);
      const [first, second] = (isGrey.toNested() as number[][]).map((row) => row.map(Boolean));
      const count = (found: boolean[]) => found.filter(Boolean).length;
      for (const row of [first!, second!]) {
        expect(Math.abs(count(row) - 400)).toBeLessThan(5 * Math.sqrt(2000 * 0.2 * 0.8));
      }
      const both = count(first!.map((one, i) => one && second![i]!));
      expect(Math.abs(both - 80)).toBeLessThan(5 * Math.sqrt(80));
      expectClose(
        views.select(0, first!.indexOf(true)).select(0, 1).toNumbers(),
        greyOf(images.to("float32")).select(0, first!.indexOf(true)).toNumbers(),
        1e-6,
      );
    });
  });

  test("are mirrored half of the time, with a resized crop too", () => {
    scope(() => {
      const images = pixels("mirrored", [1, 3, 6, 6]).expand([2000, -1, -1, -1]).contiguous();
      const whole = settings({ flip: true, resizedCrop: { size: 6, scale: [1, 1], ratio: [1, 1] } });
      const [plain, mirrored] = [images.narrow(0, 0, 1), images.narrow(0, 0, 1).flip([3])].map((image) =>
        image.to("float32").toNumbers().join(),
      );
      const rows = augment(images, whole, new Generator(4))
        .unbind(0)
        .map((image) => image.toNumbers().join());
      const mirrors = rows.filter((row) => row === mirrored).length;
      expect(mirrors + rows.filter((row) => row === plain).length).toBe(2000);
      expect(Math.abs(mirrors - 1000)).toBeLessThan(5 * Math.sqrt(500));
    });
  });

  test("of crop and flip alone stay uint8", () => {
    scope(() => {
      const images = pixels("bytes", [4, 3, 6, 6]);
      const views = augment(
        images,
        settings({ flip: true, crop: { padding: 2, mode: "reflect" } }),
        new Generator(1),
        2,
      );
      expect([views.dtype, ...views.shape]).toEqual(["uint8", 8, 3, 6, 6]);
      expect(augment(images, settings({}), new Generator(1))).toBe(images);
    });
  });

  test("leave one tensor alive", () => {
    const images = pixels("alive", [4, 3, 8, 8]);
    const generator = new Generator(1);
    const before = memory().liveTensors;
    const views = augment(images, contrastive, generator, 2);
    expect(memory().liveTensors).toBe(before + 1);
    views.dispose();
    images.dispose();
  });

  test("that images of a shape do not allow are refused in one sentence", () => {
    const reflect = settings({ crop: { padding: 8, mode: "reflect" } });
    expect(impossibleFor(reflect, [3, 8, 10])).toEqual({
      path: ["crop", "padding"],
      message: "expected at most 7 for images of 8x10 mirrored at their edges, got 8",
    });
    expect(impossibleFor(reflect, [3, 9, 10])).toBeNull();
    expect(impossibleFor(settings({ crop: { padding: 8 } }), [3, 8, 10])).toBeNull();
    expect(impossibleFor(contrastive, [4, 8, 8])?.path).toEqual(["jitter"]);
    expect(impossibleFor(settings({ grey: 1 }), [2, 8, 8])?.message).toBe(
      "changes colours, which needs images of 1 or 3 channels, got 2",
    );
    expect(impossibleFor(contrastive, [1, 8, 8])).toBeNull();
    scope(() => {
      expect(() => augment(pixels("small", [2, 3, 8, 8]), reflect, new Generator(1))).toThrow(
        /^data\.augment\.crop\.padding: expected at most 7/,
      );
    });
  });
});

describe("settings", () => {
  test("are off by default", () => {
    const off = { flip: false, crop: null, resizedCrop: null, jitter: null, grey: 0, views: null };
    expect(settings({})).toEqual(off);
  });

  test("of the contrastive preset are papers.md's, and what is written beside it holds", () => {
    const all = {
      flip: true,
      crop: null,
      resizedCrop: { size: 28, scale: [0.2, 1], ratio: [3 / 4, 4 / 3], resizeTo: null },
      jitter: { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1, probability: 0.8 },
      grey: 0.2,
      views: null,
    };
    expect(contrastive).toEqual(all);
    const written = { preset: "contrastive", flip: false, resizedCrop: { resizeTo: 32 }, grey: 0, views: 1 };
    const changed = { ...all, flip: false, resizedCrop: { ...all.resizedCrop, resizeTo: 32 }, grey: 0, views: 1 };
    expect(settings(written)).toEqual(changed);
    expect(settings(settings(written))).toEqual(changed); // stored settings are read again
  });

  test.each([
    [{ resizedCrop: { scale: [1, 0.2] } }, "expected the smaller number first, got [1, 0.2]; write [0.2, 1]"],
    [{ resizedCrop: { ratio: [2, 1] } }, "expected the smaller number first, got [2, 1]; write [1, 2]"],
    [
      { crop: { padding: 4 }, resizedCrop: {} },
      "cuts images to their own size and cannot be combined with resizedCrop; leave one of them out",
    ],
    [
      { crop: { padding: 4 }, preset: "contrastive" },
      "cuts images to their own size and cannot be combined with preset: contrastive, which has a resizedCrop; " +
        "leave one of them out",
    ],
  ])("%j: %s", (written, message) => {
    expect(augmentSettings.safeParse(written).error?.issues.map((issue) => issue.message)).toEqual([message]);
  });

  test.each([
    { resizedCrop: { size: 0 } },
    { resizedCrop: { scale: [0, 1] } },
    { resizedCrop: { scale: [0.2, 1.5] } },
    { resizedCrop: { ratio: [0, 1] } },
    { resizedCrop: { resizeTo: -1 } },
    { jitter: { hue: 0.6 } },
    { jitter: { probability: 1.1 } },
    { jitter: { brightness: -0.1 } },
    { grey: 2 },
    { views: 3 },
    { crop: { padding: 4, mode: "white" } },
    { preset: "simclr" },
  ])("%j is refused", (written) => {
    expect(augmentSettings.safeParse(written).error?.issues).toHaveLength(1);
  });
});
