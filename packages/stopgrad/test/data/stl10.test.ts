import { truncate } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { dataDirectories } from "../../src/data/locate.js";
import { stl10, stl10Of } from "../../src/data/stl10.js";
import { classHistogram } from "../../src/data/subset.js";
import { archive, messageOf, put, putBlank, temporaryFolder } from "./made-files.js";

const tiny = stl10Of({ train: 4, test: 3 });
const load = (...dataDirs: string[]) => tiny.load({}, { dataDirs });
const remove = "; remove this file, then run `stopgrad data fetch stl10`";
const imageBytes = 3 * 96 * 96;

/** Pixel of an image at a place, from 0 to 250: no two neighbours are alike in any direction. */
const pixel = (image: number, channel: number, row: number, column: number) =>
  (row * 3 + column * 50 + channel * 97 + image * 101) % 251;

/** Images as the official files have them: plane by plane, each column by column. */
function planes(count: number, first = 0): Buffer {
  const bytes = Buffer.alloc(count * imageBytes);
  let at = 0;
  for (let n = first; n < first + count; n++) {
    for (let c = 0; c < 3; c++) {
      for (let column = 0; column < 96; column++) {
        for (let row = 0; row < 96; row++) bytes[at++] = pixel(n, c, row, column);
      }
    }
  }
  return bytes;
}

const whole = () => ({
  "train_X.bin": planes(4),
  "train_y.bin": Buffer.from([1, 10, 2, 9]),
  "test_X.bin": planes(3, 4),
  "test_y.bin": Buffer.from([3, 4, 5]),
});
type Files = Record<keyof ReturnType<typeof whole>, Buffer>;

async function unpacked(changed: Partial<Files> = {}, below = "stl10_binary"): Promise<string> {
  const folder = await temporaryFolder();
  for (const [name, bytes] of Object.entries({ ...whole(), ...changed })) await put(join(folder, below, name), bytes);
  return folder;
}

describe("a folder", () => {
  test.each(["stl10_binary", ".", "stl10/stl10_binary", "stl10"])(
    "<dir>/%s: rows and columns in place",
    async (below) => {
      const folder = await unpacked({}, below);
      const { train, test: held, shape, classNames, mean, std, readFrom } = await load("/nowhere", folder);
      expect([train.count, held.count, shape, readFrom]).toEqual([4, 3, [3, 96, 96], join(folder, below)]);
      expect([mean, std]).toEqual([
        [0.5, 0.5, 0.5],
        [0.5, 0.5, 0.5],
      ]);
      expect([...train.labels].map((label) => classNames[label])).toEqual(["airplane", "truck", "bird", "ship"]);
      expect([...held.labels]).toEqual([2, 3, 4]);
      for (const [n, c, row, column] of [
        [0, 0, 0, 1],
        [0, 0, 1, 0],
        [3, 2, 95, 0],
        [2, 1, 40, 77],
      ] as const) {
        const at = ((n * 3 + c) * 96 + row) * 96 + column;
        expect([train.images[at], n < 3 && held.images[at]]).toEqual([
          pixel(n, c, row, column),
          n < 3 && pixel(n + 4, c, row, column),
        ]);
      }
    },
  );

  test.each([
    [
      "cut short",
      "train_X.bin",
      planes(4).subarray(1),
      "cut short: expected 110592 bytes for the 4 train images, found 110591",
    ],
    [
      "the other split",
      "train_X.bin",
      planes(3),
      "cut short: expected 110592 bytes for the 4 train images, found 82944: this is the size of test_X.bin",
    ],
    ["too long", "test_y.bin", Buffer.alloc(9, 1), "too long: expected 3 bytes for the 3 test labels, found 9"],
    ["a label of 0", "test_y.bin", Buffer.from([1, 0, 2]), "expected labels from 1 to 10, found 0 at position 1"],
    [
      "a label of 11",
      "train_y.bin",
      Buffer.from([1, 2, 2, 11]),
      "expected labels from 1 to 10, found 11 at position 3",
    ],
    [
      "a web page",
      "test_X.bin",
      Buffer.from("<!doctype html>"),
      "is a web page (HTML), not data: a download went wrong",
    ],
    ["empty", "test_X.bin", Buffer.alloc(0), "is empty"],
  ])("%s", async (_, name, bytes, what) => {
    const folder = await unpacked({ [name]: bytes }, ".");
    const path = join(folder, name);
    expect(await messageOf(load(folder))).toBe(`DatasetError: stl10: ${path}: ${what}${remove}`);
    const problems = (await tiny.files!.check(folder)).map(({ problem }) => problem);
    expect(problems).toHaveLength(4);
    expect(problems.filter((problem) => problem !== null)).toEqual([`stl10: ${path}: ${what}${remove}`]);
  });

  test("that is not whole", async () => {
    const folder = await temporaryFolder();
    await put(join(folder, "stl10_binary", "train_y.bin"), "");
    const message = await messageOf(load(folder));
    expect(message).toContain(
      `; ${join(folder, "stl10_binary")} lacks train_X.bin, test_X.bin, test_y.bin; run \`stopgrad data fetch stl10\``,
    );
    for (const place of tiny.files!.places([folder])) expect(message).toContain(place);
  });
});

