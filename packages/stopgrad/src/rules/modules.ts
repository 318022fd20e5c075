// A partition made into modules: which stages each holds, and through what its loss sees their output.
import { crossEntropy, type nn, scope, type Tensor } from "@stopgrad/torch";
import { lastMapOf } from "../heads/head.js";
import type { LocalLossInput } from "../losses/index.js";
import { type Backbone, deviceOf, inPrecision, kindOf, type Stage, stageShapes } from "../models/index.js";
import { type LossWeights, ReconstructionDecoder, weightsOfModule } from "../reconstruction/index.js";
import type { RuleContext } from "./rule.js";

/** What a module's loss is given of a batch. */
export type ModuleBatch = Omit<LocalLossInput, "own" | "classes">;

/** Consecutive stages between two stop-gradients, and what its loss looks through. */
export interface LocalModule {
  readonly name: string;
  readonly stages: readonly Stage[];
  /** From the module's output to what the loss wants; null: the output itself. */
  readonly readout: { forward(hidden: Tensor): Tensor } | null;
  /** Whether the readout gives class scores. */
  readonly classifies: boolean;
  /** Cross-entropy where the classifier is the readout, else the local loss. */
  readonly loss: (batch: ModuleBatch) => Tensor;
  /** What its output is to tell of the images; null: nothing. */
  readonly decoder: Decoder | null;
  /** Shape of its output without the batch. */
  readonly shape: readonly number[];
}

/** A decoder and what its error counts beside the local loss: λ₁ · error + λ₂ · loss. */
export interface Decoder {
  readonly weights: LossWeights;
  /** Mean error of an output's images against pixels of 0 to 1, a scalar; null where it does not count. */
  readonly error: ((hidden: Tensor, pixels: Tensor) => Tensor) | null;
}

export interface Modules {
  readonly modules: readonly LocalModule[];
  /** What is trained on the last module's detached output; null where the last module predicts itself. */
  readonly classifier: Stage | null;
  /** Heads, and networks of losses' own, by name. */
  readonly networks: Map<string, nn.Module>;
}

/** @throws Error when a head does not fit a module's output */
export function buildModules(context: RuleContext): Modules {
  const { backbone, loss, head, precision, frozenStages } = context;
  const deviceKind = kindOf(deviceOf(backbone));
  const shapes = stageShapes(backbone, context.inputShape);
  const { stages, classifier, predicts } = predictorOf(backbone, context);
  const networks = new Map<string, nn.Module>();
  const sizes = sizesFor(context.moduleSizes, stages.length - frozenStages);
  const localModules = predicts ? sizes.length - 1 : sizes.length;
  let end = frozenStages;
  const modules = sizes.map((size, at): LocalModule => {
    const mine = stages.slice(end, end + size);
    end += size;
    const name = moduleName(mine, sizes.length === 1 && frozenStages === 0);
    const shape = shapes[end - 1]!;
    if (predicts && at === sizes.length - 1) {
      return {
        name,
        stages: mine,
        readout: backbone.classifier,
        classifies: true,
        loss: ({ output, labels }) => crossEntropy(output, labels),
        decoder: null,
        shape,
      };
    }
    const headContext = {
      shape,
      final: lastMapOf(shapes),
      classes: context.classes,
      outputs: loss.entry.outputs,
      generator: context.headGenerator,
    };
    const made = head.entry.create(head.options, headContext);
    const own = loss.entry.create?.(loss.options, headContext) ?? null;
    if (made) networks.set(name, made);
    if (own) networks.set(`${name}.loss`, own);
    const decoder = decoderOf(context, at, localModules, shape);
    if (decoder?.network) networks.set(`${name}.decoder`, decoder.network);
    return {
      name,
      stages: mine,
      readout: made && {
        forward: (hidden) => scope(() => inPrecision(precision, () => made.forward(hidden), deviceKind)),
      },
      classifies: loss.entry.classifies,
      loss: (batch) => loss.entry.compute(loss.options, withOwn(batch, own, context.classes)),
      decoder,
      shape,
    };
  });
  return { modules, classifier, networks };
}

/** The decoder of local module `at` of `localModules`. One whose error does not count has no network. */
function decoderOf(context: RuleContext, at: number, localModules: number, shape: readonly number[]) {
  if (!context.reconstruction) return null;
  const { first, last } = context.reconstruction;
  const weights = weightsOfModule(first, last, at, localModules + 1);
  if (weights.reconstruction === 0) return { weights, network: null, error: null };
  const network = new ReconstructionDecoder(shape, context.inputShape, context.headGenerator);
  const { precision, backbone } = context;
  const deviceKind = kindOf(deviceOf(backbone));
  const error = (hidden: Tensor, pixels: Tensor) =>
    inPrecision(precision, () => network.loss(hidden, pixels), deviceKind);
  return { weights, network, error };
}

/**
 * What predicts: the classifier, trained with the last module or apart from it; or the last stage, where it gives the
 * class scores itself. A loss that does not classify leaves that apart unless it is said to be attached.
 */
function predictorOf(backbone: Backbone, { loss, classifier }: RuleContext) {
  const { stages } = backbone;
  const attached = classifier === "attached";
  if (backbone.classifier) return { stages, classifier: attached ? null : backbone.classifier, predicts: attached };
  if (attached || loss.entry.classifies) return { stages, classifier: null, predicts: true };
  return { stages: stages.slice(0, -1), classifier: stages.at(-1)!, predicts: false };
}

/** Module sizes for the stages there are: where the last one was taken away, the last module is one smaller. */
function sizesFor(sizes: readonly number[], stages: number): number[] {
  const left = sizes.map((size, at) => (at === sizes.length - 1 ? size - (sum(sizes) - stages) : size));
  return left.filter((size) => size > 0);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** The batch with what the loss made for this module; lazily, because a conversion of `hidden` is made when asked for. */
function withOwn(batch: ModuleBatch, own: nn.Module | null, classes: number): LocalLossInput {
  return Object.create(batch, {
    own: { value: own },
    classes: { value: classes },
  }) as LocalLossInput;
}

/** A module of one stage has the stage's name; of several, the first's and the last's; the whole network is `network`. */
function moduleName(stages: readonly Stage[], isWhole: boolean): string {
  if (isWhole) return "network";
  const [first, last] = [stages[0]!.name, stages.at(-1)!.name];
  return first === last ? first : `${first}-${last}`;
}
