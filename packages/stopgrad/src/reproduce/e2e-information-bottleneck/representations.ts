// One comparison of ours: what the paper says of representations, held against every measure there is of them. Linear
// separability over depth (figure 1), dependence on the label against entanglement (theorem 4), the theorem's bound at every
// stage and epoch, and MINE beside nHSIC.
import { rise, spearmanRho } from "../../statistics/index.js";
import { above, below, check, combine, counted, level } from "../claims.js";
import { gapOf, levelOf } from "../comparisons.js";
import type { Found, Quantity } from "../found.js";
import type { Item } from "../paper.js";
import { saturation } from "../quantities.js";
import { epochs, images, seeds, smallestNhsic, smoke } from "../shrink.js";

const parts = ["lenet5", "resnet18"] as const;
const variants = ["e2e", "layer-wise"] as const;

/** Of ten classes. */
const CHANCE = 0.1;

/** Part of the probe's rise above chance, on test images, that is there after the first quarter of the stages. */
const early: Quantity = ({ probes }) =>
  probes.length === 0
    ? null
    : (rise(
        probes.map(({ test }) => test),
        CHANCE,
      )?.early ?? null);

/** Spearman's ρ of nHSIC(Y, Z) and the soft nearest neighbour loss over the epochs of each stage, mean of the stages. */
const againstEntanglement: Quantity = (run) => {
  const found = run.stages.flatMap((stage) => {
    const label = run.over("nhsicYZ", stage);
    const loss = new Map(run.over("snn", stage).map(({ epoch, value }) => [epoch, value]));
    const pairs = label.flatMap(({ epoch, value }) => (loss.has(epoch) ? [[value, loss.get(epoch)!] as const] : []));
    const correlation =
      pairs.length < 3
        ? Number.NaN
        : spearmanRho(
            pairs.map(([a]) => a),
            pairs.map(([, b]) => b),
          );
    return Number.isFinite(correlation) ? [correlation] : [];
  });
  return found.length === 0 ? null : found.reduce((sum, value) => sum + value, 0) / found.length;
};

/** Least of L − log C + (C / c) HSIC(Y, Z), in nats, over stages and epochs: below 0 the bound as the paper has it fails. */
const smallestMargin: Quantity = (run) => {
  const values = run.allStages.flatMap((stage) => run.over("margin", stage).map(({ value }) => value));
  return values.length === 0 ? null : Math.min(...values);
};

/** Part of the stages at which MINE's I(X; Z) and nHSIC(X, Z) differ between two variants in the same direction. */
function agreement(found: Found, part: string) {
  const names = found.stages(part, "e2e");
  const last =
    (key: string, stage: string): Quantity =>
    (run) =>
      run.over(key, stage).at(-1)?.value ?? null;
  const perStage = names.map((stage) =>
    combine(
      variants.flatMap((variant) => ["nhsicXZ", "mineXZ"].map((key) => found.of(part, variant, last(key, stage)))),
      (nhsicA, mineA, nhsicB, mineB) => Number(Math.sign(nhsicA! - nhsicB!) === Math.sign(mineA! - mineB!)),
    ),
  );
  return combine(perStage, (...agreed) => agreed.reduce((sum, one) => sum + one, 0) / agreed.length);
}

export const representations: Item = {
  id: "representations",
  title: "LeNet-5 and ResNet18, CIFAR-10: separability, entanglement, its bound, and MINE beside nHSIC (ours)",
  claim:
    "end to end, linear separability rises with depth, layer-wise it jumps early and stays; less nHSIC(Y, Z) goes with more entangled classes; the bound on the soft nearest neighbour loss holds at every stage and epoch; MINE moves as nHSIC does",
  parts: [
    {
      id: "lenet5",
      file: "representations-lenet5.yaml",
      smoke: smoke("colour", smallestNhsic, smallest()),
      small: [...images(20_000, 4000), ...constantRate(20)],
    },
    {
      id: "resnet18",
      file: "representations-resnet18.yaml",
      smoke: smoke("colour", "model.width=1", smallestNhsic, smallest()),
      small: [
        "model.width=8",
        ...images(10_000, 2000),
        ...constantRate(10),
        "observe.nhsic.batches=8",
        "observe.entanglement.images=500",
        "observe.probe.train=4000",
        "observe.knn.train=4000",
        "observe.geometry.images=1000",
        "observe.label-bound.images=1000",
        "observe.mine.images=1000",
      ],
    },
  ],
  hours: { small: 0.6, paper: 300 },
  judge(found) {
    const there = parts.filter((part) => found.has(part, "e2e"));
    const each = <R>(of: (part: string, variant: string) => R) =>
      there.flatMap((part) => variants.map((variant) => of(part, variant)));
    return [
      check(
        "separability rises more gradually end to end: less of it is reached after the first quarter of the stages",
        there.map((part) =>
          below(gapOf(found, part, "e2e", "layer-wise", "part of the probe's rise that is reached early", early), 0),
        ),
      ),
      check(
        "layer-wise saturates earlier",
        there.map((part) =>
          below(gapOf(found, part, "layer-wise", "e2e", "depth of saturation (0 first stage, 1 last)", saturation), 0),
        ),
      ),
      check(
        "less nHSIC(Y, Z) goes with more entanglement: their rank correlation over epochs is negative",
        each((part, variant) =>
          below(levelOf(found, part, variant, "rank correlation, mean of the stages", againstEntanglement), 0),
        ),
      ),
      check(
        "the bound holds at every stage and epoch: the loss is never below it, in any seed",
        each((part, variant) =>
          above(
            counted(`${part}: smallest loss less bound, nats, ${variant}`, found.of(part, variant, smallestMargin)),
            0,
          ),
        ),
      ),
      check(
        "MINE differs between end to end and layer-wise as nHSIC(X, Z) does: at more than half of the stages",
        there.map((part) => above(level(`${part}: part of the stages that agree`, agreement(found, part)), 0.5)),
      ),
    ];
  },
};

function constantRate(count: number): string[] {
  return [...epochs(count).slice(0, 1), "optimizer.schedule=null", "optimizer.learningRate=1e-3"];
}

function smallest(): string[] {
  return [
    "observe.probe.train=64",
    "observe.knn.train=64",
    ...["entanglement", "geometry", "label-bound", "mine"].map((name) => `observe.${name}.images=64`),
    "observe.mine.steps=5",
    "optimizer.schedule=null",
    ...seeds(1).slice(1),
  ];
}
