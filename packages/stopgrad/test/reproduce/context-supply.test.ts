// arXiv 2312.07636: its settings in every file, what is published of its baselines, the verdicts on made-up runs, and some
// items trained at scale smoke. That every file is valid at every scale is tested in papers.test.ts.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadDocument } from "../../src/experiment/load.js";
import { settingsSchema } from "../../src/experiment/registries.js";
import type { RunSettings } from "../../src/experiment/run-settings.js";
import { cuts } from "../../src/reproduce/context-supply/methods.js";
import {
  Found,
  findItem,
  findPaper,
  type Item,
  judge,
  overridesAt,
  type Part,
  partFile,
  renderReproduction,
  reproductionDocument,
} from "../../src/reproduce/index.js";
import { openStore } from "../../src/store/index.js";
import { folder, json, stopgrad } from "../cli/command.js";
import { type MadeRun, madeRun } from "./made-runs.js";

const paper = findPaper("context-supply");
const parts = paper.items.flatMap((item) => item.parts.map((part) => ({ item, part, name: `${item.id} ${part.id}` })));

function runsOf(part: Part, overrides: readonly string[] = []): readonly RunSettings[] {
  return settingsSchema.expand(loadDocument(partFile(paper, part)), { overrides }).runs;
}

describe.each(parts)("the settings of $name", ({ item, part }) => {
  const runs = runsOf(part);
  const variants = new Map(runs.map((run) => [run.variant, run]));

  it("are the paper's", () => {
    const isStl = part.id === "stl10";
    for (const { optimizer, epochs, data, objective, classifier, model } of runs) {
      expect(epochs).toBe(160);
      expect(optimizer).toMatchObject({ name: "sgd", momentum: 0.9, nesterov: true, weightDecay: 1e-4 });
      expect(optimizer.schedule).toEqual({ name: "cosine", warmup: 10, warmupStart: 0.01 });
      expect([data.batch, optimizer.learningRate]).toEqual(isStl ? [128, 0.1] : [1024, 0.8]);
      expect([data.train, data.test]).toEqual(
        isStl ? [5000, 8000] : data.name === "svhn" ? [73257, 26032] : [50000, 10000],
      );
      expect(classifier).toBe("attached");
      expect(model.width).toBe(16);
      if (objective.loss.name === "supervised-contrastive") {
        expect(objective.loss).toMatchObject({ views: 1, temperature: 0.07, baseTemperature: 0.07 });
      }
    }
    const { data } = runs[0]!;
    const expected = {
      cifar10: { flip: true, crop: { padding: 4, mode: "reflect" } },
      svhn: { flip: false, crop: { padding: 2, mode: "black" } },
      stl10: { flip: true, crop: { padding: 4, mode: "black" } },
    }[data.name];
    expect(data.augment).toMatchObject(expected!);
    if (data.name === "cifar10") expect(data.normalisation).toBe("pixel-std");
  });

  it("are those that a variant's name says", () => {
    for (const [name, { partition, context, match, objective }] of variants) {
      if (name.startsWith("e2e")) {
        expect(partition).toBe(1);
        continue;
      }
      const [, method = "", modules] = /^(.*)-k(\d+)$/.exec(name) ?? [];
      const count = typeof partition === "object" && "modules" in partition ? partition.modules : partition;
      expect(count).toBe(Number(modules));
      expect(typeof partition === "object").toBe(item.id === "figure-4");
      const [, previous, input] = /^(?:contsup|dgl-cost-of)-(?:r(\d+))?(e)?/.exec(method) ?? [];
      const supplied = context && [context.previousModules, context.fromInput];
      expect(match).toBe(method.startsWith("dgl-cost-of") ? "inference" : null);
      expect(supplied).toEqual(/^contsup|^dgl-cost-of/.test(method) ? [Number(previous ?? 0), input === "e"] : null);
      const head = method === "greedy-sl" ? { convLayers: 0, linearLayers: 1 } : { convLayers: 1, linearLayers: 2 };
      expect(objective.head).toMatchObject({ name: "auxiliary", ...head, widen: 1, features: 128 });
      expect(objective.loss.name).toBe(method.includes("contrast") ? "supervised-contrastive" : "cross-entropy");
      expect(objective.reconstruction !== null).toBe(/^infopro|decoder/.test(method));
    }
  });

  it("hold a variant for each published number and each that a scale changes", () => {
    for (const variant of Object.keys(item.published?.[part.id] ?? {})) expect([...variants.keys()]).toContain(variant);
    for (const scale of ["smoke", "small"] as const) {
      for (const override of overridesAt(part, scale)) {
        const variant = /^~?variants\.([^.=]+)/.exec(override)?.[1];
        if (variant !== undefined) expect([...variants.keys()]).toContain(variant);
      }
    }
  });
});

