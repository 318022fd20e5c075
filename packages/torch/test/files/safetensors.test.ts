import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as torch from "../../src/index.js";
import {
  FileFormatError,
  loadSafetensors,
  memory,
  nn,
  saveSafetensors,
  scope,
  type Tensor,
  tensor,
} from "../../src/index.js";
import { builtPackage } from "../support/child.js";
import { exact, expectTensor } from "../support/close.js";
import { type Encoded, fixturePath, readFixture } from "../support/fixtures.js";

const { safetensors: recorded } = readFixture<{
  safetensors: { metadata: Record<string, string>; tensors: Record<string, Encoded> };
}>("files.json");
const reference = fixturePath("safetensors/all.safetensors");

let folder = "";
let path = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "stopgrad-safetensors-"));
  path = join(folder, "x.safetensors");
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A file with this header and so many bytes of data. */
function file(header: unknown, data: number | Uint8Array = 0): Buffer {
  const text = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, typeof data === "number" ? new Uint8Array(data) : data]);
}

function problem(bytes: Uint8Array): string {
  writeFileSync(path, bytes);
  const { liveTensors } = memory();
  try {
    loadSafetensors(path);
  } catch (error) {
    expect(error).toBeInstanceOf(FileFormatError);
    expect(memory().liveTensors).toBe(liveTensors);
    const { message } = error as Error;
    expect(message.startsWith(`${path}: `)).toBe(true);
    expect(message).not.toContain("\n");
    return message.slice(path.length + 2);
  }
  throw new Error("expected an error");
}

const one = (entry: object = {}) => ({ a: { dtype: "F32", shape: [2], data_offsets: [0, 8], ...entry } });

