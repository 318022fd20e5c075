// Forward passes of a network in evaluation mode, by themselves, with a measure of every stage, or to collect what a probe
// keeps; and the probes' fits. Peaks are of what is there beside weights and images, over a whole turn.

import { join } from "node:path";
import { memory, noGrad, readNpy, resetPeakBytes, scope, writeNpy } from "@stopgrad/torch";
import { slice } from "../../packages/stopgrad/dist/data/loader.js";
import { evaluating } from "../../packages/stopgrad/dist/experiment/observation.js";
import { collectFeatures } from "../../packages/stopgrad/dist/experiment/probe-observer.js";
import { measures } from "../../packages/stopgrad/dist/measures/index.js";
import { loadSet, ruleOf, settingsOf } from "./network.mjs";

/** A unit is `images` images from where the last one ended, `atOnce` at a time. */
export class ForwardPass {
  #at = 0;

  constructor(job) {
    Object.assign(this, loadSet(job));
    this.rule = ruleOf(settingsOf(job), job, this);
    this.pass = job.settings.pass;
  }

  /** The first images of a turn, untimed. */
  warmUp() {
    const { atOnce } = this.pass;
    this.#through(0, atOnce);
    return { peakBytes: null };
  }

  run(times) {
    const { images } = this.pass;
    return withPeak(() => {
      for (let time = 0; time < times; time++) {
        if (this.#at + images > this.set.count) this.#at = 0;
        this.#through(this.#at, images);
        this.#at += images;
      }
      return { units: times };
    });
  }

  #through(start, count) {
    const { atOnce } = this.pass;
    evaluating(this.rule, () => {
      for (let done = 0; done < count; done += atOnce) {
        scope(() => this.look(slice(this.set, start + done, Math.min(atOnce, count - done), this.normalisation)));
      }
    });
  }

  look({ images }) {
    this.rule.readStages(images, () => null);
  }
}

/** With a pair measure of every stage with input and label, in the same pass. */
export class ObservedPass extends ForwardPass {
  look({ images, labels }) {
    const measure = measures[this.pass.measure];
    const options = measure.options.parse({});
    const others = [measure.factor(images, options), measure.labelFactor(labels, options)];
    this.rule.readStages(images, (output) => {
      const factor = measure.factor(output, options);
      for (const other of others) measure.combine(other, factor, options);
      factor.dispose();
    });
  }
}

/** A unit is what the linear probe keeps of all stages for two splits of `images` images. */
export class Collection {
  constructor(job) {
    const { set, normalisation } = loadSet(job);
    this.normalisation = normalisation;
    this.rule = ruleOf(settingsOf(job), job, { set, normalisation });
    const { images } = job.settings.pass;
    const part = (start) => ({
      images: set.images.narrow(0, start, images),
      labels: set.labels.narrow(0, start, images),
      count: images,
    });
    this.splits = { train: part(0), test: part(images) };
  }

  warmUp() {
    scope(() => this.#collect(this.splits.train, Math.min(500, this.splits.train.count)));
    return { peakBytes: null };
  }

  run(times) {
    return withPeak(() => {
      for (let time = 0; time < times; time++) scope(() => this.collect());
      return { units: times };
    });
  }

  collect() {
    return Object.entries(this.splits).map(([split, set]) => [split, this.#collect(set, set.count)]);
  }

  #collect(set, count) {
    return collectFeatures(this.rule, measures.probe, this, { set, count });
  }
}

/** Writes what is collected, for both sides of the case of fits to read. */
export class ProbeFeatures {
  constructor(job) {
    this.job = job;
  }

  warmUp() {
    const { directory } = this.job;
    const collection = new Collection(this.job);
    scope(() => {
      for (const [split, features] of collection.collect()) {
        for (const [at, stage] of features.entries()) writeNpy(join(directory, `${at}-${split}.npy`), stage);
        writeNpy(join(directory, `labels-${split}.npy`), collection.splits[split].labels);
      }
    });
    return { stages: collection.rule.backbone.stages.length };
  }
}

/** A unit is the linear probe of every stage, fitted and scored on features that are there. `values`: test accuracies. */
export class ProbeFits {
  constructor({ directory, stages, data }) {
    const read = (name, split) => readNpy(join(directory, `${name}-${split}.npy`));
    const labels = { trainLabels: read("labels", "train"), testLabels: read("labels", "test"), classes: data.classes };
    this.stages = Array.from({ length: stages }, (_, at) => {
      return { train: read(at, "train"), test: read(at, "test"), ...labels };
    });
  }

  /** A fit of the narrowest stage. */
  warmUp() {
    noGrad(() => scope(() => measures.probe.fit(this.stages.at(-1), {})));
    return { peakBytes: null };
  }

  run(times) {
    return withPeak(() => {
      for (let time = 0; time < times; time++) {
        this.fits = noGrad(() => this.stages.map((stage) => scope(() => measures.probe.fit(stage, {}))));
      }
      const open = this.fits.filter(({ solver }) => !solver.converged).length;
      if (open > 0) throw new Error(`${open} of ${this.fits.length} probes did not converge`);
      return { units: times };
    });
  }
}

function withPeak(work) {
  const before = memory().liveBytes;
  resetPeakBytes();
  const result = work();
  return { ...result, peakBytes: memory().peakBytes - before };
}