describe("published numbers", () => {
  it("are InfoPro's table 2, as accuracies", () => {
    const { item } = findItem(paper, "accuracy-over-modules");
    expect(item.published?.["accuracy-over-modules"]).toEqual({
      e2e: { mean: 0.9263, std: 0.001 },
      "dgl-k2": { mean: 0.9131, std: 0.0012 },
      "dgl-k4": { mean: 0.8852, std: 0.002 },
      "dgl-k8": { mean: 0.8583, std: 0.0028 },
      "dgl-k16": { mean: 0.8379, std: 0.0036 },
      "infopro-softmax-k2": { mean: 0.9187, std: 0.0023 },
      "infopro-softmax-k4": { mean: 0.9136, std: 0.0025 },
      "infopro-softmax-k8": { mean: 0.886, std: 0.0018 },
      "infopro-softmax-k16": { mean: 0.8577, std: 0.0042 },
    });
  });

  it("fall with K for everything that learns greedily", () => {
    for (const published of Object.values(findItem(paper, "table-3").item.published!)) {
      for (const method of ["greedy-sl", "dgl", "infopro-softmax", "infopro-contrast"]) {
        const means = [2, 4, 8, 16].map((modules) => (published[`${method}-k${modules}`] as { mean: number }).mean);
        expect(means).toEqual(means.toSorted((a, b) => b - a));
      }
    }
  });
});

type Made = Omit<MadeRun, "variant" | "seed">;

/** Three seeds of each variant, a tenth of a point apart. */
function reproduce(item: Item, cells: Record<string, Record<string, Made>>) {
  const runs = Object.entries(cells).flatMap(([part, variants]) =>
    Object.entries(variants).flatMap(([variant, made]) =>
      [1, 2, 3].map((seed) => {
        const testAccuracy = (made.testAccuracy ?? 0.5) + 0.001 * seed;
        return { part, run: madeRun({ ...made, variant, seed, testAccuracy }) };
      }),
    ),
  );
  const variants = new Map(Object.entries(cells).map(([part, made]) => [part, Object.keys(made)]));
  return judge({ paper, item, parts: item.parts, scale: "small" }, variants, new Found(runs), []);
}

function outcomesOf(item: Item, cells: Record<string, Record<string, Made>>): string[] {
  return reproduce(item, cells).checks.map(({ outcome }) => outcome);
}

const holds = "holds";
const fails = "does not hold";