describe("the archive", () => {
  const packed = async (members: Record<string, Uint8Array>) => {
    const folder = await temporaryFolder();
    return { folder, path: await put(join(folder, "stl10_binary.tar.gz"), await archive(members)) };
  };

  test("is read without unpacking, whatever the order of its files, and no further than needed", async () => {
    const members = Object.entries(whole()).reverse();
    const { folder, path } = await packed({
      "stl10_binary/class_names.txt": Buffer.from("airplane"),
      ...Object.fromEntries(members.map(([name, bytes]) => [`stl10_binary/${name}`, bytes])),
      "stl10_binary/unlabeled_X.bin": Buffer.from(Array.from({ length: 500_000 }, (_, i) => (i * i) % 256)),
    });
    const fromArchive = await load(folder);
    expect(fromArchive.readFrom).toBe(path);
    const fromFolder = await load(await unpacked());
    for (const split of ["train", "test"] as const) {
      expect(Buffer.compare(fromArchive[split].images, fromFolder[split].images)).toBe(0);
      expect([...fromArchive[split].labels]).toEqual([...fromFolder[split].labels]);
    }
    const checked = await tiny.files!.check(path);
    expect(checked.map(({ problem, checksum, images }) => [problem, checksum, images])).toEqual(
      [3, 3, 4, 4].map((count) => [null, "differs", count]),
    );
    // A damage behind the last labelled image does no harm.
    await truncate(path, (await import("node:fs")).statSync(path).size - 100);
    expect((await load(folder)).train.count).toBe(4);
  });

  test("with unlabelled images first: they are passed over", async () => {
    const { folder } = await packed({ "unlabeled_X.bin": Buffer.alloc(5_000_000), ...whole() });
    expect((await load(folder)).train.images[1]).toBe(pixel(0, 0, 0, 1));
  });

  test("that lacks a file, is cut, or holds a damaged one", async () => {
    const { "test_y.bin": _, ...three } = whole();
    const lacking = await packed(three);
    expect(await messageOf(load(lacking.folder))).toBe(
      `DatasetError: stl10: ${lacking.path}: expected it to hold test_y.bin, found none${remove}`,
    );
    const cut = await packed(whole());
    await truncate(cut.path, 2000);
    expect(await messageOf(load(cut.folder))).toContain("cut short: the gzip data stops after 2000 bytes");
    const wrong = await packed({ ...whole(), "train_y.bin": Buffer.from([1, 2, 3]) });
    expect(await messageOf(load(wrong.folder))).toContain(
      `${wrong.path} (train_y.bin): cut short: expected 4 bytes for the 4 train labels, found 3: this is the size of test_y.bin`,
    );
    const noTar = await temporaryFolder();
    await put(join(noTar, "stl10_binary.tar.gz"), gzipSync(Buffer.alloc(2000, 7)));
    expect(await messageOf(load(noTar))).toContain("not a whole tar archive");
  });
});

test("of the official sizes, with their checksums", async () => {
  const folder = await temporaryFolder();
  const last = (bytes: number, value: number) => ({ [bytes - 1]: value });
  await putBlank(join(folder, "train_X.bin"), 5000 * imageBytes, last(5000 * imageBytes, 7));
  await putBlank(join(folder, "test_X.bin"), 8000 * imageBytes);
  await put(join(folder, "train_y.bin"), Buffer.alloc(5000, 1));
  await put(join(folder, "test_y.bin"), Buffer.alloc(8000, 10));
  const { train, test: held } = await stl10.load({}, { dataDirs: [folder] });
  expect([train.count, train.images.length, train.images.at(-1)]).toEqual([5000, 5000 * imageBytes, 7]);
  expect([held.count, held.labels[7999]]).toEqual([8000, 9]);
  expect(stl10.files!.remote).toMatchObject([{ bytes: 2_640_397_119, md5: "91f7769df0f17e558f3565bffb0c7dfb" }]);
});

const real = dataDirectories().find((dir) => stl10.files!.find([dir]) !== null);
test("the real set, where STOPGRAD_DATA has it: counts of each class", async ({ skip }) => {
  skip(real === undefined, "stl10 is not in STOPGRAD_DATA");
  const { train, test: held } = await stl10.load({}, { dataDirs: [real!] });
  expect(classHistogram(train.labels, 10)).toEqual(new Array(10).fill(500));
  expect(classHistogram(held.labels, 10)).toEqual(new Array(10).fill(800));
});
