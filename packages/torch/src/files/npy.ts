// NumPy's .npy files in and out, for arrays from and to any other program.
//
// Source: the format's description in NumPy's numpy/lib/format.py, versions 1.0, 2.0 and 3.0. A header is a Python
// literal; the small parser below reads that one dictionary and evaluates nothing. Pickled object arrays are refused.
import type { DType } from "../native.js";
import { permute } from "../ops/shape.js";
import { scope } from "../scope.js";
import { elementSize, type Tensor } from "../tensor.js";
import { writeWhole } from "./atomic-write.js";
import { FileMap } from "./mapping.js";
import { type ByteSource, bytesSource, FileFormatError, type Refuse, shown, withFile } from "./open-file.js";
import { blamingFile, MOST_DIMENSIONS, tensorFromPieces, writePieces } from "./tensor-bytes.js";
import { looksLikeZip } from "./zip.js";

const MAGIC = "\x93NUMPY";
const EXPECTED = "a NumPy array (.npy)";

/** A longer header than this is damage, not an array: a shape has at most 64 sizes. */
const LONGEST_HEADER = 1 << 20;

/** NumPy's type codes, without byte order. The unsigned ones become the next wider signed type. */
const readable: Record<string, DType | keyof typeof widths> = {
  f2: "float16",
  f4: "float32",
  f8: "float64",
  i1: "int8",
  i2: "int16",
  i4: "int32",
  i8: "int64",
  u1: "uint8",
  u2: "uint16",
  u4: "uint32",
  u8: "uint64",
  b1: "bool",
};

/** Types that tensors lack, and those that hold their numbers. */
const widths = { uint16: "int32", uint32: "int64", uint64: "int64" } as const satisfies Record<string, DType>;

const written: Record<DType, string> = {
  float16: "<f2",
  float32: "<f4",
  float64: "<f8",
  bfloat16: "<f4",
  int8: "|i1",
  int16: "<i2",
  int32: "<i4",
  int64: "<i8",
  uint8: "|u1",
  bool: "|b1",
};

/** How an array is read. */
export interface NpyOptions {
  /**
   * Share the file's memory instead of reading it, default false: nothing is read until an element is used, and
   * writing to the tensor does not change the file. Big-endian, unsigned and boolean arrays are read all the same.
   * The file must not be cut short while the tensor lives: using an element that is gone kills the process.
   */
  mapped?: boolean;
}

/**
 * Reads a .npy file: either byte order, row-major or Fortran order, any shape and length. Unsigned integers of 16 and
 * 32 bits come as int32 and int64, of 64 bits as int64 where they fit.
 * @returns on the CPU, row-major; a mapped array in Fortran order has Fortran's strides
 * @throws FileFormatError naming the file, what it holds and what would be right
 */
export function readNpy(path: string, options: NpyOptions = {}): Tensor {
  const refuse: Refuse = (problem) => new FileFormatError(path, problem);
  return withFile(path, EXPECTED, (file) =>
    scope(() => readArray(file, refuse, options.mapped ? { map: new FileMap(file), start: 0 } : null)),
  );
}

/**
 * The array in the bytes of a .npy file, as `readNpy`.
 * @param name - what to call it in an error
 */
export function parseNpy(bytes: Uint8Array, name: string): Tensor {
  return readArray(bytesSource(bytes), (problem) => new FileFormatError(name, problem), null);
}

/**
 * The array in a source, read from its beginning to its end.
 * @param mapped - the map to share where that is possible, and where in it the source begins
 */
