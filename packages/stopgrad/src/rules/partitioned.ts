// End-to-end, block-wise and layer-wise training are one algorithm with a different partition (arXiv 2402.09050, eqs. 1
// and 2; arXiv 2312.07636, greedy local learning).
//
// The backbone's stages are cut into modules. A batch walks through them: a module's forward, its local loss, its
// backward at once, and its output goes on behind a stop-gradient. Only one module's activations are alive at a time.
// One optimizer step follows for all: activations were computed with the weights before it, so that stepping module by
// module would give the same.
//
// On a GPU a step only starts work; its losses are read once, after the optimizer's step, because reading waits.
import { crossEntropy, nn, type optim, scope, stack, type Tensor, TorchError } from "@stopgrad/torch";
import { z } from "zod";
import {
  type Backbone,
  deviceOf,
  forwardThrough,
  inPrecision,
  kindOf,
  type Stage,
  stageShapes,
} from "../models/index.js";
import { Replayed, recordOnGpu } from "./replayed.js";
import type { Batch, LearningRule, Rule, RuleContext, StepResult } from "./rule.js";

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

/** Consecutive stages between two stop-gradients, and what its loss looks through. */
interface LocalModule {
  readonly name: string;
  readonly stages: readonly Stage[];
  /** From the module's output to what the loss wants; null: the output itself. */
  readonly readout: { forward(hidden: Tensor): Tensor } | null;
  /** Cross-entropy where the classifier is the readout, else the local loss. */
  readonly loss: (output: Tensor, labels: Tensor) => Tensor;
}

/** Heads by module name, under PyTorch's way of naming children. */
class Heads extends nn.Module {
  constructor(readonly byModule: ReadonlyMap<string, nn.Module>) {
    super();
  }

  override *namedChildren(): IterableIterator<[string, nn.Module]> {
    for (const [name, head] of this.byModule) yield [name.replaceAll(".", "_"), head];
  }

  override forward(): Tensor {
    throw new Error("heads have no forward of their own");
  }
}

/** A loss of a batch, or the number of right answers: read at once on the CPU, a float32 scalar on a GPU. */
type Reading = number | Tensor;

/** What a pass over all modules finds, in the network's order. */
interface Readings {
  readonly losses: readonly Reading[];
  readonly correct: Reading;
}

class PartitionedRule implements LearningRule {
  readonly backbone: Backbone;
  readonly auxiliary: nn.Module | null;
  readonly moduleNames: readonly string[];
  readonly #modules: readonly LocalModule[];
  /** The classifier, when it is trained on the last module's detached output. */
  readonly #detachedClassifier: Stage | null;
  readonly #optimizer: optim.Optimizer;
  /** Names of what has a loss, in the order of `Readings.losses`. */
  readonly #lossNames: readonly string[];
  readonly #onGpu: boolean;
  /** Null where steps are computed afresh. */
  readonly #replayed: Replayed<Readings> | null;

