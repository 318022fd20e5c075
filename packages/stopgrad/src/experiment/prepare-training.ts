// Makes a run from its job: data on the device, observers, generators, network and rule, at the run's beginning. Nothing
// of it depends on how far the run has come; training-checkpoints.ts takes it there.
import { Generator, setThreads } from "@stopgrad/torch";
import { datasets } from "../data/index.js";
import { normalisationOf, tensorSet } from "../data/loader.js";
import { placeOn } from "../data/transfer.js";
import { bytesOn } from "../device-memory.js";
import type { MeasureName } from "../measures/index.js";
import { stageShapes } from "../models/index.js";
import { entryOf } from "../registry.js";
import type { LearningRule } from "../rules/index.js";
import type { StageSummary } from "../store/records.js";
import type { TrainingState } from "./checkpoint.js";
import { createRule, networkShape } from "./create-rule.js";
import { generatorOn, prepareDevice } from "./device.js";
import { totalEpochs } from "./epochs.js";
import { matchedSettings } from "./match-cost.js";
import { createObserver } from "./observer.js";
import type { TrainingJob } from "./protocol.js";
import { optionsOf, type RunSettings } from "./run-settings.js";
import { streamSeed } from "./seeds.js";
import {
  emptyRunning,
  PROGRESS_EVERY,
  type TrainingGenerators,
  type TrainingHooks,
  type TrainingRun,
} from "./training-run.js";

/** Images a rule takes at a time when it looks at all of them: sums depend on it, so that it is no setting. */
const TRAINING_DATA_AT_ONCE = 500;

/** @throws Error when the device cannot be used, or there is no such data */
export async function prepareTraining(job: TrainingJob, hooks: TrainingHooks): Promise<TrainingRun> {
  const { settings } = job;
  setThreads(settings.threads);
  prepareDevice(settings.device);
  const dataset = await loadData(job, hooks);
  const { device } = settings;
  const before = bytesOn(device).live;
  const data = {
    // The same subset for every seed: seeds vary initialisation, order and augmentation.
    train: placeOn(tensorSet(dataset.train, settings.data.train, dataset, 0), device),
    test: placeOn(tensorSet(dataset.test, settings.data.test, dataset, 0), device),
    normalisation: normalisationOf(dataset, device),
    kind: { shape: dataset.shape, classes: dataset.classes },
  };
  const observers = Object.entries(settings.observe).map(([name, when]) => ({
    name,
    when,
    observer: createObserver(name as MeasureName, when, { ...data, classes: dataset.classes }),
  }));
  const otherBytes = bytesOn(device).live - before;

  const generators = generatorsOf(settings);
  const training = {
    set: data.train,
    normalisation: data.normalisation,
    batch: TRAINING_DATA_AT_ONCE,
    scratch: job.directory,
  };
  const trained = settings.match === null ? settings : matchedSettings(settings, dataset, training);
  const rule = createRule(trained, dataset, generators, training);
  return {
    job,
    hooks,
    trained,
    rule,
    data,
    observers,
    generators,
    otherBytes,
    stepsPerEpoch: Math.ceil(data.train.count / settings.data.batch),
    epochs: totalEpochs(rule.phases, settings.epochs),
    state: stateAtStart(unmeasuredStages(rule, networkShape(trained, dataset.shape))),
    secondsToFirstStep: null,
    savedAt: performance.now(),
  };
}

/** The data set; `preparing` tells how far it is, where images are decoded for the first time. */
async function loadData({ settings, dataDirs }: TrainingJob, hooks: TrainingHooks) {
  const entry = entryOf(datasets, settings.data.name);
  let toldAt = performance.now();
  return entry.load(optionsOf(entry, settings.data), {
    dataDirs,
    onProgress: (done, total) => {
      if (performance.now() - toldAt < PROGRESS_EVERY) return;
      toldAt = performance.now();
      void hooks.emit({ type: "preparing", done, total });
    },
    ...(settings.data.train === null ? {} : { train: settings.data.train }),
    ...(settings.data.test === null ? {} : { test: settings.data.test }),
  });
}

/** Those of order and augmentation are seeded anew before each epoch. */
function generatorsOf({ device, seed }: RunSettings): TrainingGenerators {
  return {
    order: new Generator(0),
    augmentation: new Generator(0),
    dropout: generatorOn(device, streamSeed(seed, "dropout")),
    rule: new Generator(streamSeed(seed, "rule")),
  };
}

/** Where a run stands before its first step. */
function stateAtStart(stages: StageSummary[]): TrainingState {
  return {
    epoch: 0,
    stepInEpoch: 0,
    step: 0,
    seconds: 0,
    images: 0,
    trainingMultiplyAdds: 0,
    peakBytes: 0,
    running: emptyRunning(),
    trainAccuracy: 0,
    testAccuracy: 0,
    stages,
  };
}

/** @param shape - `[C, H, W]` of what the network sees */
function unmeasuredStages({ backbone }: LearningRule, shape: readonly [number, number, number]): StageSummary[] {
  return stageShapes(backbone, shape).map((shape, at) => ({
    name: backbone.stages[at]!.name,
    shape: [...shape],
    nhsicXZ: null,
    nhsicYZ: null,
    probeTrain: null,
    probeTest: null,
  }));
}
