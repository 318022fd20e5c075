// PyTorch's checkpoints: what `torch.save` writes since PyTorch 1.6. A state dict of Python's loads into `nn`, and the
// other way round (`save-checkpoint.ts`).
//
// Layout: a zip archive, all members in one folder; `data.pkl` is the saved object as a pickle, in which a tensor is a
// call of a function that makes a view (offset, shape, strides) of a storage, and a storage is a persistent id naming
// the member `data/0` and so on with its bytes. Nothing in a file is run: of Python's names only those in the table
// below are known, each with what it makes here, and any other is refused.
// Source: torch/serialization.py, torch/_utils.py and caffe2/serialize/inline_container.h of PyTorch 1.13 and 2.6.
import type { DType } from "../native.js";
import { operator } from "../operator.js";
import { zeros } from "../ops/creation.js";
import { scope } from "../scope.js";
import { elementSize, Tensor } from "../tensor.js";
import { FileMap, viewDType } from "./mapping.js";
import { FileFormatError, listed, type OpenFile, type Refuse, shown, withFile } from "./open-file.js";
import { describe, type PickleKey, PickleProblem, PythonName, unpickle } from "./pickle.js";
import { blamingFile, MOST_DIMENSIONS, tensorFromPieces } from "./tensor-bytes.js";
import { looksLikeZip, type Member, openMember, readDirectory } from "./zip.js";

const EXPECTED = "a PyTorch checkpoint, as torch.save writes it";

/** A pickle of more bytes than this describes no checkpoint: the tensors are beside it. */
const LARGEST_PICKLE = 1 << 28;

/** Containers deeper inside each other than this are refused, before something that walks them overflows. */
export const DEEPEST = 500;

/** Storage classes of PyTorch's and the types of their elements. */
export const storageTypes = {
  FloatStorage: "float32",
  DoubleStorage: "float64",
  HalfStorage: "float16",
  BFloat16Storage: "bfloat16",
  LongStorage: "int64",
  IntStorage: "int32",
  ShortStorage: "int16",
  CharStorage: "int8",
  ByteStorage: "uint8",
  BoolStorage: "bool",
} as const satisfies Record<string, DType>;

/**
 * A value of a checkpoint. Python's dict and OrderedDict are a Map, list an array, tuple a frozen array, None null, str
 * a string, bytes a Uint8Array, int and float a number (a bigint beyond ±2⁵³). A `torch.dtype` and a `torch.device`
 * are strings, `torch.float32` and `cuda:0`, and a `torch.Size` is a frozen array.
 */
export type CheckpointValue =
  | Tensor
  | number
  | bigint
  | string
  | boolean
  | null
  | Uint8Array
  | readonly CheckpointValue[]
  | ReadonlySet<PickleKey>
  | CheckpointMap;

/** A dict. */
export type CheckpointMap = ReadonlyMap<PickleKey, CheckpointValue>;

/** How a checkpoint is read. */
export interface LoadCheckpointOptions {
  /** Share the file's memory instead of reading it, default false; the conditions are those of `loadSafetensors`. */
  mapped?: boolean;
}

/**
 * Reads what `torch.save` wrote, onto the CPU. Tensors that shared memory do so again; saved parameters come as tensors
 * that require gradients. Checksums are compared of all that is read, unless the file has none: PyTorch can be told to
 * leave them out.
 *
 * @returns the saved object; `tensorsOf` makes a state dict of it
 * @throws FileFormatError naming the file and what is wrong: no checkpoint, one from before PyTorch 1.6, a damaged
 *   one, or one that holds Python objects, each of which is named
 */
