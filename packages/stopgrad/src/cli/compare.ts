// `stopgrad compare`: every variant and seed of a file, one table, one report.
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { slug } from "../experiment/identity.js";
import { compareRuns, type ReportRun, renderComparison, writeReport } from "../report/index.js";
import { summarise } from "../statistics/index.js";
import type { Store } from "../store/index.js";
import { exitCodes, note, print, printJson, runsDirectory } from "./context.js";
import { runDocument } from "./documents.js";
import { type ExecuteOptions, execute, readExperiment, shellQuote, trainCommand, withStore } from "./execute.js";

export async function compare(
  file: string,
  overrides: readonly string[],
  options: ExecuteOptions & { out?: string },
): Promise<void> {
  const { name, runs } = readExperiment(file, overrides);
  await withStore(options, async (store) => {
    const { outcomes, interrupted } = await execute(runs, trainCommand(file, overrides), options, store);
    if (interrupted) {
      note("interrupted: the same command goes on from the checkpoints");
      process.exitCode = exitCodes.interrupted;
      if (options.json)
        printJson({
          variants: variantDocuments(
            outcomes.map(({ record }) => record.id),
            store,
          ),
          report: null,
        });
      return;
    }
    const command = ["stopgrad", "compare", file, ...overrides].map(shellQuote).join(" ");
    const reported = reportRuns(
      outcomes.map(({ record }) => record.id),
      store,
    );
    const folder = resolve(options.out ?? join(runsDirectory(options), "reports", slug(name)));
    const { html } = await writeReport(folder, reported, { title: name, command });

    if (options.json) {
      printJson({
        variants: variantDocuments(
          outcomes.map(({ record }) => record.id),
          store,
        ),
        report: html,
      });
    } else {
      print(
        `\n${renderComparison(compareRuns(reported), process.stdout.columns ?? 140, { bold: process.stdout.isTTY })}`,
      );
      print(`\nreport: ${html}\n        ${pathToFileURL(html)}`);
    }
    const failed = outcomes.filter(({ record }) => record.status !== "completed");
    if (failed.length > 0) {
      for (const { record } of failed) note(`${record.id}: ${record.status}${record.error ? `: ${record.error}` : ""}`);
      note(`${failed.length} of ${outcomes.length} runs failed; the same command does only what is missing`);
      process.exitCode = exitCodes.failure;
    }
  });
}

/** Records and metrics of runs, for the report. */
export function reportRuns(ids: readonly string[], store: Store): ReportRun[] {
  return ids.map((id) => ({ record: store.getRun(id), metrics: store.metrics(id) }));
}

function variantDocuments(ids: readonly string[], store: Store) {
  const records = ids.map((id) => store.getRun(id));
  return [...new Set(records.map((record) => record.variant))].map((variant) => {
    const mine = records.filter((record) => record.variant === variant);
    const accuracies = mine.flatMap(({ status, summary }) =>
      status === "completed" && summary ? [summary.testAccuracy] : [],
    );
    return { name: variant, runs: mine.map(runDocument), testAccuracy: accuracyDocument(accuracies) };
  });
}

function accuracyDocument(values: readonly number[]): { mean: number | null; std: number | null; n: number } {
  if (values.length === 0) return { mean: null, std: null, n: 0 };
  const { mean, std } = summarise(values);
  return { mean, std, n: values.length };
}
