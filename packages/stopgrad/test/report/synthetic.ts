// Runs that look like real ones, made from formulas: the same input always gives the same runs.
import type { ReportRun } from "../../src/report/index.js";
import type { MetricPoint, RunRecord, RunSummary } from "../../src/store/records.js";

export interface SyntheticVariant {
  name: string;
  settings: Record<string, unknown>;
  heads?: number;
  cost?: RunSummary["cost"];
  /** What of a summary only runs with several modules and contexts have. */
  own?: Partial<Pick<RunSummary, "memory" | "contexts" | "matchedWidth" | "parameters">>;
}

export interface SyntheticOptions {
  variants?: SyntheticVariant[];
  seeds?: number[];
  stages?: string[];
  epochs?: number;
  nhsic?: boolean;
  probes?: boolean;
  /** What a classifier and a decoder read from the stages. */
  information?: boolean;
  name?: string;
}

/** LeNet-5 on 32x32 images in three channels. */
const lenet5Cost = { inference: { backbone: 651_720, extras: 0 }, training: 1_602_360 };

export const twoVariants = [
  { name: "e2e", settings: { partition: 1, objective: { loss: "cross-entropy", head: "none" } }, cost: lenet5Cost },
  {
    name: "layer-wise",
    settings: { partition: "stage", objective: { loss: "cross-entropy", head: "linear" } },
    heads: 25_400,
    cost: { ...lenet5Cost, training: 1_365_780 },
  },
];

/** Bytes of modules, in KiB: what each stores, and its peak. */
function memory(modules: [module: string, activations: number, head: number, context: number, peak: number][]) {
  const contexts = modules.some(([, , , context]) => context > 0);
  return {
    parameters: 200 * 1024,
    heads: (modules.length - 1) * 20 * 1024,
    contexts: contexts ? 10 * 1024 : 0,
    gradients: 210 * 1024,
    optimizer: 220 * 1024,
    modules: modules.map(([module, activations, head, context, peak]) => ({
      module,
      activations: activations * 1024,
      head: head * 1024,
      context: context * 1024,
      decoder: 0,
      peak: peak * 1024,
    })),
  };
}

/** End to end, greedy modules, greedy modules with selected contexts, and a network widened to cost as much. */
export const greedyVariants: SyntheticVariant[] = [
  {
    name: "e2e",
    settings: { partition: 1 },
    cost: lenet5Cost,
    own: { memory: memory([["network", 60_000, 10, 0, 61_000]]) },
  },
  {
    name: "dgl",
    settings: { partition: 2 },
    heads: 5_000,
    cost: lenet5Cost,
    own: {
      memory: memory([
        ["conv1-conv2", 40_000, 2_000, 0, 45_000],
        ["fc1-fc3", 900, 10, 0, 1_000],
      ]),
    },
  },
  {
    name: "contsup",
    settings: { partition: 2, context: { fromInput: true } },
    heads: 5_000,
    cost: { ...lenet5Cost, inference: { backbone: 651_720, extras: 80_000 } },
    own: {
      memory: memory([
        ["conv1-conv2", 40_000, 2_000, 0, 45_000],
        ["fc1-fc3", 900, 10, 47_000, 50_000],
      ]),
      contexts: [{ module: "fc1-fc3", used: ["input"], unused: ["module 1"] }],
      parameters: { backbone: 62_006, heads: 5_000, contexts: 1_234 },
    },
  },
  { name: "matched", settings: { partition: 2, match: "inference" }, cost: lenet5Cost, own: { matchedWidth: 10 } },
];

/** Every variant with every seed. */
export function syntheticRuns(options: SyntheticOptions = {}): ReportRun[] {
  const variants = options.variants ?? twoVariants;
  return variants.flatMap((variant, index) =>
    (options.seeds ?? [1, 2, 3]).map((seed) => syntheticRun(options, variant, index, seed)),
  );
}

