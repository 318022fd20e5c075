// The seed decides every bit; variants of one seed differ only in where the gradient stops.
import { describe, expect, it } from "vitest";
import { streamSeed } from "../../src/experiment/seeds.js";
import type { MetricPoint } from "../../src/store/index.js";
import { finalTensors, folder, json, put, results, smallest, stopgrad } from "../cli/command.js";

/** An experiment file trained, and what its runs gave. */
async function trained(text: string, ...args: string[]) {
  const runs = folder();
  const file = put(runs, "file.yaml", text);
  const verb = text.includes("variants:") ? "compare" : "train";
  const finished = await stopgrad([verb, file, "--runs", runs, ...args]);
  expect(finished.code, finished.stderr).toBe(0);
  const listed = await stopgrad(["runs", "--json", "--runs", runs]);
  const documents: { run: string; variant: string; seed: number }[] = json(listed).runs;
  const idOf = (variant: string, seed: number) =>
    documents.find((document) => document.variant === variant && document.seed === seed)!.run;
  return {
    tensors: (variant: string, seed: number) => finalTensors(runs, idOf(variant, seed)),
    /** Every value of one key, stage or module by stage or module. */
    values: (variant: string, seed: number, key: string) => {
      const byStage: Record<string, MetricPoint[]> = {};
      for (const point of results(runs, idOf(variant, seed))) {
        if (point.key === key) byStage[point.stage] = [...(byStage[point.stage] ?? []), point];
      }
      return byStage;
    },
  };
}

function differing(a: Record<string, string>, b: Record<string, string>, prefix = ""): string[] {
  return Object.keys(a).filter((name) => name.startsWith(prefix) && a[name] !== b[name]);
}

describe("streams of randomness", () => {
  // The first 52 bits of SHA-256("1/backbone") and so on, taken with sha256sum.
  it.each([
    [1, "backbone", 3150973693709174],
    [1, "order/0", 211442569853446],
    [2, "backbone", 2184799620925447],
  ])("seed %i, %s", (seed, name, expected) => {
    expect(streamSeed(seed, name)).toBe(expected);
  });
});

describe("a seed", () => {
  it("gives the same bits again, side by side or one after the other, and other seeds give others", async () => {
    const seeds = "seeds=[1,2]";
    const once = await trained(smallest, seeds, "--jobs", "1");
    const again = await trained(smallest, seeds, "--jobs", "2");
    for (const seed of [1, 2]) {
      expect(differing(once.tensors("default", seed), again.tensors("default", seed))).toEqual([]);
    }
    expect(differing(once.tensors("default", 1), once.tensors("default", 2), "backbone.")).toHaveLength(
      Object.keys(once.tensors("default", 1)).filter((name) => name.startsWith("backbone.")).length,
    );
    expect(once.tensors("default", 1)["generator.order"]).not.toBe(once.tensors("default", 2)["generator.order"]);
  });
});

describe("variants of one seed", () => {
  it("share initialisation, data order and augmentation", async () => {
    const { tensors, values } = await trained(`name: shared
data: { name: glyphs, train: 256, test: 128, batch: 32, augment: { flip: true, crop: { padding: 2 } } }
model: lenet5
epochs: 2
threads: 1
observe: { nhsic: { every: 1, batch: 32, batches: 2 } }
variants:
  layer-wise: { partition: stage }
  first-alone: { partition: { cuts: [1] } }
  e2e: { partition: 1 }
  e2e-other-head: { partition: 1, objective: { head: mlp } }
`);
    // Before the first step all networks are one.
    const [layerWise, e2e] = ["layer-wise", "e2e"].map((variant) => values(variant, 1, "nhsicXZ"));
    expect(Object.keys(e2e!)).toEqual(["conv1", "conv2", "fc1", "fc2", "fc3"]);
    for (const stage of Object.keys(e2e!)) {
      expect(e2e![stage]![0]).toMatchObject({ epoch: 0, value: layerWise![stage]![0]!.value });
      expect(e2e![stage]!.at(-1)!.value).not.toBe(layerWise![stage]!.at(-1)!.value);
    }
    // A first module with the same head and loss lives the same life, whatever comes after it.
    const lossOfFirst = (variant: string) => values(variant, 1, "localLoss").conv1!;
    expect(lossOfFirst("layer-wise")).toHaveLength(2);
    expect(lossOfFirst("first-alone")).toEqual(lossOfFirst("layer-wise"));
    expect(differing(tensors("layer-wise", 1), tensors("first-alone", 1), "backbone.conv1.")).toEqual([]);
    expect(differing(tensors("layer-wise", 1), tensors("e2e", 1), "backbone.conv1.")).not.toEqual([]);
    // A head that no module has changes nothing.
    expect(differing(tensors("e2e", 1), tensors("e2e-other-head", 1))).toEqual([]);
  });
});

describe("observation", () => {
  it("happens at initialisation, log-spaced in the first epoch, every so many epochs, and at the last", async () => {
    const experiment = smallest.replace("train: 64", "train: 320").replace("epochs: 1", "epochs: 5");
    const observed = `${experiment}observe: { nhsic: { every: 2, batch: 16, batches: 2, firstEpoch: true } }\n`;
    const { values } = await trained(observed);
    const points = Object.values(values("default", 1, "nhsicYZ"));
    expect(points.length).toBeGreaterThan(1);
    for (const stage of points) {
      expect(stage!.map(({ step }) => step)).toEqual([0, 1, 2, 4, 8, 20, 40, 50]);
      expect(stage!.map(({ epoch }) => epoch)).toEqual([0, 0.1, 0.2, 0.4, 0.8, 2, 4, 5]);
    }
    expect(Object.values(values("default", 1, "testLoss"))[0]!.map(({ epoch }) => epoch)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(Object.values(values("default", 1, "trainLoss"))[0]!.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4, 5]);
  });

  it("changes nothing in what it observes", async () => {
    const observed = `${smallest}observe: { nhsic: { every: 1, batch: 16, batches: 2, firstEpoch: true } }\n`;
    const [without, with_] = [await trained(smallest), await trained(observed)];
    expect(differing(without.tensors("default", 1), with_.tensors("default", 1))).toEqual([]);
  });

  it("may wait for the end", async () => {
    const { values } = await trained(`${smallest}observe: { nhsic: { at: end, batch: 16, batches: 2 } }\n`);
    for (const stage of Object.values(values("default", 1, "nhsicXZ"))) {
      expect(stage!.map(({ epoch }) => epoch)).toEqual([1]);
    }
  });
});
