// Takes measures of a network's stages on a fixed set of images: the same images, batches and order for every epoch,
// stage and variant, in evaluation mode and without augmentation, so that all that changes is the network.
import { keep, scope, type Tensor } from "@stopgrad/torch";
import { type Normalisation, slice, type TensorSet } from "../data/loader.js";
import { batchTerms, type MeasureName, measures, type PairMeasure, pooledMean } from "../measures/index.js";
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
import { ProbeObserver } from "./probe-observer.js";
import {
  DEFAULT_BATCHES,
  DEFAULT_IMAGES,
  type ImagesSettings,
  type ObserveSettings,
  optionsOf,
  type SampleSettings,
} from "./run-settings.js";
import { SetObserver } from "./set-observer.js";
import { StreamedObserver } from "./streamed-observer.js";

export type { ObservedData, Observer, StageMeasurement } from "./observation.js";

export function createObserver(name: MeasureName, when: ObserveSettings, data: ObservedData): Observer {
  const measure = measures[name];
  const options = optionsOf(measure, when);
  if (measure.kind === "probe") return new ProbeObserver(measure, options, data);
  if (measure.kind === "streamed") return new StreamedObserver(measure, options, data);
  if (measure.kind === "sample") {
    const { images, split } = when as unknown as ImagesSettings;
    const count = Math.min(images ?? DEFAULT_IMAGES, data[split].count);
    return new SetObserver(measure, options, { ...data, set: data[split], count });
  }
  const { batch, batches, split } = when as unknown as SampleSettings;
  const sample = { set: data[split], batch, batches: batches ?? DEFAULT_BATCHES, normalisation: data.normalisation };
  return new PairObserver(name, measure, options, sample);
}

/** What one mini-batch adds to an estimate. */
type Terms = readonly number[];

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
    const found = stages.map(() => ({ XZ: [] as Terms[], YZ: [] as Terms[], problem: null as string | null }));
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
              mine[pair].push(usable ? batchTerms(this.measure, other, factor.result, this.options) : [Number.NaN]);
            }
            factor.result?.dispose();
          });
        });
      }
    });
    return stages.flatMap((stage, index) =>
      (["XZ", "YZ"] as const).map((pair) => {
        const { result: mean, problem: undefinedBecause } = attempt(() =>
          pooledMean(this.measure, found[index]![pair]),
        );
        const { value, problem } = checked(mean?.value ?? Number.NaN);
        return {
          stage: stage.name,
          key: `${this.name}${pair}`,
          value,
          standardError: problem === null && mean ? mean.standardError : null,
          problem: problem && (found[index]!.problem ?? this.#problems[pair] ?? undefinedBecause ?? problem),
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
