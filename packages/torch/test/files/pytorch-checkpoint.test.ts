import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeWhole } from "../../src/files/atomic-write.js";
import { Call, Named, Ordered, PersistentId, pickle } from "../../src/files/pickle-writer.js";
import { zipWriter } from "../../src/files/zip.js";
import * as torch from "../../src/index.js";
import {
  type CheckpointInput,
  type CheckpointValue,
  FileFormatError,
  loadCheckpoint,
  memory,
  nn,
  saveCheckpoint,
  scope,
  Tensor,
  tensor,
  tensorsOf,
} from "../../src/index.js";
import { allClose } from "../support/close.js";
import { fixturePath } from "../support/fixtures.js";
import { pythonTorch, runPython } from "../support/python.js";

let folder = "";
let path = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "stopgrad-checkpoint-"));
  path = join(folder, "x.pt");
});
afterAll(() => rmSync(folder, { recursive: true }));

const checkpoint = (name: string) => fixturePath(`checkpoints/${name}`);

class Residual extends nn.Module {
  conv1: nn.Conv2d;
  bn1: nn.BatchNorm2d;
  conv2: nn.Conv2d;
  bn2: nn.BatchNorm2d;
  constructor(channels: number) {
    super();
    this.conv1 = new nn.Conv2d(channels, channels, 3, { padding: 1, bias: false });
    this.bn1 = new nn.BatchNorm2d(channels);
    this.conv2 = new nn.Conv2d(channels, channels, 3, { padding: 1, bias: false });
    this.bn2 = new nn.BatchNorm2d(channels);
  }
  override forward(x: Tensor): Tensor {
    const inner = this.bn1.forward(this.conv1.forward(x)).relu();
    return x.add(this.bn2.forward(this.conv2.forward(inner))).relu();
  }
}

/** The network of record-checkpoints.py. */
class Network extends nn.Module {
  stem = new nn.Conv2d(1, 4, 3, { stride: 2, padding: 1 });
  norm = new nn.BatchNorm2d(4);
  blocks = new nn.Sequential(new Residual(4), new Residual(4));
  head = new nn.Linear(4 * 4 * 4, 3);
  override forward(x: Tensor): Tensor {
    const features = this.blocks.forward(this.norm.forward(this.stem.forward(x)).relu());
    return this.head.forward(torch.maxPool2d(features, 2).flatten(1));
  }
}

/** Float32 sums in another order. */
const summed = { relative: 1e-4, absolute: 1e-5 };

const asMap = (value: CheckpointValue | undefined) => value as ReadonlyMap<unknown, CheckpointValue>;
const numbersOf = (value: CheckpointValue | undefined) => (value as Tensor).toNumbers();

/** Everything in a value that can be compared: tensors as type, shape and bits. */
function plain(value: unknown): unknown {
  if (value instanceof Tensor) {
    return { dtype: value.dtype, shape: value.shape, bits: Buffer.from(value.toTypedArray().buffer).toString("hex") };
  }
  if (value instanceof Map) return Array.from(value, ([key, item]) => [key, plain(item)]);
  if (value instanceof Set) return { set: [...value] };
  if (value instanceof Uint8Array) return { bytes: [...value] };
  return Array.isArray(value) ? { tuple: Object.isFrozen(value), items: value.map(plain) } : value;
}

/** An archive with this pickle and these storages. */
function archive(data: unknown, storages: Record<string, Uint8Array> = {}, more: Record<string, string> = {}): string {
  writeWhole(path, (write) => {
    const zip = zipWriter(write);
    const add = (name: string, bytes: Uint8Array) => zip.add(name, bytes.length, (append) => append(bytes));
    add("x/data.pkl", data instanceof Uint8Array ? data : pickle(data));
    for (const [key, bytes] of Object.entries(storages)) add(`x/data/${key}`, bytes);
    for (const [name, text] of Object.entries(more)) add(name, Buffer.from(text));
    zip.finish();
  });
  return path;
}

const storage = (name: string, length: unknown, key: unknown = "0", module = "torch") =>
  new PersistentId(["storage", new Named(module, name), key, "cuda:0", length]);
const tuple = (...items: unknown[]) => Object.freeze(items);
const rebuild = (args: unknown[], name = "_rebuild_tensor_v2") => new Call(new Named("torch._utils", name), args);
const floats = (...numbers: number[]) => new Uint8Array(Float32Array.from(numbers).buffer);

