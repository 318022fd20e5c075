// Folders of class folders: which images, what they look like, the split, the cache, and a training on them. Images are
// drawn here, with sharp as an encoder; what is checked is where colours end up.
import "../support/one-thread.js";
import { createHash } from "node:crypto";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { mkdir, rm, truncate } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { findImages } from "../../src/data/class-folders.js";
import { DatasetError, type LoadContext } from "../../src/data/dataset.js";
import { isFile } from "../../src/data/files.js";
import { folder } from "../../src/data/folder.js";
import { decodeImages } from "../../src/data/image-files.js";
import { sumOfImages } from "../../src/data/image-sums.js";
import { documentFromText } from "../../src/experiment/document.js";
import { runId, settingsHash } from "../../src/experiment/identity.js";
import type { TrainingEvent } from "../../src/experiment/protocol.js";
import { settingsSchema } from "../../src/experiment/registries.js";
import { experimentText } from "../../src/experiment/repeat.js";
import { train } from "../../src/experiment/trainer.js";
import { messageOf, put, temporaryFolder } from "./made-files.js";

type Colour = readonly [red: number, green: number, blue: number];
const black: Colour = [0, 0, 0];
const red: Colour = [255, 0, 0];
const green: Colour = [0, 255, 0];
const blue: Colour = [0, 0, 255];

let cache = "";
beforeEach(async () => {
  cache = join(await temporaryFolder(), "cache");
  vi.stubEnv("STOPGRAD_CACHE", cache);
  return () => vi.unstubAllEnvs();
});

/** An image by its pixels, as an encoder that can still be told what to write. */
function drawn(width: number, height: number, colour: (x: number, y: number) => readonly number[]) {
  const pixels = Array.from({ length: width * height }, (_, i) => colour(i % width, Math.floor(i / width)));
  const channels = pixels[0]!.length as 1 | 3 | 4;
  return sharp(Uint8Array.from(pixels.flat()), { raw: { width, height, channels } });
}
const png = (colour: readonly number[], size = 8) =>
  drawn(size, size, () => colour)
    .png()
    .toBuffer();

/** Two classes, a and b, whose first image is `image`. */
async function twoClasses(image: Uint8Array | string, name = "0.png"): Promise<string> {
  const root = await temporaryFolder();
  await put(join(root, "a", name), image);
  await put(join(root, "a", "1.png"), await png(black));
  await put(join(root, "b", "0.png"), await png(black));
  await put(join(root, "b", "1.png"), await png(black));
  return root;
}

const load = (path: string, options: object = {}, context: Partial<LoadContext> = {}) =>
  folder.load(folder.options.parse({ path, ...options }), { dataDirs: [], ...context });

/** The loaded image of a path, wherever the split put it, as a function of the place. */
async function shown(root: string, name: string, options: { size: number; [option: string]: unknown }) {
  const { images } = findImages(root, { testFraction: 0.2, seed: 0 });
  const at = images.findIndex((image) => image.name === name);
  const { train: first, test: second, shape } = await load(root, options);
  const pixels = shape[0] * shape[1] * shape[2];
  const all = Buffer.concat([first.images, second.images]).subarray(at * pixels, (at + 1) * pixels);
  const { size } = options;
  return (x: number, y: number) =>
    Array.from({ length: shape[0] }, (_, channel) => all[(channel * size + y) * size + x]!);
}

function near(found: readonly number[], expected: readonly number[], tolerance: number): void {
  expect(found).toHaveLength(expected.length);
  for (const [i, value] of found.entries()) expect(Math.abs(value - expected[i]!)).toBeLessThanOrEqual(tolerance);
}