export function readArray(source: ByteSource, refuse: Refuse, mapped: { map: FileMap; start: number } | null): Tensor {
  const { stored, dtype, width, swap, fortranOrder, shape, dataStart, descr } = readArrayHeader(source, refuse);
  const elements = shape.reduce((product, size) => product * size, 1);
  const expected = elements * width;
  if (!Number.isSafeInteger(expected)) throw refuse(`the shape (${shape.join(", ")}) has too many elements`);
  const found = source.size - dataStart;
  if (found !== expected) {
    const what = found < expected ? "the file is truncated" : "there are trailing bytes";
    throw refuse(`${what}: expected ${expected} bytes of data for '${descr}' (${shape.join(", ")}), found ${found}`);
  }

  const laidOut = fortranOrder ? shape.toReversed() : shape;
  return blamingFile(refuse, () =>
    scope(() => {
      const asStored = stored === dtype && !swap ? mapped?.map.tensor(dtype, laidOut, mapped.start + dataStart) : null;
      const array =
        asStored ??
        tensorFromPieces(dtype, laidOut, (start, count) => {
          const bytes = source.readPiece(dataStart + start * width, count * width);
          return widened(swap ? swapped(bytes, width) : bytes, stored, start, refuse);
        });
      if (!fortranOrder || shape.length < 2) return array;
      const ordered = permute(array, Array.from(shape.keys()).reverse());
      return asStored ? ordered : ordered.contiguous();
    }),
  );
}

/**
 * Writes a tensor as a .npy file, row-major and little-endian, whole or not at all. bfloat16, which NumPy does not
 * have, is written as float32.
 * @throws FileFormatError when the file cannot be written
 */
export function writeNpy(path: string, tensor: Tensor): void {
  const header = npyHeader(tensor);
  writeWhole(path, (write) => {
    write(header);
    writeArrayData(tensor, write);
  });
}

/** What stands before the data: a multiple of 64 bytes. */
export function npyHeader(tensor: Tensor): Uint8Array {
  const shape = tensor.shape;
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${written[tensor.dtype]}', 'fortran_order': False, 'shape': (${sizes}), }`;
  const unpadded = MAGIC.length + 4 + text.length + 1;
  const header = `${text}${" ".repeat((64 - (unpadded % 64)) % 64)}\n`;
  const length = String.fromCharCode(header.length & 0xff, header.length >> 8);
  return Buffer.from(`${MAGIC}\x01\x00${length}${header}`, "latin1");
}

/** Bytes of the data alone. */
export function npyDataSize(tensor: Tensor): number {
  return tensor.numel * (tensor.dtype === "bfloat16" ? 4 : elementSize(tensor.dtype));
}

export function writeArrayData(tensor: Tensor, write: (bytes: Uint8Array) => void): void {
  writePieces(tensor, write, tensor.dtype === "bfloat16" ? "float32" : undefined);
}

/** What a .npy file says of its array. */
export interface ArrayHeader {
  /** NumPy's type. */
  descr: string;
  stored: keyof typeof widths | DType;
  /** The tensor's type: the same, or the next wider signed one. */
  dtype: DType;
  /** Bytes of a stored element. */
  width: number;
  /** Whether its bytes are in the other order. */
  swap: boolean;
  fortranOrder: boolean;
  shape: readonly number[];
  /** Where the data begin. */
  dataStart: number;
}

/** The header at a source's beginning; the data need not be there. */
export function readArrayHeader(source: ByteSource, refuse: Refuse): ArrayHeader {
  const { headerText, dataStart } = splitHeader(source, refuse);
  const { descr, fortranOrder, shape } = readHeader(headerText, refuse);
  const { code, bigEndian } = readType(descr, refuse);
  const stored = readable[code]!;
  const dtype = Object.hasOwn(widths, stored) ? widths[stored as keyof typeof widths] : (stored as DType);
  const width = Number(code.slice(1));
  return { descr, stored, dtype, width, swap: bigEndian && width > 1, fortranOrder, shape, dataStart };
}

