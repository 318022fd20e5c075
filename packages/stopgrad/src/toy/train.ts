// One run of the toy: gradient descent on all points at once, and what is seen on the way.
//
// The network is z = W x, then a layer of 16 ReLU units with a linear classifier. Layer-wise, W learns from a head of its
// own, and the second layer from sg[z] at the same time; end to end, W learns from the second layer's loss. A ReLU head on
// z and the second layer are the same function, so `mlp` is what end-to-end training of W is, from another start; what
// `linear` changes is the head's form alone.
import { drawToyData, type ToyData } from "./data.js";
import { ToyGenerator } from "./generator.js";
import { LinearToyHead, ReluToyHead, score, type ToyHead } from "./heads.js";
import { countedInformation } from "./information.js";
import { type Matrix2, singularValues, squaredNorm } from "./matrix.js";
import { type ToyRule, type ToySettings, toyStarts } from "./settings.js";

/** What is seen at a step. */
export interface ToySnapshot {
  /** Steps taken; 0 is the start. */
  readonly step: number;
  /** W row by row, `[4]`. */
  readonly weights: readonly number[];
  /** Of W, the larger first. */
  readonly singularValues: readonly [number, number];
  /** Of what W learns from: its own head, or the network's output. */
  readonly loss: number;
  /** In [0, 1], of the same. */
  readonly headAccuracy: number;
  /** In [0, 1], of the network's output, after the second layer. */
  readonly networkAccuracy: number;
  /** Nats; by counting. */
  readonly informationXZ: number;
  /** Nats; by counting. */
  readonly informationYZ: number;
}

/** One network, trained by one rule from one seed. */
export interface ToyRun {
  readonly rule: ToyRule;
  readonly seed: number;
  readonly snapshots: readonly ToySnapshot[];
}

/** The weights grew without bound: the step is too large. */
export class ToyDivergedError extends Error {
  override readonly name = "ToyDivergedError";
}

/** ‖W‖² above this is divergence: with a step that is not too large it stays below 10. */
const largestSquaredNorm = 1e8;

/** Part of all steps at which runs are compared: 0, 1000, 5000, 10,000 and 20,000 of 20,000. */
export function comparedSteps(steps: number): number[] {
  return unique([0, steps / 20, steps / 4, steps / 2, steps].map(Math.round));
}

/** The same, and 30 a decade, evenly on a logarithmic axis. */
export function recordedSteps(steps: number): number[] {
  const decades = Math.log10(steps);
  const between = Array.from({ length: Math.ceil(30 * decades) }, (_, i) => Math.round(10 ** (i / 30)));
  return unique([...comparedSteps(steps), ...between.filter((step) => step <= steps)]);
}

function unique(steps: readonly number[]): number[] {
  return [...new Set(steps)].sort((a, b) => a - b);
}

/** Points of a seed: the same for every rule. */
export function toyDataOf(settings: ToySettings, seed: number): ToyData {
  return drawToyData(settings.points, seed);
}

/**
 * Trains one network by one rule from one seed. Rules share points, W's start and the second layer's start.
 *
 * W ← W − η (∂L/∂W + 2 λ W), or + 4 λ (‖W‖² − c) W for the quadratic penalty; everything else by ∂L alone.
 *
 * @param settings - checked by `checkToySettings`
 * @throws ToyDivergedError where the step is too large
 */
export function trainToy(rule: ToyRule, seed: number, settings: ToySettings): ToyRun {
  const { steps, learningRate } = settings;
  const data = toyDataOf(settings, seed);
  const deviation = toyStarts[settings.start];
  const weights = new ToyGenerator(seed, "firstLayer").normals(4, deviation);
  const network = new Learner(new ReluToyHead(new ToyGenerator(seed, "secondLayer")));
  const own = rule === "e2e" ? network : new Learner(headOf(rule, seed, deviation));

  const wanted = new Set(recordedSteps(steps));
  const snapshots: ToySnapshot[] = [];
  for (let step = 0; step <= steps; step++) {
    if (!(squaredNorm(weights) <= largestSquaredNorm)) throw diverged(rule, seed, step, settings);
    if (wanted.has(step)) snapshots.push(snapshot(step, data, weights, own.head, network.head));
    if (step === steps) break;
    // Both gradients first: W, its head and the second layer move at the same time.
    own.look(data, weights);
    if (network !== own) network.look(data, weights);
    const pull = penaltyPull(weights, settings);
    for (let k = 0; k < 4; k++) weights[k]! -= learningRate * (own.ofWeights[k]! + pull * weights[k]!);
    own.move(learningRate);
    if (network !== own) network.move(learningRate);
  }
  return { rule, seed, snapshots };
}

/** The penalty's gradient is this times W. */
export function penaltyPull(
  weights: Matrix2,
  settings: Pick<ToySettings, "penalty" | "lambda" | "squaredNorm">,
): number {
  const { penalty, lambda } = settings;
  return penalty === "lagrangian" ? 2 * lambda : 4 * lambda * (squaredNorm(weights) - settings.squaredNorm);
}

/** A head with its gradients. */
class Learner {
  readonly ofWeights = new Float64Array(4);
  readonly #own: Float64Array;

  constructor(readonly head: ToyHead) {
    this.#own = new Float64Array(head.parameters.length);
  }

  look(data: ToyData, weights: Matrix2): void {
    this.head.gradient(data, weights, this.#own, this.ofWeights);
  }

  move(learningRate: number): void {
    const { parameters } = this.head;
    for (let k = 0; k < parameters.length; k++) parameters[k]! -= learningRate * this.#own[k]!;
  }
}

function headOf(rule: "linear" | "mlp", seed: number, deviation: number): ToyHead {
  return rule === "linear"
    ? new LinearToyHead(new ToyGenerator(seed, "linearHead"), deviation)
    : new ReluToyHead(new ToyGenerator(seed, "mlpHead"));
}

function snapshot(step: number, data: ToyData, weights: Matrix2, own: ToyHead, network: ToyHead): ToySnapshot {
  const { loss, accuracy } = score(data, weights, own);
  const information = countedInformation(data, weights);
  return {
    step,
    weights: [...weights],
    singularValues: singularValues(weights),
    loss,
    headAccuracy: accuracy,
    networkAccuracy: own === network ? accuracy : score(data, weights, network).accuracy,
    informationXZ: information.x,
    informationYZ: information.y,
  };
}

function diverged(rule: ToyRule, seed: number, step: number, { learningRate, lambda }: ToySettings): ToyDivergedError {
  return new ToyDivergedError(
    `toy: the weights grew without bound (${rule}, seed ${seed}, step ${step}): the learning rate ${learningRate} is too ` +
      `large for lambda ${lambda}; choose a smaller one of either`,
  );
}