export function loadCheckpoint(path: string, options: LoadCheckpointOptions = {}): CheckpointValue {
  return withFile(path, EXPECTED, (file) => {
    const refuse: Refuse = (problem) => new FileFormatError(path, problem);
    refuseOtherFormats(file, refuse);
    const members = readDirectory(file, EXPECTED, refuse);
    const folder = archiveFolder(members, refuse);
    const bytesOf = (member: Member, most: number): Uint8Array => {
      const inMember: Refuse = (problem) => refuse(`member ${shown(member.name)}: ${problem}`);
      if (member.size > most) throw inMember(`expected at most ${most} bytes, found ${member.size}`);
      const opened = openMember(file, member, hasChecksum(member), inMember);
      const bytes = opened.read(0, member.size);
      opened.verify();
      return bytes;
    };
    const order = members.get(`${folder}byteorder`);
    if (order && Buffer.from(bytesOf(order, 64)).toString() !== "little") {
      throw refuse("it was written on a big-endian machine; expected little-endian numbers");
    }
    return scope(() => {
      const storages = new Storages(file, members, folder, options.mapped ? new FileMap(file) : null);
      const table = {
        find: (name: string) => findName(name, storages),
        persistent: (id: unknown) => readStorageId(id),
      };
      const loaded = blamingFile(refuse, () =>
        unpickle(bytesOf(members.get(`${folder}data.pkl`)!, LARGEST_PICKLE), table, refuse),
      );
      checkLoaded(loaded, refuse);
      return loaded;
    });
  });
}

/**
 * The entries of a loaded dict, each of which must be a tensor: a state dict, for `Module.loadStateDict`.
 * @param what - what to call it in an error
 * @throws TypeError naming the first entry that is none
 */
export function tensorsOf(value: CheckpointValue | undefined, what = "state dict"): Map<string, Tensor> {
  if (!(value instanceof Map)) {
    throw new TypeError(
      `${what}: expected a dict of tensors, got ${value === undefined ? "nothing" : describe(value)}`,
    );
  }
  for (const [key, item] of value) {
    if (typeof key !== "string" || !(item instanceof Tensor)) {
      const found = item instanceof Tensor ? "a key that is not a string" : describe(item);
      throw new TypeError(`${what}: expected a dict of tensors, got ${found} at ${String(key)}`);
    }
  }
  return value;
}

/** Says what a file is that is no archive, or one of another kind. */
function refuseOtherFormats(file: OpenFile, refuse: Refuse): void {
  if (file.size === 0) throw refuse(`the file is empty; expected ${EXPECTED}`);
  const start = Buffer.from(file.read(0, Math.min(file.size, 512)).buffer);
  if (looksLikeZip(start)) return;
  const old = "load it in Python and save it again with torch.save";
  // The old format begins with a pickle of PyTorch's magic number, 0x1950a86a20f9469cfc6c.
  if (start.subarray(2).toString("latin1").startsWith("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")) {
    throw refuse(`found PyTorch's format from before version 1.6; ${old}`);
  }
  if (start.toString("latin1", 257, 262) === "ustar") {
    throw refuse(`found a tar archive, perhaps PyTorch's format from before version 0.1.10; ${old}`);
  }
  if (start[0] === 0x80 && start[1]! <= 5) throw refuse(`found a Python pickle; expected ${EXPECTED}: ${old}`);
  if (start[8] === 0x7b && start.length > 8 && start.readUInt32LE(4) === 0) {
    throw refuse(`found what looks like a safetensors file; expected ${EXPECTED}`);
  }
}

/** After `torch.serialization.set_crc32_options(False)` PyTorch writes 0, which it does not compare either. */
function hasChecksum(member: Member): boolean {
  return member.crc !== 0;
}

/** The folder that all members are in, with its slash. */
function archiveFolder(members: ReadonlyMap<string, Member>, refuse: Refuse): string {
  const names = [...members.keys()];
  const data = names.filter((name) => /^[^/]*\/data\.pkl$/.test(name));
  if (data.length === 1) {
    const folder = data[0]!.slice(0, -"data.pkl".length);
    if (members.has(`${folder}constants.pkl`)) {
      throw refuse(
        "found a TorchScript program (torch.jit.save); expected a checkpoint: save its state_dict() with torch.save",
      );
    }
    return folder;
  }
  if (names.some((name) => name.endsWith(".npy"))) {
    throw refuse(`found a NumPy archive (.npz); expected ${EXPECTED}`);
  }
  throw refuse(
    `this zip archive is no checkpoint: expected a member "data.pkl" in one folder; it has ${listed(names)}`,
  );
}

