// How a network learns. A rule is given a backbone and a batch, and moves weights; what happens in between is its own.
import type { Generator, nn, Tensor } from "@stopgrad/torch";
import type { ContextSettings, ContextSupply } from "../contexts/index.js";
import type { Normalisation, TensorSet } from "../data/loader.js";
import type { Head } from "../heads/index.js";
import type { LocalLoss } from "../losses/index.js";
import type { Backbone, Precision } from "../models/index.js";
import type { OptimizerEntry, OptimizerSettings } from "../optimizers/index.js";
import type { WeightRange } from "../reconstruction/index.js";
import type { RegistryEntry } from "../registry.js";
import type { StepMemory } from "./step-memory.js";

type Options = Readonly<Record<string, unknown>>;

/** Images of the training set, V augmented views of each: row v·N + i is view v of image i. */
export interface Batch {
  /** `[V·N, C, H, W]`, normalised. */
  images: Tensor;
  /** int64 `[N]`. */
  labels: Tensor;
  /** int64 `[N]`: their places in the training set. */
  indices: Tensor;
}

export interface StepResult {
  /** Each module's loss on this batch, before the step, in the network's order; of those that were trained. */
  losses: readonly { readonly module: string; readonly loss: number }[];
  /** Loss of what predicts. */
  loss: number;
  /** Images of the batch that were classified right, before the step, a fraction where views disagree; null: nothing predicts. */
  correct: number | null;
}

/** A stretch of epochs in which the same parts are trained, with a learning-rate schedule of its own. */
export interface Phase {
  /** What is trained: a module's name, or `all`. */
  readonly name: string;
  /** Null: as many as the run's `epochs` says. */
  readonly epochs: number | null;
  /** At its beginning; null: the optimizer's. */
  readonly learningRate: number | null;
}

/** A network that is being trained by a rule. */
export interface LearningRule {
  readonly backbone: Backbone;
  /** What is trained beside the backbone and thrown away at inference: heads and decoders. Null when there is nothing. */
  readonly auxiliary: nn.Module | null;
  /** What is trained beside the backbone and stays: networks that bring modules context. Null when there is nothing. */
  readonly context: ContextSupply | null;
  /** Names of the gradient-isolated modules, first to last. */
  readonly moduleNames: readonly string[];
  /** Places, among the backbone's stages, of those in which modules end; absent where modules are not made of stages. */
  readonly moduleEnds?: readonly number[];
  /** What is trained, one after the other; one phase where everything learns at once. */
  readonly phases: readonly Phase[];
  /** Views of each image that a batch holds. */
  readonly views: 1 | 2;
  /**
   * Begins a phase, or goes on with it after a resume: called before its first step here.
   * @param breathe - called now and then during long work; what it throws ends it
   */
  enterPhase(at: number, breathe?: () => void): void;
  /**
   * One optimizer step on one batch, in training mode. The batch is on the backbone's device.
   * @param meanwhile - called when a GPU has been given all of the step's work, before its results are waited for: what
   *   the processor does here costs no time. It must not depend on the step, and is not called on the CPU
   */
  step(batch: Batch, meanwhile?: () => void): StepResult;
  /**
   * Normalised images `[N, C, H, W]` → what predicts, `[N, K]` float32, for evaluation: logits, or another score whose
   * largest is the prediction.
   */
  logits(images: Tensor): Tensor;
  /**
   * Normalised images `[N, C, H, W]` → what `read` makes of each stage's output, first to last, as the network computes
   * them when it predicts: what measures look at. An output is gone when `read` returns, and may not be returned itself.
   */
  readStages<R>(images: Tensor, read: (output: Tensor, at: number) => R): R[];
  setLearningRate(rate: number): void;
  /**
   * An epoch of the phase is over: called after its last step, once for every time its end is reached.
   * @param epochs - of the phase that are over, 1 after the first
   * @param breathe - called now and then during long work; what it throws ends it
   */
  endEpoch?(epochs: number, breathe: () => void): void;
  /** Which contexts each module is given, where some may have been taken out of use; by name. */
  contextPaths?(): { module: string; used: string[]; unused: string[] }[] | null;
  /** Watches the next step's memory. */
  watchMemory?(memory: StepMemory): void;
  /** Everything a resumed run needs, under `backbone.`, `heads.`, `contexts.` and `optimizer.`. */
  stateDict(): Map<string, Tensor>;
  /**
   * Copies saved state in; tensors under other prefixes are not looked at.
   * @throws TorchError when a tensor is missing, not known or of another shape; nothing is changed then
   */
  loadStateDict(saved: ReadonlyMap<string, Tensor>): void;
  dispose(): void;
}

