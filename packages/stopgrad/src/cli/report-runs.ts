// What a report is made of, out of the store.
import type { ReportRun } from "../report/index.js";
import type { Store } from "../store/index.js";

/** Records and metrics of runs. */
export function reportRuns(ids: readonly string[], store: Store): ReportRun[] {
  return ids.map((id) => ({ record: store.getRun(id), metrics: store.metrics(id) }));
}
