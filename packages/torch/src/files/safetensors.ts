// Named tensors in a file: safetensors, which every framework reads and which runs no code when it is opened.
//
// Layout: the header's length (8 bytes, little-endian), the header (JSON, padded with spaces to a multiple of 8), then
// the tensors' bytes, row-major and little-endian, one after the other without holes. The order is that of the
// reference implementation: wide types first, then by name, so that every tensor is aligned.
// Source: huggingface/safetensors, README and safetensors/src/tensor.rs (0.4). Its limits are checked here too.
import { createHash } from "node:crypto";
import type { DType } from "../native.js";
import { scope } from "../scope.js";
import { elementSize, type Tensor } from "../tensor.js";
import { writeWhole } from "./atomic-write.js";
import { FileMap } from "./mapping.js";
import { namedTensors } from "./named-tensors.js";
import { FileFormatError, listed, type OpenFile, type Refuse, shown, withFile } from "./open-file.js";
import { blamingFile, MOST_DIMENSIONS, tensorFromPieces, writePieces } from "./tensor-bytes.js";

const EXPECTED = "a safetensors file";

/** The reference implementation's limit, in bytes. */
const LONGEST_HEADER = 100_000_000;

/** Metadata entry with the SHA-256 of everything after the header, in hexadecimal. */
const CHECKSUM_KEY = "stopgrad.sha256";

/** Names in the file, in the order in which tensors are laid out. */
const types = [
  ["I64", "int64"],
  ["F64", "float64"],
  ["F32", "float32"],
  ["I32", "int32"],
  ["BF16", "bfloat16"],
  ["F16", "float16"],
  ["I16", "int16"],
  ["I8", "int8"],
  ["U8", "uint8"],
  ["BOOL", "bool"],
] as const satisfies readonly (readonly [string, DType])[];

const dtypeOf = new Map<string, DType>(types.map(([name, dtype]) => [name, dtype]));
const nameOf = new Map<DType, string>(types.map(([name, dtype]) => [dtype, name]));
const rankOf = new Map<DType, number>(types.map(([, dtype], rank) => [dtype, rank]));

/** What is saved beside the tensors. */
export interface SaveOptions {
  /** Store a SHA-256 of the tensors' bytes, which `loadSafetensors` then checks; default false. */
  checksum?: boolean;
}

/**
 * Writes named tensors, whole or not at all.
 *
 * @param tensors - of any element type and layout; strided ones are written row-major
 * @param metadata - strings to keep beside them; a `stopgrad.sha256` among them is dropped, it belongs to other bytes
 * @throws FileFormatError when the file cannot be written or a name is not allowed
 */
export function saveSafetensors(
  path: string,
  tensors: ReadonlyMap<string, Tensor> | Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> = {},
  options: SaveOptions = {},
): void {
  const named = namedTensors("saveSafetensors", tensors);
  if (named.has("__metadata__")) {
    throw new FileFormatError(path, 'a tensor cannot be called "__metadata__": that name is the format\'s own');
  }
  const kept: [string, string][] = Object.entries(metadata).filter(([key]) => key !== CHECKSUM_KEY);
  for (const [key, value] of kept) {
    if (typeof value !== "string") {
      throw new FileFormatError(path, `expected the metadata "${key}" to be a string, got ${typeof value}`);
    }
  }
  const entries = Array.from(named, ([name, tensor]) => ({ name, tensor, dtype: tensor.dtype }));
  entries.sort(
    (a, b) => rankOf.get(a.dtype)! - rankOf.get(b.dtype)! || Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)),
  );

  let offset = 0;
  const described = entries.map(({ name, tensor, dtype }): [string, unknown] => {
    const begin = offset;
    offset += tensor.numel * elementSize(dtype);
    return [name, { dtype: nameOf.get(dtype), shape: tensor.shape, data_offsets: [begin, offset] }];
  });
  const header = (sha256: string): Buffer => {
    const notes = options.checksum ? [...kept, [CHECKSUM_KEY, sha256] as const] : kept;
    const members = described.map(jsonMember);
    if (notes.length > 0) members.unshift(`"__metadata__":{${notes.map(jsonMember).join(",")}}`);
    const text = Buffer.from(`{${members.join(",")}}`);
    const padded = Buffer.alloc(8 + Math.ceil(text.length / 8) * 8, " ");
    padded.writeBigUInt64LE(BigInt(padded.length - 8));
    text.copy(padded, 8);
    return padded;
  };

  const placeholder = header("0".repeat(64));
  if (placeholder.length - 8 > LONGEST_HEADER) {
    throw new FileFormatError(
      path,
      `the names take a header of ${placeholder.length - 8} bytes; ${LONGEST_HEADER} at most`,
    );
  }
  const hash = createHash("sha256");
  writeWhole(path, (write) => {
    write(placeholder);
    for (const { tensor } of entries) {
      writePieces(tensor, (bytes) => {
        if (options.checksum) hash.update(bytes);
        write(bytes);
      });
    }
    if (options.checksum) write(header(hash.digest("hex")), 0);
  });
}

