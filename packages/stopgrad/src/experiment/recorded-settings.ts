// The settings of a run as the store has them, which may be of an older version that had fewer.
import type { RunRecord } from "../store/records.js";
import type { RunSettings } from "./run-settings.js";

/** Settings that came after the run was recorded are as they were before there was a choice. Its hash stays the same. */
export function recordedSettings({ settings }: Pick<RunRecord, "settings">): RunSettings {
  const recorded = settings as unknown as RunSettings;
  const { objective, schedule } = recorded;
  return {
    ...recorded,
    schedule: typeof schedule === "string" ? { name: schedule } : schedule,
    format: recorded.format ?? { epochs: null, learningRate: null },
    retrain: recorded.retrain ?? null,
    context: recorded.context ?? null,
    gradientCheckpointing: recorded.gradientCheckpointing ?? null,
    match: recorded.match ?? null,
    objective: { ...objective, nhsic: objective.nhsic ?? null, reconstruction: objective.reconstruction ?? null },
  };
}
