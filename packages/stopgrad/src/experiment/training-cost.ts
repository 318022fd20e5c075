// What the steps of a run cost: multiply-adds, counted in the first step of every epoch, since phases differ; and memory,
// the most there was at any time, and module by module in one late step of each phase.
import { countMultiplyAdds, scope } from "@stopgrad/torch";
import { bytesOn } from "../device-memory.js";
import { StepMemory } from "../rules/index.js";
import type { ModuleMemory } from "../store/records.js";
import { bytesIn } from "./run-summary.js";
import { breathe, phaseInProgress, type TrainingRun } from "./training-run.js";

/** What a phase computes once of all images counts as cost of its first epoch. @throws Stopped */
export function enterPhase(run: TrainingRun): void {
  const { at } = phaseInProgress(run);
  const { forward, backward } = countMultiplyAdds(() => run.rule.enterPhase(at, () => breathe(run)));
  run.state.trainingMultiplyAdds += (forward + backward) / run.data.train.count;
}

/** An epoch's first step, whose multiply-adds are counted. @param images - of its batch */
export function countedStep<R>({ state }: TrainingRun, step: () => R, images: number): R {
  const { result, forward, backward } = countMultiplyAdds(step);
  state.trainingMultiplyAdds += (forward + backward) / images;
  return result;
}

/** Most bytes alive on the run's device since its peak was last reset, as far as they belong to training. */
export function notePeakOfDevice(run: TrainingRun): void {
  notePeak(run, bytesOn(run.job.settings.device).peak - run.otherBytes);
}

/** @param bytes - that were alive in a process of the run */
export function notePeak({ state }: TrainingRun, bytes: number): void {
  state.peakBytes = Math.max(state.peakBytes, bytes);
}

/** Whether a step of the phase is to be watched: its second, where gradients are there already; the first of one. */
export function isMemoryDue(run: TrainingRun): boolean {
  const { stepInEpoch, memory } = run.state;
  const { at, epoch } = phaseInProgress(run);
  const isLate = stepInEpoch > 0 || epoch > 0 || run.stepsPerEpoch === 1;
  return isLate && (memory?.phase ?? -1) < at;
}

/** Watches the next step of this process, where one is due and the rule can be watched; else null. */
export function watchMemory(run: TrainingRun): StepMemory | null {
  const { rule } = run;
  if (!rule.watchMemory || !isMemoryDue(run)) return null;
  notePeakOfDevice(run); // which watching begins anew
  const memory = new StepMemory(run.job.settings.device);
  rule.watchMemory(memory);
  return memory;
}

/** Keeps what the watched step found. */
export function keepMemory(run: TrainingRun, { modules, peak }: StepMemory): void {
  addMemory(run, modules, gradientBytes(run));
  notePeak(run, peak - run.otherBytes);
}

/** Adds what a step of the phase stored. @param gradients - bytes of them */
export function addMemory(run: TrainingRun, modules: readonly ModuleMemory[], gradients: number): void {
  const { memory } = run.state;
  run.state.memory = {
    phase: phaseInProgress(run).at,
    modules: [...(memory?.modules ?? []), ...modules],
    gradients: Math.max(memory?.gradients ?? 0, gradients),
  };
}

/** Of gradients there are, once all of them are known; nothing where no step was watched. */
export function noteGradients({ state }: TrainingRun, bytes: number): void {
  const { memory } = state;
  if (memory) state.memory = { ...memory, gradients: Math.max(memory.gradients, bytes) };
}

/** Of the gradients there are in this process. */
function gradientBytes({ rule: { backbone, auxiliary, context } }: TrainingRun): number {
  const trained = [backbone, auxiliary, context].flatMap((network) => network?.parameters() ?? []);
  return scope(() => bytesIn(trained.flatMap(({ grad }) => grad ?? [])));
}
