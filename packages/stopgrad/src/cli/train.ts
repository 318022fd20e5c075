// `stopgrad train` and `stopgrad resume`.
import { settingsHash } from "../experiment/identity.js";
import type { RunSettings } from "../experiment/run-settings.js";
import type { RunRecord } from "../store/index.js";
import type { CommonOptions } from "./context.js";
import { exitCodes, note, print, printJson, UsageError, WorkError } from "./context.js";
import { runDocument } from "./documents.js";
import { type Executed, type ExecuteOptions, execute, readExperiment, trainCommand, withStore } from "./execute.js";
import { duration } from "./progress.js";

export async function train(
  file: string,
  overrides: readonly string[],
  options: ExecuteOptions & { variant?: string },
): Promise<void> {
  const { runs } = readExperiment(file, overrides, options.variant);
  const variants = [...new Set(runs.map((run) => run.variant))];
  if (variants.length > 1) {
    throw new UsageError(
      `${file} has the variants ${variants.join(", ")}: choose one with --variant, or run them all with stopgrad compare`,
    );
  }
  await withStore(options, async (store) => {
    const executed = await execute(runs, trainCommand(file, overrides), options, store);
    finish(executed, options, "the same command");
  });
}

export async function resume(idOrPrefix: string, options: CommonOptions): Promise<void> {
  await withStore(options, async (store) => {
    const record = store.getRun(idOrPrefix);
    const settings = record.settings as unknown as RunSettings;
    if (settingsHash(settings) !== record.settingsHash) {
      throw new WorkError(
        `run ${record.id} was made by another version of stopgrad, whose numbers may differ; start it again: ${record.command}`,
      );
    }
    const executed = await execute([settings], () => record.command, options, store);
    finish(executed, options, `stopgrad resume ${record.id}`);
  });
}

/** Prints what the runs gave, or why they did not. */
function finish({ outcomes, interrupted }: Executed, options: CommonOptions, again: string): void {
  const records = outcomes.map(({ record }) => record);
  if (options.json && records.length > 0) {
    const documents = records.map(runDocument);
    printJson(documents.length === 1 ? documents[0] : { ...documents[0], runs: documents });
  }
  if (!options.json) for (const record of records) print(describeRun(record));
  if (interrupted) {
    note(`interrupted: ${again} goes on from the checkpoint`);
    process.exitCode = exitCodes.interrupted;
  } else if (records.some(({ status }) => status !== "completed")) {
    process.exitCode = exitCodes.failure;
  }
}

function describeRun(record: RunRecord): string {
  const { summary } = record;
  if (!summary || record.status !== "completed") {
    return `${record.id}: ${record.status}${record.error ? `: ${record.error}` : ""}`;
  }
  const percent = (fraction: number) => `${(fraction * 100).toFixed(2)} %`;
  return [
    `${record.id}`,
    `  test accuracy ${percent(summary.testAccuracy)}, train accuracy ${percent(summary.trainAccuracy)} (epoch ${summary.epochs})`,
    `  ${duration(summary.seconds)} of training, ${Math.round(summary.imagesPerSecond)} images/s, peak ${(summary.peakBytes / 2 ** 20).toFixed(1)} MiB`,
  ].join("\n");
}
