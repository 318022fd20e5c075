import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { Write } from "../../src/files/atomic-write.js";
import { crc32, tableCrc32 } from "../../src/files/crc32.js";
import { FileFormatError, withFile } from "../../src/files/open-file.js";
import { openMember, readDirectory, zipWriter } from "../../src/files/zip.js";
import { pythonTorch, runPython } from "../support/python.js";

const folder = mkdtempSync(join(tmpdir(), "stopgrad-zip-"));
const path = join(folder, "x.zip");
afterAll(() => rmSync(folder, { recursive: true }));

const refuse = (problem: string) => new FileFormatError(path, problem);

/** Everything written, in memory. */
function inMemory(body: (write: Write) => void): Buffer {
  const pieces: Buffer[] = [];
  let end = 0;
  body((bytes, position) => {
    const copy = Buffer.from(bytes);
    if (position === undefined) {
      pieces.push(copy);
      end += copy.length;
      return;
    }
    const whole = Buffer.concat(pieces);
    copy.copy(whole, position);
    pieces.splice(0, pieces.length, whole);
  });
  expect(Buffer.concat(pieces).length).toBe(end);
  return Buffer.concat(pieces);
}

function archive(members: Record<string, string>, compressed = false): Buffer {
  return inMemory((write) => {
    const zip = zipWriter(write);
    for (const [name, text] of Object.entries(members)) {
      const bytes = Buffer.from(text);
      zip.add(name, bytes.length, (append) => append(bytes), compressed);
    }
    zip.finish();
  });
}

function contents(bytes: Uint8Array): Record<string, string> {
  writeFileSync(path, bytes);
  return withFile(path, "an archive", (file) =>
    Object.fromEntries(
      Array.from(readDirectory(file, "an archive", refuse), ([name, member]) => {
        const opened = openMember(file, member, true, refuse);
        const text = Buffer.from(opened.read(0, opened.size)).toString();
        opened.verify();
        return [name, text];
      }),
    ),
  );
}

describe("crc32", () => {
  it("is the standard's check value, in pieces too, with and without Node's", () => {
    for (const checksum of [crc32, tableCrc32]) {
      expect(checksum(Buffer.from("123456789"))).toBe(0xcbf43926);
      expect(checksum(Buffer.from("6789"), checksum(Buffer.from("12345")))).toBe(0xcbf43926);
      expect(checksum(new Uint8Array(0))).toBe(0);
      expect(checksum(new Uint8Array(0), 0xcbf43926)).toBe(0xcbf43926);
    }
    const bytes = Uint8Array.from({ length: 10_000 }, (_, i) => (i * 7919) >> 3);
    expect(tableCrc32(bytes)).toBe(crc32(bytes));
  });
});

