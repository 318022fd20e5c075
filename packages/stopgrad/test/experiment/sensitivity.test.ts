import { rand, type Tensor, tensor } from "@stopgrad/torch";
import { describe, expect, it } from "vitest";
import { ofArrays } from "../../src/experiment/representations.js";
import { measureSettings, piecesOf, requirePath, sensitivitySettings } from "../../src/experiment/sensitivity.js";
import type { TrainedNetwork } from "../../src/experiment/trained-network.js";
import { batchMean } from "../../src/measures/batches.js";
import { measurePairs, pairMeasures } from "../../src/measures/index.js";

const COUNT = 70;

function arrays() {
  const named = (name: string, values: Tensor) => ({ name, tensor: values });
  const x = rand([COUNT, 3, 2]);
  const z = [rand([COUNT, 4]), x.mul(2).add(rand([COUNT, 3, 2]))];
  const labels = tensor(BigInt64Array.from({ length: COUNT }, (_, at) => BigInt(at % 3)));
  return {
    x,
    z,
    labels,
    source: ofArrays(
      z.map((one, at) => named(`z${at}`, one)),
      named("x", x),
      { labels, classes: 3 },
    ),
  };
}

describe("settings of a sweep", () => {
  it("change one thing at a time", () => {
    const settings = sensitivitySettings();
    expect(settings.map(({ label }) => label)).toEqual([
      "default",
      "laplacian kernel",
      "linear kernel",
      "plain distance",
      "sigma 1",
      "sigma 2",
      "sigma 10",
      "median width",
      "epsilon 1e-6",
      "epsilon 1e-4",
      "epsilon 1e-3",
      "batch 64",
      "batch 256",
      "batch 512",
      "train split",
    ]);
    expect(settings[0]).toMatchObject({ changes: 0, batch: 128, split: "test" });
    expect(settings[0]!.options).toEqual({ ...pairMeasures.nhsic.options.parse({}) });
    expect(settings.find(({ label }) => label === "median width")!.options).toMatchObject({
      width: "median",
      sigma: 1,
    });
    for (const { changes } of settings.slice(1)) expect(changes).toBe(1);
  });

  it("or everything with everything, none twice", () => {
    const settings = sensitivitySettings({ grid: true });
    expect(settings).toHaveLength(16 * 4 * 4 * 2); // kernels with their widths, ridges, batches, splits
    const different = new Set(settings.map(({ options, batch, split }) => JSON.stringify([options, batch, split])));
    expect(different.size).toBe(settings.length);
    expect(settings[0]!.label).toBe("default");
  });

  it("has batches that divide each other", () => {
    expect(() => sensitivitySettings({ batch: 25 })).toThrow("expected an even number of samples a batch, at least 8");
    expect(() => sensitivitySettings({ batch: Number.NaN })).toThrow("got NaN");
  });
});

describe("measuring under many settings at once", () => {
  it("is measuring under each alone", () => {
    const { x, z, labels, source } = arrays();
    const settings = sensitivitySettings({ batch: 8, splits: ["test"] });
    let calls = 0;
    const found = measureSettings(source, settings, COUNT, () => calls++);
    expect(calls).toBe(piecesOf(settings, COUNT, 2));
    for (const [at, { options, batch }] of settings.entries()) {
      const alone = measurePairs(pairMeasures.nhsic, options, { x, y: labels, z }, batch);
      for (const { pair, index, value, standardError } of alone) {
        const batches = found[at]![pair === "x,z" ? "x" : "y"]![index]!;
        expect(batches).toHaveLength(Math.floor(COUNT / batch));
        expect(batchMean(batches).value).toBeCloseTo(value, 10);
        expect(batchMean(batches).standardError ?? 0).toBeCloseTo(standardError ?? 0, 10);
      }
      expect(found[at]!.problem).toBeNull();
    }
  });

  it("goes on where a batch cannot be measured, and says why", () => {
    const { x, z, labels } = arrays();
    z[0]!.narrow(0, 0, 7).fill_(1); // seven of the first eight samples are the same: their median distance is 0
    const source = ofArrays([{ name: "z", tensor: z[0]! }], { name: "x", tensor: x }, { labels, classes: 3 });
    const settings = sensitivitySettings({ batch: 8 }).filter(({ label }) => /default|median/.test(label));
    const [standard, median] = measureSettings(source, settings, 24);
    expect(standard!.x![0]!.every(Number.isFinite)).toBe(true);
    expect(median!.x![0]!.map(Number.isNaN)).toEqual([true, false, false]);
    expect(median!.problem).toContain("median distance");
  });

  it("says how to keep more epochs", () => {
    const network = { id: "tiny-1", saved: [{ epoch: 2 }] } as unknown as TrainedNetwork;
    expect(() => requirePath(network, [2])).toThrow(
      "run tiny-1 has kept the weights of 1 epoch, and a path through the plane needs 3 or more: train it with checkpoint.keep=all",
    );
  });
});
