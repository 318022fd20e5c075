// Optimizer steps as a run takes them: shuffled batches from the data set's bytes, normalised; the rule's step.

import { elementSize, Generator, scope } from "@stopgrad/torch";
import { EpochOrder } from "../../packages/stopgrad/dist/data/loader.js";
import { bytesOn, resetPeakOn } from "../../packages/stopgrad/dist/device-memory.js";
import { settle } from "../../packages/stopgrad/dist/experiment/device.js";
import { loadSet, ruleOf, settingsOf } from "./network.mjs";

export class Training {
  constructor(job) {
    this.job = job;
    this.device = job.settings.device ?? "cpu";
    const before = bytesOn(this.device).live;
    Object.assign(this, loadSet(job));
    this.dataBytes = bytesOn(this.device).live - before;
    this.settings = settingsOf(job);
    this.generator = new Generator(job.seed);
    this.rule = ruleOf(this.settings, job, this);
    this.at = 0;
  }

  /** Two steps; the peak is the second's, when the optimizer's state and the gradients are there. */
  warmUp() {
    this.run(1);
    const lasting = this.#lastingBytes();
    resetPeakOn(this.device);
    this.run(1);
    const peakBytes = bytesOn(this.device).peak - this.dataBytes;
    return { peakBytes, activationBytes: peakBytes - lasting };
  }

  /** Of weights and the optimizer's state: what is there between steps whatever is trained. */
  #lastingBytes() {
    return scope(() =>
      [...this.rule.stateDict().values()]
        .filter(({ numel }) => numel > 1)
        .reduce((sum, tensor) => sum + tensor.numel * elementSize(tensor.dtype), 0),
    );
  }

  run(steps) {
    let images = 0;
    for (let step = 0; step < steps; step++) images += this.#step();
    settle(this.device);
    return { units: images * (this.job.settings.gigaflopsPerImage ?? 1) };
  }

  /** Before the scope of a step, which would free an order that begins in it. */
  beginEpochWhereDue() {
    if (!this.order || this.at === this.order.batches) {
      this.order?.dispose();
      this.order = new EpochOrder(this.set, this.settings.data.batch, this.generator);
      this.at = 0;
    }
  }

  /** In the scope of a step. */
  nextBatch() {
    const { augment } = this.settings.data;
    return this.order.get(this.at++, this.normalisation, augment, this.generator, this.rule.views);
  }

  #step() {
    this.beginEpochWhereDue();
    return scope(() => {
      const batch = this.nextBatch();
      const { losses } = this.rule.step(batch);
      if (!losses.every(({ loss }) => Number.isFinite(loss))) throw new Error("a loss is not finite");
      return batch.labels.size(0);
    });
  }
}
