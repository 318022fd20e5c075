import { truncate } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { cifar10, cifar100 } from "../../src/data/cifar.js";
import { dataDirectories } from "../../src/data/locate.js";
import { classHistogram } from "../../src/data/subset.js";
import { archive, messageOf, put, putBlank, temporaryFolder } from "./made-files.js";

const bytes10 = 10_000 * 3073;
const bytes100 = 3074;
const names10 = [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`).concat("test_batch.bin");

/** Blank batches; in batch i (the test batch is 6) the second record has label i, green pixel (0, 1) is 10 i. */
async function batches(folder: string): Promise<string> {
  for (const [i, name] of names10.entries()) {
    await putBlank(join(folder, name), bytes10, { 3073: i + 1, [3073 + 1 + 1024 + 1]: 10 * (i + 1) });
  }
  return folder;
}
const load = (...dataDirs: string[]) => cifar10.load(cifar10.options.parse({}), { dataDirs });
const load100 = (...dataDirs: string[]) => cifar100.load({}, { dataDirs });
const remove = "; remove this file, then run `stopgrad data fetch cifar10`";

describe("cifar10 unpacked", () => {
  test.each(["cifar-10-batches-bin", "cifar10/cifar-10-batches-bin", "cifar10", "."])("in <dir>/%s", async (below) => {
    const folder = await temporaryFolder();
    await batches(join(folder, below));
    const { train, test: held, shape, classNames, readFrom } = await load("/nowhere", folder);
    expect([train.count, held.count, shape, classNames.length]).toEqual([50_000, 10_000, [3, 32, 32], 10]);
    expect(readFrom).toBe(join(folder, below));
    for (const i of [1, 2, 3, 4, 5]) {
      const at = (i - 1) * 10_000 + 1;
      expect(train.labels[at]).toBe(i);
      expect(train.images[at * 3072 + 1024 + 1]).toBe(10 * i);
    }
    expect([held.labels[0], held.labels[1], held.images[3072 + 1025]]).toEqual([0, 6, 60]);
  });

  test.each([
    ["cut", 5000, `cut short: expected 30730000 bytes (10000 records of 3073), found 5000`],
    ["too long", bytes10 + 1, `too long: expected 30730000 bytes (10000 records of 3073), found 30730001`],
    ["empty", 0, "is empty"],
  ])("%s", async (_, length, what) => {
    const folder = await batches(await temporaryFolder());
    const path = join(folder, "data_batch_3.bin");
    await truncate(path, length);
    expect(await messageOf(load(folder))).toBe(`DatasetError: cifar10: ${path}: ${what}${remove}`);
    const problems = (await cifar10.files!.check(folder)).flatMap(({ problem }) => problem ?? []);
    expect(problems).toEqual([`cifar10: ${path}: ${what}${remove}`]);
  });

  test("a label out of range", async () => {
    const folder = await batches(await temporaryFolder());
    const path = join(folder, "test_batch.bin");
    await putBlank(path, bytes10, { [3073 * 17]: 10 });
    expect(await messageOf(load(folder))).toBe(
      `DatasetError: cifar10: ${path}: expected labels from 0 to 9, found 10 in record 17${remove}`,
    );
  });

  test("a training file where the test file belongs", async () => {
    const folder = await batches(await temporaryFolder());
    const path = join(folder, "test_batch.bin");
    await putBlank(path, bytes10, { 3073: 2, [3073 + 1 + 1024 + 1]: 20 });
    expect(await messageOf(load(folder))).toBe(
      `DatasetError: cifar10: ${path}: expected other images than in data_batch_2.bin, found the same in test_batch.bin${remove}`,
    );
  });

  test("a web page saved as a batch", async () => {
    const folder = await batches(await temporaryFolder());
    const path = await put(join(folder, "data_batch_1.bin"), "\n <html><body>Sign in</body></html>");
    expect(await messageOf(load(folder))).toContain(`${path}: is a web page (HTML), not data`);
  });

  test("incomplete, absent, or only the Python version", async () => {
    const folder = await temporaryFolder();
    await putBlank(join(folder, "cifar-10-batches-bin", "data_batch_1.bin"), bytes10);
    expect(await messageOf(load(folder))).toContain(
      `; ${join(folder, "cifar-10-batches-bin")} lacks data_batch_2.bin, data_batch_3.bin, data_batch_4.bin, data_batch_5.bin, test_batch.bin; run \`stopgrad data fetch cifar10\``,
    );
    const python = await temporaryFolder();
    await put(join(python, "cifar-10-python.tar.gz"), "");
    const message = await messageOf(load(python));
    expect(message).toContain(
      `${join(python, "cifar-10-python.tar.gz")} is the Python version, the binary version is read`,
    );
    for (const place of cifar10.files!.places([python])) expect(message).toContain(place);
  });
});

