// IDX, the format of MNIST: two zero bytes, a type byte (0x08: unsigned bytes), the number of dimensions, each
// dimension as a big-endian 32-bit number, then the bytes. Source: the description on MNIST's own page.
import { damaged, firstBytes } from "./files.js";

/** What a file of the set must hold. */
export interface IdxExpected {
  /** Name of the set, for messages. */
  readonly set: string;
  readonly split: "train" | "test";
  readonly count: number;
  /** Images of the other split, to recognise a file in the wrong place. */
  readonly otherCount: number;
}

/**
 * @param bytes - the whole file, unpacked
 * @returns `[N, height, width]` row-major, a view of `bytes`
 * @throws DatasetError when it is not IDX images of that size and count, or has too few or too many bytes
 */
export function parseIdxImages(
  bytes: Uint8Array,
  path: string,
  expected: IdxExpected & { readonly height: number; readonly width: number },
): Uint8Array {
  const [count, height, width] = parseHeader(bytes, path, expected, "images", 3) as [number, number, number];
  if (height !== expected.height || width !== expected.width) {
    throw damaged(
      expected.set,
      path,
      `expected images of ${expected.height} x ${expected.width} pixels, found ${height} x ${width}`,
    );
  }
  return body(bytes, path, expected, "images", 16, count, height * width);
}

/**
 * @returns `[N]`, each 0 … classes - 1, a view of `bytes`
 * @throws DatasetError as for images, or for a label that is not below `classes`
 */
export function parseIdxLabels(
  bytes: Uint8Array,
  path: string,
  expected: IdxExpected & { readonly classes: number },
): Uint8Array {
  const [count] = parseHeader(bytes, path, expected, "labels", 1) as [number];
  const labels = body(bytes, path, expected, "labels", 8, count, 1);
  const wrong = labels.findIndex((label) => label >= expected.classes);
  if (wrong >= 0) {
    const range = `0 to ${expected.classes - 1}`;
    throw damaged(expected.set, path, `expected labels from ${range}, found ${labels[wrong]} at position ${wrong}`);
  }
  return labels;
}

function parseHeader(
  bytes: Uint8Array,
  path: string,
  expected: IdxExpected,
  what: "images" | "labels",
  dimensions: number,
): number[] {
  const magicRight = bytes[0] === 0 && bytes[1] === 0 && bytes[2] === 8;
  if (magicRight && bytes[3] === 4 - dimensions) {
    throw damaged(expected.set, path, `expected ${what}, found ${what === "images" ? "labels" : "images"}`);
  }
  if (!magicRight || bytes[3] !== dimensions) {
    throw damaged(
      expected.set,
      path,
      `expected an IDX file of ${what} (first bytes 00 00 08 0${dimensions}), found ${firstBytes(bytes)}`,
    );
  }
  const length = 4 + 4 * dimensions;
  if (bytes.length < length) {
    throw damaged(expected.set, path, `cut short: expected a header of ${length} bytes, found ${bytes.length} bytes`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  return Array.from({ length: dimensions }, (_, i) => view.getUint32(4 + 4 * i));
}

function body(
  bytes: Uint8Array,
  path: string,
  expected: IdxExpected,
  what: "images" | "labels",
  header: number,
  count: number,
  each: number,
): Uint8Array {
  const { set, split } = expected;
  if (count !== expected.count) {
    const other = split === "train" ? "test" : "train";
    const hint = count === expected.otherCount ? `: this is the ${other} file` : "";
    throw damaged(set, path, `expected the ${expected.count} ${split} ${what}, found ${count}${hint}`);
  }
  const length = header + count * each;
  if (bytes.length !== length) {
    const how = bytes.length < length ? "cut short" : "too long";
    throw damaged(set, path, `${how}: expected ${length} bytes for ${count} ${what}, found ${bytes.length}`);
  }
  return bytes.subarray(header);
}
