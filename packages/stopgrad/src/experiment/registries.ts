// The registries put together: what an experiment file may name, and what validation asks of it.

import { fusions } from "../contexts/index.js";
import type { Dataset } from "../data/dataset.js";
import { datasets } from "../data/index.js";
import { heads } from "../heads/index.js";
import { losses } from "../losses/index.js";
import { measures } from "../measures/index.js";
import { type Model, models } from "../models/index.js";
import { optimizers } from "../optimizers/index.js";
import { entryOf } from "../registry.js";
import { rules, schedules } from "../rules/index.js";
import { refusedDevice } from "./device.js";
import { runId } from "./identity.js";
import { optionsOf } from "./run-settings.js";
import { defineSettings } from "./settings.js";

export { entryOf };

/** Everything by kind and name. */
export const registries = { datasets, models, heads, losses, rules, schedules, fusions, optimizers, measures };

/** The schema of experiment files with everything that is registered. */
export const settingsSchema = defineSettings(registries, {
  stageCount(model, data) {
    const entry: Model = entryOf(models, model.name);
    const dataset: Dataset = entryOf(datasets, data.name);
    return entry.stageCount(optionsOf(entry, model), dataset.shape(optionsOf(dataset, data)));
  },
  hasClassifier: (model) => entryOf(models, model.name).hasClassifier,
  mapStages: (model) => (entryOf(models, model.name) as Model).mapStages ?? null,
  runId,
  needsTwoImages: (model) => {
    const entry = entryOf(models, model.name) as Model;
    return entry.needsTwoImages?.(optionsOf(entry, model)) ?? false;
  },
  anyImageSize: (model) => (entryOf(models, model.name) as Model).anyImageSize ?? false,
  refusedDevice,
  imageShape(data) {
    const dataset: Dataset = entryOf(datasets, data.name);
    return dataset.shape(optionsOf(dataset, data));
  },
  datasetSizes(data) {
    const dataset: Dataset = entryOf(datasets, data.name);
    const options = optionsOf(dataset, data);
    return { train: dataset.trainCount(options), test: dataset.testCount(options) };
  },
  contents(data) {
    const dataset: Dataset = entryOf(datasets, data.name);
    return dataset.fingerprint?.(optionsOf(dataset, data)) ?? null;
  },
});
