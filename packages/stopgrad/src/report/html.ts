// The report: one HTML file that needs nothing else. Headline, tables and charts are complete without JavaScript;
// with it, the same chart specifications come alive (tooltips) through the library's browser build, which is part of
// the file. A content security policy forbids the page any address, so that it stays readable offline and private.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import {
  type Chart,
  type MeasuredFamily,
  measuredFamilies,
  overEpochs,
  reportCharts,
  unchangingMeasures,
} from "./charts/index.js";
import { type Comparison, compareRuns, type ReportRun } from "./comparison.js";
import { count, escapeHtml, formatNumber } from "./format.js";
import { headline } from "./headline.js";
import { capital, inWords } from "./measure-names.js";
import { pageScript, styleSheet } from "./page.js";
import { quantityOf, titleWithUnit } from "./quantities.js";
import { renderSvg } from "./render.js";
import { renderCsv, renderHtml, renderMarkdown, type Table } from "./table.js";
import { measuresOverEpochsTable, reportTables, seriesName } from "./tables/index.js";

export interface ReportOptions {
  /** Heading; the experiment's name unless given. */
  title?: string;
  /** The command that repeats the whole comparison, shown above the commands of single runs. */
  command?: string;
  /** HTML above what the runs say of themselves: what they were made for. Every text in it is escaped. */
  preface?: string;
  /** Whether the charting library travels with the page (0.8 MB) for tooltips; default true. */
  interactive?: boolean;
}

export interface DrawnChart extends Chart {
  svg: string;
}

/** Everything a report consists of, the page and its parts. */
export interface Report {
  html: string;
  tables: Table[];
  charts: DrawnChart[];
  /** Tables that are for programs: too long to read, written as CSV alone. */
  series: Table[];
}

/** One self-contained HTML page about any number of runs. */
export async function renderReport(runs: readonly ReportRun[], options: ReportOptions = {}): Promise<string> {
  return (await buildReport(runs, options)).html;
}

/** As `renderReport`, with the tables and drawn charts beside the page. */
export async function buildReport(runs: readonly ReportRun[], options: ReportOptions = {}): Promise<Report> {
  const comparison = compareRuns(runs);
  const tables = reportTables(comparison);
  const charts: DrawnChart[] = [];
  for (const chart of reportCharts(comparison)) charts.push({ ...chart, svg: await renderSvg(chart.spec) });
  const series = [measuresOverEpochsTable(comparison)].filter((table) => table.rows.length > 0);
  const runtime = (options.interactive ?? true) && charts.length > 0 ? await chartRuntime() : "";
  return { html: page(comparison, tables, charts, runtime, options), tables, charts, series };
}

interface Section {
  id: string;
  title: string;
  content: string;
}