describe("the verdict on accuracy-over-modules", () => {
  const { item } = findItem(paper, "accuracy-over-modules");
  /** Accuracies of K = 2 and 16. */
  const accuracies: Record<string, readonly [number, number]> = {
    dgl: [0.9, 0.8],
    "infopro-softmax": [0.91, 0.86],
    "contsup-e": [0.91, 0.85],
    "contsup-r1": [0.9, 0.83],
    "contsup-r1e": [0.91, 0.86],
    "dgl-cost-of-e": [0.9, 0.82],
  };
  function cells(changed: Record<string, readonly [number, number]> = {}, peakBytes = 50) {
    const made: Record<string, Made> = {
      e2e: { testAccuracy: 0.93, peakBytes: 100, inference: { backbone: 69_000_000, extras: 0 } },
    };
    for (const [method, [few, many]] of Object.entries({ ...accuracies, ...changed })) {
      made[`${method}-k2`] = { testAccuracy: few, peakBytes: 80 };
      const extras = method === "contsup-e" ? 61_000_000 : 0;
      made[`${method}-k16`] = { testAccuracy: many, peakBytes, inference: { backbone: 69_000_000, extras } };
    }
    return { "accuracy-over-modules": made };
  }

  it("holds where DGL decays and all else mends it", () => {
    const reproduction = reproduce(item, cells());
    expect(reproduction.checks.map(({ outcome }) => outcome)).toEqual(Array(7).fill(holds));
    expect(reproduction.outcome).toBe(holds);
    expect(reproduction.checks[0]!.numbers).toEqual([
      "test error dgl-k16 − dgl-k2: +10.00 points [+8.85, +11.15], 3 seeds, interval assumed",
    ]);
  });

  it("shows errors with what is published and what it costs", () => {
    const reproduction = reproduce(item, cells());
    const text = renderReproduction(reproduction);
    expect(text).toContain("Test error, last epoch");
    expect(text).toMatch(/dgl-k16 +3 +19\.80 ± 0\.10 +16\.21 ± 0\.36 +0\.0 +0\.069/);
    expect(text).toMatch(/contsup-e-k16 +3 +14\.80 ± 0\.10 +– +0\.0 +0\.13/);
    expect(text).toContain("Published: arXiv 2101.10832, five runs");
    expect(reproductionDocument(reproduction)).toMatchObject({
      cells: expect.arrayContaining([
        {
          part: "accuracy-over-modules",
          variant: "contsup-e-k16",
          found: { mean: expect.closeTo(0.852, 10), std: expect.closeTo(0.001, 10), n: 3 },
          published: null,
          peakBytes: 50,
          inferenceMultiplyAdds: 130_000_000,
        },
        expect.objectContaining({ variant: "dgl-k16", published: 0.8379, publishedStd: 0.0036 }),
      ]),
    });
  });

  it("does not hold where DGL does not decay", () => {
    expect(outcomesOf(item, cells({ dgl: [0.8, 0.85] }))[0]).toBe(fails);
  });

  it("does not hold where one context does not help", () => {
    expect(outcomesOf(item, cells({ "contsup-r1": [0.9, 0.7] }))).toEqual([
      ...[holds, holds, fails, holds, holds, fails, holds],
    ]);
  });

  it("does not hold where the gain shrinks with K", () => {
    expect(outcomesOf(item, cells({ "contsup-e": [0.99, 0.85] }))).toEqual([
      ...[holds, holds, holds, holds, holds, fails, holds],
    ]);
  });

  it("does not hold where width does as well as context at the same cost", () => {
    expect(outcomesOf(item, cells({ "dgl-cost-of-e": [0.9, 0.87] }))[3]).toBe(fails);
  });

  it("does not hold where a module needs more memory than the whole network", () => {
    expect(outcomesOf(item, cells({}, 120)).at(-1)).toBe(fails);
  });

  it("cannot be told without end to end", () => {
    const { e2e: _, ...others } = cells()["accuracy-over-modules"];
    expect(reproduce(item, { "accuracy-over-modules": others }).outcome).toBe("cannot be told");
  });
});

