// Reading Python's pickles without running anything. A pickle is a program for a small stack machine; the dangerous
// part is that it may name any Python function and call it. Here every name is looked up in a table that the caller
// gives, what is not in it is refused, and nothing else is ever called.
//
// Source: CPython's Lib/pickletools.py, protocols 0 to 5 but for persistent ids in text, extension codes and
// out-of-band buffers. What Python makes becomes: int a number, or a bigint beyond ±2⁵³; float a number; str a string;
// bytes a Uint8Array; list an array; tuple a frozen array; dict a Map; set a Set; None null.
import { type Refuse, shown } from "./open-file.js";

/** A name in a pickle that stands for a class or function of Python's. */
export class PythonName {
  /**
   * @param name - with its module, `collections.OrderedDict`
   * @param call - makes the value of a call; absent where it is only ever an argument. Throws what is wrong
   */
  constructor(
    readonly name: string,
    readonly call?: (args: readonly unknown[]) => unknown,
  ) {}
}

export interface PickleTable {
  /** What `module.name` stands for. @throws when it is not allowed */
  find(name: string): unknown;
  /** What a persistent id stands for. @throws when it is not allowed */
  persistent(id: unknown): unknown;
}

/** Keys of a dict, and members of a set. */
export type PickleKey = string | number | bigint | boolean | null;

/** A Python integer of more digits than this is damage. */
const LONGEST_INTEGER = 1000;

const MARK = Symbol("mark");

/**
 * The value of a pickle.
 * @param refuse - makes the error; problems name the byte where the pickle goes wrong
 * @throws what `refuse` makes, also for what `table` throws as a PickleProblem
 */