describe("pixels", () => {
  test("of an image of the right size are those of the file, planes in order", async () => {
    const image = drawn(8, 8, (x, y) => [x * 10, y * 20, 7 + x + 8 * y]);
    const root = await twoClasses(await image.png().toBuffer());
    const at = await shown(root, "a/0.png", { size: 8 });
    for (let y = 0; y < 8; y++) for (let x = 0; x < 8; x++) expect(at(x, y)).toEqual([x * 10, y * 20, 7 + x + 8 * y]);
  });

  test.each([
    ["0.JPG", "jpeg"],
    ["0.jpeg", "jpeg"],
    ["0.WebP", "webp"],
    ["0.PNG", "png"],
  ] as const)("of %s", async (name, format) => {
    const root = await twoClasses(
      await drawn(64, 64, () => [200, 100, 50])
        .toFormat(format)
        .toBuffer(),
      name,
    );
    near((await shown(root, `a/${name}`, { size: 8 }))(4, 4), [200, 100, 50], 2);
  });

  test("of a photograph are turned as EXIF says", async () => {
    const lying = drawn(64, 32, (x) => (x < 32 ? red : blue));
    const root = await twoClasses(await lying.jpeg().withMetadata({ orientation: 6 }).toBuffer(), "0.jpg");
    const at = await shown(root, "a/0.jpg", { size: 16, resize: "stretch" });
    for (const x of [1, 14]) {
      near(at(x, 2), red, 6);
      near(at(x, 13), blue, 6);
    }
  });

  test("that are transparent lie on black", async () => {
    const root = await twoClasses(
      await drawn(8, 8, (x) => [200, 100, 40, x < 4 ? 255 : 0])
        .png()
        .toBuffer(),
    );
    const at = await shown(root, "a/0.png", { size: 8 });
    expect([at(0, 0), at(7, 7)]).toEqual([[200, 100, 40], black]);
    const half = await twoClasses(
      await drawn(8, 8, () => [200, 100, 40, 128])
        .png()
        .toBuffer(),
    );
    near((await shown(half, "a/0.png", { size: 8 }))(1, 1), [100, 50, 20], 1);
  });

  test("of 16 bits, of grey and of four inks become 8 bits in sRGB", async () => {
    const sixteen = sharp(new Uint16Array(64).fill(0x8040), { raw: { width: 8, height: 8, channels: 1 } });
    const grey = await twoClasses(await sixteen.toColourspace("grey16").png().toBuffer());
    expect((await sharp(join(grey, "a", "0.png")).metadata()).depth).toBe("ushort");
    expect((await shown(grey, "a/0.png", { size: 8 }))(2, 2)).toEqual([128, 128, 128]);
    expect((await shown(grey, "a/0.png", { size: 8, channels: 1 }))(2, 2)).toEqual([128]);
    const inks = await twoClasses(
      await drawn(16, 16, () => [200, 100, 50])
        .toColourspace("cmyk")
        .jpeg()
        .toBuffer(),
      "0.jpg",
    );
    near((await shown(inks, "a/0.jpg", { size: 8 }))(2, 2), [200, 100, 50], 35);
  });

  test("in one channel: luminance", async () => {
    const root = await twoClasses(
      await drawn(8, 8, (x) => [red, green, blue, [255, 255, 255]][x >> 1]!)
        .png()
        .toBuffer(),
    );
    const at = await shown(root, "a/0.png", { size: 8, channels: 1 });
    const [r, g, b, white] = [0, 1, 2, 3].map((x) => at(2 * x, 0)[0]!) as [number, number, number, number];
    expect(white).toBe(255);
    expect(g).toBeGreaterThan(r);
    expect(r).toBeGreaterThan(b);
    expect((await load(root, { size: 8, channels: 1 })).mean).toEqual([0.5]);
  });

  test("are cropped, stretched or padded to the square", async () => {
    const wide = drawn(80, 40, (x) => (x < 20 ? red : x < 60 ? green : blue));
    const root = await twoClasses(await wide.png().toBuffer());
    const middle = (at: (x: number, y: number) => number[]) => [
      at(1, 10),
      at(10, 10),
      at(18, 10),
      at(10, 1),
      at(10, 18),
    ];
    const seen = async (resize?: string) =>
      middle(await shown(root, "a/0.png", { size: 20, ...(resize ? { resize } : {}) }));
    for (const [resize, expected] of [
      [undefined, [green, green, green, green, green]],
      ["crop", [green, green, green, green, green]],
      ["stretch", [red, green, blue, green, green]],
      ["pad", [red, green, blue, black, black]],
    ] as const) {
      for (const [i, colour] of (await seen(resize)).entries()) near(colour, expected[i]!, 20);
    }
  });
});

