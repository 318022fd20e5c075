// When a run that trains is written down, and how it comes back: the rule's tensors and the states of its generators,
// with where it stands. How such a file is written and read is in checkpoint.ts.
import { scope, type Tensor, TorchError } from "@stopgrad/torch";
import {
  keepsEpoch,
  keepWeights,
  removeUnfinished,
  restoreCheckpoint,
  saveCheckpoint,
  type TrainingState,
} from "./checkpoint.js";
import { settingsHash } from "./identity.js";
import type { TrainingRun } from "./training-run.js";

/** Whether one is due by steps or by time, in the middle of an epoch as well. */
export function isCheckpointDue({ job, state, savedAt }: TrainingRun): boolean {
  const { everySteps, everySeconds } = job.settings.checkpoint;
  if (everySteps && state.step % everySteps === 0) return true;
  return !!everySeconds && performance.now() - savedAt > 1000 * everySeconds;
}

/** Writes a checkpoint. */
export function save(run: TrainingRun): void {
  const { job, rule, generators, state } = run;
  scope(() => {
    const tensors = new Map<string, Tensor>(rule.stateDict());
    for (const [name, generator] of Object.entries(generators)) {
      tensors.set(`generator.${name}`, generator.getState());
    }
    saveCheckpoint(job.directory, tensors, state, settingsHash(job.settings));
  });
  run.savedAt = performance.now();
}

/** Keeps the weights at the end of an epoch for measures, where `checkpoint.keep` asks for them. */
export function keepWeightsOfEpoch({ job: { directory, settings }, rule, state }: TrainingRun): void {
  if (!keepsEpoch(settings.checkpoint.keep, state.epoch)) return;
  scope(() => keepWeights(directory, rule.stateDict(), state, settingsHash(settings)));
}

/** Goes on from the newest checkpoint that can be used, if there is one; warns of those that cannot. */
export async function resume(run: TrainingRun): Promise<void> {
  const { directory, settings } = run.job;
  const warnings: string[] = [];
  removeUnfinished(directory);
  restoreCheckpoint(
    directory,
    settingsHash(settings),
    (tensors, state) => restore(run, tensors, state),
    (message) => warnings.push(message),
  );
  for (const message of warnings) await run.hooks.emit({ type: "warning", message });
}

/** All of a checkpoint or nothing. @throws TorchError when something in it is missing or does not fit */
function restore(run: TrainingRun, tensors: ReadonlyMap<string, Tensor>, state: TrainingState): void {
  const generators = Object.entries(run.generators);
  const before = generators.map(([, generator]) => generator.getState());
  try {
    for (const [name, generator] of generators) {
      const saved = tensors.get(`generator.${name}`);
      if (!saved && name === "rule") continue; // absent from checkpoints of before there were rules that draw
      if (!saved) throw new TorchError(`expected the state of the generator ${name}, got none`);
      generator.setState(saved);
    }
    run.rule.loadStateDict(tensors);
  } catch (error) {
    for (const [at, [, generator]] of generators.entries()) generator.setState(before[at]!);
    throw error;
  }
  run.state = { ...state, trainingMultiplyAdds: state.trainingMultiplyAdds ?? Number.NaN }; // absent in old ones
}
