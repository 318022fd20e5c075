// A finished run's network as it was at the end of some epoch, with the run's images: what `stopgrad measure --run`,
// `probe`, `activations` and `sensitivity` look at. The rule and the data are made again from the recorded settings, the
// weights come from a checkpoint; optimizers and generators stay as they are made, nothing is trained here.
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Generator, scope } from "@stopgrad/torch";
import type { ImageShape } from "../data/dataset.js";
import { datasets } from "../data/index.js";
import { type Normalisation, normalisationOf, type TensorSet, tensorSet } from "../data/loader.js";
import { placeOn } from "../data/transfer.js";
import { entryOf } from "../registry.js";
import type { LearningRule } from "../rules/index.js";
import { requireFit, unprefixed, weightsOf } from "../rules/weights.js";
import type { RunRecord } from "../store/records.js";
import type { Store } from "../store/store.js";
import { keepsEpoch, keptName, readCheckpoint, type SavedWeights, savedWeights } from "./checkpoint.js";
import { createRule } from "./create-rule.js";
import { prepareDevice, refusedDevice } from "./device.js";
import { matchedSettings } from "./match-cost.js";
import { evaluating } from "./observation.js";
import { recordedSettings } from "./recorded-settings.js";
import { GATHERED_AT_ONCE, ofStages, type Representations } from "./representations.js";
import { type NamedSettings, optionsOf, type RunSettings } from "./run-settings.js";
import { nearest } from "./suggest.js";

/** A run cannot be looked at. The message says why, and what would help. */
export class TrainedNetworkError extends Error {
  override readonly name = "TrainedNetworkError";

  /** @param wrong - whether what was asked for cannot be, whatever the run has */
  constructor(
    message: string,
    readonly wrong: boolean = false,
  ) {
    super(message);
  }
}

/** Which images: a data set with its options, and how many of each split. */
export type ImageSettings = NamedSettings & Pick<RunSettings["data"], "train" | "test">;

/** The images of a run, on its device. */
export interface RunImages {
  readonly train: TensorSet;
  readonly test: TensorSet;
  readonly normalisation: Normalisation;
  readonly classes: number;
  /** `[C, H, W]`. */
  readonly shape: ImageShape;
  /** The same for two runs that see the same images in the same order. */
  readonly identity: string;
}

export interface OpenOptions {
  /** Folders in which data sets are looked for. */
  readonly dataDirs: readonly string[];
  /** Default: the run's own, or the CPU where that cannot be used here. */
  readonly device?: string;
  /** Share the images of this network's run, which must be of the same data set. */
  readonly imagesOf?: TrainedNetwork;
}

/** Which samples, in what order: the first ones of a split, as the run's own observers take them. */
export interface SampleChoice {
  /** Default `test`. */
  readonly split?: "test" | "train";
  /** Default: all. */
  readonly samples?: number;
  /** Names of stages; default: all. */
  readonly stages?: readonly string[];
}

/** A finished run's network, with the weights of one of its epochs. */
export class TrainedNetwork {
  #epoch = Number.NaN;
  readonly #stageNames: readonly string[];

  /** Use `openTrained`. */
  constructor(
    readonly record: RunRecord,
    /** As recorded, on the device that is used here. */
    readonly settings: RunSettings,
    /** The weights there are, first to last. */
    readonly saved: readonly SavedWeights[],
    readonly rule: LearningRule,
    readonly images: RunImages,
    private readonly ownsImages: boolean,
  ) {
    this.#stageNames = rule.backbone.stages.map(({ name }) => name);
  }

  get id(): string {
    return this.record.id;
  }

  /** Of the weights that are loaded: whole epochs trained, a fraction for a run that was interrupted inside one; or NaN. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Names, first to last. */
  get stages(): readonly string[] {
    return this.#stageNames;
  }

