// The optimizers an experiment file can name: torch's, with their own options. Learning rate, weight decay and
// schedule are common to all.
import { optim, type Parameter } from "@stopgrad/torch";
import { z } from "zod";
import type { RegistryEntry } from "../registry.js";

export interface OptimizerSettings {
  learningRate: number;
  weightDecay: number;
  [option: string]: unknown;
}

export interface OptimizerEntry extends RegistryEntry {
  create(settings: OptimizerSettings, parameters: readonly Parameter[]): optim.Optimizer;
}

const adamOptions = z.strictObject({
  betas: z.tuple([z.number().min(0).lt(1), z.number().min(0).lt(1)]).default([0.9, 0.999]),
  epsilon: z.number().nonnegative().default(1e-8),
});

const sgdOptions = z.strictObject({
  momentum: z.number().nonnegative().default(0),
  dampening: z.number().nonnegative().default(0),
  nesterov: z.boolean().default(false),
});

function own<S extends z.ZodObject>(schema: S, settings: OptimizerSettings): z.output<S> {
  return schema.parse(Object.fromEntries(Object.keys(schema.shape).map((key) => [key, settings[key]])));
}

const adam: OptimizerEntry = {
  summary: "Adam; weight decay is added to the gradient",
  source: "Kingma & Ba, arXiv 1412.6980",
  options: adamOptions,
  create: (settings, parameters) => new optim.Adam(parameters, { ...settings, ...own(adamOptions, settings) }),
};

const adamw: OptimizerEntry = {
  summary: "Adam with decoupled weight decay",
  source: "Loshchilov & Hutter, arXiv 1711.05101",
  options: adamOptions,
  create: (settings, parameters) => new optim.AdamW(parameters, { ...settings, ...own(adamOptions, settings) }),
};

const sgd: OptimizerEntry = {
  summary: "stochastic gradient descent with momentum, optionally Nesterov's",
  source: "Sutskever et al. 2013; PyTorch's form",
  options: sgdOptions,
  create: (settings, parameters) => new optim.SGD(parameters, { ...settings, ...own(sgdOptions, settings) }),
};

export const optimizers = { adam, adamw, sgd } satisfies Record<string, OptimizerEntry>;
export type OptimizerName = keyof typeof optimizers;
