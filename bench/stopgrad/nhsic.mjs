// nHSIC of every stage with input and label as a run's observer takes it, features given: factors of input and label
// once a batch, one factor a stage.

import { memory, noGrad, readNpy, resetPeakBytes, scope } from "@stopgrad/torch";
import { measures } from "../../packages/stopgrad/dist/measures/index.js";

export class Nhsic {
  constructor(job) {
    this.features = job.features.map((path) => readNpy(path));
    this.labels = readNpy(job.labels);
  }

  warmUp() {
    const before = memory().liveBytes;
    resetPeakBytes();
    this.run(1);
    return { peakBytes: memory().peakBytes - before };
  }

  run(times) {
    let values = [];
    for (let time = 0; time < times; time++) values = this.#measure();
    return { units: times, values };
  }

  /** @returns {number[]} with the input and with the label, stage by stage */
  #measure() {
    const { nhsic } = measures;
    const options = {};
    const [images, ...stages] = this.features;
    return noGrad(() =>
      scope(() => {
        const input = nhsic.factor(images, options);
        const label = nhsic.labelFactor(this.labels, options);
        return stages.flatMap((features) =>
          scope(() => {
            const factor = nhsic.factor(features, options);
            return [nhsic.combine(input, factor, options), nhsic.combine(label, factor, options)];
          }),
        );
      }),
    );
  }
}