export function unpickle(bytes: Uint8Array, table: PickleTable, refuse: Refuse): unknown {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const stack: unknown[] = [];
  const memo = new Map<number, unknown>();
  let at = 0;
  let begin = 0; // of the instruction being done
  const damaged = (problem: string) => refuse(`the pickle is damaged at byte ${begin}: ${problem}`);

  const take = (length: number): Buffer => {
    if (!(length <= data.length - at)) throw damaged(`it ends after ${data.length} bytes, within a value`);
    at += length;
    return data.subarray(at - length, at);
  };
  const long = (): number => {
    const length = take(8).readBigUInt64LE();
    return length > BigInt(data.length) ? Number.POSITIVE_INFINITY : Number(length);
  };
  const line = (): string => {
    const end = data.indexOf(10, at);
    if (end < 0) throw damaged(`it ends after ${data.length} bytes, within a line`);
    const text = data.toString("latin1", at, end);
    at = end + 1;
    return text;
  };
  const utf8 = (raw: Buffer): string => {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(raw);
    } catch {
      throw damaged("a string that is not UTF-8");
    }
  };
  const push = (value: unknown): void => {
    stack.push(value);
  };
  const pop = (): unknown => {
    if (stack.length === 0 || stack.at(-1) === MARK) throw damaged("expected a value on the stack, found none");
    return stack.pop();
  };
  const top = (): unknown => {
    const value = pop();
    stack.push(value);
    return value;
  };
  const popToMark = (): unknown[] => {
    const mark = stack.lastIndexOf(MARK);
    if (mark < 0) throw damaged("expected a mark on the stack, found none");
    const items = stack.splice(mark + 1);
    stack.pop();
    return items;
  };
  const topAs = <T>(kind: abstract new (...args: never[]) => T, what: string): T => {
    const value = top();
    if (value instanceof kind && !Object.isFrozen(value)) return value;
    throw damaged(`expected ${what} to add to, found ${describe(value)}`);
  };
  const asKey = (value: unknown): PickleKey => {
    if (value === null || ["string", "number", "bigint", "boolean"].includes(typeof value)) return value as PickleKey;
    throw refuse(
      `it holds a dict or set with ${describe(value)} as a key; expected strings, numbers, booleans or None`,
    );
  };
  const setItems = (map: Map<PickleKey, unknown>, items: readonly unknown[]): void => {
    if (items.length % 2 !== 0) throw damaged("a key without a value");
    for (let i = 0; i < items.length; i += 2) map.set(asKey(items[i]), items[i + 1]);
  };
  const addItems = (set: Set<PickleKey>, items: readonly unknown[]): Set<PickleKey> => {
    for (const item of items) set.add(asKey(item));
    return set;
  };
  const resolve = <R>(action: () => R): R => {
    try {
      return action();
    } catch (error) {
      throw error instanceof PickleProblem ? refuse(error.message) : error;
    }
  };
  const find = (name: string): void => push(resolve(() => table.find(name)));
  const call = (callable: unknown, args: unknown): void => {
    if (!(callable instanceof PythonName) || callable.call === undefined) {
      throw refuse(`it wants to call ${describe(callable)}; nothing but the building of tensors is done`);
    }
    if (!Array.isArray(args)) throw damaged(`expected a tuple of arguments, found ${describe(args)}`);
    push(resolve(() => callable.call!(args)));
  };
  const remembered = (key: number): void => {
    if (!memo.has(key)) throw damaged(`nothing is remembered as number ${key}`);
    push(memo.get(key));
  };
  const decimal = (text: string): number | bigint => {
    if (!/^[+-]?\d+$/.test(text) || text.length > LONGEST_INTEGER)
      throw damaged(`expected a whole number, found ${shown(text)}`);
    return narrowed(BigInt(text.replace("+", "")));
  };

  for (;;) {
    begin = at;
    if (at >= data.length) throw damaged("it ends without its last instruction");
    const code = data[at++]!;
    switch (String.fromCharCode(code)) {
      // --- the pickle itself
      case "\x80": {
        const protocol = take(1)[0]!;
        if (protocol > 5) throw refuse(`it is a pickle of protocol ${protocol}; expected 0 to 5`);
        break;
      }
      case "\x95": // a frame: its length says nothing that is not checked anyway
        take(8);
        break;
      case ".": {
        const result = pop();
        if (stack.length > 0) throw damaged("values are left over at its end");
        return result;
      }
      // --- the stack
      case "(":
        push(MARK);
        break;
      case "0":
        if (stack.at(-1) === MARK) stack.pop();
        else pop();
        break;
      case "1":
        popToMark();
        break;
      case "2":
        push(top());
        break;
      case "p":
        memo.set(Number(decimal(line())), top());
        break;
      case "q":
        memo.set(take(1)[0]!, top());
        break;
      case "r":
        memo.set(take(4).readUInt32LE(), top());
        break;
      case "\x94":
        memo.set(memo.size, top());
        break;
      case "g":
        remembered(Number(decimal(line())));
        break;
      case "h":
        remembered(take(1)[0]!);
        break;
      case "j":
        remembered(take(4).readUInt32LE());
        break;
      // --- plain values
      case "N":
        push(null);
        break;
      case "\x88":
        push(true);
        break;
      case "\x89":
        push(false);
        break;
      case "K":
        push(take(1)[0]!);
        break;
      case "M":
        push(take(2).readUInt16LE());
        break;
      case "J":
        push(take(4).readInt32LE());
        break;
      case "I": {
        const text = line();
        push(text === "00" ? false : text === "01" ? true : decimal(text));
        break;
      }
      case "L":
        push(decimal(line().replace(/L$/, "")));
        break;
      case "\x8a":
        push(littleEndian(take(take(1)[0]!)));
        break;
      case "\x8b": {
        const length = take(4).readInt32LE();
        if (length < 0 || length > LONGEST_INTEGER) throw damaged(`an integer of ${length} bytes`);
        push(littleEndian(take(length)));
        break;
      }
      case "G":
        push(take(8).readDoubleBE());
        break;
      case "F": {
        const text = line();
        const special: Record<string, number> = { nan: Number.NaN, inf: Number.POSITIVE_INFINITY, "-inf": Number.NEGATIVE_INFINITY }; // biome-ignore format: a table
        const value = Object.hasOwn(special, text) ? special[text]! : Number(text);
        if (!/\d|nan|inf/.test(text) || (Number.isNaN(value) && text !== "nan")) {
          throw damaged(`expected a number, found ${shown(text)}`);
        }
        push(value);
        break;
      }
      case "S": {
        const text = line();
        const inside = /^(["'])([^\\]*)\1$/.exec(text)?.[2];
        if (inside === undefined) throw damaged(`expected a string in quotes without escapes, found ${shown(text)}`);
        push(inside);
        break;
      }
      case "U":
        push(take(take(1)[0]!).toString("latin1"));
        break;
      case "T":
        push(take(take(4).readUInt32LE()).toString("latin1"));
        break;
      case "V":
        push(line().replace(/\\u([0-9a-fA-F]{4})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 16))));
        break;
      case "\x8c":
        push(utf8(take(take(1)[0]!)));
        break;
      case "X":
        push(utf8(take(take(4).readUInt32LE())));
        break;
      case "\x8d":
        push(utf8(take(long())));
        break;
      case "C":
        push(new Uint8Array(take(take(1)[0]!)));
        break;
      case "B":
        push(new Uint8Array(take(take(4).readUInt32LE())));
        break;
      case "\x8e":
      case "\x96":
        push(new Uint8Array(take(long())));
        break;
      // --- containers
      case ")":
        push(Object.freeze([]));
        break;
      case "\x85":
      case "\x86":
      case "\x87": {
        const items: unknown[] = [];
        for (let count = code - 0x84; count > 0; count--) items.unshift(pop());
        push(Object.freeze(items));
        break;
      }
      case "t":
        push(Object.freeze(popToMark()));
        break;
      case "]":
        push([]);
        break;
      case "l":
        push(popToMark());
        break;
      case "a": {
        const item = pop();
        topAs(Array, "a list").push(item);
        break;
      }
      case "e": {
        const items = popToMark();
        const list = topAs<unknown[]>(Array, "a list");
        for (const item of items) list.push(item);
        break;
      }
      case "}":
        push(new Map());
        break;
      case "d": {
        const map = new Map<PickleKey, unknown>();
        setItems(map, popToMark());
        push(map);
        break;
      }
      case "s": {
        const value = pop();
        const key = pop();
        setItems(topAs<Map<PickleKey, unknown>>(Map, "a dict"), [key, value]);
        break;
      }
      case "u": {
        const items = popToMark();
        setItems(topAs<Map<PickleKey, unknown>>(Map, "a dict"), items);
        break;
      }
      case "\x8f":
        push(new Set());
        break;
      case "\x90": {
        const items = popToMark();
        addItems(topAs<Set<PickleKey>>(Set, "a set"), items);
        break;
      }
      case "\x91":
        push(addItems(new Set(), popToMark()));
        break;
      // --- names and calls
      case "c": {
        const module = line();
        find(`${module}.${line()}`);
        break;
      }
      case "\x93": {
        const name = pop();
        const module = pop();
        if (typeof name !== "string" || typeof module !== "string") throw damaged("a name that is not a string");
        find(`${module}.${name}`);
        break;
      }
      case "i": {
        const module = line();
        find(`${module}.${line()}`);
        const callable = pop();
        call(callable, popToMark());
        break;
      }
      case "o": {
        const [callable, ...args] = popToMark();
        call(callable, args);
        break;
      }
      case "R":
      case "\x81": {
        const args = pop();
        call(pop(), args);
        break;
      }
      case "\x92": {
        const names = pop();
        const args = pop();
        if (!(names instanceof Map) || names.size > 0) throw refuse("it passes arguments by name, which is not read");
        call(pop(), args);
        break;
      }
      case "b": {
        pop();
        // Attributes beside an OrderedDict's entries, such as the `_metadata` of a state dict, are not kept.
        const value = top();
        if (!(value instanceof Map)) throw refuse(`it sets attributes of ${describe(value)}, which is not done`);
        break;
      }
      case "Q": {
        const id = pop();
        push(resolve(() => table.persistent(id)));
        break;
      }
      default:
        throw damaged(`an instruction that is not known or not allowed: 0x${code.toString(16).padStart(2, "0")}`);
    }
  }
}

/** What a PickleTable throws: one clause that goes on after the file's name. */
export class PickleProblem extends Error {}

function littleEndian(bytes: Buffer): number | bigint {
  if (bytes.length === 0) return 0;
  const unsigned = BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
  return narrowed(BigInt.asIntN(8 * bytes.length, unsigned));
}

function narrowed(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** A value of a pickle in words. */
export function describe(value: unknown): string {
  if (value === null) return "None";
  if (value instanceof PythonName) return value.name;
  if (value instanceof Map) return "a dict";
  if (value instanceof Set) return "a set";
  if (value instanceof Uint8Array) return "bytes";
  if (Array.isArray(value)) return Object.isFrozen(value) ? "a tuple" : "a list";
  if (typeof value === "string") return "a string";
  if (typeof value === "boolean") return "a boolean";
  if (typeof value === "number" || typeof value === "bigint") return "a number";
  return `a ${(value as object).constructor.name.toLowerCase()}`;
}
