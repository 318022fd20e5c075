// `stopgrad train` and `stopgrad resume`.
import { refusedDevice } from "../experiment/device.js";
import { settingsHash } from "../experiment/identity.js";
import { recordedSettings } from "../experiment/recorded-settings.js";
import { openStore, type RunRecord } from "../store/index.js";
import { originOf, trainCommand } from "./command-line.js";
import type { CommonOptions } from "./context.js";
import { exitCodes, note, print, printJson, runsDirectory, UsageError, WorkError } from "./context.js";
import { runDocument } from "./documents.js";
import { commandToGoOn, type Executed, type ExecuteOptions, execute, readExperiment, withStore } from "./execute.js";
import { duration } from "./progress.js";

export async function train(
  file: string,
  overrides: readonly string[],
  options: ExecuteOptions & { variant?: string },
): Promise<void> {
  const { runs } = readExperiment(file, overrides, options.variant);
  const variants = [...new Set(runs.map((run) => run.variant))];
  // A chosen variant may come with those that it starts from.
  if (variants.length > 1 && options.variant === undefined) {
    throw new UsageError(
      `${file} has the variants ${variants.join(", ")}: choose one with --variant, or run them all with stopgrad compare`,
    );
  }
  await withStore(options, async (store) => {
    const executed = await execute(runs, trainCommand(file, overrides, options), options, store, originOf(file));
    finish(executed, options);
  });
}

export async function resume(idOrPrefix: string, options: CommonOptions): Promise<void> {
  openStore(runsDirectory(options), { readonly: true }).close(); // a folder without runs stays as it is
  await withStore(options, async (store) => {
    const record = store.getRun(idOrPrefix);
    const settings = recordedSettings(record);
    if (settingsHash(settings) !== record.settingsHash) {
      throw new WorkError(
        `run ${record.id} was made by another version of stopgrad, whose numbers may differ; start it again: ${record.command}`,
      );
    }
    const refused = refusedDevice(settings.device);
    if (refused !== null) throw new WorkError(`run ${record.id} trains on a GPU: ${refused}`);
    const executed = await execute([settings], () => record.command, options, store);
    finish(executed, options);
  });
}

/** Prints what the runs gave; why they did not has been said on the way. */
function finish({ outcomes, interrupted }: Executed, options: CommonOptions): void {
  if (options.json) {
    const documents = outcomes.map(({ record, problem }) => runDocument(record, problem));
    if (documents.length === 0) printJson({ error: "interrupted before it began" });
    else printJson(documents.length === 1 ? documents[0] : { ...documents[0], runs: documents });
  } else {
    for (const { record } of outcomes) if (record.status === "completed") print(describeRun(record));
  }
  if (interrupted) {
    note(`interrupted; to go on from the checkpoint: ${commandToGoOn()}`);
    process.exitCode = exitCodes.interrupted;
  } else if (outcomes.some(({ record }) => record.status !== "completed")) {
    process.exitCode = exitCodes.failure;
  }
}

function describeRun({ id, summary }: RunRecord): string {
  if (!summary) return id;
  const percent = (fraction: number) => `${(fraction * 100).toFixed(2)} %`;
  return [
    id,
    `  test accuracy ${percent(summary.testAccuracy)}, train accuracy ${percent(summary.trainAccuracy)} (epoch ${summary.epochs})`,
    `  ${duration(summary.seconds)} of training, ${Math.round(summary.imagesPerSecond)} images/s, peak ${(summary.peakBytes / 2 ** 20).toFixed(1)} MiB`,
  ].join("\n");
}
