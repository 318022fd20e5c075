// Small registries for these tests: names and options like the real ones, nothing that trains.
import { z } from "zod";
import { defineSettings, type SettingsHooks, type SettingsRegistries } from "../../src/experiment/settings.js";
import type { Registry } from "../../src/registry.js";

const entry = (shape: z.ZodRawShape = {}) => ({ summary: "for tests", options: z.strictObject(shape) });
const positive = z.int().positive();

export const registries = {
  datasets: { mnist: entry(), cifar10: entry(), glyphs: entry({ colour: z.boolean().default(false) }) } as Registry,
  models: {
    lenet5: entry({ batchNorm: z.boolean().default(false) }),
    mlp: entry({ width: positive.default(1000), layers: positive.default(5) }),
    resnet18: entry({ width: positive.default(64) }),
  } as Registry,
  heads: { none: entry(), linear: entry(), mlp: entry({ hidden: positive.optional() }) } as Registry,
  losses: {
    "cross-entropy": {
      ...entry({ smoothing: z.number().min(0).lt(1).default(0) }),
      classifies: true,
      heads: ["linear", "mlp"],
    },
    "signal-propagation": entry({ target: z.enum(["hard", "soft"]).default("soft") }),
  } as Registry,
  rules: { partitioned: entry() } as Registry,
  schedules: {
    simultaneous: entry(),
    sequential: entry({ statistics: z.enum(["fixed", "moving"]).default("fixed") }),
  } as Registry,
  fusions: { add: entry(), gated: entry({ start: z.number().default(0) }) } as Registry,
  optimizers: {
    adam: entry({ beta1: z.number().min(0).lt(1).default(0.9) }),
    sgd: entry({ learningRate: z.number().positive().default(0.1), momentum: z.number().min(0).lt(1).default(0.9) }),
  } as Registry,
  measures: {
    nhsic: entry({
      distance: z.enum(["squared", "plain"]).default("squared"),
      epsilon: z.number().positive().default(1e-5),
    }),
    probe: entry({ at: z.literal("end").default("end"), batch: positive.default(256) }),
    pairs: { ...entry(), smallestBatch: 4 },
  } as Registry,
} satisfies SettingsRegistries;

const STAGES: Record<string, number> = { lenet5: 5, resnet18: 9 };

export const hooks: SettingsHooks = {
  stageCount: (model) => (model.name === "mlp" ? Number(model.layers) : (STAGES[model.name] ?? null)),
  datasetSizes: (data) => (data.name === "cifar10" ? { train: 50_000, test: 10_000 } : { train: 60_000, test: 10_000 }),
};

export const settings = defineSettings(registries, hooks);
