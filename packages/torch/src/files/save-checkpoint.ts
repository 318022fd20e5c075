// Writing checkpoints that Python's `torch.load` reads, also with `weights_only=True`. The layout is told in
// `pytorch-checkpoint.ts`, which reads them.
import { scope } from "../scope.js";
import { elementSize, Tensor } from "../tensor.js";
import { writeWhole } from "./atomic-write.js";
import { FileFormatError, type Refuse, shown } from "./open-file.js";
import type { PickleKey } from "./pickle.js";
import { Call, Named, Ordered, PersistentId, pickle } from "./pickle-writer.js";
import { DEEPEST, isKey, storageTypes } from "./pytorch-checkpoint.js";
import { placeTensors, stretchElements } from "./shared-storage.js";
import { writePieces } from "./tensor-bytes.js";
import { zipWriter } from "./zip.js";

/** What can be saved: values as they are loaded, and plain objects, which become dicts. */
export type CheckpointInput =
  | Tensor
  | number
  | bigint
  | string
  | boolean
  | null
  | Uint8Array
  | readonly CheckpointInput[]
  | ReadonlySet<PickleKey>
  | ReadonlyMap<PickleKey, CheckpointInput>
  | { readonly [key: string]: CheckpointInput };

const storageNames = Object.fromEntries(Object.entries(storageTypes).map(([name, dtype]) => [dtype, name]));

const REBUILD = new Named("torch._utils", "_rebuild_tensor_v2");
const ENCODE = new Named("_codecs", "encode");
const SET = new Named("__builtin__", "set"); // Python 2's name, as protocol 2 has it

/**
 * Writes a checkpoint that Python's `torch.load` reads, whole or not at all.
 *
 * A Map of tensors by name becomes an OrderedDict, as a state dict is; any other Map and a plain object a dict; an
 * array a list, a frozen one a tuple. A whole number becomes an int: JavaScript does not tell 1 from 1.0. Tensors are
 * saved with their strides and without gradients; those that share memory and element type are saved with that memory
 * once, a slice by itself without what it is a slice of. Tensors on a GPU are saved as the CPU's.
 *
 * @param value - a module's `stateDict()`, or anything made of such values
 * @throws FileFormatError when the file cannot be written, or naming the place of a value that cannot be saved
 */
export function saveCheckpoint(path: string, value: CheckpointInput): void {
  const tensors: Tensor[] = [];
  collectTensors(value, "the value", 0, new Set(), tensors, (problem) => new FileFormatError(path, problem));
  const { placed, stretches } = placeTensors(tensors);
  const storageIds = stretches.map(
    ({ tensor, length }, key) =>
      new PersistentId(
        Object.freeze(["storage", new Named("torch", storageNames[tensor.dtype]!), String(key), "cpu", length]),
      ),
  );
  const encoded = (item: CheckpointInput): unknown => {
    if (item instanceof Tensor) {
      const { stretch, offset, strides } = placed.get(item)!;
      const [shape, steps] = [Object.freeze(item.shape.slice()), Object.freeze(strides.slice())];
      return new Call(REBUILD, [storageIds[stretch], offset, shape, steps, false, new Ordered([])]);
    }
    if (item instanceof Uint8Array) return new Call(ENCODE, [Buffer.from(item).toString("latin1"), "latin1"]);
    if (item instanceof Set) return new Call(SET, [Array.from(item as Set<PickleKey>)]);
    if (Array.isArray(item)) {
      const items = item.map(encoded);
      return Object.isFrozen(item) ? Object.freeze(items) : items;
    }
    if (typeof item !== "object" || item === null) return item;
    if (!(item instanceof Map)) return new Map(Object.entries(item).map(([key, inner]) => [key, encoded(inner)]));
    const entries = Array.from(
      item as Map<PickleKey, CheckpointInput>,
      ([key, inner]) => [key, encoded(inner)] as const,
    );
    const isStateDict =
      item.size > 0 && Array.from(item).every(([key, inner]) => typeof key === "string" && inner instanceof Tensor);
    return isStateDict ? new Ordered(entries) : new Map(entries);
  };
  const data = pickle(encoded(value));

  writeWhole(path, (write) => {
    const zip = zipWriter(write);
    const whole = (name: string, bytes: Uint8Array) =>
      zip.add(`archive/${name}`, bytes.length, (append) => append(bytes));
    whole("data.pkl", data);
    whole("byteorder", Buffer.from("little"));
    for (const [key, stretch] of stretches.entries()) {
      zip.add(`archive/data/${key}`, stretch.length * elementSize(stretch.tensor.dtype), (append) =>
        scope(() => writePieces(stretchElements(stretch), append)),
      );
    }
    whole("version", Buffer.from("3\n"));
    zip.finish();
  });
}

/** Finds the tensors in a value that is to be saved, and refuses what cannot be, by its place. */
function collectTensors(
  value: unknown,
  where: string,
  depth: number,
  above: Set<unknown>,
  found: Tensor[],
  refuse: Refuse,
): void {
  if (value === null || ["string", "number", "boolean"].includes(typeof value) || value instanceof Uint8Array) return;
  if (value instanceof Tensor) {
    if (value.isDisposed) throw refuse(`${where} is a disposed tensor`);
    found.push(value);
    return;
  }
  if (typeof value === "bigint") {
    if (BigInt.asIntN(1024, value) !== value) throw refuse(`${where} is an integer of more than 1024 bits`);
    return;
  }
  const isPlain =
    typeof value === "object" && [Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null);
  if (!Array.isArray(value) && !(value instanceof Map) && !(value instanceof Set) && !isPlain) {
    const kind = typeof value === "object" ? `a ${(value as object).constructor.name}` : typeof value;
    throw refuse(
      `${where} cannot be saved: expected a tensor, number, string, boolean, null, Uint8Array, a Set, or arrays, Maps and plain objects of them, got ${kind}`,
    );
  }
  if (above.has(value)) throw refuse(`${where} contains itself`);
  if (depth > DEEPEST) throw refuse(`${where} is more than ${DEEPEST} containers deep`);
  above.add(value);
  for (const [key, item] of isPlain ? Object.entries(value) : (value as Map<unknown, unknown>).entries()) {
    if (!isKey(key)) {
      throw refuse(`${where} has a key that cannot be saved: expected a string, number, bigint, boolean or null`);
    }
    collectTensors(item, `${where} at ${typeof key === "string" ? shown(key) : key}`, depth + 1, above, found, refuse);
  }
  above.delete(value);
}
