// Takes measures of a network's stages on a fixed set of images: the same images, batches and order for every epoch,
// stage and variant, in evaluation mode and without augmentation, so that all that changes is the network.
import { cat, keep, scope, type Tensor } from "@stopgrad/torch";
import { type Normalisation, slice, type TensorSet } from "../data/loader.js";
import { batchMean, type MeasureName, measures, type PairMeasure, type ProbeMeasure } from "../measures/index.js";
import type { LearningRule } from "../rules/index.js";
import {
  attempt,
  checked,
  evaluating,
  nothing,
  type ObservedData,
  type Observer,
  type StageMeasurement,
} from "./observation.js";
import { DEFAULT_BATCHES, type ObserveSettings, optionsOf, type SampleSettings } from "./run-settings.js";
import { StreamedObserver } from "./streamed-observer.js";

export type { ObservedData, Observer, StageMeasurement } from "./observation.js";

export function createObserver(name: MeasureName, when: ObserveSettings, data: ObservedData): Observer {
  const measure = measures[name];
  const options = optionsOf(measure, when);
  if (measure.kind === "probe") return new ProbeObserver(measure, options, data);
  if (measure.kind === "streamed") return new StreamedObserver(measure, options, data);
  const { batch, batches, split } = when as unknown as SampleSettings;
  const sample = { set: data[split], batch, batches: batches ?? DEFAULT_BATCHES, normalisation: data.normalisation };
  return new PairObserver(name, measure, options, sample);
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

  observe(rule: LearningRule, breathe = nothing): StageMeasurement[] {
    return scope(() => {
      const { train, test, classes } = this.data;
      const count = Math.min(this.measure.trainingImages(this.options) ?? train.count, train.count);
      const ofTrain = this.#collect(rule, train, count, breathe);
      const ofTest = this.#collect(rule, test, test.count, breathe);
      return rule.backbone.stages.flatMap(({ name: stage }, at) => {
        breathe();
        const features = {
          train: ofTrain[at]!,
          trainLabels: train.labels.narrow(0, 0, count),
          test: ofTest[at]!,
          testLabels: test.labels,
          classes,
        };
        const { result, problem } = attempt(() => this.measure.fit(features, this.options, breathe));
        return (["train", "test"] as const).map((split) => ({
          stage,
          key: split === "train" ? "probeTrain" : "probeTest",
          standardError: null,
          ...(result ? checked(result[split]) : { value: Number.NaN, problem }),
        }));
      });
    });
  }

  /** Each stage's reduced output for the first `count` images, `[count, D]`. */
  #collect(rule: LearningRule, set: TensorSet, count: number, breathe: () => void): Tensor[] {
    return scope(() => {
      const parts: Tensor[][] = rule.backbone.stages.map(() => []);
      evaluating(rule, () => {
        for (let start = 0; start < count; start += COLLECTED_AT_ONCE) {
          breathe();
          const reduced = scope(() => {
            const size = Math.min(COLLECTED_AT_ONCE, count - start);
            const { images } = slice(set, start, size, this.data.normalisation);
            return rule.readStages(images, (output) => {
              const features = this.measure.reduce(output);
              return features === output ? output.clone() : features;
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

/** Factors of one mini-batch that no epoch changes; null where they cannot be computed. */
interface FixedFactors {
  readonly images: Tensor;
  readonly XZ: Tensor | null;
  readonly YZ: Tensor | null;
}

/** A pair measure on the first `batches` × `batch` images of a split. Factors of input and label are computed once. */
export class PairObserver implements Observer {
  readonly #batches: FixedFactors[] = [];
  /** Why the input or the labels have no factor. */
  readonly #problems: { XZ: string | null; YZ: string | null } = { XZ: null, YZ: null };

  constructor(
    readonly name: string,
    private readonly measure: PairMeasure,
    private readonly options: Readonly<Record<string, unknown>>,
    sample: { set: TensorSet; batch: number; batches: number; normalisation: Normalisation },
  ) {
    for (let at = 0; at < sample.batches; at++) {
      scope(() => {
        const { images, labels } = slice(sample.set, at * sample.batch, sample.batch, sample.normalisation);
        const ofInput = attempt(() => keep(measure.factor(images, options)));
        const ofLabel = attempt(() => keep(measure.labelFactor(labels, options)));
        this.#batches.push({ images: keep(images), XZ: ofInput.result, YZ: ofLabel.result });
        if (ofInput.problem !== null) this.#problems.XZ ??= `of the input: ${ofInput.problem}`;
        if (ofLabel.problem !== null) this.#problems.YZ ??= `of the label: ${ofLabel.problem}`;
      });
    }
  }

  observe(rule: LearningRule, breathe = nothing): StageMeasurement[] {
    const { stages } = rule.backbone;
    const found = stages.map(() => ({ XZ: [] as number[], YZ: [] as number[], problem: null as string | null }));
    evaluating(rule, () => {
      for (const fixed of this.#batches) {
        scope(() => {
          rule.readStages(fixed.images, (output, index) => {
            breathe();
            const mine = found[index]!;
            const factor = attempt(() => this.measure.factor(output, this.options));
            mine.problem ??= factor.problem;
            for (const pair of ["XZ", "YZ"] as const) {
              const other = fixed[pair];
              const usable = factor.result !== null && other !== null;
              mine[pair].push(usable ? this.measure.combine(other, factor.result, this.options) : Number.NaN);
            }
            factor.result?.dispose();
          });
        });
      }
    });
    return stages.flatMap((stage, index) =>
      (["XZ", "YZ"] as const).map((pair) => {
        const mean = batchMean(found[index]![pair]);
        const { value, problem } = checked(mean.value);
        return {
          stage: stage.name,
          key: `${this.name}${pair}`,
          value,
          standardError: problem === null ? mean.standardError : null,
          problem: problem && (found[index]!.problem ?? this.#problems[pair] ?? problem),
        };
      }),
    );
  }

  dispose(): void {
    for (const { images, XZ, YZ } of this.#batches) {
      for (const tensor of [images, XZ, YZ]) tensor?.dispose();
    }
  }
}

/** Steps 1, 2, 4, 8, … below `stepsPerEpoch`: where the first epoch is observed densely. */
export function logSpacedSteps(stepsPerEpoch: number): Set<number> {
  const steps = new Set<number>();
  for (let step = 1; step < stepsPerEpoch; step *= 2) steps.add(step);
  return steps;
}
