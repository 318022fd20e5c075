// One run, start to end: data, network, rule, epochs, measures, checkpoints. Runs inside a worker process; everything
// that leaves it leaves as an event.
import {
  all,
  countMultiplyAdds,
  Generator,
  isfinite,
  scope,
  setThreads,
  type Tensor,
  TorchError,
} from "@stopgrad/torch";
import { trainingShape } from "../data/augment-settings.js";
import { datasets } from "../data/index.js";
import { EpochOrder, type Normalisation, normalisationOf, type TensorSet, tensorSet } from "../data/loader.js";
import { placeOn } from "../data/transfer.js";
import { bytesOn, resetPeakOn } from "../device-memory.js";
import type { MeasureName } from "../measures/index.js";
import { stageShapes } from "../models/index.js";
import { entryOf } from "../registry.js";
import { type LearningRule, type Phase, StepMemory, type StepResult } from "../rules/index.js";
import type { MetricPoint, ModuleMemory, RunEnvironment, RunSummary } from "../store/records.js";
import { describeSystemError } from "../system-error.js";
import {
  keepsEpoch,
  keepWeights,
  removeUnfinished,
  restoreCheckpoint,
  saveCheckpoint,
  type TrainingState,
} from "./checkpoint.js";
import { createRule, type ImageKind, networkShape, takeOver } from "./create-rule.js";
import { generatorOn, prepareDevice, settle } from "./device.js";
import { describeEnvironment } from "./environment.js";
import { phaseOf, totalEpochs } from "./epochs.js";
import { evaluate } from "./evaluate.js";
import { settingsHash } from "./identity.js";
import { matchedSettings } from "./match-cost.js";
import { createObserver, logSpacedSteps, type Observer } from "./observer.js";
import { ModulePipeline, type NamedReport, type PipelineStep } from "./parallel.js";
import type { TrainingEvent, TrainingJob } from "./protocol.js";
import { scheduledRate } from "./rate-schedule.js";
import { type ObserveSettings, optionsOf, type RunSettings } from "./run-settings.js";
import { bytesIn, summariseRun } from "./run-summary.js";
import { streamSeed } from "./seeds.js";
import { keepLatest } from "./stage-measures.js";

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
      run.dispose();
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
  /** Null where modules learn one after the other, in this process. */
  #pipeline: ModulePipeline | null = null;
  /** What the workers said last. */
  #reports: readonly NamedReport[] = [];
  /** Batches that the workers have: their numbers in the epoch, and images. */
  readonly #underWay: { readonly step: number; readonly count: number }[] = [];
  /** Whether a step that is on its way watches its memory. */
  #isWatching = false;

  private constructor(
    private readonly job: TrainingJob,
    private readonly hooks: TrainingHooks,
    private readonly environment: Promise<RunEnvironment>,
    /** The job's settings, with the width that was found where a cost is to be matched. */
    private readonly trained: RunSettings,
    readonly rule: LearningRule,
    private readonly data: { train: TensorSet; test: TensorSet; normalisation: Normalisation; kind: ImageKind },
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
    let toldAt = performance.now();
    const dataset = await dataEntry.load(optionsOf(dataEntry, settings.data), {
      dataDirs: job.dataDirs,
      onProgress: (done, total) => {
        if (performance.now() - toldAt < PROGRESS_EVERY) return;
        toldAt = performance.now();
        void hooks.emit({ type: "preparing", done, total });
      },
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
      kind: { shape: dataset.shape, classes: dataset.classes },
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
    const training = {
      set: data.train,
      normalisation: data.normalisation,
      batch: TRAINING_DATA_AT_ONCE,
      scratch: job.directory,
    };
    const trained = settings.match === null ? settings : matchedSettings(settings, dataset, training);
    const rule = createRule(trained, dataset, generators, training);
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
      stages: stageShapes(rule.backbone, networkShape(trained, dataset.shape)).map((shape, at) => ({
        name: rule.backbone.stages[at]!.name,
        shape: [...shape],
        nhsicXZ: null,
        nhsicYZ: null,
        probeTrain: null,
        probeTest: null,
      })),
    };
    const run = new Training(job, hooks, environment, trained, rule, data, observers, generators, otherBytes, state);
    if (job.resume) await run.#resume();
    if (job.retrainFrom && run.#state.step === 0) takeOver(rule, settings, job.retrainFrom);
    return run;
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
    if (settings.parallel) this.#pipeline = await this.#startWorkers();
    this.#savedAt = performance.now();
    try {
      this.#enterPhase();
      if (this.#state.step === 0) {
        this.#keepWeights();
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

  #startWorkers(): Promise<ModulePipeline> {
    const { settings } = this.job;
    const { kind, train, normalisation } = this.data;
    return ModulePipeline.start({
      settings: this.trained,
      images: kind,
      trainedShape: trainingShape(settings.data.augment, kind.shape),
      normalisation,
      rule: this.rule,
      batch: Math.min(settings.data.batch, train.count),
    });
  }

  dispose(): void {
    this.#pipeline?.close();
    this.rule.dispose();
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
    this.rule.endEpoch?.(this.#phase.epoch + 1, this.#breathe);
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
      ...this.#reports.flatMap(({ worker, peakBytes, queueBytes, busySeconds, processorSeconds }) => [
        this.#point("workerPeakBytes", peakBytes + queueBytes, worker),
        this.#point("workerBusySeconds", busySeconds, worker),
        this.#point("workerProcessorSeconds", processorSeconds, worker),
      ]),
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
    this.#keepWeights(); // before a checkpoint lets a run that is killed go on behind this epoch
    if (isLast || state.epoch % settings.checkpoint.every === 0 || this.#isCheckpointDue()) this.#save();
  }

  /** The steps that are left of an epoch. @throws Stopped */
  async #trainEpoch(epochs: number, totalSteps: number): Promise<void> {
    const { settings } = this.job;
    const { device } = settings;
    const { batch, augment } = settings.data;
    const state = this.#state;
    const { running } = state;
    const isDense = state.epoch === 0 && this.observers.some(({ when }) => when.firstEpoch);
    const dense = isDense ? logSpacedSteps(this.#stepsPerEpoch) : new Set<number>();

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
          await this.#gather();
          pause();
          await this.#record(await this.#observe(({ firstEpoch }) => firstEpoch));
          goOn();
        }
        if (this.#pipeline) await this.#feed(this.#pipeline, order, augment);
        else this.#step(order, augment);
        const now = performance.now();
        if (now - progressAt > PROGRESS_EVERY && running.seen > 0) {
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
          await this.#gather();
          pause();
          this.#breathe();
          this.#save();
          goOn();
        }
      }
      await this.#gather();
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
      const memory = this.#memoryOfStep();
      const result = state.stepInEpoch === 0 ? this.#countedStep(step, batch.labels.size(0)) : step();
      if (memory) this.#keepMemory(memory);
      this.#account(result, state.stepInEpoch, batch.labels.size(0));
    });
    state.stepInEpoch += 1;
    state.step += 1;
    if (state.step === 1) this.#secondsToFirstStep = (Date.now() - this.job.startedAt) / 1000;
  }

  /** Adds what a step found. @param step - its number in the epoch, from 0 */
  #account(result: StepResult, step: number, count: number): void {
    const state = this.#state;
    const wrong = result.losses.find(({ loss }) => !Number.isFinite(loss));
    if (wrong) {
      throw new Error(
        `the loss of ${wrong.module} became ${wrong.loss} in epoch ${state.epoch + 1}, step ${step + 1} ` +
          this.#divergenceHint(),
      );
    }
    const { running } = state;
    running.seen += count;
    running.correct = result.correct === null || running.correct === null ? null : running.correct + result.correct;
    running.loss += result.loss * count;
    for (const { module, loss } of result.losses) {
      running.localLosses[module] = (running.localLosses[module] ?? 0) + loss * count;
    }
    state.images += count;
  }

  /** As `#step`, with workers: hands the next batch over, and accounts for steps that are done. */
  async #feed(
    pipeline: ModulePipeline,
    order: EpochOrder,
    augmentation: RunSettings["data"]["augment"],
  ): Promise<void> {
    const state = this.#state;
    await pipeline.room();
    this.#takeResults(pipeline);
    scope(() => {
      const { normalisation } = this.data;
      const { views } = this.rule;
      const batch = order.get(state.stepInEpoch, normalisation, augmentation, this.generators.augmentation, views);
      const isWatched = this.#isMemoryDue && !this.#isWatching;
      this.#isWatching ||= isWatched;
      pipeline.feed(batch, { learningRate: this.#learningRate(), isCounted: state.stepInEpoch === 0, isWatched });
      this.#underWay.push({ step: state.stepInEpoch, count: batch.labels.size(0) });
    });
    state.stepInEpoch += 1;
    state.step += 1;
  }

  #takeResults(pipeline: ModulePipeline): void {
    for (const result of pipeline.results()) this.#takeResult(result);
  }

  /** What a step of all workers found, in the order in which batches were handed over. */
  #takeResult(result: PipelineStep): void {
    const state = this.#state;
    const { step, count } = this.#underWay.shift()!;
    this.#account(result, step, count);
    if (result.multiplyAdds !== null) state.trainingMultiplyAdds += result.multiplyAdds / count;
    if (result.memory) this.#addMemory(result.memory, 0); // of gradients the workers tell when all is gathered
    if (state.epoch === 0 && step === 0) this.#secondsToFirstStep = (Date.now() - this.job.startedAt) / 1000;
  }

  /** Waits for all batches that are on their way and takes the workers' weights over; nothing where there are none. */
  async #gather(): Promise<void> {
    const pipeline = this.#pipeline;
    if (!pipeline) return;
    this.#reports = await pipeline.gather();
    this.#takeResults(pipeline);
    const peaks = this.#reports.map(({ peakBytes, queueBytes }) => peakBytes + queueBytes);
    this.#state.peakBytes = Math.max(this.#state.peakBytes, ...peaks);
    const gradients = this.#reports.reduce((sum, { gradientBytes }) => sum + gradientBytes, 0);
    const { memory } = this.#state;
    if (memory) this.#state.memory = { ...memory, gradients: Math.max(memory.gradients, gradients) };
  }

  /** Whether a step of the phase is to be watched: its second, where gradients are there already; the first of one. */
  get #isMemoryDue(): boolean {
    const { stepInEpoch, memory } = this.#state;
    const { at, epoch } = this.#phase;
    const isLate = stepInEpoch > 0 || epoch > 0 || this.#stepsPerEpoch === 1;
    return isLate && (memory?.phase ?? -1) < at;
  }

  #memoryOfStep(): StepMemory | null {
    if (!this.rule.watchMemory || !this.#isMemoryDue) return null;
    this.#state.peakBytes = Math.max(this.#state.peakBytes, bytesOn(this.job.settings.device).peak - this.otherBytes);
    const memory = new StepMemory(this.job.settings.device);
    this.rule.watchMemory(memory);
    return memory;
  }

  #keepMemory({ modules, peak }: StepMemory): void {
    this.#addMemory(modules, this.#gradientBytes());
    this.#state.peakBytes = Math.max(this.#state.peakBytes, peak - this.otherBytes);
  }

  /** Adds what a step of the phase stored. */
  #addMemory(modules: readonly ModuleMemory[], gradients: number): void {
    const { memory } = this.#state;
    this.#state.memory = {
      phase: this.#phase.at,
      modules: [...(memory?.modules ?? []), ...modules],
      gradients: Math.max(memory?.gradients ?? 0, gradients),
    };
  }

  /** Of the gradients there are in this process. */
  #gradientBytes(): number {
    const { backbone, auxiliary, context } = this.rule;
    const trained = [backbone, auxiliary, context].flatMap((network) => network?.parameters() ?? []);
    return scope(() => bytesIn(trained.flatMap(({ grad }) => grad ?? [])));
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
    const { optimizer, epochs } = this.job.settings;
    const { phase, epoch } = this.#phase;
    const base = phase.learningRate ?? optimizer.learningRate;
    return scheduledRate(optimizer.schedule, { base, epoch, epochs: phase.epochs ?? epochs });
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
        const isWeight = /^(backbone|heads|contexts)\./.test(name) && tensor.dtype.includes("float");
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
        if (summary) keepLatest(summary, key, value);
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

  /** Keeps the weights at the end of an epoch for measures, where `checkpoint.keep` asks for them. */
  #keepWeights(): void {
    const { directory, settings } = this.job;
    if (!keepsEpoch(settings.checkpoint.keep, this.#state.epoch)) return;
    scope(() => keepWeights(directory, this.rule.stateDict(), this.#state, settingsHash(settings)));
  }

  #summary(): RunSummary {
    const image = this.data.test.images.shape.slice(1);
    return summariseRun(this.rule, this.#state, { settings: this.trained, image }, this.#secondsToFirstStep);
  }
}

function emptyRunning(): TrainingState["running"] {
  return { seen: 0, correct: 0, loss: 0, localLosses: {}, seconds: 0 };
}
