// End-to-end, block-wise and layer-wise training are one algorithm with a different partition (arXiv 2402.09050, eqs. 1
// and 2; arXiv 2312.07636, greedy local learning).
//
// The backbone's stages are cut into modules. A batch walks through them: a module's forward, its local loss, its
// backward at once, and its output goes on behind a stop-gradient. Only one module's activations are alive at a time.
// One optimizer step follows for all: activations were computed with the weights before it, so that stepping module by
// module would give the same.
//
// What learns when is a list of phases (phases.ts): all at once, or module by module on what is frozen below.
//
// On a GPU a step only starts work; its losses are read once, after the optimizer's step, because reading waits.
import { crossEntropy, type nn, noGrad, oneHot, type optim, scope, stack, type Tensor } from "@stopgrad/torch";
import { z } from "zod";
import { nhsic } from "../measures/nhsic.js";
import { nhsicTerm } from "../measures/nhsic-gradient.js";
import { type Backbone, deviceOf, forwardThrough, kindOf, type Stage } from "../models/index.js";
import { CachedFeatures } from "./cached-features.js";
import { LabelProjection, withOwnStatistics } from "./label-signals.js";
import { buildModules, type LocalModule } from "./modules.js";
import { type ModulePhase, planPhases } from "./phases.js";
import { Replayed, recordOnGpu } from "./replayed.js";
import type { Batch, LearningRule, Rule, RuleContext, StepResult } from "./rule.js";
import { Auxiliary, correctIn, inFull, prefixed, requireFit, unprefixed, weightsOf } from "./weights.js";

const options = z.strictObject({
  /** Record forward and backward passes as a CUDA graph and replay them; the CPU computes as ever. */
  graph: z.boolean().optional(),
});

export const partitioned: Rule = {
  summary: "one local loss for each module of the partition: end to end (1), block-wise (K) or layer-wise (stage)",
  source: "arXiv 2402.09050, eqs. 1-2; arXiv 2312.07636",
  options,
  create: (given, context) => new PartitionedRule(context, options.parse(given).graph ?? false),
};

/** A loss of a batch, or the number of right answers: read at once on the CPU, a float32 scalar on a GPU. */
type Reading = number | Tensor;

/** What a pass over all modules finds, in the network's order. */
interface Readings {
  readonly losses: readonly Reading[];
  readonly correct: Reading | null;
}

class PartitionedRule implements LearningRule {
  readonly backbone: Backbone;
  readonly auxiliary: nn.Module | null;
  readonly moduleNames: readonly string[];
  readonly phases: readonly ModulePhase[];
  readonly views: 1 | 2;
  readonly #context: RuleContext;
  readonly #modules: readonly LocalModule[];
  /** Stages that no phase trains. */
  readonly #bottom: readonly Stage[];
  /** The classifier, where it is trained on the last module's detached output. */
  readonly #classifier: Stage | null;
  /** Of labels to the network's input; null unless the loss sends labels through the network. */
  readonly #projection: LabelProjection | null;
  readonly #optimizer: optim.Optimizer;
  readonly #onGpu: boolean;
  readonly #graph: boolean;
  #phase: ModulePhase;
  /** Stages below what the phase trains. */
  #frozen: readonly Stage[] = [];
  /** What the frozen stages give, where it is computed once. */
  #cached: CachedFeatures | null = null;
  /** Null where steps are computed afresh. */
  #replayed: Replayed<Readings> | null = null;

  constructor(context: RuleContext, graph: boolean) {
    const { backbone, loss, precision } = context;
    this.#context = context;
    this.backbone = backbone.usePrecision(precision);
    const device = deviceOf(backbone);
    this.#onGpu = kindOf(device) === "cuda";
    this.views = loss.entry.views?.(loss.options) ?? 1;

    const { modules, classifier, networks } = buildModules(context);
    this.#modules = modules;
    this.#classifier = classifier;
    this.#bottom = backbone.stages.slice(0, context.frozenStages);
    this.#projection = loss.entry.propagatesLabels
      ? new LabelProjection(context.classes, context.inputShape, context.headGenerator)
      : null;
    if (this.#projection) networks.set(LABELS, this.#projection);
    if (this.#onGpu) for (const network of networks.values()) network.to({ device });
    this.moduleNames = modules.map(({ name }) => name);
    this.auxiliary = networks.size > 0 ? new Auxiliary(networks) : null;
    this.phases = planPhases(this.moduleNames, classifier?.name ?? null, context);
    this.#optimizer = context.optimizer.entry.create(context.optimizer.settings, [
      ...this.#trainedStages().flatMap((stage) => [...stage.parameters()]),
      ...(this.auxiliary?.parameters() ?? []),
    ]);
    // The factors of nHSIC are solved with the processor's help, which no graph can hold.
    const simple = context.schedule.name === "simultaneous" && context.nhsic === null;
    this.#graph = graph && this.#onGpu && simple && loss.entry.recordable !== false;
    this.#phase = this.phases[0]!;
    this.#freezeBelow(this.#phase);
    this.#replayed = this.#recorder();
  }

