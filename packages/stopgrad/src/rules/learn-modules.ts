// How consecutive modules learn from a batch: each one's context, forward pass, loss and backward pass, one after the other,
// so that one module's activations are alive at a time. What learns when, and with which weights a step is taken, is the
// rule's (partitioned.ts).
import { crossEntropy, noGrad, scope, stack, type Tensor } from "@stopgrad/torch";
import type { ContextSupply, History } from "../contexts/index.js";
import { nhsic } from "../measures/nhsic.js";
import { nhsicTerm } from "../measures/nhsic-gradient.js";
import { deviceOf, forwardThrough, kindOf, type Stage } from "../models/index.js";
import { type LossWeights, toPixels } from "../reconstruction/index.js";
import { sendThrough } from "./label-signals.js";
import type { LocalModule } from "./modules.js";
import type { ModulePhase } from "./phases.js";
import { cutIntoSegments, RecomputedPass, usualSegments } from "./recomputed.js";
import type { Batch, RuleContext } from "./rule.js";
import type { MemoryPart, StepMemory } from "./step-memory.js";
import { correctIn, inFull } from "./weights.js";

/** A loss of a batch, or the number of right answers: read at once on the CPU, a float32 scalar on a GPU. */
export type Reading = number | Tensor;

/** Numbers of readings; those on a GPU, all or none, in one transfer. */
export function read(readings: readonly Reading[]): number[] {
  const tensors = readings.filter((reading) => typeof reading !== "number");
  return tensors.length === 0 ? (readings as number[]) : stack(tensors, 0).toNumbers();
}

/** What a module's learning starts from, beside the batch. */
interface Given {
  /** Which module. */
  readonly at: number;
  /** What the module before gives, behind a stop-gradient. */
  readonly features: Tensor;
  readonly history: History | null;
  readonly signals: Tensor | null;
  readonly inputFactor: Tensor | null;
  /** The images as pixels of 0 to 1, for decoders. */
  readonly pixels: Tensor | null;
  readonly hasTerm: boolean;
}

/** A module's input, and the way back of its gradient into the networks that brought context. */
interface Entry {
  readonly features: Tensor;
  /** Whether `backward` has to be given the gradient with respect to `features`. */
  readonly wanted: boolean;
  backward(gradient: Tensor | null): void;
}

/** Of a module without a decoder. */
const LABEL_ALONE: LossWeights = { reconstruction: 0, label: 1 };

/** The parts of a partitioned rule that its modules learn with. */
export class ModuleLearning {
  /** Watches the step in progress. */
  memory: StepMemory | null = null;
  readonly #onGpu: boolean;

  /**
   * @param classifier - trained on the last module's detached output; null where there is none apart from it
   * @param views - of each image in a batch
   */
  constructor(
    private readonly context: RuleContext,
    private readonly modules: readonly LocalModule[],
    private readonly classifier: Stage | null,
    private readonly supply: ContextSupply | null,
    private readonly views: 1 | 2,
  ) {
    this.#onGpu = kindOf(deviceOf(context.backbone)) === "cuda";
  }

  /**
   * Gradients of modules `from` to before `end`, and of a classifier beside the last one.
   * @param before - what is there in front of them; its features and signals are freed
   * @param losses - each module's is added
   * @returns what the last module gives, and right answers where something predicted
   */
  learn(
    batch: Batch,
    { from, end, classifier }: Pick<ModulePhase, "from" | "end" | "classifier">,
    before: Pick<Given, "features" | "history" | "signals">,
    losses: Reading[],
  ): { features: Tensor; correct: Reading | null } {
    const { images, labels } = batch;
    const { history } = before;
    let { features, signals } = before;
    let correct: Reading | null = null;
    const hasTerm = this.context.nhsic !== null && images.size(0) > 1; // of one image it is 0
    const inputFactor = hasTerm && this.context.nhsic?.with === "input" ? this.#nhsicFactor(images) : null;
    const pixels = this.context.reconstruction && toPixels(images, this.context.training.normalisation);
    for (let at = from; at < end; at++) {
      const given = { at, features, history, signals, inputFactor, pixels, hasTerm };
      const found = this.#watched(at, () => this.#one(batch, given));
      losses.push(found.loss);
      correct = found.correct;
      if (features !== images) features.dispose();
      signals?.dispose();
      features = found.output;
      signals = found.signals;
    }
    if (classifier) {
      const logits = inFull(this.classifier!.forward(features));
      const repeated = this.#ofEachView(labels);
      const loss = crossEntropy(logits, repeated);
      loss.backward();
      losses.push(this.reading(loss));
      correct = this.reading(correctIn(logits, repeated));
    }
    return { features, correct };
  }

