// NumPy's .npy files in and out, for arrays from and to any other program.
//
// Source: the format's description in NumPy's numpy/lib/format.py, versions 1.0, 2.0 and 3.0. A header is a Python
// literal; the small parser below reads that one dictionary and evaluates nothing. Pickled object arrays are refused.
import { TorchError } from "./errors.js";
import { FileFormatError, withFile, writeWhole } from "./files.js";
import { type DType, native } from "./native.js";
import { permute } from "./ops/shape.js";
import { scope } from "./scope.js";
import { Tensor } from "./tensor.js";

const MAGIC = "\x93NUMPY";
const EXPECTED = "a NumPy array (.npy)";

/** A longer header than this is damage, not an array: a shape has at most 64 sizes. */
const LONGEST_HEADER = 1 << 20;

/** NumPy's type codes, without byte order. The unsigned ones become the next wider signed type. */
const readable: Record<string, DType | "uint16" | "uint32" | "uint64"> = {
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

/**
 * Reads a .npy file: either byte order, row-major or Fortran order, any shape. Unsigned integers of 16 and 32 bits come
 * as int32 and int64, of 64 bits as int64 where they fit.
 * @throws FileFormatError naming the file, what it holds and what would be right
 */
export function readNpy(path: string): Tensor {
  return withFile(path, EXPECTED, ({ size, read }) => parseNpy(read(0, size), path));
}

/**
 * The array in the bytes of a .npy file, as `readNpy`.
 * @param name - what to call it in an error
 */
export function parseNpy(bytes: Uint8Array, name: string): Tensor {
  const refuse = (problem: string) => new FileFormatError(name, problem);
  const { headerText, dataStart } = splitHeader(bytes, refuse);
  const { descr, fortranOrder, shape } = readHeader(headerText, refuse);
  const { code, bigEndian } = readType(descr, refuse);

  const stored = readable[code]!;
  const width = Number(code.slice(1));
  const elements = shape.reduce((product, size) => product * size, 1);
  const data = bytes.subarray(dataStart);
  const expected = elements * width;
  if (!Number.isSafeInteger(expected)) throw refuse(`the shape (${shape.join(", ")}) has too many elements`);
  if (data.length !== expected) {
    const what = data.length < expected ? "the file is truncated" : "there are trailing bytes";
    throw refuse(
      `${what}: expected ${expected} bytes of data for '${descr}' (${shape.join(", ")}), found ${data.length}`,
    );
  }

  const ordered = bigEndian && width > 1 ? swapped(data, width) : data;
  const { array, dtype } = widened(ordered, stored, refuse);
  try {
    return scope(() => {
      if (!fortranOrder || shape.length < 2) return Tensor.fromHandle(native().fromBytes(array, dtype, shape));
      const reversed = Tensor.fromHandle(native().fromBytes(array, dtype, shape.toReversed()));
      return permute(reversed, Array.from(shape.keys()).reverse()).contiguous();
    });
  } catch (error) {
    if (error instanceof TorchError) throw refuse(error.message); // sizes beyond libtorch's, or no memory left
    throw error;
  }
}

/**
 * Writes a tensor as a .npy file, row-major and little-endian, whole or not at all. bfloat16, which NumPy does not
 * have, is written as float32.
 * @throws FileFormatError when the file cannot be written
 */
export function writeNpy(path: string, tensor: Tensor): void {
  const dtype = tensor.dtype;
  const shape = tensor.shape;
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${written[dtype]}', 'fortran_order': False, 'shape': (${sizes}), }`;
  const unpadded = MAGIC.length + 4 + text.length + 1;
  const header = `${text}${" ".repeat((64 - (unpadded % 64)) % 64)}\n`;
  const prefix = Buffer.from(
    `${MAGIC}\x01\x00${String.fromCharCode(header.length & 0xff, header.length >> 8)}`,
    "latin1",
  );
  const data = scope(() => native().toBytes((dtype === "bfloat16" ? tensor.to("float32") : tensor).handle));
  writeWhole(path, (write) => {
    write(prefix);
    write(Buffer.from(header, "latin1"));
    write(new Uint8Array(data));
  });
}

type Refuse = (problem: string) => FileFormatError;

/** Finds the header's text, by the format's version, and where the data begins. */
function splitHeader(bytes: Uint8Array, refuse: Refuse): { headerText: string; dataStart: number } {
  if (bytes.length === 0) throw refuse(`the file is empty; expected ${EXPECTED}`);
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 12));
  const beginning = start.toString("latin1");
  if (beginning.startsWith("PK\x03\x04") || beginning.startsWith("PK\x05\x06")) {
    throw refuse(`found a zip archive (.npz); expected ${EXPECTED}: unpack it and give one of the arrays inside`);
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
    throw refuse(`the file is truncated within the header: expected at least 12 bytes, found ${bytes.length}`);
  }
  if (major < 1 || major > 3 || start[7] !== 0) {
    throw refuse(`found version ${major}.${start[7]} of the .npy format; expected 1.0, 2.0 or 3.0`);
  }
  const headerStart = major === 1 ? 10 : 12;
  const length = major === 1 ? start.readUInt16LE(8) : start.readUInt32LE(8);
  if (length > LONGEST_HEADER) throw refuse(`found a header of ${length} bytes; expected at most ${LONGEST_HEADER}`);
  if (headerStart + length > bytes.length) {
    throw refuse(
      `the file is truncated within the header: expected ${headerStart + length} bytes, found ${bytes.length}`,
    );
  }
  const header = Buffer.from(bytes.buffer, bytes.byteOffset + headerStart, length);
  return { headerText: header.toString(major === 3 ? "utf8" : "latin1"), dataStart: headerStart + length };
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

/** The same numbers in a type that tensors have. */
function widened(
  data: Uint8Array,
  stored: DType | "uint16" | "uint32" | "uint64",
  refuse: Refuse,
): { array: Uint8Array | Int32Array | BigInt64Array; dtype: DType } {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (stored === "uint16") {
    return {
      array: Int32Array.from({ length: data.length / 2 }, (_, i) => view.getUint16(2 * i, true)),
      dtype: "int32",
    };
  }
  if (stored === "uint32") {
    const numbers = new BigInt64Array(data.length / 4);
    for (let i = 0; i < numbers.length; i++) numbers[i] = BigInt(view.getUint32(4 * i, true));
    return { array: numbers, dtype: "int64" };
  }
  if (stored === "uint64") {
    for (let i = 0; i < data.length; i += 8) {
      if (view.getUint8(i + 7) < 0x80) continue;
      throw refuse(
        `found ${view.getBigUint64(i, true)} at position ${i / 8} of an array of uint64; expected at most 2^63 - 1, the largest int64`,
      );
    }
    return { array: data, dtype: "int64" };
  }
  return { array: data, dtype: stored };
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

/** Text from a file, safe to print. */
function shown(text: string): string {
  return JSON.stringify(text).replace(
    /[\x7f-\uffff]/g,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
