// Reports: from runs to tables, charts and one HTML page. All but `html` and `write` also run in a browser.
export {
  type Chart,
  type ChartSpec,
  chartNames,
  costChart,
  informationChart,
  informationPlaneChart,
  learningCurvesChart,
  linearSeparabilityChart,
  measuresCharts,
  measuresOverEpochsCharts,
  memoryChart,
  nhsicOverEpochsChart,
  reportCharts,
  variantColours,
} from "./charts/index.js";
export { type SensitivityChart, sensitivityChart } from "./charts/sensitivity.js";
export { type Comparison, compareRuns, type ReportRun, type Variant } from "./comparison.js";
export { escapeHtml } from "./format.js";
export { type Headline, headline } from "./headline.js";
export { buildReport, type DrawnChart, type Report, type ReportOptions, renderReport } from "./html.js";
export { renderSvg } from "./render.js";
export {
  type Cell,
  type CellValue,
  type Column,
  renderCsv,
  renderHtml,
  renderMarkdown,
  renderText,
  type Table,
  textCell,
} from "./table.js";
export {
  contextsTable,
  costsTable,
  differenceToReference,
  differingSettingsTable,
  informationTable,
  linearSeparabilityTable,
  measuresOverEpochsTable,
  measuresTables,
  memoryTable,
  moduleMemoryTable,
  planeOverStagesTable,
  planeSummaries,
  planeTable,
  reportTables,
  resultsTable,
  runsTable,
  sharedSettingsTable,
  tableNames,
  withoutResultTable,
} from "./tables/index.js";
export { sensitivitySummary, sensitivityTable, sensitivityValuesTable } from "./tables/sensitivity.js";
export { renderComparison } from "./terminal.js";
export { reportFolder, writeReport } from "./write.js";