  /** One module's forward pass, loss and backward pass. */
  #one({ images, labels }: Batch, given: Given) {
    const { at, features, history, signals, inputFactor, pixels, hasTerm } = given;
    const module = this.modules[at]!;
    const measured = <R>(part: MemoryPart, body: () => R) => this.memory?.part(part, body) ?? body();
    return scope(() => {
      const entry = measured("context", () => this.#enter(at, features, history));
      const pass = measured("activations", () => this.#through(module, entry.features, entry.wanted));
      const { hidden } = pass;
      const { weights, error } = module.decoder ?? { weights: LABEL_ALONE, error: null };
      const sent = signals && measured("activations", () => sendThrough(module.stages, signals));
      const looked = measured("head", () => {
        const seen = module.readout ? module.readout.forward(hidden) : hidden;
        const local = module.loss({
          output: inFull(seen),
          labels: module.classifies ? this.#ofEachView(labels) : labels,
          views: this.views,
          get hidden() {
            return inFull(hidden);
          },
          images,
          signals: sent && { input: signals!, output: inFull(sent) },
        });
        return { seen, local: weights.label === 1 ? local : local.mul(weights.label) };
      });
      let loss = looked.local;
      if (error) loss = measured("decoder", () => loss.add(error(hidden, pixels!).mul(weights.reconstruction)));
      if (hasTerm) {
        const partner = inputFactor ?? entry.features.detach();
        loss = measured("head", () => loss.sub(this.#nhsicTerm(hidden, looked.seen, partner)));
      }
      loss.backward();
      entry.backward(pass.backward());
      if (at > 0) history?.push(entry.features.detach());
      return {
        loss: this.reading(loss),
        correct: module.classifies ? this.reading(correctIn(looked.seen, this.#ofEachView(labels))) : null,
        output: hidden.detach(),
        signals: sent?.detach() ?? null,
      };
    });
  }

  /** Watches a module's memory where that was asked for. */
  #watched<R>(at: number, body: () => R): R {
    return this.memory?.module(this.modules[at]!.name, body) ?? body();
  }

  /** What module `at` is given of the output of the one before it. */
  #enter(at: number, features: Tensor, history: History | null): Entry {
    const node = history && at > 0 ? this.supply!.nodes[at - 1]! : null;
    if (!node) return { features, wanted: false, backward() {} };
    if (this.context.context!.recompute) {
      const entry = node.forwardOver(features, history!);
      const wanted = node.learns;
      return {
        features: entry,
        wanted,
        backward: (gradient) => gradient && node.backward(features, history!, gradient),
      };
    }
    const entry = node.forward(features, history!);
    const wanted = entry.requiresGrad && this.context.segments !== null;
    return { features: entry, wanted, backward: (gradient) => gradient && entry.backward({ gradient }) };
  }

  /**
   * A module's stages, and what their backward pass leaves to do after the loss's.
   * @param wanted - whether the gradient with respect to `input` is asked for
   */
  #through({ stages }: LocalModule, input: Tensor, wanted: boolean): { hidden: Tensor; backward(): Tensor | null } {
    const { segments, dropoutGenerator } = this.context;
    const count = segments === "square-root" ? usualSegments(stages.length) : (segments ?? 1);
    if (count === 1 && !wanted) return { hidden: forwardThrough(stages, input), backward: () => null };
    const pass = new RecomputedPass(cutIntoSegments(stages, count), dropoutGenerator);
    return { hidden: pass.forward(input, wanted), backward: () => pass.backward() };
  }

  /** Labels `[V·N]` of all rows. */
  #ofEachView(labels: Tensor): Tensor {
    return this.views === 1 ? labels : labels.repeat([this.views]);
  }

  /** The factor of nHSIC of what a term compares with. */
  #nhsicFactor(values: Tensor): Tensor {
    const { sigma, epsilon } = this.context.nhsic!;
    return noGrad(() => nhsic.factor(inFull(values), { sigma, epsilon }));
  }

  /** weight · nHSIC(X, Z), in float32. @param other - a factor of the input, or the module's own input */
  #nhsicTerm(hidden: Tensor, seen: Tensor, other: Tensor): Tensor {
    const { weight, of, sigma, epsilon, with: partner } = this.context.nhsic!;
    const factor = partner === "input" ? other : this.#nhsicFactor(other);
    const value = nhsicTerm(inFull(of === "output" ? hidden : seen), factor, { sigma, epsilon });
    return value.to("float32").mul(weight);
  }

  /** A scalar as it is told: on a GPU reading waits, so that it is done once for all. */
  reading(scalar: Tensor): Reading {
    return this.#onGpu ? scalar.detach().to("float32") : scalar.item();
  }
}
