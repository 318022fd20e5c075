// Hand-made level-5 MAT-files, byte by byte after MathWorks' description of the format, in either byte order.
import { deflateSync } from "node:zlib";

export interface MadeArray {
  name: string;
  dimensions: number[];
  /** Column-major, stored as `type`. */
  numbers: ArrayLike<number>;
  /** 2: bytes, 9: double-precision numbers. */
  type?: 2 | 9;
  /** 6: double, 9: bytes. */
  arrayClass?: number;
  /** Above the class's byte: 0x08 complex, 0x04 global, 0x02 logical. */
  flags?: number;
}

export interface MatFileOptions {
  bigEndian?: boolean;
  packed?: boolean;
  version?: number;
}

export function matFile(arrays: readonly MadeArray[], options: MatFileOptions = {}): Buffer {
  const { bigEndian = false, packed = false, version = 0x0100 } = options;
  const header = Buffer.alloc(128, " ");
  header.write("MATLAB 5.0 MAT-file, made by hand");
  writeWord(header, version, 124, 2, bigEndian);
  header.write(bigEndian ? "MI" : "IM", 126);
  const elements = arrays.map((array) => {
    const matrix = element(14, body(array, bigEndian), bigEndian);
    if (!packed) return matrix;
    const deflated = deflateSync(matrix, { level: 1 });
    return Buffer.concat([tag(15, deflated.length, bigEndian), deflated]); // not padded
  });
  return Buffer.concat([header, ...elements]);
}

/** Tag and bytes, padded to a multiple of eight. */
export function element(type: number, bytes: Uint8Array, bigEndian: boolean): Buffer {
  const padding = Buffer.alloc((8 - (bytes.length % 8)) % 8);
  return Buffer.concat([tag(type, bytes.length, bigEndian), bytes, padding]);
}

/** Up to four bytes in the tag itself. */
export function smallElement(type: number, bytes: Uint8Array, bigEndian: boolean): Buffer {
  const out = Buffer.alloc(8);
  writeWord(out, bytes.length * 65536 + type, 0, 4, bigEndian);
  out.set(bytes, 4);
  return out;
}

function body(array: MadeArray, bigEndian: boolean): Buffer {
  const { name, dimensions, numbers, type = 2, arrayClass = 9, flags = 0 } = array;
  const flagBytes = Buffer.alloc(8);
  writeWord(flagBytes, flags * 256 + arrayClass, 0, 4, bigEndian);
  const sizes = Buffer.alloc(4 * dimensions.length);
  for (const [i, size] of dimensions.entries()) writeWord(sizes, size, 4 * i, 4, bigEndian);
  const text = Buffer.from(name);
  const content = type === 2 ? Buffer.from(Uint8Array.from(numbers)) : doubles(numbers, bigEndian);
  const write = (kind: number, bytes: Buffer) =>
    bytes.length > 0 && bytes.length <= 4 ? smallElement(kind, bytes, bigEndian) : element(kind, bytes, bigEndian);
  return Buffer.concat([
    element(6, flagBytes, bigEndian),
    element(5, sizes, bigEndian),
    write(1, text),
    write(type, content),
  ]);
}

function doubles(numbers: ArrayLike<number>, bigEndian: boolean): Buffer {
  const out = Buffer.alloc(8 * numbers.length);
  for (let i = 0; i < numbers.length; i++) {
    if (bigEndian) out.writeDoubleBE(numbers[i]!, 8 * i);
    else out.writeDoubleLE(numbers[i]!, 8 * i);
  }
  return out;
}

function tag(type: number, length: number, bigEndian: boolean): Buffer {
  const out = Buffer.alloc(8);
  writeWord(out, type, 0, 4, bigEndian);
  writeWord(out, length, 4, 4, bigEndian);
  return out;
}

function writeWord(into: Buffer, value: number, at: number, bytes: 2 | 4, bigEndian: boolean): void {
  if (bigEndian) into.writeUIntBE(value, at, bytes);
  else into.writeUIntLE(value, at, bytes);
}
