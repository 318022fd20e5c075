// Measures of arrays in memory. What each measure computes is tested beside it; here: that arrays of any form reach it, that
// intervals come back, and what is refused.
import { memory, scope, tensor } from "@stopgrad/torch";
import { describe, expect, it } from "vitest";
import { MeasureError, takeMeasure } from "../src/index.js";

const x = { data: [0, 0, 1, 0, 0, 1, 1, 1], shape: [4, 2] };
const z = { data: Float32Array.from([0, 1, 2, 3]), shape: [4, 1] };
const y = [0, 0, 1, 1];

/** 60 samples of 3 classes with 4 features, class means 3 apart along one axis. */
const labels = Uint8Array.from({ length: 60 }, (_, at) => at % 3);
const features = {
  data: Float64Array.from({ length: 240 }, (_, at) =>
    at % 4 === 0 ? 3 * labels[at / 4]! : Math.sin(7.3 * at) + 0.1 * Math.cos(at * at),
  ),
  shape: [60, 4],
};

describe("takeMeasure", () => {
  // The specification's test vectors.
  it("takes plain arrays, typed arrays and tensors alike", () => {
    const plain = takeMeasure("nhsic", { x, y, z: [z] }, { batch: 4 });
    expect(plain).toMatchObject([
      { index: 0, key: "x,z", interval: null },
      { index: 0, key: "y,z", interval: null },
    ]);
    expect(plain[0]!.value).toBeCloseTo(2.0231725165769, 10);
    expect(plain[1]!.value).toBeCloseTo(0.8702368787649, 10);
    scope(() => {
      const given = { x: tensor(Float64Array.from(x.data), { shape: x.shape }), y: tensor(Uint8Array.from(y)) };
      expect(takeMeasure("nhsic", { ...given, z: [tensor([[0], [1], [2], [3]])] }, { batch: 4 })).toEqual(plain);
      expect(given.x.sum().item()).toBe(4); // the caller's own stays
    });
    const legacy = takeMeasure("nhsic", { x, z: [z] }, { batch: 4, options: { distance: "plain" } });
    expect(legacy[0]!.value).toBeCloseTo(2.9815568980868, 10);
  });

  it("takes one representation without a list, and numbers without a shape", () => {
    const listed = takeMeasure("nhsic", { x, y, z: [z] }, { batch: 4 });
    const column = [0, 1, 2, 3];
    for (const alone of [z, z.data, column, Float64Array.from(column), BigInt64Array.from(column, BigInt)]) {
      expect(takeMeasure("nhsic", { x, y, z: alone }, { batch: 4 })).toEqual(listed);
    }
    for (const wide of [Uint16Array.from(column), Uint32Array.from(column), BigUint64Array.from(column, BigInt)]) {
      expect(takeMeasure("nhsic", { x, y, z: [wide] }, { batch: 4 })).toEqual(listed);
    }
    scope(() => expect(takeMeasure("nhsic", { x, y, z: tensor([[0], [1], [2], [3]]) }, { batch: 4 })).toEqual(listed));
    const [withItself] = takeMeasure("cka", { x: z.data, z: [column] }, { batch: 4 });
    expect(withItself!.value).toBeCloseTo(1, 10);
  });

  it("takes labels of any whole numbers", () => {
    const expected = takeMeasure("nhsic", { y, z }, { batch: 4 });
    for (const same of [
      BigInt64Array.from([0n, 0n, 1n, 1n]),
      Uint8Array.from(y),
      { data: y },
      { data: y, shape: [4, 1] },
    ]) {
      expect(takeMeasure("nhsic", { y: same, z }, { batch: 4 })).toEqual(expected);
    }
    const hot = { data: [1, 0, 1, 0, 0, 1, 0, 1], shape: [4, 2] };
    expect(takeMeasure("nhsic", { y: hot, z }, { batch: 4 })).toEqual(expected);
  });

  it("numbers the classes of test samples as those of the training samples", () => {
    const some = [1, 2, 4, 5, 7, 8]; // of classes 1 and 2
    const test = {
      y: some.map((at) => labels[at]!),
      z: { data: some.flatMap((at) => [...features.data.slice(4 * at, 4 * at + 4)]), shape: [6, 4] },
    };
    const rows = takeMeasure("knn", { y: labels, z: features, test }, { options: { k: 3, standardise: false } });
    expect(rows[1]).toMatchObject({ key: "test", value: 1 });
  });

  it("gives intervals over batches, samples and subsamples", () => {
    const [batches] = takeMeasure("hsic", { y: labels, z: [features] }, { batch: 10 });
    expect(batches!.interval![0]).toBeLessThan(batches!.value);
    expect(batches!.interval![1]).toBeGreaterThan(batches!.value);
    const found = takeMeasure("geometry", { y: labels, z: [features] }, { subsample: true });
    const rank = found.find(({ key }) => key === "effectiveRank")!;
    expect(rank.value).toBeGreaterThan(1);
    expect(rank.value).toBeLessThanOrEqual(4);
    expect(rank.interval).not.toBeNull();
    expect(
      takeMeasure("geometry", { y: labels, z: [features] }).find(({ key }) => key === "effectiveRank"),
    ).toMatchObject({
      interval: null,
    });
  });

  it("scores probes on samples of their own", () => {
    const rows = takeMeasure(
      "knn",
      { y: labels, z: [features], test: { y: labels, z: [features] } },
      { options: { k: 3, standardise: false } },
    );
    expect(rows.map(({ key, value }) => [key, value])).toEqual([
      ["train", 1],
      ["test", 1],
    ]);
  });

  it("estimates from all samples at once", () => {
    const whole = takeMeasure("nhsic", { y: labels, z: [features] }, { batch: 60 });
    const full = takeMeasure(
      "nhsic",
      { y: labels, z: [features] },
      { full: true, options: { approximation: "exact" } },
    );
    expect(full[0]!.value).toBeCloseTo(whole[0]!.value, 10);
  });

  it("leaves nothing behind", () => {
    const take = () => takeMeasure("entanglement", { y: labels, z: [features, features] });
    take();
    const before = memory().liveTensors;
    take();
    expect(() => takeMeasure("entanglement", { y: labels.subarray(1), z: [features] })).toThrow();
    expect(memory().liveTensors).toBe(before);
  });

  it.each<[string, () => unknown, string | RegExp]>([
    ["an unknown measure", () => takeMeasure("nhsik" as "nhsic", { z: [z] }), "expected one of nhsic, hsic, cka"],
    [
      "an unknown option",
      () => takeMeasure("nhsic", { y, z }, { options: { sigm: 1 } }),
      /^nhsic: unknown option sigm \(known: .*sigma.*\); did you mean sigma\?$/,
    ],
    [
      "an option of another kind",
      () => takeMeasure("nhsic", { y, z }, { options: { rank: 10 } }),
      /^nhsic: unknown option rank \(known: /,
    ],
    [
      "a wrong option",
      () => takeMeasure("nhsic", { y, z: [z] }, { options: { sigma: -1 } }),
      /^nhsic: sigma: expected a number above 0, got -1$/,
    ],
    [
      "an option of another type",
      () => takeMeasure("hsic", { y, z }, { options: { estimator: 5 } }),
      /^hsic: estimator: expected one of biased, v-statistic, unbiased, got 5$/,
    ],
    [
      "options that are none",
      () => takeMeasure("hsic", { y, z }, { options: 5 as unknown as Record<string, unknown> }),
      /^hsic: options: expected \{ option: value \}, got 5$/,
    ],
    [
      "an unknown setting",
      () => takeMeasure("hsic", { y, z }, { bacth: 4 } as object),
      /^settings: unknown key bacth \(known: .*\); did you mean batch\?$/,
    ],
    [
      "settings that are none",
      () => takeMeasure("hsic", { y, z }, null as unknown as object),
      /^settings: expected \{ options, .* \}, got null$/,
    ],
    [
      "few resamples",
      () => takeMeasure("hsic", { y, z }, { resamples: 5 }),
      /^resamples: expected a whole number, at least 100, got 5$/,
    ],
    [
      "a level in percent",
      () => takeMeasure("hsic", { y, z }, { level: 95 }),
      /^level: expected a share in \(0, 1\), as in 0\.95, got 95$/,
    ],
    [
      "a level that is no number",
      () => takeMeasure("hsic", { y, z }, { level: Number.NaN }),
      /^level: expected a share in \(0, 1\), as in 0\.95, got NaN$/,
    ],
    [
      "a batch that is no whole number",
      () => takeMeasure("geometry", { y, z }, { batch: 2.5 }),
      /^batch: expected a positive whole number of samples, got 2\.5$/,
    ],
    [
      "a batch of text",
      () => takeMeasure("hsic", { y, z }, { batch: "4" as unknown as number }),
      /^batch: expected a positive whole number of samples, got "4"$/,
    ],
    [
      "full that is neither true nor false",
      () => takeMeasure("hsic", { y, z }, { full: "no" as unknown as boolean }),
      /^full: expected true or false, got "no"$/,
    ],
    [
      "no arrays",
      () => takeMeasure("hsic", undefined as unknown as { z: number[] }),
      /^arrays: expected \{ x, y, z, test \}, got nothing$/,
    ],
    [
      "arrays under another name",
      () => takeMeasure("hsic", { y, z, labels: y } as object as { z: number[] }),
      /^arrays: unknown key labels/,
    ],
    [
      "no z",
      () => takeMeasure("hsic", { y } as unknown as { z: number[] }),
      "expected representations (z: [...]), got none",
    ],
    [
      "a file's name as z",
      () => takeMeasure("hsic", { y, z: "z.npy" as unknown as number[] }),
      /^z: expected numbers, as a tensor, a typed array or \{ data, shape \}, got "z\.npy"$/,
    ],
    [
      "text in z",
      () => takeMeasure("hsic", { y, z: [z, ["1", "2"]] as unknown as number[] }),
      /^z\[1\]: expected numbers, got "1" at \[0\]$/,
    ],
    [
      "labels in words",
      () => takeMeasure("hsic", { y: ["cat", "dog", "cat", "dog"] as unknown as number[], z }),
      /^y: expected numbers, got "cat" at \[0\]$/,
    ],
    [
      "a number as labels",
      () => takeMeasure("hsic", { x, y: 0 as unknown as number[], z }),
      /^y: expected numbers, .*got 0$/,
    ],
    [
      "a shape that is none",
      () => takeMeasure("hsic", { y, z: { data: y, shape: [-2, -2] } }),
      /^z: expected a shape of whole numbers, as in \[3, 2\], got \[ -2, -2 \]$/,
    ],
    ["no samples", () => takeMeasure("hsic", { y, z: [] as number[][] }), "expected representations"],
    ["empty arrays", () => takeMeasure("hsic", { y, z: [new Float32Array(0)] }), /^z\[0\] is \[0\], without numbers/],
    [
      "neither input nor labels",
      () => takeMeasure("hsic", { z }),
      /^hsic: expected an input \(x\), labels \(y\) or both, got none$/,
    ],
    [
      "no input where it alone is asked for",
      () => takeMeasure("ksg", { y, z }, { options: { pairs: "input" } }),
      /^ksg: expected the input of the samples \(x\), got none$/,
    ],
    [
      "neither of an estimator",
      () => takeMeasure("mine", { z }),
      /^mine: expected an input \(x\), labels \(y\) or both, got none$/,
    ],
    [
      "no labels where they are needed",
      () => takeMeasure("geometry", { z }),
      /^geometry: expected labels of the samples \(y\), got none$/,
    ],
    [
      "a probe without labels",
      () => takeMeasure("knn", { z, test: { y, z } }),
      /^knn: expected labels of the samples \(y\), got none$/,
    ],
    [
      "fewer test representations",
      () => takeMeasure("knn", { y, z: [z, z], test: { y, z } }),
      /^expected a test\.z for each z, got 2 and 1 representations$/,
    ],
    [
      "test representations of another shape",
      () => takeMeasure("knn", { y, z, test: { y, z: x } }),
      /^z is \[4, 1\], test\.z is \[4, 2\]; training and test samples must have the same features$/,
    ],
    [
      "test labels of other samples",
      () => takeMeasure("knn", { y, z, test: { y: [0, 1], z } }),
      /^test\.y holds 2 samples, test\.z holds 4/,
    ],
    [
      "a test label that training lacks",
      () => takeMeasure("knn", { y, z, test: { y: [0, 0, 1, 7], z } }),
      /^test\.y holds the label 7, which y does not/,
    ],
    ["no representation", () => takeMeasure("nhsic", { y, z: [] }), "expected representations (z: [...]), got none"],
    ["other samples", () => takeMeasure("nhsic", { y: [0, 1], z: [z] }), "y holds 2 samples, z[0] holds 4"],
    [
      "a wrong shape",
      () => takeMeasure("nhsic", { y, z: [{ data: [1, 2], shape: [3] }] }),
      "z[0]: a shape of [3] has 3 numbers, got 2",
    ],
    [
      "NaN",
      () => takeMeasure("hsic", { y, z: [[1, 2, Number.NaN, 4]].map((data) => ({ data })) }, { batch: 4 }),
      "z[0] holds NaN at [2]",
    ],
    [
      "a label that is none",
      () => takeMeasure("hsic", { y: [0, 1, 0.5, 1], z: [z] }, { batch: 4 }),
      "y holds the label 0.5",
    ],
    [
      "a probe without test samples",
      () => takeMeasure("probe", { y, z: [z] }),
      "probe: expected samples to score it on",
    ],
    [
      "full of a probe",
      () => takeMeasure("probe", { y, z: [z] }, { full: true }),
      "full is for nhsic, hsic, cka, got probe",
    ],
    ["too few samples", () => takeMeasure("nhsic", { y, z: [z] }), "expected at least one batch of 128 samples, got 4"],
  ])("refuses %s", (_, take, message) => {
    expect(take).toThrow(message);
    expect(take).toThrow(MeasureError);
  });
});