/** `"key":value`. Joined by hand, because an object of JavaScript's would put names such as "0" first. */
function jsonMember([key, value]: readonly [string, unknown]): string {
  return `${JSON.stringify(key)}:${JSON.stringify(value)}`;
}

/** Which tensors are read, and how. */
export interface LoadOptions {
  /** Read only these, in this order; default all, in the order of the file. */
  names?: readonly string[];
  /**
   * Share the file's memory instead of reading it, default false: nothing is read until an element is used, and
   * writing to a tensor does not change the file. Booleans, and tensors whose data are not aligned to their elements,
   * are read all the same. The file must not be cut short while the tensors live: using an element that is gone kills
   * the process. Replacing it by another, as `saveSafetensors` does, is safe.
   */
  mapped?: boolean;
}

/** What a safetensors file held. */
export interface LoadedTensors {
  /** On the CPU, in the order of the file or of `names`. */
  tensors: Map<string, Tensor>;
  /** The file's strings, without the checksum. */
  metadata: Record<string, string>;
  /**
   * The checksum that was stored and found right, in hexadecimal; null when there is none, and when it was not
   * compared because not all was read.
   */
  sha256: string | null;
}

/**
 * Reads a safetensors file and checks all of it: the header's form, that the tensors fill the data without holes or
 * overlaps, and, unless only some are read or mapped, the checksum when there is one.
 * @throws FileFormatError naming the file, the tensor, what was found and what would be right
 */
export function loadSafetensors(path: string, options: LoadOptions = {}): LoadedTensors {
  return withFile(path, EXPECTED, (file) => {
    const { entries, metadata, dataStart, checksum } = readHeader(path, file);
    const compared = options.names || options.mapped ? null : checksum;
    const hash = compared === null ? null : createHash("sha256");
    const tensors = scope(() => {
      const map = options.mapped ? new FileMap(file) : null;
      const loaded = new Map<string, Tensor>();
      for (const { name, dtype, shape, begin } of options.names ? chosen(path, entries, options.names) : entries) {
        const refuse: Refuse = (problem) => new FileFormatError(path, `tensor ${shown(name)}: ${problem}`);
        const width = elementSize(dtype);
        const tensor = blamingFile(
          refuse,
          () =>
            map?.tensor(dtype, shape, dataStart + begin) ??
            tensorFromPieces(dtype, shape, (start, count) => {
              const bytes = file.readPiece(dataStart + begin + start * width, count * width);
              hash?.update(bytes);
              return bytes;
            }),
        );
        loaded.set(name, tensor);
      }
      const found = hash?.digest("hex") ?? null;
      if (found !== compared) {
        throw new FileFormatError(
          path,
          `the checkpoint is damaged: checksum ${found} of its data is not the saved ${compared}; use another copy`,
        );
      }
      return loaded;
    });
    return { tensors, metadata, sha256: compared };
  });
}

function chosen(path: string, entries: readonly Entry[], names: readonly string[]): Entry[] {
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  return names.map((name) => {
    const entry = byName.get(name);
    if (entry) return entry;
    throw new FileFormatError(path, `there is no tensor ${shown(name)}; it has ${listed(byName.keys())}`);
  });
}

/** What a safetensors file says of itself. */
export interface SafetensorsHeader {
  /** Element type and shape by name, in the order of the file. */
  tensors: Map<string, { dtype: DType; shape: readonly number[] }>;
  /** The file's strings, without the checksum. */
  metadata: Record<string, string>;
  /** The stored SHA-256 of the data, not compared with them; null when there is none. */
  sha256: string | null;
}

/**
 * Names, types, shapes and metadata of a safetensors file, checked as by `loadSafetensors`, without reading its data.
 * @throws FileFormatError naming the file, the tensor, what was found and what would be right
 */
export function safetensorsHeader(path: string): SafetensorsHeader {
  return withFile(path, EXPECTED, (file) => {
    const { entries, metadata, checksum } = readHeader(path, file);
    const tensors = new Map(entries.map(({ name, dtype, shape }) => [name, { dtype, shape }]));
    return { tensors, metadata, sha256: checksum };
  });
}

interface Entry {
  name: string;
  dtype: DType;
  shape: readonly number[];
  begin: number;
  end: number;
}