function syntheticRun(options: SyntheticOptions, variant: SyntheticVariant, index: number, seed: number): ReportRun {
  const random = generator(7919 * index + 104_729 * seed);
  const stages = options.stages ?? ["conv1", "conv2", "fc1", "fc2", "fc3"];
  const epochs = options.epochs ?? 20;
  const metrics: MetricPoint[] = [];
  const add = (epoch: number, key: string, stage: string, value: number) =>
    metrics.push({ epoch, step: Math.round(epoch * 391), key, stage, value, standardError: null });
  const skill = 0.646 - 0.008 * index + 0.006 * (random() - 0.5) + 0.002 * seed;
  const dense = [1, 2, 4, 8, 16, 32, 64, 128, 256].map((step) => step / 391);
  const moments = [0, ...dense, ...Array.from({ length: epochs }, (_, epoch) => epoch + 1)];
  if (options.nhsic ?? true) {
    for (const epoch of moments) {
      stages.forEach((stage, depth) => {
        const part = stages.length === 1 ? 0 : depth / (stages.length - 1);
        const rise = 1 - Math.exp(-epoch / (0.6 + 0.8 * part));
        const slow = 1 - Math.exp(-epoch / (0.5 * epochs));
        const local = index % 2 === 1;
        const x0 = 85 - 35 * part;
        const turn = local ? -(6 + 5 * part) * slow : (5 - 22 * part * part) * slow;
        add(epoch, "nhsicXZ", stage, x0 + (18 - 4 * part) * rise + turn + 0.5 * (random() - 0.5) * rise);
        const y = 2.2 + part + (4.6 + 1.2 * part) * (0.7 * rise + 0.3 * slow) - (local ? 0.35 * part * slow : 0);
        add(epoch, "nhsicYZ", stage, y + 0.06 * (random() - 0.5));
      });
    }
  }
  for (let epoch = 1; epoch <= epochs; epoch++) {
    const learnt = 1 - Math.exp(-epoch / (0.2 * epochs));
    add(epoch, "trainLoss", "", 2.3 - (1.55 + 0.1 * index) * learnt + 0.02 * random());
    add(epoch, "testLoss", "", 2.3 - (1.28 - 0.05 * index) * learnt + 0.1 * (epoch / epochs) ** 2 + 0.03 * random());
    add(epoch, "trainAccuracy", "", 0.1 + (skill + 0.05) * learnt);
    add(epoch, "testAccuracy", "", 0.1 + (skill - 0.1) * learnt + 0.008 * (random() - 0.5));
  }
  const last = (key: string, stage: string) =>
    metrics.filter((point) => point.key === key && point.stage === stage).at(-1)?.value ?? null;
  const record: RunRecord = {
    id: `run-${variant.name}-${seed}`,
    name: options.name ?? "lenet5-cifar10",
    variant: variant.name,
    seed,
    status: "completed",
    settings: {
      name: options.name ?? "lenet5-cifar10",
      data: { name: "cifar10", train: 50_000, test: 10_000, batch: 128 },
      model: { name: "lenet5" },
      optimizer: { name: "adam", learningRate: 5e-4, schedule: { milestones: [200, 300], gamma: 0.2 } },
      epochs,
      seed,
      observe: options.nhsic === false ? {} : { nhsic: { every: 1, batch: 128, batches: 8 } },
      rule: "partitioned",
      ...variant.settings,
    },
    settingsHash: `${variant.name}-${seed}`,
    command: `stopgrad train papers/lenet5-cifar10.yaml --variant ${variant.name} seeds=[${seed}]`,
    environment: {
      stopgrad: "0.1.0",
      node: "20.20.2",
      libtorch: "2.6.0",
      blas: "openblas",
      threads: 2,
      device: "cpu",
      platform: "linux-x64",
      cpu: "Example CPU 3000",
      commit: "0123abc",
    },
    createdAt: `2025-01-0${1 + (seed % 9)}T10:00:00Z`,
    finishedAt: `2025-01-0${1 + (seed % 9)}T10:05:00Z`,
    error: null,
    summary: {
      epochs,
      seconds: 81 + 14 * index + 3 * random(),
      imagesPerSecond: 12_300 - 1_700 * index + 120 * random(),
      peakBytes: Math.round((66 - 21 * Math.min(1, index) - 2 * index) * 2 ** 20),
      trainAccuracy: skill + 0.15,
      testAccuracy: skill,
      parameters: { backbone: 62_006, heads: variant.heads ?? 0 },
      ...(variant.cost === undefined ? {} : { cost: variant.cost }),
      ...variant.own,
      stages: stages.map((stage, depth) => ({
        name: stage,
        shape: [6, 14, 14],
        nhsicXZ: last("nhsicXZ", stage),
        nhsicYZ: last("nhsicYZ", stage),
        probeTrain: options.probes ? 0.45 + 0.06 * depth + 0.01 * random() : null,
        probeTest: options.probes ? 0.42 + 0.05 * depth + 0.01 * random() : null,
        ...(options.information
          ? {
              informationY: 0.6 + 0.1 * depth + 0.02 * random(),
              informationAccuracy: 0.4 + (0.3 * depth) / stages.length - 0.02 * index + 0.01 * random(),
              reconstructionError: 0.56 + 0.01 * depth + 0.005 * index + 0.001 * random(),
            }
          : {}),
      })),
    },
  };
  return { record, metrics };
}

/** Uniform numbers in [0, 1) from a seed: a counter whose bits are mixed by multiplication and shifts. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x45d9f3b);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
