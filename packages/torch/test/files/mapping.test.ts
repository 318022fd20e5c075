import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import * as torch from "../../src/index.js";
import {
  type DType,
  loadCheckpoint,
  loadSafetensors,
  memory,
  npzHeader,
  readNpy,
  readNpz,
  safetensorsHeader,
  saveCheckpoint,
  saveSafetensors,
  scope,
  type Tensor,
  tensor,
  writeNpy,
  writeNpz,
} from "../../src/index.js";
import { runScript } from "../support/child.js";
import { exact, expectTensor } from "../support/close.js";
import { type Encoded, fixturePath, readFixture } from "../support/fixtures.js";

const folder = mkdtempSync(join(tmpdir(), "stopgrad-mapping-"));
const path = join(folder, "x");
afterAll(() => rmSync(folder, { recursive: true }));

const every: DType[] = [
  "float32",
  "float64",
  "float16",
  "bfloat16",
  "int64",
  "int32",
  "int16",
  "int8",
  "uint8",
  "bool",
];
const fixtures = readFixture<{
  npy: { file: string; dtype: DType; shape: number[]; data: Encoded["d"] }[];
  safetensors: { tensors: Record<string, Encoded> };
}>("files.json");

/** A file of `size` bytes that is a hole, but for these pieces. */
function sparse(size: number, pieces: readonly (readonly [at: number, bytes: Uint8Array])[]): void {
  const descriptor = openSync(path, "w");
  ftruncateSync(descriptor, size);
  for (const [at, bytes] of pieces) writeSync(descriptor, bytes, 0, bytes.length, at);
  closeSync(descriptor);
}

describe("mapped", () => {
  it.each(fixtures.npy)("readNpy gives what it reads: $file", ({ file, dtype, shape, data }) => {
    scope(() =>
      expectTensor(readNpy(fixturePath(`npy/${file}`), { mapped: true }), { t: dtype, s: shape, d: data }, exact),
    );
  });

  it("an array in Fortran order keeps its order", () => {
    scope(() => {
      expect(readNpy(fixturePath("npy/fortran.npy"), { mapped: true }).isContiguous).toBe(false);
      expect(readNpy(fixturePath("npy/fortran.npy")).isContiguous).toBe(true);
    });
  });

  it("loadSafetensors gives what it reads", () => {
    scope(() => {
      const { tensors } = loadSafetensors(fixturePath("safetensors/all.safetensors"), { mapped: true });
      expect([...tensors.keys()].sort()).toEqual(Object.keys(fixtures.safetensors.tensors).sort());
      for (const [name, value] of tensors) expectTensor(value, fixtures.safetensors.tensors[name]!, exact, name);
    });
  });

  it("tensors that are not aligned are read, the others mapped, all equal", () => {
    const bytes = new Uint8Array(Float32Array.of(1.5, -2).buffer);
    const entries = { odd: { dtype: "U8", shape: [1], data_offsets: [0, 1] }, a: { dtype: "F32", shape: [2], data_offsets: [1, 9] }, b: { dtype: "F32", shape: [2], data_offsets: [9, 17] } }; // biome-ignore format: a table
    for (let padding = 0; padding < 8; padding++) {
      const text = JSON.stringify(entries) + " ".repeat(padding);
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(text.length));
      writeFileSync(path, Buffer.concat([length, Buffer.from(text), Uint8Array.of(7), bytes, bytes]));
      scope(() => {
        const { tensors } = loadSafetensors(path, { mapped: true });
        expect(["odd", "a", "b"].map((name) => tensors.get(name)!.toNumbers())).toEqual([[7], [1.5, -2], [1.5, -2]]);
      });
    }
  });

  const savers: Record<string, [(named: Map<string, Tensor>) => void, () => ReadonlyMap<unknown, unknown>]> = {
    npz: [(named) => writeNpz(path, named), () => readNpz(path, { mapped: true })],
    safetensors: [(named) => saveSafetensors(path, named), () => loadSafetensors(path, { mapped: true }).tensors],
    checkpoint: [
      (named) => saveCheckpoint(path, named),
      () => loadCheckpoint(path, { mapped: true }) as ReadonlyMap<unknown, unknown>,
    ],
  };

  it.each(Object.entries(savers))("%s: every element type; writing does not change the file", (_, [save, load]) => {
    scope(() => {
      const given = new Map(every.map((dtype) => [dtype, tensor([[0, 1, 2], [3, 4, 5]]).to(dtype)])); // biome-ignore format: a matrix
      save(given);
      const before = readFileSync(path);
      const mapped = load() as Map<string, Tensor>;
      for (const [dtype, value] of mapped) {
        expect(value.toNumbers(), dtype).toEqual(given.get(dtype as DType)!.toNumbers());
        value.fill_(1);
        expect(new Set(value.toNumbers()), dtype).toEqual(new Set([1]));
      }
      expect(readFileSync(path).equals(before)).toBe(true);
    });
  });

  it.each(Object.entries(savers))(
    "%s: a file replaced by renaming leaves the tensors as they were",
    (_, [save, load]) => {
      scope(() => {
        save(new Map([["a", tensor([1, 2, 3])]]));
        const mapped = load() as Map<string, Tensor>;
        save(new Map([["a", torch.zeros([3])]]));
        expect(mapped.get("a")!.toNumbers()).toEqual([1, 2, 3]);
        writeFileSync(`${path}.new`, "short");
        renameSync(`${path}.new`, path);
        expect(mapped.get("a")!.toNumbers()).toEqual([1, 2, 3]);
      });
    },
  );

  it("frees the map with its last tensor", () => {
    scope(() => saveSafetensors(path, new Map([["a", torch.zeros([1 << 20])], ["b", tensor([1])]]))); // biome-ignore format: a table
    const maps = () => readFileSync("/proc/self/maps", "utf8").split("\n").filter((line) => line.endsWith(path)).length; // biome-ignore format: one line
    const { liveTensors } = memory();
    scope(() => {
      const { tensors } = loadSafetensors(path, { mapped: true });
      if (process.platform === "linux") expect(maps()).toBe(1);
      tensors.get("a")!.dispose();
      expect(tensors.get("b")!.toNumbers()).toEqual([1]);
    });
    if (process.platform === "linux") expect(maps()).toBe(0);
    expect(memory().liveTensors).toBe(liveTensors);
  });
});

