// Small networks and rules of every registered kind.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { arange, Generator, keep, type nn, ones, randint, scope, tensor, zeros } from "@stopgrad/torch";
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
import {
  type LearningRule,
  type NhsicTerm,
  type Rule,
  type RuleContext,
  type RuleName,
  rules,
  type Schedule,
  type TrainingData,
} from "../../src/rules/index.js";
import { imagesOf, labelsOf } from "./formula.js";

export type ImageShape = BackboneContext["inputShape"];

/**
 * Models that are another one's code with other numbers of layers or channels, or another block: tested as models only,
 * because every rule is run on every model that is not here.
 */
export const sameCode: ReadonlySet<ModelName> = new Set<ModelName>([
  ...(["resnet34", "resnet50", "resnet20", "resnet32", "resnet44", "resnet56", "resnet110"] as const), // as resnet18
  ...(["vgg13", "vgg16", "vgg6b", "vgg8b", "vgg11b"] as const), // as vgg11
]);

/** Every registered model, one of each code. */
export const modelNames = (Object.keys(models) as ModelName[]).filter((name) => !sameCode.has(name));

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
  classifier?: RuleContext["classifier"];
  format?: RuleContext["format"];
  schedule?: Partial<Schedule>;
  nhsic?: Partial<NhsicTerm>;
  reconstruction?: RuleContext["reconstruction"];
  context?: Partial<NonNullable<RuleContext["context"]>>;
  segments?: RuleContext["segments"];
  frozenStages?: number;
  head?: HeadName;
  headOptions?: Record<string, unknown>;
  loss?: LocalLoss;
  lossOptions?: Record<string, unknown>;
  rule?: RuleName;
  optimizer?: OptimizerName;
  settings?: Record<string, unknown>;
  /** Of the rule itself. */
  ruleOptions?: Record<string, unknown>;
}

const NO_CONTEXT: NonNullable<RuleContext["context"]> = {
  fromInput: false,
  previousModules: 0,
  fusion: { name: "add" },
  selection: null,
  recompute: false,
};

export function makeRule(setup: RuleSetup): LearningRule {
  const seed = setup.seed ?? 1;
  const dropoutGenerator = setup.dropoutGenerator ?? new Generator(seed + 1000);
  const backbone = makeBackbone({ ...setup, dropoutGenerator });
  const loss = setup.loss ?? losses["cross-entropy"];
  return (rules[setup.rule ?? "partitioned"] as Rule).create(setup.ruleOptions ?? {}, {
    backbone,
    inputShape: setup.inputShape ?? [3, 16, 16],
    classes: setup.classes ?? 10,
    precision: setup.precision ?? "float32",
    moduleSizes: moduleSizes(setup.partition ?? 1, backbone.stages.length - (setup.frozenStages ?? 0)),
    frozenStages: setup.frozenStages ?? 0,
    classifier: setup.classifier ?? (loss.classifies ? "attached" : "detached"),
    format: setup.format ?? { epochs: null, learningRate: null },
    schedule: { name: "simultaneous", statistics: "fixed", ...setup.schedule },
    loss: { entry: loss, options: setup.lossOptions ?? {} },
    head: { entry: heads[setup.head ?? "linear"], options: setup.headOptions ?? {} },
    nhsic: setup.nhsic ? { weight: 0.1, with: "input", of: "output", sigma: 5, epsilon: 1e-5, ...setup.nhsic } : null,
    reconstruction: setup.reconstruction ?? null,
    context: setup.context ? { ...NO_CONTEXT, ...setup.context } : null,
    segments: setup.segments ?? null,
    optimizer: { entry: optimizers[setup.optimizer ?? "adam"], settings: optimizerSettings(setup) },
    headGenerator: new Generator(seed + 2000),
    contextGenerator: new Generator(seed + 4000),
    dropoutGenerator,
    ruleGenerator: new Generator(seed + 3000),
    training: trainingData(setup),
  });
}

const trainingSets = new Map<string, TrainingData>();

/** A small training set of noise with every label; one for each shape. */
export function trainingData({ inputShape = [3, 16, 16], classes = 10 }: NetworkSetup): TrainingData {
  const key = `${inputShape.join()}/${classes}`;
  const known = trainingSets.get(key);
  if (known) return known;
  const count = 2 * classes;
  const made = scope(() => ({
    set: {
      images: keep(randint(0, 256, [count, ...inputShape], { generator: new Generator(7) }).to("uint8")),
      labels: keep(tensor(BigInt64Array.from({ length: count }, (_, at) => BigInt(at % classes)))),
      count,
    },
    normalisation: {
      scale: keep(ones([1, inputShape[0], 1, 1]).mul(1 / 128)),
      shift: keep(zeros([1, inputShape[0], 1, 1]).sub(1)),
    },
    batch: 16,
    scratch: scratchFolder(),
  }));
  trainingSets.set(key, made);
  return made;
}

let scratch: string | null = null;

function scratchFolder(): string {
  scratch ??= mkdtempSync(join(tmpdir(), "stopgrad-rules-"));
  return scratch;
}

export function optimizerSettings({ settings }: Pick<RuleSetup, "settings">) {
  return { learningRate: 1e-3, weightDecay: 0, ...settings };
}

/** Batch `at`: images `[count, ...shape]` and labels. */
export function makeBatch(at: number, count = 8, shape: readonly number[] = [3, 16, 16], classes = 10) {
  const indices = arange(0, count);
  return { images: imagesOf(`images/${at}`, [count, ...shape]), labels: labelsOf(count, classes), indices };
}

/** Names of the backbone's state (not of heads) that belong to the module holding `size` stages after the first `start`. */
export function moduleState(backbone: Backbone, start: number, size: number): Set<string> {
  const names = backbone.stages.slice(start, start + size).flatMap((stage) => [...stage.stateDict().keys()]);
  return new Set(names);
}

export function countParameters(module: nn.Module): number {
  return module.parameters().reduce((sum, parameter) => sum + parameter.numel, 0);
}
