// `stopgrad measure` on arrays from elsewhere: what NumPy writes goes in, what NumPy computes comes out.
import { readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { saveCheckpoint, saveSafetensors, scope, type Tensor, tensor, writeNpy, writeNpz } from "@stopgrad/torch";
import { beforeEach, describe, expect, it } from "vitest";
import { folder, json, put, stopgrad } from "./command.js";

type Numbers = Uint16Array | Float64Array | Float32Array | Int32Array | BigInt64Array | Uint8Array;

const types = new Map<unknown, string>([
  [Float64Array, "<f8"],
  [Float32Array, "<f4"],
  [Int32Array, "<i4"],
  [BigInt64Array, "<i8"],
  [Uint8Array, "|u1"],
  [Uint16Array, "<f2"], // the bits of float16
]);

/** A file as numpy.save writes it. */
function npy(shape: number[], data: Numbers): Buffer {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
  const dictionary = `{'descr': '${types.get(data.constructor)}', 'fortran_order': False, 'shape': ${tuple}, }`;
  const length = Math.ceil((10 + dictionary.length + 1) / 64) * 64 - 10;
  const header = Buffer.alloc(10);
  header.write("\x93NUMPY\x01\x00", "latin1");
  header.writeUInt16LE(length, 8);
  const text = `${dictionary.padEnd(length - 1)}\n`;
  return Buffer.concat([header, Buffer.from(text), Buffer.from(data.buffer, data.byteOffset, data.byteLength)]);
}

const COUNT = 40;
const x = Float64Array.from({ length: COUNT * 32 }, (_, i) => Math.sin(1.7 * i) + 0.5 * Math.cos(0.31 * i));
const z = Float64Array.from({ length: COUNT * 6 }, (_, i) => Math.cos(0.9 * i * i + 1));
const y = Array.from({ length: COUNT }, (_, i) => (i * i + 3 * i) % 5);
const hot = Float64Array.from({ length: COUNT * 5 }, (_, i) => Number(y[Math.floor(i / 5)] === i % 5));

// From NumPy in float64, by the formula as it is written: all differences, `numpy.linalg.inv`, mean over the batches of
// 16 (one-sided centring and all), `ddof=1`.
//
//   def gram(v): v = v.reshape(len(v), -1); d = ((v[:, None] - v[None]) ** 2).sum(-1)
//                return exp(-d / (2 * 25 * v.shape[1]))        # plain: sqrt(d)
//   def R(G):    m = len(G); K = P @ G @ P                     # P = eye(m) - 1 / m
//                return K @ inv(K + 1e-5 * m * eye(m))
//   nhsic = trace(R(a) @ R(b)); hsic = trace(P @ a @ P @ b) / (m - 1) ** 2
const NUMPY = {
  nhsic: { xz: 5.708817803745495, xzError: 0.1832528454470239, yz: 1.2312946931442683, yzError: 0.0015548811277780183 },
  plain: { xz: 13.367542408012975, yz: 1.9285554735842991 },
  float32: { xz: 5.708817807336431 },
  batch20: { xz: 4.873755373453078 },
  hsic: { xz: 3.404801970259712e-5, yz: 7.384919312571788e-4 },
};

let home: string;
beforeEach(() => {
  home = folder();
  put(home, "x.npy", npy([COUNT, 2, 4, 4], x));
  put(home, "z.npy", npy([COUNT, 6], z));
  put(home, "y.npy", npy([COUNT], BigInt64Array.from(y, BigInt)));
});

/** `stopgrad measure` in the folder of the arrays. */
const measure = (...args: string[]) => stopgrad(["measure", ...args], { cwd: home });

/** The values, as `x,z z.npy`. */
async function valuesOf(...args: string[]): Promise<Record<string, number>> {
  const finished = await measure(...args, "--json");
  expect(finished.code, finished.stderr).toBe(0);
  const { results } = json(finished) as { results: { pair: string; file: string; value: number }[] };
  return Object.fromEntries(results.map(({ pair, file, value }) => [`${pair} ${file}`, value]));
}

describe("measure nhsic", () => {
  it("agrees with NumPy, and prints the contract's document", async () => {
    const finished = await measure("nhsic", "--x", "x.npy", "--y", "y.npy", "--z", "z.npy", "--batch", "16", "--json");
    expect(finished).toMatchObject({ code: 0 });
    expect(finished.stderr).toBe("8 of 40 samples make no whole batch of 16 and were left out\n");
    const { results, ...rest } = json(finished);
    expect(rest).toEqual({
      measure: "nhsic",
      samples: 32,
      batch: 16,
      batches: 2,
      options: expect.objectContaining({ sigma: 5, epsilon: 1e-5, distance: "squared" }),
      level: 0.95,
    });
    const around = (value: number) => expect.toSatisfy(([low, high]: number[]) => low! < value && value < high!);
    const close = (expected: number) => expect.closeTo(expected, 9);
    const { xz, xzError, yz, yzError } = NUMPY.nhsic;
    expect(results).toEqual([
      { pair: "x,z", file: "z.npy", value: close(xz), standardError: close(xzError), interval: around(xz) },
      { pair: "y,z", file: "z.npy", value: close(yz), standardError: close(yzError), interval: around(yz) },
    ]);
    const text = await measure("nhsic", "--x", "x.npy", "--z", "z.npy", "--batch", "16");
    expect(text.stdout).toMatch(
      /^nhsic, mean over 2 batches of 16\n {2}x,z {2}z\.npy {2}5\.7088178 ± 0\.18 \(standard error\), 95 % \[[\d.]+, [\d.]+\]\n$/,
    );
  });

  it("takes several representations, one of the two others, float32, and other batches", async () => {
    put(home, "x32.npy", npy([COUNT, 2, 4, 4], Float32Array.from(x)));
    put(home, "z32.npy", npy([COUNT, 6, 1], Float32Array.from(z)));
    const single = await valuesOf("nhsic", "--x", "x32.npy", "--z", "z32.npy", "z.npy", "--batch", "16");
    expect(Object.keys(single)).toEqual(["x,z z32.npy", "x,z z.npy"]);
    expect(single["x,z z32.npy"]).toBeCloseTo(NUMPY.float32.xz, 9);
    const labels = await valuesOf("nhsic", "--y", "y.npy", "--z", "z.npy", "--batch", "16");
    expect(Object.keys(labels)).toEqual(["y,z z.npy"]);
    const larger = await valuesOf("nhsic", "--x", "x.npy", "--z", "z.npy", "--batch", "20");
    expect(larger["x,z z.npy"]).toBeCloseTo(NUMPY.batch20.xz, 9);
  });

  it("takes labels as whole numbers of any type or range, as a column, and as one-hot rows", async () => {
    const files = {
      "i4.npy": npy([COUNT], Int32Array.from(y)),
      "f4.npy": npy([COUNT], Float32Array.from(y)),
      "u1.npy": npy([COUNT, 1], Uint8Array.from(y)),
      "far.npy": npy(
        [COUNT],
        BigInt64Array.from(y, (label) => BigInt(label) * 10n ** 12n),
      ),
      "hot.npy": npy([COUNT, 5], hot),
    };
    for (const [name, content] of Object.entries(files)) {
      put(home, name, content);
      const values = await valuesOf("nhsic", "--y", name, "--z", "z.npy", "--batch", "16");
      expect(values["y,z z.npy"], name).toBeCloseTo(NUMPY.nhsic.yz, 9);
    }
  });

  it("takes options with --set", async () => {
    const given = ["--x", "x.npy", "--y", "y.npy", "--z", "z.npy", "--batch", "16"];
    const plain = await valuesOf("nhsic", ...given, "--set", "distance=plain", "sigma=5");
    expect(plain["x,z z.npy"]).toBeCloseTo(NUMPY.plain.xz, 9);
    expect(plain["y,z z.npy"]).toBeCloseTo(NUMPY.plain.yz, 9);
  });
});

describe("files of other kinds", () => {
  const given = ["--x", "x.npy", "--batch", "16"];

  it("archives are all their entries, or the one that is named; float16 and bfloat16 are read as they are", async () => {
    scope(() => {
      const values = tensor(z, { shape: [COUNT, 6] });
      const kinds = { half: values.to("float16"), brain: values.to("bfloat16"), single: values.to("float32") };
      saveSafetensors(join(home, "z.safetensors"), kinds);
      writeNpz(join(home, "z.npz"), { half: kinds.half, "deep:conv1": values });
      for (const [name, kind] of Object.entries(kinds)) writeNpy(join(home, `${name}.npy`), kind.to("float64"));
    });
    const values = await valuesOf(
      "nhsic",
      ...given,
      "--z",
      "z.safetensors",
      "z.npz",
      "half.npy",
      "brain.npy",
      "single.npy",
    );
    expect(Object.keys(values).sort()).toEqual([
      "x,z brain.npy",
      "x,z half.npy",
      "x,z single.npy",
      "x,z z.npz:deep:conv1",
      "x,z z.npz:half",
      "x,z z.safetensors:brain",
      "x,z z.safetensors:half",
      "x,z z.safetensors:single",
    ]);
    expect(values["x,z z.npz:deep:conv1"]).toBeCloseTo(NUMPY.nhsic.xz, 9);
    for (const name of ["half", "brain", "single"]) {
      expect(values[`x,z z.safetensors:${name}`], name).toBeCloseTo(values[`x,z ${name}.npy`]!, 12);
    }
    expect(values["x,z z.npz:half"]).toBe(values["x,z z.safetensors:half"]);
    const one = await valuesOf("nhsic", ...given, "--z", "z.npz:half");
    expect(one).toEqual({ "x,z z.npz:half": values["x,z z.npz:half"] });
    const none = json(await measure("nhsic", ...given, "--z", "z.npz:conv9", "--json"));
    expect(none.error).toMatch(/^z\.npz: there is no array "conv9"; it has "half", "deep:conv1"$/);
    const several = json(await measure("nhsic", "--x", "z.npz", "--z", "z.npy", "--json"));
    expect(several.error).toBe("z.npz holds 2 arrays; expected one of z.npz:half, z.npz:deep:conv1");
  });

  it("an archive of everything is measured but for what is given as x or y", async () => {
    scope(() => {
      const values = tensor(z, { shape: [COUNT, 6] });
      const input = tensor(x, { shape: [COUNT, 32] });
      const labels = tensor(BigInt64Array.from(y, BigInt));
      writeNpz(join(home, "all.npz"), { x: input, y: labels, conv1: values });
      saveCheckpoint(join(home, "all.pt"), new Map<string, Tensor | number>([["epoch", 3], ["x", input], ["y", labels], ["conv1", values]])); // biome-ignore format: one line
      saveCheckpoint(join(home, "list.pth"), [values, input]);
      saveCheckpoint(join(home, "one.pt"), values);
      saveCheckpoint(join(home, "none.pt"), new Map([["epoch", 3]]));
    });
    const plain = await valuesOf("nhsic", "--x", "x.npy", "--y", "y.npy", "--z", "z.npy", "--batch", "16");
    for (const file of ["all.npz", "all.pt"]) {
      const named = ["--x", `./${file}:x`, "--y", `${file}:y`, "--batch", "16"];
      const values = await valuesOf("nhsic", ...named, "--z", file);
      expect(Object.keys(values)).toEqual([`x,z ${file}:conv1`, `y,z ${file}:conv1`]);
      expect(values[`x,z ${file}:conv1`]).toBeCloseTo(plain["x,z z.npy"]!, 9);
      expect(values[`y,z ${file}:conv1`]).toBeCloseTo(plain["y,z z.npy"]!, 9);
      expect(Object.keys(await valuesOf("nhsic", ...named, "--z", `${file}:x`))).toContain(`x,z ${file}:x`);
    }
    const others = await valuesOf("nhsic", ...given, "--z", "one.pt", "list.pth", "list.pth:1");
    expect(Object.keys(others)).toEqual(["x,z one.pt", "x,z list.pth:0", "x,z list.pth:1"]); // one of them twice
    expect(others["x,z one.pt"]).toBeCloseTo(plain["x,z z.npy"]!, 9);
    expect(others["x,z list.pth:0"]).toBeCloseTo(plain["x,z z.npy"]!, 9);
    const errorOf = async (file: string) => json(await measure("nhsic", ...given, "--z", file, "--json")).error;
    expect(await errorOf("none.pt")).toMatch(/^none\.pt: expected a tensor, or a dict, list or tuple with tensors/);
    expect(await errorOf("all.pt:conv2")).toBe('all.pt: there is no tensor "conv2"; it has x, y, conv1');
    put(home, "renamed.npy", readFileSync(join(home, "one.pt")));
    expect(await errorOf("renamed.npy")).toMatch(/found a zip archive, .* and a PyTorch checkpoint \(\.pt\); expected/);
  });

  it("whole numbers of any type are representations too, and only rows in use are looked at", async () => {
    const whole = Int32Array.from(z, (value) => Math.round(100 * value));
    put(home, "i4.npy", npy([COUNT, 6], whole));
    put(home, "f8.npy", npy([COUNT, 6], Float64Array.from(whole)));
    const values = await valuesOf("nhsic", ...given, "--z", "i4.npy", "f8.npy");
    expect(values["x,z i4.npy"]).toBe(values["x,z f8.npy"]);
    const spoilt = Float64Array.from(z);
    spoilt[6 * 35] = Number.NaN; // behind the second batch of 16
    put(home, "late.npy", npy([COUNT, 6], spoilt));
    expect(await valuesOf("nhsic", ...given, "--z", "late.npy")).toEqual({
      "x,z late.npy": expect.closeTo(NUMPY.nhsic.xz, 9),
    });
  });

  it("a representation that is constant depends on nothing", async () => {
    put(home, "constant.npy", npy([COUNT, 6], new Float64Array(COUNT * 6).fill(3)));
    const values = await valuesOf("nhsic", ...given, "--y", "y.npy", "--z", "constant.npy");
    expect(values).toEqual({ "x,z constant.npy": expect.closeTo(0, 12), "y,z constant.npy": expect.closeTo(0, 12) });
  });
});

describe("probes of files", () => {
  /** Two features that say the class, one that says nothing; rows in the order of their classes. */
  function separable(count: number, shift: number): Float64Array {
    return Float64Array.from({ length: 3 * count }, (_, i) => {
      const label = Math.floor((3 * Math.floor(i / 3)) / count);
      return [Math.cos(2 * label), Math.sin(2 * label), Math.sin(i + shift)][i % 3]!;
    });
  }
  const classes = (count: number) => Uint8Array.from({ length: count }, (_, i) => Math.floor((3 * i) / count));

  it("are fitted on some samples and scored on others, or on parts of one array", async () => {
    put(home, "train.npy", npy([60, 3], separable(60, 0)));
    put(home, "train-y.npy", npy([60], classes(60)));
    put(home, "test.npy", npy([30, 3], separable(30, 5)));
    put(home, "test-y.npy", npy([30], classes(30)));
    const finished = await measure("probe", "--z", "train.npy", "--y", "train-y.npy", "--test-z", "test.npy", "--test-y", "test-y.npy", "--json"); // biome-ignore format: one line
    expect(finished.code, finished.stderr).toBe(0);
    const { results } = json(finished);
    expect(results.slice(0, 2)).toEqual([
      { key: "train", file: "train.npy", value: 1, interval: null },
      { key: "test", file: "train.npy", value: 1, interval: [1, 1] },
    ]);
    // Sorted by class: a split into the first and the last samples would score 0.
    const split = json(await measure("probe", "--z", "train.npy", "--y", "train-y.npy", "--split", "0.8", "--json"));
    expect(split.results.find(({ key }: { key: string }) => key === "test").value).toBe(1);
  });

  it("refuse other features, other classes, and splits that leave nothing", async () => {
    put(home, "test.npy", npy([COUNT, 3], z.slice(0, COUNT * 3)));
    put(
      home,
      "other-y.npy",
      npy(
        [COUNT],
        Uint8Array.from(y, (label) => label + 1),
      ),
    );
    put(home, "one-y.npy", npy([COUNT], new Uint8Array(COUNT)));
    const given = ["--z", "z.npy", "--y", "y.npy"];
    const mistakes: [string[], string][] = [
      [
        [...given, "--test-z", "test.npy", "--test-y", "y.npy"],
        "z.npy is [40, 6], test.npy is [40, 3]; training and test samples must have the same features",
      ],
      [
        [...given, "--test-z", "z.npy", "--test-y", "other-y.npy"],
        "other-y.npy holds the label 1, which y.npy does not; expected the same classes",
      ],
      [[...given, "--split", "0.001"], "--split 0.001 of 40 samples leaves 0 to train on and 40 to test"],
    ];
    for (const [args, message] of mistakes) {
      const finished = await measure("probe", ...args, "--json");
      expect(json(finished)).toEqual({ error: message });
      expect(finished.code).toBe(1);
    }
    const one = await measure("probe", "--z", "z.npy", "--y", "one-y.npy", "--split", "0.5", "--json");
    expect(json(one).error).toMatch(/^measure probe: .*at least two classes/);
  });
});

describe("measures of whole samples", () => {
  it("have a row for each file and key, an interval where the value is a mean over samples", async () => {
    const finished = await measure("geometry", "--y", "y.npy", "--z", "z.npy", "--json");
    expect(finished.code, finished.stderr).toBe(0);
    const { results } = json(finished);
    const rank = results.find(({ key }: { key: string }) => key === "effectiveRank");
    expect(rank).toMatchObject({ file: "z.npy", interval: null });
    expect(rank.value).toBeGreaterThan(1);
    expect(rank.value).toBeLessThanOrEqual(6);
    const within = results.find(({ key }: { key: string }) => key === "withinVariance");
    expect(within.interval[0]).toBeLessThan(within.value);
    const resampled = json(await measure("geometry", "--y", "y.npy", "--z", "z.npy", "--bootstrap", "200", "--json"));
    const again = resampled.results.find(({ key }: { key: string }) => key === "effectiveRank");
    expect(again.value).toBe(rank.value);
    expect(again.interval[0]).toBeLessThan(again.interval[1]);
    const text = await measure("geometry", "--y", "y.npy", "--z", "z.npy");
    expect(text.stdout).toMatch(/^geometry of 40 samples\n/);
    expect(text.stderr).toMatch(/^numbers without an interval are no means .*; --bootstrap 2000 gives them one/);
    expect((await measure("geometry", "--y", "y.npy", "--z", "z.npy", "--bootstrap", "100")).stderr).toBe("");
    const missing = json(await measure("geometry", "--z", "z.npy", "--json"));
    expect(missing.error ?? "").toMatch(/^(measure geometry: expected labels of the samples \(--y\))?$/);
  });

  it("--full is of all samples at once", async () => {
    const given = ["--x", "x.npy", "--y", "y.npy", "--z", "z.npy"];
    const full = await valuesOf("nhsic", ...given, "--full", "--set", "approximation=exact");
    const whole = await valuesOf("nhsic", ...given, "--batch", String(COUNT));
    for (const [key, value] of Object.entries(whole)) expect(full[key], key).toBeCloseTo(value, 9);
    const landmarks = await valuesOf("nhsic", ...given, "--full");
    expect(landmarks["x,z z.npy"]).toBeCloseTo(whole["x,z z.npy"]!, 5);
  });

  it("--full says what was estimated", async () => {
    const given = ["nhsic", "--x", "x.npy", "--z", "z.npy", "--full"];
    const ofAll = async (...set: string[]) => json(await measure(...given, "--json", ...set)).full;
    expect(await ofAll()).toEqual({ samples: COUNT, approximation: "nystrom", rank: COUNT });
    expect(await ofAll("--set", "rank=10")).toEqual({ samples: COUNT, approximation: "nystrom", rank: 10 });
    expect(await ofAll("--set", "approximation=exact")).toEqual({ samples: COUNT, approximation: "exact" });
    const { stdout } = await measure(...given, "--set", "rank=10");
    expect(stdout).toMatch(/^nhsic of all 40 samples at once, by nystrom of rank 10\n/);
    expect(stdout).toMatch(/rank 10 is below the exact value, far off where epsilon is small \(here 0\.00001\)\n$/);
    const exact = await measure(...given, "--set", "approximation=exact");
    expect(exact.stdout).toMatch(/^nhsic of all 40 samples at once, exact\n/);
    expect(exact.stdout).not.toContain("below");
    expect((await measure(...given)).stdout).not.toContain("below"); // every sample is a landmark
  });
});

describe("a representation that a measure refuses", () => {
  beforeEach(() => {
    const wide = Float64Array.from({ length: COUNT * 30 }, (_, i) => Math.sin(i * i));
    put(home, "wide.npy", npy([COUNT, 30], wide));
    put(
      home,
      "huge.npy",
      npy(
        [COUNT, 6],
        z.map((value) => 1e200 * value),
      ),
    );
    put(home, "constant.npy", npy([COUNT, 6], new Float64Array(COUNT * 6).fill(3)));
    const spoilt = Float64Array.from(z);
    spoilt[6 * 7 + 3] = Number.NaN;
    put(home, "nan.npy", npy([COUNT, 6], spoilt));
  });

  const refusals: readonly (readonly [args: string[], file: string, reason: RegExp])[] = [
    [["ksg"], "wide.npy", /^z has 30 features a sample, expected at most 20/],
    [["nhsic", "--batch", "16"], "huge.npy", /^the numbers are too large/],
    [["nhsic", "--full"], "huge.npy", /^the numbers are too large/],
    [["cka", "--batch", "16"], "constant.npy", /./],
    ...[["nhsic", "--batch", "16"], ["geometry"]].map(
      (args) => [args, "nan.npy", /^holds NaN at \[7, 3\]; expected finite numbers$/] as const,
    ),
  ];
  it.each(refusals)("of several has no value and a remark: %j", async (args, file, reason) => {
    const finished = await measure(...args, "--y", "y.npy", "--z", file, "z.npy", "--json");
    expect(finished.code, finished.stderr).toBe(0);
    const { results } = json(finished);
    const remark = expect.stringMatching(reason);
    expect(results[0]).toMatchObject({ file, value: null, interval: null, remark });
    const other = results.find((row: { file: string }) => row.file === "z.npy");
    expect(other).toMatchObject({ file: "z.npy", value: expect.any(Number) });
    expect(other).not.toHaveProperty("remark");
    expect(finished.stderr).toContain(`${file}: ${results[0].remark}\n`);
    expect((await measure(...args, "--y", "y.npy", "--z", file, "z.npy")).stdout).toMatch(/ +undefined\n/);
  });

  it("is no reason not to probe the others", async () => {
    const given = ["--y", "y.npy", "--z", "nan.npy", "z.npy", "--split", "0.5"];
    const { results } = json(await measure("knn", ...given, "--set", "k=3", "--json"));
    expect(results.map(({ file, value }: Record<string, unknown>) => [file, value === null])).toEqual([
      ["nan.npy", true],
      ["nan.npy", true],
      ["z.npy", false],
      ["z.npy", false],
    ]);
  });

  it("alone is an error that names it, as is the input", async () => {
    const errorOf = async (...args: string[]) => {
      const finished = await measure(...args, "--json");
      expect(finished.code).toBe(1);
      return json(finished).error;
    };
    expect(await errorOf("ksg", "--y", "y.npy", "--z", "wide.npy")).toMatch(
      /^measure ksg: wide\.npy: z has 30 features/,
    );
    expect(await errorOf("ksg", "--y", "y.npy", "--z", "wide.npy", "wide.npy")).toMatch(
      /^measure ksg: wide\.npy: z has 30 .*; the other 1 could not be measured either$/,
    );
    const given = ["--x", "huge.npy", "--z", "z.npy"];
    expect(await errorOf("hsic", ...given, "--batch", "16")).toMatch(/^measure hsic: x: the numbers are too large/);
    expect(await errorOf("hsic", ...given, "--full")).toMatch(/^measure hsic: x: the numbers are too large/);
    expect(await errorOf("hsic", "--y", "y.npy", "--z", "huge.npy", "--batch", "16")).toMatch(
      /^measure hsic: huge\.npy: the numbers are too large/,
    );
  });

  it("has no row for a partner that is not given or not asked for", async () => {
    put(home, "x2.npy", npy([COUNT, 2], x.slice(0, 2 * COUNT)));
    const keysOf = async (...args: string[]) => {
      const { results } = json(await measure("ksg", "--z", "z.npy", ...args, "--json"));
      return results.map(({ key }: { key: string }) => key);
    };
    expect(await keysOf("--y", "y.npy")).toEqual(["ksgYZ"]);
    expect(await keysOf("--x", "x2.npy")).toEqual(["ksgXZ"]);
    expect(await keysOf("--x", "x2.npy", "--y", "y.npy")).toEqual(["ksgXZ", "ksgYZ"]);
    expect(await keysOf("--x", "x2.npy", "--y", "y.npy", "--set", "pairs=labels")).toEqual(["ksgYZ"]);
    const nothing = await measure("ksg", "--z", "z.npy", "--y", "y.npy", "--set", "pairs=input", "--json");
    expect(json(nothing).error).toBe("measure ksg: expected the input of the samples (--x)");
  });
});

describe("measure hsic", () => {
  it("agrees with NumPy", async () => {
    const values = await valuesOf("hsic", "--x", "x.npy", "--y", "y.npy", "--z", "z.npy", "--batch", "16");
    expect(values["x,z z.npy"]).toBeCloseTo(NUMPY.hsic.xz, 14);
    expect(values["y,z z.npy"]).toBeCloseTo(NUMPY.hsic.yz, 13);
  });
});

describe("measure --list", () => {
  it("names every measure with its options", async () => {
    const { measures } = json(await measure("--list", "--json"));
    const names = measures.map(({ name }: { name: string }) => name);
    expect(names).toEqual(expect.arrayContaining(["nhsic", "hsic", "cka", "probe", "mlp-probe", "knn", "geometry"]));
    expect((await measure("--list")).stdout).toContain("--set distance=squared (default)");
  });

  it("says what each option may be, from the measures themselves, of all measures or of one", async () => {
    const { measures } = json(await measure("--list", "--json"));
    for (const { name, options, allowed } of measures) {
      expect(Object.keys(allowed), name).toEqual(Object.keys(options));
      for (const [key, words] of Object.entries(allowed)) expect(words, `${name} ${key}`).not.toBe("another value");
    }
    const { stdout } = await measure("nhsic", "--list");
    expect(stdout.split("\n").slice(2)).toEqual([
      "  --set kernel=rbf (default): rbf | laplacian | linear",
      "  --set sigma=5 (default): a number above 0",
      "  --set width=scaled (default): scaled | median | fixed",
      "  --set distance=squared (default): squared | plain",
      "  --set epsilon=0.00001 (default): a number above 0",
      "  --full --set approximation=nystrom (default): nystrom | random-features | exact",
      "  --full --set rank=1000 (default): an even integer from 2 to 5000",
      "  --full --set seed=0 (default): an integer, 0 or more",
      "  --full --set chunk=1000 (default): a positive integer",
      "",
    ]);
    expect((await measure("knn", "--list")).stdout).not.toMatch(/at=|distance=.*at:/); // when a run takes it
    expect(json(await measure("information", "--list", "--json")).measures[0].allowed).toMatchObject({
      test: "a positive integer | null",
    });
    expect(json(await measure("nhsi", "--list", "--json")).error).toMatch(/; did you mean nhsic\?$/);
  });
});

describe("mistakes", () => {
  const given = ["--x", "x.npy", "--z", "z.npy", "--batch", "16"];

  it("in a name: what there is, and what is near", async () => {
    expect(json(await measure("--json"))).toEqual({
      error: expect.stringMatching(/^measure: expected the name of a measure \(known: nhsic, hsic, /),
    });
    expect(json(await measure("nhsi", ...given, "--json"))).toEqual({
      error: expect.stringMatching(/^unknown measure: nhsi \(known: .*\); did you mean nhsic\?$/),
    });
  });

  it.each<[string[], string]>([
    [["nhsic", "--x", "x.npy"], "measure: expected representations, as in --z Z1.npy Z2.npy, or a run (--run ID)"],
    [["probe", "--z", "z.npy", "--split", "0.8"], "measure: a probe needs labels (--y Y.npy)"],
    [
      ["probe", "--z", "z.npy", "--y", "y.npy"],
      "measure: a probe needs test samples: either --test-z and --test-y, or --split 0.8 for a part of the samples given",
    ],
    [
      ["probe", "--z", "z.npy", "--y", "y.npy", "--split", "1"],
      "measure: --split: expected the share of the samples to train on, as in 0.8, got 1",
    ],
    [["nhsic", ...given, "--split", "0.5"], "measure: --split is for probes, and nhsic is none"],
    [["nhsic", ...given, "--run", "tiny"], "measure: --x is for files; expected it without --run"],
    [["nhsic", ...given, "--epochs", "1"], "measure: --epochs is for runs; expected --run beside it"],
    [
      ["information", "--z", "z.npy"],
      "measure: information trains while images pass through a network; expected a run, as in --run ID",
    ],
    [["geometry", "--z", "z.npy", "--full"], "measure: --full is for nhsic, hsic, cka, got geometry"],
    [
      ["geometry", "--z", "z.npy", "--batch", "16"],
      "measure: --batch is for nhsic, hsic, cka, and geometry takes no mini-batches",
    ],
    [
      ["nhsic", ...given, "--full"],
      "measure: --batch is for means over mini-batches, and --full takes all samples at once; leave one of them out",
    ],
    [["nhsic", ...given, "--bootstrap", "1e9"], expect.stringMatching(/--bootstrap.*expected 100 to 100000, got 1e9/)],
    [["nhsic", "--z", "z.npy"], "measure: expected an input (--x X.npy), labels (--y Y.npy) or both"],
    [
      ["nhsic", ...given, "--set", "sigm=1"],
      expect.stringMatching(/^measure nhsic: unknown option sigm \(known: .*sigma, .*\); did you mean sigma\?$/),
    ],
    [
      ["nhsic", "--run", "some", "--set", "batches=8"],
      expect.stringMatching(
        /^measure nhsic: unknown option batches \(known: kernel, .*\); did you mean the flag --samples\?$/,
      ),
    ],
    [
      ["geometry", "--run", "some", "--set", "images=500"],
      expect.stringMatching(/^measure geometry: unknown option images .*; did you mean the flag --samples\?$/),
    ],
    [
      ["probe", "--z", "z.npy", "--y", "y.npy", "--set", "split=0.8"],
      expect.stringMatching(/^measure probe: unknown option split .*; did you mean the flag --split\?$/),
    ],
    [
      ["geometry", "--y", "y.npy", "--z", "z.npy", "--set", "images=500"], // files have no such flag
      expect.stringMatching(/^measure geometry: unknown option images \(known: [^)]*\)$/),
    ],
    [
      ["nhsic", ...given, "--full", "--set", "rank=3"],
      "measure nhsic: rank: expected an even integer from 2 to 5000, got 3",
    ],
    [["nhsic", ...given, "--set", "sigma"], "measure nhsic: expected option=value, got sigma"],
    [["nhsic", ...given, "--set", "sigma=-1"], "measure nhsic: sigma: expected a number above 0, got -1"],
    [["nhsic", ...given, "--set", "sigma=[1"], "measure nhsic: sigma: expected a number above 0, got [1"],
    [
      ["nhsic", ...given, "--set", "sigma=3", "kernel=linear"],
      "measure nhsic: sigma: the linear kernel does not use it, got 3; leave it out, or use kernel rbf or laplacian",
    ],
    [
      ["cka", ...given, "--set", "width=median"],
      "measure cka: width: the linear kernel does not use it, got median; leave it out, or use kernel rbf or laplacian",
    ],
    [
      ["hsic", "--y", "y.npy", "--z", "z.npy", "--full", "--set", "kernel=laplacian", "distance=plain"],
      "measure hsic: distance: the laplacian kernel does not use it, got plain; leave it out, or use kernel rbf",
    ],
    [
      ["hsic", "--y", "y.npy", "--z", "z.npy", "--full", "--set", "approximation=exact", "rank=50"],
      "measure hsic: rank: approximation exact does not use it, got 50; leave it out, or use nystrom or random-features",
    ],
    [
      ["nhsic", "--y", "y.npy", "--z", "z.npy", "--full", "--set", "rank=0"],
      expect.stringMatching(/^measure nhsic: rank: expected .*, got 0$/),
    ],
    [["nhsic", ...given, "--set", "epsilon=0"], "measure nhsic: epsilon: expected a number above 0, got 0"],
    [["nhsic", ...given, "--set", "sigma=.nan"], expect.stringMatching(/^measure nhsic: sigma: expected .*, got NaN$/)],
    [
      ["nhsic", ...given, "--set", "sigma=.inf"],
      expect.stringMatching(/^measure nhsic: sigma: expected .*, got Infinity$/),
    ],
    [
      ["nhsic", ...given, "--set", "distance=cubed"],
      'measure nhsic: distance: expected one of squared, plain, got "cubed"',
    ],
  ])("in usage: %j", async (args, message) => {
    const finished = await measure(...args, "--json");
    expect(finished.code).toBe(2);
    const { error } = json(finished);
    expect(error).toEqual(message);
    expect(finished.stderr).toBe(`stopgrad: ${error}\n`);
  });

  it("in arrays", async () => {
    const spoilt = Float64Array.from(z);
    spoilt[6 * 7 + 3] = Number.NaN;
    put(home, "nan.npy", npy([COUNT, 6], spoilt));
    spoilt[6 * 7 + 3] = Number.NEGATIVE_INFINITY;
    put(home, "infinite.npy", npy([COUNT, 2, 3], spoilt));
    put(home, "few.npy", npy([20, 6], z.slice(0, 120)));
    put(home, "one.npy", npy([1, 6], z.slice(0, 6)));
    put(home, "cut.npy", npy([COUNT, 6], z));
    truncateSync(join(home, "cut.npy"), 500);
    put(home, "text.npy", "not numbers");
    // float16: an exponent of ones is infinity.
    put(home, "beyond.npy", npy([COUNT, 6], new Uint16Array(COUNT * 6).fill(0x3c00).fill(0x7c00, 12)));
    put(
      home,
      "half.npy",
      npy(
        [COUNT],
        Float64Array.from(y, (label) => label / 2),
      ),
    );
    put(
      home,
      "below.npy",
      npy(
        [COUNT],
        Int32Array.from(y, (label) => label - 1),
      ),
    );

    const mistakes: [string[], string][] = [
      [
        ["--x", "x.npy", "--z", "nan.npy", "--batch", "20"],
        "measure nhsic: nan.npy: holds NaN at [7, 3]; expected finite numbers",
      ],
      [["--x", "nan.npy", "--z", "z.npy"], "nan.npy holds NaN at [7, 3]; expected finite numbers"],
      [["--x", "infinite.npy", "--z", "z.npy"], "infinite.npy holds -Infinity at [7, 1, 0]; expected finite numbers"],
      [["--x", "x.npy", "--z", "one.npy"], "one.npy holds 1 sample, x.npy holds 40; they must be the same samples"],
      [["--x", "x.npy", "--z", "few.npy"], "few.npy holds 20 samples, x.npy holds 40; they must be the same samples"],
      [
        ["--x", "x.npy", "--y", "few.npy", "--z", "z.npy"],
        `few.npy: row 0 is [${[...z.slice(0, 6)].join(", ")}]; expected one-hot rows, a single 1 and else 0, or labels [N]`,
      ],
      [
        ["--x", "x.npy", "--z", "cut.npy"],
        "cut.npy: the file is truncated: expected 1920 bytes of data for '<f8' (40, 6), found 372",
      ],
      [
        ["--x", "text.npy", "--z", "z.npy"],
        'text.npy: found "not nu" at the beginning; expected a NumPy array (.npy), which begins with "\\x93NUMPY"',
      ],
      [["--x", "none.npy", "--z", "z.npy"], "none.npy: there is no such file; expected a NumPy array (.npy)"],
      [["--x", ".", "--z", "z.npy"], ".: expected a NumPy array (.npy), found a folder"],
      [["--y", "half.npy", "--z", "z.npy"], "half.npy holds the label 1.5; expected whole numbers from 0 (classes)"],
      [["--y", "below.npy", "--z", "z.npy"], "below.npy holds the label -1; expected whole numbers from 0 (classes)"],
      [
        ["--x", "x.npy", "--z", "z.npy"],
        "measure nhsic: expected at least one batch of 128 samples, got 40; choose a smaller batch",
      ],
      [
        ["--x", "x.npy", "--z", "z.npy", "--batch", "1"],
        "measure nhsic: expected batches of a whole number of samples, at least 2, got 1",
      ],
      [
        ["--x", "x.npy", "--z", "z.npy", "--batch", "41"],
        "measure nhsic: expected at least one batch of 41 samples, got 40; choose a smaller batch",
      ],
      [
        ["--y", "y.npy", "--z", "beyond.npy", "--batch", "20"],
        "measure nhsic: beyond.npy: holds Infinity at [2, 0]; expected finite numbers",
      ],
      [
        ["--y", "y.npy", "--z", "z.npy", "--batch", "20", "--set", "sigma=1e-310"],
        "measure nhsic: z.npy: sigma: expected a width that is not so small that the inverse of its square is infinite, got 1e-310",
      ],
      [
        ["--y", "y.npy", "--z", "z.npy", "--batch", "20", "--set", "epsilon=1.7e308"],
        "measure nhsic: y: epsilon: expected a ridge that is finite times 20 samples, got 1.7e+308",
      ],
    ];
    for (const [args, message] of mistakes) {
      const finished = await measure("nhsic", ...args, "--json");
      expect(finished.code, message).toBe(1);
      expect(json(finished)).toEqual({ error: message });
      expect(finished.stderr).toBe(`stopgrad: ${message}\n`);
    }
  });
});
