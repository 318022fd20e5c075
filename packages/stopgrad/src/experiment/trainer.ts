// One run, start to end: data, network, rule, epochs, measures, checkpoints. Runs inside a worker process; everything
// that leaves it leaves as an event.
import { Generator, memory, optim, resetPeakBytes, scope, setThreads, type Tensor } from "@stopgrad/torch";
import { datasets } from "../data/index.js";
import { EpochOrder, type Normalisation, normalisationOf, type TensorSet, tensorSet } from "../data/loader.js";
import { heads } from "../heads/index.js";
import { losses } from "../losses/index.js";
import type { MeasureName } from "../measures/index.js";
import { models, stageShapes } from "../models/index.js";
import { optimizers } from "../optimizers/index.js";
import { type LearningRule, rules } from "../rules/index.js";
import type { MetricPoint, RunSummary } from "../store/records.js";
import { describeSystemError } from "../system-error.js";
import { loadCheckpoint, saveCheckpoint, type TrainingState } from "./checkpoint.js";
import { describeEnvironment } from "./environment.js";
import { evaluate } from "./evaluate.js";
import { settingsHash } from "./identity.js";
import { createObserver, logSpacedSteps, type Observer, type StageMeasurement } from "./observer.js";
import { moduleSizes } from "./partition.js";
import type { TrainingEvent, TrainingJob } from "./protocol.js";
import { entryOf } from "./registries.js";
import { type ObserveSettings, optionsOf, type RunSettings } from "./run-settings.js";
import { streamSeed } from "./seeds.js";

/** Milliseconds between two progress events, and between two turns for messages. */
const PROGRESS_EVERY = 250;
const BREATHE_EVERY = 50;

export interface TrainingHooks {
  /**
   * Resolves once the event is stored, rejects when it cannot be: a checkpoint is only written after the metrics
   * before it.
   */
  emit(event: TrainingEvent): Promise<void>;
  /** Asked between steps: true ends the run with a checkpoint. */
  shouldStop(): boolean;
}

/**
 * Trains a run to its end, its interruption or its failure, and says which as the last event.
 * @throws what `hooks.emit` rejects with, when even that cannot be said
 */
export async function train(job: TrainingJob, hooks: TrainingHooks): Promise<void> {
  try {
    const run = await Training.prepare(job, hooks);
    await run.go();
  } catch (error) {
    await hooks.emit({ type: "failed", message: describeSystemError(error) ?? (error as Error).message });
  }
}

class Training {
  #state: TrainingState;

  private constructor(
    private readonly job: TrainingJob,
    private readonly hooks: TrainingHooks,
    private readonly rule: LearningRule,
    private readonly data: { train: TensorSet; test: TensorSet; normalisation: Normalisation },
    private readonly observers: readonly { when: ObserveSettings; observer: Observer }[],
    private readonly generators: { order: Generator; augmentation: Generator; dropout: Generator },
    /** Bytes of tensors that are no part of training: the data set and what observers hold. */
    private readonly otherBytes: number,
    state: TrainingState,
  ) {
    this.#state = state;
  }

