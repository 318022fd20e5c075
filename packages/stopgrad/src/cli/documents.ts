// What `--json` prints about runs: the contract that scripts rely on.
import type { RunRecord } from "../store/index.js";

/**
 * `train --json` and `resume --json`. Numbers are null where the run has not got that far.
 * @param problem - why the run is not completed, where that is not in its record
 */
export function runDocument(record: RunRecord, problem: string | null = null): Record<string, unknown> {
  const { summary } = record;
  return {
    run: record.id,
    name: record.name,
    variant: record.variant,
    seed: record.seed,
    status: record.status,
    error: problem ?? record.error,
    epochs: summary?.epochs ?? null,
    seconds: summary?.seconds ?? null,
    imagesPerSecond: summary?.imagesPerSecond ?? null,
    peakBytes: summary?.peakBytes ?? null,
    trainAccuracy: summary?.trainAccuracy ?? null,
    testAccuracy: summary?.testAccuracy ?? null,
    secondsToFirstStep: summary?.secondsToFirstStep ?? null,
    parameters: summary?.parameters ?? null,
    cost: summary?.cost ?? null,
    memory: summary?.memory ?? null,
    ...(summary?.contexts ? { contexts: summary.contexts } : {}),
    ...(summary?.matchedWidth === undefined ? {} : { matchedWidth: summary.matchedWidth }),
    stages: summary?.stages ?? [],
  };
}