describe("loadCheckpoint", () => {
  it.each([false, true])("loads a network of Python's, which computes the same here (mapped: %s)", (mapped) => {
    scope(() => {
      const saved = asMap(loadCheckpoint(checkpoint("network.pt"), { mapped }));
      const network = new Network();
      network.loadStateDict(tensorsOf(saved.get("model")));
      network.eval();
      const output = torch.noGrad(() => network.forward(saved.get("input") as Tensor));
      expect(output.shape).toEqual([5, 3]);
      allClose(output.toNumbers(), numbersOf(saved.get("output")), summed, "output");
      expect(saved.get("epoch")).toBe(4);
      network.dispose();
    });
  });

  it("loads the state dicts of optimizers", () => {
    scope(() => {
      const saved = asMap(loadCheckpoint(checkpoint("network.pt")));
      const [adam, sgd] = [asMap(saved.get("adam")), asMap(saved.get("sgd"))];
      const first = asMap(asMap(adam.get("state")).get(0));
      expect([...first.keys()]).toEqual(["step", "exp_avg", "exp_avg_sq"]);
      expect(numbersOf(first.get("step"))).toEqual([4]);
      expect((first.get("exp_avg_sq") as Tensor).shape).toEqual([4, 1, 3, 3]);
      const [group] = adam.get("param_groups") as CheckpointValue[];
      expect(asMap(group).get("lr")).toBe(0.01);
      expect(asMap(group).get("betas")).toEqual([0.9, 0.999]);
      expect(asMap(group).get("params")).toHaveLength(18);
      expect((asMap(asMap(sgd.get("state")).get(17)).get("momentum_buffer") as Tensor).shape).toEqual([3]);
      expect(asMap((sgd.get("param_groups") as CheckpointValue[])[0]).get("nesterov")).toBe(true);
    });
  });

  it.each([
    [2, false],
    [3, false],
    [4, true],
    [5, false],
  ])("reads every kind of value, pickle protocol %i, mapped: %s", (protocol, mapped) => {
    scope(() => {
      const values = asMap(loadCheckpoint(checkpoint(`values${protocol}.pt`), { mapped }));
      const get = (key: string) => values.get(key);
      const numbers = (key: string) => numbersOf(get(key));
      expect(numbers("float32")).toEqual([Math.fround(0.1), -0, Number.POSITIVE_INFINITY]);
      expect(get("float64")).toMatchObject({ dtype: "float64", shape: [2, 1] });
      expect(numbers("float64")).toEqual([0.1, 1e300]);
      expect((get("float16") as Tensor).toTypedArray()).toEqual(Uint16Array.of(0x2e66, 0x7bff));
      expect((get("bfloat16") as Tensor).toTypedArray()).toEqual(Uint16Array.of(0x3dcd, 0xff62));
      expect(numbers("int64")).toEqual([Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]);
      expect(numbers("int32")).toEqual([2 ** 31 - 1, -(2 ** 31)]);
      expect(numbers("int16")).toEqual([32767, -32768]);
      expect(numbers("int8")).toEqual([127, -128]);
      expect(numbers("uint8")).toEqual([0, 255]);
      expect(get("bool")).toMatchObject({ dtype: "bool" });
      expect(numbers("bool")).toEqual([1, 0, 1]);
      expect((get("scalar") as Tensor).shape).toEqual([]);
      expect((get("empty") as Tensor).shape).toEqual([0, 3]);
      expect(numbers("slice")).toEqual([3, 4, 5]);
      expect(numbers("strided")).toEqual([1, 3, 5, 7, 9, 11]);
      expect(get("transposed")).toMatchObject({ shape: [4, 3], strides: [1, 4] });
      expect(numbers("transposed")).toEqual([0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
      expect(get("expanded")).toMatchObject({ shape: [2, 3], strides: [0, 0] });
      expect(get("channels_last")).toMatchObject({ shape: [1, 2, 3, 4], strides: [24, 1, 8, 2] });
      expect(numbers("channels_last")).toEqual(Array.from({ length: 24 }, (_, i) => i));
      expect(get("parameter")).toMatchObject({ requiresGrad: true, isLeaf: true });
      expect(get("numbers")).toEqual(
        [0, 255, 256, 65535, 65536, -1, 2 ** 31, -(2 ** 31), 2 ** 53 - 1, 0.1, -0, Number.POSITIVE_INFINITY, Number.NaN], // biome-ignore format: a list
      );
      expect(get("large")).toEqual([2n ** 53n + 1n, -(2n ** 70n), 2n ** 200n]);
      expect(get("text")).toEqual(["", "plain", "\u00e4\u4e2d\u{1f600}", "x".repeat(300)]);
      expect(get("bytes")).toEqual([new Uint8Array(0), Uint8Array.of(0, 255), new Uint8Array(300).fill(121)]);
      expect(get("flags")).toEqual([true, false, null]);
      expect(Object.isFrozen(get("flags")) && !Object.isFrozen(get("numbers"))).toBe(true);
      expect(get("tuples")).toEqual([[], [1], [1, 2], [1, 2, 3], [1, 2, 3, [4]]]);
      expect([...asMap(get("ordered"))]).toEqual([["b", 1], ["a", 2]]); // biome-ignore format: pairs
      expect([...asMap(get("counter"))]).toEqual([[3, 2]]);
      expect([...asMap(get("keys"))]).toEqual([[0, "int"], ["0", "str"], [null, 1], [0.5, 2]]); // biome-ignore format: pairs
      expect([get("set"), get("frozen")]).toEqual([new Set([1]), new Set(["a"])]);
      expect(plain(get("nested"))).toMatchObject([["a", { items: [[["b", { tuple: true }]]] }]]);
      expect(get("size")).toEqual([3, 4]);
      expect([get("dtype"), get("device")]).toEqual(["torch.bfloat16", "cuda:1"]);
      expect(get("many")).toEqual(Array.from({ length: 2500 }, (_, i) => i));
      // What shared memory does so again.
      (get("base") as Tensor).fill_(9);
      for (const key of ["slice", "strided", "transposed", "expanded"]) {
        expect(new Set(numbers(key)), key).toEqual(new Set([9]));
      }
    });
  });

  it("leaves nothing but the tensors it returns, and hands them to the enclosing scope", () => {
    const { liveTensors } = memory();
    scope(() => {
      const { liveTensors: before } = memory();
      const saved = scope(() => asMap(loadCheckpoint(checkpoint("network.pt"))));
      expect(memory().liveTensors - before).toBe(33 + 18 * 3 + 18 + 2);
      expect(numbersOf(saved.get("input"))).toHaveLength(5 * 256);
    });
    for (const name of ["refused-module.pt", "refused-storage.pt"]) {
      expect(() => loadCheckpoint(checkpoint(name))).toThrow(FileFormatError);
    }
    expect(memory().liveTensors).toBe(liveTensors);
  });

  it("writes to a mapped tensor stay in memory", () => {
    const bytes = readFileSync(checkpoint("values2.pt"));
    scope(() => {
      const values = asMap(loadCheckpoint(checkpoint("values2.pt"), { mapped: true }));
      (values.get("float32") as Tensor).fill_(3);
      expect(numbersOf(values.get("float32"))).toEqual([3, 3, 3]);
    });
    expect(readFileSync(checkpoint("values2.pt")).equals(bytes)).toBe(true);
  });

  it("reads what newer versions write: untyped storages, types beside them, parameters and tensors with attributes", () => {
    scope(() => {
      const bytes = storage("UntypedStorage", 8, "0", "torch.storage");
      const named = (name: string) => new Named("torch", name);
      const none = new Ordered([]);
      const v3 = (type: string) =>
        rebuild([bytes, 0, tuple(2), tuple(1), false, none, named(type)], "_rebuild_tensor_v3");
      const v2 = rebuild([storage("FloatStorage", 2), 0, tuple(2), tuple(1), false, none]);
      const inner = tuple(storage("FloatStorage", 2), 1, tuple(), tuple(), true, none);
      archive(
        new Map<string, unknown>([
          ["v3", v3("float32")],
          ["parameter", rebuild([v2, true, none], "_rebuild_parameter")],
          ["stateful", rebuild([v2, false, none, new Map()], "_rebuild_parameter_with_state")],
          [
            "attributes",
            new Call(new Named("torch._tensor", "_rebuild_from_type_v2"), [
              new Named("torch._utils", "_rebuild_tensor_v2"),
              named("Tensor"),
              inner,
              new Map([["note", 1]]),
            ]),
          ],
        ]),
        { 0: floats(1.5, -2) },
        { "x/byteorder": "little", "x/.data/serialization_id": "123", "x/.format_version": "1" },
      );
      const loaded = asMap(loadCheckpoint(path));
      expect(numbersOf(loaded.get("v3"))).toEqual([1.5, -2]);
      expect(loaded.get("parameter")).toMatchObject({ requiresGrad: true });
      expect(loaded.get("stateful")).toMatchObject({ requiresGrad: false });
      expect(loaded.get("attributes")).toMatchObject({ shape: [], requiresGrad: true });
      expect(numbersOf(loaded.get("attributes"))).toEqual([-2]);
      archive(v3("bool"), { 0: floats(1.5, -2) });
      expect(() => loadCheckpoint(path)).not.toThrow();
      archive(
        [v3("float32"), rebuild([bytes, 1, tuple(2), tuple(1), false, none, named("int16")], "_rebuild_tensor_v3")],
        {
          0: floats(1.5, -2),
        },
      );
      const [wide, narrow] = loadCheckpoint(path) as Tensor[];
      expect([wide!.dtype, narrow!.dtype, narrow!.toNumbers()]).toEqual(["float32", "int16", [0x3fc0, 0]]);
    });
  });

  it.each([
    ["refused-legacy.pt", /found PyTorch's format from before version 1\.6; load it in Python and save it again/],
    ["refused-pickle.pt", /found a Python pickle; expected a PyTorch checkpoint/],
    ["refused-script.pt", /found a TorchScript program.*state_dict\(\)/],
    [
      "refused-module.pt",
      /it holds the Python object "torch\.nn\.modules\.linear\.Linear".*state_dict\(\) of a module/,
    ],
    ["refused-numpy.pt", /"numpy\.core\.multiarray\.scalar".*float\(x\)/],
    ["refused-sparse.pt", /"torch\._utils\._rebuild_sparse_tensor".*to_dense\(\)/],
    ["refused-complex.pt", /"torch\.ComplexFloatStorage".*view_as_real/],
    ["refused-namespace.pt", /"argparse\.Namespace", which is not loaded/],
    ["refused-code.pt", /"builtins\.eval", which is not loaded/],
    ["refused-storage.pt", /it holds a bare storage; expected tensors/],
    ["refused-key.pt", /it holds a dict or set with a tuple as a key/],
    ["../npz/stored.npz", /found a NumPy archive \(\.npz\); expected a PyTorch checkpoint/],
    ["../safetensors/all.safetensors", /looks like a safetensors file; expected a PyTorch checkpoint/],
    ["../npy/f4-little.npy", /this is no zip archive; expected a PyTorch checkpoint/],
    ["none.pt", /there is no such file; expected a PyTorch checkpoint/],
    ["", /found a folder/],
  ])("refuses %s with a sentence", (name, expected) => {
    const file = checkpoint(name);
    expect(() => loadCheckpoint(file)).toThrow(FileFormatError);
    expect(() => loadCheckpoint(file)).toThrow(expected);
    expect(() => loadCheckpoint(file)).toThrow(file);
    expect(existsSync("/tmp/stopgrad-evil")).toBe(false);
  });

  const one = (args: unknown[] = []) => {
    const usual: unknown[] = [storage("FloatStorage", 2), 0, tuple(2), tuple(1), false, new Ordered([])];
    return rebuild(usual.map((value, at) => (args[at] === undefined ? value : args[at])));
  };
  const text = (code: string) => Buffer.from(code, "latin1");
  it.each<[string, unknown, RegExp]>([
    ["a storage that is missing", one([storage("FloatStorage", 2, "7")]), /the member "x\/data\/7" with a storage's bytes is missing/],
    ["a storage of another length", one([storage("FloatStorage", 3)]), /the storage "0" has 8 bytes; expected 12 of float32/],
    ["a storage of a huge length", one([storage("FloatStorage", 2 ** 53 - 1)]), /the storage "0" has 8 bytes/],
    ["a storage of a negative length", one([storage("FloatStorage", -2)]), /a storage is damaged: its key or length/],
    ["a storage whose key is a number", one([storage("FloatStorage", 2, 0)]), /a storage is damaged/],
    ["a storage without class", one([new PersistentId(["storage", null, "0", "cpu", 2])]), /found None/],
    ["another persistent id", new PersistentId(["module", 1]), /refers to something that is not a storage/],
    ["no storage", one([3]), /expected a storage for a tensor, found a number/],
    ["a shape beyond the storage", one([undefined, 0, tuple(3)]), /a tensor \[3\] with strides \[1\] at 0 reaches beyond its storage of 2 elements/],
    ["an offset beyond the storage", one([undefined, 1]), /at 1 reaches beyond/],
    ["strides beyond the storage", one([undefined, 0, tuple(2), tuple(2)]), /reaches beyond/],
    ["a shape that overflows", one([undefined, 0, tuple(2 ** 52, 2 ** 52), tuple(0, 1)]), /reaches beyond/],
    ["an empty shape that overflows", one([undefined, 0, tuple(0, 2 ** 52, 2 ** 52), tuple(1, 1, 1)]), /x\.pt: /],
    ["a negative offset", one([undefined, -1]), /a tensor is damaged: its offset, shape or strides/],
    ["a negative stride", one([undefined, 1, tuple(2), tuple(-1)]), /a tensor is damaged/],
    ["fewer strides than sizes", one([undefined, 0, tuple(2, 1)]), /a tensor is damaged/],
    ["a hundred dimensions", one([undefined, 0, tuple(...new Array(100).fill(1)), tuple(...new Array(100).fill(1))]), /a tensor is damaged/],
    ["gradients of integers", rebuild([storage("IntStorage", 2), 0, tuple(2), tuple(1), true, null]), /x\.pt: /],
    ["an unknown element type", rebuild([storage("UntypedStorage", 8, "0", "torch.storage"), 0, tuple(2), tuple(1), false, null, new Named("torch", "uint16")], "_rebuild_tensor_v3"), /a tensor of "uint16", a type that is not known/],
    ["a class by itself", new Named("torch", "FloatStorage"), /it holds the Python object "torch\.FloatStorage"/],
    ["a storage by itself", [storage("FloatStorage", 2)], /it holds a bare storage/],
    ["a call of what is no function", new Call(new Named("builtins", "dict"), []), /it wants to call builtins\.dict/],
    ["a call of what is no name", text("\x80\x02K\x01)R."), /it wants to call a number/],
    ["a function under another name", text("\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R."), /"os\.system", which is not loaded/],
    ["a function named through a dot", text("\x80\x04\x8c\x05torch\x8c\x0acuda.check\x93."), /"torch\.cuda\.check"/],
    ["a name of Object's", text("\x80\x02cconstructor\nname\n."), /"constructor\.name"/],
    ["attributes of a list", text("\x80\x02]}b."), /it sets attributes of a list/],
    ["arguments by name", text("\x80\x04ccollections\nOrderedDict\n)}K\x01K\x01s\x92."), /passes arguments by name/],
    ["a later protocol", text("\x80\x06N."), /a pickle of protocol 6; expected 0 to 5/],
    ["nothing", text(""), /damaged at byte 0: it ends without its last instruction/],
    ["no value", text("\x80\x02."), /damaged at byte 2: expected a value on the stack/],
    ["values left over", text("\x80\x02NN."), /values are left over/],
    ["a string that ends", text("\x80\x02X\xff\xff\xff\x7fabc."), /damaged at byte 2: it ends after 11 bytes, within a value/],
    ["a string of 2^64 bytes", text("\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xffa."), /within a value/],
    ["a string that is no UTF-8", text("\x80\x02X\x01\0\0\0\xff."), /a string that is not UTF-8/],
    ["an integer of 2^31 bytes", text("\x80\x02\x8b\xff\xff\xff\x7f."), /an integer of 2147483647 bytes/],
    ["a memory that is empty", text("\x80\x02h\x05."), /nothing is remembered as number 5/],
    ["no mark", text("\x80\x02t."), /expected a mark/],
    ["a mark as value", text("\x80\x02(."), /expected a value/],
    ["an odd dict", text("\x80\x02}(NNNu."), /a key without a value/],
    ["a list as key", text("\x80\x02}]Ns."), /a dict or set with a list as a key/],
    ["adding to a tuple", text("\x80\x02)Na."), /expected a list to add to, found a tuple/],
    ["adding to a number", text("\x80\x02K\x01NNs."), /expected a dict to add to, found a number/],
    ["an extension code", text("\x80\x02\x82\x01."), /not known or not allowed: 0x82/],
    ["lists deep inside each other", text(`\x80\x02${"]".repeat(3000)}${"a".repeat(2999)}.`), /more than 500 dicts and lists inside each other/],
  ])("refuses %s", (_, data, expected) => {
    const { liveTensors } = memory();
    archive(data, { 0: floats(1, 2) });
    expect(() => loadCheckpoint(path)).toThrow(FileFormatError);
    expect(() => loadCheckpoint(path)).toThrow(expected);
    expect(() => loadCheckpoint(path)).toThrow(/^[^\n]*$/);
    expect(memory().liveTensors).toBe(liveTensors);
  }); // biome-ignore format: a table

  it("refuses archives without a checkpoint, and other machines' numbers", () => {
    archive(1, {}, { "x/byteorder": "big" });
    expect(() => loadCheckpoint(path)).toThrow(/written on a big-endian machine/);
    archive(1, {}, { "y/data.pkl": "" });
    expect(() => loadCheckpoint(path)).toThrow(
      /no checkpoint: expected a member "data\.pkl" in one folder; it has "x\/data\.pkl", "y/,
    );
  });

  it("keeps a list that holds itself", () => {
    archive(text("\x80\x02]q\x00h\x00a."));
    const list = loadCheckpoint(path) as unknown[];
    expect(list[0]).toBe(list);
  });

  it("finds a flipped bit in every member", () => {
    scope(() => saveCheckpoint(path, new Map([["a", tensor([1, 2, 3])]])));
    const whole = readFileSync(path);
    for (const pattern of [floats(2), Buffer.from("OrderedDict"), Buffer.from("little")]) {
      const damaged = Buffer.from(whole);
      damaged[damaged.indexOf(pattern)]! ^= 1;
      writeFileSync(path, damaged);
      expect(() => loadCheckpoint(path)).toThrow(
        /member "archive\/.*": it is damaged: checksum [0-9a-f]{8} of its bytes/,
      );
    }
    // PyTorch without checksums writes 0.
    const without = Buffer.from(whole);
    for (let at = whole.indexOf("PK\x01\x02"); at >= 0; at = whole.indexOf("PK\x01\x02", at + 1))
      without.writeUInt32LE(0, at + 16);
    writeFileSync(path, without);
    scope(() => expect(numbersOf(asMap(loadCheckpoint(path)).get("a"))).toEqual([1, 2, 3]));
  });
});

describe("saveCheckpoint", () => {
  it("gives back what it was given", () => {
    scope(() => {
      for (const protocol of [2, 5]) {
        const values = loadCheckpoint(checkpoint(`values${protocol}.pt`));
        saveCheckpoint(path, values);
        const again = loadCheckpoint(path);
        expect(plain(again)).toEqual(plain(values));
        for (const key of ["transposed", "channels_last", "expanded"]) {
          const [before, after] = [values, again].map((map) => (asMap(map).get(key) as Tensor).strides);
          expect(after, key).toEqual(before);
        }
      }
      const network = loadCheckpoint(checkpoint("network.pt"));
      saveCheckpoint(path, network);
      expect(plain(loadCheckpoint(path))).toEqual(plain(network));
      saveCheckpoint(path, { plain: { "1": 2 }, big: 2n ** 60n, sixteen: [2 ** 16 - 1, 2 ** 31, -(2 ** 31) - 1] });
      expect(plain(loadCheckpoint(path))).toEqual([
        ["plain", [["1", 2]]],
        ["big", 2n ** 60n],
        ["sixteen", { tuple: false, items: [2 ** 16 - 1, 2 ** 31, -(2 ** 31) - 1] }],
      ]);
    });
  });

  it("keeps shared memory once, and a slice without the rest", () => {
    scope(() => {
      const base = torch.arange(0, 100_000, { dtype: "float32" });
      const table = { base, same: base.view([100, 1000]), part: base.narrow(0, 7, 5), every: base.view([50_000, 2]).select(1, 1) }; // biome-ignore format: a table
      saveCheckpoint(path, table);
      expect(statSync(path).size).toBeLessThan(410_000);
      const loaded = asMap(loadCheckpoint(path));
      (loaded.get("base") as Tensor).fill_(-1);
      for (const key of ["same", "part", "every"])
        expect(new Set(numbersOf(loaded.get(key))), key).toEqual(new Set([-1]));

      saveCheckpoint(path, [table.part, base.narrow(0, 50_000, 3), table.every]);
      expect(statSync(path).size).toBeLessThan(410_000);
      saveCheckpoint(path, [table.part, base.narrow(0, 50_000, 3)]);
      expect(statSync(path).size).toBeLessThan(2000);
      expect((loadCheckpoint(path) as Tensor[]).map((part) => part.toNumbers())).toEqual([[7, 8, 9, 10, 11], [50_000, 50_001, 50_002]]); // biome-ignore format: a list
      saveCheckpoint(path, table.every.narrow(0, 0, 3)); // with holes, alone
      const [alone] = [loadCheckpoint(path) as Tensor];
      expect([alone.toNumbers(), alone.strides]).toEqual([[1, 3, 5], [1]]);
      const overlapping = [base.narrow(0, 10, 4), base.narrow(0, 12, 4)];
      saveCheckpoint(path, overlapping);
      const [left, right] = loadCheckpoint(path) as Tensor[];
      left!.fill_(0);
      expect(right!.toNumbers()).toEqual([0, 0, 14, 15]);
    });
  });

  it("does not take equal values for shared memory", () => {
    scope(() => {
      saveCheckpoint(path, { a: torch.zeros([3]), b: torch.zeros([3]), c: torch.zeros([3], { dtype: "int32" }) });
      const loaded = asMap(loadCheckpoint(path));
      (loaded.get("a") as Tensor).fill_(1);
      expect([numbersOf(loaded.get("b")), numbersOf(loaded.get("c"))]).toEqual([[0, 0, 0], [0, 0, 0]]); // biome-ignore format: a pair
    });
  });

  it("writes aligned members, which are mapped, and equal files for equal content", () => {
    scope(() => {
      const value = new Map([["weight", torch.randn([1000])], ["half", torch.randn([3]).to("bfloat16")]]); // biome-ignore format: a table
      saveCheckpoint(path, value);
      const bytes = readFileSync(path);
      saveCheckpoint(path, value);
      expect(readFileSync(path).equals(bytes)).toBe(true);
      const first = Buffer.from(value.get("weight")!.toTypedArray().buffer);
      expect(bytes.indexOf(first) % 64).toBe(0);
      const mapped = loadCheckpoint(path, { mapped: true });
      expect(plain(mapped)).toEqual(plain(value));
      saveCheckpoint(path, mapped); // over the very file that is mapped
      expect(plain(mapped)).toEqual(plain(value));
      expect(plain(loadCheckpoint(path))).toEqual(plain(value));
    });
  });

  it("writes parameters, gradients aside, and tensors in pieces", () => {
    scope(() => {
      const network = new Network();
      saveCheckpoint(path, network.stateDict());
      const loaded = tensorsOf(loadCheckpoint(path));
      expect([...loaded.keys()]).toEqual([...network.stateDict().keys()]);
      expect([...loaded.values()].some((value) => value.requiresGrad)).toBe(false);
      const other = new Network();
      other.loadStateDict(loaded);
      const input = torch.randn([2, 1, 16, 16]);
      expect(other.forward(input).toNumbers()).toEqual(network.forward(input).toNumbers());
      network.dispose();
      other.dispose();
      const large = torch.arange(0, 5_000_003, { dtype: "int64" });
      saveCheckpoint(path, large);
      const again = loadCheckpoint(path) as Tensor;
      expect(again.eq(large).to("int64").sum().item()).toBe(5_000_003);
    });
  });

  const cyclic: CheckpointInput[] = [];
  cyclic.push([cyclic]);
  it.each<[string, unknown, RegExp]>([
    ["undefined", { a: undefined }, /the value at "a" cannot be saved: expected a tensor, number.*, got undefined$/],
    ["a function", [() => 1], /the value at 0 cannot be saved:.*got function$/],
    ["a date", { a: [1, new Date()] }, /the value at "a" at 1 cannot be saved:.*got a Date$/],
    ["a typed array", new Float32Array(2), /got a Float32Array$/],
    ["a module", new nn.ReLU(), /got a ReLU$/],
    ["a key that is an object", new Map([[{}, 1]]), /the value has a key that cannot be saved/],
    ["a cycle", cyclic, /the value at 0 at 0 contains itself/],
    ["a huge integer", 1n << 2000n, /an integer of more than 1024 bits/],
  ])("refuses %s, by its place", (_, value, expected) => {
    writeFileSync(path, "before");
    expect(() => saveCheckpoint(path, value as CheckpointInput)).toThrow(FileFormatError);
    expect(() => saveCheckpoint(path, value as CheckpointInput)).toThrow(expected);
    expect([readFileSync(path, "utf8"), readdirSync(folder)]).toEqual(["before", ["x.pt"]]);
  });

  it("refuses a disposed tensor", () => {
    const gone = tensor(1);
    gone.dispose();
    expect(() => saveCheckpoint(path, { a: gone })).toThrow(/the value at "a" is a disposed tensor/);
  });
});

describe("tensorsOf", () => {
  it("names what is no tensor", () => {
    scope(() => {
      const map = new Map([["a", tensor(1)]]);
      expect(tensorsOf(map)).toBe(map);
      expect(() => tensorsOf(new Map<string, CheckpointValue>([["a", 1]]))).toThrow(
        /state dict: expected a dict of tensors, got a number at a/,
      );
      expect(() => tensorsOf(undefined, "model")).toThrow(/model: expected a dict of tensors, got nothing/);
      expect(() => tensorsOf(new Map([[1, tensor(1)]]))).toThrow(/a key that is not a string at 1/);
    });
  });
});

describe.skipIf(pythonTorch === null)(`with Python's PyTorch ${pythonTorch}`, () => {
  // 1.13's restricted unpickler reads no floating-point numbers; from 2.0 on it does, and is the default from 2.6 on.
  const restricted = pythonTorch !== null && Number.parseInt(pythonTorch, 10) >= 2;
  const program = readFileSync(fixturePath("record-checkpoints.py"), "utf8");
  const python = `
import json, sys
import torch
from torch import nn
from torch.nn import functional as F
${/class Residual[\s\S]*?\ndef train/.exec(program)![0].replace(/\ndef train$/, "")}
load = lambda path: torch.load(path, ${restricted ? "weights_only=True" : ""})
`;

  it("a network trained here computes the same there, and its optimizer goes on", () => {
    scope(() => {
      const generator = new torch.Generator(5);
      const network = new Network();
      const optimizer = new torch.optim.Adam(network.parameters(), { learningRate: 0.01 });
      for (let step = 0; step < 3; step++) {
        optimizer.zeroGrad();
        const input = torch.randn([8, 1, 16, 16], { generator });
        torch.square(network.forward(input)).mean().backward();
        optimizer.step();
      }
      network.eval();
      const input = torch.randn([5, 1, 16, 16], { generator });
      const output = torch.noGrad(() => network.forward(input));
      saveCheckpoint(path, { model: network.stateDict(), input, output, lr: 0.5, epoch: 3 });
      const [answer, ordered, epoch] = runPython<[number[], boolean, number]>(
        `${python}
saved = load(sys.argv[1])
network = Network()
network.load_state_dict(saved["model"])
network.eval()
with torch.no_grad():
    output = network(saved["input"])
print(json.dumps([output.flatten().tolist(), type(saved["model"]).__name__ == "OrderedDict", saved["epoch"]]))`,
        path,
      );
      allClose(answer, output.toNumbers(), summed, "output");
      expect([ordered, epoch]).toEqual([true, 3]);
      network.dispose();
      optimizer.dispose();
    });
  });

  it("everything loaded here and saved again is the same there", () => {
    for (const name of ["values2.pt", "values5.pt", "network.pt"]) {
      scope(() => saveCheckpoint(path, loadCheckpoint(checkpoint(name))));
      const answer = runPython<string>(
        `${python}
import math
def same(a, b, where):
    if isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype and a.shape == b.shape, where
        if a.numel() and where not in ("/slice", "/strided"): assert a.stride() == b.stride() or a.dim() == 0, where
        if a.dtype in (torch.float16, torch.bfloat16): a, b = a.view(torch.int16), b.view(torch.int16)
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert list(a) == list(b) and all(type(x) == type(y) for x, y in zip(a, b)), where
        for key in a: same(a[key], b[key], f"{where}/{key}")
    elif isinstance(a, (list, tuple)):
        assert isinstance(b, tuple) == isinstance(a, tuple) and len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b)): same(x, y, f"{where}/{i}")
    elif isinstance(a, float):
        assert a == b and math.copysign(1, a) == math.copysign(1, b) or math.isnan(a) and math.isnan(b), where
    elif isinstance(a, (torch.dtype, torch.device)):
        assert str(a) == b, where
    else:
        assert a == b, where
same(torch.load(sys.argv[2]${restricted ? ", weights_only=False" : ""}), load(sys.argv[1]), "")
print(json.dumps("same"))`,
        path,
        checkpoint(name),
      );
      expect(answer).toBe("same");
    }
  });

  it("an optimizer of Python's goes on from a state that went through here", () => {
    scope(() => saveCheckpoint(path, loadCheckpoint(checkpoint("network.pt"))));
    const [equal, adam] = runPython<[boolean, boolean]>(
      `${python}
def steps(path, kind):
    saved = torch.load(path)
    network = Network()
    network.load_state_dict(saved["model"])
    optimizer = torch.optim.Adam(network.parameters()) if kind == "adam" else torch.optim.SGD(network.parameters(), lr=1)
    optimizer.load_state_dict(saved[kind])
    for _ in range(2):
        optimizer.zero_grad()
        network(saved["input"]).square().sum().backward()
        optimizer.step()
    return torch.cat([p.detach().flatten() for p in network.parameters()])
print(json.dumps([torch.equal(steps(sys.argv[1], kind), steps(sys.argv[2], kind)) for kind in ("sgd", "adam")]))`,
      path,
      checkpoint("network.pt"),
    );
    expect([equal, adam]).toEqual([true, true]);
  });

  it("shared memory and types hold there", () => {
    scope(() => {
      const base = torch.arange(0, 10, { dtype: "float32" });
      const every = ["float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"] as const; // biome-ignore format: a list
      const types = new Map(every.map((dtype) => [dtype, torch.tensor([1, 0, 1]).to(dtype)]));
      saveCheckpoint(path, { base, part: base.narrow(0, 2, 3), types, empty: torch.zeros([0, 2]), set: new Set([1]) });
      const answer = runPython<unknown[]>(
        `${python}
saved = load(sys.argv[1])
saved["base"].fill_(7)
print(json.dumps([saved["part"].tolist(), {k: str(v.dtype) for k, v in saved["types"].items()},
                  [v.double().tolist() for v in saved["types"].values()], list(saved["empty"].shape)]))`,
        path,
      );
      expect(answer).toEqual([
        [7, 7, 7],
        Object.fromEntries(every.map((dtype) => [dtype, `torch.${dtype}`])),
        every.map(() => [1, 0, 1]),
        [0, 2],
      ]);
    });
  });
});
