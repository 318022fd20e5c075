import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as torch from "../../src/index.js";
import { type DType, FileFormatError, memory, parseNpy, readNpy, scope, writeNpy } from "../../src/index.js";
import { exact, expectTensor } from "../support/close.js";
import { type Encoded, fixturePath, readFixture } from "../support/fixtures.js";

const { npy } = readFixture<{ npy: { file: string; dtype: DType; shape: number[]; data: Encoded["d"] }[] }>(
  "files.json",
);

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "stopgrad-npy-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A file with this header text and data, in format version `version`. */
function file(header: string, data: Uint8Array | number = 0, version = 1): Buffer {
  const text = Buffer.from(header, version === 3 ? "utf8" : "latin1");
  const length = Buffer.alloc(version === 1 ? 2 : 4);
  if (version === 1) length.writeUInt16LE(text.length);
  else length.writeUInt32LE(text.length);
  const bytes = typeof data === "number" ? new Uint8Array(data) : data;
  return Buffer.concat([Buffer.from("\x93NUMPY", "latin1"), Buffer.from([version, 0]), length, text, bytes]);
}

/** The error of reading these bytes. */
function problem(bytes: Uint8Array): string {
  try {
    scope(() => parseNpy(bytes, "x.npy"));
  } catch (error) {
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error).toMatchObject({ file: "x.npy" });
    const { message } = error as Error;
    expect(message).toMatch(/^x\.npy: /);
    expect(message).not.toMatch(/[^ -~]/);
    return message.slice("x.npy: ".length);
  }
  throw new Error("expected an error");
}

describe("readNpy", () => {
  it.each(npy)("reads what NumPy wrote: $file", ({ file: name, dtype, shape, data }) => {
    scope(() => {
      const read = readNpy(fixturePath(`npy/${name}`));
      expectTensor(read, { t: dtype, s: shape, d: data }, exact);
      expect(read.isContiguous).toBe(true);
    });
  });

  it.each([
    ["refused-object.npy", /found "\|O", Python objects.*\.astype/],
    ["refused-structured.npy", /structured type.*save each field by itself/],
    ["refused-complex.npy", /found "<c8", complex numbers/],
    ["refused-text.npy", /found "<U2", text; expected numbers/],
    ["refused-bytes.npy", /found "\|S2", text/],
    ["refused-void.npy", /found "\|V3", raw bytes/],
    ["refused-dates.npy", /found "<M8\[D\]", dates/],
    [
      "refused-u8-large.npy",
      /found 9223372036854775808 at position 1 of an array of uint64; expected at most 2\^63 - 1/,
    ],
    ["refused-archive.npz", /found a zip archive, .*\(\.npz\).*PyTorch checkpoint \(\.pt\); expected a NumPy array/],
    ["refused-pickle.npy", /found a Python pickle.*numpy\.save/],
  ])("refuses %s with a sentence", (name, expected) => {
    const path = fixturePath(`npy/${name}`);
    expect(() => readNpy(path)).toThrow(FileFormatError);
    expect(() => readNpy(path)).toThrow(expected);
    expect(() => readNpy(path)).toThrow(path);
  });

  it("names a file that is missing, a folder or not readable as an array", () => {
    expect(() => readNpy(join(folder, "none.npy"))).toThrow(
      `${join(folder, "none.npy")}: there is no such file; expected a NumPy array (.npy)`,
    );
    expect(() => readNpy(join(folder, "none", "x.npy"))).toThrow(/there is no such file/);
    expect(() => readNpy(folder)).toThrow(/expected a NumPy array \(\.npy\), found a folder/);
    expect(() => readNpy("/dev/null")).toThrow(/found something that is not a plain file/);
    writeFileSync(join(folder, "empty.npy"), "");
    expect(() => readNpy(join(folder, "empty.npy"))).toThrow(/empty\.npy: the file is empty; expected/);
  });
});