function page(
  comparison: Comparison,
  tables: readonly Table[],
  charts: readonly DrawnChart[],
  runtime: string,
  options: ReportOptions,
): string {
  const title = options.title ?? (comparison.names.join(", ") || "No runs");
  const table = (name: string) => tables.filter((one) => one.name === name).map(tableBlock);
  const chart = (name: string) => charts.filter((one) => one.name === name).map(chartBlock);
  const plane = chart("information-plane");
  const overTime = charts.filter(({ name }) => name.startsWith(overEpochs)).map(chartBlock);
  const sections: Section[] = [
    {
      id: "results",
      title: "Results",
      content: [
        ...table("results"),
        ...table("costs"),
        ...table("context-paths"),
        ...table("runs-without-result"),
      ].join("\n"),
    },
    {
      id: "plane",
      title: "Information plane",
      content:
        plane.length === 0
          ? "<p>nHSIC was not measured in these runs, so there is no information plane to show. " +
            "<code>observe: { nhsic: { every: 1 } }</code> in the experiment file measures it.</p>"
          : [
              howToRead,
              ...plane,
              ...table("information-plane"),
              ...table("plane-over-stages"),
              ...table("plane-differences"),
            ].join("\n"),
    },
    { id: "dynamics", title: "nHSIC over epochs", content: chart("nhsic-over-epochs").join("\n") },
    {
      id: "learning",
      title: "Learning curves",
      content: [...chart("learning-curves"), ...chart("linear-separability"), ...table("linear-separability")].join(
        "\n",
      ),
    },
    {
      id: "information",
      title: "Information over depth",
      content: [...chart("information"), ...table("information")].join("\n"),
    },
    {
      id: "measures",
      title: "Measures of the representations",
      content: measuredFamilies(comparison)
        .map((family) =>
          familyBlock(family, [...chart(`measures-${family.name}`), ...table(`measures-${family.name}`)]),
        )
        .join("\n"),
    },
    {
      id: "measures-over-epochs",
      title: "Measures over epochs",
      content: overTime.length === 0 ? "" : [...seriesNotes(comparison), ...overTime].join("\n"),
    },
    {
      id: "cost",
      title: "Cost",
      content: [
        ...chart("cost"),
        ...table("memory"),
        ...chart("memory-of-modules"),
        ...table("memory-of-modules"),
      ].join("\n"),
    },
    {
      id: "settings",
      title: "Settings and versions",
      content: [
        ...(options.command === undefined
          ? []
          : [`<p>This comparison is repeated by</p><p><code>${escapeHtml(options.command)}</code></p>`]),
        ...table("settings-that-differ"),
        ...table("shared-settings"),
        ...table("runs"),
      ].join("\n"),
    },
  ].filter((section) => section.content !== "");
  const { setting, findings } = headline(comparison);
  const dates = comparison.variants
    .flatMap((variant) => variant.completed.map((run) => (run.record.finishedAt ?? run.record.createdAt).slice(0, 10)))
    .sort();
  const runCount = comparison.variants.reduce((sum, variant) => sum + variant.completed.length, 0);
  const made =
    dates.length === 0
      ? ""
      : `${count(runCount, "completed run")}, ${dates[0] === dates.at(-1) ? dates[0] : `${dates[0]} to ${dates.at(-1)}`}.`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'; img-src data:">
<meta name="generator" content="stopgrad">
<title>${escapeHtml(title)} – stopgrad report</title>
<style>${styleSheet}</style>
</head>
<body>
<main>
<header>
<h1>${escapeHtml(title)}</h1>${options.preface === undefined ? "" : `\n<div class="preface">\n${options.preface}\n</div>`}
<p class="setting">${escapeHtml(`${setting} ${made}`.trim())}</p>
${findings
  .slice(0, 1)
  .map((finding) => `<p class="finding">${escapeHtml(finding)}</p>`)
  .join("")}
${
  findings.length > 1
    ? `<ul class="findings">${findings
        .slice(1)
        .map((finding) => `<li>${escapeHtml(finding)}</li>`)
        .join("")}</ul>`
    : ""
}
${comparison.remarks.map((remark) => `<p class="remark">${escapeHtml(remark)}</p>`).join("\n")}
${comparison.notes.map((note) => `<p class="note">${escapeHtml(note)}</p>`).join("\n")}
<nav>${sections.map(({ id, title: name }) => `<a href="#${id}">${escapeHtml(name)}</a>`).join("")}</nav>
</header>
${sections.map(({ id, title: name, content }) => `<section id="${id}">\n<h2>${escapeHtml(name)}</h2>\n${content}\n</section>`).join("\n")}
</main>
${runtime}
<script>${safeScript(pageScript)}</script>
</body>
</html>
`;
}

/** For a reader who meets the plane for the first time. */
const howToRead = `<div class="reading">
<p>Each panel follows one stage of the network while it learns. Across: how much its output Z still depends on the
input X; up: how much it depends on the label Y. Both are measured by nHSIC, a dependence score without a unit (neither
bits nor nats). A path that climbs is learning the task; one that then turns left forgets what it does not need of the
input, which is the compression that the information bottleneck speaks of.</p>
<ul>
<li>Compare dynamics, not layers: whether and when a path turns means something; that one stage's numbers are larger
than another's does not.</li>
<li>Values depend on m, the mini-batch on which they are estimated: never compare different m.</li>
<li>Rules are compared within a stage: one column, the same ranges.</li>
</ul>
</div>`;

/** What the charts over epochs do not show, and where every number is. */
function seriesNotes(comparison: Comparison): string[] {
  const same = unchangingMeasures(comparison).map(({ title, value }) => `${title} ${formatNumber(value)}`);
  return [
    "<p>A panel a stage, in network order, with a range of its own. Every value of every run is in " +
      `<code>tables/${seriesName}.csv</code> beside this page.</p>`,
    ...notDrawn("at every stage and time", same),
  ];
}

/** Measures of one kind: what each is, then the chart and the table of all. */
function familyBlock({ title, keys, unchanging }: MeasuredFamily, charted: readonly string[]): string {
  const terms = keys.flatMap((key) => {
    const { says } = quantityOf(key);
    return says === "" ? [] : [`<dt>${escapeHtml(titleWithUnit(key))}</dt><dd>${escapeHtml(`${capital(says)}.`)}</dd>`];
  });
  const same = [...unchanging].map(([key, value]) => `${inWords(key)} ${formatNumber(value)}`);
  return [
    `<h3>${escapeHtml(title)}</h3>`,
    ...(terms.length === 0 ? [] : [`<dl class="quantities">${terms.join("\n")}</dl>`]),
    ...notDrawn("at every stage", same),
    ...charted,
  ].join("\n");
}

function notDrawn(where: string, same: readonly string[]): string[] {
  return same.length === 0 ? [] : [`<p>Not drawn, because ${where} the same: ${escapeHtml(same.join(", "))}.</p>`];
}

function tableBlock(table: Table): string {
  const link = (type: string, ending: string, text: string, label: string) =>
    `<a download="${table.name}.${ending}" href="data:${type};charset=utf-8,${encodeURIComponent(text)}">${label}</a>`;
  return (
    `${renderHtml(table)}\n<p class="downloads">${link("text/csv", "csv", renderCsv(table), "CSV")}` +
    `${link("text/markdown", "md", renderMarkdown(table), "Markdown")}</p>`
  );
}

function chartBlock(chart: DrawnChart): string {
  // Definitions (gradients, clips) are numbered within a chart; on the page each chart has its own.
  const svg = chart.svg
    .replace("<svg ", `<svg role="img" aria-label="${escapeHtml(chart.title)}" `)
    .replace(/( id="|url\(#)((?:gradient|clip)\w*)/g, `$1${chart.name}-$2`);
  return `<figure data-chart="${chart.name}">
<figcaption><strong>${escapeHtml(chart.title)}</strong> ${escapeHtml(chart.caption)}</figcaption>
<div class="chart">${svg}</div>
<p class="downloads" hidden><a class="svg" download="${chart.name}.svg">SVG</a><a class="spec" download="${chart.name}.vl.json">Vega-Lite specification</a></p>
<script type="application/json">${safeJson(chart.spec)}</script>
</figure>`;
}

/** JSON inside a script element: nothing in it can end the element, or begin a comment in it. */
function safeJson(value: unknown): string {
  return JSON.stringify(value).replace(/[<\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** Script text inside a script element. */
function safeScript(text: string): string {
  return text.replace(/<\/(script)/gi, "<\\/$1").replaceAll("<!--", "<\\!--");
}

/** The charting library's browser builds with their licences, as script elements. */
async function chartRuntime(): Promise<string> {
  const require = createRequire(import.meta.url);
  const parts: string[] = [];
  for (const [name, build] of [
    ["vega", "vega.min.js"],
    ["vega-lite", "vega-lite.min.js"],
  ] as const) {
    const folder = dirname(require.resolve(name)); // the package's build folder
    const [script, licence] = await Promise.all([
      readFile(join(folder, build), "utf8"),
      readFile(join(folder, "..", "LICENSE"), "utf8"),
    ]);
    parts.push(
      `<script>/*! ${name}\n${licence.replaceAll("*/", "* /")}*/\n${safeScript(script.replace(/\/\/# sourceMappingURL=.*\s*$/, ""))}</script>`,
    );
  }
  return parts.join("\n");
}