/** Parts by name, and what stands beside the name. */
export interface Chosen<E> {
  readonly entry: E;
  readonly options: Options;
}

/** In what order modules learn. */
export interface Schedule {
  /**
   * `simultaneous`: all with every batch. `sequential`: one after the other, those below frozen. `asynchronous`: the same,
   * each on the outputs of the one below, computed once.
   */
  readonly name: "simultaneous" | "sequential" | "asynchronous";
  /**
   * Of what is frozen: `fixed`, it runs in evaluation mode; `moving`, in training mode, as in the released code of arXiv
   * 2402.09050, so that batch norm's running statistics drift and dropout goes on.
   */
  readonly statistics: "fixed" | "moving";
}

/** The term −weight · nHSIC(X, Z) of a module's loss (arXiv 2402.09050, eq. 11). */
export interface NhsicTerm {
  readonly weight: number;
  /** X: the network's input, or the module's. */
  readonly with: "input" | "module-input";
  /** Z: the module's output, or its head's, as in the released code. */
  readonly of: "output" | "head";
  readonly sigma: number;
  readonly epsilon: number;
}

/** The training images, without augmentation: for rules that look at all of them. */
export interface TrainingData {
  readonly set: TensorSet;
  readonly normalisation: Normalisation;
  /** Images to take at a time. */
  readonly batch: number;
  /** A folder for what is too large to be kept in memory; it may be deleted when the run is not training. */
  readonly scratch: string;
}

export interface RuleContext {
  /** On the device where the rule trains it; heads join it there. */
  backbone: Backbone;
  /** `[C, H, W]` of training images. */
  inputShape: readonly number[];
  classes: number;
  /** Of the backbone and the heads. */
  precision: Precision;
  /** How many stages each module holds; their sum is the number of stages above the frozen ones. */
  moduleSizes: readonly number[];
  /** Stages from the first that are not trained at all. */
  frozenStages: number;
  /**
   * Whether the last module is trained through the classifier, the classifier on its detached output, or the classifier
   * after everything else.
   */
  classifier: "attached" | "detached" | "after";
  /** Of the classifier that is trained after everything else. */
  format: { readonly epochs: number | null; readonly learningRate: number | null };
  schedule: Schedule;
  loss: Chosen<LocalLoss>;
  head: Chosen<Head>;
  nhsic: NhsicTerm | null;
  /** Weights of a decoder's error and of the label at each module with a local loss (arXiv 2101.10832); null: no decoders. */
  reconstruction: WeightRange | null;
  /**
   * Features of the input and of earlier modules that each module but the first is given; null: none. `recompute`: a
   * path's activations are computed again for its backward pass instead of being stored.
   */
  context: (ContextSettings & { readonly recompute: boolean }) | null;
  /** Into how many segments each module is cut, of which one has its activations in memory at a time; null: not at all. */
  segments: number | "square-root" | null;
  optimizer: { entry: OptimizerEntry; settings: OptimizerSettings };
  /** Initial values of heads. */
  headGenerator: Generator;
  /** Initial values of networks that bring context. */
  contextGenerator: Generator;
  /** What dropout's masks are drawn from. */
  dropoutGenerator: Generator;
  /** The CPU's draws during training, beside augmentation and dropout: negatives, tangents. Saved in checkpoints. */
  ruleGenerator: Generator;
  training: TrainingData;
}

/** What means nothing to a rule that knows no modules. */
export const NOT_PARTITIONED = [
  "partition",
  "reconstruction",
  "context",
  "match",
  "gradientCheckpointing",
  "parallel",
] as const;

/** A named rule. */
export interface Rule extends RegistryEntry {
  /** What of an experiment file means nothing to it: given, it is refused. */
  readonly ignores?: readonly (
    | "partition"
    | "classifier"
    | "schedule"
    | "loss"
    | "head"
    | "nhsic"
    | "reconstruction"
    | "context"
    | "match"
    | "gradientCheckpointing"
    | "parallel"
  )[];
  /** `[C, H, W]` of images → of what the network is built for; the same unless said. */
  inputShape?(options: Options, shape: readonly number[]): readonly number[];
  /** Whether training images have to be of the size of the data's; no unless said. */
  readonly oneImageSize?: boolean;
  /** The schedules it knows; all of them unless said. */
  readonly schedules?: readonly Schedule["name"][];
  create(options: Options, context: RuleContext): LearningRule;
}
