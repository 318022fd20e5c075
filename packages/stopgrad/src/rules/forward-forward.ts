// Forward-Forward (Hinton, arXiv 2212.13345), in the form and with the modifications of arXiv 2402.09050: no error is sent
// back between blocks. Each sees images with their right label written in, for which its activations are to be strong, and
// with a wrong one, for which they are to be weak.
//
// A block is one stage of the backbone, the classifier being the last: its input scaled to length 1, so that it cannot read
// the strength below it, the stage, a ReLU (which changes nothing where the stage ends in one). Its goodness G is the mean
// of the squared activations of a sample, and its loss the mean over the 2N values of softplus(θ − G) for the right label
// and softplus(G − θ) for the wrong one. A label is predicted by writing in each of them and adding up the goodness.
//
// Both kinds of images go through a stage in one batch of 2N rows: batch norm in a stage sees them together. Blocks are
// trained with the weights from before the step throughout. Measures of stages see the stages one after the other on plain
// images, that is without a label and without the scaling between blocks.
import {
  Buffer,
  cat,
  crossEntropy,
  nn,
  noGrad,
  relu,
  scope,
  softplus,
  stack,
  type Tensor,
  zeros,
} from "@stopgrad/torch";
import { z } from "zod";
import { type Backbone, deviceOf, kindOf, readThrough, type Stage, stageShapes } from "../models/index.js";
import { BlockOptimizers } from "./block-optimizers.js";
import {
  createLabelEmbedding,
  embeddedShape,
  type LabelEmbedding,
  type LabelImages,
  labelEmbeddings,
  mixesFeatures,
  negativeChoices,
  negativeLabels,
} from "./label-embedding.js";
import {
  type Batch,
  type LearningRule,
  NOT_PARTITIONED,
  type Phase,
  type Rule,
  type RuleContext,
  type StepResult,
} from "./rule.js";
import { Auxiliary, correctIn, inFull, requireFit, unprefixed, weightsOf } from "./weights.js";

/** Weight and momentum: Hinton's, as in the field's re-implementations. */
const peerNormalisation = z.strictObject({
  weight: z.number().positive().default(0.03),
  momentum: z.number().min(0).lt(1).default(0.9),
});

/** The linear classifier's, unless said: as many epochs as the run, and Adam's usual rate. */
const LINEAR_DEFAULTS = { epochs: null, learningRate: 1e-3 } as const;

const options = z
  .strictObject({
    /** How a label is written into an image. */
    embedding: z.enum(labelEmbeddings).default("top-left"),
    /** `wrong`: of the other classes; `permuted`: the batch's labels in random order, as in the released code. */
    negatives: z.enum(negativeChoices).default("wrong"),
    /** Where the label is mixed in: into the input, or into what reaches the block that is trained, image and prototype
     * having gone through the blocks below apart from each other (the paper's second modification). */
    mixing: z.enum(["input", "block"]).default("input"),
    /** Of the squared activations of a sample: their mean, or their sum as Hinton has it. */
    goodness: z.enum(["mean", "sum"]).default("mean"),
    /** θ. Unless said 2 for the mean; for the sum each block's number of activations. */
    threshold: z.number().positive().optional(),
    /** Keeps units alike active on average: adds weight · mean (m̄ − m)², m their running means over right labels. */
    peerNormalisation: peerNormalisation.nullable().default(null),
    /** The goodness summed over blocks, or a linear classifier on the activations of the blocks after the first. */
    prediction: z.enum(["goodness", "linear"]).default("goodness"),
    /** Leaves the first block's goodness out of the prediction. */
    skipFirst: z.boolean().default(false),
    /** Of the linear classifier, which learns last: null epochs are as many as the run's. */
    linear: z
      .strictObject({
        epochs: z.int().positive().nullable().default(LINEAR_DEFAULTS.epochs),
        learningRate: z.number().positive().default(LINEAR_DEFAULTS.learningRate),
      })
      .prefault({}),
  })
  .superRefine(({ embedding, mixing, prediction, skipFirst, linear }, context) => {
    const refuse = (key: string, message: string) => context.addIssue({ code: "custom", path: [key], message });
    if (mixing === "block" && !mixesFeatures(embedding)) {
      refuse("mixing", `${embedding} changes the image itself, not features: use mixing: input, or another embedding`);
    }
    if (prediction === "linear" && skipFirst) {
      refuse("skipFirst", "it concerns a prediction by goodness; the linear classifier never sees the first block");
    }
    // Settings that come back written out in full hold the defaults, whatever predicts.
    const { epochs, learningRate } = LINEAR_DEFAULTS;
    if (prediction === "goodness" && (linear.epochs !== epochs || linear.learningRate !== learningRate)) {
      refuse("linear", "without a linear classifier it changes nothing: add prediction: linear, or leave it out");
    }
  });
