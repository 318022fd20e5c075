// Writes each stage's output on one batch of images in evaluation mode, for both sides of the nHSIC case to read.

import { join } from "node:path";
import { noGrad, scope, writeNpy } from "@stopgrad/torch";
import { slice } from "../../packages/stopgrad/dist/data/loader.js";
import { loadSet, ruleOf, settingsOf } from "./network.mjs";

export class Features {
  constructor(job) {
    this.job = job;
  }

  /** @returns {{ features: string[], labels: string }} files: the images first, then the stages in order */
  warmUp() {
    const { job } = this;
    const { set, normalisation } = loadSet(job);
    const { backbone } = ruleOf(settingsOf(job), job, { set, normalisation });
    backbone.eval();
    return noGrad(() =>
      scope(() => {
        const batch = slice(set, 0, job.batch, normalisation);
        const outputs = [batch.images];
        for (const stage of backbone.stages) outputs.push(stage.forward(outputs.at(-1)));
        const write = (name, tensor) => {
          const path = join(job.directory, `${name}.npy`);
          writeNpy(path, tensor);
          return path;
        };
        return {
          features: outputs.map((output, at) => write(`features-${at}`, output)),
          labels: write("labels", batch.labels),
        };
      }),
    );
  }
}
