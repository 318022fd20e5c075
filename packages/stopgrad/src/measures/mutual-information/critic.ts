// Critics: small networks that score how well two samples go together, and how they are trained and valued. What they
// find is a lower bound only on samples that neither trained them nor decided when to stop, so that there are three parts:
// one trains; the other two, A and B, are looked at every now and then, B valued where A is best and A where B is best.
import {
  add,
  enableGrad,
  Generator,
  indexSelect,
  nn,
  optim,
  randint,
  randperm,
  relu,
  roll,
  scope,
  stack,
  type Tensor,
  zero_,
} from "@stopgrad/torch";
import { z } from "zod";
import type { Finding } from "../measure.js";
import { pairsOption } from "./pairs.js";
import type { Classes, View } from "./views.js";

/** Fewest samples: two to train, and two in each half of the others. */
export const SMALLEST_SAMPLE = 8;

/** Times that the samples held out are looked at during training; the first is before it, where every critic finds 0. */
const LOOKS = 20;

/** What both critics' measures can be told. */
export const criticOptions = {
  pairs: pairsOption,
  /** Units of each hidden layer. */
  hidden: z.int().positive().default(64),
  /** Of Adam. */
  steps: z.int().positive().default(800),
  /** Pairs a step; fewer where there are not so many samples. */
  batch: z.int().min(2).default(256),
  /** Adam's at the beginning; it falls to 0 along a cosine. */
  learningRate: z.number().positive().default(3e-3),
  /** Part of the samples that is held out from training: a half decides when to stop for the other. */
  heldOut: z.number().min(0.1).max(0.9).default(0.3),
  /** Of the split, the initial values and the batches. */
  seed: z.int().nonnegative().default(0),
};

export interface CriticSettings {
  readonly hidden: number;
  readonly steps: number;
  readonly batch: number;
  readonly learningRate: number;
  readonly heldOut: number;
  readonly seed: number;
}

/** Two variables, of which the first may be classes. */
export interface Pair {
  readonly x: View | Classes;
  readonly z: View;
}

/**
 * T(x, z) of a pair: two hidden layers on both together. The first layer is a sum of one for each, initialised by its own
 * number of features, so that ten classes are not lost beside thousands of features. 0 before training.
 */
export class JointCritic extends nn.Module {
  readonly ofX: nn.Linear;
  readonly ofZ: nn.Linear;
  readonly middle: nn.Linear;
  readonly last: nn.Linear;

  constructor(xFeatures: number, zFeatures: number, hidden: number, generator: Generator) {
    super();
    this.ofX = new nn.Linear(xFeatures, hidden, { generator });
    this.ofZ = new nn.Linear(zFeatures, hidden, { generator });
    this.middle = new nn.Linear(hidden, hidden, { generator });
    this.last = zeroed(new nn.Linear(hidden, 1, { generator }));
  }

  /** `[N, D]` and `[N, E]` → `[N]`: of each x with its own z. */
  override forward(x: Tensor, z: Tensor): Tensor {
    return this.#score(this.ofX.forward(x), this.ofZ.forward(z));
  }

  /** `[N]` of each x with its own z, and `[S · N]` of each x with the z that come `shifts` (S numbers) before its own. */
  withOthers(x: Tensor, z: Tensor, shifts: readonly number[]): { joint: Tensor; product: Tensor } {
    const [ofX, ofZ] = [this.ofX.forward(x), this.ofZ.forward(z)]; // [N, hidden]
    const others = stack(
      shifts.map((shift) => roll(ofZ, [shift], [0])),
      0,
    ); // [S, N, hidden]
    return { joint: this.#score(ofX, ofZ), product: this.#score(ofX, others).reshape([-1]) };
  }

  #score(ofX: Tensor, ofZ: Tensor): Tensor {
    return this.last.forward(relu(this.middle.forward(relu(add(ofX, ofZ))))).select(-1, 0);
  }
}

/** T(x, z) = f(x) · g(z) of all pairs of a batch; two networks with one hidden layer. 0 before training. */
export class SeparableCritic extends nn.Module {
  readonly f: nn.Sequential;
  readonly g: nn.Sequential;

  constructor(xFeatures: number, zFeatures: number, hidden: number, generator: Generator) {
    super();
    const last = new nn.Linear(hidden, hidden, { generator });
    this.f = new nn.Sequential(new nn.Linear(xFeatures, hidden, { generator }), new nn.ReLU(), last);
    const zero = zeroed(new nn.Linear(hidden, hidden, { generator }));
    this.g = new nn.Sequential(new nn.Linear(zFeatures, hidden, { generator }), new nn.ReLU(), zero);
  }

