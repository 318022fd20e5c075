// MATLAB's level-5 MAT-files (`save -v6`, `-v7`; scipy.io.savemat): numeric arrays, packed by zlib or not. A header of 128
// bytes, then data elements, each a tag (type, byte count) and its bytes; an array is an element of elements: flags,
// dimensions, name, numbers. Source of the format: MathWorks, "MAT-File Format", chapter 1.
//
// Not read, and said by name: level-4 files, version 7.3 (which is HDF5), cells, structures, objects, text, sparse
// and complex arrays. Whatever the file claims, no more than the caller's bound is unpacked.
import { promisify } from "node:util";
import { constants, inflate, inflateSync } from "node:zlib";
import { firstBytes } from "./files.js";

const inflateWhole = promisify(inflate);

/** Numbers as they are stored, which may be smaller than their class: MATLAB packs a double array of small whole numbers. */
export type MatNumbers =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

export interface MatArray {
  readonly name: string;
  /** At least two, as MATLAB has it. */
  readonly dimensions: readonly number[];
  /** Column-major: the first index runs fastest. Bytes are a view of the file where it is not packed. */
  readonly numbers: MatNumbers;
}

/** Not a level-5 MAT-file, a damaged one, or one that holds what is not read; the message says which, without the path. */
export class MatError extends Error {
  override readonly name = "MatError";
}

export interface MatOptions {
  /** Arrays to read; others are passed over, whatever they are. All when left out. */
  readonly names?: readonly string[];
  /** Most bytes that a packed array may take when unpacked. */
  readonly mostBytes: number;
}

/**
 * The arrays of a file by name.
 *
 * @param file - the whole file
 * @throws MatError
 */
export async function readMat(file: Uint8Array, { names, mostBytes }: MatOptions): Promise<Map<string, MatArray>> {
  const littleEndian = parseHeader(file);
  const found = new Map<string, MatArray>();
  const isWanted = (name: string) => names === undefined || names.includes(name);
  for (let at = HEADER_BYTES; at < file.length; ) {
    const element = parseElement(file, at, littleEndian);
    at = element.end;
    const array =
      element.type === COMPRESSED
        ? await unpackArray(element.bytes, littleEndian, isWanted, mostBytes)
        : element.type === MATRIX
          ? parseArray(element.bytes, littleEndian, isWanted)
          : null;
    if (array !== null) found.set(array.name, array);
  }
  return found;
}

const HEADER_BYTES = 128;
const HDF5 = "\x89HDF\r\n\x1a\n";

/** Types of data elements that are no numbers. */
const MATRIX = 14;
const COMPRESSED = 15;

/** Element type → how its numbers are read. */
const NUMBERS: Readonly<Record<number, NumberType>> = {
  1: { bytes: 1, array: Int8Array, read: (view, at) => view.getInt8(at) },
  2: { bytes: 1, array: Uint8Array, read: (view, at) => view.getUint8(at) },
  3: { bytes: 2, array: Int16Array, read: (view, at, little) => view.getInt16(at, little) },
  4: { bytes: 2, array: Uint16Array, read: (view, at, little) => view.getUint16(at, little) },
  5: { bytes: 4, array: Int32Array, read: (view, at, little) => view.getInt32(at, little) },
  6: { bytes: 4, array: Uint32Array, read: (view, at, little) => view.getUint32(at, little) },
  7: { bytes: 4, array: Float32Array, read: (view, at, little) => view.getFloat32(at, little) },
  9: { bytes: 8, array: Float64Array, read: (view, at, little) => view.getFloat64(at, little) },
  12: { bytes: 8, array: BigInt64Array, read: (view, at, little) => view.getBigInt64(at, little) },
  13: { bytes: 8, array: BigUint64Array, read: (view, at, little) => view.getBigUint64(at, little) },
};

interface NumberType {
  readonly bytes: number;
  readonly array: new (length: number) => MatNumbers;
  read(view: DataView, at: number, littleEndian: boolean): number | bigint;
}

/** Classes of arrays that hold no plain numbers; 6 to 15 do. */
const OTHER_CLASSES: Readonly<Record<number, string>> = {
  1: "a cell array",
  2: "a structure",
  3: "an object",
  4: "text",
  5: "a sparse array",
  16: "a function",
  17: "an object",
};
const NUMERIC_CLASSES = { from: 6, to: 15 };
const COMPLEX = 0x0800;

