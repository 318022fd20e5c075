// One run, start to end: data, network, rule, epochs, measures, checkpoints. Runs inside a worker process; everything
// that leaves it leaves as an event.
import {
  all,
  countMultiplyAdds,
  Generator,
  isfinite,
  noGrad,
  optim,
  scope,
  setThreads,
  type Tensor,
  TorchError,
  zeros,
} from "@stopgrad/torch";
import { datasets } from "../data/index.js";
import { EpochOrder, type Normalisation, normalisationOf, type TensorSet, tensorSet } from "../data/loader.js";
import { placeOn } from "../data/transfer.js";
import type { MeasureName } from "../measures/index.js";
import { stageShapes } from "../models/index.js";
import { entryOf } from "../registry.js";
import type { LearningRule, Phase } from "../rules/index.js";
import type { MetricPoint, RunEnvironment, RunSummary } from "../store/records.js";
import { describeSystemError } from "../system-error.js";
import { removeUnfinished, restoreCheckpoint, saveCheckpoint, type TrainingState } from "./checkpoint.js";
import { createRule, networkShape, takeOver } from "./create-rule.js";
import { bytesOn, generatorOn, prepareDevice, resetPeakOn, settle } from "./device.js";
import { describeEnvironment } from "./environment.js";
import { phaseOf, totalEpochs } from "./epochs.js";
import { evaluate } from "./evaluate.js";
import { settingsHash } from "./identity.js";
import { createObserver, logSpacedSteps, type Observer } from "./observer.js";
import type { TrainingEvent, TrainingJob } from "./protocol.js";
import { type ObserveSettings, optionsOf, type RunSettings } from "./run-settings.js";
import { streamSeed } from "./seeds.js";

/** Milliseconds between two progress events, and between two turns for messages. */
const PROGRESS_EVERY = 250;
const BREATHE_EVERY = 50;

/** Images a rule takes at a time when it looks at all of them: sums depend on it, so that it is no setting. */
const TRAINING_DATA_AT_ONCE = 500;

export interface TrainingHooks {
  /** Resolves once the event is stored: a checkpoint is only written after the metrics before it. */
  emit(event: TrainingEvent): Promise<void>;
  /** Asked between steps, and between batches of an evaluation or a measure: true ends the run with a checkpoint. */
  shouldStop(): boolean;
}

/** Ends the work between two of its steps, because the hooks asked for it. */
class Stopped extends Error {}

/**
 * Trains a run to its end, its interruption or its failure, and says which as the last event.
 * @throws what `hooks.emit` rejects with, when even that cannot be said
 */
export async function train(job: TrainingJob, hooks: TrainingHooks): Promise<void> {
  try {
    const { threads, device, precision } = job.settings;
    const environment = describeEnvironment(threads, device, precision);
    environment.catch(() => {}); // reported where it is waited for
    const run = await Training.prepare(job, hooks, environment);
    try {
      await run.go();
    } finally {
      run.rule.dispose();
    }
  } catch (error) {
    await hooks.emit({ type: "failed", message: describeSystemError(error) ?? (error as Error).message });
  }
}

class Training {
  #state: TrainingState;
  /** Null until this process has taken the run's first step. */
  #secondsToFirstStep: number | null = null;
  /** When the last checkpoint was written, or training began. */
  #savedAt = performance.now();

  private constructor(
    private readonly job: TrainingJob,
    private readonly hooks: TrainingHooks,
    private readonly environment: Promise<RunEnvironment>,
    readonly rule: LearningRule,
    private readonly data: { train: TensorSet; test: TensorSet; normalisation: Normalisation },
    private readonly observers: readonly { name: string; when: ObserveSettings; observer: Observer }[],
    private readonly generators: { order: Generator; augmentation: Generator; dropout: Generator; rule: Generator },
    /** Bytes of tensors that are no part of training: the data set and what observers hold. */
    private readonly otherBytes: number,
    state: TrainingState,
  ) {
    this.#state = state;
  }

