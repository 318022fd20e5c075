// Writing the pickles that Python's torch.load reads, its restricted unpickler (`weights_only=True`) included: protocol
// 2, and only the instructions that both know.
//
// Source: CPython's Lib/pickletools.py; torch/_weights_only_unpickler.py for what is allowed.

/** What a pickle is made of besides plain values: a call of a named function, or a persistent id. */
export class Call {
  constructor(
    readonly name: { module: string; name: string },
    readonly args: readonly unknown[],
  ) {}
}

export class PersistentId {
  constructor(readonly id: readonly unknown[]) {}
}

/** A name itself, such as that of a class. */
export class Named {
  constructor(
    readonly module: string,
    readonly name: string,
  ) {}
}

/** A dict that Python gets as an OrderedDict. */
export class Ordered {
  constructor(readonly entries: Iterable<readonly [unknown, unknown]>) {}
}

const ORDERED = new Named("collections", "OrderedDict");

/** Python lists and dicts are filled in batches of this many, to bound the reader's stack. */
const BATCH = 1000;

/**
 * The pickle of `value`: null, booleans, numbers (whole ones as int, others and −0 as float), bigints, strings, arrays
 * (frozen ones as tuples), Maps and Ordered, Call, Named and PersistentId, to any depth.
 */
export function pickle(value: unknown): Buffer {
  const parts: Buffer[] = [];
  const memo = new Map<string, number>();
  const put = (code: string, ...more: Buffer[]): void => {
    parts.push(Buffer.from(code, "latin1"), ...more);
  };
  const integer = (value: bigint): void => {
    const small = Number(value);
    if (value >= 0n && value < 256n) put("K", Buffer.of(small));
    else if (value >= 0n && value < 65536n) put("M", Buffer.of(small & 0xff, small >> 8));
    else if (value >= -0x80000000n && value < 0x80000000n) {
      const four = Buffer.alloc(4);
      four.writeInt32LE(small);
      put("J", four);
    } else {
      let length = 5;
      while (BigInt.asIntN(8 * length, value) !== value) length++;
      const hex = BigInt.asUintN(8 * length, value)
        .toString(16)
        .padStart(2 * length, "0");
      put("\x8a", Buffer.of(length), Buffer.from(hex, "hex").reverse());
    }
  };
  const named = ({ module, name }: { module: string; name: string }): void => {
    const text = `c${module}\n${name}\n`;
    const known = memo.get(text);
    if (known !== undefined) put("h", Buffer.of(known));
    else {
      put(text);
      put("q", Buffer.of(memo.size)); // a dozen names at most
      memo.set(text, memo.size);
    }
  };
  const tuple = (items: readonly unknown[]): void => {
    if (items.length > 3) put("(");
    for (const item of items) add(item);
    put(items.length === 0 ? ")" : items.length > 3 ? "t" : ["\x85", "\x86", "\x87"][items.length - 1]!);
  };
  const entries = (pairs: Iterable<readonly [unknown, unknown]>): void => {
    let count = 0;
    for (const [key, item] of pairs) {
      if (count % BATCH === 0) put(count === 0 ? "(" : "u(");
      add(key);
      add(item);
      count++;
    }
    if (count > 0) put("u");
  };
  const add = (value: unknown): void => {
    if (value === null) put("N");
    else if (value === true) put("\x88");
    else if (value === false) put("\x89");
    else if (typeof value === "bigint") integer(value);
    else if (Number.isSafeInteger(value) && !Object.is(value, -0)) integer(BigInt(value as number));
    else if (typeof value === "number") {
      const eight = Buffer.alloc(8);
      eight.writeDoubleBE(value);
      put("G", eight);
    } else if (typeof value === "string") {
      const text = Buffer.from(value);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(text.length);
      put("X", length, text);
    } else if (Array.isArray(value) && Object.isFrozen(value)) tuple(value);
    else if (Array.isArray(value)) {
      put("]");
      for (let start = 0; start < value.length; start += BATCH) {
        put("(");
        for (const item of value.slice(start, start + BATCH)) add(item);
        put("e");
      }
    } else if (value instanceof Map) {
      put("}");
      entries(value);
    } else if (value instanceof Ordered) {
      add(new Call(ORDERED, []));
      entries(value.entries);
    } else if (value instanceof Named) named(value);
    else if (value instanceof Call) {
      named(value.name);
      tuple(value.args);
      put("R");
    } else if (value instanceof PersistentId) {
      tuple(value.id);
      put("Q");
    } else throw new Error(`pickle: unexpected ${typeof value}`);
  };
  put("\x80\x02");
  add(value);
  put(".");
  return Buffer.concat(parts);
}
