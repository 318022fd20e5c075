// Tensors whose memory is a file: nothing is read until an element is used, and the system may drop and re-read pages
// instead of swapping them. The map is private: writing to such a tensor changes its own copy of the page, never the
// file.
//
// A map follows the file it was made from. Our writers replace a file by renaming another over it, which leaves the
// mapped one as it was; but a program that cuts the mapped file short takes the memory away, and the next use of an
// element beyond the new end kills the process (SIGBUS, which no program can catch sensibly). Overwriting it in place
// may or may not show in the tensors. Map files that nobody edits.
import { platform } from "node:process";
import type { DType } from "../native.js";
import { operator } from "../operator.js";
import { elementSize, type Tensor } from "../tensor.js";
import { FileFormatError, type OpenFile } from "./open-file.js";
import { blamingFile } from "./tensor-bytes.js";

const fromFile = operator<[string, boolean, number, DType], Tensor>("aten::from_file", "filename shared size dtype");

/** The same bytes as elements of another type. @throws TorchError when they are not aligned for it */
export const viewDType = operator<[Tensor, DType], Tensor>("aten::view.dtype", "self dtype");

export class FileMap {
  readonly #bytes: Tensor | null;

  /**
   * Maps all of a file. To be used inside one `scope`, which frees the map's own handle.
   * @throws FileFormatError when the system refuses to
   */
  constructor(file: OpenFile) {
    // On Linux the very file that was opened and checked, even when another was put in its place since.
    const name = platform === "linux" ? `/proc/self/fd/${file.descriptor}` : file.path;
    const refuse = (problem: string) => new FileFormatError(file.path, `it cannot be mapped: ${problem}`);
    this.#bytes = file.size === 0 ? null : blamingFile(refuse, () => fromFile(name, false, file.size, "uint8"));
  }

  /**
   * A tensor of the bytes from `start` on, sharing the map.
   * @returns null where the data must be copied: they are not aligned to their elements, or there are none, or they
   *   are booleans, whose bytes may hold nothing but 0 and 1
   */
  tensor(dtype: DType, shape: readonly number[], start: number): Tensor | null {
    const width = elementSize(dtype);
    const elements = shape.reduce((product, size) => product * size, 1);
    if (this.#bytes === null || dtype === "bool" || elements === 0 || start % width !== 0) return null;
    const part = this.#bytes.narrow(0, start, elements * width);
    return (dtype === "uint8" ? part : viewDType(part, dtype)).view(shape);
  }
}