/** Finds the header's text, by the format's version, and where the data begin. */
function splitHeader(source: ByteSource, refuse: Refuse): { headerText: string; dataStart: number } {
  const { size } = source;
  if (size === 0) throw refuse(`the file is empty; expected ${EXPECTED}`);
  const view = (start: number, length: number): Buffer => {
    const bytes = source.read(start, length);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  };
  const start = view(0, Math.min(size, 12));
  const beginning = start.toString("latin1");
  if (looksLikeZip(start)) {
    throw refuse(
      `found a zip archive, as are a NumPy archive (.npz) and a PyTorch checkpoint (.pt); expected ${EXPECTED}`,
    );
  }
  if (start[0] === 0x80 && start.length > 1 && start[1]! <= 5) {
    throw refuse(`found a Python pickle; expected ${EXPECTED}: save the array with numpy.save`);
  }
  if (!beginning.startsWith(MAGIC)) {
    if (MAGIC.startsWith(beginning)) throw refuse("the file is truncated within NumPy's magic string");
    throw refuse(
      `found ${shown(beginning.slice(0, 6))} at the beginning; expected ${EXPECTED}, which begins with "\\x93NUMPY"`,
    );
  }
  const major = start[6];
  if (major === undefined || start.length < (major === 1 ? 10 : 12)) {
    throw refuse(`the file is truncated within the header: expected at least 12 bytes, found ${size}`);
  }
  if (major < 1 || major > 3 || start[7] !== 0) {
    throw refuse(`found version ${major}.${start[7]} of the .npy format; expected 1.0, 2.0 or 3.0`);
  }
  const headerStart = major === 1 ? 10 : 12;
  const length = major === 1 ? start.readUInt16LE(8) : start.readUInt32LE(8);
  if (length > LONGEST_HEADER) throw refuse(`found a header of ${length} bytes; expected at most ${LONGEST_HEADER}`);
  const dataStart = headerStart + length;
  if (dataStart > size) {
    throw refuse(`the file is truncated within the header: expected ${dataStart} bytes, found ${size}`);
  }
  const header = view(headerStart, length);
  return { headerText: header.toString(major === 3 ? "utf8" : "latin1"), dataStart };
}

interface Header {
  descr: string;
  fortranOrder: boolean;
  shape: readonly number[];
}

/** The three entries of the header, each of the right kind. */
function readHeader(text: string, refuse: Refuse): Header {
  const entries = parseDictionary(text, refuse);
  for (const key of ["descr", "fortran_order", "shape"]) {
    if (!entries.has(key)) throw refuse(`the header has no '${key}'`);
  }
  for (const key of entries.keys()) {
    if (key !== "descr" && key !== "fortran_order" && key !== "shape") {
      throw refuse(`the header has an unknown entry ${shown(key)}; expected descr, fortran_order and shape`);
    }
  }
  const descr = entries.get("descr");
  const fortranOrder = entries.get("fortran_order");
  const shape = entries.get("shape");
  if (Array.isArray(descr)) {
    throw refuse("found an array of records (a structured type); expected numbers: save each field by itself");
  }
  if (typeof descr !== "string") throw refuse("the header's 'descr' is not a type; expected one such as '<f4'");
  if (typeof fortranOrder !== "boolean") throw refuse("the header's 'fortran_order' is neither True nor False");
  if (!Array.isArray(shape) || !shape.every((size) => Number.isSafeInteger(size) && (size as number) >= 0)) {
    throw refuse("the header's 'shape' is not a tuple of sizes of at least 0");
  }
  if (shape.length > MOST_DIMENSIONS) {
    throw refuse(`the header's 'shape' has ${shape.length} sizes; expected at most ${MOST_DIMENSIONS}`);
  }
  return { descr, fortranOrder, shape: shape as number[] };
}

/** `<f4` → its code `f4` and byte order. */
function readType(descr: string, refuse: Refuse): { code: string; bigEndian: boolean } {
  const [, order, kind, width] = /^([<>|=]?)([a-zA-Z?])(\d*)/.exec(descr) ?? [];
  if (
    kind !== undefined &&
    Object.hasOwn(readable, `${kind}${width}`) &&
    descr.length === order!.length + 1 + width!.length
  ) {
    return { code: `${kind}${width}`, bigEndian: order === ">" };
  }
  const advice: Record<string, string> = {
    O: "Python objects, which only a pickle can hold; expected numbers: convert the array with .astype(numpy.float32)",
    c: "complex numbers; expected real ones: save the real and the imaginary part by themselves",
    V: "raw bytes or records (a structured type); expected numbers: save each field by itself",
    S: "text; expected numbers",
    U: "text; expected numbers",
    M: "dates; expected numbers: convert the array with .astype(numpy.int64)",
    m: "time spans; expected numbers: convert the array with .astype(numpy.int64)",
  };
  const found = advice[kind ?? ""] ?? "a type that tensors do not have; expected f2, f4, f8, i1 to i8, u1 to u8 or b1";
  throw refuse(`found ${shown(descr)}, ${found}`);
}