  /**
   * Epochs by name: `last`, `all`, or numbers with commas between.
   * @throws TrainedNetworkError for an epoch that is not there, naming those that are and how to keep more
   */
  epochs(wanted: string): number[] {
    const all = this.saved.map(({ epoch }) => epoch);
    if (wanted === "last") return [all.at(-1)!];
    if (wanted === "all") return all;
    const asked = wanted.split(",").map((text) => Number(text.trim() || Number.NaN));
    if (asked.some((epoch) => !Number.isInteger(epoch) || epoch < 0)) {
      throw new TrainedNetworkError(`expected last, all or epochs such as 1,5,20, got ${wanted}`, true);
    }
    for (const epoch of asked) this.#savedAt(epoch);
    return [...new Set(asked)].sort((a, b) => a - b);
  }

  /**
   * Takes the weights of an epoch; nothing happens where they are loaded already.
   * @throws TrainedNetworkError when there are none of this epoch, FileFormatError when the file is damaged
   */
  load(epoch: number): void {
    if (epoch === this.#epoch) return;
    const { path } = this.#savedAt(epoch);
    scope(() => {
      const { tensors } = readCheckpoint(path, this.record.settingsHash);
      const { backbone, auxiliary, context } = this.rule;
      requireFit(weightsOf(backbone, auxiliary, context), tensors);
      backbone.loadStateDict(unprefixed("backbone.", tensors));
      auxiliary?.loadStateDict(unprefixed("heads.", tensors));
      context?.loadStateDict(unprefixed("contexts.", tensors));
    });
    this.#epoch = epoch;
  }

  #savedAt(epoch: number): SavedWeights {
    const found = this.saved.findLast((saved) => saved.epoch === epoch);
    if (found) return found;
    const there = this.saved.map((saved) => saved.epoch);
    const wasKept = keepsEpoch(this.settings.checkpoint.keep, epoch) && epoch <= there.at(-1)!;
    const why = wasKept
      ? `its file ${join("checkpoints", keptName(epoch))} is gone`
      : "a run that is trained with checkpoint.keep=all (or =[1,5,20]) keeps them";
    throw new TrainedNetworkError(`run ${this.id} has no weights of epoch ${epoch}, only of ${listed(there)}; ${why}`);
  }

  /**
   * Places of stages by name; all without names.
   * @throws TrainedNetworkError for a name that no stage has
   */
  stagesAt(names?: readonly string[]): number[] {
    const all = this.#stageNames;
    if (names === undefined) return [...all.keys()];
    for (const name of names) {
      if (all.includes(name)) continue;
      const near = nearest(name, all);
      throw new TrainedNetworkError(
        `run ${this.id} has no stage ${name} (stages: ${all.join(", ")})${near ? `; did you mean ${near}?` : ""}`,
        true,
      );
    }
    return [...all.keys()].filter((at) => names.includes(all[at]!));
  }

