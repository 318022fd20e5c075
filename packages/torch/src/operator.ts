// Any libtorch operator as a function. The operator's schema is read once, at the first call; from then on a call is
// one crossing into the addon.
import { TorchError } from "./errors.js";
import { counted } from "./multiply-adds.js";
import { native } from "./native.js";
import { Generator } from "./random.js";
import { refusalOf } from "./refused-operators.js";
import { Tensor } from "./tensor.js";

/** Entries of a list at most: a sparse array may say it has 2^32, and going through them would take minutes. */
const LONGEST_LIST = 2 ** 24;

export interface OperatorOptions {
  /**
   * Call an operator that does not check its arguments too, of which a wrong one ends the process or never returns:
   * see `refusalOf` in refused-operators.ts. Default false.
   */
  unchecked?: boolean;
}

/**
 * A function that calls the libtorch operator `name`, such as `aten::add.Tensor`, with its arguments in the schema's
 * order. Tensors, generators and lists of tensors are passed as they are; element types and memory formats by name;
 * `undefined` takes the schema's default. Results come back as tensors, numbers or arrays of them.
 *
 * @param name - operator and overload, `aten::add.Tensor`
 * @param argumentNames - the schema's leading argument names, separated by spaces: checked at the first call, so that
 *   another libtorch with another order is refused instead of misread
 * @throws TorchError naming the operator, what was expected and the shapes that came; at the first call, for an operator
 *   that does not check its arguments, unless `unchecked` is set
 */
export function operator<A extends readonly unknown[], R>(
  name: string,
  argumentNames: string,
  options: OperatorOptions = {},
): (...args: A) => R {
  let index = -1;
  let call: ReturnType<typeof native>["call"];
  let single = false;
  let results: ("tensor" | "tensors" | "value")[] = [];

  function find(): void {
    const refusal = options.unchecked === true ? null : refusalOf(name);
    if (refusal !== null) {
      throw new TorchError(`${name}: expected an operator that checks its arguments; this one ${refusal}`);
    }
    const dot = name.indexOf(".");
    const found = native().findOperator(dot < 0 ? name : name.slice(0, dot), dot < 0 ? "" : name.slice(dot + 1));
    const expected = argumentNames === "" ? [] : argumentNames.split(" ");
    if (expected.some((argument, at) => found.arguments[at] !== argument)) {
      throw new TorchError(
        `${name}: expected arguments (${expected.join(", ")}), this libtorch has (${found.arguments.join(", ")})`,
      );
    }
    results = found.results;
    single = results.length === 1 && results[0] === "tensor";
    call = native().call;
    index = found.index;
  }

  return counted(name, (...args: A): R => {
    if (index < 0) find();
    // One or two arguments and a tensor back, by far the most frequent, go without arrays in between.
    if (single && args.length === 1) return wrapped(call(index, toNative(args[0]))) as R;
    if (single && args.length === 2) return wrapped(call(index, toNative(args[0]), toNative(args[1]))) as R;
    const result = call(index, ...args.map(toNative));
    if (single) return wrapped(result) as R;
    if (results.length === 1) return fromNative(result, results[0]!) as R;
    if (results.length === 0) return undefined as R;
    return (result as unknown[]).map((item, i) => fromNative(item, results[i]!)) as R;
  });
}

function wrapped(handle: unknown): Tensor | null {
  return handle === null ? null : Tensor.fromHandle(handle as number);
}

function toNative(value: unknown): unknown {
  if (value instanceof Tensor || value instanceof Generator) return value.handle;
  if (Array.isArray(value) && value.length <= LONGEST_LIST) {
    return value.map((item) => (item instanceof Tensor ? item.handle : item));
  }
  return value;
}

function fromNative(value: unknown, kind: "tensor" | "tensors" | "value"): unknown {
  if (kind === "value" || value === null) return value;
  if (kind === "tensor") return Tensor.fromHandle(value as number);
  return (value as number[]).map((handle) => Tensor.fromHandle(handle));
}
