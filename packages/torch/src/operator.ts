// Any libtorch operator as a function. The operator's schema is read once, at the first call; from then on a call is
// one crossing into the addon.
import { TorchError } from "./errors.js";
import { native } from "./native.js";
import { Generator } from "./random.js";
import { Tensor } from "./tensor.js";

/**
 * A function that calls the libtorch operator `name`, such as `aten::add.Tensor`, with its arguments in the schema's
 * order. Tensors, generators and lists of tensors are passed as they are; element types and memory formats by name;
 * `undefined` takes the schema's default. Results come back as tensors, numbers or arrays of them.
 *
 * @param name - operator and overload, `aten::add.Tensor`
 * @param argumentNames - the schema's leading argument names, separated by spaces: checked at the first call, so that
 *   another libtorch with another order is refused instead of misread
 * @throws TorchError naming the operator, what was expected and the shapes that came
 */
export function operator<A extends readonly unknown[], R>(name: string, argumentNames: string): (...args: A) => R {
  let index = -1;
  let call: ReturnType<typeof native>["call"];
  let single = false;
  let results: ("tensor" | "tensors" | "value")[] = [];

  function find(): void {
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

  function many(args: unknown[]): R {
    const result = call(index, ...args.map(toNative));
    if (single) return (result === null ? null : Tensor.fromHandle(result as number)) as R;
    if (results.length === 1) return fromNative(result, results[0]!) as R;
    if (results.length === 0) return undefined as R;
    return (result as unknown[]).map((item, i) => fromNative(item, results[i]!)) as R;
  }

  // One or two arguments and a tensor back, by far the most frequent, go without arrays in between.
  function called(first: unknown, second: unknown): R {
    if (index < 0) find();
    if (!single || arguments.length === 0 || arguments.length > 2) return many(Array.from(arguments));
    const result =
      arguments.length === 1 ? call(index, toNative(first)) : call(index, toNative(first), toNative(second));
    return (result === null ? null : Tensor.fromHandle(result as number)) as R;
  }
  return called as unknown as (...args: A) => R;
}

function toNative(value: unknown): unknown {
  if (value instanceof Tensor || value instanceof Generator) return value.handle;
  if (Array.isArray(value)) return value.map((item) => (item instanceof Tensor ? item.handle : item));
  return value;
}

function fromNative(value: unknown, kind: "tensor" | "tensors" | "value"): unknown {
  if (kind === "value" || value === null) return value;
  if (kind === "tensor") return Tensor.fromHandle(value as number);
  return (value as number[]).map((handle) => Tensor.fromHandle(handle));
}