/** @returns whether numbers are little-endian */
function parseHeader(file: Uint8Array): boolean {
  const text = (from: number, to: number) => Buffer.from(file.subarray(from, to)).toString("latin1");
  if (text(0, 8) === HDF5 || text(512, 520) === HDF5) {
    throw new MatError("expected a level-5 MAT-file, found version 7.3 (HDF5); save it with -v7");
  }
  const mark = text(126, 128);
  const isMarked = mark === "IM" || mark === "MI";
  if (!isMarked && mayBeLevel4(file)) {
    throw new MatError("expected a level-5 MAT-file, found what may be a level-4 one; save it with -v7");
  }
  if (file.length < HEADER_BYTES) {
    throw new MatError(`expected a level-5 MAT-file (header of ${HEADER_BYTES} bytes), found ${file.length} bytes`);
  }
  if (!isMarked)
    throw new MatError(`expected a level-5 MAT-file ("IM" or "MI" at byte 126), found ${firstBytes(file)}`);
  const littleEndian = mark === "IM";
  const version = new DataView(file.buffer, file.byteOffset).getUint16(124, littleEndian);
  if (version === 0x0100) return littleEndian;
  const found = version === 0x0200 ? "version 7.3 (HDF5); save it with -v7" : `version 0x${version.toString(16)}`;
  throw new MatError(`expected a level-5 MAT-file (version 0x100), found ${found}`);
}

/** A level-4 file begins with its first array's type, a number below 5000 in four bytes. */
function mayBeLevel4(file: Uint8Array): boolean {
  if (file.length < 20) return false;
  const view = new DataView(file.buffer, file.byteOffset, 4);
  return view.getUint32(0, true) < 5000 || view.getUint32(0, false) < 5000;
}

interface Element {
  readonly type: number;
  /** A view. */
  readonly bytes: Uint8Array;
  /** Where the next one begins. */
  readonly end: number;
}

/** The data element at `at`. Up to four bytes stand in the tag itself; others are padded to a multiple of eight. */
function parseElement(within: Uint8Array, at: number, littleEndian: boolean): Element {
  const left = within.length - at;
  if (left < 8) throw new MatError(`cut short: expected the 8 bytes of a tag at byte ${at}, found ${left}`);
  const view = new DataView(within.buffer, within.byteOffset + at, 8);
  const first = view.getUint32(0, littleEndian);
  const small = first >>> 16;
  if (small > 4) throw new MatError(`damaged: expected at most 4 bytes in the tag at byte ${at}, found ${small}`);
  if (small > 0) return { type: first & 0xffff, bytes: within.subarray(at + 4, at + 4 + small), end: at + 8 };

  const length = view.getUint32(4, littleEndian);
  if (length > left - 8) {
    throw new MatError(`cut short: expected ${length} bytes after the tag at byte ${at}, found ${left - 8}`);
  }
  const padded = first === COMPRESSED ? length : Math.ceil(length / 8) * 8;
  return { type: first, bytes: within.subarray(at + 8, at + 8 + length), end: at + 8 + padded };
}

/** Packed bytes that hold an array's flags, dimensions and name for certain, and unpack to about a megabyte at most. */
const PEEK_BYTES = 1024;
/** Bytes that are unpacked at a time. */
const UNPACK_BYTES = 2 ** 20;

/** A packed array; null when it is not wanted. */
async function unpackArray(
  packed: Uint8Array,
  littleEndian: boolean,
  isWanted: (name: string) => boolean,
  mostBytes: number,
): Promise<MatArray | null> {
  try {
    const start = inflateSync(packed.subarray(0, PEEK_BYTES), { finishFlush: constants.Z_SYNC_FLUSH });
    if (start.length < 8) throw new MatError("cut short: the packed array has no tag");
    const [type, length] = [0, 4].map((at) =>
      new DataView(start.buffer, start.byteOffset, 8).getUint32(at, littleEndian),
    );
    if (type !== MATRIX) throw new MatError(`damaged: expected a packed array, found a packed element of type ${type}`);
    const { name } = parseArrayHeader(start.subarray(8), littleEndian);
    if (!isWanted(name)) return null;
    if (length! > mostBytes) {
      throw new MatError(
        `array ${name}: expected at most ${mostBytes} bytes, the packed one says that it has ${length}`,
      );
    }
    const whole = await inflateWhole(packed, { maxOutputLength: 8 + length!, chunkSize: UNPACK_BYTES });
    return parseArray(parseElement(whole, 0, littleEndian).bytes, littleEndian, isWanted);
  } catch (error) {
    if (error instanceof MatError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "Z_BUF_ERROR") throw new MatError("cut short: the zlib data stops before its end", { cause: error });
    const why = code === "ERR_BUFFER_TOO_LARGE" ? "an array unpacks to more bytes than it says" : message;
    throw new MatError(`damaged zlib data (${why})`, { cause: error });
  }
}