  /** `[N, D]` and `[N, E]` → `[N, N]`, x along the rows. */
  override forward(x: Tensor, z: Tensor): Tensor {
    return this.f.forward(x).matmul(this.g.forward(z).t());
  }
}

/** Weights and biases 0. */
function zeroed(layer: nn.Linear): nn.Linear {
  for (const parameter of layer.parameters()) zero_(parameter.detach());
  return layer;
}

/** What a kind of critic is trained for, and what it is worth. */
export interface CriticKind<C extends nn.Module> {
  create(xFeatures: number, zFeatures: number, hidden: number, generator: Generator): C;
  /** What falls in training, on a batch of pairs: `[N, D]` and `[N, E]` → `[]`. */
  loss(critic: C, x: Tensor, z: Tensor): Tensor;
  /** The bound on pairs held out, nats. */
  value(critic: C, x: Tensor, z: Tensor): Finding;
}

/**
 * Trains a critic and gives its bound on samples held out. Of `heldOut` of the samples two halves A and B are valued at
 * the beginning and 20 times after; the result is the mean of A's value where B's was highest and of B's where A's was.
 * So no half is valued by a critic that it helped to choose; an estimate that never leaves 0 stays 0.
 * Cost: `steps` of a batch, and memory of a batch of both variables, beside the critic.
 */
export function fitCritic<C extends nn.Module>(pair: Pair, settings: CriticSettings, kind: CriticKind<C>): Finding {
  const { device } = pair.z.rows;
  const generator = new Generator(settings.seed);
  const critic = scope(() => kind.create(pair.x.features, pair.z.features, settings.hidden, generator));
  if (device !== "cpu") critic.to({ device });
  const optimizer = new optim.Adam(critic.parameters(), { learningRate: settings.learningRate });
  try {
    return scope(() => {
      const order = randperm(pair.z.count, { generator });
      const { training, halves } = partsOf(pair.z.count, settings.heldOut);
      const held = halves.map(({ start, length }) => {
        const index = order.narrow(0, start, length).to({ device });
        return { x: pair.x.take(index), z: pair.z.take(index) };
      });
      const look = () => scope(() => held.map(({ x, z }) => kind.value(critic, x, z)));
      const looks = [look()];
      const batch = Math.min(settings.batch, training);
      for (let step = 0; step < settings.steps; step++) {
        optimizer.learningRate = 0.5 * settings.learningRate * (1 + Math.cos((Math.PI * step) / settings.steps));
        scope(() => {
          const drawn = randint(0, training, [batch], { generator, dtype: "int64" });
          const index = indexSelect(order, 0, drawn).to({ device });
          const [x, z] = [pair.x.take(index), pair.z.take(index)];
          optimizer.zeroGrad();
          enableGrad(() => kind.loss(critic, x, z)).backward();
          optimizer.step();
        });
        const part = ((step + 1) * LOOKS) / settings.steps;
        if (Math.floor(part) > Math.floor((step * LOOKS) / settings.steps)) looks.push(look());
      }
      return chosen(looks);
    });
  } finally {
    optimizer.dispose();
    critic.dispose();
    generator.dispose();
  }
}

/** Samples in each of the two halves held out. At least two are left to train on: of 8 samples 0.9 leave 2 · 3. */
export function halfHeldOut(count: number, heldOut: number): number {
  return Math.min(Math.max(2, Math.round((count * heldOut) / 2)), Math.floor((count - 2) / 2));
}

/** How many samples train, and where the halves held out lie behind them. */
function partsOf(count: number, heldOut: number) {
  const half = halfHeldOut(count, heldOut);
  const training = count - 2 * half;
  return {
    training,
    halves: [
      { start: training, length: half },
      { start: training + half, length: half },
    ],
  };
}

/** The mean of each half's finding where the other's was highest, and the terms of both. */
function chosen(looks: readonly Finding[][]): Finding {
  const best = (half: number) =>
    looks.reduce((best, look) => (look[half]!.value > best[half]!.value ? look : best), looks[0]!);
  const [a, b] = [best(1)[0]!, best(0)[1]!];
  const value = (a.value + b.value) / 2;
  return a.terms && b.terms ? { value, terms: Float64Array.of(...a.terms, ...b.terms) } : { value };
}