describe("parseNpy", () => {
  const header = (descr = "'<f4'", order = "False", shape = "(2,)") =>
    `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }\n`;

  it("takes other spellings of the same header", () => {
    scope(() => {
      for (const text of [
        header(),
        header("'f4'"),
        header("'=f4'"),
        header("'|f4'"),
        header('"<f4"'),
        header("'<f4'", "False", "(2L,)"),
        header("'<f4'", "False", "[2]"),
        "{'shape':(2,),'fortran_order':False,'descr':'<f4'}",
        "{ 'shape' : ( 2 , ) , 'fortran_order' : False , 'descr' : '<f4' , }  \n",
      ]) {
        for (const version of [1, 2, 3]) expect(parseNpy(file(text, 8, version), "x").shape).toEqual([2]);
      }
    });
  });

  it("does not depend on how the bytes are aligned, and copies them", () => {
    scope(() => {
      for (const shift of [0, 1, 3]) {
        const numbers = new Uint8Array(Float32Array.of(1, 2).buffer);
        const whole = Buffer.concat([Buffer.alloc(shift), file(header("'<u4'"), numbers)]);
        const read = parseNpy(whole.subarray(shift), "x");
        whole.fill(0);
        expect(read.toNumbers()).toEqual([0x3f800000, 0x40000000]);
      }
      const bytes = file(header("'>f4'"), 8);
      const before = Buffer.from(bytes);
      parseNpy(bytes, "x");
      expect(bytes.equals(before)).toBe(true);
    });
  });

  it.each<[string, Uint8Array, RegExp]>([
    ["nothing", new Uint8Array(0), /^the file is empty/],
    ["part of the magic string", Buffer.from("\x93NUM", "latin1"), /^the file is truncated within NumPy's magic/],
    ["another format", Buffer.from("\x89PNG\r\n\x1a\n"), /^found .*at the beginning; expected a NumPy array/],
    ["a text file", Buffer.from("1,2,3\n"), /^found "1,2,3\\n" at the beginning/],
    ["no version", Buffer.from("\x93NUMPY", "latin1"), /^the file is truncated within the header/],
    ["half a length", Buffer.from("\x93NUMPY\x02\x00\x05\x00", "latin1"), /^the file is truncated within the header/],
    ["version 4", file(header(), 8, 4), /^found version 4\.0 of the \.npy format; expected 1\.0, 2\.0 or 3\.0/],
    ["version 0", Buffer.from("\x93NUMPY\x00\x00aaaaaa", "latin1"), /^found version 0\.0/],
    ["version 1.1", Buffer.from("\x93NUMPY\x01\x01aaaaaa", "latin1"), /^found version 1\.1/],
    ["a header that is cut off", file(header(), 8).subarray(0, 40), /truncated within the header: expected 68 bytes, found 40/],
    ["a huge header", Buffer.from("\x93NUMPY\x02\x00\xff\xff\xff\xff{}", "latin1"), /^found a header of 4294967295 bytes/],
    ["truncated data", file(header(), 7), /^the file is truncated: expected 8 bytes of data for '<f4' \(2\), found 7$/],
    ["no data", file(header(), 0), /^the file is truncated: expected 8 bytes/],
    ["trailing bytes", file(header(), 9), /^there are trailing bytes: expected 8 bytes.*found 9/],
    ["an empty header", file("", 8), /expected "\{" at character 0, found its end/],
    ["a header that ends early", file("{'descr': '<f4'", 8), /expected "," or "}" at character/],
    ["a header with code", file(header("__import__('os').abort()"), 8), /damaged: expected a value at character 10, found "__import__\('"/],
    ["arithmetic", file(header("'<f4'", "False", "(1+1,)"), 8), /expected "," or "\)" at character/],
    ["a missing comma", file("{'descr': '<f4' 'shape': (2,)}", 8), /expected "," or "}"/],
    ["two commas", file(header("'<f4'", "False", "(2,,)"), 8), /expected a value/],
    ["a number in brackets", file(header("'<f4'", "False", "(2)"), 8), /expected ","/],
    ["something after the header", file(`${header()}{}`, 8), /expected nothing after the dictionary/],
    ["brackets without end", file(header("'<f4'", "False", "(".repeat(9000)), 8), /fewer brackets inside each other/],
    ["a key twice", file("{'descr': '<f4', 'descr': '<f4'}", 8), /two entries "descr"/],
    ["a missing key", file("{'descr': '<f4', 'shape': (2,)}", 8), /^the header has no 'fortran_order'$/],
    ["an unknown key", file("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}", 8), /unknown entry "x"/],
    ["a key of Object's", file("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), '__proto__': 1}", 8), /unknown entry "__proto__"/],
    ["a type that is a number", file(header("4"), 8), /'descr' is not a type/],
    ["an order that is a number", file(header("'<f4'", "0"), 8), /'fortran_order' is neither True nor False/],
    ["a negative size", file(header("'<f4'", "False", "(-2,)"), 8), /'shape' is not a tuple of sizes/],
    ["a fraction as a size", file(header("'<f4'", "False", "(2.5,)"), 8), /expected a value/],
    ["True as a size", file(header("'<f4'", "False", "(True,)"), 8), /'shape' is not a tuple of sizes/],
    ["a size beyond 2^53", file(header("'<f4'", "False", "(99999999999999999999,)"), 8), /'shape' is not a tuple of sizes/],
    ["too many elements", file(header("'<f4'", "False", "(4000000000, 4000000000)"), 8), /too many elements/],
    ["sizes that overflow beside 0", file(header("'<f4'", "False", "(0, 9007199254740991, 9007199254740991)"), 0), /expected 'shape' to be a shape of fewer than 2\^50 elements/],
    ["long doubles", file(header("'<f16'"), 32), /found "<f16", a type that tensors do not have/],
    ["an unknown type", file(header("'<q9'"), 8), /found "<q9", a type that tensors do not have/],
    ["a type of Object's", file(header("'toString'"), 8), /found "toString"/],
    ["an empty type", file(header("''"), 8), /found "", a type/],
    ["letters beyond ASCII", file(header("'\u{1F600}'"), 8, 3), /found "\\ud83d\\ude00"/],
  ])("refuses %s", (_, bytes, expected) => {
    expect(problem(bytes)).toMatch(expected);
  }); // biome-ignore format: a table

  it("never takes a file that was cut off anywhere, and keeps nothing", () => {
    const { liveTensors } = memory();
    for (const name of ["f4-little.npy", "fortran-3d-big.npy", "b1.npy", "version2.npy"]) {
      const whole = readFileSync(fixturePath(`npy/${name}`));
      for (let length = 0; length < whole.length; length++) problem(whole.subarray(0, length));
    }
    expect(memory().liveTensors).toBe(liveTensors);
  });
});

describe("writeNpy", () => {
  it.each(npy.filter(({ file: name }) => !/big|u[248]|version|fortran|f2/.test(name)))(
    "writes NumPy's bytes: $file",
    ({ file: name }) => {
      const path = join(folder, name);
      scope(() => writeNpy(path, readNpy(fixturePath(`npy/${name}`))));
      expect(readFileSync(path).equals(readFileSync(fixturePath(`npy/${name}`)))).toBe(true);
    },
  );

  it("writes strided tensors row-major, bfloat16 as float32, and parameters", () => {
    scope(() => {
      const path = join(folder, "x.npy");
      const base = torch.arange(0, 6).view([2, 3]);
      writeNpy(path, base.t());
      expect(readNpy(path).toNested()).toEqual([[0, 3], [1, 4], [2, 5]]); // biome-ignore format: a matrix
      writeNpy(path, torch.tensor([0.1, -3], { dtype: "bfloat16" }));
      expect(readNpy(path).dtype).toBe("float32");
      expect(readNpy(path).toNumbers()).toEqual([0.10009765625, -3]);
      writeNpy(path, torch.ones([2, 2], { requiresGrad: true }));
      expect(readNpy(path).toNumbers()).toEqual([1, 1, 1, 1]);
      writeNpy(path, torch.zeros([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]));
      expect(readNpy(path).dim).toBe(20);
    });
  });

  it("leaves no temporary file, and what stood there when it fails", () => {
    const nested = join(folder, "nested");
    mkdirSync(join(nested, "taken.npy"), { recursive: true });
    const path = join(nested, "x.npy");
    scope(() => {
      writeNpy(path, torch.ones([1]));
      expect(() => writeNpy(join(nested, "taken.npy"), torch.ones([1]))).toThrow(
        /taken\.npy: it cannot be written: this is a folder, give the name of a file/,
      );
      expect(() => writeNpy(join(folder, "none", "x.npy"), torch.ones([1]))).toThrow(
        /it cannot be written: the folder does not exist/,
      );
      expect(() => writeNpy("/dev/full/x.npy", torch.ones([1]))).toThrow(/part of the path is not a folder/);
      const gone = torch.ones([1]);
      gone.dispose();
      expect(() => writeNpy(path, gone)).toThrow(torch.TorchError);
      expect(readNpy(path).toNumbers()).toEqual([1]);
    });
    expect(readdirSync(nested).sort()).toEqual(["taken.npy", "x.npy"]);
  });

  it("reads a copy but not a damaged one", () => {
    const copy = join(folder, "copy.npy");
    copyFileSync(fixturePath("npy/f4-little.npy"), copy);
    scope(() => expect(readNpy(copy).shape).toEqual([2, 3]));
    truncateSync(copy, 150);
    expect(() => readNpy(copy)).toThrow(/copy\.npy: the file is truncated: expected 24 bytes of data/);
  });
});
