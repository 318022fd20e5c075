// A backbone is an ordered list of stages: the smallest natural units of a network, each a point where training can be
// cut and representations measured. A model knows nothing of losses, heads or cuts.
import { type Generator, nn, noGrad, scope, type Tensor, zeros } from "@stopgrad/torch";
import type { RegistryEntry } from "../registry.js";
import { type DeviceKind, deviceOf, inPrecision, kindOf, layOutFor, type Precision } from "./precision.js";

/** `[C, H, W]` of an image, or `[D]` of a vector. */
export type FeatureShape = readonly number[];

/**
 * One unit of a backbone: named layers and how they follow each other. Its layers carry the backbone's state-dict names
 * (`conv1`, `layer1.0`), so that a checkpoint loads into the same network elsewhere.
 */
export class Stage extends nn.Module {
  constructor(
    readonly name: string,
    readonly parts: Readonly<Record<string, nn.Module>>,
    readonly body: (input: Tensor) => Tensor,
  ) {
    super();
  }

  override *namedChildren(): IterableIterator<[string, nn.Module]> {
    yield* Object.entries(this.parts);
  }

  /** See `Backbone.usePrecision`. */
  precision: Precision = "float32";
  deviceKind: DeviceKind = "cpu";

  /** In a scope of its own: what autograd does not need is freed at once. */
  override forward(input: Tensor): Tensor {
    return scope(() => inPrecision(this.precision, () => this.body(input), this.deviceKind));
  }
}

export class Backbone extends nn.Module {
  /**
   * @param stages - first to last; the output of each is a tap
   * @param classifier - from the last stage's output to logits `[N, K]`; null where the last stage gives logits itself
   */
  constructor(
    readonly stages: readonly Stage[],
    readonly classifier: Stage | null,
  ) {
    super();
  }

  override *namedChildren(): IterableIterator<[string, nn.Module]> {
    for (const stage of this.stages) yield* stage.namedChildren();
    if (this.classifier) yield* this.classifier.namedChildren();
  }

  /** Computes every stage, and so its output, in `precision` from now on, on the device it is on now. Returns itself. */
  usePrecision(precision: Precision): this {
    const deviceKind = kindOf(deviceOf(this));
    for (const stage of this.classifier ? [...this.stages, this.classifier] : this.stages) {
      stage.precision = precision;
      stage.deviceKind = deviceKind;
    }
    layOutFor(precision, this);
    return this;
  }

  /** Images `[N, C, H, W]`, normalised → logits `[N, K]`. */
  override forward(images: Tensor): Tensor {
    return forwardThrough(this.classifier ? [...this.stages, this.classifier] : this.stages, images);
  }
}

/** Stages one after the other; each output is let go as soon as the next one is there. `input` is left alone. */
export function forwardThrough(stages: readonly Stage[], input: Tensor): Tensor {
  return scope(() => {
    let features = input;
    for (const stage of stages) {
      const output = stage.forward(features);
      if (features !== input && features !== output) features.dispose();
      features = output;
    }
    return features;
  });
}

/**
 * The same, and what `read` makes of each stage's output, first to last. What it returns lives on; the output does not,
 * so that it may not be returned itself.
 * @param enter - what stage `at` is given of the output below it; it may return it as it is
 */
export function readThrough<R>(
  stages: readonly Stage[],
  input: Tensor,
  read: (output: Tensor, at: number) => R,
  enter: (features: Tensor, at: number) => Tensor = (features) => features,
): R[] {
  return scope(() => {
    let features = input;
    return stages.map((stage, at) => {
      const { output, found } = scope(() => {
        const output = stage.forward(enter(features, at));
        return { output, found: read(output, at) };
      });
      if (features !== input) features.dispose();
      features = output;
      return found;
    });
  });
}

/** What a model is built for. */
export interface BackboneContext {
  /** `[C, H, W]` of the images. */
  inputShape: readonly [channels: number, height: number, width: number];
  classes: number;
  /** Initial values, drawn stage by stage in the network's order. */
  generator: Generator;
  /** Masks of dropout during training. */
  dropoutGenerator: Generator;
}

/** A named backbone. `options` are what stands beside `model.name`. */
export interface Model extends RegistryEntry {
  /** Whether a classifier follows the stages; without one the last stage gives the class scores itself. */
  readonly hasClassifier: boolean;
  /** Whether it may be trained on images of another size than it is evaluated on; no unless said. */
  readonly anyImageSize?: boolean;
  /** How many stages, from the first, give feature maps `[C, H, W]`; those above, vectors or tokens. All unless said. */
  readonly mapStages?: number;
  /** Whether it cannot be trained on a batch of one image: batch norm of vectors. No unless said. */
  needsTwoImages?(options: Readonly<Record<string, unknown>>): boolean;
  /** Number of stages, known without building it. @throws Error when the model does not fit the images */
  stageCount(options: Readonly<Record<string, unknown>>, inputShape: readonly number[]): number;
  create(options: Readonly<Record<string, unknown>>, context: BackboneContext): Backbone;
}

/** Shape of each stage's output without the batch, found with one image of zeros in evaluation. */
export function stageShapes(backbone: Backbone, inputShape: readonly number[]): FeatureShape[] {
  const wasTraining = backbone.training;
  backbone.eval();
  try {
    return noGrad(() =>
      scope(() => {
        let features = zeros([1, ...inputShape], { device: deviceOf(backbone) });
        return backbone.stages.map((stage) => {
          features = stage.forward(features);
          return features.shape.slice(1);
        });
      }),
    );
  } finally {
    backbone.train(wasTraining);
  }
}
