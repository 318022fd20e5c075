// `stopgrad runs`.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { renderText, type Table, textCell } from "../report/table.js";
import { openStore, type RunRecord, type RunStatus, STORE_FILE } from "../store/index.js";
import { type CommonOptions, note, print, printJson, runsDirectory } from "./context.js";
import { runDocument } from "./documents.js";

export function runs(options: CommonOptions & { name?: string; status?: RunStatus }): void {
  const folder = runsDirectory(options);
  const filter = {
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(options.status === undefined ? {} : { status: options.status }),
  };
  let records: RunRecord[] = [];
  if (existsSync(join(folder, STORE_FILE))) {
    const store = openStore(folder, { readonly: true });
    try {
      records = store.listRuns(filter);
    } finally {
      store.close();
    }
  }
  if (options.json) {
    printJson({
      runs: records.map((record) => ({ id: record.id, ...runDocument(record), createdAt: record.createdAt })),
    });
  } else if (records.length === 0) {
    note(`no runs in ${folder}`);
  } else {
    print(renderText(listTable(records)));
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