  static async prepare(
    job: TrainingJob,
    hooks: TrainingHooks,
    environment: Promise<RunEnvironment>,
  ): Promise<Training> {
    const { settings } = job;
    setThreads(settings.threads);
    prepareDevice(settings.device);
    const dataEntry = entryOf(datasets, settings.data.name);
    const dataset = await dataEntry.load(optionsOf(dataEntry, settings.data), {
      dataDirs: job.dataDirs,
      ...(settings.data.train === null ? {} : { train: settings.data.train }),
      ...(settings.data.test === null ? {} : { test: settings.data.test }),
    });
    const { device } = settings;
    const before = bytesOn(device).live;
    const data = {
      // The same subset for every seed: seeds vary initialisation, order and augmentation.
      train: placeOn(tensorSet(dataset.train, settings.data.train, dataset, 0), device),
      test: placeOn(tensorSet(dataset.test, settings.data.test, dataset, 0), device),
      normalisation: normalisationOf(dataset, device),
    };
    const observers = Object.entries(settings.observe).map(([name, when]) => ({
      name,
      when,
      observer: createObserver(name as MeasureName, when, { ...data, classes: dataset.classes }),
    }));
    const otherBytes = bytesOn(device).live - before;

    const generators = {
      order: new Generator(0),
      augmentation: new Generator(0),
      dropout: generatorOn(device, streamSeed(settings.seed, "dropout")),
      rule: new Generator(streamSeed(settings.seed, "rule")),
    };
    const rule = createRule(settings, dataset, generators, {
      set: data.train,
      normalisation: data.normalisation,
      batch: TRAINING_DATA_AT_ONCE,
      scratch: job.directory,
    });
    const state: TrainingState = {
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
      stages: stageShapes(rule.backbone, networkShape(settings, dataset.shape)).map((shape, at) => ({
        name: rule.backbone.stages[at]!.name,
        shape: [...shape],
        nhsicXZ: null,
        nhsicYZ: null,
        probeTrain: null,
        probeTest: null,
      })),
    };
    const training = new Training(job, hooks, environment, rule, data, observers, generators, otherBytes, state);
    if (job.resume) await training.#resume();
    if (job.retrainFrom && training.#state.step === 0) takeOver(rule, settings, job.retrainFrom);
    return training;
  }

  async #resume(): Promise<void> {
    const warnings: string[] = [];
    removeUnfinished(this.job.directory);
    restoreCheckpoint(
      this.job.directory,
      settingsHash(this.job.settings),
      (tensors, state) => this.#restore(tensors, state),
      (message) => warnings.push(message),
    );
    for (const message of warnings) await this.hooks.emit({ type: "warning", message });
  }