  #trainedStages(): Stage[] {
    const { classifier, stages } = this.backbone;
    return [...stages.slice(this.#context.frozenStages), ...(classifier ? [classifier] : [])];
  }

  #freezeBelow(phase: ModulePhase): void {
    this.#frozen = [...this.#bottom, ...this.#modules.slice(0, phase.from).flatMap(({ stages }) => stages)];
  }

  #recorder(): Replayed<Readings> | null {
    if (!this.#graph) return null;
    return new Replayed(
      (batch) => this.#passes(batch),
      this.#optimizer.parameters,
      recordOnGpu(deviceOf(this.backbone)),
    );
  }

  enterPhase(at: number, breathe: () => void = () => {}): void {
    const phase = this.phases[at]!;
    const { schedule, training } = this.#context;
    const caches = schedule.name === "asynchronous" && phase.from > 0;
    if (phase === this.#phase && caches === (this.#cached !== null)) return;
    this.#phase = phase;
    this.#freezeBelow(phase);
    this.#replayed?.dispose();
    this.#replayed = this.#recorder();
    this.#cached?.dispose();
    this.#cached = null;
    if (!caches) return;
    this.backbone.eval();
    this.#cached = new CachedFeatures(training, (images) => forwardThrough(this.#frozen, images), breathe);
  }

  step(batch: Batch, meanwhile?: () => void): StepResult {
    this.backbone.train();
    this.auxiliary?.train();
    if (this.#context.schedule.statistics === "fixed") for (const stage of this.#frozen) stage.eval();
    for (const stage of this.#bottom) stage.eval();
    return scope(() => {
      const readings = this.#replayed ? this.#replayed.run(batch) : this.#passes(batch);
      this.#optimizer.step();
      if (this.#onGpu) meanwhile?.();
      const { correct } = readings;
      const values = read(correct === null ? readings.losses : [...readings.losses, correct]);
      const losses = this.#lossNames().map((module, at) => ({ module, loss: values[at]! }));
      return {
        losses,
        loss: losses.at(-1)!.loss,
        correct: correct === null ? null : values.at(-1)! / this.views,
      };
    });
  }

  /** Names of what has a loss in this phase, in the order of `Readings.losses`. */
  #lossNames(): string[] {
    const { from, end, classifier } = this.#phase;
    return [
      ...(this.#projection && from === 0 && end > 0 ? [LABELS] : []),
      ...this.moduleNames.slice(from, end),
      ...(classifier ? [this.#classifier!.name] : []),
    ];
  }

  /** Every trained module's forward and backward pass: the gradients of a step. */
  #passes({ images, labels, indices }: Batch): Readings {
    const { from, end } = this.#phase;
    this.#optimizer.zeroGrad();
    const losses: Reading[] = [];
    let correct: Reading | null = null;
    return scope(() => {
      const input = noGrad(() => this.#cached?.get(indices) ?? forwardThrough(this.#frozen, images));
      const hasTerm = this.#context.nhsic !== null && images.size(0) > 1; // of one image it is 0
      const inputFactor = hasTerm && this.#context.nhsic?.with === "input" ? this.#nhsicFactor(images) : null;
      let signals = this.#projection && end > from ? this.#entrySignals(images, labels, losses) : null;
      let features = input;
      for (const module of this.#modules.slice(from, end)) {
        const { output, ...found } = scope(() => {
          const hidden = forwardThrough(module.stages, features);
          const seen = module.readout ? module.readout.forward(hidden) : hidden;
          const sent = signals && this.#sendThrough(module.stages, signals);
          let loss = module.loss({
            output: inFull(seen),
            labels: module.classifies ? this.#ofEachView(labels) : labels,
            views: this.views,
            get hidden() {
              return inFull(hidden);
            },
            images,
            signals: sent && { input: signals!, output: inFull(sent) },
          });
          if (hasTerm) loss = loss.sub(this.#nhsicTerm(hidden, seen, inputFactor ?? features));
          loss.backward();
          return {
            loss: this.#reading(loss),
            correct: module.classifies ? this.#reading(correctIn(seen, this.#ofEachView(labels))) : null,
            output: hidden.detach(),
            signals: sent?.detach() ?? null,
          };
        });
        losses.push(found.loss);
        correct = found.correct;
        if (features !== images) features.dispose();
        signals?.dispose();
        features = output;
        signals = found.signals;
      }
      if (this.#phase.classifier) {
        const logits = inFull(this.#classifier!.forward(features));
        const repeated = this.#ofEachView(labels);
        const loss = crossEntropy(logits, repeated);
        loss.backward();
        losses.push(this.#reading(loss));
        correct = this.#reading(correctIn(logits, repeated));
      }
      return { losses, correct };
    });
  }

  /** Labels `[V·N]` of all rows. */
  #ofEachView(labels: Tensor): Tensor {
    return this.views === 1 ? labels : labels.repeat([this.views]);
  }

  /** The factor of nHSIC of what a term compares with. */
  #nhsicFactor(values: Tensor): Tensor {
    const { sigma, epsilon } = this.#context.nhsic!;
    return noGrad(() => nhsic.factor(inFull(values), { sigma, epsilon }));
  }

  /** weight · nHSIC(X, Z), in float32. @param other - a factor of the input, or the module's own input */
  #nhsicTerm(hidden: Tensor, seen: Tensor, other: Tensor): Tensor {
    const { weight, of, sigma, epsilon, with: partner } = this.#context.nhsic!;
    const factor = partner === "input" ? other : this.#nhsicFactor(other);
    const value = nhsicTerm(inFull(of === "output" ? hidden : seen), factor, { sigma, epsilon });
    return value.to("float32").mul(weight);
  }

  /** Labels as the network's input. Trains the projection, whose target is which labels agree. */
  #entrySignals(images: Tensor, labels: Tensor, losses: Reading[]): Tensor {
    const { classes, loss } = this.#context;
    return scope(() => {
      const input = oneHot(labels, classes).to("float32");
      if (this.#phase.from > 0) {
        const entry = noGrad(() => this.#projection!.forward(input));
        return noGrad(() => this.#sendThrough(this.#frozen, entry));
      }
      const sent = this.#projection!.forward(input);
      const found = loss.entry.compute(loss.options, {
        output: images,
        hidden: images,
        images,
        labels,
        classes,
        views: this.views,
        signals: { input, output: sent },
        own: null,
      });
      found.backward();
      losses.push(this.#reading(found));
      return noGrad(() => this.#sendThrough(this.#bottom, sent.detach()));
    });
  }

  #sendThrough(stages: readonly Stage[], signals: Tensor): Tensor {
    return withOwnStatistics(stages, () => forwardThrough(stages, signals));
  }

  #reading(scalar: Tensor): Reading {
    return this.#onGpu ? scalar.detach().to("float32") : scalar.item();
  }

  /** While modules learn one after the other, the one that learns predicts through its head. */
  logits(images: Tensor): Tensor {
    const { from, end, classifier } = this.#phase;
    const module = this.#modules[end - 1];
    // Heads are made for the size of training images, which a crop may have changed.
    const otherSize = images.shape.slice(1).join() !== this.#context.inputShape.join();
    const isWhole = classifier || end === this.#modules.length || !module?.classifies || end - from !== 1 || otherSize;
    return scope(() => {
      if (isWhole) return inFull(this.backbone.forward(images));
      this.auxiliary?.eval();
      const hidden = forwardThrough([...this.#frozen, ...module.stages], images);
      return inFull(module.readout ? module.readout.forward(hidden) : hidden);
    });
  }

  setLearningRate(rate: number): void {
    this.#optimizer.learningRate = rate;
  }

  stateDict(): Map<string, Tensor> {
    return new Map([
      ...weightsOf(this.backbone, this.auxiliary),
      ...prefixed("optimizer.", this.#optimizer.stateDict()),
    ]);
  }

  loadStateDict(saved: ReadonlyMap<string, Tensor>): void {
    // All that can be refused is refused before anything is changed; the optimizer looks at all of its own first.
    requireFit(weightsOf(this.backbone, this.auxiliary), saved);
    this.#optimizer.loadStateDict(unprefixed("optimizer.", saved));
    this.backbone.loadStateDict(unprefixed("backbone.", saved));
    this.auxiliary?.loadStateDict(unprefixed("heads.", saved));
    // What was computed with other weights is not theirs.
    this.#cached?.dispose();
    this.#cached = null;
  }

  dispose(): void {
    this.#cached?.dispose();
    this.#replayed?.dispose();
    this.#optimizer.dispose();
    this.auxiliary?.dispose();
    this.backbone.dispose();
  }
}

/** What the projection of labels is called among modules. */
const LABELS = "labels";

/** Numbers of readings; those on a GPU, all or none, in one transfer. */
function read(readings: readonly Reading[]): number[] {
  const tensors = readings.filter((reading) => typeof reading !== "number");
  return tensors.length === 0 ? (readings as number[]) : stack(tensors, 0).toNumbers();
}
