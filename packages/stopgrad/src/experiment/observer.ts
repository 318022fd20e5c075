// Takes measures of a network's stages on a fixed set of images: the same images, batches and order for every epoch,
// stage and variant, in evaluation mode and without augmentation, so that all that changes is the network.
import { cat, keep, noGrad, scope, type Tensor } from "@stopgrad/torch";
import { type Normalisation, slice, type TensorSet } from "../data/loader.js";
import { batchMean, type MeasureName, measures, type PairMeasure, type ProbeMeasure } from "../measures/index.js";
import type { LearningRule } from "../rules/index.js";
import { DEFAULT_BATCHES, type ObserveSettings, optionsOf, type SampleSettings } from "./run-settings.js";

export interface StageMeasurement {
  stage: string;
  /** `nhsicXZ`, `nhsicYZ` and so on: measure, then what it was taken between. */
  key: string;
  /** Mean over batches. */
  value: number;
  standardError: number | null;
}

/** The run's images, as observers see them. */
export interface ObservedData {
  train: TensorSet;
  test: TensorSet;
  normalisation: Normalisation;
  classes: number;
}

export interface Observer {
  /** Measures every stage; the network is back in its mode afterwards. @throws Error naming the stage that has NaN */
  observe(rule: LearningRule): StageMeasurement[];
  dispose(): void;
}

export function createObserver(name: MeasureName, when: ObserveSettings, data: ObservedData): Observer {
  const measure = measures[name];
  const options = optionsOf(measure, when);
  if (measure.kind === "probe") return new ProbeObserver(measure, options, data);
  const { batch, batches, split } = when as unknown as SampleSettings;
  const sample = { set: data[split], batch, batches: batches ?? DEFAULT_BATCHES, normalisation: data.normalisation };
  return new PairObserver(name, measure, options, sample);
}

/** Runs `body` in evaluation mode, without gradients. */
function evaluating<R>(rule: LearningRule, body: () => R): R {
  const wasTraining = rule.backbone.training;
  rule.backbone.eval();
  try {
    return noGrad(body);
  } finally {
    rule.backbone.train(wasTraining);
  }
}

/** Images a forward pass takes at a time when representations are collected. */
const COLLECTED_AT_ONCE = 500;

/** A probe fitted on the training images and scored on both splits, stage by stage, from one forward pass. */
class ProbeObserver implements Observer {
  constructor(
    private readonly measure: ProbeMeasure,
    private readonly options: Readonly<Record<string, unknown>>,
    private readonly data: ObservedData,
  ) {}

  observe(rule: LearningRule): StageMeasurement[] {
    return scope(() => {
      const { train, test, classes } = this.data;
      const count = Math.min(this.measure.trainingImages(this.options) ?? train.count, train.count);
      const ofTrain = this.#collect(rule, train, count);
      const ofTest = this.#collect(rule, test, test.count);
      return rule.backbone.stages.flatMap(({ name: stage }, at) => {
        const accuracy = naming(`probe of stage ${stage}`, () =>
          this.measure.fit(
            {
              train: ofTrain[at]!,
              trainLabels: train.labels.narrow(0, 0, count),
              test: ofTest[at]!,
              testLabels: test.labels,
              classes,
            },
            this.options,
          ),
        );
        return [
          { stage, key: "probeTrain", value: accuracy.train, standardError: null },
          { stage, key: "probeTest", value: accuracy.test, standardError: null },
        ];
      });
    });
  }

  /** Each stage's reduced output for the first `count` images, `[count, D]`. */
  #collect(rule: LearningRule, set: TensorSet, count: number): Tensor[] {
    return scope(() => {
      const parts: Tensor[][] = rule.backbone.stages.map(() => []);
      evaluating(rule, () => {
        for (let start = 0; start < count; start += COLLECTED_AT_ONCE) {
          const reduced = scope(() => {
            const size = Math.min(COLLECTED_AT_ONCE, count - start);
            let features = slice(set, start, size, this.data.normalisation).images;
            return rule.backbone.stages.map((stage) => {
              features = stage.forward(features);
              return this.measure.reduce(features);
            });
          });
          for (const [at, features] of reduced.entries()) parts[at]!.push(features);
        }
      });
      return parts.map((features) => cat(features, 0));
    });
  }

  dispose(): void {}
}

/** An error from `body` begins with what it was about. */
function naming<R>(what: string, body: () => R): R {
  try {
    return body();
  } catch (error) {
    throw new Error(`${what}: ${(error as Error).message}`);
  }
}

/** A pair measure on the first `batches` × `batch` images of a split. Factors of input and label are computed once. */
export class PairObserver implements Observer {
  readonly #images: Tensor[] = [];
  readonly #inputFactors: Tensor[] = [];
  readonly #labelFactors: Tensor[] = [];

  constructor(
    readonly name: string,
    private readonly measure: PairMeasure,
    private readonly options: Readonly<Record<string, unknown>>,
    sample: { set: TensorSet; batch: number; batches: number; normalisation: Normalisation },
  ) {
    for (let at = 0; at < sample.batches; at++) {
      scope(() => {
        const { images, labels } = slice(sample.set, at * sample.batch, sample.batch, sample.normalisation);
        this.#images.push(keep(images));
        this.#inputFactors.push(keep(measure.factor(images, options)));
        this.#labelFactors.push(keep(measure.labelFactor(labels, options)));
      });
    }
  }

  observe(rule: LearningRule): StageMeasurement[] {
    const { stages } = rule.backbone;
    const values = stages.map(() => ({ XZ: [] as number[], YZ: [] as number[] }));
    evaluating(rule, () => {
      for (const [at, images] of this.#images.entries()) {
        scope(() => {
          let features = images;
          for (const [index, stage] of stages.entries()) {
            const output = stage.forward(features);
            if (features !== images) features.dispose();
            features = output;
            const factor = naming(`${this.name} of stage ${stage.name}`, () =>
              this.measure.factor(output, this.options),
            );
            values[index]!.XZ.push(this.measure.combine(this.#inputFactors[at]!, factor, this.options));
            values[index]!.YZ.push(this.measure.combine(this.#labelFactors[at]!, factor, this.options));
            factor.dispose();
          }
        });
      }
    });
    return stages.flatMap((stage, index) =>
      (["XZ", "YZ"] as const).map((pair) => ({
        stage: stage.name,
        key: `${this.name}${pair}`,
        ...batchMean(values[index]![pair]),
      })),
    );
  }

  dispose(): void {
    for (const tensor of [...this.#images, ...this.#inputFactors, ...this.#labelFactors]) tensor.dispose();
  }
}

/** Steps 1, 2, 4, 8, … below `stepsPerEpoch`: where the first epoch is observed densely. */
export function logSpacedSteps(stepsPerEpoch: number): Set<number> {
  const steps = new Set<number>();
  for (let step = 1; step < stepsPerEpoch; step *= 2) steps.add(step);
  return steps;
}