/** The header, checked by itself and against the file's length; entries in the order of their data. */
function readHeader(path: string, { size, read }: OpenFile) {
  const refuse = (problem: string) => new FileFormatError(path, problem);
  if (size === 0) throw refuse(`the file is empty; expected ${EXPECTED}`);
  if (size < 8) throw refuse(`the file is truncated: expected at least 8 bytes, found ${size}`);
  const length = Buffer.from(read(0, 8).buffer).readBigUInt64LE();
  const start = Buffer.from(read(8, Math.min(16, size - 8)).buffer).toString("latin1");
  if (length > LONGEST_HEADER) {
    throw refuse(
      `found a header length of ${length} bytes; expected ${EXPECTED}, whose header has at most ${LONGEST_HEADER}`,
    );
  }
  const dataStart = 8 + Number(length);
  if (dataStart > size) {
    throw refuse(
      `the file is truncated within the header: expected at least ${dataStart} bytes, found ${size}, or this is not ${EXPECTED}`,
    );
  }
  if (!start.startsWith("{")) throw refuse(`the header does not begin with "{"; expected ${EXPECTED}`);

  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(read(8, Number(length)));
    header = JSON.parse(text);
  } catch (error) {
    throw refuse(`the header is damaged, it is not JSON: ${(error as Error).message.replace(/[^ -~]/g, "?")}`);
  }
  const twice = duplicateKey(text);
  if (twice !== undefined) throw refuse(`the header has two entries ${shown(twice)}`);

  let metadata: Record<string, string> = {};
  const entries: Entry[] = [];
  for (const [name, value] of Object.entries(header as object)) {
    if (name === "__metadata__") metadata = readMetadata(value, refuse);
    else entries.push(readEntry(name, value, (problem) => refuse(`tensor ${shown(name)}: ${problem}`)));
  }

  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  const dataSize = size - dataStart;
  let filled = 0;
  let before = "the beginning";
  for (const { name, begin, end } of entries) {
    const where = `tensor ${shown(name)}: its data [${begin}, ${end}]`;
    if (begin > filled) throw refuse(`${where} leave a hole after ${before}, expected them to begin at ${filled}`);
    if (begin < filled) throw refuse(`${where} overlap those of ${before}, expected them to begin at ${filled}`);
    if (end > dataSize) {
      throw refuse(`the file is truncated: ${where} end beyond the ${dataSize} bytes of data that are there`);
    }
    filled = end;
    before = `tensor ${shown(name)}`;
  }
  if (filled !== dataSize) {
    throw refuse(
      `there are trailing bytes: the tensors take ${filled} bytes, the file holds ${dataSize} bytes of data`,
    );
  }
  const checksum = Object.hasOwn(metadata, CHECKSUM_KEY) ? metadata[CHECKSUM_KEY]! : null;
  delete metadata[CHECKSUM_KEY];
  return { entries, metadata, dataStart, checksum };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function readMetadata(value: unknown, refuse: Refuse): Record<string, string> {
  if (!isObject(value)) throw refuse("the header's __metadata__ is not an object of strings");
  for (const [key, item] of Object.entries(value)) {
    if (typeof item !== "string") throw refuse(`the header's __metadata__ ${shown(key)} is not a string`);
  }
  return value as Record<string, string>;
}

function readEntry(name: string, value: unknown, refuse: Refuse): Entry {
  if (!isObject(value)) throw refuse("expected an object with dtype, shape and data_offsets");
  const { dtype: type, shape, data_offsets: offsets, ...others } = value;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw refuse(`unknown entry ${shown(unknown)}; expected dtype, shape and data_offsets`);
  const dtype = dtypeOf.get(type as string);
  if (dtype === undefined) {
    throw refuse(`unknown dtype ${brief(type)}; expected one of ${Array.from(dtypeOf.keys()).join(", ")}`);
  }
  const isSize = (item: unknown): item is number => Number.isSafeInteger(item) && (item as number) >= 0;
  if (!Array.isArray(shape) || !shape.every(isSize)) {
    throw refuse(`expected a shape of sizes of at least 0, found ${brief(shape)}`);
  }
  if (shape.length > MOST_DIMENSIONS) {
    throw refuse(`expected a shape of at most ${MOST_DIMENSIONS} sizes, found ${shape.length}`);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize) || offsets[0]! > offsets[1]!) {
    throw refuse(`expected data_offsets [begin, end], found ${brief(offsets)}`);
  }
  const [begin, end] = offsets as [number, number];
  const bytes = shape.reduce((product, size) => product * size, elementSize(dtype));
  if (bytes !== end - begin) {
    throw refuse(
      `expected ${Number.isSafeInteger(bytes) ? bytes : "more than 2^53"} bytes for ${type} [${shape.join(", ")}], its data_offsets [${begin}, ${end}] have ${end - begin}`,
    );
  }
  return { name, dtype, shape, begin, end };
}

/** A value of the header for an error. */
function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? "undefined";
  return text.length <= 100 ? text : `${text.slice(0, 100)}...`;
}

/** A key that an object in a valid JSON text has twice, which JSON.parse passes over. */
function duplicateKey(text: string): string | undefined {
  // By hand, not by a regular expression: those overflow the stack on strings of millions of characters.
  const open: (Set<string> | null)[] = []; // null for an array
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === "{") open.push(new Set());
    else if (character === "[") open.push(null);
    else if (character === "}" || character === "]") open.pop();
    else if (character === '"') {
      const start = at++;
      while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
      let next = at + 1;
      while (/[ \t\n\r]/.test(text[next] ?? "")) next++;
      if (text[next] !== ":") continue;
      const key = JSON.parse(text.slice(start, at + 1)) as string;
      const keys = open.at(-1)!;
      if (keys?.has(key)) return key;
      keys?.add(key);
    }
  }
  return undefined;
}