  /** All of a checkpoint or nothing. */
  #restore(tensors: ReadonlyMap<string, Tensor>, state: TrainingState): void {
    const generators = Object.entries(this.generators);
    const before = generators.map(([, generator]) => generator.getState());
    try {
      for (const [name, generator] of generators) {
        const saved = tensors.get(`generator.${name}`);
        if (!saved && name === "rule") continue; // absent from checkpoints of before there were rules that draw
        if (!saved) throw new TorchError(`expected the state of the generator ${name}, got none`);
        generator.setState(saved);
      }
      this.rule.loadStateDict(tensors);
    } catch (error) {
      for (const [at, [, generator]] of generators.entries()) generator.setState(before[at]!);
      throw error;
    }
    this.#state = { ...state, trainingMultiplyAdds: state.trainingMultiplyAdds ?? Number.NaN }; // absent in old ones
  }

  get #stepsPerEpoch(): number {
    return Math.ceil(this.data.train.count / this.job.settings.data.batch);
  }

  async go(): Promise<void> {
    const { settings } = this.job;
    const epochs = totalEpochs(this.rule.phases, settings.epochs);
    const totalSteps = epochs * this.#stepsPerEpoch;
    const environment = await this.environment;
    await this.hooks.emit({ type: "started", environment, epochs, totalSteps, step: this.#state.step });
    this.#savedAt = performance.now();
    try {
      this.#enterPhase();
      if (this.#state.step === 0) {
        await this.#record([...this.#evaluateTest(), ...(await this.#observe(({ every }) => every !== undefined))]);
      }
      while (this.#state.epoch < epochs) await this.#epoch(epochs, totalSteps);
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      if (this.#state.step > 0) this.#save();
      await this.hooks.emit({ type: "interrupted", epoch: this.#state.epoch, step: this.#state.step });
      return;
    }
    await this.hooks.emit({ type: "completed", summary: this.#summary() });
  }

  /** @throws Stopped when the run should end here. Wherever this is called, a checkpoint can be taken. */
  #breathe = (): void => {
    if (this.hooks.shouldStop()) throw new Stopped();
  };

  /** Trains what is left of an epoch, measures after it, and keeps what came of it. @throws Stopped */
  async #epoch(epochs: number, totalSteps: number): Promise<void> {
    const { settings } = this.job;
    const state = this.#state;
    this.#enterPhase();
    await this.#trainEpoch(epochs, totalSteps);
    const { running } = state;
    const isLast = state.epoch + 1 === epochs;
    const predicts = running.correct !== null;
    // Where no step predicts, the training images are predicted once, at the end.
    if (running.correct !== null) state.trainAccuracy = running.correct / running.seen;
    else if (isLast) state.trainAccuracy = this.#evaluate(this.data.train).accuracy;
    await this.#record([
      this.#point("trainLoss", running.loss / running.seen),
      ...(predicts || isLast ? [this.#point("trainAccuracy", state.trainAccuracy)] : []),
      ...Object.entries(running.localLosses).map(([module, sum]) =>
        this.#point("localLoss", sum / running.seen, module),
      ),
      this.#point("learningRate", this.#learningRate()),
      this.#point("seconds", state.seconds),
      this.#point("imagesPerSecond", running.seen / running.seconds),
      this.#point("peakBytes", state.peakBytes),
      ...this.#evaluateTest(),
      ...(await this.#observe(
        ({ every, at }) =>
          (every !== undefined && (isLast || (state.epoch + 1) % every === 0)) || (at === "end" && isLast),
      )),
    ]);
    // Only now is the epoch done: a run that is stopped while it measures goes on with measuring.
    state.epoch += 1;
    state.stepInEpoch = 0;
    state.running = emptyRunning();
    if (isLast || state.epoch % settings.checkpoint.every === 0 || this.#isCheckpointDue()) this.#save();
  }

  /** The steps that are left of an epoch. @throws Stopped */
  async #trainEpoch(epochs: number, totalSteps: number): Promise<void> {
    const { settings } = this.job;
    const { device } = settings;
    const { batch, augment } = settings.data;
    const state = this.#state;
    const { running } = state;
    const dense = state.epoch === 0 ? logSpacedSteps(this.#stepsPerEpoch) : new Set<number>();

    this.rule.setLearningRate(this.#learningRate());
    this.generators.order.manualSeed(streamSeed(settings.seed, `order/${state.epoch}`));
    if (state.stepInEpoch === 0) {
      this.generators.augmentation.manualSeed(streamSeed(settings.seed, `augmentation/${state.epoch}`));
    }
    const order = new EpochOrder(this.data.train, batch, this.generators.order);
    try {
      settle(device);
      resetPeakOn(device);
      let started = performance.now();
      let progressAt = started;
      let breatheAt = started;
      const pause = () => {
        settle(device);
        const seconds = (performance.now() - started) / 1000;
        state.seconds += seconds;
        running.seconds += seconds;
        state.peakBytes = Math.max(state.peakBytes, bytesOn(device).peak - this.otherBytes);
      };
      const goOn = () => {
        settle(device);
        resetPeakOn(device);
        started = performance.now();
      };
      while (state.stepInEpoch < order.batches) {
        // Measured before the step that follows, so that a run that goes on from here measures it again.
        if (dense.has(state.stepInEpoch)) {
          pause();
          await this.#record(await this.#observe(({ firstEpoch }) => firstEpoch));
          goOn();
        }
        this.#step(order, augment);
        const now = performance.now();
        if (now - progressAt > PROGRESS_EVERY) {
          progressAt = now;
          const { epoch, step } = state;
          void this.hooks.emit({
            type: "progress",
            epoch: epoch + 1,
            epochs,
            step,
            totalSteps,
            imagesPerSecond: running.seen / (running.seconds + (now - started) / 1000),
            loss: running.loss / running.seen,
          });
        }
        if (now - breatheAt > BREATHE_EVERY) {
          breatheAt = now;
          await new Promise(setImmediate);
        }
        if (this.hooks.shouldStop() || this.#isCheckpointDue()) {
          pause();
          this.#breathe();
          this.#save();
          goOn();
        }
      }
      pause();
    } finally {
      order.dispose();
    }
  }

  /** Whether one is due by steps or by time, in the middle of an epoch as well. */
  #isCheckpointDue(): boolean {
    const { everySteps, everySeconds } = this.job.settings.checkpoint;
    if (everySteps && this.#state.step % everySteps === 0) return true;
    return !!everySeconds && performance.now() - this.#savedAt > 1000 * everySeconds;
  }

  #step(order: EpochOrder, augmentation: RunSettings["data"]["augment"]): void {
    const state = this.#state;
    scope(() => {
      const batch = order.get(
        state.stepInEpoch,
        this.data.normalisation,
        augmentation,
        this.generators.augmentation,
        this.rule.views,
      );
      const step = () => this.rule.step(batch, () => order.fetchAhead(state.stepInEpoch + 1));
      const result = state.stepInEpoch === 0 ? this.#countedStep(step, batch.labels.size(0)) : step();
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
      running.correct = result.correct === null || running.correct === null ? null : running.correct + result.correct;
      running.loss += result.loss * count;
      for (const { module, loss } of result.losses) {
        running.localLosses[module] = (running.localLosses[module] ?? 0) + loss * count;
      }
      state.images += count;
    });
    state.stepInEpoch += 1;
    state.step += 1;
    if (state.step === 1) this.#secondsToFirstStep = (Date.now() - this.job.startedAt) / 1000;
  }

  #divergenceHint(): string {
    return `(learning rate ${this.#learningRate()}); where training diverges, a smaller optimizer.learningRate helps`;
  }

  /** Where the epoch in progress stands among the rule's phases. */
  get #phase(): { at: number; phase: Phase; epoch: number } {
    return phaseOf(this.rule.phases, this.#state.epoch, this.job.settings.epochs);
  }

  /** What a phase computes once of all images counts as cost of its first epoch. */
  #enterPhase(): void {
    const { forward, backward } = countMultiplyAdds(() => this.rule.enterPhase(this.#phase.at, this.#breathe));
    this.#state.trainingMultiplyAdds += (forward + backward) / this.data.train.count;
  }

  /** An epoch's first step, whose cost is counted: phases differ. */
  #countedStep<R>(step: () => R, images: number): R {
    const { result, forward, backward } = countMultiplyAdds(step);
    this.#state.trainingMultiplyAdds += (forward + backward) / images;
    return result;
  }

  /** Each phase begins its schedule anew. */
  #learningRate(): number {
    const { schedule } = this.job.settings.optimizer;
    const { phase, epoch } = this.#phase;
    const learningRate = phase.learningRate ?? this.job.settings.optimizer.learningRate;
    return schedule ? optim.multiStep(learningRate, epoch, schedule) : learningRate;
  }

  #evaluate(set: TensorSet): { loss: number; accuracy: number } {
    return evaluate(this.rule, set, this.data.normalisation, this.job.settings.data.evaluationBatch, this.#breathe);
  }

  #evaluateTest(): MetricPoint[] {
    this.#requireFiniteWeights();
    const { loss, accuracy } = this.#evaluate(this.data.test);
    if (!Number.isFinite(loss)) {
      throw new Error(`the test loss became ${loss} ${this.#afterStep()} ${this.#divergenceHint()}`);
    }
    this.#state.testAccuracy = accuracy;
    return [this.#point("testLoss", loss), this.#point("testAccuracy", accuracy)];
  }

  /** A weight that is not finite may hide: behind a ReLU, in a head, in the last step. */
  #requireFiniteWeights(): void {
    scope(() => {
      for (const [name, tensor] of this.rule.stateDict()) {
        const isWeight = /^(backbone|heads)\./.test(name) && tensor.dtype.includes("float");
        if (!isWeight || scope(() => all(isfinite(tensor)).item()) !== 0) continue;
        throw new Error(`${name} became NaN or infinite ${this.#afterStep()} ${this.#divergenceHint()}`);
      }
    });
  }

  /** `in epoch 3, step 12`: the last step that was taken. */
  #afterStep(): string {
    const { epoch, stepInEpoch } = this.#state;
    return stepInEpoch === 0 ? "before the first step" : `in epoch ${epoch + 1}, step ${stepInEpoch}`;
  }

  async #observe(wanted: (when: ObserveSettings) => boolean): Promise<MetricPoint[]> {
    const points: MetricPoint[] = [];
    for (const { name, observer } of this.observers.filter(({ when }) => wanted(when))) {
      const measured = observer.observe(this.rule, this.#breathe);
      for (const { key, stage, value, standardError } of measured) {
        const summary = this.#state.stages.find((one) => one.name === stage);
        if (summary && isStageMeasure(key)) summary[key] = Number.isNaN(value) ? null : value;
        points.push({ ...this.#point(key, value, stage), standardError });
      }
      const problem = measured.find((one) => one.problem !== null)?.problem;
      if (problem) {
        const stages = new Set(measured.filter((one) => one.problem !== null).map(({ stage }) => stage));
        const message = `${name} of ${[...stages].join(", ")} cannot be computed ${this.#afterStep()}: ${problem}`;
        await this.hooks.emit({ type: "warning", message });
      }
    }
    return points;
  }

  /** `epoch` is fractional inside an epoch. */
  #point(key: string, value: number, stage = ""): MetricPoint {
    const { epoch, stepInEpoch, step } = this.#state;
    return { epoch: epoch + stepInEpoch / this.#stepsPerEpoch, step, key, stage, value, standardError: null };
  }

  async #record(points: MetricPoint[]): Promise<void> {
    await this.hooks.emit({ type: "metrics", points });
  }

  #save(): void {
    scope(() => {
      const tensors = new Map<string, Tensor>(this.rule.stateDict());
      for (const [name, generator] of Object.entries(this.generators)) {
        tensors.set(`generator.${name}`, generator.getState());
      }
      saveCheckpoint(this.job.directory, tensors, this.#state, settingsHash(this.job.settings));
    });
    this.#savedAt = performance.now();
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
      secondsToFirstStep: this.#secondsToFirstStep,
      parameters: {
        backbone: countParameters(this.rule.backbone.parameters()),
        heads: countParameters(this.rule.auxiliary?.parameters() ?? []),
      },
      cost: this.#cost(),
      stages,
    };
  }

  /** Multiply-adds for one image. */
  #cost(): RunSummary["cost"] {
    const { settings } = this.job;
    const { backbone } = this.rule;
    if (!Number.isFinite(this.#state.trainingMultiplyAdds)) return null;
    const image = [1, ...this.data.test.images.shape.slice(1)];
    const countOf = (body: () => Tensor) => countMultiplyAdds(() => noGrad(() => scope(() => void body()))).forward;
    backbone.eval();
    return scope(() => {
      const input = zeros(image, { device: settings.device });
      const alone = zeros([1, ...networkShape(settings, image.slice(1))], { device: settings.device });
      const all = countOf(() => this.rule.logits(input));
      const ofBackbone = Math.min(
        all,
        countOf(() => backbone.forward(alone)),
      );
      return {
        inference: { backbone: ofBackbone, extras: all - ofBackbone },
        training: this.#state.trainingMultiplyAdds / this.#state.epoch,
      };
    });
  }
}

const STAGE_MEASURES = ["nhsicXZ", "nhsicYZ", "probeTrain", "probeTest"] as const;

/** Whether a stage's summary has a place for this measure's latest value. */
function isStageMeasure(key: string): key is (typeof STAGE_MEASURES)[number] {
  return (STAGE_MEASURES as readonly string[]).includes(key);
}

function emptyRunning(): TrainingState["running"] {
  return { seen: 0, correct: 0, loss: 0, localLosses: {}, seconds: 0 };
}

function countParameters(parameters: readonly Tensor[]): number {
  return parameters.reduce((sum, parameter) => sum + parameter.numel, 0);
}
