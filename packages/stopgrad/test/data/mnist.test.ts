import { existsSync } from "node:fs";
import { readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { dataDirectories } from "../../src/data/locate.js";
import { mnist } from "../../src/data/mnist.js";
import { idx, labels, messageOf, mnistFiles, put, temporaryFolder } from "./made-files.js";

const files = mnistFiles();
const load = (...dataDirs: string[]) => mnist.load({}, { dataDirs });

async function whole(below = "mnist"): Promise<string> {
  const folder = await temporaryFolder();
  for (const [name, bytes] of Object.entries(files)) await put(join(folder, below, name), bytes);
  return folder;
}

describe("reads", () => {
  test.each(["mnist", "MNIST/raw", "."])("gzipped files in <dir>/%s", async (below) => {
    const folder = await whole(below);
    const { train, test, shape, classes, classNames, mean, std, readFrom } = await load("/nowhere", folder);
    expect([train.count, test.count, shape, classes, classNames.length]).toEqual([60_000, 10_000, [1, 28, 28], 10, 10]);
    expect([mean, std]).toEqual([[0.1307], [0.3081]]);
    expect(readFrom).toBe(join(folder, below));
    expect(train.images).toHaveLength(60_000 * 784);
    expect([...train.images.subarray(0, 3)]).toEqual([7, 0, 0]);
    expect([...train.labels.subarray(8, 12)]).toEqual([8, 9, 0, 1]);
    expect(test.images[0]).toBe(7);
  });

  test("unpacked files, and unpacked content under a name that ends in .gz is refused", async () => {
    const folder = await whole();
    const name = "t10k-labels-idx1-ubyte";
    const path = join(folder, "mnist", `${name}.gz`);
    const content = gunzipSync(await readFile(path));
    await rm(path);
    await put(join(folder, "mnist", name), content);
    expect((await load(folder)).test.labels[9]).toBe(9);
    await put(path, content);
    expect(await messageOf(load(folder))).toBe(
      `DatasetError: mnist: ${path}: expected gzip data, found first bytes 00 00 08 01; remove this file, then run \`stopgrad data fetch mnist\``,
    );
  });

  test("files whose names have a dot before idx", async () => {
    const folder = await whole();
    const at = (name: string) => join(folder, "mnist", name);
    await put(at("t10k-labels.idx1-ubyte"), gunzipSync(files["t10k-labels-idx1-ubyte.gz"]!));
    await rm(at("t10k-labels-idx1-ubyte.gz"));
    expect((await load(folder)).test.count).toBe(10_000);
  });
});

describe("says in one sentence what is wrong", () => {
  const testImages = "t10k-images-idx3-ubyte.gz";
  const testLabels = "t10k-labels-idx1-ubyte.gz";
  const trainLabels = "train-labels-idx1-ubyte.gz";
  const page = "<!DOCTYPE html><html><body>404</body></html>";
  const zip = (bytes: Uint8Array) => gzipSync(bytes, { level: 1 });
  const wrongLabel = labels(10_000);
  wrongLabel[345] = 10;
  const flipped = Buffer.from(files[testImages]!);
  flipped[flipped.length - 6]! ^= 0xff; // in the checksum at the end

  test.each([
    [
      "gzip cut",
      testImages,
      () => files[testImages]!.subarray(0, 5000),
      "cut short: the gzip data stops after 5000 bytes, before its end",
    ],
    ["gzip damaged", testImages, () => flipped, "damaged gzip data (incorrect data check)"],
    ["empty", testImages, () => Buffer.alloc(0), "is empty"],
    ["a web page", testImages, () => page, "is a web page (HTML), not data: a download went wrong"],
    [
      "a packed web page",
      testImages,
      () => zip(Buffer.from(page)),
      "expected an IDX file of images (first bytes 00 00 08 03), found first bytes 3c 21 44 4f",
    ],
    [
      "bad magic",
      testImages,
      () => zip(Buffer.from([0, 0, 9, 3, 0, 0])),
      "expected an IDX file of images (first bytes 00 00 08 03), found first bytes 00 00 09 03",
    ],
    ["labels for images", testImages, () => files[testLabels]!, "expected images, found labels"],
    ["images for labels", testLabels, () => files[testImages]!, "expected labels, found images"],
    [
      "train for test",
      testImages,
      () => files["train-images-idx3-ubyte.gz"]!,
      "expected the 10000 test images, found 60000: this is the train file",
    ],
    [
      "test for train",
      trainLabels,
      () => files[testLabels]!,
      "expected the 60000 train labels, found 10000: this is the test file",
    ],
    [
      "header cut",
      testImages,
      () => zip(idx([10_000, 28, 28]).subarray(0, 10)),
      "cut short: expected a header of 16 bytes, found 10 bytes",
    ],
    ["wrong pixels", testImages, () => zip(idx([10_000, 32, 32])), "expected images of 28 x 28 pixels, found 32 x 32"],
    [
      "too few bytes",
      testImages,
      () => zip(idx([10_000, 28, 28], Buffer.alloc(784 * 9_999))),
      "cut short: expected 7840016 bytes for 10000 images, found 7839232",
    ],
    [
      "too many bytes",
      testLabels,
      () => zip(idx([10_000], labels(10_001))),
      "too long: expected 10008 bytes for 10000 labels, found 10009",
    ],
    [
      "fewer labels than images",
      testLabels,
      () => zip(idx([9_999], labels(9_999))),
      "expected the 10000 test labels, found 9999",
    ],
    [
      "label out of range",
      testLabels,
      () => zip(idx([10_000], wrongLabel)),
      "expected labels from 0 to 9, found 10 at position 345",
    ],
  ])("%s", async (_, file, content, what) => {
    const folder = await whole();
    const path = await put(join(folder, "mnist", file), content());
    const message = `mnist: ${path}: ${what}; remove this file, then run \`stopgrad data fetch mnist\``;
    expect(await messageOf(load(folder))).toBe(`DatasetError: ${message}`);
    // The check finds the same, and finds nothing wrong with the other three.
    const checked = await mnist.files!.check(join(folder, "mnist"));
    expect(checked.map(({ problem }) => problem).filter((problem) => problem !== null)).toEqual([message]);
  });

  test("absent: every place and the command", async () => {
    const message = await messageOf(load("/none", "/nope"));
    for (const place of ["/none/mnist", "/none/MNIST/raw", "/none", "/nope/mnist", "/nope/MNIST/raw", "/nope"]) {
      expect(message).toContain(place);
    }
    expect(message).toContain("run `stopgrad data fetch mnist`, or put the four IDX files");
  });

  test("incomplete: where and what lacks; a whole set elsewhere is taken instead", async () => {
    const folder = await whole();
    await rename(join(folder, "mnist", testLabels), join(folder, testLabels));
    expect(await messageOf(load(folder))).toContain(`; ${join(folder, "mnist")} lacks t10k-labels-idx1-ubyte; run`);
    expect((await load(folder, await whole("MNIST/raw"))).readFrom).toContain("MNIST/raw");
  });
});

const real = dataDirectories().find((dir) => mnist.files!.find([dir]) !== null && existsSync(dir));
test("the real set, where STOPGRAD_DATA has it: counts and normalisation", async ({ skip }) => {
  skip(real === undefined, "mnist is not in STOPGRAD_DATA");
  const { train, test: held, mean, std } = await load(real!);
  const pixels = train.images;
  let sum = 0;
  let squares = 0;
  for (const byte of pixels) {
    sum += byte;
    squares += byte * byte;
  }
  const measured = sum / pixels.length / 255;
  expect(measured).toBeCloseTo(mean[0]!, 4);
  expect(Math.sqrt(squares / pixels.length / 255 ** 2 - measured ** 2)).toBeCloseTo(std[0]!, 4);
  expect([held.count, held.labels.length]).toEqual([10_000, 10_000]);
});
