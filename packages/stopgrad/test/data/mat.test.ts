// MAT-files against SciPy's own (fixtures/record-mat.py) and against files made by hand, and what is refused.
import { readFileSync } from "node:fs";
import { deflateSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { type MatOptions, readMat } from "../../src/data/mat.js";
import { messageOf } from "./made-files.js";
import { element, matFile } from "./made-mat.js";

interface Recorded {
  file: string;
  arrays: Record<string, { dimensions: number[]; numbers: number[] }>;
}
const fixture = JSON.parse(readFileSync(new URL("../fixtures/mat.json", import.meta.url), "utf8")) as {
  numeric: Record<"plain" | "packed", Recorded>;
  refused: Record<string, Record<"plain" | "packed", string>>;
  level4: string;
};
const bytesOf = (base64: string) => new Uint8Array(Buffer.from(base64, "base64"));
const read = (file: Uint8Array, options: Partial<MatOptions> = {}) => readMat(file, { mostBytes: 1e6, ...options });
const small = { name: "y", dimensions: [3, 1], numbers: [1, 2, 3] };
const large = { name: "images", dimensions: [4, 5, 2], numbers: Array.from({ length: 40 }, (_, i) => (i * 37) % 256) };

describe("files of SciPy", () => {
  test.each(["plain", "packed"] as const)("%s: every numeric class, shapes and values", async (packing) => {
    const { file, arrays } = fixture.numeric[packing];
    const found = await read(bytesOf(file));
    expect([...found.keys()].sort()).toEqual(Object.keys(arrays).sort());
    for (const [name, { dimensions, numbers }] of Object.entries(arrays)) {
      expect({ name, dimensions: found.get(name)!.dimensions }).toEqual({ name, dimensions });
      expect(Array.from(found.get(name)!.numbers, Number)).toEqual(numbers);
    }
    expect(found.get("X")!.numbers).toBeInstanceOf(Uint8Array);
    expect(found.get("longs")!.numbers).toBeInstanceOf(BigInt64Array);
  });

  test.each(["plain", "packed"] as const)("%s: only what is asked for", async (packing) => {
    const found = await read(bytesOf(fixture.numeric[packing].file), { names: ["y", "nowhere"] });
    expect([...found.keys()]).toEqual(["y"]);
  });

  test.each([
    ["cell", "a cell array"],
    ["structure", "a structure"],
    ["text", "text"],
    ["sparse", "a sparse array"],
    ["complex", "complex numbers"],
  ])("%s is refused by name, and passed over when not asked for", async (name, what) => {
    for (const packing of ["plain", "packed"] as const) {
      const file = bytesOf(fixture.refused[name]![packing]);
      expect(await messageOf(read(file))).toBe(
        `MatError: array ${name}: expected an array of real numbers, found ${what}`,
      );
      expect([...(await read(file, { names: ["before"] })).get("before")!.numbers]).toEqual([1, 2]);
    }
  });

  test("of level 4", async () => {
    expect(await messageOf(read(bytesOf(fixture.level4)))).toBe(
      "MatError: expected a level-5 MAT-file, found what may be a level-4 one; save it with -v7",
    );
  });
});

describe("files made by hand", () => {
  test.each([
    ["little-endian", {}],
    ["big-endian", { bigEndian: true }],
    ["little-endian, packed", { packed: true }],
    ["big-endian, packed", { bigEndian: true, packed: true }],
  ])("%s", async (_, options) => {
    const doubled = { name: "numbers", dimensions: [1, 2], numbers: [-0.5, 1e-300], type: 9, arrayClass: 6 } as const;
    const found = await read(matFile([small, large, { ...doubled, dimensions: [1, 2] }], options));
    for (const { name, dimensions, numbers } of [small, large, doubled]) {
      expect(found.get(name)!.dimensions).toEqual(dimensions);
      expect([...found.get(name)!.numbers]).toEqual([...numbers]);
    }
  });

  test("doubles that MATLAB stores as bytes, global and logical ones", async () => {
    const found = await read(
      matFile([
        { ...small, arrayClass: 6 },
        { ...small, name: "l", flags: 6 },
      ]),
    );
    expect([...found.get("y")!.numbers]).toEqual([1, 2, 3]);
    expect([...found.get("l")!.numbers]).toEqual([1, 2, 3]);
  });

  test("bytes of an array that is not packed are not copied", async () => {
    const file = new Uint8Array(matFile([large]));
    const { numbers } = (await read(file)).get("images")!;
    expect(numbers.buffer).toBe(file.buffer);
  });

  test("an unknown element between arrays is passed over", async () => {
    const file = matFile([small]);
    const between = Buffer.concat([
      file.subarray(0, 128),
      element(99, Buffer.from("hello"), false),
      file.subarray(128),
    ]);
    expect([...(await read(between)).keys()]).toEqual(["y"]);
  });
});

describe("refused", () => {
  const packed = (content: Buffer) => Buffer.concat([matFile([]), compressed(content)]);
  const compressed = (content: Buffer) => {
    const deflated = deflateSync(content);
    const tag = Buffer.alloc(8);
    tag.writeUInt32LE(15, 0);
    tag.writeUInt32LE(deflated.length, 4);
    return Buffer.concat([tag, deflated]);
  };

  test("what is no MAT-file, and newer ones", async () => {
    expect(await messageOf(read(Buffer.from("hello")))).toBe(
      "MatError: expected a level-5 MAT-file (header of 128 bytes), found 5 bytes",
    );
    expect(await messageOf(read(Buffer.alloc(200, "x")))).toContain("found first bytes 78 78 78 78");
    expect(await messageOf(read(matFile([small], { version: 0x0200 })))).toBe(
      "MatError: expected a level-5 MAT-file (version 0x100), found version 7.3 (HDF5); save it with -v7",
    );
    const hdf5 = Buffer.concat([Buffer.alloc(512, "x"), Buffer.from("\x89HDF\r\n\x1a\n", "latin1")]);
    expect(await messageOf(read(hdf5))).toContain("version 7.3 (HDF5)");
    expect(await messageOf(read(matFile([small], { version: 0x0300 })))).toContain("found version 0x300");
  });

  test("a file cut anywhere, packed or not: one sentence, never a partial array", async () => {
    for (const options of [{}, { packed: true }]) {
      const file = matFile([large, small], options);
      for (let length = 129; length < file.length; length++) {
        // Behind the first array, whole elements may be missing without a trace; a cut one may not.
        const cut = file.subarray(0, length);
        const result = await read(cut).then(
          (found) => [...found.keys()],
          (error: Error) => error.name,
        );
        if (Array.isArray(result)) {
          for (const name of result) expect(["images", "y"]).toContain(name);
          const { numbers } = (await read(cut)).get("images")!;
          expect([...numbers]).toEqual(large.numbers);
        } else {
          expect(result).toBe("MatError");
        }
      }
    }
    expect(await messageOf(read(matFile([large]).subarray(0, 180)))).toBe(
      "MatError: cut short: expected 104 bytes after the tag at byte 128, found 44",
    );
  });

  test("any byte changed: right, or one sentence", async () => {
    for (const options of [{}, { packed: true }]) {
      const whole = matFile([large], options);
      for (let at = 124; at < whole.length; at++) {
        for (const flip of [1, 0x80, 0xff]) {
          const file = Buffer.from(whole);
          file[at]! ^= flip;
          const name = await read(file).then(
            () => "MatError",
            (error: Error) => error.name,
          );
          expect({ at, flip, name }).toEqual({ at, flip, name: "MatError" });
        }
      }
    }
  });

  test("dimensions that are not those of the numbers", async () => {
    const file = matFile([{ ...large, dimensions: [4, 5, 3] }]);
    expect(await messageOf(read(file))).toBe("MatError: array images: expected 60 numbers (4 x 5 x 3), found 40");
    expect(await messageOf(read(matFile([{ ...small, dimensions: [3] }])))).toContain(
      "damaged: expected the dimensions of y, found [3]",
    );
  });

  test("more than the bound, before it is unpacked", async () => {
    const file = matFile([{ name: "X", dimensions: [1000, 1000], numbers: new Uint8Array(1e6) }], { packed: true });
    expect(await messageOf(read(file, { mostBytes: 5000 }))).toMatch(
      /^MatError: array X: expected at most 5000 bytes, the packed one says that it has 10000\d\d$/,
    );
    // One that says less than it has ends at what it says.
    const inside = matFile([{ name: "X", dimensions: [1000, 1000], numbers: new Uint8Array(1e6) }]).subarray(128);
    inside.writeUInt32LE(4000, 4);
    expect(await messageOf(read(packed(inside)))).toBe(
      "MatError: damaged zlib data (an array unpacks to more bytes than it says)",
    );
  });

  test("packed data that holds no array, or a cut one", async () => {
    expect(await messageOf(read(packed(element(2, Buffer.alloc(16), false))))).toContain("a packed element of type 2");
    expect(await messageOf(read(packed(Buffer.alloc(3))))).toContain("the packed array has no tag");
    const file = matFile([large], { packed: true });
    file.writeUInt32LE(file.length - 128 - 8 - 6, 132);
    expect(await messageOf(read(file.subarray(0, file.length - 6)))).toBe(
      "MatError: cut short: the zlib data stops before its end",
    );
  });
});