  constructor(context: RuleContext, graph: boolean) {
    const { backbone, loss, head, precision } = context;
    this.backbone = backbone.usePrecision(precision);
    const device = deviceOf(backbone);
    const deviceKind = kindOf(device);
    this.#onGpu = deviceKind === "cuda";
    const shapes = stageShapes(backbone, context.inputShape);
    const localLoss = (output: Tensor, labels: Tensor) => loss.entry.compute(loss.options, { output, labels });

    // The last module predicts: through its own logits, or through the classifier attached to it.
    const attached = backbone.classifier === null || (context.classifier === "attached" && loss.entry.classifies);
    this.#detachedClassifier = attached ? null : backbone.classifier;

    const heads = new Map<string, nn.Module>();
    let end = 0;
    this.#modules = context.moduleSizes.map((size, at) => {
      const stages = backbone.stages.slice(end, end + size);
      end += size;
      const name = moduleName(stages, context.moduleSizes.length);
      const isLast = at === context.moduleSizes.length - 1;
      if (isLast && attached) return { name, stages, readout: backbone.classifier, loss: crossEntropy };
      const made = head.entry.create(head.options, {
        shape: shapes[end - 1]!,
        outputs: context.classes,
        generator: context.headGenerator,
      });
      if (made && this.#onGpu) made.to({ device });
      if (made) heads.set(name, made);
      const readout = made && {
        forward: (hidden: Tensor) => inPrecision(precision, () => made.forward(hidden), deviceKind),
      };
      return { name, stages, readout, loss: localLoss };
    });
    this.moduleNames = this.#modules.map((module) => module.name);
    this.auxiliary = heads.size > 0 ? new Heads(heads) : null;
    this.#optimizer = context.optimizer.entry.create(context.optimizer.settings, [
      ...backbone.parameters(),
      ...(this.auxiliary?.parameters() ?? []),
    ]);
    const classifierName = this.#detachedClassifier?.name;
    this.#lossNames = classifierName === undefined ? this.moduleNames : [...this.moduleNames, classifierName];
    this.#replayed =
      graph && this.#onGpu
        ? new Replayed((batch) => this.#passes(batch), this.#optimizer.parameters, recordOnGpu(device))
        : null;
  }

  step(batch: Batch, meanwhile?: () => void): StepResult {
    this.backbone.train();
    this.auxiliary?.train();
    return scope(() => {
      const readings = this.#replayed ? this.#replayed.run(batch) : this.#passes(batch);
      this.#optimizer.step();
      if (this.#onGpu) meanwhile?.();
      const values = read([...readings.losses, readings.correct]);
      const losses = this.#lossNames.map((module, at) => ({ module, loss: values[at]! }));
      return { losses, loss: losses.at(-1)!.loss, correct: values.at(-1)! };
    });
  }

  /** Every module's forward and backward pass: the gradients of a step. */
  #passes({ images, labels }: Batch): Readings {
    this.#optimizer.zeroGrad();
    const losses: Reading[] = [];
    let correct: Reading = 0;
    return scope(() => {
      let features = images;
      for (const [at, module] of this.#modules.entries()) {
        const predicts = at === this.#modules.length - 1 && this.#detachedClassifier === null;
        const { output, ...found } = scope(() => {
          const hidden = forwardThrough(module.stages, features);
          const seen = module.readout ? module.readout.forward(hidden) : hidden;
          const loss = module.loss(inFull(seen), labels);
          loss.backward();
          return {
            loss: this.#reading(loss),
            correct: predicts ? this.#reading(correctIn(seen, labels)) : 0,
            output: hidden.detach(),
          };
        });
        losses.push(found.loss);
        if (predicts) correct = found.correct;
        if (features !== images) features.dispose();
        features = output;
      }
      const classifier = this.#detachedClassifier;
      if (classifier) {
        const logits = inFull(classifier.forward(features));
        const loss = crossEntropy(logits, labels);
        loss.backward();
        losses.push(this.#reading(loss));
        correct = this.#reading(correctIn(logits, labels));
      }
      return { losses, correct };
    });
  }

  #reading(scalar: Tensor): Reading {
    return this.#onGpu ? scalar.detach().to("float32") : scalar.item();
  }

  logits(images: Tensor): Tensor {
    return scope(() => inFull(this.backbone.forward(images)));
  }

  setLearningRate(rate: number): void {
    this.#optimizer.learningRate = rate;
  }

  stateDict(): Map<string, Tensor> {
    return new Map([...this.#weights(), ...prefixed("optimizer.", this.#optimizer.stateDict())]);
  }

  #weights(): Map<string, Tensor> {
    return new Map([
      ...prefixed("backbone.", this.backbone.stateDict()),
      ...prefixed("heads.", this.auxiliary?.stateDict() ?? new Map()),
    ]);
  }

  loadStateDict(saved: ReadonlyMap<string, Tensor>): void {
    // All that can be refused is refused before anything is changed; the optimizer looks at all of its own first.
    requireFit(this.#weights(), saved);
    this.#optimizer.loadStateDict(unprefixed("optimizer.", saved));
    this.backbone.loadStateDict(unprefixed("backbone.", saved));
    this.auxiliary?.loadStateDict(unprefixed("heads.", saved));
  }

  dispose(): void {
    this.#replayed?.dispose();
    this.#optimizer.dispose();
    this.auxiliary?.dispose();
    this.backbone.dispose();
  }
}

/** A module of one stage has the stage's name; of several, the first's and the last's; the whole network is `network`. */
function moduleName(stages: readonly Stage[], modules: number): string {
  if (modules === 1) return "network";
  const [first, last] = [stages[0]!.name, stages.at(-1)!.name];
  return first === last ? first : `${first}-${last}`;
}

/** What losses are taken of: sums over classes and the batch need float32. */
function inFull(seen: Tensor): Tensor {
  return seen.dtype === "float32" ? seen : seen.to("float32");
}

/** How many rows of `[N, K]` have their largest entry at the label. */
export function countCorrect(logits: Tensor, labels: Tensor): number {
  return scope(() => correctIn(logits, labels).item());
}

/** The same as an int64 scalar. */
function correctIn(logits: Tensor, labels: Tensor): Tensor {
  return logits.argmax(1).eq(labels).sum();
}

/** Numbers of readings; those on a GPU, all or none, in one transfer. */
function read(readings: readonly Reading[]): number[] {
  const tensors = readings.filter((reading) => typeof reading !== "number");
  return tensors.length === 0 ? (readings as number[]) : stack(tensors, 0).toNumbers();
}

/**
 * Whether saved weights are those of this backbone and these heads.
 * @throws TorchError naming what is missing, what is not known, or the first tensor of another shape
 */
function requireFit(mine: ReadonlyMap<string, Tensor>, saved: ReadonlyMap<string, Tensor>): void {
  const missing = [...mine.keys()].filter((name) => !saved.has(name));
  const known = (name: string) => mine.has(name) || !/^(backbone|heads)\./.test(name);
  const unexpected = [...saved.keys()].filter((name) => !known(name));
  const parts = [
    ...(missing.length > 0 ? [`missing ${missing.join(", ")}`] : []),
    ...(unexpected.length > 0 ? [`unexpected ${unexpected.join(", ")}`] : []),
  ];
  if (parts.length > 0) throw new TorchError(`the saved state does not fit this rule: ${parts.join("; ")}`);
  for (const [name, { shape }] of mine) {
    const source = saved.get(name)!;
    if (source.isDisposed) throw new TorchError(`the saved ${name} was disposed`);
    if (source.shape.join() !== shape.join()) {
      throw new TorchError(
        `the saved state does not fit this rule: expected ${name} [${shape.join(", ")}], got [${source.shape.join(", ")}]`,
      );
    }
  }
}

function prefixed(prefix: string, state: ReadonlyMap<string, Tensor>): [string, Tensor][] {
  return Array.from(state, ([name, tensor]) => [prefix + name, tensor]);
}

function unprefixed(prefix: string, state: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  const mine = [...state].filter(([name]) => name.startsWith(prefix));
  return new Map(mine.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}