describe("the archive", () => {
  let whole: Buffer;
  beforeAll(async () => {
    const members = names10.map((name, i) => {
      const bytes = Buffer.alloc(bytes10);
      bytes[3073] = i + 1;
      bytes[3073 + 1 + 1024 + 1] = 10 * (i + 1);
      return [`cifar-10-batches-bin/${name}`, bytes] as const;
    });
    whole = await archive({
      ...Object.fromEntries(members.reverse()),
      "cifar-10-batches-bin/readme.html": Buffer.from("hello"),
    });
  });
  const putArchive = async (content: Uint8Array | string) => {
    const folder = await temporaryFolder();
    return { folder, path: await put(join(folder, "cifar-10-binary.tar.gz"), content) };
  };

  test("is read without unpacking, whatever the order of its files", async () => {
    const { folder, path } = await putArchive(whole);
    const packed = await load(folder);
    expect(packed.readFrom).toBe(path);
    const unpacked = await load(await batches(await temporaryFolder()));
    expect(Buffer.compare(packed.train.images, unpacked.train.images)).toBe(0);
    expect(Buffer.compare(packed.test.images, unpacked.test.images)).toBe(0);
    expect(packed.train.labels).toEqual(unpacked.train.labels);
    const checked = await cifar10.files!.check(path);
    expect(checked.map(({ problem, checksum, images }) => [problem, checksum, images])).toEqual(
      names10.map(() => [null, "differs", 10_000]),
    );
  });

  test.each([
    ["cut", () => whole.subarray(0, 100_000), "cut short: the gzip data stops after 100000 bytes, before its end"],
    ["a web page", () => "<!doctype html>", "is a web page (HTML), not data: a download went wrong"],
    ["not gzip", () => "PK\x03\x04 and so on", "expected gzip data, found first bytes 50 4b 03 04"],
    ["empty", () => "", "cut short: the gzip data stops after 0 bytes, before its end"],
  ])("%s", async (_, content, what) => {
    const { folder, path } = await putArchive(content());
    expect(await messageOf(load(folder))).toBe(`DatasetError: cifar10: ${path}: ${what}${remove}`);
    const problems = (await cifar10.files!.check(path)).flatMap(({ problem }) => problem ?? []);
    expect(problems).toEqual([`cifar10: ${path}: ${what}${remove}`]);
  });

  test("without one of its files, or with one cut, or no tar at all", async () => {
    const one = Buffer.alloc(bytes10);
    const lacking = await putArchive(await archive({ "data_batch_1.bin": one }));
    expect(await messageOf(load(lacking.folder))).toBe(
      `DatasetError: cifar10: ${lacking.path}: expected it to hold data_batch_2.bin, data_batch_3.bin, data_batch_4.bin, data_batch_5.bin, test_batch.bin, found none${remove}`,
    );
    const short = await putArchive(await archive({ "data_batch_1.bin": one.subarray(0, 100) }));
    expect(await messageOf(load(short.folder))).toContain(
      `${short.path} (data_batch_1.bin): cut short: expected 30730000 bytes`,
    );
    const noTar = await putArchive((await import("node:zlib")).gzipSync(Buffer.alloc(2000, 7)));
    expect(await messageOf(load(noTar.folder))).toContain(`${noTar.path}: not a whole tar archive`);
  });
});

describe("cifar100", () => {
  test("uses the fine label, and names a hundred classes in alphabetical order", async () => {
    const folder = await temporaryFolder();
    const second = { [bytes100]: 19, [bytes100 + 1]: 99, [bytes100 + 2]: 200, [bytes100 + 2 + 3071]: 201 };
    await putBlank(join(folder, "cifar-100-binary", "train.bin"), 50_000 * bytes100, second);
    await putBlank(join(folder, "cifar-100-binary", "test.bin"), 10_000 * bytes100);
    const { train, test: held, classNames, classes } = await load100(folder);
    expect([train.count, held.count, classes]).toEqual([50_000, 10_000, 100]);
    expect([train.labels[1], train.images[3072], train.images[2 * 3072 - 1]]).toEqual([99, 200, 201]);
    expect(classNames).toEqual([...new Set(classNames)].sort());
    expect([classNames[0], classNames[99], classNames.length]).toEqual(["apple", "worm", 100]);
  });

  test("train and test swapped", async () => {
    const folder = await temporaryFolder();
    await putBlank(join(folder, "train.bin"), 10_000 * bytes100);
    await putBlank(join(folder, "test.bin"), 50_000 * bytes100);
    expect(await messageOf(load100(folder))).toContain(
      "cut short: expected 153700000 bytes (50000 records of 3074), found 30740000: this is the size of test.bin",
    );
  });
});

test("normalisation: two published conventions, by name", () => {
  const parse = (options: object) => cifar10.options.safeParse(options);
  expect(parse({}).data).toEqual({ normalisation: "image-std" });
  expect(parse({ normalisation: "p3" }).success).toBe(false);
});

const real = dataDirectories().find((dir) => cifar10.files!.find([dir]) !== null);
test("the real set, where STOPGRAD_DATA has it: classes and both normalisations", async ({ skip }) => {
  skip(real === undefined, "cifar10 is not in STOPGRAD_DATA");
  const { train, test: held, mean, std } = await load(real!);
  expect(classHistogram(train.labels, 10)).toEqual(new Array(10).fill(5000));
  expect(classHistogram(held.labels, 10)).toEqual(new Array(10).fill(1000));
  const pixelStd = await cifar10.load({ normalisation: "pixel-std" }, { dataDirs: [real!] });
  for (const c of [0, 1, 2]) {
    let [all, squares, imageStd] = [0, 0, 0];
    for (let i = 0; i < 50_000; i += 10) {
      let [sum, square] = [0, 0];
      for (const byte of train.images.subarray((3 * i + c) * 1024, (3 * i + c + 1) * 1024)) {
        sum += byte / 255 / 1024;
        square += (byte / 255) ** 2 / 1024;
      }
      all += sum / 5000;
      squares += square / 5000;
      imageStd += Math.sqrt(square - sum ** 2) / 5000;
    }
    expect(Math.abs(all - mean[c]!)).toBeLessThan(0.006);
    expect(Math.abs(imageStd - std[c]!)).toBeLessThan(0.006);
    expect(Math.abs(Math.sqrt(squares - all ** 2) - pixelStd.std[c]!)).toBeLessThan(0.006);
  }
});
