// Small networks and rules of every registered kind.
import { Generator, type nn } from "@stopgrad/torch";
import { moduleSizes, type Partition } from "../../src/experiment/partition.js";
import { type HeadName, heads } from "../../src/heads/index.js";
import { type LocalLoss, losses } from "../../src/losses/index.js";
import {
  type Backbone,
  type BackboneContext,
  type Model,
  type ModelName,
  models,
  type Precision,
} from "../../src/models/index.js";
import { type OptimizerName, optimizers } from "../../src/optimizers/index.js";
import { type LearningRule, rules } from "../../src/rules/index.js";
import { imagesOf, labelsOf } from "./formula.js";

export type ImageShape = BackboneContext["inputShape"];

export const modelNames = Object.keys(models) as ModelName[];

/** The narrowest useful form of a model: every model with a width takes 6. Dropout where there is any. */
export function smallOptions(name: ModelName, dropout = 0.2): Record<string, unknown> {
  const { shape } = (models[name] as Model).options;
  return { ...("width" in shape ? { width: 6 } : {}), ...("dropout" in shape ? { dropout } : {}) };
}

export interface NetworkSetup {
  model: ModelName;
  options?: Record<string, unknown>;
  inputShape?: ImageShape;
  classes?: number;
  seed?: number;
  dropoutGenerator?: Generator;
}

export function makeBackbone(setup: NetworkSetup): Backbone {
  const { model, inputShape = [3, 16, 16], classes = 10, seed = 1 } = setup;
  return models[model].create(setup.options ?? smallOptions(model), {
    inputShape,
    classes,
    generator: new Generator(seed),
    dropoutGenerator: setup.dropoutGenerator ?? new Generator(seed + 1000),
  });
}

export interface RuleSetup extends NetworkSetup {
  precision?: Precision;
  partition?: Partition;
  classifier?: "attached" | "detached";
  head?: HeadName;
  loss?: LocalLoss;
  optimizer?: OptimizerName;
  settings?: Record<string, unknown>;
  /** Of the rule itself. */
  ruleOptions?: Record<string, unknown>;
}

export function makeRule(setup: RuleSetup): LearningRule {
  const backbone = makeBackbone(setup);
  return rules.partitioned.create(setup.ruleOptions ?? {}, {
    backbone,
    inputShape: setup.inputShape ?? [3, 16, 16],
    classes: setup.classes ?? 10,
    precision: setup.precision ?? "float32",
    moduleSizes: moduleSizes(setup.partition ?? 1, backbone.stages.length),
    classifier: setup.classifier ?? "attached",
    loss: { entry: setup.loss ?? losses["cross-entropy"], options: {} },
    head: { entry: heads[setup.head ?? "linear"], options: {} },
    optimizer: { entry: optimizers[setup.optimizer ?? "adam"], settings: optimizerSettings(setup) },
    headGenerator: new Generator((setup.seed ?? 1) + 2000),
  });
}

export function optimizerSettings({ settings }: Pick<RuleSetup, "settings">) {
  return { learningRate: 1e-3, weightDecay: 0, ...settings };
}

/** Batch `at`: images `[count, ...shape]` and labels. */
export function makeBatch(at: number, count = 8, shape: readonly number[] = [3, 16, 16], classes = 10) {
  return { images: imagesOf(`images/${at}`, [count, ...shape]), labels: labelsOf(count, classes) };
}

/** Names of the backbone's state (not of heads) that belong to the module holding `size` stages after the first `start`. */
export function moduleState(backbone: Backbone, start: number, size: number): Set<string> {
  const names = backbone.stages.slice(start, start + size).flatMap((stage) => [...stage.stateDict().keys()]);
  return new Set(names);
}

export function countParameters(module: nn.Module): number {
  return module.parameters().reduce((sum, parameter) => sum + parameter.numel, 0);
}
