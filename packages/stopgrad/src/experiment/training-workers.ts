// The steps of an epoch, taken by worker processes that hold the modules (parallel.ts): batches are handed over as there
// is room, and what the workers find is accounted for in the same order, some batches later.
import { scope } from "@stopgrad/torch";
import { trainingShape } from "../data/augment-settings.js";
import type { EpochOrder } from "../data/loader.js";
import type { MetricPoint } from "../store/records.js";
import { ModulePipeline, type NamedReport, type PipelineStep } from "./parallel.js";
import { addMemory, isMemoryDue, noteGradients, notePeak } from "./training-cost.js";
import { learningRateOf, noteFirstStep, pointOf, type TrainingRun } from "./training-run.js";
import { account, nextBatch } from "./training-steps.js";

export class TrainingWorkers {
  readonly #run: TrainingRun;
  readonly #pipeline: ModulePipeline;
  /** What the workers said last. */
  #reports: readonly NamedReport[] = [];
  /** Batches that the workers have: their numbers in the epoch, and images. */
  readonly #underWay: { readonly step: number; readonly count: number }[] = [];
  /** Whether a step that is on its way watches its memory. */
  #isWatching = false;

  private constructor(run: TrainingRun, pipeline: ModulePipeline) {
    this.#run = run;
    this.#pipeline = pipeline;
  }

  /** @throws Error where modules cannot learn beside each other, or a worker cannot be started */
  static async start(run: TrainingRun): Promise<TrainingWorkers> {
    const { settings } = run.job;
    const { kind, train, normalisation } = run.data;
    const pipeline = await ModulePipeline.start({
      settings: run.trained,
      images: kind,
      trainedShape: trainingShape(settings.data.augment, kind.shape),
      normalisation,
      rule: run.rule,
      batch: Math.min(settings.data.batch, train.count),
    });
    return new TrainingWorkers(run, pipeline);
  }

  /** Hands the epoch's next batch over, when there is room, and accounts for steps that are done. */
  async feed(order: EpochOrder): Promise<void> {
    const run = this.#run;
    const { state } = run;
    await this.#pipeline.room();
    this.#takeResults();
    scope(() => {
      const batch = nextBatch(run, order);
      const isWatched = isMemoryDue(run) && !this.#isWatching;
      this.#isWatching ||= isWatched;
      const learningRate = learningRateOf(run);
      this.#pipeline.feed(batch, { learningRate, isCounted: state.stepInEpoch === 0, isWatched });
      this.#underWay.push({ step: state.stepInEpoch, count: batch.labels.size(0) });
    });
    state.stepInEpoch += 1;
    state.step += 1;
  }

  /** Waits for all batches that are on their way and takes the workers' weights over. */
  async gather(): Promise<void> {
    this.#reports = await this.#pipeline.gather();
    this.#takeResults();
    notePeak(this.#run, Math.max(...this.#reports.map(bytesAtPeak)));
    noteGradients(
      this.#run,
      this.#reports.reduce((sum, { gradientBytes }) => sum + gradientBytes, 0),
    );
  }

  /** What each worker needed, as it said when it was last gathered from. */
  points(): MetricPoint[] {
    return this.#reports.flatMap((report) => [
      pointOf(this.#run, "workerPeakBytes", bytesAtPeak(report), report.worker),
      pointOf(this.#run, "workerBusySeconds", report.busySeconds, report.worker),
      pointOf(this.#run, "workerProcessorSeconds", report.processorSeconds, report.worker),
    ]);
  }

  /** Ends the workers, whatever they are doing. */
  close(): void {
    this.#pipeline.close();
  }

  #takeResults(): void {
    for (const result of this.#pipeline.results()) this.#takeResult(result);
  }

  /** What a step of all workers found, in the order in which batches were handed over. */
  #takeResult(result: PipelineStep): void {
    const run = this.#run;
    const { state } = run;
    const { step, count } = this.#underWay.shift()!;
    account(run, result, step, count);
    if (result.multiplyAdds !== null) state.trainingMultiplyAdds += result.multiplyAdds / count;
    if (result.memory) addMemory(run, result.memory, 0); // of gradients the workers tell when all is gathered
    if (state.epoch === 0 && step === 0) noteFirstStep(run);
  }
}

function bytesAtPeak({ peakBytes, queueBytes }: NamedReport): number {
  return peakBytes + queueBytes;
}
