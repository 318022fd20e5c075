// What a run builds from its settings: data as tensors, and the network with its rule.

import { readFileSync } from "node:fs";
import { Generator } from "@stopgrad/torch";
import { normalisationOf, tensorSet } from "../../packages/stopgrad/dist/data/loader.js";
import { placeOn } from "../../packages/stopgrad/dist/data/transfer.js";
import { createRule } from "../../packages/stopgrad/dist/experiment/create-rule.js";
import { generatorOn, prepareDevice } from "../../packages/stopgrad/dist/experiment/device.js";
import { documentFromTree } from "../../packages/stopgrad/dist/experiment/document.js";
import { settingsSchema } from "../../packages/stopgrad/dist/experiment/registries.js";

/** The training set of a job (lib/data.mjs) as the trainer holds it. */
export function loadSet({ data, settings: { device = "cpu" } }) {
  prepareDevice(device);
  const set = { images: readFileSync(data.images), labels: readFileSync(data.labels), count: data.count };
  return { set: placeOn(tensorSet(set, null, data, 0), device), normalisation: normalisationOf(data, device) };
}

/** Settings with every default, as from an experiment file. */
export function settingsOf({ settings: { gigaflopsPerImage, pass, augment = {}, ...settings }, batch, seed }) {
  const optimizer = { name: "adam", learningRate: 5e-4 };
  const tree = { data: { name: "cifar10", batch, augment }, optimizer, epochs: 1, seeds: [seed], ...settings };
  return settingsSchema.expand(documentFromTree(tree, "bench")).runs[0];
}

/** @param training - `{ set, normalisation }` of `loadSet` */
export function ruleOf(settings, { data, seed, directory }, training) {
  const generators = { dropout: generatorOn(settings.device, seed), rule: new Generator(seed) };
  return createRule(settings, data, generators, { ...training, batch: settings.data.batch, scratch: directory });
}
