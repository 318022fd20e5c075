// The same steps with modules in processes of their own.

import { scope } from "@stopgrad/torch";
import { ModulePipeline } from "../../packages/stopgrad/dist/experiment/parallel.js";
import { Training } from "./training.mjs";

/** Some steps; what is on its way at the end of a turn is waited for. */
export class Pipeline extends Training {
  #pipeline;

  async warmUp() {
    const { data, seed } = this.job;
    this.#pipeline = await ModulePipeline.start({
      settings: this.settings,
      images: data,
      trainedShape: data.shape,
      normalisation: this.normalisation,
      rule: this.rule,
      batch: this.settings.data.batch,
      seed,
    });
    await this.run(3);
    const reports = await this.#pipeline.gather();
    return {
      peakBytes: Math.max(...reports.map((report) => report.peakBytes + report.queueBytes)),
      activationBytes: null,
    };
  }

  async run(steps) {
    let images = 0;
    for (let step = 0; step < steps; step++) {
      await this.#pipeline.room();
      this.beginEpochWhereDue();
      scope(() => {
        const batch = this.nextBatch();
        images += batch.labels.size(0);
        this.#pipeline.feed(batch, { learningRate: this.settings.optimizer.learningRate });
      });
    }
    await this.#pipeline.drain();
    return { units: images };
  }

  close() {
    this.#pipeline.close();
  }
}