describe("which images there are", () => {
  test("is known from names alone", async () => {
    const root = await temporaryFolder();
    for (const name of [
      "b/1.jpg",
      "b/x/y/2.PNG",
      "B/1.webp",
      "B/2.jpeg",
      "é/1.png",
      "é/2.png",
      "z/10.png",
      "z/9.png",
    ]) {
      await put(join(root, name), "no image");
    }
    for (const name of ["readme.txt", "b/notes.md", "b/.hidden.png", ".git/1.png", "b/3.gif", "b/png"]) {
      await put(join(root, name), "no image");
    }
    const found = findImages(root, { testFraction: 0.1, seed: 0 });
    // Sorted by bytes: upper case first, é last, 10 before 9.
    expect(found.classNames).toEqual(["B", "b", "z", "é"]);
    const names = (split: string) => found.images.filter((image) => image.split === split).map(({ name }) => name);
    expect([...names("train"), ...names("test")].sort()).toEqual(
      ["B/1.webp", "B/2.jpeg", "b/1.jpg", "b/x/y/2.PNG", "z/10.png", "z/9.png", "é/1.png", "é/2.png"].sort(),
    );
    expect(names("test").map((name) => name.split("/")[0])).toEqual(["B", "b", "z", "é"]);
    // A folder comes where its whole name belongs, which is not where a listing has it.
    const ordered = ["train/a/4.png", "train/a/5.png", "train/a/5/1.png", "train/b/1.png", "val/a/1.png"];
    for (const name of ordered) await put(join(root, "more", name), "");
    const { images } = findImages(join(root, "more"), { testFraction: 0.2, seed: 0 });
    expect(images.map(({ name }) => name)).toEqual(ordered);
    await rm(join(root, "more"), { recursive: true });
    const given = folder.options.parse({ path: root, size: 8, channels: 1 });
    expect([folder.shape(given), folder.classes(given), folder.trainCount(given), folder.testCount(given)]).toEqual([
      [1, 8, 8],
      4,
      4,
      4,
    ]);
  });

  test("follows links, but not in a circle", async () => {
    const root = await twoClasses(await png(red));
    symlinkSync(join(root, "a"), join(root, "c"));
    symlinkSync(root, join(root, "b", "loop"));
    symlinkSync(join(root, "nowhere.png"), join(root, "b", "gone.png"));
    const { classNames, images } = findImages(root, { testFraction: 0.2, seed: 0 });
    expect(classNames).toEqual(["a", "b", "c"]);
    // Below b/loop lie a and c again; b itself is not entered twice.
    expect(
      images
        .filter(({ label }) => label === 1)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(["b/0.png", "b/1.png", "b/loop/a/0.png", "b/loop/a/1.png", "b/loop/c/0.png", "b/loop/c/1.png"]);
  });

  test("with a link that cannot be followed: it is named", async () => {
    const root = await twoClasses("");
    const wrong = () => messageOf((async () => folder.trainCount({ path: root }))());
    const wanted = "expected a link to an image or a folder, found one that";
    for (const name of ["self.png", "a/self.png", "a/self"]) {
      symlinkSync(join(root, name), join(root, name));
      expect(await wrong()).toBe(
        `DatasetError: folder: ${join(root, name)}: ${wanted} leads to itself; replace or remove it`,
      );
      await rm(join(root, name));
    }
    symlinkSync("x".repeat(300), join(root, "a", "long.png"));
    expect(await wrong()).toBe(
      `DatasetError: folder: ${join(root, "a", "long.png")}: ${wanted} cannot be followed (ENAMETOOLONG); replace or remove it`,
    );
    const other = join(root, "other");
    symlinkSync(other, other);
    expect(() => isFile(other)).toThrow(new DatasetError(`${other}: a link that leads to itself`));
  });

  test.each([
    ["train", "test"],
    ["train", "val"],
    ["train", "valid"],
    ["train", "validation"],
    ["Train", "TEST"],
    ["Training", "Testing"],
    ["TRAIN", "Val"],
  ])("in the folders %s and %s", async (first, second) => {
    const root = await temporaryFolder();
    await put(join(root, first, "a", "1.png"), await png(red));
    await put(join(root, first, "b", "1.png"), await png(green));
    await put(join(root, second, "b", "2.png"), await png(blue));
    const { train: learnt, test: held, classNames, readFrom } = await load(root, { size: 8 });
    expect([learnt.count, held.count, classNames, readFrom]).toEqual([2, 1, ["a", "b"], root]);
    expect([[...learnt.labels], [...held.labels]]).toEqual([[0, 1], [1]]);
    expect([learnt.images[0], learnt.images[192 + 64], held.images[128]]).toEqual([255, 255, 255]);
  });

  test("in the folders of several splits: test goes before val, and another is left out", async () => {
    const root = await temporaryFolder();
    for (const split of ["train", "validation", "val"])
      for (const name of ["a", "b"]) await put(join(root, split, name, "1.png"), "");
    const names = () => findImages(root, { testFraction: 0.2, seed: 0 }).images.map(({ name }) => name);
    expect(names()).toEqual(["train/a/1.png", "train/b/1.png", "val/a/1.png", "val/b/1.png"]);
    await put(join(root, "Test", "b", "1.png"), "");
    expect(names()).toEqual(["train/a/1.png", "train/b/1.png", "Test/b/1.png"]);
  });

  test("and folders that are only called like splits, or stand there twice, are refused", async () => {
    const found = async (...names: string[]) => {
      const root = await temporaryFolder();
      for (const name of names) for (const file of ["a/1.png", "b/1.png"]) await put(join(root, name, file), "");
      const message = await messageOf((async () => folder.classes({ path: root }))());
      return message.replace(`DatasetError: folder: ${root}: `, "");
    };
    const few = "expected two class folders or more, found only";
    expect(await found("test")).toBe(`${few} test (beside it, train is missing)`);
    expect(await found("Test", "val")).toBe(`${few} Test, val (beside them, train is missing)`);
    expect(await found("TRAIN")).toBe(`${few} TRAIN (beside it, test or val is missing)`);
    expect(await found("train", "training")).toBe(`${few} train, training (beside them, test or val is missing)`);
    expect(await found("train", "training", "val")).toBe("expected one folder of each split, found train, training");
    const valid = await temporaryFolder();
    for (const name of ["valid", "invalid", "train"]) await put(join(valid, name, "1.png"), "");
    await put(join(valid, "invalid", "2.png"), "");
    await rm(join(valid, "train"), { recursive: true });
    expect(folder.classes({ path: valid })).toBe(2);
  });

  test("is looked for in the home directory below ~/", async () => {
    const home = await twoClasses("");
    vi.stubEnv("HOME", home);
    vi.stubEnv("USERPROFILE", home);
    expect(findImages("~", { testFraction: 0.2, seed: 0 }).folder).toBe(home);
    await mkdir(join(home, "all"));
    for (const name of ["a", "b"]) renameSync(join(home, name), join(home, "all", name));
    expect(folder.trainCount({ path: "~/all" })).toBe(2);
    expect(await messageOf((async () => folder.trainCount({ path: "~all" }))())).toContain(join(process.cwd(), "~all"));
  });

  test("and what is wrong with a folder: one sentence", async () => {
    const root = await temporaryFolder();
    const wrong = (path = root) => messageOf((async () => folder.trainCount({ path }))());
    expect(await wrong(join(root, "none"))).toBe(
      `DatasetError: folder: ${join(root, "none")}: expected a folder of class folders of images, found nothing there`,
    );
    expect(await wrong()).toBe(`DatasetError: folder: ${root}: expected two class folders or more, found none`);
    const loose = await put(join(root, "1.png"), "");
    expect(await wrong(loose)).toContain("expected a folder of class folders of images, found a file");
    expect(await wrong()).toContain("found none but loose images (1); put them into a folder for each class");
    await put(join(root, "train", "1.png"), "");
    expect(await wrong()).toContain("found only train (beside it, test or val is missing)");
    await mkdir(join(root, "dogs"));
    await mkdir(join(root, "cats"));
    expect(await wrong()).toBe(
      `DatasetError: folder: ${root}: expected images (.jpg, .jpeg, .png, .webp) in every class folder, found none in cats, dogs`,
    );
    await put(join(root, "dogs", "1.png"), "");
    await put(join(root, "cats", "1.png"), "");
    expect(await wrong()).toContain("expected a class with two images or more, to draw a test split from");
    await put(join(root, "train", "a", "1.png"), "");
    await put(join(root, "train", "b", "1.png"), "");
    await put(join(root, "test", "c", "1.png"), "");
    expect(await wrong()).toBe(
      `DatasetError: folder: ${join(root, "test")}: expected classes of ${join(root, "train")}, found c`,
    );
    await rm(join(root, "test", "c"), { recursive: true });
    expect(await wrong()).toContain(`${join(root, "test")}: expected class folders with images, found none`);
    for (let i = 0; i < 257; i++) mkdirSync(join(root, "many", String(i)), { recursive: true });
    expect(await wrong(join(root, "many"))).toContain("expected at most 256 class folders, found 257");
  });
});

describe("a drawn split", () => {
  async function named(counts: Record<string, number>): Promise<string> {
    const root = await temporaryFolder();
    for (const [name, count] of Object.entries(counts)) {
      mkdirSync(join(root, name));
      for (let i = count; i > 0; i--) writeFileSync(join(root, name, `${i}.png`), "");
    }
    return root;
  }
  const testNames = (root: string, testFraction = 0.2, seed = 0) =>
    findImages(root, { testFraction, seed }).images.flatMap(({ split, name }) => (split === "test" ? [name] : []));

  test("takes the same share of each class, one at least, and leaves one", async () => {
    const root = await named({ a: 20, b: 11, c: 2, d: 1 });
    const perClass = (names: string[]) =>
      ["a", "b", "c", "d"].map((one) => names.filter((name) => name[0] === one).length);
    expect(perClass(testNames(root))).toEqual([4, 2, 1, 0]);
    expect(perClass(testNames(root, 0.01))).toEqual([1, 1, 1, 0]);
    expect(perClass(testNames(root, 0.99))).toEqual([19, 10, 1, 0]);
  });

  test("is decided by seed and names alone: the smallest SHA-256 of `seed/name`", async () => {
    const [root, other] = [await named({ a: 20, b: 10 }), await named({ b: 10, a: 20 })];
    expect(testNames(root)).toEqual(testNames(other));
    const sum = (name: string) => createHash("sha256").update(`7/${name}`).digest("hex");
    const names = (one: string, count: number) => Array.from({ length: count }, (_, i) => `${one}/${i + 1}.png`);
    const smallest = [names("a", 20), names("b", 10)].flatMap((all) =>
      all.sort((x, y) => (sum(x) < sum(y) ? -1 : 1)).slice(0, all.length / 5),
    );
    expect(testNames(root, 0.2, 7).sort()).toEqual(smallest.sort());
    expect(testNames(root, 0.2, 8).sort()).not.toEqual(smallest.sort());
  });

  test("stays nearly as it is when an image is added", async () => {
    const root = await named({ a: 100, b: 10 });
    const before = testNames(root);
    writeFileSync(join(root, "a", "new.png"), "");
    const after = testNames(root);
    expect(before.filter((name) => !after.includes(name)).length).toBeLessThanOrEqual(1);
  });
});

describe("the cache", () => {
  const cacheFiles = (kind = ".images") =>
    readdirSync(join(cache, "images"))
      .filter((name) => name.endsWith(kind))
      .map((name) => join(cache, "images", name));
  const undecoded = { onProgress: () => expect.unreachable("nothing is decoded") };

  test("is read instead of the images, also for another split, and not for another size", async () => {
    const root = await twoClasses(await png(red));
    const seen: [number, number][] = [];
    const first = await load(root, { size: 8 }, { onProgress: (done, total) => seen.push([done, total]) });
    expect(seen).toEqual([1, 2, 3, 4].map((done) => [done, 4]));
    expect(await load(root, { size: 8 }, undecoded)).toEqual(first);
    const colours = (set: Uint8Array) => set.filter((value) => value === 255).length;
    for (const seed of [1, 2, 3, 4]) {
      const { train: learnt, test: held } = await load(root, { size: 8, seed }, undecoded);
      expect(colours(learnt.images) + colours(held.images)).toBe(64);
      const at = findImages(root, { testFraction: 0.2, seed }).images.findIndex(({ name }) => name === "a/0.png");
      const place = Buffer.concat([learnt.images, held.images]).subarray(at * 192, at * 192 + 64);
      expect([...place]).toEqual(new Array(64).fill(255));
    }
    await expect(load(root, { size: 9 }, undecoded)).rejects.toThrow("nothing is decoded");
  });

  test("knows that an image has changed, and then replaces its file", async () => {
    const root = await twoClasses(await png(red));
    await load(root, { size: 8 });
    const [old] = cacheFiles();
    await put(join(root, "a", "0.png"), await png(blue, 9));
    const at = await shown(root, "a/0.png", { size: 8 });
    expect(at(1, 1)).toEqual(blue);
    expect(cacheFiles()).toHaveLength(1);
    expect(cacheFiles()).not.toContain(old);
    await load(root, { size: 9 });
    expect(cacheFiles()).toHaveLength(2);
  });

  test.each([
    ["cut", (path: string) => truncate(path, 100)],
    ["empty", (path: string) => truncate(path, 0)],
    ["longer", (path: string) => truncate(path, statSync(path).size + 1)],
    ["of another header", (path: string) => flip(path, 3)],
    ["of another pixel", (path: string) => flip(path, 32 + 20)],
    ["of another checksum", (path: string) => flip(path, statSync(path).size - 1)],
  ])("that is damaged (%s) is made again without a word", async (_, damage) => {
    const root = await twoClasses(await png(red));
    const first = await load(root, { size: 8 });
    const [path] = cacheFiles();
    const whole = readFileSync(path!);
    await damage(path!);
    expect(await load(root, { size: 8 })).toEqual(first);
    expect(Buffer.compare(readFileSync(path!), whole)).toBe(0);
  });

  test("that cannot be written does no harm", async () => {
    const root = await twoClasses(await png(red));
    vi.stubEnv("STOPGRAD_CACHE", await put(join(root, "file"), ""));
    expect((await load(root, { size: 8 })).train.count).toBe(2);
    expect((await load(root, { size: 8 })).test.count).toBe(2);
  });

  function flip(path: string, at: number): void {
    const bytes = readFileSync(path);
    bytes[at]! ^= 1;
    writeFileSync(path, bytes);
  }
});

describe("an image of another format", () => {
  const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><rect width="8" height="8"/></svg>';
  test.each([
    [
      "GIF",
      () =>
        drawn(8, 8, () => red)
          .gif()
          .toBuffer(),
    ],
    [
      "TIFF",
      () =>
        drawn(8, 8, () => red)
          .tiff()
          .toBuffer(),
    ],
    ["SVG", async () => Buffer.from(svg)],
  ])("is refused whatever it is called: %s", async (format, make) => {
    const root = await twoClasses(await make(), "0.jpg");
    expect(await messageOf(load(root))).toBe(
      `DatasetError: folder: ${join(root, "a", "0.jpg")}: expected a JPEG, PNG or WebP image, found ${format}; convert or remove it`,
    );
  });

  test("that is taken need not be called so", async () => {
    const root = await twoClasses(
      await drawn(8, 8, () => red)
        .webp()
        .toBuffer(),
      "0.png",
    );
    near((await shown(root, "a/0.png", { size: 8 }))(4, 4), red, 6);
  });
});

describe("an image that cannot be decoded", () => {
  test("is named with the reason; of several, the first", async () => {
    const root = await temporaryFolder();
    for (let i = 10; i < 40; i++) await put(join(root, i < 25 ? "a" : "b", `${i}.png`), await png(red));
    const whole = await drawn(100, 100, (x, y) => [(x * y) % 256, x, y])
      .jpeg()
      .toBuffer();
    await put(join(root, "a", "13.jpg"), whole.subarray(0, whole.length / 2));
    for (const name of ["a/14.png", "b/26.png"]) await put(join(root, name), "no image");
    for (let i = 0; i < 3; i++) {
      expect(await messageOf(load(root))).toMatch(
        /^DatasetError: folder: .*\/a\/13\.jpg: expected a JPEG, PNG or WebP image, found one that cannot be decoded \(VipsJpeg: premature end of JPEG image\); replace or remove it$/,
      );
    }
    await rm(join(root, "a", "13.jpg"));
    expect(await messageOf(load(root))).toContain("a/14.png: expected");
    await put(join(root, "a", "14.png"), "");
    expect(await messageOf(load(root))).toContain(
      "a/14.png: expected a JPEG, PNG or WebP image, found one that cannot",
    );
  });

  test("for want of sharp", async () => {
    const missing = () => Promise.reject(new Error("Cannot find package 'sharp'\nRequire stack:"));
    const format = { size: 4, channels: 3, resize: "crop" } as const;
    expect(await messageOf(decodeImages(["1.png"], format, () => {}, missing))).toBe(
      "DatasetError: folder: images are read through the package sharp, which cannot be loaded (Cannot find package 'sharp'); install it: npm install sharp",
    );
  });
});

describe("what tells images from others", () => {
  const contents = (path: string, options: object = {}) =>
    folder.fingerprint!(folder.options.parse({ path, ...options }));
  const sumFiles = () =>
    readdirSync(join(cache, "images"))
      .filter((name) => name.endsWith(".sums"))
      .map((name) => join(cache, "images", name));

  test("is SHA-256 of their sums and names: 16 digits", async () => {
    const root = await temporaryFolder();
    await put(join(root, "b", "1.png"), "one");
    await put(join(root, "a", "1.png"), "two");
    await put(join(root, "a", "2.png"), "two");
    const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
    const lines = [`${sha256("two")} "a/1.png"\n`, `${sha256("two")} "a/2.png"\n`, `${sha256("one")} "b/1.png"\n`];
    expect(contents(root)).toBe(sha256(lines.sort().join("")).slice(0, 16));
  });

  test("is the same for a copy, after another split and in another format, not for other bytes or names", async () => {
    const root = await twoClasses("one");
    const first = contents(root);
    expect(contents(await twoClasses("one"))).toBe(first);
    expect(contents(root, { seed: 3, testFraction: 0.5, size: 64 })).toBe(first);
    await put(join(root, "a", "notes.txt"), "no image");
    utimesSync(join(root, "a", "0.png"), 1000, 1000);
    expect(contents(root)).toBe(first);
    const seen = new Set([first, contents(await twoClasses("two")), contents(await twoClasses("one", "2.png"))]);
    const { mtime } = statSync(join(root, "a", "0.png"));
    writeFileSync(join(root, "a", "0.png"), "two"); // of the same size
    utimesSync(join(root, "a", "0.png"), mtime, mtime);
    expect(contents(root)).toBe([...seen][1]);
    await put(join(root, "b", "2.png"), "one");
    seen.add(contents(root));
    renameSync(join(root, "b", "2.png"), join(root, "b", "3.png"));
    seen.add(contents(root));
    renameSync(join(root, "b"), join(root, "c"));
    seen.add(contents(root));
    expect(seen.size).toBe(6);
  });

  test("is kept: only what has changed is read again, by another process too", async () => {
    const root = await twoClasses("one");
    const first = contents(root);
    const [kept] = sumFiles();
    expect(await readInAnotherProcess(root)).toEqual({ contents: first, read: [] });
    await put(join(root, "a", "0.png"), "another");
    expect(await readInAnotherProcess(root)).toEqual({ contents: contents(root), read: ["a/0.png"] });
    for (const damage of ["", "no sum\n[]", readFileSync(kept!, "utf8").replace(/"a.0.png"/, '"a/9.png"')]) {
      writeFileSync(kept!, damage);
      const { read } = await readInAnotherProcess(root);
      expect(read).toEqual(["a/0.png", "a/1.png", "b/0.png", "b/1.png"]);
    }
    vi.stubEnv("STOPGRAD_CACHE", await put(join(root, "file"), ""));
    expect((await readInAnotherProcess(root)).read).toHaveLength(4);
  });

  /** The same in a fresh module, which remembers nothing, asked twice, and what of the folder it read. */
  async function readInAnotherProcess(root: string): Promise<{ contents: string; read: string[] }> {
    const read: string[] = [];
    vi.resetModules();
    vi.doMock("node:fs", async (original) => {
      const fs = await original<typeof import("node:fs")>();
      const readFileSync = (path: string, ...rest: unknown[]) => {
        if (path.startsWith(root) && path.endsWith(".png")) read.push(path.slice(root.length + 1));
        return (fs.readFileSync as (...all: unknown[]) => unknown)(path, ...rest);
      };
      return { ...fs, readFileSync };
    });
    try {
      const { folder: anew } = await import("../../src/data/folder.js");
      const [first, again] = [1, 2].map(() => anew.fingerprint!(anew.options.parse({ path: root })));
      expect(again).toBe(first);
      return { contents: first!, read: read.sort() };
    } finally {
      vi.doUnmock("node:fs");
      vi.resetModules();
    }
  }

  test("decides whether a run's images are loaded", async () => {
    const root = await twoClasses(await png(red));
    const first = contents(root);
    expect((await load(root, { contents: first })).train.count).toBe(2);
    await put(join(root, "a", "0.png"), await png(blue));
    expect(await messageOf(load(root, { contents: first }))).toBe(
      `DatasetError: folder: ${root}: the images have changed since (contents ${contents(root)}, expected ${first}); put them back, or start anew with those that are there`,
    );
  });

  test("names an image that cannot be read", async () => {
    const found = findImages(await twoClasses("one"), { testFraction: 0.2, seed: 0 });
    const [image] = found.images;
    await rm(image!.path);
    expect(await messageOf((async () => sumOfImages(found))())).toBe(
      `DatasetError: folder: ${image!.path}: cannot be read (ENOENT)`,
    );
  });
});

describe("in an experiment file", () => {
  const file = (data: string) => documentFromText(`data: ${data}\nmodel: lenet5\nepochs: 1\n`, "x.yaml");

  test("options are checked", async () => {
    const root = await twoClasses(await png(red));
    const problem = (options: string) => {
      try {
        settingsSchema.expand(file(`{ name: folder, path: ${JSON.stringify(root)}, batch: 2, ${options} }`));
      } catch (error) {
        return (error as Error).message;
      }
      return null;
    };
    expect(problem("size: 32")).toBeNull();
    expect(problem("mean: [0.5, 0.4, 0.3], std: 0.2")).toBeNull();
    expect(problem("mean: [0.5, 0.4]")).toContain("data.mean: expected one number for each of 3 channels, got 2");
    expect(problem("channels: 1, std: [1, 1, 1]")).toContain("data.std: expected one number for each of 1 channels");
    expect(problem("size: 7")).toContain("data.size: expected an integer from 8 to 1024, got 7");
    expect(problem("size: 8")).toContain("model: lenet5 needs images of at least 16x16, got 8x8");
    expect(problem("contents: 12")).toContain(
      "data.contents: expected 16 hexadecimal digits in quotation marks, got 12",
    );
    expect(problem("channels: 2")).toContain("data.channels: expected 1 or 3, got 2");
    expect(problem("resize: squash")).toContain("data.resize: expected one of crop, stretch, pad, got");
    expect(problem("testFraction: 1")).toContain("data.testFraction: expected a number above 0 and below 1, got 1");
    expect(problem("std: 0")).toContain("data.std: expected a number above 0 or a list of one for each channel, got 0");
    expect(problem("train: 3")).toContain("data.train: folder has 2 train images, got 3");
    expect(() => settingsSchema.expand(file("{ name: folder }"))).toThrow(
      "data.path: missing; expected the path of a folder of class folders of images",
    );
    expect(() => settingsSchema.expand(file(`{ name: folder, path: ${JSON.stringify(join(root, "none"))} }`))).toThrow(
      `folder: ${join(root, "none")}: expected a folder of class folders of images, found nothing there`,
    );
  });

  test("other images are another run, and a run's own settings give it again as long as they are there", async () => {
    const within = <T>(parent: string, work: () => T): T => {
      const here = process.cwd();
      process.chdir(parent);
      try {
        return work();
      } finally {
        process.chdir(here);
      }
    };
    const runIn = (parent: string) =>
      within(parent, () => settingsSchema.expand(file("{ name: folder, path: ./photos, batch: 2 }")).runs[0]!);
    const parentOf = async (colour: Colour) => {
      const parent = await temporaryFolder();
      renameSync(await twoClasses(await png(colour)), join(parent, "photos"));
      return parent;
    };
    const [first, second, copy] = [await parentOf(red), await parentOf(blue), await parentOf(red)];
    const run = runIn(first);
    expect(runId(runIn(second))).not.toBe(runId(run));
    expect(runId(runIn(copy))).toBe(runId(run));

    const document = documentFromText(experimentText(run), "again.yaml");
    const again = within(first, () => settingsSchema.expand(document).runs);
    expect(again.map(settingsHash)).toEqual([settingsHash(run)]);
    await put(join(first, "photos", "b", "1.png"), await png(green));
    const { contents } = runIn(first).data;
    expect(() => within(first, () => settingsSchema.expand(document))).toThrow(
      `data.contents: the images in ./photos have changed since (contents ${contents}, expected ${run.data.contents}); leave it out to take them as they are`,
    );
  });

  test("a LeNet-5 learns to tell red from blue in one epoch", async () => {
    const root = await temporaryFolder();
    for (let i = 0; i < 40; i++) {
      const level = 100 + 3 * i;
      await put(join(root, "blue", `${i}.png`), await png([0, 0, level], 24));
      await put(
        join(root, "red", `${i}.jpg`),
        await drawn(40, 24, () => [level, 0, 0])
          .jpeg()
          .toBuffer(),
      );
    }
    const path = JSON.stringify(root);
    const [settings] = settingsSchema.expand(
      documentFromText(
        `data: { name: folder, path: ${path}, batch: 4, testFraction: 0.25 }
model: lenet5
optimizer: { name: adam, learningRate: 2.0e-3 }
epochs: 1
`,
        "x.yaml",
      ),
    ).runs;
    expect(settings!.data).toMatchObject({ train: 60, test: 20, size: 32, resize: "crop" });
    const events: TrainingEvent[] = [];
    const directory = await temporaryFolder();
    await train(
      { settings: settings!, directory, dataDirs: [], resume: false, retrainFrom: null, startedAt: Date.now() },
      {
        emit: async (event) => {
          events.push(event);
        },
        shouldStop: () => false,
      },
    );
    expect(events.at(-1)).toMatchObject({ type: "completed", summary: { testAccuracy: 1 } });
  });
});