describe("the verdicts on tables and figures", () => {
  const of = (testAccuracy: number, more: Made = {}): Made => ({ testAccuracy, ...more });

  it("table-1: both sources may be a point behind the best, not more", () => {
    const { item } = findItem(paper, "table-1");
    const cells = (both: number) => ({
      "table-1": {
        "dgl-k16": of(0.8),
        "contsup-e-k16": of(0.9),
        "contsup-r1-k16": of(0.85),
        "contsup-r1e-k16": of(both),
      },
    });
    expect(outcomesOf(item, cells(0.92))).toEqual([holds, holds]);
    expect(outcomesOf(item, cells(0.86))).toEqual([holds, fails]);
    expect(outcomesOf(item, cells(0.7))).toEqual([fails, fails]);
  });

  it("table-2: the best form must gain 1.8 points at K = 16", () => {
    const { item } = findItem(paper, "table-2");
    const cells = (best: number) => {
      const made: Record<string, Made> = {};
      for (const [at, modules] of [2, 4, 8, 16].entries()) {
        const dgl = 0.9 - 0.03 * at;
        made[`dgl-k${modules}`] = of(dgl);
        for (const form of ["e-softmax", "r1e-softmax", "e-contrast", "r1e-contrast"]) {
          made[`contsup-${form}-k${modules}`] = of(dgl + (best * (at + 1)) / 4);
        }
      }
      return { "table-2": made };
    };
    expect(outcomesOf(item, cells(0.08))).toEqual([holds, holds, holds]);
    expect(outcomesOf(item, cells(-0.08))).toEqual([fails, fails, fails]);
  });

  it("table-3: judges the parts and K that were run", () => {
    const { item } = findItem(paper, "table-3");
    const made = (own: number): Record<string, Made> => ({
      e2e: of(0.93),
      "greedy-sl-k16": of(0.7),
      "dgl-k16": of(0.75),
      "infopro-softmax-k16": of(0.8),
      "infopro-contrast-k16": of(0.85),
      "contsup-r1e-softmax-decoder-k16": of(0.84),
      "contsup-r1e-contrast-decoder-k16": of(own),
    });
    expect(outcomesOf(item, { svhn: made(0.9), stl10: made(0.9) })).toEqual([holds, holds]);
    expect(outcomesOf(item, { svhn: made(0.9), stl10: made(0.8) })).toEqual([fails, holds]);
    expect(outcomesOf(item, {})).toEqual(["cannot be told", "cannot be told"]);
  });

  it("figure-4: memory below end to end's, less with more modules, paid for by error", () => {
    const { item } = findItem(paper, "figure-4");
    const cells = (last: number) => ({
      resnet110: {
        e2e: of(0.93, { peakBytes: 100 }),
        "contsup-e-contrast-k2": of(0.92, { peakBytes: 60 }),
        "contsup-e-contrast-k3": of(0.9, { peakBytes: 50 }),
        "contsup-e-contrast-k4": of(0.88, { peakBytes: last }),
      },
    });
    expect(outcomesOf(item, cells(40))).toEqual([holds, holds, holds]);
    expect(outcomesOf(item, cells(70))).toEqual([holds, fails, holds]);
    expect(outcomesOf(item, cells(110))).toEqual([fails, fails, holds]);
  });

  it("figure-5: context must help with each loss, and more at K = 16 than at K = 2", () => {
    const { item } = findItem(paper, "figure-5");
    const cells = (decoded: number, few: number) => {
      const made: Record<string, Made> = {};
      for (const [loss, none] of [
        ["softmax", "dgl"],
        ["softmax-decoder", "infopro-softmax"],
        ["contrast", "dgl-contrast"],
      ] as const) {
        made[`${none}-k2`] = of(0.9);
        made[`${none}-k16`] = of(0.8);
        for (const context of ["e", "r1", "r1e"]) {
          made[`contsup-${context}-${loss}-k2`] = of(few);
          made[`contsup-${context}-${loss}-k16`] = of(loss === "softmax-decoder" ? decoded : 0.85);
        }
      }
      return { "figure-5": made };
    };
    expect(outcomesOf(item, cells(0.85, 0.901))).toEqual([holds, holds, holds, holds]);
    expect(outcomesOf(item, cells(0.75, 0.901))).toEqual([holds, fails, holds, fails]);
    expect(outcomesOf(item, cells(0.85, 0.99))).toEqual([holds, holds, holds, fails]);
  });

  it("table-4: diminishing returns, memory on a line, little for E and R1", () => {
    const { item } = findItem(paper, "table-4");
    const cells = (memory: readonly number[], all = 0.88) => ({
      k8: {
        "dgl-k8": of(0.8, { peakBytes: memory[0]! }),
        "contsup-e-k8": of(0.85, { peakBytes: 1001 }),
        "contsup-r1-k8": of(0.85, { peakBytes: memory[1]! }),
        "contsup-r2-k8": of(0.86, { peakBytes: memory[2]! }),
        "contsup-r4-k8": of(0.87, { peakBytes: memory[3]! }),
        "contsup-r8-k8": of(all, { peakBytes: memory[4]! }),
      },
    });
    const line = [1000, 1010, 1020, 1040, 1080];
    expect(outcomesOf(item, cells(line))).toEqual([holds, holds, holds, holds, holds]);
    expect(outcomesOf(item, cells(line, 0.99))).toEqual([holds, holds, fails, holds, holds]);
    expect(outcomesOf(item, cells([1000, 1200, 1020, 1040, 1080]))).toEqual([holds, holds, holds, fails, fails]);
    // R² of 0, 1, 2, 4, 8 against them is 1: memory that is a line, however steep.
    expect(reproduce(item, cells(line)).checks[3]!.numbers[0]).toContain("contsup-r8-k8: 1.000 ");
  });

  it("information: end to end keeps what it has, DGL loses it, context lies between", () => {
    const { item } = findItem(paper, "information");
    const told = (informationY: number[], reconstructionError: number[]) =>
      of(0.8, { information: { informationY, reconstructionError } });
    const cells = (dgl: number[]) => ({
      information: {
        e2e: told([1, 1.5, 2], [0.4, 0.5, 0.6]),
        "dgl-k16": told(dgl, [0.5, 0.6, 0.7]),
        "contsup-r1e-k16": told([1, 1.5, 1.6], [0.4, 0.5, 0.6]),
      },
    });
    expect(outcomesOf(item, cells([1, 1.5, 1.2]))).toEqual([holds, holds, holds, holds]);
    expect(outcomesOf(item, cells([1, 1.5, 1.9]))).toEqual([holds, fails, fails, holds]);
  });
});