interface ArrayHeader {
  readonly arrayClass: number;
  readonly isComplex: boolean;
  readonly dimensions: readonly number[];
  readonly name: string;
  /** Where the numbers begin. */
  readonly end: number;
}

/** Flags, dimensions and name, with which every array begins. */
function parseArrayHeader(bytes: Uint8Array, littleEndian: boolean): ArrayHeader {
  const flags = parseElement(bytes, 0, littleEndian);
  const word = toNumbers(flags, littleEndian)[0];
  if (flags.type !== 6 || typeof word !== "number") throw new MatError("damaged: an array without flags");
  const arrayClass = word & 0xff;
  if (arrayClass === 17) {
    // An object of a newer kind has its name where others have dimensions.
    const name = parseElement(bytes, flags.end, littleEndian);
    return { arrayClass, isComplex: false, dimensions: [], name: toText(name), end: name.end };
  }
  const shape = parseElement(bytes, flags.end, littleEndian);
  const dimensions = Array.from(toNumbers(shape, littleEndian), Number);
  const name = parseElement(bytes, shape.end, littleEndian);
  if (shape.type !== 5 || dimensions.length < 2 || dimensions.some((size) => size < 0)) {
    throw new MatError(`damaged: expected the dimensions of ${toText(name) || "an array"}, found [${dimensions}]`);
  }
  return { arrayClass, isComplex: (word & COMPLEX) !== 0, dimensions, name: toText(name), end: name.end };
}

/** The array in a matrix element; null when it is not wanted. */
function parseArray(bytes: Uint8Array, littleEndian: boolean, isWanted: (name: string) => boolean): MatArray | null {
  if (bytes.length === 0) return null; // an empty matrix without a name
  const { arrayClass, isComplex, dimensions, name, end } = parseArrayHeader(bytes, littleEndian);
  if (!isWanted(name)) return null;
  const isNumeric = arrayClass >= NUMERIC_CLASSES.from && arrayClass <= NUMERIC_CLASSES.to;
  if (!isNumeric || isComplex) {
    const found = isNumeric ? "complex numbers" : (OTHER_CLASSES[arrayClass] ?? `an array of class ${arrayClass}`);
    throw new MatError(`array ${name}: expected an array of real numbers, found ${found}`);
  }
  const numbers = toNumbers(parseElement(bytes, end, littleEndian), littleEndian);
  const count = dimensions.reduce((product, size) => product * size, 1);
  if (numbers.length !== count) {
    throw new MatError(`array ${name}: expected ${count} numbers (${dimensions.join(" x ")}), found ${numbers.length}`);
  }
  return { name, dimensions, numbers };
}

function toText({ bytes }: Element): string {
  return Buffer.from(bytes).toString("latin1");
}

/** An element's numbers; bytes as a view, others copied, whatever the byte order. */
function toNumbers({ type, bytes }: Element, littleEndian: boolean): MatNumbers {
  const kind = NUMBERS[type];
  if (kind === undefined) throw new MatError(`damaged: expected numbers, found an element of type ${type}`);
  if (bytes.length % kind.bytes !== 0) {
    throw new MatError(`damaged: expected numbers of ${kind.bytes} bytes, found ${bytes.length} bytes`);
  }
  if (type === 2) return bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const numbers = new kind.array(bytes.length / kind.bytes);
  const writable = numbers as { [i: number]: number | bigint };
  for (let i = 0; i < numbers.length; i++) writable[i] = kind.read(view, i * kind.bytes, littleEndian);
  return numbers;
}
