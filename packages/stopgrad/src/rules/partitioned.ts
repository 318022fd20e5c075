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
import { noGrad, oneHot, type optim, scope, type Tensor } from "@stopgrad/torch";
import { z } from "zod";
import { type ContextSettings, ContextSupply, type History, pathName } from "../contexts/index.js";
import { type Backbone, deviceOf, forwardThrough, kindOf, readThrough, type Stage } from "../models/index.js";
import { CachedFeatures } from "./cached-features.js";
import { LabelProjection, sendThrough } from "./label-signals.js";
import { ModuleLearning, type Reading, read } from "./learn-modules.js";
import { buildModules, type LocalModule } from "./modules.js";
import type { ModuleRange } from "./parallel/index.js";
import { type ModulePhase, planPhases } from "./phases.js";
import { Replayed, recordOnGpu } from "./replayed.js";
import type { Batch, LearningRule, Rule, RuleContext, StepResult } from "./rule.js";
import { selectContexts } from "./select-contexts.js";
import type { StepMemory } from "./step-memory.js";
import { Auxiliary, inFull, prefixed, requireFit, unprefixed, weightsOf } from "./weights.js";

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

/** What a pass over all modules finds, in the network's order. */
interface Readings {
  readonly losses: readonly Reading[];
  readonly correct: Reading | null;
}

