// Measures of arrays in memory. What each measure computes is tested beside it; here: that arrays of any form reach it, that
// intervals come back, and what is refused.
import { memory, scope, tensor } from "@stopgrad/torch";
import { describe, expect, it } from "vitest";
import { takeMeasure } from "../src/index.js";

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

  it.each<[string, () => unknown, string]>([
    ["an unknown measure", () => takeMeasure("nhsik" as "nhsic", { z: [z] }), "expected one of nhsic, hsic, cka"],
    ["an unknown option", () => takeMeasure("nhsic", { y, z: [z] }, { options: { sigmaa: 1 } }), "nhsic: "],
    ["a wrong option", () => takeMeasure("nhsic", { y, z: [z] }, { options: { sigma: -1 } }), "nhsic: sigma: "],
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
  });
});