describe("files beyond 4 GiB", () => {
  const elements = 2 ** 30 + 3; // 4 GiB and 12 bytes of float32, a hole but for the last ones
  const last = new Uint8Array(Float32Array.of(5, 6, 7).buffer);

  it("are mapped from .npy", () => {
    scope(() => writeNpy(path, tensor([1])));
    const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${elements},), }`;
    const header = Buffer.concat([readFileSync(path).subarray(0, 10), Buffer.from(`${text.padEnd(117)}\n`)]);
    sparse(128 + 4 * elements, [[0, header], [128 + 4 * 2 ** 30, last]]); // biome-ignore format: pairs
    scope(() => {
      const array = readNpy(path, { mapped: true });
      expect(array.shape).toEqual([elements]);
      expect(array.narrow(0, 2 ** 30 - 1, 4).toNumbers()).toEqual([0, 5, 6, 7]);
    });
  });

  it("are read in part, and mapped, from safetensors", () => {
    const size = 4 * 2 ** 30;
    const header = `{"big":{"dtype":"F32","shape":[${2 ** 30}],"data_offsets":[0,${size}]},"end":{"dtype":"F32","shape":[3],"data_offsets":[${size},${size + 12}]}}`; // biome-ignore format: one line
    const prefix = Buffer.alloc(8 + 160, " ");
    prefix.writeBigUInt64LE(160n);
    prefix.write(header, 8);
    sparse(168 + size + 12, [[0, prefix], [168 + size, last]]); // biome-ignore format: pairs
    scope(() => {
      expect([...safetensorsHeader(path).tensors]).toEqual([
        ["big", { dtype: "float32", shape: [2 ** 30] }],
        ["end", { dtype: "float32", shape: [3] }],
      ]);
      expect(
        loadSafetensors(path, { names: ["end"] })
          .tensors.get("end")!
          .toNumbers(),
      ).toEqual([5, 6, 7]);
      const { tensors } = loadSafetensors(path, { mapped: true });
      expect(tensors.get("end")!.toNumbers()).toEqual([5, 6, 7]);
      expect(
        tensors
          .get("big")!
          .narrow(0, 2 ** 30 - 2, 2)
          .toNumbers(),
      ).toEqual([0, 0]);
    });
  });
});

describe("pieces", () => {
  // More than a piece of 16 MiB, and not a multiple of one.
  const elements = 5_000_003;

  it.each(["<i4", ">i4", "<u4", "<u2"])("a long array of type %s is read whole", (descr) => {
    const width = Number(descr[2]);
    const data = Buffer.alloc(elements * width);
    const most = 2 ** (8 * width - 1) - 1;
    for (let i = 0; i < elements; i++) {
      if (descr.startsWith(">")) data.writeUIntBE(i % most, i * width, width);
      else data.writeUIntLE(i % most, i * width, width);
    }
    const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${elements},), }`;
    writeFileSync(
      path,
      Buffer.concat([Buffer.from("\x93NUMPY\x01\x00v\x00", "latin1"), Buffer.from(`${text.padEnd(117)}\n`), data]),
    );
    scope(() => {
      const read = readNpy(path).to("int64");
      const expected = torch.arange(0, elements, { dtype: "int64" });
      const wrapped = most < elements ? torch.operator<[Tensor, number], Tensor>("aten::remainder.Scalar", "self other")(expected, most) : expected; // biome-ignore format: one line
      expect(read.eq(wrapped).to("int64").sum().item()).toBe(elements);
    });
  });

  it("long tensors go through safetensors with their checksum, and through .npy in Fortran order", () => {
    scope(() => {
      const long = torch.randn([elements]);
      saveSafetensors(path, new Map([["long", long], ["bits", long.to("bfloat16")]]), {}, { checksum: true }); // biome-ignore format: a table
      const { tensors, sha256 } = loadSafetensors(path);
      expect(sha256).not.toBeNull();
      expect(tensors.get("long")!.eq(long).to("int64").sum().item()).toBe(elements);
      expect(tensors.get("bits")!.eq(long.to("bfloat16")).to("int64").sum().item()).toBe(elements);
      expect(loadSafetensors(path, { mapped: true }).sha256).toBeNull();
      expect(loadSafetensors(path, { names: ["bits"] }).sha256).toBeNull();
      expect(safetensorsHeader(path).sha256).toBe(sha256);
      const strided = long.narrow(0, 0, 5_000_000).view([2, 2_500_000]).t();
      writeNpy(path, strided);
      expect(readNpy(path).eq(strided).to("int64").sum().item()).toBe(5_000_000);
    });
  });

  it("reading takes no second copy of a long array", () => {
    scope(() => writeNpy(path, torch.zeros([25_000_000]))); // 100 MB
    const growth = runScript<number>(`
      torch.zeros([1]);
      const before = process.resourceUsage().maxRSS;
      const array = torch.readNpy(${JSON.stringify(path)});
      console.log((process.resourceUsage().maxRSS - before) * 1024 * Math.sign(array.numel));`);
    expect(growth).toBeLessThan(160e6);
  });
});

describe("names", () => {
  it("loadSafetensors reads those asked for, in that order, and names one that is missing", () => {
    scope(() => {
      saveSafetensors(path, new Map([["a", tensor([1])], ["b", tensor([2])], ["c", tensor([3])]])); // biome-ignore format: a table
      const { tensors } = loadSafetensors(path, { names: ["c", "a"] });
      expect(Array.from(tensors, ([name, value]) => [name, value.item()])).toEqual([["c", 3], ["a", 1]]); // biome-ignore format: pairs
      expect(() => loadSafetensors(path, { names: ["a", "d"] })).toThrow(
        /x: there is no tensor "d"; it has "a", "b", "c"$/,
      );
      expect(loadSafetensors(path, { names: [] }).tensors.size).toBe(0);
      writeNpz(path, { a: tensor([1]) });
      expect([...npzHeader(path).keys()]).toEqual(["a"]);
    });
  });
});
