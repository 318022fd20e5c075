// What a stage's output h still tells, of the label and of the image, by what small networks can be trained to read from
// it: the curves by which InfoPro (arXiv 2101.10832) and Context Supply (arXiv 2312.07636) show what greedy modules lose.
//
//   I(h; y) ≥ H(y) − CE    CE: test cross-entropy of an auxiliary classifier trained on frozen h
//   I(h; x) ≥ H(x) − R     R: test error of a decoder trained on frozen h to give the image back; H(x) is not known
//
// The papers do not say how long they train them; images and epochs here are few, the same for every stage and run, so
// that curves can be compared. Both bounds are as loose as the networks are weak.
import {
  bceWithLogits,
  crossEntropy,
  enableGrad,
  Generator,
  nn,
  noGrad,
  optim,
  scope,
  type Tensor,
} from "@stopgrad/torch";
import { z } from "zod";
import { auxiliary } from "../heads/auxiliary.js";
import { ReconstructionDecoder } from "../reconstruction/index.js";
import {
  MeasureError,
  type StreamedBatch,
  type StreamedFit,
  type StreamedMeasure,
  type StreamedStage,
} from "./measure.js";

const positive = z.int().positive();

const options = z.strictObject({
  at: z.literal("end").default("end"),
  /** All; those in which modules end; or those in which so many equal modules would end, whatever the partition. */
  stages: z
    .union([z.enum(["all", "ends"]), positive])
    .default("all")
    .meta({ expected: "all, ends (of modules) or a number of equal modules" }),
  /** Training images used, drawn once for all; a number above what there is takes all. */
  train: positive.default(5000),
  /** Test images used, drawn once for all; null for all. */
  test: positive.nullable().default(null),
  batch: z.int().min(2).default(128),
  epochs: positive.default(10),
  /** Adam's at the beginning; it falls to 0 along a cosine. Both bounds are tighter than at 1e-3, in so few steps. */
  learningRate: z.number().positive().default(1e-2),
});

/** Initial values of classifiers and of decoders are the same for every stage, run and seed. */
const CLASSIFIER_SEED = 1;
const DECODER_SEED = 2;

/**
 * An auxiliary classifier (1c2f; of vectors two linear layers) and a decoder (InfoPro's; of vectors one linear layer),
 * trained with Adam on what a stage gives in evaluation mode for training images without augmentation, both scored on
 * test images:
 *
 * - `informationY`: H(y) − CE, in nats, at most ln K; below 0 where the classifier is worse than the labels' frequencies
 * - `informationAccuracy`: the classifier's accuracy, in [0, 1]
 * - `reconstructionError`: mean binary cross-entropy over pixels and channels of values in [0, 1], in nats. Its lowest is
 *   the mean entropy of the pixels themselves (0 only for black and white); constant features give that of the mean image
 *
 * Maps of one pixel are vectors; vectors are first normalised to mean 0 and deviation 1, so that their scale does not
 * matter (that of maps does not, behind a convolution and batch norm). Of tokens the classifier sees the class token, the
 * decoder the others, laid out as the map they were cut from where that is square.
 */
export const information: StreamedMeasure = {
  summary: "what each stage tells: of the label, by an auxiliary classifier on it; of the image, by a decoder on it",
  source: "InfoPro, arXiv 2101.10832; arXiv 2312.07636 (images and epochs ours)",
  options,
  kind: "streamed",
  sampled: false,
  keys: ["informationY", "informationAccuracy", "reconstructionError"],
  plan: (given) => options.parse(given),
  begin: (stage, given) => new InformationFit(stage, options.parse(given).learningRate),
};

class InformationFit implements StreamedFit {
  readonly #networks: Networks;
  readonly #optimizer: optim.Adam;
  readonly #labels: number[];
  #seen = 0;
  #correct = 0;
  #crossEntropy = 0;
  #error = 0;

  constructor(
    stage: StreamedStage,
    private readonly learningRate: number,
  ) {
    this.#networks = new Networks(stage);
    const networks = this.#networks.all;
    if (stage.device !== "cpu") for (const network of networks) network.to({ device: stage.device });
    const parameters = networks.flatMap((network) => network.parameters());
    this.#optimizer = new optim.Adam(parameters, { learningRate });
    this.#labels = Array<number>(stage.classes).fill(0);
  }

