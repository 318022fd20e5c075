// What a module is trained on: a function of its head's output and the labels, and of what else it says it needs.
import type { nn, Tensor } from "@stopgrad/torch";
import type { HeadContext } from "../heads/head.js";
import type { RegistryEntry } from "../registry.js";

type Options = Readonly<Record<string, unknown>>;

/** The label stream of signal propagation at one module: class signals, sent through the same stages as the images. */
export interface Signals {
  /** What entered the module for each image of the batch, `[N, …]`, detached: S_{l−1}. One-hot `[N, K]` at the entry. */
  readonly input: Tensor;
  /** What left it, `[N, …]` of the output's shape: S_l. */
  readonly output: Tensor;
}

/**
 * One module on one batch. With V views there are V·N rows, view by view: row v·N + i is view v of image i. Tensors are
 * float32.
 */
export interface LocalLossInput {
  /** What the head makes of the module's output, `[V·N, outputs]` or a map; the output itself where there is no head. */
  readonly output: Tensor;
  /** int64 `[N]`, 0 to classes − 1. */
  readonly labels: Tensor;
  readonly classes: number;
  /** V. */
  readonly views: number;
  /** The module's output, `[V·N, …]`. */
  readonly hidden: Tensor;
  /** The network's input, `[V·N, C, H, W]`. */
  readonly images: Tensor;
  /** Null unless the loss propagates labels. */
  readonly signals: Signals | null;
  /** What `create` made for this module. */
  readonly own: nn.Module | null;
}

/** A named local loss. `options` are what stands beside `objective.loss.name`. */
export interface LocalLoss extends RegistryEntry {
  /** Whether head outputs are class scores; then the last module needs no head, the classifier is its head. */
  readonly classifies: boolean;
  /** Names of the heads it works with, its default first. */
  readonly heads: readonly string[];
  /** What a head has to give: class scores, or as many features as it gets. */
  readonly outputs: "classes" | "features";
  /** Augmented copies of each image that it compares; 1 unless said. */
  views?(options: Options): 1 | 2;
  /** It compares images with labels that run through the same stages (signal propagation). */
  readonly propagatesLabels?: boolean;
  /** Whether a CUDA graph can hold it; false where it reads numbers in between. True unless said. */
  readonly recordable?: boolean;
  /** Networks of its own beside the head, one for each module, trained with it and thrown away after. */
  create?(options: Options, context: HeadContext): nn.Module | null;
  /** Scalar, differentiable, finite for finite input: degenerate batches have documented values. */
  compute(options: Options, input: LocalLossInput): Tensor;
}