describe("loadSafetensors", () => {
  it("reads every element type, with metadata", () => {
    scope(() => {
      const { tensors, metadata, sha256 } = loadSafetensors(reference);
      expect(metadata).toEqual(recorded.metadata);
      expect(sha256).toBeNull();
      expect([...tensors.keys()].sort()).toEqual(Object.keys(recorded.tensors).sort());
      for (const [name, value] of tensors) expectTensor(value, recorded.tensors[name]!, exact, name);
    });
  });

  it("takes a file without tensors, and a header that is not padded", () => {
    scope(() => {
      writeFileSync(path, file({}));
      expect(loadSafetensors(path).tensors.size).toBe(0);
      writeFileSync(path, file(one(), new Uint8Array(Float32Array.of(1, 2).buffer)));
      expect(loadSafetensors(path).tensors.get("a")!.toNumbers()).toEqual([1, 2]);
      writeFileSync(path, file('{"__proto__":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}', 1));
      expect(loadSafetensors(path).tensors.get("__proto__")!.shape).toEqual([]);
    });
  });

  it("hands its tensors to the enclosing scope", () => {
    const { liveTensors } = memory();
    scope(() => {
      expect(
        scope(() => loadSafetensors(reference))
          .tensors.get("scalar")!
          .item(),
      ).toBe(7.25);
    });
    expect(memory().liveTensors).toBe(liveTensors);
  });

  it.each<[string, Buffer, RegExp]>([
    ["an empty file", Buffer.alloc(0), /^the file is empty; expected a safetensors file$/],
    ["a short file", Buffer.alloc(5), /^the file is truncated: expected at least 8 bytes, found 5$/],
    ["a huge header", Buffer.from("ffffffffffffffff00", "hex"), /^found a header length of 18446744073709551615 bytes; .*at most 100000000$/],
    ["a header over 100 MB", Buffer.from("01e1f50500000000", "hex"), /^found a header length of 100000001 bytes/],
    ["a header beyond the file", file(one(), 8).subarray(0, 20), /^the file is truncated within the header: expected at least \d+ bytes, found 20/],
    ["a pickle", Buffer.concat([Buffer.from("80027d710028580100000061", "hex"), Buffer.alloc(99)]), /header length/],
    ["no header", file("", 4), /^the header does not begin with "\{"/],
    ["a list", file("[]"), /^the header does not begin with "\{"/],
    ["no JSON", file('{"a":'), /^the header is damaged, it is not JSON: /],
    ["bytes that are no UTF-8", Buffer.concat([file('{"  "').subarray(0, 10), Buffer.from([0xff, 0xff, 0x22])]), /^the header is damaged/],
    ["a name twice", file('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\\u0061":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}', 2), /^the header has two entries "a"$/],
    ["a key twice", file('{"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}', 1), /two entries "dtype"/],
    ["a metadata key twice", file('{"__metadata__":{"k":"{","k":"}"}}'), /two entries "k"/],
    ["metadata that are no object", file({ __metadata__: [] }), /__metadata__ is not an object of strings/],
    ["metadata that are no strings", file({ __metadata__: { epoch: 3 } }), /__metadata__ "epoch" is not a string/],
    ["an entry that is no object", file({ a: 3 }), /^tensor "a": expected an object with dtype, shape and data_offsets$/],
    ["an unknown entry", file(one({ strides: [1] }), 8), /^tensor "a": unknown entry "strides"/],
    ["an unknown type", file(one({ dtype: "F8_E4M3" }), 8), /^tensor "a": unknown dtype "F8_E4M3"; expected one of I64, F64/],
    ["a type of Object's", file(one({ dtype: "toString" }), 8), /unknown dtype "toString"/],
    ["no type", file({ a: { shape: [2], data_offsets: [0, 8] } }, 8), /unknown dtype undefined/],
    ["a negative size", file(one({ shape: [-2] }), 8), /^tensor "a": expected a shape of sizes of at least 0, found \[-2\]$/],
    ["a fraction as a size", file(one({ shape: [2.5] }), 8), /expected a shape/],
    ["no shape", file(one({ shape: "2" }), 8), /expected a shape/],
    ["offsets backwards", file(one({ data_offsets: [8, 0] }), 8), /^tensor "a": expected data_offsets \[begin, end\], found \[8,0\]$/],
    ["one offset", file(one({ data_offsets: [8] }), 8), /expected data_offsets/],
    ["negative offsets", file(one({ data_offsets: [-8, 0] }), 8), /expected data_offsets/],
    ["a shape of another size", file(one({ shape: [3] }), 8), /^tensor "a": expected 12 bytes for F32 \[3\], its data_offsets \[0, 8\] have 8$/],
    ["a shape that overflows", file(one({ shape: [2 ** 40, 2 ** 40] }), 8), /expected more than 2\^53 bytes/],
    ["sizes that overflow beside 0", file(one({ shape: [0, 2 ** 53 - 1, 2 ** 53 - 1], data_offsets: [0, 0] })), /^tensor "a": .*a shape of fewer than 2\^50 elements/],
    ["a hole at the beginning", file(one({ data_offsets: [4, 12] }), 12), /^tensor "a": its data \[4, 12\] leave a hole after the beginning/],
    ["a hole", file({ ...one(), b: { dtype: "U8", shape: [1], data_offsets: [9, 10] } }, 10), /^tensor "b": its data \[9, 10\] leave a hole after tensor "a", expected them to begin at 8$/],
    ["an overlap", file({ ...one(), b: { dtype: "U8", shape: [4], data_offsets: [6, 10] } }, 10), /^tensor "b": its data \[6, 10\] overlap those of tensor "a"/],
    ["the same bytes twice", file({ ...one(), b: { dtype: "F32", shape: [2], data_offsets: [0, 8] } }, 8), /overlap/],
    ["truncated data", file(one(), 7), /^the file is truncated: tensor "a": its data \[0, 8\] end beyond the 7 bytes/],
    ["trailing bytes", file(one(), 9), /^there are trailing bytes: the tensors take 8 bytes, the file holds 9 bytes of data$/],
  ])("refuses %s", (_, bytes, expected) => {
    expect(problem(bytes)).toMatch(expected);
  }); // biome-ignore format: a table

  it("never takes a file that was cut off anywhere", () => {
    const whole = readFileSync(reference);
    for (let length = 0; length < whole.length; length += 7) problem(whole.subarray(0, length));
    problem(whole.subarray(0, -1));
  });

  it("names a file that is missing", () => {
    expect(() => loadSafetensors(join(folder, "none"))).toThrow(
      /none: there is no such file; expected a safetensors file/,
    );
    expect(() => loadSafetensors(folder)).toThrow(/found a folder/);
  });
});

