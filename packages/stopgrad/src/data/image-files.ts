// Images in files (JPEG, PNG, WebP) as bytes of one shape, through the image library sharp (libvips). It is loaded when the
// first image is decoded and not before, so that nothing else pays for it or needs it.
//
// Pixels are what a viewer shows: turned as EXIF says, in sRGB, of 8 bits; what is transparent lies on black, and an
// animation is its first frame. Resizing filters (Lanczos), so that large photographs do not alias when made small.
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import type { Sharp } from "sharp";
import { DatasetError } from "./dataset.js";

export interface ImageFormat {
  /** 1: luminance. */
  readonly channels: 1 | 3;
  /** Side of the square, in pixels. */
  readonly size: number;
  /** `crop`: cover the square and cut off what is beyond, the middle stays; `stretch`; `pad`: fit in, on black. */
  readonly resize: "crop" | "stretch" | "pad";
}

/** What is taken, whatever the file's name ends in; as sharp calls it. */
const FORMATS: readonly string[] = ["jpeg", "png", "webp"];

/** How sharp calls the ways of resizing. */
const FITS = { crop: "cover", stretch: "fill", pad: "contain" } as const;

/** Images that are decoded side by side at most: Node gives such work four threads unless told otherwise. */
const MOST_AT_ONCE = 8;

type SharpLibrary = (input: Uint8Array, options: { failOn: "error" }) => Sharp;

/** @throws DatasetError when it is not installed, or not for this system */
async function loadSharp(): Promise<SharpLibrary> {
  return (await import("sharp")).default;
}

/**
 * Decodes images, several at a time.
 *
 * @param put - called once for each image, in any order; `pixels` is `[channels, size, size]`, 0 to 255
 * @param load - of the library
 * @throws DatasetError for the first file, in the order of `paths`, that cannot be decoded or is of another format; and without
 *   the library
 */
export async function decodeImages(
  paths: readonly string[],
  format: ImageFormat,
  put: (index: number, pixels: Uint8Array) => void,
  load: () => Promise<SharpLibrary> = loadSharp,
): Promise<void> {
  const sharp = await load().catch((error: Error) => {
    const [reason] = error.message.split("\n");
    throw new DatasetError(
      `folder: images are read through the package sharp, which cannot be loaded (${reason}); install it: npm install sharp`,
      { cause: error },
    );
  });
  let next = 0;
  const failures = new Map<number, unknown>();
  // Images are begun in order: when one fails, all before it have been begun, and the first failure is among those seen.
  const work = async () => {
    while (next < paths.length && failures.size === 0) {
      const index = next++;
      try {
        put(index, await decode(sharp, paths[index]!, format));
      } catch (error) {
        failures.set(index, error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), MOST_AT_ONCE) }, work));
  if (failures.size === 0) return;
  // Once more, alone: libvips keeps the reasons of all threads in one place, so that they may be another image's.
  const first = Math.min(...failures.keys());
  await decode(sharp, paths[first]!, format);
  throw failures.get(first);
}

/** `[channels, size, size]`. */
async function decode(sharp: SharpLibrary, path: string, { channels, size, resize }: ImageFormat): Promise<Uint8Array> {
  // The file's bytes rather than its name: sharp remembers files by name, also when they have changed since.
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new DatasetError(`folder: ${path}: cannot be read (${code})`, { cause: error });
  }
  try {
    const image = sharp(bytes, { failOn: "error" });
    const { format: found } = await image.metadata();
    if (!FORMATS.includes(found)) {
      const what = `expected a JPEG, PNG or WebP image, found ${found.toUpperCase()}; convert or remove it`;
      throw new DatasetError(`folder: ${path}: ${what}`);
    }
    const { data, info } = await image
      .autoOrient()
      .flatten({ background: "black" })
      .resize(size, size, { fit: FITS[resize], background: "black" })
      .toColourspace(channels === 1 ? "b-w" : "srgb")
      .raw({ depth: "uchar" })
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== channels) throw new Error(`it has ${info.channels} channels, expected ${channels}`);
    return toPlanes(data, channels);
  } catch (error) {
    if (error instanceof DatasetError) throw error;
    const reason = (error as Error).message.replaceAll(/\s*\n\s*/g, "; ");
    throw new DatasetError(
      `folder: ${path}: expected a JPEG, PNG or WebP image, found one that cannot be decoded (${reason}); replace or remove it`,
      { cause: error },
    );
  }
}

/** `[H, W, C]` to `[C, H, W]`. */
function toPlanes(pixels: Uint8Array, channels: number): Uint8Array {
  if (channels === 1) return pixels;
  const area = pixels.length / channels;
  const planes = new Uint8Array(pixels.length);
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < channels; c++) planes[c * area + i] = pixels[i * channels + c]!;
  }
  return planes;
}
