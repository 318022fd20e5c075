// NumPy's .npz archives: a zip of .npy files, one for each array, stored (numpy.savez) or deflated
// (numpy.savez_compressed). Arrays are read one by one, so that a large archive costs what is asked of it.
//
// Source: numpy/lib/npyio.py. An array is called by its member's name without one ".npy" at its end, and is found by the
// name with it, too, where no array is called so itself.
import type { DType } from "../native.js";
import { scope } from "../scope.js";
import type { Tensor } from "../tensor.js";
import { writeWhole } from "./atomic-write.js";
import { FileMap } from "./mapping.js";
import { namedTensors } from "./named-tensors.js";
import { npyDataSize, npyHeader, readArray, readArrayHeader, writeArrayData } from "./npy.js";
import {
  type ByteSource,
  bytesSource,
  FileFormatError,
  listed,
  type OpenFile,
  type Refuse,
  shown,
  withFile,
} from "./open-file.js";
import { type Member, memberStart, openMember, readDirectory, zipWriter } from "./zip.js";

const EXPECTED = "a NumPy archive (.npz)";

/** Most headers have 128 bytes; from an array whose header has more than this, all is unpacked to describe it. */
const USUAL_HEADER = 4096;

/** Which arrays are read, and how. */
export interface NpzOptions {
  /** Read only these, with or without the member's ".npy"; default all. */
  names?: readonly string[];
  /** As of `readNpy`. Compressed arrays are read all the same, and mapped ones without comparing their checksum. */
  mapped?: boolean;
}

/**
 * Reads arrays of a .npz file, each with its checksum compared.
 * @returns by the arrays' own names, in the order of `names`, or of the archive; as `readNpy` reads them
 * @throws FileFormatError naming the file, the array, what it holds and what would be right
 */
export function readNpz(path: string, options: NpzOptions = {}): Map<string, Tensor> {
  return withArrays(path, (file, arrays) =>
    scope(() => {
      const map = options.mapped ? new FileMap(file) : null;
      const loaded = new Map<string, Tensor>();
      for (const asked of options.names ?? arrays.keys()) {
        const name = arrays.has(asked) ? asked : plainName(asked);
        const member = arrays.get(name);
        if (!member)
          throw new FileFormatError(path, `there is no array ${shown(asked)}; it has ${listed(arrays.keys())}`);
        const refuse = refusing(path, member);
        const opened = openMember(file, member, true, refuse);
        const share = map && opened.dataStart !== null ? { map, start: opened.dataStart } : null;
        const array = readArray(opened, refuse, share);
        if (!share) opened.verify();
        loaded.set(name, array);
      }
      return loaded;
    }),
  );
}

/**
 * What a .npz file holds, from the arrays' headers alone.
 * @returns by name: shape, and the element type that `readNpz` gives
 * @throws FileFormatError as `readNpz`
 */
export function npzHeader(path: string): Map<string, { dtype: DType; shape: readonly number[] }> {
  return withArrays(path, (file, arrays) => {
    const described = new Map<string, { dtype: DType; shape: readonly number[] }>();
    for (const [name, member] of arrays) {
      const refuse = refusing(path, member);
      const start = memberStart(file, member, USUAL_HEADER, refuse);
      let whole: ByteSource | undefined;
      const read: ByteSource["read"] = (at, length) => {
        if (at + length <= start.length) return bytesSource(start).read(at, length);
        whole ??= openMember(file, member, false, refuse);
        return whole.read(at, length);
      };
      const { dtype, shape } = readArrayHeader({ size: member.size, read, readPiece: read }, refuse);
      described.set(name, { dtype, shape });
    }
    return described;
  });
}

/** How arrays are stored. */
export interface WriteNpzOptions {
  /** Deflate the arrays, as numpy.savez_compressed; default false. */
  compressed?: boolean;
}

/**
 * Writes tensors as a .npz file, whole or not at all; element types as `writeNpy`. Stored ones are aligned, so that
 * they can be mapped.
 *
 * @param tensors - by name; ".npy" at its end is the same name without
 * @throws FileFormatError when the file cannot be written or a name is not allowed
 */
export function writeNpz(
  path: string,
  tensors: ReadonlyMap<string, Tensor> | Readonly<Record<string, Tensor>>,
  options: WriteNpzOptions = {},
): void {
  const named = new Map<string, Tensor>();
  for (const [given, tensor] of namedTensors("writeNpz", tensors)) {
    const name = plainName(given);
    // What unpacks the archive makes files of the names.
    if (name === "" || name.length > 1000 || /^\/|\\|\0|(^|\/)\.\.(\/|$)/.test(name)) {
      throw new FileFormatError(path, `an array cannot be called ${shown(given)}: its name becomes a file's`);
    }
    if (named.has(name)) throw new FileFormatError(path, `expected every name once, got ${shown(name)} twice`);
    named.set(name, tensor);
  }
  writeWhole(path, (write) => {
    const zip = zipWriter(write);
    for (const [name, tensor] of named) {
      const header = npyHeader(tensor);
      zip.add(
        `${name}.npy`,
        header.length + npyDataSize(tensor),
        (append) => {
          append(header);
          writeArrayData(tensor, append);
        },
        options.compressed,
      );
    }
    zip.finish();
  });
}

function withArrays<R>(path: string, body: (file: OpenFile, arrays: Map<string, Member>) => R): R {
  return withFile(path, EXPECTED, (file) => {
    const refuse: Refuse = (problem) => new FileFormatError(path, problem);
    const arrays = new Map<string, Member>();
    for (const member of readDirectory(file, EXPECTED, refuse).values()) {
      if (member.name.endsWith("/")) continue; // a folder
      const name = plainName(member.name);
      if (arrays.has(name)) throw refuse(`the archive has two arrays ${shown(name)}`);
      arrays.set(name, member);
    }
    return body(file, arrays);
  });
}

function plainName(name: string): string {
  return name.endsWith(".npy") ? name.slice(0, -4) : name;
}

function refusing(path: string, { name }: Member): Refuse {
  return (problem) => new FileFormatError(path, `array ${shown(plainName(name))}: ${problem}`);
}
