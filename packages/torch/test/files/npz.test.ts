import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { writeWhole } from "../../src/files/atomic-write.js";
import { npyHeader } from "../../src/files/npy.js";
import { zipWriter } from "../../src/files/zip.js";
import * as torch from "../../src/index.js";
import { FileFormatError, memory, npzHeader, readNpz, scope, tensor, writeNpz } from "../../src/index.js";
import { fixturePath } from "../support/fixtures.js";
import { pythonTorch, runPython } from "../support/python.js";

const folder = mkdtempSync(join(tmpdir(), "stopgrad-npz-"));
const path = join(folder, "x.npz");
afterAll(() => rmSync(folder, { recursive: true }));

const npz = (name: string) => fixturePath(`npz/${name}`);

describe("readNpz", () => {
  it.each([
    ["stored.npz", false],
    ["stored.npz", true],
    ["deflated.npz", false],
    ["deflated.npz", true],
  ])("reads what NumPy wrote: %s, mapped: %s", (name, mapped) => {
    scope(() => {
      const arrays = readNpz(npz(name), { mapped });
      expect([...arrays.keys()]).toEqual(["a", "b/c", "noise", "zeros", "empty", "flags"]);
      expect(arrays.get("a")!.toNested()).toEqual([[0, 1, 2], [3, 4, 5]]); // biome-ignore format: a matrix
      expect(arrays.get("b/c")).toMatchObject({ dtype: "int16", shape: [2, 3] });
      expect(arrays.get("b/c")!.toNumbers()).toEqual([0, 1, 2, 3, 4, 5]);
      expect(arrays.get("noise")).toMatchObject({ dtype: "uint8", shape: [5000] });
      expect(arrays.get("zeros")!.sum().item()).toBe(0);
      expect(arrays.get("empty")).toMatchObject({ dtype: "int32", shape: [0, 2] });
      expect(arrays.get("flags")).toMatchObject({ dtype: "bool" });
      expect(arrays.get("flags")!.toNumbers()).toEqual([1, 0]);
    });
  });

  it("has the same noise stored and deflated", () => {
    scope(() => {
      const [stored, deflated] = ["stored.npz", "deflated.npz"].map((name) => readNpz(npz(name)).get("noise")!);
      expect(stored!.toNumbers()).toEqual(deflated!.toNumbers());
    });
  });

  it("reads the arrays asked for, by name with or without .npy, and leaves the others alone", () => {
    scope(() => {
      expect([...readNpz(npz("deflated.npz"), { names: ["flags", "a.npy"] }).keys()]).toEqual(["flags", "a"]);
      expect(readNpz(npz("plain-names.npz")).get("x")!.toNumbers()).toEqual([0, 1, 2]);
      expect(
        readNpz(npz("text.npz"), { names: ["x"] })
          .get("x")!
          .toNumbers(),
      ).toEqual([1, 1]);
      const damaged = Buffer.from(readFileSync(npz("stored.npz")));
      damaged[damaged.indexOf("noise.npy") + 1000]! ^= 1;
      writeFileSync(path, damaged);
      expect(readNpz(path, { names: ["a"] }).get("a")!.shape).toEqual([2, 3]);
      expect(() => readNpz(path)).toThrow(/array "noise": it is damaged: checksum/);
    });
  });

  it("describes arrays without reading them", () => {
    const { liveTensors } = memory();
    for (const name of ["stored.npz", "deflated.npz"]) {
      expect([...npzHeader(npz(name))].slice(0, 3)).toEqual([
        ["a", { dtype: "float32", shape: [2, 3] }],
        ["b/c", { dtype: "int16", shape: [2, 3] }],
        ["noise", { dtype: "uint8", shape: [5000] }],
      ]);
    }
    expect(memory().liveTensors).toBe(liveTensors);
  });

  it.each([false, true])("describes an array with a long header (compressed: %s)", (compressed) => {
    const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }${" ".repeat(20_000)}\n`;
    const length = Buffer.alloc(4);
    length.writeUInt32LE(text.length);
    const bytes = Buffer.concat([
      Buffer.from("\x93NUMPY\x02\x00", "latin1"),
      length,
      Buffer.from(text),
      Buffer.alloc(12),
    ]);
    writeWhole(path, (write) => {
      const zip = zipWriter(write);
      zip.add("long.npy", bytes.length, (append) => append(bytes), compressed);
      zip.finish();
    });
    expect([...npzHeader(path)]).toEqual([["long", { dtype: "float32", shape: [3] }]]);
    scope(() => expect(readNpz(path).get("long")!.toNumbers()).toEqual([0, 0, 0]));
  });

  it.each([
    [npz("text.npz"), /array "label": found "<U1", text; expected numbers/],
    [fixturePath("npy/f4-little.npy"), /this is no zip archive; expected a NumPy archive \(\.npz\)/],
    [fixturePath("checkpoints/values2.pt"), /array "values2\/data\.pkl": found a Python pickle/],
    [join(folder, "none.npz"), /there is no such file; expected a NumPy archive/],
  ])("refuses %s with a sentence", (file, expected) => {
    const { liveTensors } = memory();
    expect(() => readNpz(file)).toThrow(FileFormatError);
    expect(() => readNpz(file)).toThrow(expected);
    expect(() => readNpz(file)).toThrow(file);
    expect(memory().liveTensors).toBe(liveTensors);
  });

  it("takes one .npy from a member's name, as NumPy does", () => {
    const odd = join(folder, "odd.npz");
    const values = { a: 0, "a.npy": 1, "b.npy": 2, "c.npy.npy": 3 };
    scope(() =>
      writeWhole(odd, (write) => {
        const zip = zipWriter(write);
        for (const [name, value] of Object.entries(values)) {
          const header = npyHeader(tensor([value]));
          const data = Buffer.from(Float32Array.of(value).buffer);
          zip.add(`${name}.npy`, header.length + 4, (append) => {
            append(header);
            append(data);
          });
        }
        zip.finish();
      }),
    );
    const numbers = (names?: string[]) =>
      scope(() => [...readNpz(odd, names ? { names } : {})].map(([name, array]) => [name, array.item()]));
    expect(numbers()).toEqual(Object.entries(values));
    expect(numbers([...npzHeader(odd).keys()])).toEqual(Object.entries(values));
    expect(numbers(["a.npy", "b.npy.npy", "b.npy"])).toEqual([
      ["a.npy", 1],
      ["b.npy", 2],
    ]);
    expect(() => readNpz(odd, { names: ["b"] })).toThrow(/there is no array "b"; it has "a", "a.npy", "b.npy"/);
    if (!pythonTorch) return;
    const script = `import sys, json, numpy\nprint(json.dumps(numpy.load(sys.argv[1]).files))`;
    expect(runPython<string[]>(script, odd)).toEqual(Object.keys(values));
  });

  it("names an array that is not there, and those that are", () => {
    expect(() => readNpz(npz("text.npz"), { names: ["y"] })).toThrow(/there is no array "y"; it has "x", "label"$/);
  });
});

describe("writeNpz", () => {
  it.each([false, true])("writes what it reads (compressed: %s)", (compressed) => {
    scope(() => {
      const tensors = new Map([
        ["weights", torch.randn([100, 50])],
        ["strided", torch.arange(0, 6).view([2, 3]).t()],
        ["half.npy", tensor([0.1, 3]).to("float16")],
        ["brain", tensor([0.1, 3]).to("bfloat16")],
        ["flags", tensor([true, false])],
        ["none", torch.zeros([0, 4])],
        ["\u00e4/b", tensor(2.5)],
        ["zeros", torch.zeros([3_000_000], { dtype: "float64" })],
      ]);
      writeNpz(path, tensors, { compressed });
      expect(statSync(path).size < 1e5).toBe(compressed);
      for (const mapped of [false, true]) {
        const read = readNpz(path, { mapped });
        expect([...read.keys()]).toEqual([...tensors.keys()].map((name) => name.replace(".npy", "")));
        for (const [name, written] of tensors) {
          const got = read.get(name.replace(".npy", ""))!;
          const want = written.dtype === "bfloat16" ? written.to("float32") : written;
          expect([got.dtype, got.shape], name).toEqual([want.dtype, want.shape]);
          if (want.numel > 0) expect(got.eq(want).to("float32").mean().item(), name).toBe(1);
        }
      }
      if (pythonTorch) {
        const script = `
import sys, json, numpy
z = numpy.load(sys.argv[1])
print(json.dumps([z.files, str(z["half"].dtype), z["strided"].tolist(), z["brain"].tolist(), z["zeros"].shape, float(z["weights"].astype("f8").sum())]))`;
        const [files, half, strided, brain, zeros, sum] = runPython<unknown[]>(script, path);
        expect(files).toEqual([...tensors.keys()].map((name) => name.replace(".npy", "")));
        expect([half, strided, brain, zeros]).toEqual(["float16", [[0, 3], [1, 4], [2, 5]], [0.10009765625, 3], [3_000_000]]); // biome-ignore format: a list
        expect(sum).toBeCloseTo(tensors.get("weights")!.to("float64").sum().item(), 9);
      }
    });
  });

  it("takes a plain object, and refuses names that are no file's", () => {
    scope(() => {
      writeNpz(path, { a: tensor([1]) });
      expect(readNpz(path).get("a")!.toNumbers()).toEqual([1]);
      for (const name of ["", ".npy", "/a", "../a", "a/../b", "a\\b", "a\0"]) {
        expect(() => writeNpz(path, { [name]: tensor(1) }), name).toThrow(/an array cannot be called/);
      }
      expect(() => writeNpz(path, { a: tensor(1), "a.npy": tensor(1) })).toThrow(
        /expected every name once, got "a" twice/,
      );
      expect(readNpz(path).get("a")!.toNumbers()).toEqual([1]);
    });
  });
});