type Options = z.output<typeof options>;

export const forwardForward: Rule = {
  summary: "each stage learns to be active for images with their label written in, and not for those with a wrong one",
  source: "arXiv 2212.13345; arXiv 2402.09050, appendix",
  options,
  ignores: [...NOT_PARTITIONED, "classifier", "loss", "head", "nhsic"],
  schedules: ["simultaneous", "sequential"],
  oneImageSize: true, // prototypes are images of the data
  inputShape: (given, shape) => embeddedShape(options.parse(given).embedding, shape),
  create: (given, context) => new ForwardForwardRule(context, options.parse(given)),
};

/** One stage that learns by its own goodness. */
interface Block {
  readonly name: string;
  readonly stage: Stage;
  /** Activations of a sample. */
  readonly size: number;
  readonly threshold: number;
  /** Null without peer normalisation. */
  readonly peers: PeerActivity | null;
}

/** Blocks `from` to before `end` are trained, those before `from` frozen; or the linear classifier. */
interface BlockPhase extends Phase {
  readonly from: number;
  readonly end: number;
  readonly linear: boolean;
}

/** Bytes of activations that a prediction may hold at about, which decides how many images it takes at a time. */
const PREDICTION_BYTES = 2 ** 27;
/** Name of the phase, and of the loss, of the linear classifier. */
const LINEAR = "linear";

class ForwardForwardRule implements LearningRule {
  readonly backbone: Backbone;
  readonly auxiliary: nn.Module | null;
  readonly context = null;
  readonly moduleNames: readonly string[];
  readonly phases: readonly BlockPhase[];
  readonly views = 1;
  readonly #context: RuleContext;
  readonly #options: Options;
  readonly #blocks: readonly Block[];
  readonly #embedding: LabelEmbedding;
  readonly #classifier: nn.Linear | null;
  readonly #optimizers: BlockOptimizers;
  /** Images of which all labels are predicted at a time. */
  readonly #imagesAtOnce: number;
  readonly #onGpu: boolean;
  /** Null before the first one begins: then everything predicts, as at the end. */
  #phase: BlockPhase | null = null;

