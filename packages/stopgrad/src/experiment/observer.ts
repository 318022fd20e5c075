// Takes measures of a network's stages on a fixed set of images: the same images, batches and order for every epoch,
// stage and variant, in evaluation mode and without augmentation, so that all that changes is the network.
import { keep, noGrad, scope, type Tensor } from "@stopgrad/torch";
import { type Normalisation, slice, type TensorSet } from "../data/loader.js";
import { batchMean, type PairMeasure } from "../measures/index.js";
import type { LearningRule } from "../rules/index.js";

export interface StageMeasurement {
  stage: string;
  /** `nhsicXZ`, `nhsicYZ` and so on: measure, then what it was taken between. */
  key: string;
  /** Mean over batches. */
  value: number;
  standardError: number | null;
}

/** A pair measure on the first `batches` × `batch` images of a split. Factors of input and label are computed once. */
export class PairObserver {
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

  /** Bytes of the images and factors it holds. */
  get bytes(): number {
    const sizes = [...this.#images, ...this.#inputFactors, ...this.#labelFactors];
    return sizes.reduce((sum, tensor) => sum + tensor.numel * (tensor.dtype === "float64" ? 8 : 4), 0);
  }

  /** Measures every stage; the network is back in its mode afterwards. @throws Error naming a stage with NaN */
  observe(rule: LearningRule): StageMeasurement[] {
    const { backbone, stages } = { backbone: rule.backbone, stages: rule.backbone.stages };
    const wasTraining = backbone.training;
    const values = stages.map(() => ({ XZ: [] as number[], YZ: [] as number[] }));
    backbone.eval();
    try {
      noGrad(() => {
        for (const [at, images] of this.#images.entries()) {
          scope(() => {
            let features = images;
            for (const [index, stage] of stages.entries()) {
              const output = stage.forward(features);
              if (features !== images) features.dispose();
              features = output;
              const factor = this.#factor(output, stage.name);
              values[index]!.XZ.push(this.measure.combine(this.#inputFactors[at]!, factor, this.options));
              values[index]!.YZ.push(this.measure.combine(this.#labelFactors[at]!, factor, this.options));
              factor.dispose();
            }
          });
        }
      });
    } finally {
      backbone.train(wasTraining);
    }
    return stages.flatMap((stage, index) =>
      (["XZ", "YZ"] as const).map((pair) => ({
        stage: stage.name,
        key: `${this.name}${pair}`,
        ...batchMean(values[index]![pair]),
      })),
    );
  }

  #factor(output: Tensor, stage: string): Tensor {
    try {
      return this.measure.factor(output, this.options);
    } catch (error) {
      throw new Error(`${this.name} of stage ${stage}: ${(error as Error).message}`);
    }
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
