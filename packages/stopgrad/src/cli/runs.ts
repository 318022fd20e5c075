// `stopgrad runs`: a list of what there is, or one run in full. Reads only: nothing is created, whatever is asked.
import { recordedSettings } from "../experiment/recorded-settings.js";
import { renderText, type Table, textCell } from "../report/table.js";
import { openStore, type RunRecord, type RunStatus, type Store, StoreError } from "../store/index.js";
import { type CommonOptions, note, print, printJson, runsDirectory, UsageError } from "./context.js";
import { runDocument } from "./documents.js";

export interface RunsOptions extends CommonOptions {
  name?: string;
  status?: RunStatus;
  yaml?: boolean;
}

/** @param wanted - id of a run, or the beginning of one; undefined lists all */
export async function runs(wanted: string | undefined, options: RunsOptions): Promise<void> {
  if (wanted !== undefined) {
    if (options.name !== undefined || options.status !== undefined) {
      throw new UsageError("--name and --status choose from the list; expected no run beside them");
    }
    if (options.yaml && options.json) throw new UsageError("expected --yaml or --json, got both");
    await show(wanted, options);
    return;
  }
  if (options.yaml) throw new UsageError("--yaml: expected a run, as in stopgrad runs ID --yaml");
  const filter = {
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(options.status === undefined ? {} : { status: options.status }),
  };
  const records = readStore(options, (store) => store.listRuns(filter)) ?? [];
  if (options.json) {
    printJson({
      runs: records.map((record) => ({ id: record.id, ...runDocument(record), createdAt: record.createdAt })),
    });
  } else if (records.length === 0) {
    note(`no runs in ${runsDirectory(options)}`);
  } else {
    print(renderText(listTable(records)));
  }
}

/** A run in full. */
async function show(wanted: string, options: RunsOptions): Promise<void> {
  const found = readStore(options, (store) => {
    const record = store.getRun(wanted);
    return { record, metrics: store.metrics(record.id) };
  });
  if (found === null) throw new StoreError("missing", `no runs in ${runsDirectory(options)}`);
  const { record, metrics } = found;
  if (options.yaml) {
    const { experimentText } = await import("../experiment/repeat.js");
    const version = record.environment ? `, stopgrad ${record.environment.stopgrad}` : "";
    const remarks = [`Repeats the run ${record.id} alone${version}: stopgrad train THIS-FILE`];
    print(experimentText(recordedSettings(record), remarks));
  } else if (options.json) {
    const { settings, settingsHash, command, environment, origin, createdAt, finishedAt } = record;
    printJson({
      ...runDocument(record),
      command,
      origin: origin ?? null,
      environment,
      settings,
      settingsHash,
      createdAt,
      finishedAt,
      metrics,
    });
  } else {
    const { describeRun } = await import("./describe-run.js");
    print(describeRun(record, metrics, options.runs).join("\n"));
  }
}

/** What `body` makes of the store; null where there is none. */
function readStore<R>(options: CommonOptions, body: (store: Store) => R): R | null {
  let store: Store;
  try {
    store = openStore(runsDirectory(options), { readonly: true });
  } catch (error) {
    if (error instanceof StoreError && error.code === "missing") return null;
    throw error;
  }
  try {
    return body(store);
  } finally {
    store.close();
  }
}

function listTable(records: readonly RunRecord[]): Table {
  return {
    name: "runs",
    title: "Runs",
    columns: [
      { title: "run", align: "left", fields: ["run"] },
      { title: "status", align: "left", fields: ["status"] },
      { title: "epochs", align: "right", fields: ["epochs"] },
      { title: "test accuracy", unit: "%", align: "right", fields: ["testAccuracy"] },
      { title: "started", align: "left", fields: ["createdAt"] },
    ],
    rows: records.map(({ id, status, settings, summary, createdAt }) => [
      textCell(id),
      textCell(status),
      textCell(String(summary?.epochs ?? settings.epochs)),
      textCell(summary ? (summary.testAccuracy * 100).toFixed(2) : "–"),
      textCell(createdAt.slice(0, 16).replace("T", " ")),
    ]),
    notes: records.flatMap(({ id, error }) => (error ? [`${id}: ${error}`] : [])),
  };
}