  /**
   * The outputs of some stages for some samples, as the network computes them when it predicts: in evaluation mode, without
   * augmentation, with the weights that are loaded when they are read. Input: normalised images `[N, C, H, W]`.
   *
   * One pass through the network gives a batch of all of them; what is above the last stage asked for is computed too.
   * Where no weights are loaded, the newest are.
   * @throws TrainedNetworkError for a stage that is not there, or more samples than there are
   */
  representations({ split = "test", samples, stages }: SampleChoice = {}): Representations {
    const set = this.images[split];
    const count = samples ?? set.count;
    if (!Number.isInteger(count) || count < 1 || count > set.count) {
      throw new TrainedNetworkError(
        `expected 1 to ${set.count} samples of the ${split} images of run ${this.id}, got ${count}`,
      );
    }
    if (Number.isNaN(this.#epoch)) this.load(this.saved.at(-1)!.epoch);
    return ofStages({
      set,
      count,
      normalisation: this.images.normalisation,
      classes: this.images.classes,
      names: this.#stageNames,
      chosen: this.stagesAt(stages),
      readStages: (images, read) => evaluating(this.rule, () => this.rule.readStages(images, read)),
    });
  }

  dispose(): void {
    this.rule.dispose();
    if (!this.ownsImages) return;
    const { train, test, normalisation } = this.images;
    for (const { images, labels } of [train, test]) {
      images.dispose();
      labels.dispose();
    }
    normalisation.scale.dispose();
    normalisation.shift.dispose();
  }
}

/**
 * A finished run's network and its images. Weights are read when an epoch is asked for, so that a damaged file stands in
 * the way of its own epoch alone.
 *
 * Memory: the images as bytes, and the rule as in training, optimizer included.
 * @param run - its id, or a beginning that only it has
 * @throws StoreError where there is no such run; DatasetError where its images are missing; TrainedNetworkError where it
 * is in training, or has no checkpoint
 */
export async function openTrained(
  store: Pick<Store, "getRun">,
  runsDir: string,
  run: string,
  options: OpenOptions,
): Promise<TrainedNetwork> {
  const record = store.getRun(run);
  const recorded = recordedSettings(record);
  if (record.status === "running") {
    throw new TrainedNetworkError(`run ${record.id} is being trained; wait until it has ended, or stop it with Ctrl-C`);
  }
  const saved = savedWeights(join(runsDir, record.id), () => stepsPerEpoch(recorded));
  if (saved.length === 0) {
    const began =
      record.status === "completed" ? "has no checkpoint any more" : `is ${record.status} and has no checkpoint`;
    throw new TrainedNetworkError(`run ${record.id} ${began}; train it again: ${record.command} --fresh`);
  }
  const device = options.device ?? (refusedDevice(recorded.device) === null ? recorded.device : "cpu");
  prepareDevice(device);
  const settings: RunSettings = { ...recorded, device };
  const images = options.imagesOf
    ? sharedImages(options.imagesOf, record, settings)
    : await loadImages(settings, options.dataDirs);
  return new TrainedNetwork(record, settings, saved, ruleOf(settings, images), images, !options.imagesOf);
}

/** The run's rule as it was made, before any training. */
function ruleOf(settings: RunSettings, { train, normalisation, shape, classes }: RunImages): LearningRule {
  // Nothing is written there: only a rule that trains caches features.
  const training = { set: train, normalisation, batch: GATHERED_AT_ONCE, scratch: tmpdir() };
  const kind = { shape, classes };
  const trained = settings.match === null ? settings : matchedSettings(settings, kind, training);
  return createRule(trained, kind, { dropout: new Generator(0), rule: new Generator(0) }, training);
}

function stepsPerEpoch({ data }: RunSettings): number {
  const entry = entryOf(datasets, data.name);
  return Math.ceil((data.train ?? entry.trainCount(optionsOf(entry, data))) / data.batch);
}

/** The images that settings name, as a run uses them. @throws DatasetError */
export async function loadImages(
  { data, device }: { readonly data: ImageSettings; readonly device: string },
  dataDirs: readonly string[],
): Promise<RunImages> {
  const entry = entryOf(datasets, data.name);
  const dataset = await entry.load(optionsOf(entry, data), {
    dataDirs,
    ...(data.train === null ? {} : { train: data.train }),
    ...(data.test === null ? {} : { test: data.test }),
  });
  return {
    train: placeOn(tensorSet(dataset.train, data.train, dataset, 0), device),
    test: placeOn(tensorSet(dataset.test, data.test, dataset, 0), device),
    normalisation: normalisationOf(dataset, device),
    classes: dataset.classes,
    shape: dataset.shape,
    identity: dataIdentity(data),
  };
}

/** Data set and its options, without how many images are used of it. */
function dataIdentity(data: ImageSettings): string {
  const entry = entryOf(datasets, data.name);
  return JSON.stringify([data.name, optionsOf(entry, data)]);
}

/** @throws TrainedNetworkError when the two runs are of different data sets */
function sharedImages(other: TrainedNetwork, record: RunRecord, settings: RunSettings): RunImages {
  if (dataIdentity(settings.data) === other.images.identity) return other.images;
  throw new TrainedNetworkError(
    `run ${record.id} is of ${settings.data.name}, run ${other.id} of ${other.settings.data.name}` +
      `${settings.data.name === other.settings.data.name ? " with other options" : ""}; ` +
      "expected two runs of the same images",
  );
}

/** `0, 1 and 20`. */
function listed(epochs: readonly number[]): string {
  const words = epochs.map((epoch) => String(Number(epoch.toFixed(3))));
  return words.length === 1 ? `epoch ${words[0]}` : `epochs ${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}