  learn(batch: StreamedBatch, done: number): void {
    this.#optimizer.learningRate = 0.5 * this.learningRate * (1 + Math.cos(Math.PI * done));
    if (batch.labels.size(0) < 2) return; // batch norm of one vector is undefined
    for (const network of this.#networks.all) network.train();
    enableGrad(() =>
      scope(() => {
        this.#optimizer.zeroGrad();
        const { logits, error } = this.#networks.read(batch);
        const loss = crossEntropy(logits, batch.labels).add(error);
        requireFinite(loss.item());
        loss.backward();
        this.#optimizer.step();
      }),
    );
  }

  score(batch: StreamedBatch): void {
    for (const network of this.#networks.all) network.eval();
    noGrad(() =>
      scope(() => {
        const count = batch.labels.size(0);
        const { logits, error } = this.#networks.read(batch);
        const [ofLabel, ofImage] = [crossEntropy(logits, batch.labels).item(), error.item()];
        requireFinite(ofLabel + ofImage);
        this.#seen += count;
        this.#crossEntropy += count * ofLabel;
        this.#error += count * ofImage;
        this.#correct += logits.argmax(1).eq(batch.labels).sum().item();
        for (const label of batch.labels.toNumbers()) this.#labels[label]! += 1;
      }),
    );
  }

  result() {
    const seen = this.#seen;
    return {
      informationY: entropyOf(this.#labels) - this.#crossEntropy / seen,
      informationAccuracy: this.#correct / seen,
      reconstructionError: this.#error / seen,
    };
  }

  dispose(): void {
    this.#optimizer.dispose();
    for (const network of this.#networks.all) network.dispose();
  }
}

/** The classifier and the decoder on one stage, and what makes their inputs of its output. */
class Networks {
  /** Of vectors. */
  readonly norm: nn.BatchNorm1d | null;
  readonly classifier: nn.Module;
  readonly decoder: ReconstructionDecoder | LinearDecoder;
  readonly #toMap: (output: Tensor) => Tensor;

  constructor({ shape, final, image, classes }: StreamedStage) {
    const isVector = shape.length === 1 || (shape.length === 3 && shape[1]! * shape[2]! === 1);
    const seen = isVector ? [shape[0]!] : shape;
    // Features are frozen, so that all batches tell their mean and deviation, not the last ones best.
    this.norm = isVector ? new nn.BatchNorm1d(shape[0]!, { affine: false, momentum: null }) : null;
    const generator = new Generator(CLASSIFIER_SEED);
    const head = { shape: seen, final, classes, outputs: "classes" as const, generator };
    this.classifier = auxiliary.create({ convLayers: 1, linearLayers: 2 }, head)!;
    const side = sideOf(shape);
    const map = side === null ? seen : [shape[1]!, side, side];
    this.#toMap = side === null ? (output) => output : (tokens) => laidOut(tokens, side);
    const ofDecoder = new Generator(DECODER_SEED);
    this.decoder =
      map.length === 3
        ? new ReconstructionDecoder(map, image, ofDecoder)
        : new LinearDecoder(sizeOf(map), sizeOf(image), ofDecoder);
  }

  get all(): nn.Module[] {
    return [...(this.norm ? [this.norm] : []), this.classifier, this.decoder];
  }

  /** Class scores `[N, K]`, and the mean error of the images, a scalar. */
  read({ output, pixels }: StreamedBatch): { logits: Tensor; error: Tensor } {
    return scope(() => {
      const features = this.#seen(output);
      const logits = this.classifier.forward(features);
      return { logits, error: this.decoder.loss(this.#toMap(features), pixels) };
    });
  }

  #seen(output: Tensor): Tensor {
    return this.norm ? this.norm.forward(output.flatten(1)) : output;
  }
}

/** Logits of all pixels as a linear function of features without places. */
class LinearDecoder extends nn.Module {
  readonly linear: nn.Linear;

  constructor(features: number, pixels: number, generator: Generator) {
    super();
    this.linear = new nn.Linear(features, pixels, { generator });
  }

  /** `[N, …]` → logits of all pixels `[N, C·H·W]`. */
  override forward(features: Tensor): Tensor {
    return scope(() => this.linear.forward(features.flatten(1)));
  }

  /** Mean binary cross-entropy. @param pixels - `[N, C, H, W]` in [0, 1] */
  loss(features: Tensor, pixels: Tensor): Tensor {
    return scope(() => bceWithLogits(this.forward(features), pixels.flatten(1)));
  }
}

/** Of the square map that tokens `[T, D]` without the first were cut from; null where there is none. */
function sideOf(shape: readonly number[]): number | null {
  const side = shape.length === 2 ? Math.sqrt(shape[0]! - 1) : Number.NaN;
  return side > 1 && Number.isInteger(side) ? side : null;
}

/** Tokens `[N, 1 + side², D]` without the first → `[N, D, side, side]`. */
function laidOut(tokens: Tensor, side: number): Tensor {
  const patches = tokens.narrow(1, 1, side * side).transpose(1, 2); // [N, D, side²]
  return patches.reshape([tokens.size(0), tokens.size(2), side, side]);
}

/** Of what occurs so often, in nats. */
function entropyOf(counts: readonly number[]): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return counts.reduce((sum, count) => (count === 0 ? sum : sum - (count / total) * Math.log(count / total)), 0);
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function requireFinite(value: number): void {
  if (!Number.isFinite(value)) throw new MeasureError("expected finite features, got NaN or infinity");
}