describe("saveSafetensors", () => {
  it("takes metadata of millions of characters, also escaped ones", () => {
    scope(() => {
      const metadata = { plain: "x".repeat(12e6), escaped: '\n"\\'.repeat(4e6), 'key"\\': "{" };
      saveSafetensors(path, new Map([["a", tensor([1, 2])]]), metadata);
      const loaded = loadSafetensors(path);
      expect(Object.keys(loaded.metadata)).toEqual(Object.keys(metadata));
      for (const [key, value] of Object.entries(metadata)) expect(loaded.metadata[key] === value).toBe(true);
      expect(loaded.tensors.get("a")!.toNumbers()).toEqual([1, 2]);
    });
  });

  it("writes the reference layout byte for byte", () => {
    scope(() => {
      const { tensors, metadata } = loadSafetensors(reference);
      const shuffled = new Map([...tensors].reverse());
      saveSafetensors(path, shuffled, metadata);
      expect(readFileSync(path).equals(readFileSync(reference))).toBe(true);
      expect(readFileSync(path).readBigUInt64LE() % 8n).toBe(0n);
    });
  });

  it("writes strided tensors row-major, and none at all", () => {
    scope(() => {
      saveSafetensors(path, new Map([["a", torch.arange(0, 6).view([2, 3]).t()]]));
      expect(loadSafetensors(path).tensors.get("a")!.toNested()).toEqual([[0, 3], [1, 4], [2, 5]]); // biome-ignore format: a matrix
      saveSafetensors(path, new Map());
      const { tensors, metadata } = loadSafetensors(path);
      expect([tensors.size, metadata]).toEqual([0, {}]);
    });
  });

  it("carries a module's state to another", () => {
    scope(() => {
      const make = () => new nn.Sequential(new nn.Conv2d(1, 2, 3), new nn.BatchNorm2d(2));
      const [from, to] = [make(), make()];
      saveSafetensors(path, from.stateDict(), { epoch: "3" });
      to.loadStateDict(loadSafetensors(path).tensors);
      for (const [name, value] of to.stateDict()) {
        expect(value.toNumbers()).toEqual(from.stateDict().get(name)!.toNumbers());
      }
      from.dispose();
      to.dispose();
    });
  });

  it("refuses names and metadata that the format cannot hold", () => {
    scope(() => {
      expect(() => saveSafetensors(path, new Map([["__metadata__", tensor(1)]]))).toThrow(
        /that name is the format's own/,
      );
      expect(() => saveSafetensors(path, new Map(), { epoch: 3 as never })).toThrow(
        /expected the metadata "epoch" to be a string, got number/,
      );
      expect(() => saveSafetensors(join(folder, "none", "x"), new Map())).toThrow(/the folder does not exist/);
    });
  });

  it("removes its temporary file when it fails, and leaves what stood there", () => {
    scope(() => {
      saveSafetensors(path, new Map([["a", tensor(1)]]));
      const gone = tensor(2);
      const map = new Map<string, Tensor>([["a", gone]]);
      expect([gone.dtype, gone.shape]).toEqual(["float32", []]);
      gone.dispose();
      expect(() => saveSafetensors(path, map)).toThrow(/a disposed tensor/);
      const turnsBad = new Map([["a", tensor(2)], ["b", torch.zeros([2], { device: "meta" })]]); // biome-ignore format: a table
      expect(() => saveSafetensors(path, turnsBad)).toThrow(/^toBytes: /);
      expect(loadSafetensors(path).tensors.get("a")!.item()).toBe(1);
      expect(readdirSync(folder)).toEqual(["x.safetensors"]);
    });
  });
});

describe("the checksum", () => {
  const save = (metadata: Record<string, string> = {}) =>
    saveSafetensors(path, new Map([["a", tensor([1, 2, 3])], ["b", tensor([true])]]), metadata, { checksum: true }); // biome-ignore format: a table

  it("is stored, checked and kept out of the metadata", () => {
    scope(() => {
      save({ note: "kept" });
      const { tensors, metadata, sha256 } = loadSafetensors(path);
      expect(metadata).toEqual({ note: "kept" });
      expect(sha256).toMatch(/^[0-9a-f]{64}$/);
      expect(tensors.get("a")!.toNumbers()).toEqual([1, 2, 3]);
      expect(readFileSync(path, "latin1")).toContain(`"stopgrad.sha256":"${sha256}"`);
      saveSafetensors(path, tensors, { "stopgrad.sha256": "of other bytes", note: "kept" });
      expect(loadSafetensors(path)).toMatchObject({ metadata: { note: "kept" }, sha256: null });
    });
  });

  it("finds a flipped bit anywhere in the data", () => {
    scope(() => save());
    const whole = readFileSync(path);
    for (let at = whole.length - 13; at < whole.length; at++) {
      const damaged = Buffer.from(whole);
      damaged[at]! ^= 1;
      expect(problem(damaged)).toMatch(
        /^the checkpoint is damaged: checksum [0-9a-f]{64} of its data is not the saved/,
      );
    }
  });
});

it("a writer that is killed leaves the last whole file, and a temporary one that nobody reads", async () => {
  const victim = join(folder, "victim.safetensors");
  const script = `
    import * as torch from "${builtPackage}";
    for (let i = 1; ; i++) {
      const tensors = new Map([["big", torch.full([1 << 20], i)], ["i", torch.tensor(i)]]);
      torch.saveSafetensors(${JSON.stringify(victim)}, tensors, {}, { checksum: true });
      for (const tensor of tensors.values()) tensor.dispose();
      if (i === 1) console.log("started");
    }`;
  for (let attempt = 0; attempt < 4; attempt++) {
    const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(child, "exit");
    await once(child.stdout, "data");
    await setTimeout(7 + 13 * attempt);
    child.kill("SIGKILL");
    await ended;
    scope(() => {
      const { tensors, sha256 } = loadSafetensors(victim);
      expect(sha256).not.toBeNull();
      const step = tensors.get("i")!.item();
      expect(tensors.get("big")!.eq(step).to("float32").mean().item()).toBe(1);
    });
  }
  const left = readdirSync(folder).filter((name) => name.startsWith(".victim.safetensors."));
  expect(left.every((name) => name.endsWith(".tmp"))).toBe(true);
  scope(() => saveSafetensors(victim, new Map([["a", tensor(1)]])));
  scope(() => expect([...loadSafetensors(victim).tensors.keys()]).toEqual(["a"]));
});