// --- storages ------------------------------------------------------------------------------------------------------------

/** A storage as the pickle names it. */
class Storage {
  /**
   * @param dtype - of its elements; null where only bytes are said
   * @param length - in elements, or bytes
   */
  constructor(
    readonly key: string,
    readonly dtype: DType | null,
    readonly length: number,
  ) {}
}

/** `("storage", class, key, device, length)`; where it was does not matter. */
function readStorageId(id: unknown): Storage {
  if (!Array.isArray(id) || id.length !== 5 || id[0] !== "storage") {
    throw new PickleProblem("it refers to something that is not a storage of its own");
  }
  const [, kind, key, , length] = id;
  if (!(kind instanceof StorageClass)) {
    throw new PickleProblem(`expected a storage of a class such as torch.FloatStorage, found ${describe(kind)}`);
  }
  if (typeof key !== "string" || !isSize(length)) throw new PickleProblem("a storage is damaged: its key or length");
  return new Storage(key, kind.dtype, length);
}

class StorageClass extends PythonName {
  constructor(
    name: string,
    readonly dtype: DType | null,
  ) {
    super(name);
  }
}

/** The storages' bytes, each read when its first tensor is made. */
class Storages {
  readonly #file: OpenFile;
  readonly #members: ReadonlyMap<string, Member>;
  readonly #folder: string;
  readonly #map: FileMap | null;
  readonly #read = new Map<string, Tensor>();

  constructor(file: OpenFile, members: ReadonlyMap<string, Member>, folder: string, map: FileMap | null) {
    this.#file = file;
    this.#members = members;
    this.#folder = folder;
    this.#map = map;
  }

  /** A storage's elements, `[length]`, as type `dtype`. */
  elements(storage: Storage, dtype: DType): Tensor {
    const name = `${this.#folder}data/${storage.key}`;
    const member = this.#members.get(name);
    if (!member) throw new PickleProblem(`the member ${shown(name)} with a storage's bytes is missing`);
    const bytes = storage.length * (storage.dtype === null ? 1 : elementSize(storage.dtype));
    if (bytes !== member.size || bytes % elementSize(dtype) !== 0) {
      throw new PickleProblem(
        `the storage ${shown(storage.key)} has ${member.size} bytes; expected ${bytes} of ${dtype}`,
      );
    }
    let read = this.#read.get(storage.key);
    if (!read) {
      read = this.#readMember(member, dtype);
      this.#read.set(storage.key, read);
    }
    if (read.dtype === dtype) return read;
    // The same storage as elements of two types.
    const raw = read.dtype === "uint8" ? read : viewDType(read, "uint8");
    return dtype === "bool" ? isNot(raw, 0) : viewDType(raw, dtype);
  }