  static async prepare(job: TrainingJob, hooks: TrainingHooks): Promise<Training> {
    const { settings } = job;
    setThreads(settings.threads);
    const dataEntry = entryOf(datasets, settings.data.name);
    const dataset = await dataEntry.load(optionsOf(dataEntry, settings.data), {
      dataDirs: job.dataDirs,
      ...(settings.data.train === null ? {} : { train: settings.data.train }),
      ...(settings.data.test === null ? {} : { test: settings.data.test }),
    });
    const before = memory().liveBytes;
    const data = {
      // The same subset for every seed: seeds vary initialisation, order and augmentation.
      train: tensorSet(dataset.train, settings.data.train, dataset, 0),
      test: tensorSet(dataset.test, settings.data.test, dataset, 0),
      normalisation: normalisationOf(dataset),
    };
    const observers = Object.entries(settings.observe).map(([name, when]) => ({
      when,
      observer: createObserver(name as MeasureName, when, { ...data, classes: dataset.classes }),
    }));
    const otherBytes = memory().liveBytes - before;

    const generators = {
      order: new Generator(0),
      augmentation: new Generator(0),
      dropout: new Generator(streamSeed(settings.seed, "dropout")),
    };
    const rule = createRule(settings, dataset.shape, dataset.classes, generators.dropout);
    const state: TrainingState = {
      epoch: 0,
      stepInEpoch: 0,
      step: 0,
      seconds: 0,
      images: 0,
      peakBytes: 0,
      running: emptyRunning(),
      trainAccuracy: 0,
      testAccuracy: 0,
      stages: stageShapes(rule.backbone, dataset.shape).map((shape, at) => ({
        name: rule.backbone.stages[at]!.name,
        shape: [...shape],
        nhsicXZ: null,
        nhsicYZ: null,
        probeTrain: null,
        probeTest: null,
      })),
    };
    const training = new Training(job, hooks, rule, data, observers, generators, otherBytes, state);
    if (job.resume) await training.#resume();
    return training;
  }

