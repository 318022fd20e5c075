// Fits a probe on every stage of a network from one forward pass over the training images and one over the test images:
// each batch passes through the network once, and what the probe keeps of each stage's output is collected.
import { scope, type Tensor } from "@stopgrad/torch";
import type { TensorSet } from "../data/loader.js";
import type { ProbeMeasure } from "../measures/index.js";
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
import { collect, ofStages } from "./representations.js";

/**
 * A probe fitted on the first training images and scored on them and on all test images, stage by stage.
 * Memory: the reduced features of all stages and both splits, less those of the stages that are done.
 */
export class ProbeObserver implements Observer {
  constructor(
    private readonly measure: ProbeMeasure,
    private readonly options: Readonly<Record<string, unknown>>,
    private readonly data: ObservedData,
  ) {}

  observe(rule: LearningRule, breathe = nothing): StageMeasurement[] {
    return scope(() => {
      const { train, test, classes } = this.data;
      const count = Math.min(this.measure.trainingImages(this.options) ?? train.count, train.count);
      const ofTrain = collectFeatures(rule, this.measure, this.data, { set: train, count, breathe });
      const ofTest = collectFeatures(rule, this.measure, this.data, { set: test, count: test.count, breathe });
      const trainLabels = train.labels.narrow(0, 0, count);
      return rule.backbone.stages.flatMap(({ name }, at) => {
        breathe();
        const [mine, unseen] = [ofTrain[at]!, ofTest[at]!];
        const features = { train: mine, trainLabels, test: unseen, testLabels: test.labels, classes };
        const { result, problem } = attempt(() => this.measure.fit(features, this.options, breathe));
        mine.dispose();
        unseen.dispose();
        return (["train", "test"] as const).map((split) => ({
          stage: name,
          key: `${this.measure.key}${split === "train" ? "Train" : "Test"}`,
          standardError: null,
          ...(result ? checked(result[split]) : { value: Number.NaN, problem }),
        }));
      });
    });
  }

  dispose(): void {}
}

/**
 * What a probe keeps of each stage's output for the first `count` images of a set, `[count, D]` a stage, from one forward
 * pass in evaluation mode without augmentation.
 */
export function collectFeatures(
  rule: LearningRule,
  measure: Pick<ProbeMeasure, "reduce">,
  { normalisation }: Pick<ObservedData, "normalisation">,
  { set, count, breathe = nothing }: { set: TensorSet; count: number; breathe?: () => void },
): Tensor[] {
  const names = rule.backbone.stages.map(({ name }) => name);
  return evaluating(rule, () =>
    scope(() => {
      const stages = ofStages({
        set,
        normalisation,
        count,
        classes: 0, // nobody asks
        names,
        chosen: [...names.keys()],
        readStages: (images, read) => rule.readStages(images, read),
      });
      try {
        return collect(stages, count, (z) => measure.reduce(z), breathe);
      } finally {
        stages.dispose();
      }
    }),
  );
}