function swapped(data: Uint8Array, width: number): Uint8Array {
  const copy = Buffer.from(data);
  if (width === 2) return copy.swap16();
  return width === 4 ? copy.swap32() : copy.swap64();
}

/** The same numbers in a type that tensors have; `first` is the position of the first one in the array. */
function widened(
  data: Uint8Array,
  stored: ArrayHeader["stored"],
  first: number,
  refuse: Refuse,
): Uint8Array | Int32Array | BigInt64Array {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (stored === "uint16") return Int32Array.from({ length: data.length / 2 }, (_, i) => view.getUint16(2 * i, true));
  if (stored === "uint32") {
    const numbers = new BigInt64Array(data.length / 4);
    for (let i = 0; i < numbers.length; i++) numbers[i] = BigInt(view.getUint32(4 * i, true));
    return numbers;
  }
  if (stored === "uint64") {
    for (let i = 0; i < data.length; i += 8) {
      if (view.getUint8(i + 7) < 0x80) continue;
      throw refuse(
        `found ${view.getBigUint64(i, true)} at position ${first + i / 8} of an array of uint64; expected at most 2^63 - 1, the largest int64`,
      );
    }
  }
  return data;
}

type Literal = string | number | boolean | null | Literal[];

/**
 * A Python dictionary of literals: strings, whole numbers, True, False, None, and tuples and lists of them.
 * @throws what `refuse` makes, at the first thing that is none of these
 */
function parseDictionary(text: string, refuse: Refuse): Map<string, Literal> {
  let at = 0;
  const fail = (expected: string): never => {
    const found = at < text.length ? shown(text.slice(at, at + 12)) : "its end";
    throw refuse(`the header is damaged: expected ${expected} at character ${at}, found ${found}`);
  };
  const skip = (): void => {
    while (at < text.length && " \t\n\r".includes(text[at]!)) at++;
  };
  const take = (token: string): boolean => {
    skip();
    if (!text.startsWith(token, at)) return false;
    at += token.length;
    return true;
  };
  const string = (): string => {
    skip();
    const [whole, single, double] = /^(?:'([^'\\\n]*)'|"([^"\\\n]*)")/.exec(text.slice(at)) ?? fail("a string");
    at += whole!.length;
    return single ?? double!;
  };
  const value = (depth: number): Literal => {
    if (depth > 8) fail("fewer brackets inside each other");
    skip();
    const first = text[at] ?? "";
    if (first === "'" || first === '"') return string();
    if (take("(")) return items(")", depth);
    if (take("[")) return items("]", depth);
    const [whole, word] = /^(True|False|None|-?\d+(?=L?(?![\w.])))L?/.exec(text.slice(at, at + 40)) ?? fail("a value"); // 3L: Python 2
    at += whole!.length;
    if (word === "True" || word === "False") return word === "True";
    return word === "None" ? null : Number(word);
  };
  const items = (end: string, depth: number): Literal[] => {
    const list: Literal[] = [];
    let comma = true;
    let commas = 0;
    while (!take(end)) {
      if (!comma) fail(`"," or "${end}"`);
      list.push(value(depth + 1));
      comma = take(",");
      if (comma) commas++;
    }
    // "(3)" is the number 3 in Python; a tuple of one has a comma.
    return end === ")" && list.length === 1 && commas === 0 ? fail('","') : list;
  };

  const entries = new Map<string, Literal>();
  if (!take("{")) fail('"{"');
  let comma = true;
  while (!take("}")) {
    if (!comma) fail('"," or "}"');
    const key = string();
    if (entries.has(key)) throw refuse(`the header has two entries ${shown(key)}`);
    if (!take(":")) fail('":"');
    entries.set(key, value(0));
    comma = take(",");
  }
  skip();
  if (at < text.length) fail("nothing after the dictionary");
  return entries;
}