  #readMember(member: Member, dtype: DType): Tensor {
    const refuse: Refuse = (problem) =>
      new FileFormatError(this.#file.path, `member ${shown(member.name)}: ${problem}`);
    const opened = openMember(this.#file, member, hasChecksum(member), refuse);
    const width = elementSize(dtype);
    const shape = [member.size / width];
    const mapped = opened.dataStart === null ? null : this.#map?.tensor(dtype, shape, opened.dataStart);
    if (mapped) return mapped;
    const tensor = tensorFromPieces(dtype, shape, (start, count) => opened.readPiece(start * width, count * width));
    opened.verify();
    return tensor;
  }
}

// --- Python's names --------------------------------------------------------------------------------------------------------

const asStrided = operator<[Tensor, readonly number[], readonly number[]], Tensor>(
  "aten::as_strided",
  "self size stride",
);

const isNot = operator<[Tensor, number], Tensor>("aten::ne.Scalar", "self other");

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** A view of a storage. @throws PickleProblem when it reaches beyond it */
function rebuildTensor(storages: Storages, dtype: DType | null, args: readonly unknown[]): Tensor {
  const [storage, offset, shape, strides, requiresGrad = false] = args;
  const sizes = (value: unknown): value is number[] =>
    Array.isArray(value) && value.length <= MOST_DIMENSIONS && value.every(isSize);
  if (!(storage instanceof Storage))
    throw new PickleProblem(`expected a storage for a tensor, found ${describe(storage)}`);
  if (!isSize(offset) || !sizes(shape) || !sizes(strides) || shape.length !== strides.length) {
    throw new PickleProblem("a tensor is damaged: its offset, shape or strides");
  }
  const type = dtype ?? storage.dtype;
  if (type === null) throw new PickleProblem("a tensor is damaged: its storage has no element type");
  const elements = storages.elements(storage, type);
  const last = shape.reduce((sum, size, at) => sum + (size - 1) * strides[at]!, offset);
  const isEmpty = shape.includes(0);
  if (!isEmpty && last >= elements.numel) {
    throw new PickleProblem(
      `a tensor [${shape.join(", ")}] with strides [${strides.join(", ")}] at ${offset} reaches beyond its storage of ${elements.numel} elements`,
    );
  }
  const tensor = isEmpty
    ? zeros(shape, { dtype: type })
    : asStrided(elements.narrow(0, offset, elements.numel - offset), shape, strides); // begins where the narrowed one does
  return requiresGrad === true ? tensor.requiresGrad_() : tensor;
}

/** A function of Python's with what it makes here, from arguments that may be anything. */
type Maker = (args: readonly unknown[], storages: Storages) => unknown;

const makeMap: Maker = ([entries]) => {
  if (entries === undefined || entries instanceof Map) return new Map(entries);
  if (!Array.isArray(entries) || !entries.every((pair) => Array.isArray(pair) && isKey(pair[0]))) {
    throw new PickleProblem("an OrderedDict is damaged: its entries");
  }
  return new Map(entries);
};

const makeSet: Maker = ([items = []]) => {
  if (!Array.isArray(items) || !items.every(isKey)) throw new PickleProblem("a set is damaged: its members");
  return new Set(items);
};

/** Protocol 2 writes bytes as text with a character for each. */
const makeBytes: Maker = ([text = "", encoding]) => {
  if (text instanceof Uint8Array) return text;
  if (typeof text !== "string" || (text !== "" && !/^latin-?1$/.test(String(encoding)))) {
    throw new PickleProblem("bytes are damaged: expected text in latin1");
  }
  return new Uint8Array(Buffer.from(text, "latin1"));
};

const makeParameter: Maker = ([data, requiresGrad]) => {
  if (!(data instanceof Tensor)) throw new PickleProblem(`expected a tensor for a parameter, found ${describe(data)}`);
  return requiresGrad === true ? data.requiresGrad_() : data;
};

export function isKey(value: unknown): value is PickleKey {
  return value === null || ["string", "number", "bigint", "boolean"].includes(typeof value);
}

/** Every function that a checkpoint may call. */
const makers: Record<string, Maker> = {
  "collections.OrderedDict": makeMap,
  "collections.Counter": makeMap,
  "collections.defaultdict": () => new Map(), // the default is not kept
  "builtins.set": makeSet,
  "builtins.frozenset": makeSet,
  "builtins.bytes": makeBytes,
  "builtins.bytearray": makeBytes,
  "_codecs.encode": makeBytes,
  "torch.Size": ([sizes]) => {
    if (!Array.isArray(sizes) || !sizes.every(isSize)) throw new PickleProblem("a torch.Size is damaged");
    return Object.freeze(sizes.slice());
  },
  "torch.device": ([kind, index]) => {
    if (typeof kind !== "string") throw new PickleProblem("a torch.device is damaged");
    return isSize(index) ? `${kind}:${index}` : kind;
  },
  "torch._utils._rebuild_tensor": (args, storages) => rebuildTensor(storages, null, args.slice(0, 4)),
  "torch._utils._rebuild_tensor_v2": (args, storages) => rebuildTensor(storages, null, args),
  "torch._utils._rebuild_tensor_v3": (args, storages) => {
    const name = typeof args[6] === "string" ? args[6].replace(/^torch\./, "") : "";
    const dtype = Object.values(storageTypes).find((known) => known === name);
    if (!dtype) throw new PickleProblem(`it holds a tensor of ${shown(name)}, a type that is not known here`);
    return rebuildTensor(storages, dtype, args);
  },
  "torch._utils._rebuild_parameter": makeParameter,
  "torch._utils._rebuild_parameter_with_state": makeParameter, // attributes are not kept
  "torch._tensor._rebuild_from_type_v2": ([make, , args]) => {
    // A tensor with attributes of its own, which are not kept.
    if (!(make instanceof PythonName) || !make.name.startsWith("torch._utils.") || !make.call || !Array.isArray(args)) {
      throw new PickleProblem("a tensor with attributes is damaged");
    }
    return make.call(args);
  },
};

/** Names that are only arguments. */
const inertNames = new Set([
  "torch.Tensor",
  "torch.nn.parameter.Parameter",
  "builtins.dict",
  "builtins.list",
  "builtins.int",
  "builtins.float",
]);

/** What to do instead, by how a refused name begins. */
const advice: readonly (readonly [start: string, text: string])[] = [
  ["numpy.", "convert NumPy's values before saving, with float(x), x.tolist() or torch.from_numpy(x)"],
  ["torch._utils._rebuild_sparse", "save the tensor's to_dense()"],
  ["torch._utils._rebuild_qtensor", "save the tensor's dequantize()"],
  ["torch.storage", "save a tensor instead of a bare storage"],
  ["torch.Complex", "complex numbers are not known here: save torch.view_as_real(x)"],
  ["torch.optim", "save the optimizer's state_dict()"],
  ["", "save the state_dict() of a module, not the module, and plain values beside it"],
];

/** What a name in a pickle stands for. @throws PickleProblem naming one that is not allowed, with what to do instead */
function findName(given: string, storages: Storages): unknown {
  const name = given.replace(/^__builtin__\./, "builtins."); // Python 2's, which protocols up to 2 write
  if (Object.hasOwn(makers, name)) return new PythonName(name, (args) => makers[name]!(args, storages));
  if (inertNames.has(name)) return new PythonName(name);
  const storage = /^torch\.(?:cuda\.)?(\w+Storage)$/.exec(name)?.[1];
  if (storage !== undefined && Object.hasOwn(storageTypes, storage)) {
    return new StorageClass(name, storageTypes[storage as keyof typeof storageTypes]);
  }
  if (/^torch\.(storage\._?)?UntypedStorage$/.test(name)) return new StorageClass(name, null);
  if (/^torch\.(u?int|b?float|complex|q?u?int)\d+$|^torch\.(bfloat16|bool)$/.test(name)) return name; // a dtype
  const [, instead] = advice.find(([start]) => name.startsWith(start))!;
  throw new PickleProblem(
    `it holds the Python object ${shown(name)}, which is not loaded, since nothing in a file is run; ${instead}`,
  );
}

/** Refuses what is not a value by itself, and containers that are too deep inside each other. */
function checkLoaded(value: unknown, refuse: Refuse): asserts value is CheckpointValue {
  const seen = new Set<unknown>();
  const check = (item: unknown, depth: number): void => {
    if (item instanceof PythonName || item instanceof Storage) {
      const what = item instanceof Storage ? "a bare storage" : `the Python object ${shown(item.name)}`;
      throw refuse(`it holds ${what}; expected tensors, numbers, strings, and dicts, lists and tuples of them`);
    }
    if (typeof item !== "object" || item === null || item instanceof Tensor || item instanceof Uint8Array) return;
    if (seen.has(item)) return;
    seen.add(item);
    if (depth > DEEPEST) throw refuse(`it has more than ${DEEPEST} dicts and lists inside each other`);
    for (const inner of item instanceof Map ? item.values() : (item as Iterable<unknown>)) check(inner, depth + 1);
  };
  check(value, 0);
}