  async #resume(): Promise<void> {
    const warnings: string[] = [];
    const identity = settingsHash(this.job.settings);
    const found = loadCheckpoint(this.job.directory, identity, (message) => warnings.push(message));
    for (const message of warnings) await this.hooks.emit({ type: "warning", message });
    if (!found) return;
    scope(() => {
      for (const [name, generator] of Object.entries(this.generators)) {
        const saved = found.tensors.get(`generator.${name}`);
        if (saved) generator.setState(saved);
      }
      this.rule.loadStateDict(found.tensors);
    });
    for (const tensor of found.tensors.values()) tensor.dispose();
    this.#state = found.state;
  }

  get #stepsPerEpoch(): number {
    return Math.ceil(this.data.train.count / this.job.settings.data.batch);
  }

  async go(): Promise<void> {
    const { settings } = this.job;
    const totalSteps = settings.epochs * this.#stepsPerEpoch;
    const environment = describeEnvironment(settings.threads, settings.device);
    await this.hooks.emit({ type: "started", environment, totalSteps, step: this.#state.step });
    if (this.#state.step === 0) {
      await this.#record([...this.#evaluateTest(), ...this.#observe(({ every }) => every !== undefined)]);
    }
    while (this.#state.epoch < settings.epochs) {
      const finished = await this.#epoch(totalSteps);
      if (!finished) {
        this.#save();
        await this.hooks.emit({ type: "interrupted", epoch: this.#state.epoch, step: this.#state.step });
        return;
      }
      const { epoch } = this.#state;
      const isLast = epoch === settings.epochs;
      if (isLast || epoch % settings.checkpoint.every === 0) this.#save();
    }
    await this.hooks.emit({ type: "completed", summary: this.#summary() });
  }

  /** Trains what is left of an epoch and measures after it. False when it was interrupted. */
  async #epoch(totalSteps: number): Promise<boolean> {
    const { settings } = this.job;
    const { batch, augment } = settings.data;
    const state = this.#state;
    const dense = state.epoch === 0 ? logSpacedSteps(this.#stepsPerEpoch) : new Set<number>();

    const learningRate = this.#learningRate();
    this.rule.setLearningRate(learningRate);
    this.generators.order.manualSeed(streamSeed(settings.seed, `order/${state.epoch}`));
    if (state.stepInEpoch === 0) {
      this.generators.augmentation.manualSeed(streamSeed(settings.seed, `augmentation/${state.epoch}`));
    }
    const order = new EpochOrder(this.data.train, batch, this.generators.order);
    const startSeconds = state.seconds;
    const startImages = state.images;
    try {
      resetPeakBytes();
      let started = performance.now();
      let progressAt = started;
      let breatheAt = started;
      const pause = () => {
        state.seconds += (performance.now() - started) / 1000;
        state.peakBytes = Math.max(state.peakBytes, memory().peakBytes - this.otherBytes);
      };
      const goOn = () => {
        resetPeakBytes();
        started = performance.now();
      };
      while (state.stepInEpoch < order.batches) {
        // Measured before the step that follows, so that a run that goes on from here measures it again.
        if (dense.has(state.stepInEpoch)) {
          pause();
          const points = this.#observe(({ firstEpoch }) => firstEpoch);
          if (!(await this.#tryRecord(points))) return false;
          goOn();
        }
        this.#step(order, augment);
        const now = performance.now();
        if (now - progressAt > PROGRESS_EVERY) {
          progressAt = now;
          const seconds = state.seconds + (now - started) / 1000 - startSeconds;
          const imagesPerSecond = (state.images - startImages) / seconds;
          const loss = state.running.loss / state.running.seen;
          const { epoch, step } = state;
          void this.hooks.emit({
            type: "progress",
            epoch: epoch + 1,
            epochs: settings.epochs,
            step,
            totalSteps,
            imagesPerSecond,
            loss,
          });
        }
        if (now - breatheAt > BREATHE_EVERY) {
          breatheAt = now;
          await new Promise(setImmediate);
        }
        if (this.hooks.shouldStop() && state.stepInEpoch < order.batches) {
          pause();
          return false;
        }
      }
      pause();
    } finally {
      order.dispose();
    }

    const { running } = state;
    state.epoch += 1;
    state.stepInEpoch = 0;
    state.running = emptyRunning();
    state.trainAccuracy = running.correct / running.seen;
    const seconds = state.seconds - startSeconds;
    const isLast = state.epoch === settings.epochs;
    await this.#record([
      this.#point("trainLoss", running.loss / running.seen),
      this.#point("trainAccuracy", state.trainAccuracy),
      ...Object.entries(running.localLosses).map(([module, sum]) =>
        this.#point("localLoss", sum / running.seen, module),
      ),
      this.#point("learningRate", learningRate),
      this.#point("seconds", state.seconds),
      this.#point("imagesPerSecond", (state.images - startImages) / seconds),
      this.#point("peakBytes", state.peakBytes),
      ...this.#evaluateTest(),
      ...this.#observe(
        ({ every, at }) => (every !== undefined && (isLast || state.epoch % every === 0)) || (at === "end" && isLast),
      ),
    ]);
    return true;
  }

  #step(order: EpochOrder, augmentation: RunSettings["data"]["augment"]): void {
    const state = this.#state;
    scope(() => {
      const batch = order.get(state.stepInEpoch, this.data.normalisation, augmentation, this.generators.augmentation);
      const result = this.rule.step(batch);
      const wrong = result.losses.find(({ loss }) => !Number.isFinite(loss));
      if (wrong) {
        throw new Error(
          `the loss of ${wrong.module} became ${wrong.loss} in epoch ${state.epoch + 1}, step ${state.stepInEpoch + 1} ` +
            this.#divergenceHint(),
        );
      }
      const count = batch.labels.size(0);
      const { running } = state;
      running.seen += count;
      running.correct += result.correct;
      running.loss += result.loss * count;
      for (const { module, loss } of result.losses) {
        running.localLosses[module] = (running.localLosses[module] ?? 0) + loss * count;
      }
      state.images += count;
    });
    state.stepInEpoch += 1;
    state.step += 1;
  }

  #divergenceHint(): string {
    return `(learning rate ${this.#learningRate()}); where training diverges, a smaller optimizer.learningRate helps`;
  }

  #learningRate(): number {
    const { learningRate, schedule } = this.job.settings.optimizer;
    return schedule ? optim.multiStep(learningRate, this.#state.epoch, schedule) : learningRate;
  }

  #evaluateTest(): MetricPoint[] {
    const { evaluationBatch } = this.job.settings.data;
    const { loss, accuracy } = evaluate(this.rule, this.data.test, this.data.normalisation, evaluationBatch);
    if (Number.isNaN(loss)) {
      throw new Error(`the test loss became NaN after step ${this.#state.step} ${this.#divergenceHint()}`);
    }
    this.#state.testAccuracy = accuracy;
    return [this.#point("testLoss", loss), this.#point("testAccuracy", accuracy)];
  }

  #observe(wanted: (when: ObserveSettings) => boolean): MetricPoint[] {
    return this.observers
      .filter(({ when }) => wanted(when))
      .flatMap(({ observer }) => this.#measure(observer))
      .map(({ key, stage, value, standardError }) => {
        const summary = this.#state.stages.find(({ name }) => name === stage);
        if (summary && isStageMeasure(key)) summary[key] = value;
        return { ...this.#point(key, value, stage), standardError };
      });
  }

  #measure(observer: Observer): StageMeasurement[] {
    try {
      return observer.observe(this.rule);
    } catch (error) {
      throw new Error(`${(error as Error).message}, after step ${this.#state.step} ${this.#divergenceHint()}`);
    }
  }

  /** `epoch` is fractional inside an epoch. */
  #point(key: string, value: number, stage = ""): MetricPoint {
    const { epoch, stepInEpoch, step } = this.#state;
    return { epoch: epoch + stepInEpoch / this.#stepsPerEpoch, step, key, stage, value, standardError: null };
  }

  async #record(points: MetricPoint[]): Promise<void> {
    await this.hooks.emit({ type: "metrics", points });
  }

  /** False when nobody is left to store it. */
  async #tryRecord(points: MetricPoint[]): Promise<boolean> {
    try {
      await this.#record(points);
      return true;
    } catch (error) {
      if (this.hooks.shouldStop()) return false;
      throw error;
    }
  }

  #save(): void {
    scope(() => {
      const tensors = new Map<string, Tensor>(this.rule.stateDict());
      for (const [name, generator] of Object.entries(this.generators)) {
        tensors.set(`generator.${name}`, generator.getState());
      }
      saveCheckpoint(this.job.directory, tensors, this.#state, settingsHash(this.job.settings));
    });
  }

  #summary(): RunSummary {
    const { seconds, images, peakBytes, trainAccuracy, testAccuracy, stages, epoch } = this.#state;
    return {
      epochs: epoch,
      seconds,
      imagesPerSecond: images / seconds,
      peakBytes,
      trainAccuracy,
      testAccuracy,
      parameters: {
        backbone: countParameters(this.rule.backbone.parameters()),
        heads: countParameters(this.rule.auxiliary?.parameters() ?? []),
      },
      stages,
    };
  }
}

