// `folder`: anybody's own images, as a folder of class folders (class-folders.ts), decoded to one size (image-files.ts) and
// kept decoded in the user's cache (image-cache.ts). Which images there are is looked up when settings are validated, and a
// sum of their bytes (image-sums.ts) is part of the settings: other images are another run. An image is decoded only when
// a run needs it.
import { constants } from "node:buffer";
import { join } from "node:path";
import { z } from "zod";
import { type ClassFolders, findImages, type ImageFile } from "./class-folders.js";
import { type Dataset, DatasetError, type DatasetOptions, type ImageSet, type LoadContext } from "./dataset.js";
import { cacheFile, readCache, writeCache } from "./image-cache.js";
import { decodeImages } from "./image-files.js";
import { sumOfImages } from "./image-sums.js";
import { cacheDirectory } from "./locate.js";

const set = "folder";

/** Of the images' sum, which has 64. */
const CONTENTS_DIGITS = 16;

/** Raise it when the same files and options begin to give other bytes, so that caches are made anew. */
const BYTES_VERSION = 1;

const perChannel = (expected: string, least: z.ZodNumber) =>
  z
    .union([least, z.array(least).min(1).max(3)])
    .meta({ expected })
    .default(0.5);

const options = z
  .strictObject({
    /** Relative to the working directory; `~/` is the home directory. */
    path: z.string().min(1).meta({ expected: "the path of a folder of class folders of images" }),
    /** Side of the square that images are resized to, in pixels. */
    size: z.int().min(8).max(1024).default(32),
    /** How they become square; see `ImageFormat`. */
    resize: z.enum(["crop", "stretch", "pad"]).default("crop"),
    /** 3: colour; 1: grey. */
    channels: z.union([z.literal(1), z.literal(3)]).default(3),
    /** Share of each class that is drawn for the test split, where the folder has none. */
    testFraction: z.number().gt(0).lt(1).default(0.2),
    /** Another seed draws another test split. */
    seed: z.int().min(0).max(0xffffffff).default(0),
    /** Of pixel / 255, one for all channels or one for each. */
    mean: perChannel("a number or a list of one for each channel", z.number()),
    std: perChannel("a number above 0 or a list of one for each channel", z.number().positive()),
    /** Which images these are, filled in: see `fingerprint`. In a file: that they are still the same is checked. */
    contents: z
      .string()
      .regex(new RegExp(`^[0-9a-f]{${CONTENTS_DIGITS}}$`))
      .meta({ expected: `${CONTENTS_DIGITS} hexadecimal digits in quotation marks` })
      .optional(),
  })
  .superRefine(({ channels, mean, std }, context) => {
    for (const [key, value] of Object.entries({ mean, std })) {
      if (!Array.isArray(value) || value.length === channels) continue;
      const message = `expected one number for each of ${channels} channels, got ${value.length}`;
      context.addIssue({ code: "custom", path: [key], message });
    }
  });

type FolderOptions = z.output<typeof options>;

export const folder: Dataset = {
  summary: "your own images: a folder of class folders of JPEG, PNG or WebP files",
  options,
  wants: "data: { name: folder, path: ./photos, size: 32 }",
  shape: (given) => {
    const { channels, size } = options.parse(given);
    return [channels, size, size];
  },
  classes: (given) => find(given).classNames.length,
  trainCount: (given) => countOf(find(given), "train"),
  testCount: (given) => countOf(find(given), "test"),
  fingerprint: (given) => contentsOf(find(given)),
  load: async (given, context) => {
    const parsed = options.parse(given);
    const { channels, size } = parsed;
    const found = find(given);
    const contents = contentsOf(found);
    const expected = parsed.contents ?? contents;
    if (contents !== expected) {
      const problem = `the images have changed since (contents ${contents}, expected ${expected})`;
      throw new DatasetError(
        `folder: ${found.folder}: ${problem}; put them back, or start anew with those that are there`,
      );
    }
    const { train, test } = await read(found, contents, parsed, context);
    const forEach = (value: number | number[]) =>
      Array.isArray(value) ? value : new Array<number>(channels).fill(value);
    return {
      name: set,
      train,
      test,
      shape: [channels, size, size],
      classes: found.classNames.length,
      classNames: found.classNames,
      mean: forEach(parsed.mean),
      std: forEach(parsed.std),
      readFrom: found.folder,
    };
  },
};

function find(given: DatasetOptions): ClassFolders {
  const parsed = options.parse(given);
  return findImages(parsed.path, parsed);
}

function contentsOf(found: ClassFolders): string {
  return sumOfImages(found).slice(0, CONTENTS_DIGITS);
}

function countOf({ images }: ClassFolders, split: ImageFile["split"]): number {
  return images.filter((image) => image.split === split).length;
}

/** Both splits, from the cache or decoded and put there. */
async function read(
  found: ClassFolders,
  contents: string,
  { channels, size, resize }: FolderOptions,
  { onProgress }: LoadContext,
): Promise<{ train: ImageSet; test: ImageSet }> {
  const pixels = channels * size * size;
  const [train, test] = (["train", "test"] as const).map((split) => blankSet(found, split, pixels)) as [
    ImageSet,
    ImageSet,
  ];
  // The cache holds all images in the order of their names, so that another drawn split finds it too.
  const images = [...found.images.entries()].sort(([, a], [, b]) => a.label - b.label || (a.name < b.name ? -1 : 1));
  /** Where an image lies in its split. Training images come first in `found.images`. */
  const place = (index: number): Uint8Array => {
    const at = images[index]![0];
    return at < train.count
      ? train.images.subarray(at * pixels, (at + 1) * pixels)
      : test.images.subarray((at - train.count) * pixels, (at - train.count + 1) * pixels);
  };
  const put = (index: number, decoded: Uint8Array) => place(index).set(decoded);

  const format = { channels, size, resize };
  const cached = { count: images.length, bytes: pixels };
  const path = cacheFile(join(cacheDirectory(), "images"), [BYTES_VERSION, found.folder, format], contents);
  if (await readCache(path, cached, put)) return { train, test };

  let done = 0;
  await decodeImages(
    images.map(([, image]) => image.path),
    format,
    (index, decoded) => {
      put(index, decoded);
      onProgress?.(++done, images.length);
    },
  );
  await writeCache(path, cached, place);
  return { train, test };
}

/** Labels in place, pixels yet to come. @throws DatasetError when they take more than an array can hold */
function blankSet({ folder, images }: ClassFolders, split: ImageFile["split"], pixels: number): ImageSet {
  const labels = Uint8Array.from(
    images.filter((image) => image.split === split),
    ({ label }) => label,
  );
  const count = labels.length;
  if (count * pixels > constants.MAX_LENGTH) {
    const gibibytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
    throw new DatasetError(
      `folder: ${folder}: expected at most ${gibibytes(constants.MAX_LENGTH)} of ${split} images, found ${count} images, which are ${gibibytes(count * pixels)}; choose a smaller size`,
    );
  }
  return { images: new Uint8Array(count * pixels), labels, count };
}
