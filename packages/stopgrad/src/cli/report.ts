// `stopgrad report`: the HTML report of runs that are there already.
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { reportFolder, writeReport } from "../report/index.js";
import { openStore, type Store, StoreError } from "../store/index.js";
import { type CommonOptions, describeError, print, printJson, runsDirectory, WorkError } from "./context.js";
import { reportRuns } from "./report-runs.js";
import { shellQuote } from "./shell.js";

export async function report(wanted: readonly string[], options: CommonOptions & { out?: string }): Promise<void> {
  const store = openStore(runsDirectory(options), { readonly: true });
  try {
    const ids = [...new Set(wanted.flatMap((name) => find(name, store)))];
    const runs = reportRuns(ids, store);
    const names = [...new Set(runs.map(({ record }) => record.name))];
    const title = names.join(", ");
    const folder = resolve(options.out ?? join(runsDirectory(options), "reports", reportFolder(names.join("-"))));
    const command = ["stopgrad", "report", ...wanted].map(shellQuote).join(" ");
    const { html, files } = await writeReport(folder, runs, { title, command }).catch((error) => {
      const { message, trace } = describeError(error);
      if (trace) throw error;
      throw new WorkError(`the report in ${folder} cannot be written: ${message}; --out chooses another folder`);
    });
    if (options.json) printJson({ report: html, files, runs: ids });
    else print(`report: ${html}\n        ${pathToFileURL(html)}`);
  } finally {
    store.close();
  }
}

/** A run by its id or the beginning of it, or every run of an experiment of that name. */
function find(name: string, store: Store): string[] {
  const ofExperiment = store.listRuns({ name }).map((record) => record.id);
  if (ofExperiment.length > 0) return ofExperiment;
  try {
    return [store.getRun(name).id];
  } catch (error) {
    if (error instanceof StoreError && error.code === "unknown-run") {
      throw new StoreError("unknown-run", `${error.message}, and no experiment of that name`);
    }
    throw error;
  }
}
