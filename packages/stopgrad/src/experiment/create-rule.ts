// A run's network and the rule that trains it, made from its settings; and weights taken over from another run.
import { Generator, loadSafetensors, noGrad, scope, type Tensor } from "@stopgrad/torch";
import { trainingShape } from "../data/augment-settings.js";
import { heads } from "../heads/index.js";
import { losses } from "../losses/index.js";
import { type Backbone, models, type Stage } from "../models/index.js";
import { optimizers } from "../optimizers/index.js";
import { entryOf } from "../registry.js";
import {
  type LearningRule,
  moduleCost,
  type Rule,
  type RuleContext,
  rules,
  type Schedule,
  type TrainingData,
} from "../rules/index.js";
import { moduleSizes } from "./partition.js";
import { optionsOf, type RunSettings } from "./run-settings.js";
import { streamSeed } from "./seeds.js";

/** What the network is built for: the images' shape, unless the rule gives it something else to see. */
export function networkShape(settings: RunSettings, shape: readonly number[]): [number, number, number] {
  const rule: Rule = entryOf(rules, settings.rule.name);
  const [channels = 0, height = 0, width = 0] = rule.inputShape?.(optionsOf(rule, settings.rule), shape) ?? shape;
  return [channels, height, width];
}

/** What images tell of the network: their shape `[C, H, W]`, and how many classes there are. */
export interface ImageKind {
  readonly shape: readonly number[];
  readonly classes: number;
}

/** The backbone alone, on the run's device, initialised from the run's seed. */
export function createBackbone(settings: RunSettings, { shape, classes }: ImageKind, dropout: Generator): Backbone {
  const model = entryOf(models, settings.model.name);
  const backbone = model.create(optionsOf(model, settings.model), {
    inputShape: networkShape(settings, shape),
    classes,
    generator: new Generator(streamSeed(settings.seed, "backbone")),
    dropoutGenerator: dropout,
  });
  // Initial values are the CPU's draws, the same on every device.
  if (settings.device !== "cpu") backbone.to({ device: settings.device });
  return backbone;
}

/** The network and its rule, initialised from the run's seed. */
export function createRule(
  settings: RunSettings,
  dataset: ImageKind,
  generators: { readonly dropout: Generator; readonly rule: Generator },
  training: TrainingData,
): LearningRule {
  const backbone = createBackbone(settings, dataset, generators.dropout);
  const loss = entryOf(losses, settings.objective.loss.name);
  const head = entryOf(heads, settings.objective.head.name);
  const rule = entryOf(rules, settings.rule.name);
  const parts = {
    backbone,
    inputShape: trainingShape(settings.data.augment, dataset.shape),
    classes: dataset.classes,
    precision: settings.precision,
    frozenStages: settings.retrain?.frozen ?? 0,
    classifier: settings.classifier,
    format: settings.format,
    schedule: { statistics: "fixed", ...settings.schedule } as Schedule,
    loss: { entry: loss, options: optionsOf(loss, settings.objective.loss) },
    head: { entry: head, options: optionsOf(head, settings.objective.head) },
    nhsic: settings.objective.nhsic,
    reconstruction: settings.objective.reconstruction,
    context: settings.match === null ? (settings.context as RuleContext["context"]) : null,
    segments: settings.gradientCheckpointing,
    optimizer: { entry: entryOf(optimizers, settings.optimizer.name), settings: settings.optimizer },
    headGenerator: new Generator(streamSeed(settings.seed, "heads")),
    contextGenerator: new Generator(streamSeed(settings.seed, "contexts")),
    dropoutGenerator: generators.dropout,
    ruleGenerator: generators.rule,
    training,
  };
  const moduleSizes = sizesOf(settings, parts);
  return rule.create(optionsOf(rule, settings.rule), { ...parts, moduleSizes });
}

/** How many stages each module holds; measured, where modules are to store alike. */
function sizesOf({ partition, data }: RunSettings, parts: Omit<RuleContext, "moduleSizes">): number[] {
  const { backbone, frozenStages, precision } = parts;
  const isMeasured = typeof partition === "object" && "balance" in partition;
  const cost = isMeasured
    ? moduleCost({ ...parts, backbone: backbone.usePrecision(precision) }, data.batch)
    : undefined;
  return moduleSizes(partition, backbone.stages.length, frozenStages, cost);
}

/**
 * Weights of another run's checkpoint into a network: those of the stages that stay frozen, or all of the backbone's.
 * @throws Error when there is no such checkpoint, or it is of another network
 */
export function takeOver(
  rule: LearningRule,
  settings: RunSettings,
  source: { path: string } | { problem: string },
): void {
  const { from, frozen, init } = settings.retrain!;
  if ("problem" in source) throw new Error(`retrain.from ${from}: ${source.problem}`);
  scope(() => {
    let tensors: ReadonlyMap<string, Tensor>;
    try {
      ({ tensors } = loadSafetensors(source.path));
    } catch (error) {
      throw new Error(`retrain.from ${from}: ${(error as Error).message}`, { cause: error });
    }
    const { stages } = rule.backbone;
    const wanted = init === "keep" ? rule.backbone.stateDict() : statesOf(stages.slice(0, frozen));
    for (const [name, mine] of wanted) {
      const saved = tensors.get(`backbone.${name}`);
      if (saved?.shape.join() === mine.shape.join()) continue;
      const found = saved ? `it is [${saved.shape.join(", ")}] there` : "it is not there";
      throw new Error(
        `retrain.from ${from}: another network, expected ${name} [${mine.shape.join(", ")}], but ${found}`,
      );
    }
    noGrad(() => {
      for (const [name, mine] of wanted) mine.copy_(tensors.get(`backbone.${name}`)!);
    });
  });
}

function statesOf(stages: readonly Stage[]): Map<string, Tensor> {
  return new Map(stages.flatMap((stage) => [...stage.stateDict()]));
}
