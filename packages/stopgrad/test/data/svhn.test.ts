import { readFileSync } from "node:fs";
import { truncate } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { dataDirectories } from "../../src/data/locate.js";
import { classHistogram } from "../../src/data/subset.js";
import { svhn, svhnOf } from "../../src/data/svhn.js";
import { messageOf, put, temporaryFolder } from "./made-files.js";
import { type MatFileOptions, matFile } from "./made-mat.js";

const tiny = svhnOf({ train: 5, test: 3 });
const load = (...dataDirs: string[]) => tiny.load({}, { dataDirs });
const remove = "; remove this file, then run `stopgrad data fetch svhn`";

/** Pixel of an image at a place, from 0 to 250: no two neighbours are alike in any direction. */
const pixel = (image: number, channel: number, row: number, column: number) =>
  (row * 3 + column * 50 + channel * 97 + image * 101) % 251;

/** X, `[32, 32, 3, count]` column-major: the row runs fastest. */
function columnMajor(count: number): number[] {
  const X: number[] = [];
  for (let n = 0; n < count; n++) {
    for (let c = 0; c < 3; c++) {
      for (let column = 0; column < 32; column++) {
        for (let row = 0; row < 32; row++) X.push(pixel(n, c, row, column));
      }
    }
  }
  return X;
}

interface Made extends MatFileOptions {
  y?: number[];
  yClass?: 6 | 9;
  size?: number[];
}

function svhnFile(count: number, { y, yClass = 9, size, ...options }: Made = {}): Buffer {
  const dimensions = size ?? [32, 32, 3, count];
  const numbers = y ?? Array.from({ length: count }, (_, i) => (i % 10) + 1);
  return matFile(
    [
      { name: "X", dimensions, numbers: columnMajor(count) },
      { name: "y", dimensions: [numbers.length, 1], numbers, arrayClass: yClass, type: yClass === 6 ? 9 : 2 },
    ],
    options,
  );
}

async function made(train: Buffer | string = svhnFile(5), held: Buffer | string = svhnFile(3), below = "svhn") {
  const folder = await temporaryFolder();
  const path = await put(join(folder, below, "train_32x32.mat"), train);
  await put(join(folder, below, "test_32x32.mat"), held);
  return { folder, path };
}

describe("a set", () => {
  test.each([
    ["in <dir>/svhn", "svhn", {}],
    ["in <dir>, packed, labels as doubles", ".", { packed: true, yClass: 6 as const }],
  ])("%s: rows and columns in place, 10 is the digit 0", async (_, below, options) => {
    const y = [10, 1, 9, 5, 10];
    const { folder } = await made(svhnFile(5, { y, ...options }), svhnFile(3, options), below);
    const { train, test: held, shape, classes, classNames, mean, std, readFrom } = await load("/nowhere", folder);
    expect([train.count, held.count, shape, classes]).toEqual([5, 3, [3, 32, 32], 10]);
    expect([mean, std, readFrom]).toEqual([[0.5, 0.5, 0.5], [0.5, 0.5, 0.5], join(folder, below)]);
    expect([...train.labels].map((label) => classNames[label])).toEqual(["0", "1", "9", "5", "0"]);
    expect([...held.labels]).toEqual([1, 2, 3]);
    for (const [n, c, row, column] of [
      [0, 0, 0, 1],
      [0, 0, 1, 0],
      [4, 2, 31, 0],
      [2, 1, 7, 19],
    ] as const) {
      expect(train.images[((n * 3 + c) * 32 + row) * 32 + column]).toBe(pixel(n, c, row, column));
    }
  });

  test("as SciPy writes it", async () => {
    const recorded = (
      JSON.parse(readFileSync(new URL("../fixtures/mat.json", import.meta.url), "utf8")) as {
        svhn: Record<"plain" | "packed", string>;
      }
    ).svhn;
    const { folder } = await made(Buffer.from(recorded.packed, "base64"), Buffer.from(recorded.plain, "base64"));
    const { train, test: held } = await svhnOf({ train: 2, test: 2 }).load({}, { dataDirs: [folder] });
    expect([...train.labels]).toEqual([0, 3]);
    expect(train.images[((1 * 3 + 2) * 32 + 5) * 32 + 30]).toBe(pixel(1, 2, 5, 30));
    expect(Buffer.compare(train.images, held.images)).toBe(0);
  });

  test("of the official counts is what experiments get", () => {
    expect([svhn.trainCount({}), svhn.testCount({}), svhn.shape({}), svhn.classes({})]).toEqual([
      73_257,
      26_032,
      [3, 32, 32],
      10,
    ]);
    expect(svhn.files!.remote.map(({ url }) => url.split("/").at(-1))).toEqual(["train_32x32.mat", "test_32x32.mat"]);
  });
});