  constructor(context: RuleContext, given: Options) {
    const { backbone, classes, precision, schedule, training } = context;
    if (schedule.name === "asynchronous") {
      throw new Error(
        "forward-forward draws new negatives for every batch, so that outputs cannot be computed once; use sequential",
      );
    }
    if (given.negatives === "wrong" && classes < 2) {
      throw new Error(`forward-forward needs two classes to have wrong labels, got ${classes}`);
    }
    this.#context = context;
    this.#options = given;
    this.backbone = backbone.usePrecision(precision);
    const device = deviceOf(backbone);
    this.#onGpu = kindOf(device) === "cuda";
    this.#blocks = blocksOf(context, given);
    const largest = Math.max(...this.#blocks.map(({ size }) => size));
    this.#imagesAtOnce = Math.max(1, Math.floor(PREDICTION_BYTES / (4 * classes * largest)));
    this.#classifier = given.prediction === "linear" ? linearOn(this.#blocks, context) : null;
    const networks = new Map<string, nn.Module>(
      this.#blocks.flatMap(({ name, peers }) => (peers ? [[name, peers] as const] : [])),
    );
    if (this.#classifier) networks.set(LINEAR, this.#classifier);
    if (this.#onGpu) for (const network of networks.values()) network.to({ device });
    this.auxiliary = networks.size > 0 ? new Auxiliary(networks) : null;
    this.moduleNames = this.#blocks.map(({ name }) => name);
    this.phases = this.#plan();
    const learning = this.#blocks.slice(context.frozenStages).map(({ name, stage }) => [name, stage] as const);
    this.#optimizers = new BlockOptimizers(
      context.optimizer,
      new Map<string, nn.Module>([...learning, ...(this.#classifier ? [[LINEAR, this.#classifier] as const] : [])]),
    );
    this.#embedding = createLabelEmbedding(given.embedding, { training, classes, generator: context.ruleGenerator });
  }

  #plan(): BlockPhase[] {
    const count = this.#blocks.length;
    const usual = { epochs: null, learningRate: null, linear: false };
    const { schedule, frozenStages } = this.#context;
    const blocks: BlockPhase[] =
      schedule.name === "simultaneous"
        ? [{ name: "all", from: frozenStages, end: count, ...usual }]
        : this.#blocks
            .map(({ name }, at) => ({ name, from: at, end: at + 1, ...usual }))
            .filter(({ from }) => from >= frozenStages);
    const { epochs, learningRate } = this.#options.linear;
    const last = { name: LINEAR, from: count, end: count, epochs, learningRate, linear: true };
    return this.#classifier ? [...blocks, last] : blocks;
  }

  enterPhase(at: number): void {
    this.#phase = this.phases[at]!;
    this.#optimizers.zeroGrad(); // gradients of what is frozen from now on need not be kept
  }

  /** `correct` is null while blocks learn: to predict takes all K labels, K times the work of a step's forward pass. */
  step(batch: Batch, meanwhile?: () => void): StepResult {
    const phase = this.#phase ?? this.phases[0]!;
    this.#setModes(phase);
    return scope(() => {
      const names = phase.linear ? [LINEAR] : this.moduleNames.slice(phase.from, phase.end);
      const { losses, correct } = phase.linear ? this.#classifierPass(batch) : this.#blockPasses(batch, phase);
      this.#optimizers.step(names);
      if (this.#onGpu) meanwhile?.();
      const values = stack(correct ? [...losses, correct.to("float32")] : losses, 0).toNumbers();
      const found = names.map((module, i) => ({ module, loss: values[i]! }));
      return {
        losses: found,
        loss: found.reduce((sum, { loss }) => sum + loss, 0) / found.length,
        correct: correct ? values.at(-1)! : null,
      };
    });
  }

  #setModes(phase: BlockPhase): void {
    this.backbone.train();
    this.auxiliary?.train();
    const { frozenStages, schedule } = this.#context;
    const fixed = schedule.statistics === "fixed" ? phase.from : frozenStages;
    for (const { stage } of this.#blocks.slice(0, fixed)) stage.eval();
  }

  /** Forward and backward pass of every block that the phase trains; their losses, detached scalars. */
  #blockPasses({ images, labels }: Batch, { from, end }: BlockPhase): Readings {
    const { classes, ruleGenerator } = this.#context;
    this.#optimizers.zeroGrad();
    return scope(() => {
      const negatives = negativeLabels(labels, classes, this.#options.negatives, ruleGenerator);
      const written = noGrad(() => this.#embedding.forStep(images, stack([labels, negatives], 0)));
      const stream = this.#streamOf(images, written);
      const losses: Tensor[] = [];
      for (const [at, block] of this.#blocks.slice(0, end).entries()) {
        const trained = at < from ? null : this.#train(block, stream);
        if (trained) losses.push(trained.loss);
        if (at + 1 < end) stream.pass(block, trained?.output ?? null);
      }
      return { losses, correct: null };
    });
  }

  /** A block's forward and backward pass for `[2N, …]` rows, those with right labels first. */
  #train(block: Block, stream: Stream): { loss: Tensor; output: Tensor } {
    return scope(() => {
      const hidden = activate(block, stream.rows());
      const loss = forwardForwardLoss(this.#goodness(hidden), block.threshold);
      const { peers } = block;
      const total = peers ? loss.add(peers.term(hidden.narrow(0, 0, hidden.size(0) / 2))) : loss;
      total.backward();
      return { loss: total.detach(), output: hidden.detach() };
    });
  }

  /** `[M, …]` → `[M]`. */
  #goodness(hidden: Tensor): Tensor {
    const squares = hidden.square().flatten(1);
    return this.#options.goodness === "mean" ? squares.mean([1]) : squares.sum([1]);
  }

  #classifierPass({ images, labels }: Batch): Readings {
    this.#optimizers.zeroGrad();
    return scope(() => {
      const logits = this.#classifier!.forward(noGrad(() => this.#activations(images)));
      const loss = crossEntropy(logits, labels);
      loss.backward();
      return { losses: [loss.detach()], correct: correctIn(logits, labels) };
    });
  }

  /**
   * What the linear classifier sees: activations of the blocks after the first (of the only one) for images with a label
   * that says nothing, each block's scaled to a mean square of 1, `[N, D]`.
   */
  #activations(images: Tensor): Tensor {
    return scope(() => {
      const [first, end] = [firstSeen(this.#blocks), this.#blocks.length];
      const scaled = ({ size }: Block, hidden: Tensor) => unit(hidden).flatten(1).mul_(Math.sqrt(size));
      return cat(this.#walk(images, this.#embedding.neutral(), first, end, scaled), 1);
    });
  }

  /**
   * Sends images with labels up to before block `end`.
   * @param see - what is wanted of a block's activations `[G·N, …]`, asked from block `first` on
   */
  #walk(
    images: Tensor,
    labels: LabelImages,
    first: number,
    end: number,
    see: (block: Block, hidden: Tensor) => Tensor,
  ): Tensor[] {
    return scope(() => {
      const stream = this.#streamOf(images, labels);
      const seen: Tensor[] = [];
      for (const [at, block] of this.#blocks.slice(0, end).entries()) {
        const hidden = at >= first ? activate(block, stream.rows()) : null;
        if (hidden) seen.push(scope(() => see(block, hidden)));
        if (at + 1 < end) stream.pass(block, hidden);
      }
      return seen;
    });
  }

  #streamOf(images: Tensor, labels: LabelImages): Stream {
    return this.#options.mixing === "input"
      ? new LabelledStream(this.#embedding, images, labels)
      : new SeparateStream(this.#embedding, images, labels);
  }

  /**
   * Goodness of each label, summed over blocks: `[N, K]`, each label's images in the same batch; or the linear classifier's
   * logits. While blocks are trained one after the other, those that have begun to learn predict.
   */
  logits(images: Tensor): Tensor {
    return noGrad(() =>
      scope(() => {
        const phase = this.#phase ?? this.phases.at(-1)!;
        if (phase.linear) return this.#classifier!.forward(this.#activations(images));
        const parts = images.split(this.#imagesAtOnce, 0).map((part) => this.#scores(part, phase.end));
        return parts.length === 1 ? parts[0]! : cat(parts, 0);
      }),
    );
  }

  #scores(images: Tensor, end: number): Tensor {
    return scope(() => {
      const first = this.#options.skipFirst && end > 1 ? 1 : 0;
      const goodness = (_: Block, hidden: Tensor) => this.#goodness(hidden);
      const found = this.#walk(images, this.#embedding.forPrediction(), first, end, goodness); // each [K·N]
      return stack(found, 0).sum([0]).view([this.#context.classes, -1]).t().contiguous(); // [N, K]
    });
  }

  /** The stages one after the other on the images alone; with a label that says nothing where channels are added. */
  readStages<R>(images: Tensor, read: (output: Tensor, at: number) => R): R[] {
    const mixed = this.#options.embedding.endsWith("2channel");
    const input = mixed ? noGrad(() => scope(() => this.#embedding.mix(images, this.#embedding.neutral()))) : images;
    try {
      return readThrough(this.backbone.stages, input, read);
    } finally {
      if (mixed) input.dispose();
    }
  }

  setLearningRate(rate: number): void {
    this.#optimizers.setLearningRate(rate);
  }

  stateDict(): Map<string, Tensor> {
    return new Map([...weightsOf(this.backbone, this.auxiliary), ...this.#optimizers.stateDict()]);
  }

  loadStateDict(saved: ReadonlyMap<string, Tensor>): void {
    // All that can be refused is refused before anything is changed.
    requireFit(weightsOf(this.backbone, this.auxiliary), saved);
    this.#optimizers.loadStateDict(saved);
    this.backbone.loadStateDict(unprefixed("backbone.", saved));
    this.auxiliary?.loadStateDict(unprefixed("heads.", saved));
  }

  dispose(): void {
    this.#embedding.dispose();
    this.#optimizers.dispose();
    this.auxiliary?.dispose();
    this.backbone.dispose();
  }
}

/** Losses of what a step trains, in order, and the number of right answers where there are any: detached scalars. */
interface Readings {
  readonly losses: readonly Tensor[];
  readonly correct: Tensor | null;
}

/**
 * The mean over 2N goodness values `[2N]`, those of right labels first, of softplus(θ − G) for a right label and
 * softplus(G − θ) for a wrong one; a scalar, at least 0.
 */
export function forwardForwardLoss(goodness: Tensor, threshold: number): Tensor {
  return scope(() => {
    const half = goodness.size(0) / 2;
    const above = goodness.sub(threshold);
    return softplus(cat([above.narrow(0, 0, half).neg(), above.narrow(0, half, half)], 0)).mean();
  });
}

/** Each sample scaled to length 1: x / (‖x‖ + 1e-4), all dimensions but the first taken as one. */
export function unit(input: Tensor): Tensor {
  return scope(() => {
    const dims = input.shape.map((_, at) => at).slice(1);
    return input.div(input.norm(dims, { keepDim: true }).add_(1e-4));
  });
}

/** A block's activations for rows `[M, …]`, float32. */
function activate(block: Block, rows: Tensor): Tensor {
  return scope(() => relu(inFull(block.stage.forward(unit(rows)))));
}

/** What goes up through the blocks. It lives in the scope where it was made. */
interface Stream {
  /** What the next block gets: rows with labels in them, `[G·N, …]`. */
  rows(): Tensor;
  /**
   * Goes past a block, without gradients.
   * @param output - what it made of the rows, detached, where that is known; taken over
   */
  pass(block: Block, output: Tensor | null): void;
}

/** Labels are mixed into the input, and go through the blocks within it. */
class LabelledStream implements Stream {
  #rows: Tensor;

  constructor(embedding: LabelEmbedding, images: Tensor, labels: LabelImages) {
    this.#rows = noGrad(() => embedding.mix(images, labels));
  }

  rows(): Tensor {
    return this.#rows;
  }

  pass(block: Block, output: Tensor | null): void {
    const next = output ?? noGrad(() => activate(block, this.#rows));
    this.#rows.dispose();
    this.#rows = next;
  }
}

/** Images and prototypes go through the blocks apart from each other, side by side in one batch, and are mixed for each. */
class SeparateStream implements Stream {
  /** Of this stream's own making, to be freed. */
  #own: readonly Tensor[] = [];

  constructor(
    private readonly embedding: LabelEmbedding,
    private images: Tensor,
    private labels: LabelImages,
  ) {}

  rows(): Tensor {
    return noGrad(() => this.embedding.mix(this.images, this.labels));
  }

  pass(block: Block, output: Tensor | null): void {
    output?.dispose();
    const { which } = this.labels;
    const [count, prototypes] = [this.images.size(0), this.labels.rows.size(0)];
    const both = noGrad(() => scope(() => activate(block, cat([this.images, this.labels.rows], 0))));
    for (const tensor of this.#own) tensor.dispose();
    this.images = both.narrow(0, 0, count);
    this.labels = { rows: both.narrow(0, count, prototypes), which };
    this.#own = [both, this.images, this.labels.rows];
  }
}

/** Running means of how active units are for right labels, and the pull that makes them alike. */
class PeerActivity extends nn.Module {
  /** `[units]`: channels of maps, else features. What they all start with changes nothing. */
  readonly runningMean: Buffer;

  constructor(
    units: number,
    private readonly settings: z.output<typeof peerNormalisation>,
  ) {
    super();
    this.runningMean = scope(() => new Buffer(zeros([units])));
  }

  /** weight · mean over units of (m̄ − m)² for activations `[N, units, …]`, and moves the running means. */
  term(hidden: Tensor): Tensor {
    const { weight, momentum } = this.settings;
    return scope(() => {
      const dims = hidden.shape.map((_, at) => at).filter((at) => at !== 1);
      const active = hidden
        .mean(dims)
        .mul(1 - momentum)
        .add(this.runningMean.mul(momentum));
      noGrad(() => this.runningMean.copy_(active.detach()));
      return active.sub(active.mean()).square().mean().mul(weight);
    });
  }

  override forward(): Tensor {
    throw new Error("peer normalisation is a term of a loss, not a layer");
  }
}

/** The stages, and the classifier as the last block. */
function blocksOf({ backbone, inputShape }: RuleContext, given: Options): Block[] {
  const network = embeddedShape(given.embedding, inputShape);
  const shapes = [...stageShapes(backbone, network)];
  const stages = [...backbone.stages];
  if (backbone.classifier) {
    const { classifier } = backbone;
    stages.push(classifier);
    shapes.push(outputShape(backbone, network));
  }
  return stages.map((stage, at) => {
    const shape = shapes[at]!;
    const size = shape.reduce((product, side) => product * side, 1);
    const threshold = given.threshold ?? (given.goodness === "mean" ? 2 : size);
    const peers = given.peerNormalisation && new PeerActivity(shape[0]!, given.peerNormalisation);
    return { name: stage.name, stage, size, threshold, peers };
  });
}

/** Shape of the backbone's output without the batch. */
function outputShape(backbone: Backbone, inputShape: readonly number[]): readonly number[] {
  const wasTraining = backbone.training;
  backbone.eval();
  try {
    return noGrad(() =>
      scope(() => backbone.forward(zeros([1, ...inputShape], { device: deviceOf(backbone) })).shape.slice(1)),
    );
  } finally {
    backbone.train(wasTraining);
  }
}

/** The first block whose activations the linear classifier sees. */
function firstSeen(blocks: readonly Block[]): number {
  return blocks.length > 1 ? 1 : 0;
}

function linearOn(blocks: readonly Block[], { classes, headGenerator }: RuleContext): nn.Linear {
  const features = blocks.slice(firstSeen(blocks)).reduce((sum, { size }) => sum + size, 0);
  return new nn.Linear(features, classes, { generator: headGenerator });
}
