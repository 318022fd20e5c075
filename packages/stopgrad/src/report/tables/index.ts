// The report's tables: results, costs and memory, the information plane in numbers, what differs between the variants and
// what does not.
import type { Comparison } from "../comparison.js";
import { familyFiles } from "../quantities.js";
import type { Table } from "../table.js";
import { contextsTable } from "./contexts.js";
import { costsTable } from "./costs.js";
import { informationTable, linearSeparabilityTable, measuresTables } from "./measures.js";
import { memoryTable, moduleMemoryTable } from "./memory.js";
import { planeDifferencesTable, planeOverStagesTable, planeTable } from "./plane.js";
import { resultsTable } from "./results.js";
import { runsTable, withoutResultTable } from "./runs.js";
import { differingSettingsTable, sharedSettingsTable } from "./settings.js";

export { contextsTable } from "./contexts.js";
export { costsTable } from "./costs.js";
export { informationTable, linearSeparabilityTable, measuresTables } from "./measures.js";
export { measuresOverEpochsTable, seriesName } from "./measures-over-epochs.js";
export { memoryTable, moduleMemoryTable } from "./memory.js";
export { describeCourses, planeDifferencesTable, planeOverStagesTable, planeSummaries, planeTable } from "./plane.js";
export { describeSeeds, differenceToReference, hasNoSpread, sharedSeeds } from "./references.js";
export { resultsTable } from "./results.js";
export { runsTable, withoutResultTable } from "./runs.js";
export { differingSettingsTable, sharedSettingsTable } from "./settings.js";

/** Every name a table of a report can have, in the order of the report. */
export const tableNames = [
  "results",
  "costs",
  "memory",
  "memory-of-modules",
  "information-plane",
  "plane-over-stages",
  "plane-differences",
  "linear-separability",
  "information",
  ...familyFiles,
  "context-paths",
  "settings-that-differ",
  "shared-settings",
  "runs",
  "runs-without-result",
] as const;

/** The tables that have something to say, in the order of the report. */
export function reportTables(comparison: Comparison): Table[] {
  return [
    resultsTable(comparison),
    costsTable(comparison),
    memoryTable(comparison),
    moduleMemoryTable(comparison),
    planeTable(comparison),
    planeOverStagesTable(comparison),
    planeDifferencesTable(comparison),
    linearSeparabilityTable(comparison),
    informationTable(comparison),
    ...measuresTables(comparison),
    contextsTable(comparison),
    differingSettingsTable(comparison),
    sharedSettingsTable(comparison),
    runsTable(comparison),
    withoutResultTable(comparison),
  ].filter((table) => table.rows.length > 0);
}