describe("zip", () => {
  const members = { "a/b": "text", empty: "", "\u00e4\u{1f600}": "x".repeat(100_000) };

  it.each([false, true])("reads what it writes (compressed: %s)", (compressed) => {
    const bytes = archive(members, compressed);
    expect(contents(bytes)).toEqual(members);
    expect(bytes.length < 2000).toBe(compressed);
    expect(contents(archive({}))).toEqual({});
  });

  it("takes a comment at the end, and finds the directory behind what looks like one", () => {
    const bytes = archive({ a: "PK\x05\x06".repeat(10) });
    const comment = Buffer.from("PK\x05\x06 a comment");
    bytes.writeUInt16LE(comment.length, bytes.length - 2);
    expect(Object.keys(contents(Buffer.concat([bytes, comment])))).toEqual(["a"]);
  });

  it("has as many members as one likes", () => {
    const names = Array.from({ length: 70_000 }, (_, i) => `m${i}`);
    const whole = Buffer.alloc(1 << 24);
    let end = 0;
    const zip = zipWriter((bytes, position) => {
      whole.set(bytes, position ?? end);
      if (position === undefined) end += bytes.length;
    });
    for (const name of names) zip.add(name, 1, (append) => append(Buffer.from(name.at(-1)!)));
    zip.finish();
    writeFileSync(path, whole.subarray(0, end));
    withFile(path, "an archive", (file) => {
      const read = readDirectory(file, "an archive", refuse);
      expect([...read.keys()]).toEqual(names);
      expect(openMember(file, read.get("m69999")!, true, refuse).read(0, 1)).toEqual(Uint8Array.of(0x39));
    });
    if (pythonTorch) {
      const script = "import sys, json, zipfile; z = zipfile.ZipFile(sys.argv[1]); print(json.dumps([len(z.namelist()), z.read('m12').decode()]))"; // biome-ignore format: one line
      expect(runPython(script, path)).toEqual([70_000, "2"]);
    }
  });

  it("has members and positions beyond 4 GiB", () => {
    const zeros = new Uint8Array(1 << 26);
    const count = 65; // 4 GiB and 64 MiB, all of it a hole in the file
    const descriptor = openSync(path, "w+");
    let end = 0;
    const zip = zipWriter((bytes, position) => {
      if (bytes !== zeros) writeSync(descriptor, bytes, 0, bytes.length, position ?? end);
      if (position === undefined) end += bytes.length;
    });
    zip.add("large", zeros.length * count, (append) => {
      for (let i = 0; i < count; i++) append(zeros);
    });
    zip.add("behind", 4, (append) => append(Buffer.from("text")));
    zip.finish();
    closeSync(descriptor);
    expect(statSync(path).blocks).toBeLessThan(1000);
    withFile(path, "an archive", (file) => {
      const read = readDirectory(file, "an archive", refuse);
      const large = openMember(file, read.get("large")!, true, refuse);
      expect([large.size, large.read(2 ** 32, 3)]).toEqual([count * 2 ** 26, new Uint8Array(3)]);
      const behind = openMember(file, read.get("behind")!, true, refuse);
      expect(Buffer.from(behind.read(0, 4)).toString()).toBe("text");
      expect(behind.dataStart! % 64).toBe(0);
      behind.verify();
    });
    if (pythonTorch) {
      const script = "import sys, json, zipfile; z = zipfile.ZipFile(sys.argv[1]); print(json.dumps([z.getinfo('large').file_size, z.read('behind').decode()]))"; // biome-ignore format: one line
      expect(runPython(script, path)).toEqual([count * 2 ** 26, "text"]);
    }
    rmSync(path);
  });

  const at = (bytes: Buffer, signature: string, offset: number, value: number, width = 2) => {
    const copy = Buffer.from(bytes);
    copy.writeUIntLE(value, copy.indexOf(signature, 0, "latin1") + offset, width);
    return copy;
  };
  const [local, central, last] = ["PK\x03\x04", "PK\x01\x02", "PK\x05\x06"];
  const one = archive({ name: "text text text" });
  const packed = archive({ name: "text".repeat(1000) }, true);
  it.each<[string, Buffer, RegExp]>([
    ["an empty file", Buffer.alloc(0), /the file is empty; expected an archive/],
    ["something else", Buffer.from("hello"), /this is no zip archive; expected an archive/],
    ["a truncated archive", one.subarray(0, -1), /the file is truncated or has bytes added/],
    ["an archive with bytes added", Buffer.concat([one, Buffer.from("x")]), /the file is truncated or has bytes added/],
    ["encryption", at(one, central, 8, 0x801), /member "name": it is encrypted/],
    ["another method", at(at(one, central, 10, 12), local, 8, 12), /it is compressed by method 12; expected it stored or deflated/],
    ["headers that differ", at(one, local, 8, 8), /its header and the directory differ/],
    ["names that differ", at(one, local, 30, 0x4e, 1), /its header and the directory differ/],
    ["no header", at(one, local, 0, 0), /its header is missing/],
    ["a member beyond the file", at(at(one, central, 20, 1e6, 4), central, 24, 1e6, 4), /member "name" overlaps what is beside it/],
    ["two sizes", at(one, central, 24, 13, 4), /it is stored, but has 14 bytes instead of 13/],
    ["a wrong checksum", at(one, central, 16, 1, 4), /checksum [0-9a-f]{8} of its bytes is not the saved 00000001/],
    ["too many members", at(one, last, 10, 9), /a directory of 9 members in \d+ bytes at \d+ does not fit/],
    ["fewer members", at(archive({ a: "", b: "" }), last, 10, 3), /does not fit|breaks off/],
    ["a directory elsewhere", at(one, last, 16, 1e6, 4), /does not fit into the file/],
    ["one part of several", at(one, last, 4, 1), /one part of a zip archive in several/],
    ["more than it says", at(packed, central, 24, 3000, 4), /expected 3000 bytes, its compressed bytes become more/],
    ["less than it says", at(packed, central, 24, 5000, 4), /expected 5000 bytes, found 4000/],
    ["a size out of reach", at(packed, central, 24, 0xfffffff0, 4), /compressed bytes cannot become 4294967280|Node unpacks at most/],
    ["damaged compression", (() => { const copy = Buffer.from(packed); copy.fill(0xff, 64, 72); return copy; })(), /its compressed bytes are damaged/],
  ])("refuses %s", (_, bytes, expected) => {
    expect(() => contents(bytes)).toThrow(FileFormatError);
    expect(() => contents(bytes)).toThrow(expected);
  }); // biome-ignore format: a table

  it("refuses two members of one name, and members that overlap", () => {
    const two = archive({ aa: "1", bb: "2" });
    const again = Buffer.from(two.toString("latin1").replaceAll("bb", "aa"), "latin1");
    expect(() => contents(again)).toThrow(/the archive has two members "aa"/);
    const second = two.lastIndexOf(Buffer.from(central!, "latin1"));
    const overlapping = Buffer.from(two);
    overlapping.writeUInt32LE(0, second + 42);
    expect(() => contents(overlapping)).toThrow(/member "bb" overlaps/);
  });
});
