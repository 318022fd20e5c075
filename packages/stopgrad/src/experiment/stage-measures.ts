// The latest value of each measure, stage by stage, as a run's summary and its checkpoints keep it.
import type { StageSummary } from "../store/records.js";

/** Those with a name of their own in a stage's summary; all others stand under `measures`. */
export const NAMED = [
  "nhsicXZ",
  "nhsicYZ",
  "probeTrain",
  "probeTest",
  "informationY",
  "informationAccuracy",
  "reconstructionError",
] as const;

/** Puts a value in its place; NaN becomes null: it could not be measured. */
export function keepLatest(stage: StageSummary, key: string, value: number): void {
  const kept = Number.isNaN(value) ? null : value;
  if (isNamed(key)) stage[key] = kept;
  else stage.measures = { ...stage.measures, [key]: kept };
}

function isNamed(key: string): key is (typeof NAMED)[number] {
  return (NAMED as readonly string[]).includes(key);
}
