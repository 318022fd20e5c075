// `stopgrad compare`: every variant and seed of a file, one table, one report.
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { RunOutcome } from "../experiment/runner.js";
import { compareRuns, renderComparison, reportFolder, writeReport } from "../report/index.js";
import { summarise } from "../statistics/index.js";
import { originOf, trainCommand } from "./command-line.js";
import { describeError, exitCodes, note, print, printJson, runsDirectory } from "./context.js";
import { runDocument } from "./documents.js";
import { commandToGoOn, type ExecuteOptions, execute, readExperiment, withStore } from "./execute.js";
import { reportRuns } from "./report-runs.js";
import { shellQuote } from "./shell.js";

export async function compare(
  file: string,
  overrides: readonly string[],
  options: ExecuteOptions & { out?: string },
): Promise<void> {
  const experiment = readExperiment(file, overrides);
  const { name } = experiment;
  // Seed by seed, so that the variants of a seed train side by side and their times compare.
  const runs = experiment.runs.toSorted((a, b) => a.seed - b.seed);
  await withStore(options, async (store) => {
    const { outcomes, interrupted } = await execute(
      runs,
      trainCommand(file, overrides, options),
      options,
      store,
      originOf(file),
    );
    if (interrupted) {
      note(`interrupted; to go on from the checkpoints: ${commandToGoOn()}`);
      process.exitCode = exitCodes.interrupted;
      if (options.json) printJson({ variants: variantDocuments(outcomes), report: null });
      return;
    }
    const command = ["stopgrad", "compare", file, ...overrides].map(shellQuote).join(" ");
    const reported = reportRuns(
      outcomes.map(({ record }) => record.id),
      store,
    );
    const folder = resolve(
      options.out ?? join(runsDirectory(options), "reports", reportFolder([name, ...overrides].join(" "))),
    );
    // The numbers are there whether or not the report can be written.
    const { html, problem } = await writeReport(folder, reported, { title: name, command }).then(
      (written) => ({ html: written.html, problem: null }),
      (error: unknown) => ({ html: null, problem: describeError(error) }),
    );

    if (options.json) {
      const failure =
        problem === null ? {} : { error: `the report in ${folder} cannot be written: ${problem.message}` };
      printJson({ variants: variantDocuments(outcomes), report: html, ...failure });
    } else {
      print(
        `\n${renderComparison(compareRuns(reported), process.stdout.columns ?? 140, { bold: process.stdout.isTTY })}`,
      );
      if (html !== null) print(`\nreport: ${html}\n        ${pathToFileURL(html)}`);
    }
    if (problem !== null) {
      note(`the report in ${folder} cannot be written: ${problem.trace ?? problem.message}`);
      process.exitCode = exitCodes.failure;
    }
    const failed = outcomes.filter(({ record }) => record.status !== "completed");
    if (failed.length > 0) {
      for (const { record, problem } of failed) note(`${record.id}: ${problem ?? record.status}`);
      const count = outcomes.length === 1 ? "the run" : `${failed.length} of ${outcomes.length} runs`;
      note(`${count} failed; to do only what is missing: ${commandToGoOn()}`);
      process.exitCode = exitCodes.failure;
    }
  });
}

function variantDocuments(outcomes: readonly RunOutcome[]) {
  return [...new Set(outcomes.map(({ record }) => record.variant))].map((variant) => {
    const mine = outcomes.filter(({ record }) => record.variant === variant);
    const accuracies = mine.flatMap(({ record: { status, summary } }) =>
      status === "completed" && summary ? [summary.testAccuracy] : [],
    );
    return {
      name: variant,
      runs: mine.map(({ record, problem }) => runDocument(record, problem)),
      testAccuracy: accuracyDocument(accuracies),
    };
  });
}

function accuracyDocument(values: readonly number[]): { mean: number | null; std: number | null; n: number } {
  if (values.length === 0) return { mean: null, std: null, n: 0 };
  const { mean, std } = summarise(values);
  return { mean, std, n: values.length };
}
