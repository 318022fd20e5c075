// Takes measures of a whole set of images at once on a network's stages.
import type { Normalisation, TensorSet } from "../data/loader.js";
import type { SampleMeasure } from "../measures/index.js";
import type { LearningRule } from "../rules/index.js";
import { attempt, checked, evaluating, nothing, type Observer, type StageMeasurement } from "./observation.js";
import { ofStages } from "./representations.js";

/** The first `count` images of a split. */
export interface ImageSample {
  readonly set: TensorSet;
  readonly count: number;
  readonly normalisation: Normalisation;
  readonly classes: number;
}

export class SetObserver implements Observer {
  constructor(
    private readonly measure: SampleMeasure,
    private readonly options: Readonly<Record<string, unknown>>,
    private readonly sample: ImageSample,
  ) {}

  observe(rule: LearningRule, breathe = nothing): StageMeasurement[] {
    const names = rule.backbone.stages.map(({ name }) => name);
    const found: StageMeasurement[] = [];
    evaluating(rule, () => {
      const stages = ofStages({
        ...this.sample,
        names,
        chosen: names.map((_, at) => at),
        readStages: (images, read) => {
          breathe();
          rule.readStages(images, read);
        },
      });
      try {
        stages.visit((z, at, x) => {
          breathe();
          const { labels } = stages;
          const { result, problem } = attempt(() => this.measure.measure({ z, x, labels }, this.options));
          for (const { key } of this.measure.keys) {
            const value = result?.[key]?.value;
            if (value !== undefined && Number.isNaN(value)) continue; // undefined here, as the measure says of itself
            const measured = value === undefined ? { value: Number.NaN, problem } : checked(value);
            found.push({ stage: names[at]!, key, standardError: null, ...measured });
          }
        });
      } finally {
        stages.dispose();
      }
    });
    return found;
  }

  dispose(): void {}
}