describe("at scale smoke", () => {
  // ResNet-110's memory-balanced cuts, and ResNet-32's decoders, contexts and measures.
  it.each([
    ["figure-4", "resnet110", cuts(["infopro-contrast", "contsup-e-contrast"], [2, 3]), 4],
    ["information", "information", [], 4],
  ])("%s, part %s, trains, and every check has its numbers", async (id, part, left, count) => {
    const args = ["reproduce", "context-supply", id, "--part", part, "--scale", "smoke", "--runs", folder(), "--json"];
    const finished = await stopgrad([...args, ...left.map((variant) => `~variants.${variant}`)]);
    expect(finished.code).toBe(0);
    const document = json(finished);
    expect(document.runs).toHaveLength(count);
    for (const cell of document.cells) {
      expect(cell).toMatchObject({ peakBytes: expect.any(Number), inferenceMultiplyAdds: expect.any(Number) });
    }
    const judged: string[] = document.verdict.checks.flatMap(({ numbers }: { numbers: string[] }) => numbers);
    const measured = judged.filter((number) => !left.some((variant) => number.includes(variant)));
    expect(measured.length).toBeGreaterThan(0);
    for (const number of measured) expect(number).toMatch(/\[.*\], 1 seed/);
  });
});

it("says in one sentence that a data set is not there", async () => {
  const args = [
    "reproduce",
    "context-supply",
    "table-3",
    "--part",
    "stl10",
    "--runs",
    folder(),
    "--data-dir",
    folder(),
  ];
  const { code, stderr } = await stopgrad(args);
  expect(code).toBe(1);
  expect(stderr.trim().split("\n")).toEqual([expect.stringMatching(/^stopgrad: stl10: .*stl10_binary/)]);
});

it("misses the data set of a later part before an earlier one trains", async () => {
  const data = folder();
  const batches = join(data, "cifar-10-batches-bin");
  mkdirSync(batches);
  for (const name of ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"]) {
    writeFileSync(join(batches, `${name}.bin`), "");
  }
  const runs = folder();
  const { code, stderr } = await stopgrad([
    "reproduce",
    "context-supply",
    "table-3",
    "--runs",
    runs,
    "--data-dir",
    data,
  ]);
  expect(code).toBe(1);
  expect(stderr.trim().split("\n")).toEqual([
    expect.stringMatching(/^stopgrad: svhn: .*train_32x32\.mat.*; without svhn: --part cifar10 stl10$/),
  ]);
  expect(openStore(runs, { readonly: true }).listRuns({})).toEqual([]);
});
