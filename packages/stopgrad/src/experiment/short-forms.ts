// Short forms of a head, a context and a reconstruction, as the settings they stand for: `1c2f`, `R1E`, `published`.
// Everything else is left as it is, right or wrong.
import { parseContextCode } from "../contexts/code.js";
import { parseHeadCode } from "../heads/auxiliary-code.js";
import { isTree } from "./tree.js";

const AUXILIARY_OPTIONS = ["convLayers", "linearLayers", "widen", "features"];

/** `objective.head`: `1c2f`, or a map of an auxiliary classifier's layers without its name. */
export function headWrittenOut(value: unknown): unknown {
  if (typeof value === "string") return parseHeadCode(value) ?? { name: value };
  if (!isTree(value)) return value;
  if (typeof value.name === "string") {
    const code = parseHeadCode(value.name);
    return code ? { ...code, ...value, name: code.name } : value; // what stands beside a code counts
  }
  const isAuxiliary =
    (value.name ?? null) === null && Object.keys(value).some((key) => AUXILIARY_OPTIONS.includes(key));
  return isAuxiliary ? { ...value, name: "auxiliary" } : value;
}

/** `context`: `R1E`; `none` and false are no context. */
export function contextWrittenOut(value: unknown): unknown {
  if (value === false) return null;
  if (typeof value !== "string") return value;
  const topology = parseContextCode(value);
  return topology === undefined ? value : topology;
}

/** `objective.reconstruction`: `true` and `published` are its defaults; false is none. */
export function reconstructionWrittenOut(value: unknown): unknown {
  if (value === true) return {};
  if (value === "published") return { weights: value };
  return value === false ? null : value;
}
