// Tensors by name as the writers take them: a Map, or a plain object.
import { TorchError } from "../errors.js";
import { Tensor } from "../tensor.js";

/** A Map of what was given. @throws TorchError when it is neither a Map nor an object, or holds something else */
export function namedTensors(
  where: string,
  given: ReadonlyMap<string, Tensor> | Readonly<Record<string, Tensor>>,
): Map<string, Tensor> {
  if (typeof given !== "object" || given === null) {
    throw new TorchError(`${where}: expected a Map or an object of tensors, got ${String(given)}`);
  }
  const entries: [string, Tensor][] = given instanceof Map ? [...given] : Object.entries(given);
  for (const [name, tensor] of entries) {
    if (!(tensor instanceof Tensor)) {
      throw new TorchError(`${where}: expected "${String(name)}" to be a tensor, got ${typeof tensor}`);
    }
  }
  return new Map(entries);
}