describe("a damaged file", () => {
  test.each([
    [
      "the other split",
      svhnFile(3),
      "expected X of 32 x 32 x 3 x 5 bytes, found 32 x 32 x 3 x 3 (uint8): this is the test file",
    ],
    [
      "another shape",
      svhnFile(5, { size: [32, 3, 32, 5] }),
      "expected X of 32 x 32 x 3 x 5 bytes, found 32 x 3 x 32 x 5 (uint8)",
    ],
    ["a label of 0", svhnFile(5, { y: [1, 2, 0, 4, 5] }), "expected labels from 1 to 10, found 0 at position 2"],
    ["a label of 11", svhnFile(5, { y: [11, 2, 3, 4, 5] }), "expected labels from 1 to 10, found 11 at position 0"],
    [
      "half a label",
      svhnFile(5, { y: [1, 2.5, 3, 4, 5], yClass: 6 }),
      "expected labels from 1 to 10, found 2.5 at position 1",
    ],
    ["too few labels", svhnFile(5, { y: [1, 2, 3, 4] }), "expected y of 5 x 1 labels, found 4 x 1 (uint8)"],
    ["no labels", matFile([{ name: "X", dimensions: [1, 1], numbers: [1] }]), "expected the arrays X and y, found X"],
    ["nothing", matFile([]), "expected the arrays X and y, found neither"],
    [
      "doubles",
      matFile([
        { name: "X", dimensions: [1, 2], numbers: [1, 2], arrayClass: 6, type: 9 },
        { name: "y", dimensions: [5, 1], numbers: [1, 2, 3, 4, 5] },
      ]),
      "expected X of 32 x 32 x 3 x 5 bytes, found 1 x 2 (float64)",
    ],
    [
      "no MAT-file",
      "x".repeat(200),
      'expected a level-5 MAT-file ("IM" or "MI" at byte 126), found first bytes 78 78 78 78',
    ],
    ["a web page", "<!DOCTYPE html><html>", "is a web page (HTML), not data: a download went wrong"],
    ["empty", "", "is empty"],
  ])("%s", async (_, train, what) => {
    const { folder, path } = await made(train);
    expect(await messageOf(load(folder))).toBe(`DatasetError: svhn: ${path}: ${what}${remove}`);
    const checked = await tiny.files!.check(join(folder, "svhn"));
    expect(checked.map(({ problem, images, checksum }) => [problem, images, checksum])).toEqual([
      [`svhn: ${path}: ${what}${remove}`, null, "differs"],
      [null, 3, "differs"],
    ]);
  });

  test.each([
    [{}, /: cut short: expected \d+ bytes after the tag at byte 128, found 3868; remove/],
    [{ packed: true }, /: cut short: expected \d+ bytes after the tag at byte 128, found 264; remove/],
  ])("cut %j", async (options, what) => {
    const { folder, path } = await made(svhnFile(5, options));
    await truncate(path, "packed" in options ? 400 : 4004);
    expect(await messageOf(load(folder))).toMatch(what);
  });

  test("one file lacks", async () => {
    const folder = await temporaryFolder();
    await put(join(folder, "test_32x32.mat"), svhnFile(3));
    const message = await messageOf(load(folder));
    expect(message).toContain(`; ${folder} lacks train_32x32.mat; run \`stopgrad data fetch svhn\``);
    for (const place of tiny.files!.places([folder])) expect(message).toContain(place);
    expect(tiny.files!.find([folder])).toBeNull();
  });
});

const real = dataDirectories().find((dir) => svhn.files!.find([dir]) !== null);
test("the real set, where STOPGRAD_DATA has it: counts of each digit", async ({ skip }) => {
  skip(real === undefined, "svhn is not in STOPGRAD_DATA");
  const { train, test: held } = await svhn.load({}, { dataDirs: [real!] });
  expect(classHistogram(train.labels, 10)).toEqual([4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659]);
  expect(classHistogram(held.labels, 10)).toEqual([1744, 5099, 4149, 2882, 2523, 2384, 1977, 2019, 1660, 1595]);
});