const STAGE_MEASURES = ["nhsicXZ", "nhsicYZ", "probeTrain", "probeTest"] as const;

/** Whether a stage's summary has a place for this measure's latest value. */
function isStageMeasure(key: string): key is (typeof STAGE_MEASURES)[number] {
  return (STAGE_MEASURES as readonly string[]).includes(key);
}

function emptyRunning(): TrainingState["running"] {
  return { seen: 0, correct: 0, loss: 0, localLosses: {} };
}

function countParameters(parameters: readonly Tensor[]): number {
  return parameters.reduce((sum, parameter) => sum + parameter.numel, 0);
}

/** The network and its rule, initialised from the run's seed. */
export function createRule(
  settings: RunSettings,
  inputShape: readonly [number, number, number],
  classes: number,
  dropoutGenerator: Generator,
): LearningRule {
  const model = entryOf(models, settings.model.name);
  const backbone = model.create(optionsOf(model, settings.model), {
    inputShape,
    classes,
    generator: new Generator(streamSeed(settings.seed, "backbone")),
    dropoutGenerator,
  });
  const loss = entryOf(losses, settings.objective.loss.name);
  const head = entryOf(heads, settings.objective.head.name);
  const rule = entryOf(rules, settings.rule.name);
  return rule.create(optionsOf(rule, settings.rule), {
    backbone,
    inputShape,
    classes,
    moduleSizes: moduleSizes(settings.partition, backbone.stages.length),
    classifier: settings.classifier,
    loss: { entry: loss, options: optionsOf(loss, settings.objective.loss) },
    head: { entry: head, options: optionsOf(head, settings.objective.head) },
    optimizer: { entry: entryOf(optimizers, settings.optimizer.name), settings: settings.optimizer },
    headGenerator: new Generator(streamSeed(settings.seed, "heads")),
  });
}