export class PartitionedRule implements LearningRule {
  readonly backbone: Backbone;
  readonly auxiliary: Auxiliary | null;
  readonly context: ContextSupply | null;
  readonly moduleNames: readonly string[];
  readonly moduleEnds: readonly number[];
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
  readonly #learning: ModuleLearning;
  readonly #optimizer: optim.Optimizer;
  readonly #onGpu: boolean;
  readonly #graph: boolean;
  #phase: ModulePhase;
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
    this.moduleEnds = modules.map(({ stages }) => backbone.stages.indexOf(stages.at(-1)!));
    this.auxiliary = networks.size > 0 ? new Auxiliary(networks) : null;
    this.context = context.context && supplyFor(context, context.context, modules);
    this.#learning = new ModuleLearning(context, modules, classifier, this.context, this.views);
    this.phases = planPhases(this.moduleNames, classifier?.name ?? null, context);
    this.#optimizer = context.optimizer.entry.create(context.optimizer.settings, [
      ...this.#trainedStages().flatMap((stage) => [...stage.parameters()]),
      ...(this.auxiliary?.parameters() ?? []),
      ...(this.context?.parameters() ?? []),
    ]);
    // The factors of nHSIC are solved with the processor's help, which no graph can hold.
    const simple = context.schedule.name === "simultaneous" && context.nhsic === null && context.segments === null;
    this.#graph = graph && this.#onGpu && simple && loss.entry.recordable !== false;
    this.#phase = this.phases[0]!;
    this.#replayed = this.#recorder();
  }

  #trainedStages(): Stage[] {
    const { classifier, stages } = this.backbone;
    return [...stages.slice(this.#context.frozenStages), ...(classifier ? [classifier] : [])];
  }

  /** Stages that the phase in progress does not train and computes. */
  get #frozen(): readonly Stage[] {
    return [...this.#bottom, ...this.#modules.slice(0, this.#phase.from).flatMap(({ stages }) => stages)];
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
    this.#replayed?.dispose();
    this.#replayed = this.#recorder();
    this.#cached?.dispose();
    this.#cached = null;
    if (!caches) return;
    this.backbone.eval();
    const frozen = this.#frozen;
    this.#cached = new CachedFeatures(training, (images) => forwardThrough(frozen, images), breathe);
  }

  step(batch: Batch, meanwhile?: () => void): StepResult {
    for (const network of [this.backbone, this.auxiliary, this.context]) network?.train();
    if (this.#context.schedule.statistics === "fixed") {
      for (const stage of this.#frozen) stage.eval();
      for (const node of this.context?.nodes.slice(0, Math.max(0, this.#phase.from - 1)) ?? []) node.eval();
    }
    for (const stage of this.#bottom) stage.eval();
    return scope(() => {
      const readings = this.#replayed ? this.#replayed.run(batch) : this.#passes(batch);
      this.#optimizer.step();
      if (this.#onGpu) meanwhile?.();
      const { correct } = readings;
      this.#learning.memory?.end();
      this.#learning.memory = null;
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
  #passes(batch: Batch): Readings {
    const { from, end } = this.#phase;
    const { images, labels, indices } = batch;
    this.#optimizer.zeroGrad();
    const losses: Reading[] = [];
    return this.#withHistory(images, (history) =>
      scope(() => {
        const features = noGrad(() => this.#cached?.get(indices) ?? this.#featuresOf(images, from, history));
        const signals = this.#projection && end > from ? this.#entrySignals(images, labels, losses) : null;
        const { correct } = this.#learning.learn(batch, this.#phase, { features, history, signals }, losses);
        return { losses, correct };
      }),
    );
  }

  /** What is trained, for modules that learn in processes of their own (parallel/). */
  parts() {
    return {
      modules: this.#modules,
      bottom: this.#bottom,
      classifier: this.#classifier,
      optimizer: this.#optimizer,
      context: this.#context,
    };
  }

  /**
   * The gradients of modules `from` to before `end` alone, on the CPU, as in a step in which all of them learn.
   * @param features - what the module before gives, freed here; null in front of the first one
   * @param history - as it is behind the module before; afterwards, behind the last of these
   * @returns losses and right answers, and what the last of these modules gives
   */
  passModules(batch: Batch, { from, end }: ModuleRange, features: Tensor | null, history: History | null) {
    const isLast = end === this.#modules.length;
    const classifier = isLast && this.#phase.classifier;
    const losses: Reading[] = [];
    return scope(() => {
      const input = features ?? noGrad(() => this.#featuresOf(batch.images, 0, history));
      const before = { features: input, history, signals: null };
      const pass = this.#learning.learn(batch, { from, end, classifier }, before, losses);
      const names = [...this.moduleNames.slice(from, end), ...(classifier ? [this.#classifier!.name] : [])];
      const values = read(losses);
      const correct = pass.correct === null ? null : read([pass.correct])[0]! / this.views;
      return {
        losses: names.map((module, at) => ({ module, loss: values[at]! })),
        correct: isLast ? correct : null,
        features: pass.features,
      };
    });
  }

  /** What the first `end` modules give, contexts included, on what no phase trains. */
  #featuresOf(images: Tensor, end: number, history: History | null): Tensor {
    return scope(() => {
      let features = forwardThrough(this.#bottom, images);
      for (const [at, { stages }] of this.#modules.slice(0, end).entries()) {
        const entry = history && at > 0 ? this.context!.enter(at - 1, features, history) : features;
        if (entry !== features) {
          history!.push(entry.detach());
          features.dispose();
        }
        features = forwardThrough(stages, entry);
        if (entry !== images) entry.dispose();
      }
      return features;
    });
  }

  /** Runs `body` with the history of one pass over the modules; null where they get no context. */
  #withHistory<R>(images: Tensor, body: (history: History | null) => R): R {
    const history = this.context?.begin(images) ?? null;
    try {
      return body(history);
    } finally {
      history?.dispose();
    }
  }

  /** Labels as the network's input. Trains the projection, whose target is which labels agree. */
  #entrySignals(images: Tensor, labels: Tensor, losses: Reading[]): Tensor {
    const { classes, loss } = this.#context;
    return scope(() => {
      const input = oneHot(labels, classes).to("float32");
      if (this.#phase.from > 0) {
        const entry = noGrad(() => this.#projection!.forward(input));
        return noGrad(() => sendThrough(this.#frozen, entry));
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
      losses.push(this.#learning.reading(found));
      return noGrad(() => sendThrough(this.#bottom, sent.detach()));
    });
  }

  /** While modules learn one after the other, the one that learns predicts through its head. */
  logits(images: Tensor): Tensor {
    const { from, end, classifier } = this.#phase;
    const module = this.#modules[end - 1];
    // Heads are made for the size of training images, which a crop may have changed.
    const otherSize = images.shape.slice(1).join() !== this.#context.inputShape.join();
    const isWhole = classifier || end === this.#modules.length || !module?.classifies || end - from !== 1 || otherSize;
    return this.#withHistory(images, (history) =>
      scope(() => {
        if (!isWhole) {
          this.auxiliary?.eval();
          this.context?.eval();
          const hidden = this.#featuresOf(images, end, history);
          return inFull(module.readout ? module.readout.forward(hidden) : hidden);
        }
        if (!history) return inFull(this.backbone.forward(images));
        this.context?.eval();
        const features = this.#featuresOf(images, this.#modules.length, history);
        const predictor = this.backbone.classifier ?? this.#classifier;
        return inFull(predictor ? predictor.forward(features) : features);
      }),
    );
  }

  readStages<R>(images: Tensor, read: (output: Tensor, at: number) => R): R[] {
    this.context?.eval();
    let first = this.#bottom.length;
    /** Stage at which a module begins → the node before it. */
    const nodes = new Map<number, number>();
    for (const [at, { stages }] of this.#modules.entries()) {
      if (at > 0) nodes.set(first, at - 1);
      first += stages.length;
    }
    return this.#withHistory(images, (history) =>
      readThrough(this.backbone.stages, images, read, (features, at) => {
        const node = nodes.get(at);
        if (!history || node === undefined) return features;
        const entry = this.context!.enter(node, features, history);
        history.push(entry.detach());
        return entry;
      }),
    );
  }

  /** Where contexts are to be selected, those of the modules that learn, once. */
  endEpoch(epochs: number, breathe: () => void): void {
    const selection = this.#context.context?.selection;
    if (!this.context || !selection || epochs !== selection.after) return;
    const { from, end } = this.#phase;
    this.backbone.eval();
    this.auxiliary?.eval();
    this.context.eval();
    selectContexts({
      supply: this.context,
      modules: this.#modules,
      nodes: { from: Math.max(0, from - 1), end: end - 1 },
      bottom: this.#bottom,
      selection,
      training: this.#context.training,
      breathe,
    });
    this.#replayed?.dispose();
    this.#replayed = this.#recorder();
  }

  contextPaths() {
    if (!this.context || !this.#context.context?.selection) return null;
    return this.context.nodes.map(({ paths, activePaths }, at) => ({
      module: this.moduleNames[at + 1]!,
      used: paths.filter((_, path) => activePaths[path]).map(pathName),
      unused: paths.filter((_, path) => !activePaths[path]).map(pathName),
    }));
  }

  watchMemory(memory: StepMemory | null): void {
    this.#learning.memory = memory;
  }

  setLearningRate(rate: number): void {
    this.#optimizer.learningRate = rate;
  }

  stateDict(): Map<string, Tensor> {
    return new Map([
      ...weightsOf(this.backbone, this.auxiliary, this.context),
      ...prefixed("optimizer.", this.#optimizer.stateDict()),
    ]);
  }

  loadStateDict(saved: ReadonlyMap<string, Tensor>): void {
    // All that can be refused is refused before anything is changed; the optimizer looks at all of its own first.
    requireFit(weightsOf(this.backbone, this.auxiliary, this.context), saved);
    this.#optimizer.loadStateDict(unprefixed("optimizer.", saved));
    this.backbone.loadStateDict(unprefixed("backbone.", saved));
    this.auxiliary?.loadStateDict(unprefixed("heads.", saved));
    this.context?.loadStateDict(unprefixed("contexts.", saved));
    // What was computed with other weights is not theirs.
    this.#cached?.dispose();
    this.#cached = null;
  }

  dispose(): void {
    this.#cached?.dispose();
    this.#replayed?.dispose();
    this.#optimizer.dispose();
    this.auxiliary?.dispose();
    this.context?.dispose();
    this.backbone.dispose();
  }
}

/** Nodes at the cuts between modules. */
function supplyFor(
  { backbone, inputShape, contextGenerator, precision }: RuleContext,
  settings: ContextSettings,
  modules: readonly LocalModule[],
): ContextSupply {
  const shapes = modules.slice(0, -1).map(({ shape }) => shape);
  const supply = new ContextSupply({ settings, shapes, image: inputShape, generator: contextGenerator });
  const device = deviceOf(backbone);
  if (device !== "cpu") supply.to({ device });
  return supply.usePrecision(precision);
}

/** What the projection of labels is called among modules. */
const LABELS = "labels";
